package deb

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
	"github.com/distropack/distropack/formats/internal/pack"
)

// payload is a finished data.tar.
type payload struct {
	size int64
	io.WriterTo
	io.Closer
}

// payload packs files. dpkg 1.21 (Debian 12) stops after the first frame of a zstd
// stream and calls the rest of the archive missing, so data.tar.zst is made of one
// frame, from the whole tar, while data.tar.gz is made of shared pieces.
func (d *Deb) payload(ctx context.Context, scratch *formats.Scratch, spec *formats.Spec, files []formats.File) (*payload, error) {
	codec := d.codec
	if codec == pack.Zstd {
		codec = pack.None
	}
	tar, err := debian.PackTree(ctx, codec, scratch, spec.Time, files)
	if err != nil {
		return nil, err
	}
	if d.codec != pack.Zstd {
		return &payload{tar.Size, tar, tar}, nil
	}
	p, err := oneFrame(ctx, scratch, tar)
	return p, errors.Join(err, tar.Close())
}

func oneFrame(ctx context.Context, scratch *formats.Scratch, tar *pack.Packed) (*payload, error) {
	f, err := scratch.Temp()
	if err != nil {
		return nil, err
	}
	frame := temp{f}
	// One goroutine and a fixed window: the bytes then depend on the input alone.
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithWindowSize(8<<20))
	if err == nil {
		_, err = tar.WriteTo(&ctxWriter{ctx, z})
		err = errors.Join(err, z.Close())
	}
	if err != nil {
		return nil, errors.Join(err, frame.Close())
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, errors.Join(err, frame.Close())
	}
	return &payload{size, frame, frame}, nil
}

// temp is a file that goes when it is closed.
type temp struct{ f *os.File }

// WriteTo writes the whole file to w.
func (t temp) WriteTo(w io.Writer) (int64, error) {
	if _, err := t.f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(w, t.f)
}

// Close removes the file.
func (t temp) Close() error { return errors.Join(t.f.Close(), os.Remove(t.f.Name())) }

type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w *ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
