package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/distropack/distropack/formats"
)

// contentError says that content could not be read as its Ref says.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }

// bodyOf reads a blob for a request. Trouble with the content ends the request
// through stop: to try again would not help.
func bodyOf(blob formats.Blob, stop context.CancelCauseFunc) (io.ReadSeekCloser, error) {
	if held, ok := formats.Held(blob); ok && len(held) == 1 {
		return nopCloser{bytes.NewReader(held[0])}, nil
	}
	return &content{blob: blob, stop: stop}, nil
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// content reads a blob and compares it with its Ref. The last bytes are given
// only after the comparison, so that a request with other content stays
// incomplete and its object never comes to be.
type content struct {
	blob formats.Blob
	stop context.CancelCauseFunc
	at   int64 // where the reader believes to be
	r    io.ReadCloser
	n    int64 // read from r
	hash hash.Hash

	checked bool // all of it is read, and is what Ref says
}

func (c *content) Read(p []byte) (int, error) {
	ref := c.blob.Ref()
	if c.at == 0 && c.n > 0 {
		c.Close()
	}
	if c.at != c.n {
		return c.fail(fmt.Errorf("reading at %d: it can only go on at %d or begin again", c.at, c.n))
	}
	if c.r == nil {
		r, err := c.blob.Open()
		if err != nil {
			return c.fail(err)
		}
		c.r, c.hash, c.checked = r, sha256.New(), false
	}
	if c.checked {
		return 0, io.EOF
	}
	if int64(len(p)) > ref.Size-c.n {
		p = p[:ref.Size-c.n]
	}
	n, err := io.ReadFull(c.r, p)
	if err != nil {
		return c.fail(tooShort(err, c.n+int64(n), ref.Size))
	}
	c.hash.Write(p)
	c.n += int64(n)
	c.at = c.n
	if c.n < ref.Size {
		return n, nil
	}
	if err := ended(c.r, ref.Size); err != nil {
		return c.fail(err)
	}
	if err := checkDigest(c.hash.Sum(nil), ref); err != nil {
		return c.fail(err)
	}
	c.checked = true
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// tooShort says what the end of content before its end means.
func tooShort(err error, n, size int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the content changed while it was published: it is %d bytes, was %d", n, size)
	}
	return err
}

// ended makes sure that there is nothing after the end.
func ended(r io.Reader, size int64) error {
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return fmt.Errorf("the content changed while it was published: it is more than %d bytes", size)
	case err != io.EOF:
		return err
	}
	return nil
}

func checkDigest(sum []byte, ref formats.Ref) error {
	if got := formats.Digest(sum); got != ref.SHA256 {
		return fmt.Errorf("the content changed while it was published: its SHA-256 is %s, was %s", got, ref.SHA256)
	}
	return nil
}

func (c *content) fail(err error) (int, error) {
	err = &contentError{err}
	c.stop(err)
	return 0, err
}

// Seek is for learning the length and for going back to the start, which is what a
// repeated request needs; nothing is read from elsewhere.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.blob.Ref().Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	c.at = offset
	return offset, nil
}

// Close lets go of the file; reading starts over.
func (c *content) Close() error {
	if c.r == nil {
		return nil
	}
	r := c.r
	c.r, c.n = nil, 0
	return r.Close()
}
