// Package pack compresses the payload of a package in pieces that several
// packages share.
//
// The same 60 MB program goes into a deb, an apk, an ipk and a tar.gz, each time
// with other headers around it. A Packer therefore compresses the content of each
// large file on its own and keeps the piece in a formats.Scratch under the
// content's digest; everything else is gathered into runs between those pieces.
//
// Pieces are joined into what every reader takes for one ordinary file: for gzip
// (RFC 1952) one member whose pieces each end in a full flush, with the CRC
// combined, because some libraries stop after the first of several members
// without a word; for zstd (RFC 8878) one frame after the other.
//
// The bytes depend on what was written and in which order, not on time, memory or
// the number of CPUs.
package pack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
)

// Codec is a way to compress.
type Codec string

const (
	None Codec = "none"
	Gzip Codec = "gzip"
	Zstd Codec = "zstd"
)

// Large is the size in bytes from which a file's content is a piece of its own.
const Large = 256 << 10

// run is how many gathered bytes are compressed as one piece at most.
const run = 1 << 20

// Packer gathers what is written to it, compressed. Use it from one goroutine.
type Packer struct {
	ctx     context.Context
	codec   Codec
	scratch *formats.Scratch

	out     *os.File // the runs, one behind the other
	outLen  int64
	pending *bytes.Buffer
	running []chan compressed // the runs that are being compressed, in order
	spare   []*bytes.Buffer
	pieces  []piece
	crc     uint32
	plain   int64
	err     error
}

// piece is a range of a file that goes into the output as it is.
type piece struct {
	name string // "" for the packer's own file
	off  int64
	size int64
}

// New returns a Packer. ctx ends it early: writes then fail with its error.
func New(ctx context.Context, codec Codec, scratch *formats.Scratch) (*Packer, error) {
	switch codec {
	case None, Gzip, Zstd:
	default:
		return nil, fmt.Errorf("unknown compression %q; there are none, gzip and zstd", codec)
	}
	out, err := scratch.Temp()
	if err != nil {
		return nil, err
	}
	return &Packer{ctx: ctx, codec: codec, scratch: scratch, out: out, pending: new(bytes.Buffer)}, nil
}

// Write gathers b.
func (p *Packer) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), run-p.pending.Len())
		p.pending.Write(b[:k])
		b = b[k:]
		if p.pending.Len() == run {
			if err := p.flush(); err != nil {
				return n - len(b), err
			}
		}
	}
	return n, nil
}

// Blob writes the content of b. Large content is compressed once for all packers
// of one Scratch and codec.
func (p *Packer) Blob(b formats.Blob) error {
	if p.err != nil {
		return p.err
	}
	ref := b.Ref()
	if ref.Size < Large {
		r, err := b.Open()
		if err != nil {
			return err
		}
		n, err := io.Copy(p, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if n != ref.Size {
			return fmt.Errorf("content is %d bytes, was to be %d", n, ref.Size)
		}
		return nil
	}
	if err := p.settle(); err != nil {
		return err
	}
	name, size, err := p.scratch.Once(p.ctx, string(p.codec)+" "+ref.SHA256.String(), func(w io.Writer) error {
		return p.compressBlob(w, b)
	})
	if err != nil {
		return p.fail(err)
	}
	crc := uint32(0)
	if p.codec == Gzip {
		// The piece ends with the CRC-32 of what it holds, for formats.CombineCRC32.
		if crc, err = trailer(name, size); err != nil {
			return p.fail(err)
		}
		size -= 4
	}
	p.add(piece{name, 0, size}, crc, ref.Size)
	return nil
}

func (p *Packer) compressBlob(w io.Writer, b formats.Blob) (err error) {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	crc := crc32.NewIEEE()
	cw := p.compressor(w)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(cw, crc)}, &ctxReader{p.ctx, r}, make([]byte, 128<<10))
	if err != nil {
		return err
	}
	if n != b.Ref().Size {
		return fmt.Errorf("content is %d bytes, was to be %d", n, b.Ref().Size)
	}
	if err := cw.finish(); err != nil {
		return err
	}
	if p.codec == Gzip {
		return binary.Write(w, binary.LittleEndian, crc.Sum32())
	}
	return nil
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

func trailer(name string, size int64) (uint32, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], size-4); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

func (p *Packer) fail(err error) error {
	p.err = err
	return err
}

// atOnce is how many runs are compressed while more is gathered.
const atOnce = 2

// compressed is a run that was compressed.
type compressed struct {
	plain  *bytes.Buffer
	packed bytes.Buffer
	crc    uint32
	err    error
}

// flush begins to compress what is pending into a piece.
func (p *Packer) flush() error {
	if err := p.wait(atOnce - 1); err != nil || p.pending.Len() == 0 {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return p.fail(err)
	}
	c := compressed{plain: p.pending}
	p.pending = new(bytes.Buffer)
	if n := len(p.spare); n > 0 {
		p.pending, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	done := make(chan compressed, 1)
	p.running = append(p.running, done)
	go func() {
		cw := p.compressor(&c.packed)
		_, err := cw.Write(c.plain.Bytes())
		c.err = errors.Join(err, cw.finish())
		c.crc = crc32.ChecksumIEEE(c.plain.Bytes())
		done <- c
	}()
	return nil
}

// wait adds the runs that are being compressed, until at most n are left.
func (p *Packer) wait(n int) error {
	for len(p.running) > n {
		c := <-p.running[0]
		p.running = p.running[1:]
		if c.err == nil && p.err == nil {
			_, c.err = p.out.Write(c.packed.Bytes())
		}
		if c.err != nil && p.err == nil {
			p.err = c.err
		}
		if p.err != nil {
			continue
		}
		size := int64(c.packed.Len())
		p.add(piece{"", p.outLen, size}, c.crc, int64(c.plain.Len()))
		p.outLen += size
		c.plain.Reset()
		p.spare = append(p.spare, c.plain)
	}
	return p.err
}

// settle makes pieces of all that was written.
func (p *Packer) settle() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.wait(0)
}

func (p *Packer) add(pc piece, crc uint32, plain int64) {
	p.pieces = append(p.pieces, pc)
	p.crc = formats.CombineCRC32(p.crc, crc, plain)
	p.plain += plain
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Compressors are kept, since fresh ones take megabytes.
var (
	flaters = sync.Pool{New: func() any {
		z, err := flate.NewWriter(nil, 6)
		if err != nil {
			panic(err) // only an invalid level is an error
		}
		return z
	}}
	// One goroutine and the default level: the output then depends on the input
	// alone.
	encoders = sync.Pool{New: func() any {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithWindowSize(4<<20))
		if err != nil {
			panic(err) // only invalid options are an error
		}
		return z
	}}
)

// compressor is a writer whose finish ends the piece, so that another may follow.
type compressor struct {
	io.Writer
	finish func() error
}

func (p *Packer) compressor(w io.Writer) compressor {
	switch p.codec {
	case None:
		return compressor{w, func() error { return nil }}
	case Gzip:
		z := flaters.Get().(*flate.Writer)
		z.Reset(w)
		// Flush ends in an empty stored block, on a byte boundary; the next piece
		// comes from a fresh writer and so refers to nothing before it.
		return compressor{z, func() error {
			err := z.Flush()
			flaters.Put(z)
			return err
		}}
	}
	z := encoders.Get().(*zstd.Encoder)
	z.Reset(w)
	return compressor{z, func() error {
		err := z.Close()
		encoders.Put(z)
		return err
	}}
}

// Finish ends the output and returns it. After Finish the Packer takes no more
// writes.
func (p *Packer) Finish() (*Packed, error) {
	if err := p.settle(); err != nil {
		return nil, err
	}
	if len(p.pieces) == 0 && p.codec == Zstd { // an empty file is no zstd stream
		count := &counter{w: p.out}
		if err := p.compressor(count).finish(); err != nil {
			return nil, err
		}
		p.add(piece{"", 0, count.n}, 0, 0)
	}
	p.err = errors.New("packer is finished")
	d := &Packed{out: p.out, pieces: p.pieces, Plain: p.plain}
	for _, pc := range p.pieces {
		d.Size += pc.size
	}
	if p.codec == Gzip {
		// Compression method 8, no flags, no time, no extra flags, unknown system.
		d.head = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
		d.tail = binary.LittleEndian.AppendUint32([]byte{3, 0}, p.crc)
		d.tail = binary.LittleEndian.AppendUint32(d.tail, uint32(p.plain))
		d.Size += int64(len(d.head) + len(d.tail))
	}
	return d, nil
}

// Abort gives up the output after an error.
func (p *Packer) Abort() {
	_ = p.wait(0)
	p.err = errors.New("packer was given up")
	p.out.Close()
	os.Remove(p.out.Name())
}

// Packed is a finished output.
type Packed struct {
	Size  int64 // compressed, in bytes
	Plain int64 // before compression, in bytes

	out        *os.File
	pieces     []piece
	head, tail []byte
}

// WriteTo writes the output to w. It may be called again until Close.
func (d *Packed) WriteTo(w io.Writer) (int64, error) {
	count := &counter{w: w}
	if _, err := count.Write(d.head); err != nil {
		return count.n, err
	}
	for _, pc := range d.pieces {
		if err := d.copy(count, pc); err != nil {
			return count.n, err
		}
	}
	_, err := count.Write(d.tail)
	return count.n, err
}

func (d *Packed) copy(w io.Writer, pc piece) (err error) {
	f := d.out
	if pc.name != "" {
		if f, err = os.Open(pc.name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	_, err = io.Copy(w, io.NewSectionReader(f, pc.off, pc.size))
	return err
}

// Close removes what belongs to this output alone.
func (d *Packed) Close() error {
	return errors.Join(d.out.Close(), os.Remove(d.out.Name()))
}
