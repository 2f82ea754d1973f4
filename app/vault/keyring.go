package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
)

// keyring is pipeline.Keyring with the keys elsewhere. It does not change.
type keyring struct {
	link
	public map[holder]half
	ask    request // repository and keys of a signature
	signed func(context.Context, Signature) error
}

type holder struct {
	key    string
	scheme formats.Scheme
}

var _ pipeline.Keyring = (*keyring)(nil)

// Keyring returns the keys of a repository, which are tried now; what they sign
// from then on is asked of the signer. Keys of another repository or installation
// are refused. Its public halves are the signer's word, not the database's.
func (c *Client) Keyring(ctx context.Context, r Repository, refs ...KeyRef) (pipeline.Keyring, error) {
	return newKeyring(ctx, c.link, request{Repository: r, Keys: refs}, c.signed)
}

func newKeyring(ctx context.Context, l link, ask request, signed func(context.Context, Signature) error) (*keyring, error) {
	ask.Op = opRing
	r, _, err := l.call(ctx, &ask, nil)
	if err != nil {
		return nil, err
	}
	k := &keyring{link: l, public: make(map[holder]half), ask: ask, signed: signed}
	for _, h := range r.Halves {
		k.public[holder{h.Key, h.Scheme}] = h
	}
	return k, nil
}

// Public returns what clients check signatures by key and s with.
func (k *keyring) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	part := s
	switch s {
	case formats.OpenPGPArmor, formats.OpenPGPClear:
		part = formats.OpenPGP
	}
	h, ok := k.public[holder{key, part}]
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no key %q for %s signatures", key, s)
	case h.Public == nil:
		return nil, fmt.Errorf("%s", h.Error)
	}
	return &formats.PublicKey{Name: h.Public.Name, ID: h.Public.ID, Data: bytes.Clone(h.Public.Data), Binary: bytes.Clone(h.Public.Binary)}, nil
}

// Signer returns what has key sign by s.
func (k *keyring) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	pub, err := k.Public(key, s)
	if err != nil {
		return nil, err
	}
	ask := k.ask
	ask.Op, ask.Key, ask.Scheme = opSign, key, s
	return func(ctx context.Context, message io.Reader) ([]byte, error) {
		r, sig, err := k.call(ctx, &ask, message)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		if k.signed == nil {
			return sig, nil
		}
		to := ask.Repository
		err = k.signed(ctx, Signature{Repository: to.ID, Installation: to.Installation, Release: to.Release, Key: key,
			Fingerprint: pub.ID, Scheme: string(s), Digest: r.Digest, Size: r.Size})
		if err != nil {
			return nil, fmt.Errorf("key %s: the signature can't be logged, so it is not given out: %w", key, err)
		}
		return sig, nil
	}, nil
}

// Verifier checks what key signed, detached, by the time at.
func (k *keyring) Verifier(key string, at time.Time) (func(message, signature []byte) error, error) {
	pub, err := k.Public(key, formats.OpenPGP)
	if err != nil {
		return nil, err
	}
	return func(message, signature []byte) error {
		return keys.Verify(pub.Binary, bytes.NewReader(message), signature, at)
	}, nil
}
