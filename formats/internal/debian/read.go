package debian

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
)

// Bounds on what is read. Debian's largest package unpacks to a few GiB and its
// longest control file has some 100 KiB.
const (
	maxControlFile = 4 << 20
	maxControlTar  = 256 << 20
	maxDataTar     = 64 << 30
	maxFiles       = 1 << 20
	maxNames       = 256 << 20
)

// ReadControl returns the fields of the file control in a control.tar, which may
// be compressed by gzip, xz or zstd. It stops reading after it.
func ReadControl(ctx context.Context, r io.Reader) ([]formats.Field, error) {
	plain, done, err := Decompress(ctx, r, maxControlTar)
	if err != nil {
		return nil, err
	}
	defer done()
	tr := tar.NewReader(plain)
	for range 4096 { // one for each of the few kinds of control files is usual
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if path.Clean("/"+h.Name) != "/control" || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > maxControlFile {
			return nil, fmt.Errorf("the control file is %d bytes; at most %d are read", h.Size, maxControlFile)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		return ParseParagraph(b)
	}
	return nil, errors.New("there is no file named control")
}

// ReadFiles lists the entries of a data.tar, which may be compressed by gzip, xz
// or zstd: absolute paths, sorted, folders with a slash at their end, the root left
// out.
func ReadFiles(ctx context.Context, r io.Reader) ([]string, error) {
	plain, done, err := Decompress(ctx, r, maxDataTar)
	if err != nil {
		return nil, err
	}
	defer done()
	var names []string
	length := 0
	for tr := tar.NewReader(plain); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name := path.Clean("/" + h.Name)
		if strings.ContainsAny(name, "\n\r\x00") {
			return nil, fmt.Errorf("the name %q has a control character", name)
		}
		if name == "/" {
			continue
		}
		if h.Typeflag == tar.TypeDir {
			name += "/"
		}
		names = append(names, name)
		if length += len(name); len(names) > maxFiles || length > maxNames {
			return nil, fmt.Errorf("there are more than %d entries or %d MiB of names", maxFiles, maxNames>>20)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Readers are kept: fresh ones for each of ten thousand small packages take longer
// than what they read.
var (
	buffers    = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}
	gunzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

// Decompress returns what r holds, taken for gzip, xz, zstd or plain by its first
// bytes, and ends with an error after limit bytes or with ctx. done frees what reading
// took.
func Decompress(ctx context.Context, r io.Reader, limit int64) (plain io.Reader, done func(), err error) {
	br := buffers.Get().(*bufio.Reader)
	br.Reset(&ctxReader{ctx, r})
	plain, free, err := decompress(br)
	if err != nil {
		buffers.Put(br)
		return nil, nil, err
	}
	done = func() {
		free()
		br.Reset(nil) // keeps nothing of the package
		buffers.Put(br)
	}
	return &bounded{&ctxReader{ctx, plain}, limit, limit}, done, nil
}

func decompress(br *bufio.Reader) (plain io.Reader, free func(), err error) {
	magic, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	free = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z := gunzippers.Get().(*gzip.Reader)
		return z, func() { gunzippers.Put(z) }, z.Reset(br)
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		plain, err = newXzReader(br)
		return plain, free, err
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(magic, []byte("BZh")), bytes.HasPrefix(magic, []byte{0x5d, 0, 0}):
		return nil, nil, errors.New("the compression is none of gzip, xz and zstd")
	}
	return br, free, nil
}

// bounded ends in an error instead of a silent end.
type bounded struct {
	r           io.Reader
	limit, left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the archive unpacks to more than %d bytes, which is all that is read of one", b.limit)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

// Fill takes name, version and architecture of m from its fields. They end up in
// paths, so text that is no name, version or architecture is refused.
func Fill(m *formats.Meta) error {
	m.Name, m.Version, m.Arch = Get(m.Fields, "Package"), Get(m.Fields, "Version"), Get(m.Fields, "Architecture")
	if !word(m.Name, "+-._") {
		return fmt.Errorf("the control file names the package %q, which is no name", m.Name)
	}
	if !word(m.Arch, "-_.") {
		return fmt.Errorf("the control file names the architecture %q, which is none", m.Arch)
	}
	return CheckVersion(m.Version)
}

// word reports whether s is letters, digits and, not as the first, others.
func word(s, others string) bool {
	for i, c := range s {
		if !alnum(c) && (i == 0 || !strings.ContainsRune(others, c)) {
			return false
		}
	}
	return s != "" && len(s) <= 200
}
