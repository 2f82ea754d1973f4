package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	ed25519pgp "github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"

	"github.com/distropack/distropack/formats"
)

// minRSA is what every client accepts today; goodRSA is what they will accept
// after 2030-02-01.
const (
	minRSA  = 2048
	goodRSA = 3072
)

// ImportOptions is what reading a key needs besides its text.
type ImportOptions struct {
	Now        time.Time // whether a key has expired is asked of this time
	Passphrase Secret    // of the OpenPGP key
}

// Import reads a key: a bundle, an armored OpenPGP key alone, a PEM or usign file
// alone, base64 of any of these, or the name of a file that holds one. Missing
// parts are derived as the package comment says. The key has signed and the
// signatures were checked before it is returned. No error holds any of the text.
func Import(text Secret, o ImportOptions) (*Key, error) {
	p, err := readParts(text.Reveal())
	if err != nil {
		return nil, err
	}
	k := &Key{rsa: sorted(p.rsa), usign: p.usign}
	if p.openpgp != nil {
		if err := k.openEntity(p.openpgp, o.Passphrase, o.Now); err != nil {
			return nil, err
		}
		if err := k.derive(); err != nil {
			return nil, err
		}
	}
	if k.rsa != nil && k.rsa.N.BitLen() < minRSA {
		return nil, fmt.Errorf("the RSA key has %d bits; clients refuse less than %d, make 4096", k.rsa.N.BitLen(), minRSA)
	}
	return k, k.try(o.Now)
}

const usignInfo = "distropack usign ed25519 v1"

// derive fills the parts that are missing from the OpenPGP key.
func (k *Key) derive() error {
	var material []byte
	switch priv := k.signing.PrivateKey.(type) {
	case *rsa.PrivateKey:
		priv = sorted(priv) // of two primes: OpenPGP has room for no more
		if k.rsa == nil {
			k.rsa = priv
		}
		material = append(priv.Primes[0].Bytes(), priv.Primes[1].Bytes()...)
	case *eddsa.PrivateKey:
		material = seed32(priv.MarshalByteSecret())
	case *ed25519pgp.PrivateKey:
		material = priv.Seed()
	default:
		return fmt.Errorf("OpenPGP key %s is of a kind nothing can be derived from", k.Fingerprint())
	}
	if k.usign == nil {
		seed, err := hkdf.Key(sha256.New, material, nil, usignInfo, ed25519.SeedSize)
		if err != nil {
			return err
		}
		k.usign = newUsign(seed)
	}
	return nil
}

// sorted returns the key with its primes in ascending order: OpenPGP and PKCS
// know either, and one key is to be written as one text.
func sorted(priv *rsa.PrivateKey) *rsa.PrivateKey {
	if priv == nil || len(priv.Primes) != 2 {
		return priv
	}
	s := &rsa.PrivateKey{PublicKey: priv.PublicKey, D: priv.D, Primes: slices.Clone(priv.Primes)}
	slices.SortFunc(s.Primes, (*big.Int).Cmp)
	s.Precompute()
	return s
}

// try signs with every part and checks the result.
func (k *Key) try(now time.Time) error {
	message := []byte("DistroPack tries a key before it takes it\n")
	ctx, ring := context.Background(), &Keyring{keys: map[string]*Key{"main": k}, at: now}
	if k.entity != nil {
		sign, err := ring.Signer("main", formats.OpenPGP)
		if err != nil {
			return err
		}
		sig, err := sign(ctx, bytes.NewReader(message))
		if err == nil {
			err = Verify(k.public, bytes.NewReader(message), sig, now)
		}
		if err != nil {
			return fmt.Errorf("OpenPGP key %s does not sign: %w", k.Fingerprint(), err)
		}
	}
	if k.rsa != nil {
		sum := sha256.Sum256(message)
		sig, err := rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, sum[:])
		if err == nil {
			err = rsa.VerifyPKCS1v15(&k.rsa.PublicKey, crypto.SHA256, sum[:], sig)
		}
		if err != nil {
			return fmt.Errorf("the RSA key does not sign: %w", err)
		}
	}
	if k.usign != nil && !ed25519.Verify(k.usign.private.Public().(ed25519.PublicKey), message, ed25519.Sign(k.usign.private, message)) {
		return errors.New("the usign key does not sign")
	}
	return nil
}

// Warnings lists what will stop the key from working for some client, and when.
// The key signs nevertheless.
func (k *Key) Warnings(now time.Time) []string {
	var w []string
	if k.entity == nil {
		w = append(w, "there is no OpenPGP key: apt, dnf, zypper and pacman repositories can't be signed")
	} else {
		bits, _ := k.signing.BitLength()
		_, isRSA := k.signing.PrivateKey.(*rsa.PrivateKey)
		switch {
		case isRSA && bits < goodRSA:
			w = append(w, fmt.Sprintf("RSA with %d bits: Debian 13 and later refuse it from 2030-02-01; 4096 is right", bits))
		case !isRSA:
			w = append(w, "Ed25519: RHEL, Alma and Rocky up to 9 can't check it; RSA with 4096 bits is right for rpm")
		}
		if weakSelfSignature(k.entity) {
			w = append(w, "the certificate is signed with SHA-1: Debian 13 and later refuse it; renew it: gpg --cert-digest-algo SHA512 --quick-set-expire <fingerprint> 5y")
		}
		if end := k.Expires(); !end.IsZero() && end.Before(now.AddDate(0, 0, 90)) {
			w = append(w, fmt.Sprintf("it expires on %s: extend it and publish again before that, clients need the new certificate", stamp(end)))
		}
	}
	if k.rsa == nil {
		w = append(w, "there is no RSA key: apk repositories can't be signed")
	}
	return w
}

// rsaID is what people compare of an RSA key: the first 8 bytes of the SHA-256 of
// its SubjectPublicKeyInfo.
func rsaID(pub *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic("an RSA key can always be written: " + err.Error())
	}
	sum := sha256.Sum256(der)
	return fmt.Sprintf("%x", sum[:8])
}
