// Package keys makes, reads and uses signing keys. It is the only user of
// go-crypto.
//
// A key has up to three parts, one for each kind of client:
//
//	OpenPGP   apt, dnf, zypper, pacman, and opkg as Yocto builds it
//	RSA       apk: PKCS #1 v1.5 over SHA-256
//	Ed25519   opkg as OpenWrt builds it: usign, signify(1)'s format
//
// # The bundle
//
// What a maintainer keeps (DISTROPACK_KEY) is one text of armored blocks, in any
// order. Other lines, such as those that start with "#", are not read.
//
//	-----BEGIN PGP PRIVATE KEY BLOCK-----   as gpg --export-secret-keys --armor
//	-----BEGIN PRIVATE KEY-----             PKCS #8; "RSA PRIVATE KEY" is read too
//	untrusted comment: …                    the secret key file of usign or of
//	<base64>                                signify -n: 104 bytes
//
// gpg and openssl each find their own block in it. Base64 of the whole text on
// one line is the same key, for places that take one line.
//
// # One OpenPGP key is enough
//
// Where parts are missing they are derived from the OpenPGP key that signs, the
// same way for ever:
//
//   - RSA: the OpenPGP key's own numbers, where it is an RSA key. The two uses
//     can't be confused: OpenPGP signs SHA-512 sums here, apk SHA-256 sums.
//   - Ed25519: the seed is HKDF-SHA256 without salt, with the info
//     "distropack usign ed25519 v1". Its input is p||q, the smaller prime first,
//     for RSA, and the 32 bytes of the seed for Ed25519. The key number is the
//     first 8 bytes of the SHA-256 of the public key.
//
// A part that the text brings is never replaced.
//
// # What is refused
//
// Public keys, encrypted keys without their passphrase, expired and revoked keys,
// RSA below 2048 bits, DSA, and ECDSA, whose signatures differ from one time to
// the next. Every part signs something and checks it before the key is taken.
//
// Nothing here reads a clock; signatures are made of the same bytes every time.
package keys

import (
	"crypto/rsa"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is a private key in its parts. It does not change and may be used
// concurrently. It prints as "[secret]".
type Key struct {
	entity  *openpgp.Entity // nil where there is no OpenPGP part
	secret  []byte          // its packets, decrypted
	public  []byte          // its certificate
	signing *packet.PrivateKey
	rsa     *rsa.PrivateKey // nil where there is none
	usign   *usignKey       // nil where there is none
}

// Format prints "[secret]" for every verb.
func (k *Key) Format(f fmt.State, _ rune) { f.Write([]byte(hidden)) }

// Fingerprint is that of the OpenPGP certificate in upper-case hexadecimal; ""
// where there is none.
func (k *Key) Fingerprint() string {
	if k.entity == nil {
		return ""
	}
	return fmt.Sprintf("%X", k.entity.PrimaryKey.Fingerprint)
}

// User is the OpenPGP certificate's user ID; "" where there is none.
func (k *Key) User() string {
	if k.entity == nil {
		return ""
	}
	return primaryUser(k.entity)
}

// Expires says when the OpenPGP key ends; the zero Time is never. A subkey that
// signs may end before the certificate does.
func (k *Key) Expires() time.Time {
	if k.entity == nil {
		return time.Time{}
	}
	self, _ := k.entity.PrimarySelfSignature()
	end := expiry(k.entity.PrimaryKey.CreationTime, self)
	for _, sub := range k.entity.Subkeys {
		if sub.PublicKey.KeyId != k.signing.KeyId {
			continue
		}
		if e := expiry(sub.PublicKey.CreationTime, sub.Sig); !e.IsZero() && (end.IsZero() || e.Before(end)) {
			end = e
		}
	}
	return end
}

func expiry(created time.Time, sig *packet.Signature) time.Time {
	if sig == nil || sig.KeyLifetimeSecs == nil || *sig.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return created.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second).UTC()
}

// Schemes says in words what the key can and can't sign, for people.
func (k *Key) Schemes() string {
	var have []string
	for _, part := range []struct {
		there bool
		word  string
	}{{k.entity != nil, "OpenPGP"}, {k.rsa != nil, "RSA (apk)"}, {k.usign != nil, "usign (opkg)"}} {
		if part.there {
			have = append(have, part.word)
		}
	}
	return strings.Join(have, ", ")
}
