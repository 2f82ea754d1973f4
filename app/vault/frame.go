package vault

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/distropack/distropack/formats"
)

// Client and signer, and packer and relay, speak over socket pairs. The first one
// carries nothing but the ends of others, one byte each: every request has a pair
// of its own, so that the kernel keeps them apart and slows down who is too fast.
// On it, all numbers being 4 bytes, big endian:
//
//	request    length, JSON
//	message    where it is signed: pieces of length and bytes, ended by length 0
//	response   length, JSON; length, bytes
//
// Who closes a pair before the end takes the request back.
const (
	maxRequest  = 8 << 20   // bytes: a key to import is up to 1 MiB, escaped
	maxPiece    = 128 << 10 // bytes
	maxResponse = 4 << 20   // bytes: public halves of 8 keys and their pairs
	maxBody     = 80 << 20  // bytes: a clear-signed message
)

// What can be asked for.
const (
	opPing   = "ping"
	opNew    = "new"
	opImport = "import"
	opExport = "export"
	opReseal = "reseal"
	opPublic = "public"
	opRing   = "ring"
	opSign   = "sign"
)

// request is what is asked of the signer or, ring and sign without keys, of a
// relay.
type request struct {
	Op string `json:"op"`

	// new, import, export, reseal, public
	Binding    Binding       `json:"binding,omitzero"`
	Blob       []byte        `json:"blob,omitempty"`
	Name       string        `json:"name,omitempty"`
	Email      string        `json:"email,omitempty"`
	Lifetime   time.Duration `json:"lifetime,omitempty"`
	Text       string        `json:"text,omitempty"`
	Passphrase string        `json:"passphrase,omitempty"`
	Recipient  string        `json:"recipient,omitempty"`

	// ring, sign
	Repository Repository     `json:"repository,omitzero"`
	Keys       []KeyRef       `json:"keys,omitempty"`
	Key        string         `json:"key,omitempty"`
	Scheme     formats.Scheme `json:"scheme,omitempty"`
}

// response is the answer; its body is a signature, a blob, or an export.
type response struct {
	Error   string  `json:"error,omitempty"`
	Sealed  bool    `json:"sealed,omitempty"` // the error is ErrSealed
	Changed bool    `json:"changed,omitempty"`
	Public  *Public `json:"public,omitempty"`
	Halves  []half  `json:"halves,omitempty"`
	Digest  string  `json:"digest,omitempty"` // SHA-256 of the message, in hexadecimal
	Size    int64   `json:"size,omitempty"`   // of the message
}

// half is the public half of a key, or of two that sign together, for a scheme;
// or why there is none.
type half struct {
	Key    string             `json:"key"`
	Scheme formats.Scheme     `json:"scheme"`
	Public *formats.PublicKey `json:"public,omitempty"`
	Error  string             `json:"error,omitempty"`
}

func writeFrame(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readFrame(r io.Reader, most uint32) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > most {
		return nil, fmt.Errorf("a frame of %d bytes: %d are possible", n, most)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows with what comes, not with what is claimed
	if err == nil && len(b) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, b)
}

func readJSON(r io.Reader, most uint32, v any) error {
	b, err := readFrame(r, most)
	if err != nil {
		return err
	}
	if json.Unmarshal(b, v) != nil {
		return errors.New("a frame that can't be read") // json's error may quote it
	}
	return nil
}

// writePieces writes a message in pieces. what tells errors of r from those of w.
func writePieces(w io.Writer, r io.Reader) (sent int64, read, write error) {
	buffer := make([]byte, 4+maxPiece)
	for {
		n, err := r.Read(buffer[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buffer, uint32(n))
			if _, err := w.Write(buffer[:4+n]); err != nil {
				return sent, nil, err
			}
			sent += int64(n)
		}
		if errors.Is(err, io.EOF) {
			_, err := w.Write(make([]byte, 4))
			return sent, nil, err
		}
		if err != nil {
			return sent, err, nil
		}
	}
}

// pieces reads a message. A connection that ends before the message does is
// io.ErrUnexpectedEOF: half a message must never be signed.
type pieces struct {
	r    io.Reader
	left uint32
	end  bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.end {
		return 0, io.EOF
	}
	if p.left == 0 {
		var size [4]byte
		if _, err := io.ReadFull(p.r, size[:]); err != nil {
			return 0, cut(err)
		}
		p.left = binary.BigEndian.Uint32(size[:])
		if p.left > maxPiece {
			return 0, fmt.Errorf("a piece of %d bytes: %d are possible", p.left, maxPiece)
		}
		if p.left == 0 {
			p.end = true
			return 0, io.EOF
		}
	}
	if uint32(len(b)) > p.left {
		b = b[:p.left]
	}
	n, err := p.r.Read(b)
	p.left -= uint32(n)
	return n, cut(err)
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
