package keys

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/distropack/distropack/formats"
)

// tolerance is how far a signature may be ahead of the checker's clock; sqv has
// the same.
const tolerance = 30 * time.Minute

// maxSignature bounds what is read as a signature or certificate.
const maxSignature = 1 << 20

// Verify checks a detached OpenPGP signature, binary or armored, over message by
// one of the certificates in public (binary, or armored in one or more blocks).
// One good signature is enough where there are several. The key must have been
// alive when it signed; at bounds signatures from the future.
func Verify(public []byte, message io.Reader, sig []byte, at time.Time) error {
	ring, err := readCertificates(public)
	if err != nil {
		return err
	}
	sigs, err := readSignatures(sig)
	if err != nil {
		return err
	}
	var hashes []hash.Hash
	var all []io.Writer
	for _, s := range sigs {
		if s.SigType != packet.SigTypeBinary || !strong(s.Hash) {
			hashes = append(hashes, nil)
			continue
		}
		h := s.Hash.New()
		hashes = append(hashes, h)
		all = append(all, h)
	}
	if _, err := io.Copy(io.MultiWriter(all...), message); err != nil {
		return err
	}
	return anyGood(ring, sigs, hashes, at)
}

// VerifyClear checks a clear-signed message as Verify does and returns its text.
// Only the message may stand in the file: text before or after it was not signed.
func VerifyClear(public, message []byte, at time.Time) (text []byte, err error) {
	ring, err := readCertificates(public)
	if err != nil {
		return nil, err
	}
	block, rest := clearsign.Decode(message)
	if block == nil {
		return nil, errors.New("it is not a clear-signed message")
	}
	if !bytes.HasPrefix(message, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("there is text outside the signed message")
	}
	raw, err := io.ReadAll(io.LimitReader(block.ArmoredSignature.Body, maxSignature))
	if err != nil {
		return nil, errors.New("the signature's armor is damaged")
	}
	sigs, err := readSignatures(raw)
	if err != nil {
		return nil, err
	}
	var hashes []hash.Hash
	for _, s := range sigs {
		if s.SigType != packet.SigTypeText || !strong(s.Hash) {
			hashes = append(hashes, nil)
			continue
		}
		h := s.Hash.New()
		h.Write(block.Bytes)
		hashes = append(hashes, h)
	}
	if err := anyGood(ring, sigs, hashes, at); err != nil {
		return nil, err
	}
	return block.Plaintext, nil
}

// Verifier returns a function that checks detached signatures against the
// certificates of key: for the signed state of a tree.
func (r *Keyring) Verifier(key string, at time.Time) (func(message, signature []byte) error, error) {
	pub, err := r.Public(key, formats.OpenPGP)
	if err != nil {
		return nil, err
	}
	return func(message, signature []byte) error {
		return Verify(pub.Binary, bytes.NewReader(message), signature, at)
	}, nil
}

// strong reports whether clients still trust the hash.
func strong(h crypto.Hash) bool {
	return h == crypto.SHA256 || h == crypto.SHA384 || h == crypto.SHA512
}

// anyGood returns nil if one of the signatures is good; hashes holds for each the
// sum of the message, nil where the signature is of a kind that does not count.
func anyGood(ring openpgp.EntityList, sigs []*packet.Signature, hashes []hash.Hash, at time.Time) error {
	var errs []error
	for i, s := range sigs {
		if err := good(ring, s, hashes[i], at); err != nil {
			errs = append(errs, err)
			continue
		}
		return nil
	}
	return errors.Join(errs...)
}

func good(ring openpgp.EntityList, s *packet.Signature, h hash.Hash, at time.Time) error {
	if h == nil {
		return errors.New("the signature is of a kind or hash that is not accepted")
	}
	if s.IssuerKeyId == nil {
		return errors.New("the signature does not name its key")
	}
	id := *s.IssuerKeyId
	for _, e := range ring {
		for _, key := range (openpgp.EntityList{e}).KeysById(id) {
			if e.Revoked(at) || key.Revoked(at) {
				return fmt.Errorf("key %016X is revoked", id)
			}
		}
		key, ok := e.SigningKeyById(s.CreationTime, id) // not ok where the key is the younger
		if !ok || key.PublicKey.KeyId != id {
			continue
		}
		switch {
		case s.CreationTime.After(at.Add(tolerance)):
			return fmt.Errorf("the signature by key %016X is from the future: %s, now it is %s", id, s.CreationTime.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
		case expired(s, at):
			return fmt.Errorf("the signature by key %016X has expired", id)
		}
		if err := key.PublicKey.VerifySignature(h, s); err != nil {
			return fmt.Errorf("the signature by key %016X is wrong: the text was changed", id)
		}
		return nil
	}
	return fmt.Errorf("it is signed by key %016X, which is not trusted here or could not sign then", id)
}

// expired reports whether a signature's own end has come. go-crypto takes one from
// the future for expired, too; how far ahead it may be is tolerance's business.
func expired(s *packet.Signature, at time.Time) bool {
	if at.Before(s.CreationTime) {
		at = s.CreationTime
	}
	return s.SigExpired(at)
}

// readCertificates reads binary certificates, or every armored block of a file.
func readCertificates(b []byte) (openpgp.EntityList, error) {
	if len(b) > maxSignature {
		return nil, fmt.Errorf("the certificates are longer than %d bytes", maxSignature)
	}
	if len(b) > 0 && b[0]&0x80 != 0 {
		return readKeys(bytes.NewReader(b))
	}
	var ring openpgp.EntityList
	begin := []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")
	for {
		i := bytes.Index(b, begin)
		if i < 0 {
			break
		}
		part := b[i:]
		b = part[len(begin):]
		block, err := armor.Decode(bytes.NewReader(part))
		if err != nil {
			return nil, fmt.Errorf("the certificate's armor is damaged: %w", err)
		}
		list, err := readKeys(block.Body)
		if err != nil {
			return nil, fmt.Errorf("the certificate can't be read: %w", err)
		}
		ring = append(ring, list...)
	}
	if len(ring) == 0 {
		return nil, errors.New("there is no OpenPGP certificate to check with")
	}
	return ring, nil
}

// readSignatures reads up to 16 signature packets, binary or armored.
func readSignatures(b []byte) ([]*packet.Signature, error) {
	if len(b) > maxSignature {
		return nil, fmt.Errorf("the signature is longer than %d bytes", maxSignature)
	}
	if bytes.HasPrefix(b, []byte("-----BEGIN")) {
		block, err := armor.Decode(bytes.NewReader(b))
		if err != nil || block.Type != "PGP SIGNATURE" {
			return nil, errors.New("it is not an OpenPGP signature")
		}
		if b, err = io.ReadAll(block.Body); err != nil {
			return nil, errors.New("the signature's armor is damaged")
		}
	}
	var sigs []*packet.Signature
	for r := packet.NewReader(bytes.NewReader(b)); ; {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		sig, ok := p.(*packet.Signature)
		if err != nil || !ok {
			return nil, errors.New("it is not an OpenPGP signature")
		}
		if sigs = append(sigs, sig); len(sigs) > 16 {
			return nil, errors.New("there are more than 16 signatures")
		}
	}
	if len(sigs) == 0 {
		return nil, errors.New("there is no signature")
	}
	return sigs, nil
}
