package vault

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"

	"github.com/distropack/distropack/pipeline/keys"
)

// keyOnly refuses what is no signing key.
func keyOnly(b Binding) error {
	if b.Kind != KindKey {
		return fmt.Errorf("%s: the signer has to do with signing keys only", b)
	}
	return nil
}

// open opens a sealed key and tries it.
func (s *signer) open(b Binding, blob []byte) (*keys.Key, error) {
	if err := keyOnly(b); err != nil {
		return nil, err
	}
	text, err := s.Sealer.Open(b, blob)
	if err != nil {
		return nil, err
	}
	k, err := keys.Import(keys.NewSecret(string(text)), keys.ImportOptions{Now: s.Now()})
	clear(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b, err)
	}
	return k, nil
}

// DefaultLifetime is that of keys the signer makes where nobody says another.
const DefaultLifetime = 5 * 365 * 24 * time.Hour

func (s *signer) make(q *request) (*response, []byte, error) {
	if err := keyOnly(q.Binding); err != nil {
		return nil, nil, err
	}
	k, err := keys.New(q.Name, q.Email, s.Now(), nil, keys.NewOptions{Expires: cmp.Or(q.Lifetime, DefaultLifetime)})
	if err != nil {
		return nil, nil, err
	}
	return s.sealed(q.Binding, k)
}

func (s *signer) sealed(b Binding, k *keys.Key) (*response, []byte, error) {
	blob, err := s.Sealer.Seal(b, []byte(k.Bundle().Reveal()))
	if err != nil {
		return nil, nil, err
	}
	return &response{Public: publicOf(k, s.Now())}, blob, nil
}

// take imports a key that a user has: what keys.Import reads, but for file names,
// and what export wrote for a passphrase.
func (s *signer) take(q *request) (*response, []byte, error) {
	if err := keyOnly(q.Binding); err != nil {
		return nil, nil, err
	}
	text, pass := q.Text, keys.NewSecret(q.Passphrase)
	if bytes.HasPrefix(bytes.TrimSpace([]byte(text)), []byte(agearmor.Header)) {
		plain, err := decryptBackup(text, q.Passphrase)
		if err != nil {
			return nil, nil, err
		}
		text, pass = plain, keys.Secret{}
	}
	k, err := keys.Import(keys.NewSecret(noFileName(text)), keys.ImportOptions{Now: s.Now(), Passphrase: pass})
	if err != nil {
		return nil, nil, err
	}
	return s.sealed(q.Binding, k)
}

// noFileName breaks text in two lines where keys.Import could take it for the name
// of a file: who may import a key must not have the signer read its own files.
// Base64, the only key on one line, may be broken anywhere.
func noFileName(text string) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	if strings.Contains(text, "\n") {
		return text
	}
	return text[:len(text)/2] + "\n" + text[len(text)/2:]
}

// minPassphrase is what guessing takes too long for, with scrypt, in bytes.
const minPassphrase = 12

// export encrypts a key for whom its owner says.
func (s *signer) export(q *request) ([]byte, error) {
	k, err := s.keys.key(q.Binding, q.Blob)
	if err != nil {
		return nil, err
	}
	var to age.Recipient
	switch {
	case q.Recipient != "" && q.Passphrase != "":
		return nil, errors.New("export to a recipient or for a passphrase, not both")
	case q.Recipient != "":
		to, err = age.ParseX25519Recipient(q.Recipient)
		if err != nil {
			return nil, errors.New("the recipient is none of age's: age-keygen prints one that begins with age1")
		}
	case len(q.Passphrase) < minPassphrase:
		return nil, fmt.Errorf("the passphrase is shorter than %d characters", minPassphrase)
	default:
		to, err = age.NewScryptRecipient(q.Passphrase)
		if err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	armor := agearmor.NewWriter(&b)
	w, err := age.Encrypt(armor, to)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, k.Bundle().Reveal()); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armor.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func decryptBackup(text, passphrase string) (string, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return "", errors.New("the backup is encrypted; give its passphrase")
	}
	id.SetMaxWorkFactor(20) // a second or four; a file could ask for years
	r, err := age.Decrypt(agearmor.NewReader(bytes.NewReader(bytes.TrimSpace([]byte(text)))), id)
	if err != nil {
		return "", errors.New("the passphrase does not open the backup; one for a recipient must be opened first: age -d -i identity.txt backup.age")
	}
	b, err := io.ReadAll(io.LimitReader(r, maxPlain))
	if err != nil {
		return "", errors.New("the backup is damaged")
	}
	return string(b), nil
}
