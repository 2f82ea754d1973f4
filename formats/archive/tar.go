package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// global is the header that holds the label; git archive writes its commit there.
func (l label) global() *tar.Header {
	return &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": l.String()}, Format: tar.FormatPAX}
}

// header is the entry's; the content's length is the caller's to set.
func (e *entry) header(at time.Time) *tar.Header {
	h := &tar.Header{
		Name:    e.name,
		Mode:    int64(e.file.UnixMode()),
		ModTime: at.UTC().Truncate(time.Second),
		Uname:   e.file.OwnerOr(),
		Gname:   e.file.GroupOr(),
	}
	switch {
	case e.file.Type == formats.Dir:
		h.Typeflag = tar.TypeDir
	case e.file.Type == formats.Symlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.target, 0o777
	default:
		h.Typeflag = tar.TypeReg
	}
	return h
}

func (e *entry) content() formats.Blob {
	if !e.file.IsRegular() {
		return nil
	}
	return e.file.Content
}

// writeTar writes tar.gz and tar.zst, from pieces that packages share.
func writeTar(ctx context.Context, w io.Writer, name string, scratch *formats.Scratch, l label, at time.Time, entries []entry) (err error) {
	codec := pack.Gzip
	if name == "tar.zst" {
		codec = pack.Zstd
	}
	p, err := pack.New(ctx, codec, scratch)
	if err != nil {
		return err
	}
	packed, err := func() (*pack.Packed, error) {
		// Not by p.Tar: archive/tar pads this header only when asked to.
		t := tar.NewWriter(p)
		if err := errors.Join(t.WriteHeader(l.global()), t.Flush()); err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := p.Tar(e.header(at), e.content()); err != nil {
				return nil, err
			}
		}
		if err := p.EndTar(); err != nil {
			return nil, err
		}
		return p.Finish()
	}()
	if err != nil {
		p.Abort()
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	_, err = packed.WriteTo(ctxWriter{ctx, w})
	return err
}

// writeTarXz writes tar.xz as one stream: its pieces could not be shared anyway.
func writeTarXz(ctx context.Context, w io.Writer, l label, at time.Time, entries []entry) error {
	x, err := xz.WriterConfig{DictCap: dictionary(entries), CheckSum: xz.CRC64}.NewWriter(ctxWriter{ctx, w})
	if err != nil {
		return err
	}
	t := tar.NewWriter(x)
	if err := t.WriteHeader(l.global()); err != nil {
		return err
	}
	for _, e := range entries {
		h := e.header(at)
		if c := e.content(); c != nil {
			h.Size = c.Ref().Size
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		if c := e.content(); c != nil {
			if err := copyBlob(ctxWriter{ctx, t}, c); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
	}
	return errors.Join(t.Close(), x.Close())
}

// dictionary is the power of two that holds the whole archive, up to 8 MiB as
// xz -6 has it: readers reserve all of it, however little there is.
func dictionary(entries []entry) int {
	size := int64(4096)
	for _, e := range entries {
		size += 4096 + e.file.Size()
	}
	dict := 1 << 16
	for int64(dict) < size && dict < 8<<20 {
		dict *= 2
	}
	return dict
}

func copyBlob(w io.Writer, b formats.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	want := b.Ref().Size
	n, err := io.Copy(w, io.LimitReader(r, want))
	if err == nil { // w may refuse more than was announced, without a word of how much
		var more int64
		more, err = io.Copy(io.Discard, r)
		n += more
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("content is %d bytes, was to be %d", n, want)
	}
	return nil
}

// ctxWriter ends with the context's error.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
