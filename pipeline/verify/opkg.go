package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"

	"github.com/distropack/distropack/pipeline/keys"
)

// opkg looks at a feed: Packages.gz, which opkg fetches, Packages, and the
// signatures, which are over the latter: Packages.sig by usign (OpenWrt) or
// OpenPGP, Packages.asc by OpenPGP (Yocto).
func (r *run) opkg(ctx context.Context, t *target) {
	name := path.Join(t.Path, "Packages")
	plain, err := r.get(ctx, t, name, maxPacked)
	if err != nil && !isMissing(err) {
		r.lost(t, Error, name, err)
		return
	}
	same, text, ok := r.feed(ctx, t, name, plain)
	if !ok {
		return
	}
	if !r.feedSigned(ctx, t, name, text, same) {
		return
	}
	if !same {
		r.add(t, Error, name+".gz", "hash", "it does not hold what Packages is: what a client sees depends on which one it fetches")
		return
	}
	quiet := &run{Options: r.Options, log: &log{}, see: r.see}
	var items []*item
	if err := quiet.stanzas(t, name, t.Path, &items)(bytes.NewReader(text)); err != nil {
		r.add(t, Error, name, "index", "it can't be read: %v", err)
		return
	}
	for _, f := range quiet.found {
		r.put(f)
	}
	r.need(t, items...)
}

// feed reads Packages.gz beside Packages, which may be missing one of the two.
// text is what signatures are over.
func (r *run) feed(ctx context.Context, t *target, name string, plain []byte) (same bool, text []byte, ok bool) {
	var unpacked bytes.Buffer
	got, err := r.index(ctx, t, name+".gz", want{size: -1}, want{size: -1}, pointer, func(in io.Reader) error {
		_, err := io.Copy(&unpacked, io.LimitReader(in, maxPacked+1))
		if err == nil && unpacked.Len() > maxPacked {
			err = errTooLarge{maxPacked}
		}
		return err
	})
	switch {
	case isMissing(err) && plain == nil:
		r.lost(t, Error, name, err)
		return false, nil, false
	case isMissing(err):
		r.add(t, Warning, name+".gz", "missing", "it is not there: feeds are usually added as src/gz, which asks for it")
		t.addIndex(r)
		return true, plain, true
	case err != nil:
		r.lost(t, Error, name+".gz", err)
		return false, nil, false
	}
	t.addIndex(r)
	if !r.judgeText(t, name+".gz", got, want{size: -1}) {
		return false, nil, false
	}
	if plain == nil {
		return true, unpacked.Bytes(), true
	}
	t.addIndex(r)
	return sha256.Sum256(plain) == sha256.Sum256(unpacked.Bytes()), plain, true
}

// feedSigned checks the signatures of a feed and reports whether it is to be read.
func (r *run) feedSigned(ctx context.Context, t *target, name string, text []byte, same bool) bool {
	var sigs [2][]byte
	for i, suffix := range []string{".sig", ".asc"} {
		b, err := r.get(ctx, t, name+suffix, maxSmall)
		if err != nil && !isMissing(err) {
			r.lost(t, Error, name+suffix, err)
			return false
		}
		sigs[i] = b
	}
	sig, asc := sigs[0], sigs[1]
	if sig == nil && asc == nil {
		r.add(t, Warning, name, "unsigned", "the feed is not signed: opkg with check_signature refuses it")
		return true
	}
	// OpenPGP first: an RSA signature can tell a torn pair, usign's can't, and it
	// would say no more of the same text.
	detached := func(name string, sig []byte) bool {
		return r.signature(t, name, "Packages", text, sig, func() document { return document{sound: same} }) || r.trust.ring.Empty()
	}
	if asc != nil && !detached(name+".asc", asc) {
		return false
	}
	switch {
	case sig == nil:
		return true
	case !bytes.HasPrefix(sig, []byte("untrusted comment:")):
		return detached(name+".sig", sig)
	}
	return r.usigned(ctx, t, name+".sig", text, sig)
}

// usigned checks usign's signature.
func (r *run) usigned(ctx context.Context, t *target, name string, text, sig []byte) bool {
	id, err := keys.UsignSigner(sig)
	if err != nil {
		r.add(t, Error, name, "signature", "%v", err)
		return false
	}
	key := r.usignKey(ctx, id)
	if key == nil {
		r.add(t, Warning, name, "no-key", "it is signed by usign key %s, but there is no such key to check it with: give one", id)
		return true
	}
	if err := key.Verify(text, sig); err != nil {
		r.add(t, Error, name, "signature", "%v", fmt.Errorf("%w, or a cache serves it and Packages of two publishes", err))
		return false
	}
	r.trust.use("usign " + key.ID)
	t.Signed = true
	return true
}
