package arch

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
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// Bounds on what Describe takes in.
const (
	ownEntries = 64 // among which .PKGINFO is
	maxEntries = 1 << 20
	maxNames   = 128 << 20 // bytes of all paths
	maxPlain   = 64 << 30  // bytes after decompression
)

// Describe reads the pairs of .PKGINFO and lists the files. Packages compressed
// with zstd, gzip or xz, or not at all, are read.
func (*Format) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	plain, done, err := decompress(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("the archive can't be read: %w", err)
	}
	defer done()
	t := tar.NewReader(io.LimitReader(&ctxReader{ctx, plain}, maxPlain))
	m := &formats.Meta{Format: "arch"}
	names := 0
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the archive can't be read: %w", err)
		}
		if names += len(h.Name); n >= maxEntries || names > maxNames {
			return nil, fmt.Errorf("the archive has more than %d entries or %d bytes of names", maxEntries, maxNames)
		}
		if h.Name == ".PKGINFO" && m.Fields == nil {
			text, err := io.ReadAll(io.LimitReader(t, pkginfo.MaxSize+1))
			if err != nil {
				return nil, fmt.Errorf(".PKGINFO: %w", err)
			}
			if m.Fields, err = pkginfo.Parse(text); err != nil {
				return nil, fmt.Errorf(".PKGINFO: %w", err)
			}
			continue
		}
		if m.Fields == nil && n == ownEntries-1 {
			return nil, fmt.Errorf("no .PKGINFO among the first %d entries; this is no pacman package", ownEntries)
		}
		if name, ok := listed(h); ok {
			m.Files = append(m.Files, name)
		}
	}
	slices.Sort(m.Files)
	m.Name, m.Version, m.Arch = m.Get("pkgname"), m.Get("pkgver"), m.Get("arch")
	if m.Name == "" || m.Version == "" || m.Arch == "" {
		return nil, errors.New("no pkgname, pkgver or arch in .PKGINFO; this is no pacman package")
	}
	if m.Get("datahash") != "" {
		return nil, errors.New(".PKGINFO has a datahash; this is an apk package")
	}
	if checkName(m.Name) != nil || !isName(m.Version, "._+-:~") || !isName(m.Arch, "_") {
		return nil, fmt.Errorf("package %q, version %q, architecture %q: not what pacman allows", m.Name, m.Version, m.Arch)
	}
	return m, nil
}

// listed returns the absolute path of an entry. pacman's own files, which are
// those in the root with a dot in front, have none.
func listed(h *tar.Header) (string, bool) {
	name := path.Clean("/" + h.Name)
	if name == "/" || strings.HasPrefix(name, "/.") || strings.ContainsAny(name, "\n\r\x00") {
		return "", false
	}
	if h.Typeflag == tar.TypeDir {
		name += "/"
	}
	return name, true
}

// unzstd keeps decoders: a fresh one takes longer than a small package. makepkg's
// users go up to -22, whose window is 128 MiB.
var unzstd = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderMaxMemory(192<<20))
	if err != nil {
		panic(err) // only invalid options are an error
	}
	return z
}}

// decompress finds out the compression by the first bytes. done gives back what
// the reader holds.
func decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(6)
	if errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%d bytes are no package", len(head))
	}
	if err != nil {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		z := unzstd.Get().(*zstd.Decoder)
		if err := z.Reset(b); err != nil {
			return nil, nil, err
		}
		return z, func() {
			z.Reset(nil)
			unzstd.Put(z)
		}, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() {}, nil
	case bytes.Equal(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		z, err := newXz(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() {}, nil
	}
	return b, func() {}, nil
}

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
