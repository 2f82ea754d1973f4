package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const usignComment = "untrusted comment:"

// usignKey is an Ed25519 key with the number usign and signify know it by.
type usignKey struct {
	number  [8]byte
	private ed25519.PrivateKey
}

// newUsign makes a key from 32 bytes of seed. Its number follows from the public
// key, so that it is the same wherever the seed is.
func newUsign(seed []byte) *usignKey {
	k := &usignKey{private: ed25519.NewKeyFromSeed(seed)}
	sum := sha256.Sum256(k.private.Public().(ed25519.PublicKey))
	copy(k.number[:], sum[:])
	return k
}

func (k *usignKey) id() string { return fmt.Sprintf("%x", k.number) }

// The secret key file: "Ed", the key derivation "BK" and its rounds (0: the key
// is plain), a salt, the first 8 bytes of the key's SHA-512, the key number, the
// key as seed and public key.
const (
	usignSecretLen = 2 + 2 + 4 + 16 + 8 + 8 + 64
	usignRounds    = 4
	usignSum       = 24
	usignNumber    = 32
	usignSeed      = 40
)

func (k *usignKey) secretFile() []byte {
	b := make([]byte, usignSecretLen)
	copy(b, "EdBK")
	sum := sha512.Sum512(k.private)
	copy(b[usignSum:], sum[:8])
	copy(b[usignNumber:], k.number[:])
	copy(b[usignSeed:], k.private)
	return usignFile("secret key "+k.id(), b)
}

func (k *usignKey) publicFile() []byte {
	return usignFile("public key "+k.id(), bytes.Join([][]byte{[]byte("Ed"), k.number[:], k.private.Public().(ed25519.PublicKey)}, nil))
}

// sign returns the signature file of message. Ed25519 reads the message twice,
// so it must be in memory.
func (k *usignKey) sign(message []byte) []byte {
	sig := ed25519.Sign(k.private, message)
	return usignFile("signed by key "+k.id(), bytes.Join([][]byte{[]byte("Ed"), k.number[:], sig}, nil))
}

func usignFile(comment string, body []byte) []byte {
	return fmt.Appendf(nil, "%s %s\n%s\n", usignComment, comment, base64.StdEncoding.EncodeToString(body))
}

// findUsign reads the secret key file that stands in text; nil if none does.
func findUsign(text string) (*usignKey, error) {
	var found *usignKey
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, usignComment) {
			continue
		}
		if found != nil {
			return nil, errors.New("there are two usign keys in it; keep one")
		}
		if i+1 == len(lines) {
			return nil, errors.New("the usign key has no second line")
		}
		k, err := parseUsign(strings.TrimSpace(lines[i+1]))
		if err != nil {
			return nil, err
		}
		found = k
	}
	return found, nil
}

func parseUsign(line string) (*usignKey, error) {
	b, err := base64.StdEncoding.DecodeString(line)
	switch {
	case err != nil:
		return nil, errors.New("the usign key is not base64")
	case len(b) == 42 && string(b[:2]) == "Ed":
		return nil, errors.New("the usign key is a public key; the secret one is needed to sign")
	case len(b) != usignSecretLen || string(b[:4]) != "EdBK":
		return nil, errors.New("the usign key is not an Ed25519 secret key file")
	case !bytes.Equal(b[usignRounds:usignRounds+4], make([]byte, 4)):
		return nil, errors.New("the usign key is encrypted; make it without a passphrase: signify -G -n")
	}
	sum := sha512.Sum512(b[usignSeed:])
	if !bytes.Equal(sum[:8], b[usignSum:usignNumber]) {
		return nil, errors.New("the usign key is damaged: its checksum is wrong")
	}
	k := &usignKey{private: ed25519.NewKeyFromSeed(b[usignSeed : usignSeed+32])}
	if !bytes.Equal(k.private, b[usignSeed:]) {
		return nil, errors.New("the usign key is damaged: its halves do not belong together")
	}
	copy(k.number[:], b[usignNumber:])
	return k, nil
}
