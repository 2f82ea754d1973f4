package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/distropack/distropack/formats"
)

// gzipHead is the header of every member written here and by the engine: deflate,
// no flags, no time, unknown system.
var gzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

const gzipTail = 2 + 4 + 4 // the last deflate block "03 00", CRC-32, length

// piece is text with its compressed form: raw deflate that ends on a byte boundary
// and refers to nothing before it, so that pieces can follow each other.
type piece struct {
	packed []byte
	crc    uint32
	plain  int64
}

func deflate(text []byte) (piece, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		return piece{}, err
	}
	if _, err = w.Write(text); err == nil {
		err = w.Flush()
	}
	return piece{b.Bytes(), crc32.ChecksumIEEE(text), int64(len(text))}, err
}

// unwrap takes header and trailer off the engine's gzip file, one member whose
// deflate pieces are flushed, and returns what is between. plain is the length of
// the text.
func unwrap(file []byte, plain int64) (piece, error) {
	if len(file) < len(gzipHead)+gzipTail || !bytes.HasPrefix(file, gzipHead) {
		return piece{}, errors.New("the index is not the gzip file the engine makes")
	}
	at := len(file) - gzipTail
	tail := file[at:]
	if tail[0] != 3 || tail[1] != 0 || binary.LittleEndian.Uint32(tail[6:]) != uint32(plain) {
		return piece{}, fmt.Errorf("the index does not end as a gzip file of %d bytes", plain)
	}
	return piece{file[len(gzipHead):at], binary.LittleEndian.Uint32(tail[2:]), plain}, nil
}

// wrap makes one gzip member of pieces.
func wrap(pieces ...piece) []byte {
	size, crc, plain := len(gzipHead)+gzipTail, uint32(0), int64(0)
	for _, p := range pieces {
		size += len(p.packed)
	}
	b := append(make([]byte, 0, size), gzipHead...)
	for _, p := range pieces {
		b = append(b, p.packed...)
		crc = formats.CombineCRC32(crc, p.crc, p.plain)
		plain += p.plain
	}
	b = append(b, 3, 0)
	b = binary.LittleEndian.AppendUint32(b, crc)
	return binary.LittleEndian.AppendUint32(b, uint32(plain))
}

// member returns the gzip member of DESCRIPTION and APKINDEX. The compressed index
// is taken over as it is: compressing 10,000 entries anew for a new package would
// cost more than all else that a publish does.
func member(index []byte, plain int64, description string, at int64) ([]byte, error) {
	text, err := unwrap(index, plain)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := entry(w, "DESCRIPTION", int64(len(description)), at); err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(description)); err != nil {
		return nil, err
	}
	if err := entry(w, stream, plain, at); err != nil {
		return nil, err
	}
	head, err := deflate(b.Bytes()) // w is left open: the rest of its tar follows
	if err != nil {
		return nil, err
	}
	tail, err := deflate(make([]byte, padding(plain)+2*block))
	if err != nil {
		return nil, err
	}
	return wrap(head, text, tail), nil
}

const block = 512

func padding(n int64) int64 { return -n & (block - 1) }

func entry(w *tar.Writer, name string, size, at int64) error {
	return w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(at, 0),
		Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
	})
}

// signed returns index with the member of its signature before it. apk reads the
// first gzip member as the signature, so it must end on its own; its tar must not,
// since the two are one archive to tar(1).
func (r *Repo) signed(ctx context.Context, index []byte, at int64) ([]byte, error) {
	sig, err := r.sign(ctx, bytes.NewReader(index))
	if err != nil {
		return nil, fmt.Errorf("sign APKINDEX: %w", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := entry(w, ".SIGN.RSA256."+r.key.Name, int64(len(sig)), at); err != nil {
		return nil, err
	}
	if _, err := w.Write(sig); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil { // pads, and writes no end
		return nil, err
	}
	head, err := deflate(b.Bytes())
	if err != nil {
		return nil, err
	}
	return append(wrap(head), index...), nil
}
