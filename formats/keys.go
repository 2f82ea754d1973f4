package formats

import (
	"context"
	"io"
)

// Scheme names a way to sign.
type Scheme string

const (
	// OpenPGP is a detached binary signature, RFC 9580 5.2, of type binary
	// document.
	OpenPGP Scheme = "openpgp"
	// OpenPGPArmor is the same, ASCII-armored.
	OpenPGPArmor Scheme = "openpgp-armor"
	// OpenPGPClear is a whole clear-signed message, RFC 9580 7.
	OpenPGPClear Scheme = "openpgp-clear"
	// RSA256 is PKCS #1 v1.5 over SHA-256, as "openssl dgst -sha256 -sign"
	// makes it: apk's .SIGN.RSA256.
	RSA256 Scheme = "rsa256"
	// Usign is OpenWrt's usign, signify(1)'s file format with Ed25519.
	Usign Scheme = "usign"
)

// Signer signs what r holds, until its end. It may be called concurrently, and
// returns the same signature for the same bytes.
type Signer func(ctx context.Context, r io.Reader) ([]byte, error)

// Keys opens signing keys by the name the configuration gives them.
type Keys interface {
	// Signer fails where the key is missing or can't sign by s.
	Signer(key string, s Scheme) (Signer, error)
	// Public returns what clients check signatures by s with.
	Public(key string, s Scheme) (*PublicKey, error)
}

// PublicKey is the public half as a client of one scheme wants it.
type PublicKey struct {
	// Name is the file name the client knows the key by, where the scheme ties
	// signatures to it: "hello-1a2b3c4d.rsa.pub" for RSA256, the lower-case hex
	// fingerprint for Usign. For OpenPGP it is "<name>.asc".
	Name string
	// ID is what people compare: OpenPGP's v4 fingerprint in upper-case hex,
	// usign's key number in lower-case hex, the first 8 bytes of the SHA-256 of
	// an RSA key's SubjectPublicKeyInfo.
	ID string
	// Data is the file: armored certificate, PEM, or usign public key.
	Data []byte
	// Binary is the OpenPGP certificate without armor; nil for other schemes.
	Binary []byte
}
