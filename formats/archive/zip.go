package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// zipWriter writes entries with their lengths and sums in front of them, so that
// a zip can be read as a stream.
type zipWriter struct {
	*zip.Writer
	scratch *formats.Scratch
	deflate *flate.Writer
}

func writeZip(ctx context.Context, w io.Writer, scratch *formats.Scratch, l label, at time.Time, entries []entry) error {
	deflate, err := flate.NewWriter(io.Discard, 6)
	if err != nil {
		return err
	}
	z := &zipWriter{zip.NewWriter(ctxWriter{ctx, w}), scratch, deflate}
	if err := z.SetComment(l.String()); err != nil {
		return err
	}
	for _, e := range entries {
		if err := z.add(ctx, at, e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return z.Close()
}

func (z *zipWriter) add(ctx context.Context, at time.Time, e entry) error {
	h := &zip.FileHeader{Name: e.name, Method: zip.Store, Extra: unixTime(at), CreatorVersion: 3<<8 | 20, ReaderVersion: 20}
	//lint:ignore SA1019 Modified would add a second time field and the zone of this machine
	h.ModifiedDate, h.ModifiedTime = dosTime(at)
	if !isASCII(e.name) {
		h.Flags |= 1 << 11 // the name is UTF-8
	}
	switch {
	case e.file.Type == formats.Dir:
		h.SetMode(fs.ModeDir | e.file.Mode)
	case e.file.Type == formats.Symlink:
		h.SetMode(fs.ModeSymlink | 0o777)
	default:
		h.SetMode(e.file.Mode)
	}
	if e.file.Type == formats.Symlink { // busybox takes no compressed one
		h.CRC32 = crc32.ChecksumIEEE([]byte(e.target))
		h.UncompressedSize64, h.CompressedSize64 = uint64(len(e.target)), uint64(len(e.target))
		out, err := z.CreateRaw(h)
		if err == nil {
			_, err = io.WriteString(out, e.target)
		}
		return err
	}
	content := e.content()
	if content == nil || content.Ref().Size == 0 {
		if content != nil {
			if err := copyBlob(io.Discard, content); err != nil {
				return err
			}
		}
		_, err := z.CreateRaw(h)
		return err
	}

	if content.Ref().Size < pack.Large {
		return z.small(h, content)
	}
	return z.large(ctx, h, content)
}

// small compresses content in memory.
func (z *zipWriter) small(h *zip.FileHeader, content formats.Blob) error {
	var out bytes.Buffer
	crc := crc32.NewIEEE()
	z.deflate.Reset(&out)
	if err := copyBlob(io.MultiWriter(z.deflate, crc), content); err != nil {
		return err
	}
	if err := z.deflate.Close(); err != nil {
		return err
	}
	h.Method, h.CRC32 = zip.Deflate, crc.Sum32()
	h.UncompressedSize64, h.CompressedSize64 = uint64(content.Ref().Size), uint64(out.Len())
	w, err := z.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

// large writes what a gzip of the same Scratch is made of, so that it is
// compressed once for both.
func (z *zipWriter) large(ctx context.Context, h *zip.FileHeader, content formats.Blob) (err error) {
	p, err := pack.New(ctx, pack.Gzip, z.scratch)
	if err != nil {
		return err
	}
	err = p.Blob(content)
	var packed *pack.Packed
	if err == nil {
		packed, err = p.Finish()
	}
	if err != nil {
		p.Abort()
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	// A gzip file is a head of 10 bytes, deflate, the CRC-32 and the length.
	var tail lastBytes
	if _, err := packed.WriteTo(&tail); err != nil {
		return err
	}
	h.CRC32 = binary.LittleEndian.Uint32(tail.b[:4])
	h.UncompressedSize64 = uint64(packed.Plain)
	h.CompressedSize64 = uint64(packed.Size - 18)
	h.Method = zip.Deflate
	out, err := z.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = packed.WriteTo(&middle{w: out, skip: 10, left: packed.Size - 18})
	return err
}

// lastBytes keeps the last 8 bytes written to it.
type lastBytes struct{ b [8]byte }

func (l *lastBytes) Write(b []byte) (int, error) {
	all := append(l.b[:len(l.b):len(l.b)], b[max(0, len(b)-8):]...)
	copy(l.b[:], all[len(all)-8:])
	return len(b), nil
}

// middle passes on left bytes after the first skip.
type middle struct {
	w          io.Writer
	skip, left int64
}

func (m *middle) Write(b []byte) (int, error) {
	n := len(b)
	k := min(m.skip, int64(len(b)))
	m.skip -= k
	b = b[k:]
	b = b[:min(m.left, int64(len(b)))]
	m.left -= int64(len(b))
	if len(b) > 0 {
		if _, err := m.w.Write(b); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// unixTime is the extended timestamp, which unlike dosTime has a time zone.
func unixTime(at time.Time) []byte {
	sec := at.Unix()
	if sec < 0 || sec > 1<<31-1 {
		return nil
	}
	return binary.LittleEndian.AppendUint32([]byte{'U', 'T', 5, 0, 1}, uint32(sec))
}

func dosTime(at time.Time) (date, clock uint16) {
	at = at.UTC()
	if at.Year() < 1980 {
		at = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	year := min(at.Year()-1980, 127)
	return uint16(at.Day() + int(at.Month())<<5 + year<<9), uint16(at.Second()/2 + at.Minute()<<5 + at.Hour()<<11)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
