package rpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// cpio writes the payload: a cpio archive in the "newc" form, whose names start
// with "./". Where a file is over 4 GiB, which newc can't say, rpm's own form
// stands in its place: entries name the file by its place in the header.
type cpio struct {
	ctx  context.Context
	out  *pack.Packer
	sum  hash.Hash // of the archive before compression
	list *fileList
	buf  []byte // one entry, so that small files cost one write and no allocation
}

// writePayload fills out with the files of l and returns the SHA-256 of the
// archive before compression.
func writePayload(ctx context.Context, out *pack.Packer, l *fileList) (formats.Digest, error) {
	c := &cpio{ctx: ctx, out: out, sum: sha256.New(), list: l}
	for i := range l.files {
		f := &l.files[i]
		if f.Type == formats.Ghost {
			continue
		}
		if err := c.entry(i, f); err != nil {
			return formats.Digest{}, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	c.newc(0, 0, 1, 0, 0, "", "TRAILER!!!")
	return formats.Digest(c.sum.Sum(nil)), c.flush()
}

func (c *cpio) entry(i int, f *formats.File) error {
	size := entrySizeOf(f)
	if c.list.large {
		c.buf = append(c.buf, "07070X"...)
		c.hex(uint32(i))
		c.pad(len(c.buf))
	} else {
		links := uint32(1)
		if f.Type == formats.Dir {
			links = 2
		}
		c.newc(uint32(i)+1, modeOf(f), links, c.list.mtime, uint32(size), ".", f.Path)
	}
	switch {
	case f.Type == formats.Symlink:
		c.buf = append(c.buf, f.Target...)
	case f.IsRegular() && size >= pack.Large:
		if err := c.flush(); err != nil {
			return err
		}
		if err := c.blob(f.Content); err != nil {
			return err
		}
	case f.IsRegular():
		if err := c.small(f.Content, int(size)); err != nil {
			return err
		}
	}
	c.pad(int(size % 4))
	return c.flush()
}

// newc appends an entry's header. The name is prefix and rest.
func (c *cpio) newc(inode, mode, links, mtime, size uint32, prefix, rest string) {
	c.buf = append(c.buf, "070701"...)
	// Owners are names in the header; device numbers mean nothing elsewhere.
	for _, v := range [...]uint32{inode, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, uint32(len(prefix) + len(rest) + 1), 0} {
		c.hex(v)
	}
	c.buf = append(append(append(c.buf, prefix...), rest...), 0)
	c.pad(len(c.buf))
}

func (c *cpio) hex(v uint32) {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		c.buf = append(c.buf, digits[v>>shift&15])
	}
}

// pad fills up what is n bytes long to a multiple of four. Entries start at such
// a multiple and buf starts with an entry, or with the padding alone.
func (c *cpio) pad(n int) {
	for ; n%4 != 0; n++ {
		c.buf = append(c.buf, 0)
	}
}

// small reads content behind what buf holds.
func (c *cpio) small(b formats.Blob, size int) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	start := len(c.buf)
	if need := start + size + 4; cap(c.buf) < need {
		c.buf = append(make([]byte, 0, need+need/2), c.buf...)
	}
	// One byte more than expected, so that a file that grew is noticed.
	n, err := io.ReadFull(r, c.buf[start:start+size+1])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("content is no longer %d bytes long", size)
	}
	c.buf = c.buf[:start+size]
	return nil
}

// blob writes large content, which the packer compresses once for all packages,
// and reads it again for the checksum of this archive.
func (c *cpio) blob(b formats.Blob) (err error) {
	if err := c.out.Blob(b); err != nil {
		return err
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if cap(c.buf) < 128<<10 {
		c.buf = make([]byte, 0, 128<<10)
	}
	chunk, n := c.buf[:cap(c.buf)], int64(0)
	for {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		k, err := r.Read(chunk)
		c.sum.Write(chunk[:k])
		n += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != b.Ref().Size {
		return fmt.Errorf("content is %d bytes, was to be %d", n, b.Ref().Size)
	}
	return nil
}

func (c *cpio) flush() error {
	c.sum.Write(c.buf)
	_, err := c.out.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
