package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/distropack/distropack/formats"
)

// maxUsign bounds what is signed with Ed25519, which needs it in memory. An opkg
// index of 100,000 packages is some 80 MB.
const maxUsign = 512 << 20

// Signer returns what signs with key by s. All but Usign and OpenPGPClear read
// their input as a stream; those hold it in memory.
func (r *Keyring) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	found, err := r.find(key)
	if err != nil {
		return nil, err
	}
	first := found[0]
	switch s {
	case formats.OpenPGP, formats.OpenPGPArmor, formats.OpenPGPClear:
		for _, k := range found {
			if k.entity == nil {
				return nil, missing(key, s)
			}
		}
		if s == formats.OpenPGPClear {
			return r.clearSigner(found), nil
		}
		return r.detachedSigner(found, s == formats.OpenPGPArmor), nil
	case formats.RSA256:
		if first.rsa == nil {
			return nil, missing(key, s)
		}
		return first.signRSA, nil
	case formats.Usign:
		if first.usign == nil {
			return nil, missing(key, s)
		}
		return first.usign.signer(maxUsign), nil
	}
	return nil, fmt.Errorf("unknown signature scheme %q", s)
}

func (k *Key) signRSA(ctx context.Context, r io.Reader) ([]byte, error) {
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, r}); err != nil {
		return nil, err
	}
	return rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, h.Sum(nil))
}

// signer returns what signs up to most bytes.
func (k *usignKey) signer(most int64) formats.Signer {
	return func(ctx context.Context, r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(io.LimitReader(reader{ctx, r}, most+1))
		if err != nil {
			return nil, err
		}
		if int64(len(b)) > most {
			return nil, fmt.Errorf("usign can't sign more than %d bytes", most)
		}
		return k.sign(b), nil
	}
}

// date is when the key's signatures are dated.
func (k *Key) date(at time.Time) time.Time {
	for _, made := range []time.Time{k.entity.PrimaryKey.CreationTime, k.signing.CreationTime} {
		if at.Before(made) {
			at = made
		}
	}
	return at.UTC().Truncate(time.Second)
}

func (r *Keyring) detachedSigner(found []*Key, armor bool) formats.Signer {
	return func(ctx context.Context, message io.Reader) ([]byte, error) {
		h := sha512.New()
		if _, err := io.Copy(h, reader{ctx, message}); err != nil {
			return nil, err
		}
		sigs, err := r.packets(found, packet.SigTypeBinary, h)
		if err != nil || !armor {
			return sigs, err
		}
		return armored("PGP SIGNATURE", sigs), nil
	}
}

// packets returns a signature by each key over what was written to h, a SHA-512.
func (r *Keyring) packets(found []*Key, kind packet.SignatureType, h hash.Hash) ([]byte, error) {
	var b bytes.Buffer
	for _, k := range found {
		// Sign writes the signature's own fields into the hash: each key goes on
		// from where the message ended.
		own, err := h.(hash.Cloner).Clone()
		if err != nil {
			return nil, err
		}
		at := k.date(r.at)
		sig := &packet.Signature{
			Version:      4,
			SigType:      kind,
			PubKeyAlgo:   k.signing.PubKeyAlgo,
			Hash:         crypto.SHA512,
			CreationTime: at,
			IssuerKeyId:  &k.signing.KeyId,
		}
		if err := sig.Sign(own, k.signing, signConfig(at)); err != nil {
			return nil, fmt.Errorf("OpenPGP key %s: %w", k.Fingerprint(), err)
		}
		if err := sig.Serialize(&b); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// reader ends with the context's error.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
