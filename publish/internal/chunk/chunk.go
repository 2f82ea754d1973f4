// Package chunk joins independently compressed pieces of an index into one file,
// and tells where each piece lies, so that the next version of the file can take
// over the bytes of pieces that did not change.
//
// What every client reads whole was tried (docs/architecture.md): gzip (RFC 1952)
// as one member whose pieces are raw deflate, each by a fresh compressor and ended
// by a flush; zstd (RFC 8878) as one frame per piece. Several gzip members are not
// safe: apk 3 refuses them, and some libraries stop after the first in silence.
package chunk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
)

// Codec is how pieces are compressed: "", "gz" or "zst".
type Codec string

const (
	Plain Codec = ""
	Gzip  Codec = "gz"
	Zstd  Codec = "zst"
)

// Piece is one piece of the text.
type Piece struct {
	Plain  int64  // length in bytes before compression
	CRC    uint32 // IEEE CRC-32 of the text
	Packed []byte // what stands in the file
}

var gzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// HeadSize is what stands before the first piece.
func HeadSize(c Codec) int64 {
	if c == Gzip {
		return int64(len(gzipHead))
	}
	return 0
}

var flaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, 6)
	if err != nil {
		panic(err) // only an invalid level is an error
	}
	return w
}}

// Pack compresses the text of one piece.
func Pack(c Codec, text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, nil
	}
	switch c {
	case Plain:
		return text, nil
	case Gzip:
		var b bytes.Buffer
		w := flaters.Get().(*flate.Writer)
		defer flaters.Put(w)
		w.Reset(&b)
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	case Zstd:
		return encoder().EncodeAll(text, nil), nil
	}
	return nil, fmt.Errorf("unknown compression %q", c)
}

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2))
	if err != nil {
		panic(err) // only invalid options are an error
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		panic(err)
	}
	return d
})

// inflaters are kept, since a fresh one takes 40 KiB.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// Unpack fills text with that of one packed piece, which must be as long.
func Unpack(text []byte, c Codec, packed []byte) error {
	if len(text) == 0 && len(packed) == 0 {
		return nil
	}
	n := len(packed)
	var err error
	switch c {
	case Plain:
		copy(text, packed)
	case Gzip:
		r := inflaters.Get().(io.Reader)
		defer inflaters.Put(r)
		if err := r.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
			return err
		}
		if n, err = io.ReadFull(r, text); err == nil {
			more, _ := r.Read(make([]byte, 1))
			n += more
		}
	case Zstd:
		var got []byte
		got, err = decoder().DecodeAll(packed, text[:0:len(text)])
		if n = len(got); n == len(text) && n > 0 && &got[0] != &text[0] {
			copy(text, got)
		}
	default:
		err = fmt.Errorf("unknown compression %q", c)
	}
	if n != len(text) {
		return fmt.Errorf("a piece of an index holds %d bytes, want %d", n, len(text))
	}
	return err
}

// Join returns the file made of pieces, in parts that lie one behind the other.
// The parts are the pieces' own bytes.
func Join(c Codec, pieces []Piece) [][]byte {
	var out [][]byte
	if c == Gzip {
		out = append(out, gzipHead)
	}
	var crc uint32
	var plain int64
	for _, p := range pieces {
		out = Append(out, p.Packed)
		crc = formats.CombineCRC32(crc, p.CRC, p.Plain)
		plain += p.Plain
	}
	switch {
	case c == Gzip:
		end := binary.LittleEndian.AppendUint32([]byte{3, 0}, crc)
		out = append(out, binary.LittleEndian.AppendUint32(end, uint32(plain)))
	case c == Zstd && len(out) == 0: // no frame at all is no zstd file
		// EncodeAll gives nothing for nothing; this is a frame with one empty raw
		// block: magic, single segment with content size 0, last block.
		out = append(out, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0})
	}
	return out
}

// Append adds b to parts. Where it lies right behind the last part in memory, as
// neighbours do that are taken over from one file, that part grows instead.
func Append(parts [][]byte, b []byte) [][]byte {
	if len(b) == 0 {
		return parts
	}
	if n := len(parts) - 1; n >= 0 {
		if last := parts[n]; cap(last)-len(last) >= len(b) && &last[:len(last)+1][len(last)] == &b[0] {
			parts[n] = last[:len(last)+len(b)]
			return parts
		}
	}
	return append(parts, b)
}
