package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	repo "github.com/distropack/distropack/publish/repo/apk"
)

// apkHashes are the kinds of signatures by the names of their tar entries.
var apkHashes = []struct {
	prefix string
	hash   crypto.Hash
}{{".SIGN.RSA256.", crypto.SHA256}, {".SIGN.RSA512.", crypto.SHA512}, {".SIGN.RSA.", crypto.SHA1}}

// apkSignature is a signature over the gzip member behind it.
type apkSignature struct {
	key  string // file name
	hash crypto.Hash
	sig  []byte
}

// apk looks at an index of apk 2, which apk 3 reads too: gzip members with
// signatures, then one with the index.
func (r *run) apk(ctx context.Context, t *target) {
	name := path.Join(t.Path, "APKINDEX.tar.gz")
	b, err := r.get(ctx, t, name, maxPacked)
	if err != nil {
		r.lost(t, Error, name, err)
		return
	}
	t.addIndex(r)
	sigs, body, err := apkSignatures(b)
	if err != nil {
		r.add(t, Error, name, "index", "it can't be read: %v", err)
		return
	}
	if !r.apkSigned(ctx, t, name, sigs, body) {
		return
	}
	text, err := apkIndex(ctx, body, r.MaxIndex)
	var large errTooLarge
	if errors.As(err, &large) {
		r.add(t, Error, name, "too-large", "after decompression %v", large)
		return
	}
	var entries []*repo.Entry
	if err == nil {
		entries, err = repo.Parse(text)
	}
	if err != nil {
		r.add(t, Error, name, "index", "it can't be read: %v", err)
		return
	}
	var seen twice
	var items []*item
	for _, e := range entries {
		if r.see != nil {
			r.see(t, e.Name, e.Version)
		}
		id := e.Name + " " + e.Version
		if again, differ := seen.add(id, e.Checksum); again {
			r.listedTwice(t, name, id, differ)
		}
		full, ok := r.place(t, name, t.Path, e.Name+"-"+e.Version+".apk")
		if !ok {
			continue
		}
		control, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(e.Checksum, "Q1"))
		if err != nil { // Parse has looked at it
			continue
		}
		items = append(items, &item{path: full, kind: apkFile, want: want{size: e.Size}, control: fmt.Sprintf("%x", control)})
	}
	r.need(t, items...)
}

// apkSigned checks the signatures of an index: one by a key that is known has to
// be good. It reports whether the index is to be read.
func (r *run) apkSigned(ctx context.Context, t *target, name string, sigs []apkSignature, body []byte) bool {
	if len(sigs) == 0 {
		r.add(t, Warning, name, "unsigned", "the index is not signed: apk refuses it without --allow-untrusted")
		return true
	}
	var unknown []string
	for _, s := range sigs {
		key := r.rsaKey(ctx, s.key)
		if key == nil {
			unknown = append(unknown, s.key)
			continue
		}
		h := s.hash.New()
		h.Write(body)
		if err := key.Verify(s.hash, h.Sum(nil), s.sig); err != nil {
			r.add(t, Error, name, "signature", "%v", err)
			return false
		}
		r.trust.use("rsa " + key.ID)
		t.Signed = true
		if s.hash == crypto.SHA1 {
			r.add(t, Warning, name, "weak-hash", "it is signed over SHA-1; sign with RSA256")
		}
	}
	if !t.Signed {
		r.add(t, Warning, name, "no-key", "it is signed by %.200q, but there is no key of that name to check it with: give one", strings.Join(unknown, " "))
	}
	return true
}

// apkSignatures takes the members with signatures off. body is the rest.
func apkSignatures(b []byte) (sigs []apkSignature, body []byte, err error) {
	for len(sigs) < 16 {
		in := bytes.NewReader(b)
		z, err := gzip.NewReader(in) // takes not one byte of the next member, since in is an io.ByteReader
		if err != nil {
			return nil, nil, err
		}
		z.Multistream(false)
		text := io.LimitReader(z, maxSmall)
		s, ok, err := apkEntry(tar.NewReader(text))
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return sigs, b, nil
		}
		if _, err := io.Copy(io.Discard, text); err != nil {
			return nil, nil, err
		}
		sigs = append(sigs, s)
		b = b[len(b)-in.Len():]
	}
	return nil, nil, errors.New("it has more than 16 signatures")
}

// apkEntry reads a signature; ok is false if the tar begins with something else.
func apkEntry(in *tar.Reader) (s apkSignature, ok bool, err error) {
	h, err := in.Next()
	if errors.Is(err, io.EOF) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	for _, a := range apkHashes {
		key, found := strings.CutPrefix(h.Name, a.prefix)
		if !found {
			continue
		}
		sig, err := io.ReadAll(in)
		return apkSignature{key, a.hash, sig}, true, err
	}
	return s, false, nil
}

// apkIndex unpacks APKINDEX, up to limit bytes.
func apkIndex(ctx context.Context, body []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	text := &counter{ctx: ctx, r: z, limit: limit}
	in := tar.NewReader(text)
	var index []byte
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Name == "APKINDEX" && index == nil {
			if index, err = io.ReadAll(in); err != nil {
				return nil, err
			}
		}
	}
	if _, err := io.Copy(io.Discard, text); err != nil {
		return nil, err
	}
	if index == nil {
		return nil, errors.New("there is no APKINDEX in it")
	}
	return index, nil
}

// apkCheck checks the parts of a package while it is hashed. apk knows a package
// by the SHA-1 of its compressed control part, which holds the SHA-256 of the rest.
type apkCheck struct {
	*io.PipeWriter
	item *item
	end  func() error // waits for the reader; may be called again
}

// newAPKCheck starts a goroutine that ends with Close.
func newAPKCheck(it *item) *apkCheck {
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := apkParts(in, it.control)
		io.Copy(io.Discard, in) // the writer goes on all the same
		done <- err
	}()
	return &apkCheck{out, it, sync.OnceValue(func() error {
		out.Close()
		return <-done
	})}
}

// Close ends the reader.
func (c *apkCheck) Close() error { return c.end() }

func (c *apkCheck) verdict() (Severity, string, string, string) {
	if err := c.end(); err != nil {
		return Error, c.item.path, "hash", err.Error()
	}
	return "", "", "", ""
}

// apkParts reads a package: signatures, control part, files.
func apkParts(in io.Reader, control string) error {
	b := &hashedBytes{r: bufio.NewReaderSize(in, 64<<10)}
	for range 17 {
		sum := sha1.New()
		b.w = sum
		z, err := gzip.NewReader(b)
		if err != nil {
			return fmt.Errorf("it is no apk package: %v", err)
		}
		z.Multistream(false)
		text := &io.LimitedReader{R: z, N: 16 * maxSmall}
		t := tar.NewReader(text)
		h, err := t.Next()
		if err != nil {
			return fmt.Errorf("it is no apk package: %v", err)
		}
		signature := strings.HasPrefix(h.Name, ".SIGN.")
		datahash := ""
		for ; !signature && err == nil; h, err = t.Next() {
			if h.Name == ".PKGINFO" {
				info, err := io.ReadAll(t)
				if err != nil {
					return fmt.Errorf(".PKGINFO can't be read: %v", err)
				}
				for line := range strings.Lines(string(info)) {
					if v, ok := strings.CutPrefix(line, "datahash = "); ok {
						datahash = strings.TrimSpace(v)
					}
				}
			}
		}
		if _, err := io.Copy(io.Discard, text); err != nil {
			return fmt.Errorf("its control part can't be read: %v", err)
		}
		if text.N == 0 {
			return fmt.Errorf("its control part is longer than %d bytes", 16*maxSmall)
		}
		if signature {
			continue
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)); got != control {
			return fmt.Errorf("the SHA-1 of its control part is %s, its index says %s", got, control)
		}
		data := sha256.New()
		if _, err := io.Copy(data, b.r); err != nil {
			return err
		}
		if got := fmt.Sprintf("%x", data.Sum(nil)); datahash != "" && got != datahash {
			return fmt.Errorf("the SHA-256 of its files is %s, its .PKGINFO says %s", got, datahash)
		}
		return nil
	}
	return errors.New("it has more than 16 signatures")
}

// hashedBytes hashes what is read through it. It is an io.ByteReader, so that gzip
// takes not one byte too many.
type hashedBytes struct {
	r   *bufio.Reader
	w   io.Writer
	one [1]byte
}

func (b *hashedBytes) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.w.Write(p[:n])
	return n, err
}

func (b *hashedBytes) ReadByte() (byte, error) {
	c, err := b.r.ReadByte()
	if err == nil {
		b.one[0] = c
		b.w.Write(b.one[:])
	}
	return c, err
}
