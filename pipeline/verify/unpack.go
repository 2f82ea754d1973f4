package verify

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// sum is a digest that an index states.
type sum struct {
	algorithm string // "sha256"
	hex       string // lower-case
}

// algorithms from the strongest to those that prove nothing any more. rpm-md says
// "sha" for SHA-1.
var algorithms = []struct {
	name string
	size int
	new  func() hash.Hash
	weak bool
}{
	{"sha256", sha256.Size, sha256.New, false}, // ahead of the longer ones: CPUs have instructions for it
	{"sha512", sha512.Size, sha512.New, false},
	{"sha384", sha512.Size384, sha512.New384, false},
	{"sha224", sha256.Size224, sha256.New224, false},
	{"sha1", sha1.Size, sha1.New, true},
	{"sha", sha1.Size, sha1.New, true},
	{"md5", md5.Size, md5.New, true},
}

// makeSum reads a digest; an error says why it is none.
func makeSum(algorithm, text string) (sum, error) {
	s := sum{strings.ToLower(algorithm), strings.ToLower(text)}
	for _, a := range algorithms {
		if a.name == s.algorithm {
			if b, err := hex.DecodeString(s.hex); err != nil || len(b) != a.size {
				return s, fmt.Errorf("%s %.150q is not %d hexadecimal digits", algorithm, text, 2*a.size)
			}
			return s, nil
		}
	}
	return s, fmt.Errorf("digests by %.40q are not known", algorithm)
}

func (s sum) hash() hash.Hash {
	for _, a := range algorithms {
		if a.name == s.algorithm {
			return a.new()
		}
	}
	panic("sum by " + s.algorithm + " was not made by makeSum")
}

func (s sum) weak() bool {
	return strings.HasPrefix(s.algorithm, "md5") || s.algorithm == "sha1" || s.algorithm == "sha"
}

// want is what an index says of a file. Size is -1 and sum zero where it does not.
type want struct {
	size int64
	sum
}

// match says why what was read is not what is wanted; code is "" where it is.
func (w want) match(size int64, h hash.Hash) (code, text string) {
	if w.size >= 0 && size != w.size {
		if size > w.size {
			return "size", fmt.Sprintf("it is longer than the %d bytes its index says", w.size)
		}
		return "size", fmt.Sprintf("it is %d bytes, its index says %d", size, w.size)
	}
	if w.algorithm == "" {
		return "", ""
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != w.hex {
		return "hash", fmt.Sprintf("its %s is %s, its index says %s", strings.ToUpper(w.algorithm), got, w.hex)
	}
	return "", ""
}

// counter counts what is read and stops at a limit.
type counter struct {
	ctx   context.Context
	r     io.Reader
	n     int64
	limit int64
}

func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	if c.n += int64(n); c.n > c.limit {
		return 0, errTooLarge{c.limit}
	}
	return n, err
}

// maxWindow is what a decompressor may set aside: zstd --ultra and xz -9 ask for
// less.
const maxWindow = 128 << 20

// unpacker decompresses r by what it begins with.
func unpacker(r io.Reader) (plain io.Reader, form string, stop func(), err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	stop = func() {}
	head, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", stop, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		return z, "gz", stop, err
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, "", stop, err
		}
		return z, "zst", z.Close, nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		// A block's header says what memory its decoder sets aside, in powers of
		// two and their halves: byte 3 of it is that of LZMA2 with nothing else.
		if head, err := b.Peek(24); err == nil && head[13] == 0 && head[14] == 0x21 && head[16] > 30 {
			return nil, "", stop, errors.New("its xz stream asks for more memory than 128 MiB")
		}
		z, err := xz.NewReader(b)
		return z, "xz", stop, err
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(b), "bz2", stop, nil
	}
	return b, "", stop, nil
}

// read is what index saw.
type read struct {
	packed hash.Hash // of the file by the wanted digest's algorithm; SHA-256 where there is none
	size   int64
	plain  hash.Hash // of the text by the algorithm asked for
	length int64
	form   string
	broken error // the text could not be unpacked or parsed
}

// index reads a file as a stream, unpacks it and hands the text to parse, which may
// be nil and need not read to the end. The error says that the file can't be had.
func (r *run) index(ctx context.Context, t *target, name string, w, open want, c class, parse func(io.Reader) error) (*read, error) {
	f, err := r.Fetch.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r.headers(t, name, f, c)
	got := &read{packed: sha256.New(), plain: sha256.New()}
	if w.algorithm != "" {
		got.packed = w.hash()
	}
	if open.algorithm != "" {
		got.plain = open.hash()
	}
	limit := r.MaxIndex
	if w.size >= 0 {
		limit = min(limit, w.size) // what follows is not read: it is wrong already
	}
	packed := &counter{ctx: ctx, r: f, limit: limit}
	body := io.TeeReader(packed, got.packed)
	plain, form, stop, err := unpacker(body)
	defer stop()
	got.form = form
	if err == nil {
		text := &counter{ctx: ctx, r: plain, limit: r.MaxIndex}
		both := io.TeeReader(text, got.plain)
		if parse != nil {
			err = parse(both)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, both)
		}
		got.length = text.n
	}
	got.broken = err
	if cause := ctx.Err(); cause != nil {
		return nil, cause
	}
	// The file's own digest counts even where its text is nonsense.
	_, err = io.Copy(io.Discard, body)
	got.size = packed.n
	var large errTooLarge
	if err != nil && !errors.As(err, &large) {
		return nil, err
	}
	return got, nil
}

// judge notes what is wrong with an index, and reports whether it is as wanted. How
// it differs from its index comes first: what can't be unpacked follows from that.
func (r *run) judge(t *target, name string, got *read, w, open want) bool {
	if code, text := w.match(got.size, got.packed); code != "" {
		r.add(t, Error, name, code, "%s", text)
		return false
	}
	return r.judgeText(t, name, got, open)
}

// judgeText is judge for the text inside.
func (r *run) judgeText(t *target, name string, got *read, open want) bool {
	var large errTooLarge
	switch {
	case errors.As(got.broken, &large):
		r.add(t, Error, name, "too-large", "after decompression %v", large)
		return false
	case got.broken != nil:
		r.add(t, Error, name, "index", "it can't be read: %v", got.broken)
		return false
	}
	if code, text := open.match(got.length, got.plain); code != "" {
		r.add(t, Error, name, code, "after decompression %s", text)
		return false
	}
	return true
}
