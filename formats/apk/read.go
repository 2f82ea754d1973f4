package apk

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// Bounds on what Describe takes in.
const (
	maxControl = 16 << 20 // bytes of a signature or control part after decompression
	maxMembers = 16       // signatures before the control part
	maxEntries = 1 << 20
	maxNames   = 128 << 20 // bytes of all paths
	maxPlain   = 64 << 30  // bytes of the files after decompression
)

// Describe reads the pairs of .PKGINFO and lists the files. It adds the pair
// "checksum", the SHA-1 of the compressed control part as APKINDEX has it in C:.
// Where .PKGINFO has a datahash, the files must match it. Signatures are not
// checked.
func (*Format) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	s := &stream{r: bufio.NewReaderSize(&ctxReader{ctx, io.NewSectionReader(r, 0, size)}, 64<<10)}
	m := &formats.Meta{Format: "apk"}
	for n := 0; m.Fields == nil; n++ {
		if n == maxMembers {
			return nil, fmt.Errorf("no .PKGINFO in the first %d parts; this is no apk package", n)
		}
		if err := s.control(m); err != nil {
			return nil, err
		}
	}
	m.Name, m.Version, m.Arch = m.Get("pkgname"), m.Get("pkgver"), m.Get("arch")
	// Versions are not held to apk's grammar: nFPM writes 1.2.3_rc.1.
	if checkName(m.Name) != nil || !isMadeOf(m.Version, "._-+~:") || !isMadeOf(m.Arch, "_-") {
		return nil, fmt.Errorf("package %q, version %q, architecture %q: not what apk allows", m.Name, m.Version, m.Arch)
	}
	datahash := m.Get("datahash")
	for _, f := range m.Fields {
		if f.Key == "checksum" {
			return nil, errors.New(".PKGINFO has a checksum of its own")
		}
	}
	m.Fields = append(m.Fields, formats.Field{Key: "checksum", Value: "Q1" + base64.StdEncoding.EncodeToString(s.sum)})
	if err := s.data(m); err != nil {
		return nil, err
	}
	if datahash != "" && datahash != hex.EncodeToString(s.sum) {
		return nil, fmt.Errorf("the files hash to %x, but datahash is %q", s.sum, datahash)
	}
	slices.Sort(m.Files)
	return m, nil
}

// stream reads gzip members one by one and hashes their compressed bytes. Since it
// is an io.ByteReader, the decompressor takes not one byte of the next member.
type stream struct {
	r    *bufio.Reader
	hash hash.Hash
	sum  []byte // of the member read last

	pending [4096]byte // bytes not hashed yet
	n       int
}

func (s *stream) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.pending[s.n] = c
		if s.n++; s.n == len(s.pending) {
			s.flush()
		}
	}
	return c, err
}

func (s *stream) Read(b []byte) (int, error) {
	s.flush()
	n, err := s.r.Read(b)
	s.hash.Write(b[:n])
	return n, err
}

func (s *stream) flush() {
	s.hash.Write(s.pending[:s.n])
	s.n = 0
}

// member hands what the next gzip member holds to read, up to limit bytes, and
// reads it to its end.
func (s *stream) member(h hash.Hash, limit int64, read func(t *tar.Reader) error) error {
	s.hash, s.n = h, 0
	z, err := gzip.NewReader(s)
	if errors.Is(err, io.EOF) {
		return errors.New("a part is missing; the package is cut short")
	}
	if err != nil {
		return fmt.Errorf("a part is not gzip: %w", err)
	}
	z.Multistream(false)
	bounded := &io.LimitedReader{R: z, N: limit}
	if err = read(tar.NewReader(bounded)); err == nil {
		if _, err = io.Copy(io.Discard, bounded); err != nil {
			err = fmt.Errorf("a part can't be read to its end: %w", err)
		}
	}
	if bounded.N == 0 { // to the archive's reader it looked cut short
		return fmt.Errorf("a part is longer than %d bytes", limit)
	}
	if err != nil {
		return err
	}
	s.flush()
	s.sum = h.Sum(nil)
	return nil
}

// control reads a signature or the control part. m.Fields is set by the latter.
func (s *stream) control(m *formats.Meta) error {
	return s.member(sha1.New(), maxControl, func(t *tar.Reader) error {
		for {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("the control part can't be read: %w", err)
			}
			if !strings.HasPrefix(h.Name, ".") {
				return errors.New("files come before .PKGINFO; this is no apk package")
			}
			if h.Name != ".PKGINFO" || m.Fields != nil {
				continue
			}
			text, err := io.ReadAll(t)
			if err != nil {
				return fmt.Errorf(".PKGINFO: %w", err)
			}
			if m.Fields, err = pkginfo.Parse(text); err != nil {
				return fmt.Errorf(".PKGINFO: %w", err)
			}
			if m.Fields == nil {
				return errors.New(".PKGINFO is empty")
			}
		}
	})
}

// data reads the files, which end the package.
func (s *stream) data(m *formats.Meta) error {
	err := s.member(sha256.New(), maxPlain, func(t *tar.Reader) error {
		names := 0
		for n := 0; ; n++ {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("the files can't be read: %w", err)
			}
			if names += len(h.Name); n >= maxEntries || names > maxNames {
				return fmt.Errorf("more than %d files or %d bytes of names", maxEntries, maxNames)
			}
			if name, ok := listed(h); ok {
				m.Files = append(m.Files, name)
			}
		}
	})
	if err != nil {
		return err
	}
	if _, err := s.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the files; apk refuses such packages")
	}
	return nil
}

// listed returns the absolute path of an entry. Those in the root with a dot in
// front are apk's own and have none.
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
