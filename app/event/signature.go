package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
)

// CheckSignature tells without the body whether a header can be a signature at all.
func CheckSignature(header string) error {
	_, err := digest(header)
	return err
}

// Verify checks the header X-Hub-Signature-256: "sha256=" and in hex the HMAC-SHA256
// of the body under one of the secrets. There are two while one replaces the other;
// the time taken does not tell which it was. An empty secret is left out, for anybody
// could sign with it. SHA-1, in the header X-Hub-Signature, is not looked at.
func Verify(secrets [][]byte, body []byte, header string) error {
	got, err := digest(header)
	if err != nil {
		return err
	}
	matches, usable := 0, 0
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		usable++
		h := hmac.New(sha256.New, secret)
		h.Write(body)
		matches |= subtle.ConstantTimeCompare(h.Sum(nil), got)
	}
	switch {
	case usable == 0:
		return errors.New("the App has no webhook secret to check signatures with")
	case matches == 0:
		return errors.New("the signature was not made with the App's webhook secret")
	}
	return nil
}

func digest(header string) ([]byte, error) {
	if header == "" {
		return nil, errors.New("the header X-Hub-Signature-256 is missing: give the webhook a secret")
	}
	text, ok := strings.CutPrefix(header, "sha256=")
	b, err := hex.DecodeString(text)
	if !ok || err != nil || len(b) != sha256.Size {
		return nil, errors.New("the header X-Hub-Signature-256 is not sha256= and 64 hex digits")
	}
	return b, nil
}
