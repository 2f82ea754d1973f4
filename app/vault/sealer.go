package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"filippo.io/age"
)

// Sealer seals and opens with the identities of one file. It does not change and
// may be used concurrently. It prints as "[secret]".
type Sealer struct {
	file string
	all  []identity // the first seals
}

// OpenSealer reads an identity file; where there is none it makes one, with mode
// 0600. A file that others may read is refused.
func OpenSealer(file string) (*Sealer, error) {
	all, err := readIdentities(file)
	if err != nil {
		return nil, err
	}
	return &Sealer{file, all}, nil
}

// Format prints "[secret]" for every verb.
func (s *Sealer) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// Recipient is the public half of the identity that seals, "age1…": to see which
// one it is. Nothing can be sealed with it alone that Open takes.
func (s *Sealer) Recipient() string { return s.all[0].key.Recipient().String() }

const (
	magic    = "dpv1"
	maxPlain = 1 << 20 // of a sealed secret, in bytes
	maxBlob  = maxPlain + 64<<10
)

// Seal seals a secret of at most 1 MiB for the row b.
func (s *Sealer) Seal(b Binding, secret []byte) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if len(secret) > maxPlain {
		return nil, fmt.Errorf("%s: it has %d bytes; %d can be sealed", b, len(secret), maxPlain)
	}
	to := s.all[0]
	header, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	head = append(head, header...)

	var out bytes.Buffer
	out.WriteString(magic)
	out.Write(to.id[:])
	w, err := age.Encrypt(&out, to.key.Recipient())
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{head, to.sum(head, secret), secret} {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// sum authenticates head, whose length head itself says, and secret.
func (i identity) sum(head, secret []byte) []byte {
	h := hmac.New(sha256.New, i.mac)
	h.Write(head)
	h.Write(secret)
	return h.Sum(nil)
}

// Open returns the secret that was sealed for the row b. Its errors are
// ErrSealed.
func (s *Sealer) Open(b Binding, blob []byte) ([]byte, error) {
	secret, _, err := s.open(b, blob)
	return secret, err
}

// open says besides which identity had sealed: 0 seals now.
func (s *Sealer) open(want Binding, blob []byte) (secret []byte, with int, err error) {
	bad := func(why string) ([]byte, int, error) {
		return nil, 0, fmt.Errorf("%s: %w: %s", want, ErrSealed, why)
	}
	if err := want.check(); err != nil {
		return bad(err.Error())
	}
	if len(blob) > maxBlob || len(blob) < len(magic)+8 || string(blob[:len(magic)]) != magic {
		return bad("it is no sealed record")
	}
	id, file := blob[len(magic):len(magic)+8], blob[len(magic)+8:]
	with = -1
	for i := range s.all {
		if bytes.Equal(s.all[i].id[:], id) {
			with = i
		}
	}
	if with < 0 {
		return bad(fmt.Sprintf("it was sealed with identity %x, which is not in %s: put that line back from a backup", id, s.file))
	}
	from := s.all[with]
	r, err := age.Decrypt(bytes.NewReader(file), from.key)
	if err != nil {
		return bad("it is damaged")
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxBlob))
	if err != nil || len(plain) < 4 {
		return bad("it is damaged")
	}
	n := int64(binary.BigEndian.Uint32(plain))
	if int64(len(plain)) < 4+n+sha256.Size {
		return bad("it is damaged")
	}
	head, rest := plain[:4+n], plain[4+n:]
	sum, secret := rest[:sha256.Size], rest[sha256.Size:]
	if !hmac.Equal(sum, from.sum(head, secret)) {
		return bad("it was made by someone who does not have the identity")
	}
	var got Binding
	if err := json.Unmarshal(head[4:], &got); err != nil {
		return bad("it is damaged")
	}
	if got != want {
		return bad(fmt.Sprintf("it belongs to %s", got))
	}
	return secret, with, nil
}

// Reseal seals again what an older identity sealed. changed is false, and out is
// blob, where the newest one did.
func (s *Sealer) Reseal(b Binding, blob []byte) (out []byte, changed bool, err error) {
	secret, with, err := s.open(b, blob)
	if err != nil || with == 0 {
		return blob, false, err
	}
	out, err = s.Seal(b, secret)
	return out, err == nil, err
}
