package keys

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Certificate is what an OpenPGP certificate says of itself.
type Certificate struct {
	Fingerprint string // upper-case hexadecimal
	User        string
	Created     time.Time
	Expires     time.Time // when nothing in it can sign any more; zero: never
	Revoked     bool
	Algorithm   string // "RSA", "Ed25519", "DSA", "ECDSA", or a number
	Bits        int    // of the weakest key that signs
	WeakHash    bool   // its self-signature is over SHA-1 or worse

	binary []byte
	entity *openpgp.Entity
}

// Ring holds public certificates, each fingerprint once. It does not change and
// may be used concurrently.
type Ring struct{ certs []Certificate }

// OpenRing reads certificates from files, binary or armored. Of two with one
// fingerprint the one that lasts longer stays. at decides what is revoked.
func OpenRing(at time.Time, files ...[]byte) (*Ring, error) {
	r := &Ring{}
	for _, b := range files {
		list, err := readCertificates(b)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			c, err := certificate(e, at)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(r.certs, func(o Certificate) bool { return o.Fingerprint == c.Fingerprint })
			switch {
			case i < 0:
				r.certs = append(r.certs, c)
			case !r.certs[i].Revoked && (c.Revoked || later(c.Expires, r.certs[i].Expires)):
				r.certs[i] = c
			}
		}
	}
	return r, nil
}

// later compares two ends, of which zero is never.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

func certificate(e *openpgp.Entity, at time.Time) (Certificate, error) {
	self, _ := e.PrimarySelfSignature()
	c := Certificate{
		Fingerprint: fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), Created: e.PrimaryKey.CreationTime.UTC(),
		Revoked: e.Revoked(at), WeakHash: weakSelfSignature(e), entity: e,
	}
	if len(e.Identities) > 0 {
		c.User = primaryUser(e)
	}
	type signer struct {
		key *packet.PublicKey
		end time.Time
	}
	var signers []signer
	if self == nil || !self.FlagsValid || self.FlagSign {
		signers = append(signers, signer{e.PrimaryKey, expiry(e.PrimaryKey.CreationTime, self)})
	}
	for _, s := range e.Subkeys {
		if s.Sig != nil && s.Sig.FlagsValid && s.Sig.FlagSign && len(s.Revocations) == 0 {
			signers = append(signers, signer{s.PublicKey, expiry(s.PublicKey.CreationTime, s.Sig)})
		}
	}
	for i, s := range signers {
		if i == 0 || later(s.end, c.Expires) {
			c.Expires = s.end
		}
		bits, err := s.key.BitLength()
		if err == nil && (c.Bits == 0 || int(bits) < c.Bits) {
			c.Bits, c.Algorithm = int(bits), algorithm(s.key)
		}
	}
	if end := expiry(e.PrimaryKey.CreationTime, self); later(c.Expires, end) {
		c.Expires = end
	}
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		return c, fmt.Errorf("certificate %s can't be read: %w", c.Fingerprint, err)
	}
	c.binary = b.Bytes()
	return c, nil
}

func algorithm(k *packet.PublicKey) string {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return "RSA"
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "Ed25519"
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoECDSA:
		return "ECDSA"
	}
	return fmt.Sprint(k.PubKeyAlgo)
}

// Certificates lists what the ring holds.
func (r *Ring) Certificates() []Certificate { return slices.Clone(r.certs) }

// Empty reports whether there is no certificate in the ring.
func (r *Ring) Empty() bool { return len(r.certs) == 0 }

// Only returns the ring of those certificates that keep takes.
func (r *Ring) Only(keep func(Certificate) bool) *Ring {
	return &Ring{slices.DeleteFunc(slices.Clone(r.certs), func(c Certificate) bool { return !keep(c) })}
}

// Signed says who signed, and when that says it was.
type Signed struct {
	Fingerprint string // of the certificate
	At          time.Time
}

// Check is a detached signature that is being checked: the message is written
// into it. It is not for concurrent use.
type Check struct {
	ring   *Ring
	sigs   []*packet.Signature
	hashes []hash.Hash // nil for a signature of a kind that does not count
}

// Check begins to check a detached signature, binary or armored.
func (r *Ring) Check(sig []byte) (*Check, error) {
	sigs, err := readSignatures(sig)
	if err != nil {
		return nil, err
	}
	c := &Check{ring: r, sigs: sigs}
	for _, s := range sigs {
		if s.SigType != packet.SigTypeBinary || !strong(s.Hash) {
			c.hashes = append(c.hashes, nil)
			continue
		}
		c.hashes = append(c.hashes, s.Hash.New())
	}
	return c, nil
}

// Write implements io.Writer. It never fails.
func (c *Check) Write(b []byte) (int, error) {
	for _, h := range c.hashes {
		if h != nil {
			h.Write(b)
		}
	}
	return len(b), nil
}

// Good reports who made the first good signature over what was written. It may be
// called again.
func (c *Check) Good(at time.Time) (Signed, error) {
	var errs []error
	for i, s := range c.sigs {
		list := openpgp.EntityList{}
		by := Signed{At: s.CreationTime.UTC()}
		for _, cert := range c.ring.certs {
			if s.IssuerKeyId == nil {
				continue
			}
			if _, ok := cert.entity.SigningKeyById(s.CreationTime, *s.IssuerKeyId); ok {
				list, by.Fingerprint = openpgp.EntityList{cert.entity}, cert.Fingerprint
				break
			}
		}
		var h hash.Hash
		if c.hashes[i] != nil {
			clone, err := c.hashes[i].(hash.Cloner).Clone()
			if err != nil {
				return Signed{}, err
			}
			h = clone
		}
		if err := good(list, s, h, at); err != nil {
			errs = append(errs, err)
			continue
		}
		return by, nil
	}
	return Signed{}, errors.Join(errs...)
}

// Genuine reports whether a certificate of the ring surely made one of the
// signatures, over whatever text, and when. An RSA signature tells: it opens to a
// sum in its frame (RFC 8017 9.2), which no damaged or made-up number does.
// Signatures by other algorithms say nothing without their text: known is false.
// One that would not count now, whatever its text, is not genuine.
func (c *Check) Genuine(now time.Time) (at time.Time, genuine, known bool) {
	for _, s := range c.sigs {
		if s.IssuerKeyId == nil || s.RSASignature == nil {
			continue
		}
		if s.CreationTime.After(now.Add(tolerance)) || expired(s, now) {
			return s.CreationTime.UTC(), false, true
		}
		for _, cert := range c.ring.certs {
			key, ok := cert.entity.SigningKeyById(s.CreationTime, *s.IssuerKeyId)
			if !ok {
				continue
			}
			pub, ok := key.PublicKey.PublicKey.(*rsa.PublicKey)
			if !ok || cert.entity.Revoked(now) || key.Revoked(now) {
				continue
			}
			known = true
			if opens(pub, s) {
				return s.CreationTime.UTC(), true, true
			}
		}
	}
	if len(c.sigs) > 0 {
		at = c.sigs[0].CreationTime.UTC()
	}
	return at, false, known
}

// opens reports whether an RSA signature has the frame of PKCS #1 v1.5 around a
// sum that begins as the packet says it does.
func opens(pub *rsa.PublicKey, s *packet.Signature) bool {
	n := new(big.Int).SetBytes(s.RSASignature.Bytes())
	if n.Cmp(pub.N) >= 0 || !strong(s.Hash) {
		return false
	}
	frame := n.Exp(n, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
	sum := len(frame) - s.Hash.Size()
	split := bytes.IndexByte(frame[min(2, len(frame)):], 0) + 2
	return sum > split && split > 10 && frame[0] == 0 && frame[1] == 1 &&
		len(bytes.Trim(frame[2:split], "\xff")) == 0 && bytes.Equal(frame[sum:sum+2], s.HashTag[:])
}

// Clear checks a clear-signed message as VerifyClear does, and tells who signed.
func (r *Ring) Clear(message []byte, at time.Time) (text []byte, by Signed, err error) {
	var errs []error
	for _, c := range r.certs {
		text, err := VerifyClear(c.binary, message, at)
		if err == nil {
			return text, Signed{Fingerprint: c.Fingerprint}, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, by, errors.New("there is no OpenPGP certificate to check with")
	}
	// What is wrong with the text says more than that others did not sign it.
	slices.SortStableFunc(errs, func(a, b error) int {
		return cmp.Compare(strings.Count(a.Error(), "not trusted here"), strings.Count(b.Error(), "not trusted here"))
	})
	return nil, by, errs[0]
}

// ClearText returns the text of a clear-signed message without checking it.
func ClearText(message []byte) ([]byte, error) {
	block, _ := clearsign.Decode(message)
	if block == nil {
		return nil, errors.New("it is not a clear-signed message")
	}
	return block.Plaintext, nil
}

// RSAKey is a public key that apk checks with.
type RSAKey struct {
	ID   string // as people compare it: formats.PublicKey.ID
	Bits int
	key  *rsa.PublicKey
}

// OpenRSA reads a PEM file with an RSA public key.
func OpenRSA(file []byte) (*RSAKey, error) {
	block, _ := pem.Decode(file)
	if block == nil {
		return nil, errors.New("it is not a PEM file")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		pub, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	key, ok := pub.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("it is not an RSA public key")
	}
	return &RSAKey{rsaID(key), key.N.BitLen(), key}, nil
}

// Verify checks an RSA PKCS #1 v1.5 signature over a sum by h.
func (k *RSAKey) Verify(h crypto.Hash, sum, sig []byte) error {
	if err := rsa.VerifyPKCS1v15(k.key, h, sum, sig); err != nil {
		return fmt.Errorf("the signature by RSA key %s is wrong: the text was changed", k.ID)
	}
	return nil
}

// UsignKey is a public key that opkg checks with.
type UsignKey struct {
	ID  string // its number in lower-case hexadecimal
	key ed25519.PublicKey
}

// OpenUsign reads a public key file of usign or signify.
func OpenUsign(file []byte) (*UsignKey, error) {
	id, body, err := openUsign(file, ed25519.PublicKeySize)
	if err != nil {
		return nil, fmt.Errorf("it is not a usign public key: %w", err)
	}
	return &UsignKey{id, body}, nil
}

// UsignSigner returns the number of the key that made a signature file.
func UsignSigner(sig []byte) (id string, err error) {
	id, _, err = openUsign(sig, ed25519.SignatureSize)
	return id, err
}

// Verify checks a signature file of usign or signify over message.
func (k *UsignKey) Verify(message, sig []byte) error {
	id, body, err := openUsign(sig, ed25519.SignatureSize)
	switch {
	case err != nil:
		return fmt.Errorf("it is not a usign signature: %w", err)
	case id != k.ID:
		return fmt.Errorf("it is signed by usign key %s, not by %s", id, k.ID)
	case !ed25519.Verify(k.key, message, body):
		return fmt.Errorf("the signature by usign key %s is wrong: the text was changed", k.ID)
	}
	return nil
}

// openUsign takes apart what usignFile made, with a body of size bytes.
func openUsign(file []byte, size int) (id string, body []byte, err error) {
	if len(file) > maxSignature {
		return "", nil, fmt.Errorf("it is longer than %d bytes", maxSignature)
	}
	comment, rest, ok := strings.Cut(string(file), "\n")
	if !ok || !strings.HasPrefix(comment, usignComment) {
		return "", nil, fmt.Errorf("it does not begin with %q", usignComment)
	}
	line, _, _ := strings.Cut(rest, "\n")
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil || len(b) != 10+size || string(b[:2]) != "Ed" {
		return "", nil, fmt.Errorf("its second line is not the base64 of %d bytes of Ed25519", 10+size)
	}
	return fmt.Sprintf("%x", b[2:10]), b[10:], nil
}

var _ io.Writer = (*Check)(nil)
