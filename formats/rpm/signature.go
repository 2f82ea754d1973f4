package rpm

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

const (
	leadSize  = 96
	leadMagic = "\xed\xab\xee\xdb"
)

// lead is the old start of a package, kept for file(1): rpm looks at its magic
// only.
func lead(name string, a arch) []byte {
	b := make([]byte, 0, leadSize)
	b = append(b, leadMagic...)
	b = append(b, 3, 0, 0, 0) // format 3.0, a binary package
	b = binary.BigEndian.AppendUint16(b, a.lead)
	b = append(b, name[:min(len(name), 65)]...)
	b = append(b, make([]byte, 76-len(b))...)
	b = append(b, 0, 1, 0, 5) // linux, a signature header follows
	return append(b, make([]byte, leadSize-len(b))...)
}

// signatureHeader renders what vouches for the main header and, by the digests
// in that, for the payload. sign may be nil.
func signatureHeader(ctx context.Context, main []byte, payload *pack.Packed, sign formats.Signer) ([]byte, error) {
	var h header
	sha := sha256.Sum256(main)
	h.string(tagSigSHA256, hex.EncodeToString(sha[:]))
	old := sha1.Sum(main) // rpm before 4.14 knows no other
	h.string(tagSigSHA1, hex.EncodeToString(old[:]))

	// MD5 over everything is what rpm before 4.14 checks the payload with.
	sum := md5.New()
	sum.Write(main)
	if _, err := payload.WriteTo(&ctxWriter{ctx, sum}); err != nil {
		return nil, err
	}
	h.bin(tagSigMD5, sum.Sum(nil))
	h.size(tagSigSize, tagSigLongSize, int64(len(main))+payload.Size)
	h.size(tagSigPayloadSize, tagSigLongArchiveSize, payload.Plain)

	if sign != nil {
		sig, err := sign(ctx, bytes.NewReader(main))
		if err != nil {
			return nil, fmt.Errorf("sign header: %w", err)
		}
		rsa, err := isRSA(sig)
		if err != nil {
			return nil, err
		}
		if rsa {
			h.bin(tagSigRSA, sig)
		} else {
			h.bin(tagSigDSA, sig)
		}
	}
	b, err := h.bytes(tagHeaderSignatures)
	if err != nil {
		return nil, err
	}
	// The main header starts at a multiple of eight.
	return append(b, make([]byte, alignUp(len(b), 8)-len(b))...), nil
}

// size writes n under short, or under long where it takes more than 32 bits.
func (h *header) size(short, long tag, n int64) {
	if n > math.MaxUint32 {
		h.int64(long, uint64(n))
		return
	}
	h.int32s(short, uint32(n))
}

// isRSA reads the key's algorithm from a binary OpenPGP signature, since rpm
// keeps signatures of RSA keys under a tag of their own.
func isRSA(sig []byte) (bool, error) {
	bad := errors.New("the signer's output is not a binary OpenPGP signature of version 4 or newer")
	if len(sig) < 2 || sig[0]&0x80 == 0 {
		return false, bad
	}
	body := sig[1:]
	kind := sig[0] & 0x3f
	if sig[0]&0x40 == 0 { // the old form of a packet: kind and length's length in one byte
		kind = sig[0] >> 2 & 0xf
		if sig[0]&3 == 3 {
			return false, bad
		}
		body = body[min(len(body), 1<<(sig[0]&3)):]
	} else {
		switch {
		case body[0] < 192:
			body = body[1:]
		case body[0] < 224:
			body = body[min(len(body), 2):]
		case body[0] == 255:
			body = body[min(len(body), 5):]
		default:
			return false, bad
		}
	}
	if kind != 2 || len(body) < 3 || body[0] < 4 {
		return false, bad
	}
	return body[2] >= 1 && body[2] <= 3, nil
}

// ctxWriter stops with its context.
type ctxWriter struct {
	ctx context.Context
	w   interface{ Write([]byte) (int, error) }
}

func (w *ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
