package keys

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

var errPublicOnly = errors.New("it is a public key only; the private one is needed to sign: gpg --export-secret-keys --armor <fingerprint>")

// openEntity reads the one OpenPGP key in raw, decrypts it where need be, and
// chooses what signs: the newest subkey that may, else the primary key.
func (k *Key) openEntity(raw []byte, passphrase Secret, now time.Time) error {
	list, err := readKeys(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("the OpenPGP key can't be read: %w", err)
	}
	if len(list) != 1 {
		return fmt.Errorf("there are %d OpenPGP keys in it; export one: gpg --export-secret-keys --armor <fingerprint>", len(list))
	}
	e := list[0]
	if e.PrivateKey == nil {
		return errPublicOnly
	}
	if e.PrimaryKey.Version != 4 {
		return fmt.Errorf("the OpenPGP key is of version %d; clients read version 4", e.PrimaryKey.Version)
	}
	if err := decrypt(e, passphrase); err != nil {
		return err
	}
	if err := alive(e, now); err != nil {
		return err
	}
	key, ok := e.SigningKey(now)
	switch {
	case !ok:
		return fmt.Errorf("OpenPGP key %X can't sign: neither the key nor a subkey that is alive has the sign flag", e.PrimaryKey.Fingerprint)
	case key.PrivateKey == nil || key.PrivateKey.Dummy():
		return fmt.Errorf("OpenPGP key %X: the private half of the key that signs, %X, is not in it", e.PrimaryKey.Fingerprint, key.PublicKey.Fingerprint)
	}
	if err := checkStrength(key.PublicKey); err != nil {
		return err
	}
	k.entity, k.signing = e, key.PrivateKey
	if k.secret, err = rewrite(raw, e, true); err != nil {
		return err
	}
	k.public, err = rewrite(raw, e, false)
	return err
}

// readKeys reads OpenPGP keys without the user IDs that nothing but a revocation
// stands behind: go-crypto crashes where it has to choose between two of them.
func readKeys(r io.Reader) (openpgp.EntityList, error) {
	list, err := openpgp.ReadKeyRing(r)
	for _, e := range list {
		maps.DeleteFunc(e.Identities, func(_ string, id *openpgp.Identity) bool { return id.SelfSignature == nil })
	}
	return list, err
}

func decrypt(e *openpgp.Entity, passphrase Secret) error {
	encrypted := e.PrivateKey.Encrypted && !e.PrivateKey.Dummy()
	for _, s := range e.Subkeys {
		encrypted = encrypted || s.PrivateKey != nil && s.PrivateKey.Encrypted && !s.PrivateKey.Dummy()
	}
	if !encrypted {
		return nil
	}
	if passphrase.IsEmpty() {
		return fmt.Errorf("OpenPGP key %X is encrypted; give its passphrase", e.PrimaryKey.Fingerprint)
	}
	if err := e.DecryptPrivateKeys([]byte(passphrase.Reveal())); err != nil {
		return fmt.Errorf("the passphrase does not open OpenPGP key %X", e.PrimaryKey.Fingerprint)
	}
	return nil
}

func alive(e *openpgp.Entity, now time.Time) error {
	self, user := e.PrimarySelfSignature()
	switch {
	case e.Revoked(now):
		return fmt.Errorf("OpenPGP key %X is revoked", e.PrimaryKey.Fingerprint)
	case self == nil || user.Revoked(now):
		return fmt.Errorf("OpenPGP key %X has no user ID that is not revoked; add one: gpg --quick-add-uid %[1]X 'Name <address>'", e.PrimaryKey.Fingerprint)
	case e.PrimaryKey.CreationTime.After(now):
		return fmt.Errorf("OpenPGP key %X is from the future: made %s, now it is %s", e.PrimaryKey.Fingerprint, stamp(e.PrimaryKey.CreationTime), stamp(now))
	case e.PrimaryKey.KeyExpired(self, now):
		return fmt.Errorf("OpenPGP key %X expired on %s; extend it: gpg --quick-set-expire %[1]X 2y", e.PrimaryKey.Fingerprint, stamp(expiry(e.PrimaryKey.CreationTime, self)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02") }

func checkStrength(pub *packet.PublicKey) error {
	bits, err := pub.BitLength()
	if err != nil {
		return err
	}
	switch pub.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits < minRSA {
			return fmt.Errorf("OpenPGP key %X is RSA with %d bits; clients refuse less than %d, make 4096", pub.Fingerprint, bits, minRSA)
		}
		return nil
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return nil
	case packet.PubKeyAlgoDSA:
		return fmt.Errorf("OpenPGP key %X is DSA, which clients refuse; make RSA with 4096 bits", pub.Fingerprint)
	case packet.PubKeyAlgoECDSA:
		return fmt.Errorf("OpenPGP key %X is ECDSA, whose signatures are never the same twice; make RSA with 4096 bits", pub.Fingerprint)
	}
	return fmt.Errorf("OpenPGP key %X has an algorithm (%d) that clients do not know; make RSA with 4096 bits", pub.Fingerprint, pub.PubKeyAlgo)
}

// OpenPGP packet tags, RFC 9580 5.
const (
	tagSignature     = 2
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
)

// rewrite returns the packets of raw in their order, which go-crypto's own
// serializer does not keep: with secret, its key packets decrypted; otherwise the
// certificate clients need, without pictures, foreign signatures and subkeys that
// do not sign.
func rewrite(raw []byte, e *openpgp.Entity, secret bool) ([]byte, error) {
	var b bytes.Buffer
	skip := false // what follows belongs to a packet that was left out
	r := packet.NewOpaqueReader(bytes.NewReader(raw))
	for {
		op, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.Bytes(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("the OpenPGP key can't be read: %w", err)
		}
		switch op.Tag {
		case tagSecretKey, tagSecretSubkey, tagPublicKey, tagPublicSubkey:
			pub, priv := keyPacket(op, e)
			if skip = pub == nil || !secret && pub.IsSubkey && !signs(e, pub); skip {
				continue
			}
			switch {
			case secret && wasEncrypted(op):
				err = priv.Serialize(&b)
			case secret: // go-crypto would swap the primes of RSA each time
				err = op.Serialize(&b)
			default:
				err = pub.Serialize(&b)
			}
		case tagUserID:
			skip = false
			err = op.Serialize(&b)
		case tagUserAttribute:
			skip = true
		case tagSignature:
			if !skip && (secret || own(op, e)) {
				err = op.Serialize(&b)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// keyPacket returns the entity's key that op holds.
func keyPacket(op *packet.OpaquePacket, e *openpgp.Entity) (*packet.PublicKey, *packet.PrivateKey) {
	p, err := op.Parse()
	if err != nil {
		return nil, nil
	}
	var id uint64
	switch p := p.(type) {
	case *packet.PrivateKey:
		id = p.KeyId
	case *packet.PublicKey:
		id = p.KeyId
	}
	if id == e.PrimaryKey.KeyId {
		return e.PrimaryKey, e.PrivateKey
	}
	for _, s := range e.Subkeys {
		if s.PublicKey.KeyId == id {
			return s.PublicKey, s.PrivateKey
		}
	}
	return nil, nil
}

func wasEncrypted(op *packet.OpaquePacket) bool {
	p, err := op.Parse()
	priv, ok := p.(*packet.PrivateKey)
	return err == nil && ok && priv.Encrypted && !priv.Dummy()
}

func signs(e *openpgp.Entity, pub *packet.PublicKey) bool {
	return slices.ContainsFunc(e.Subkeys, func(s openpgp.Subkey) bool {
		return s.PublicKey.KeyId == pub.KeyId && s.Sig.FlagsValid && s.Sig.FlagSign
	})
}

// own reports whether the primary key made the signature.
func own(op *packet.OpaquePacket, e *openpgp.Entity) bool {
	p, err := op.Parse()
	sig, ok := p.(*packet.Signature)
	return err == nil && ok && sig.CheckKeyIdOrFingerprint(e.PrimaryKey)
}

func primaryUser(e *openpgp.Entity) string {
	// PrimaryIdentity walks a map; among equals the smallest name is taken here.
	var names []string
	for name, id := range e.Identities {
		if id.SelfSignature != nil && id.SelfSignature.IsPrimaryId != nil && *id.SelfSignature.IsPrimaryId {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		for name := range e.Identities {
			names = append(names, name)
		}
	}
	return slices.Min(names)
}

// weakSelfSignature reports whether the certificate rests on SHA-1 or worse,
// which apt 3 refuses.
func weakSelfSignature(e *openpgp.Entity) bool {
	self, _ := e.PrimarySelfSignature()
	return self != nil && self.Hash != crypto.SHA256 && self.Hash != crypto.SHA384 && self.Hash != crypto.SHA512
}
