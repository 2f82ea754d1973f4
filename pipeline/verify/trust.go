package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
)

const noKey = "it is signed, but there is no key to check it with: give one"

// trust is what signatures are checked with.
type trust struct {
	ring  *keys.Ring
	given bool // by the caller: nothing is taken from the tree

	mu    sync.Mutex
	rsa   map[string]*keys.RSAKey   // by file name; nil: there is none
	usign map[string]*keys.UsignKey // by number
	certs map[string]*KeyReport     // by fingerprint, and "rsa " or "usign " before others
	all   map[string]keys.Certificate
}

// newTrust reads the caller's keys, or those of the tree.
func newTrust(ctx context.Context, r *run, paths []string) *trust {
	t := &trust{given: len(r.Keys) > 0, rsa: make(map[string]*keys.RSAKey), usign: make(map[string]*keys.UsignKey), certs: make(map[string]*KeyReport), all: make(map[string]keys.Certificate)}
	var rings [][]byte
	for _, k := range r.Keys {
		if err := t.take(r, k.Name, "", k.Data, &rings); err != nil {
			r.add(nil, Error, k.Name, "key", "it is no key that is known: %v", err)
		}
	}
	if !t.given {
		for _, name := range keyPaths(r, paths) {
			b, err := r.get(ctx, nil, name, maxSmall)
			if err != nil {
				if !isMissing(err) || r.site != nil && slices.Contains(r.site.keys, name) {
					r.lost(nil, Error, name, err)
				}
				continue
			}
			if err := t.take(r, path.Base(name), name, b, &rings); err != nil {
				r.add(nil, Error, name, "key", "it is no key that is known: %v", err)
			}
		}
	}
	ring, err := keys.OpenRing(r.Now, rings...)
	if err != nil { // each was read before
		ring = &keys.Ring{}
		r.add(nil, Error, "", "key", "%v", err)
	}
	for _, p := range r.Fingerprints {
		if len(pin(p)) != 16 && !slices.ContainsFunc(ring.Certificates(), func(c keys.Certificate) bool { return c.Fingerprint == pin(p) }) {
			r.add(nil, Error, "", "no-key", "there is no key with the fingerprint %s", pin(p))
		}
	}
	t.ring = ring.Only(func(c keys.Certificate) bool { return r.pinned(c.Fingerprint) != unpinned })
	return t
}

// keyPaths are where keys may lie in the tree.
func keyPaths(r *run, paths []string) []string {
	var all []string
	for _, p := range paths {
		if path.Dir(p) == "keys" || path.Base(p) == "repomd.xml.key" {
			all = append(all, p)
		}
	}
	if r.site != nil {
		all = append(all, r.site.keys...)
	}
	if paths == nil { // a place that can't be listed
		for _, c := range r.Clients {
			if name, dir, _ := strings.Cut(c, ":"); name == "dnf" {
				all = append(all, path.Join(dir, "repodata/repomd.xml.key"))
			}
		}
		all = append(all, "repodata/repomd.xml.key", "rpm/stable/repodata/repomd.xml.key")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// take reads a key file of any kind.
func (t *trust) take(r *run, name, from string, b []byte, rings *[][]byte) error {
	switch {
	case bytes.HasPrefix(b, []byte("untrusted comment:")):
		k, err := keys.OpenUsign(b)
		if err != nil {
			return err
		}
		if p := r.pinned(k.ID); p != unpinned {
			t.usign[k.ID] = k
			t.note(r, "usign "+k.ID, KeyReport{Kind: "usign", Fingerprint: k.ID, Algorithm: "Ed25519", Bits: 256, From: from, Pinned: p == pinned})
		}
		return nil
	case bytes.Contains(b, []byte("-----BEGIN PUBLIC KEY-----")) || bytes.Contains(b, []byte("-----BEGIN RSA PUBLIC KEY-----")):
		k, err := keys.OpenRSA(b)
		if err != nil {
			return err
		}
		if p := r.pinned(k.ID); p != unpinned {
			t.rsa[name] = k
			t.note(r, "rsa "+k.ID, KeyReport{Kind: "rsa", Fingerprint: k.ID, Algorithm: "RSA", Bits: k.Bits, From: from, Pinned: p == pinned})
		}
		return nil
	}
	one, err := keys.OpenRing(r.Now, b)
	if err != nil {
		return err
	}
	*rings = append(*rings, b)
	for _, c := range one.Certificates() {
		p := r.pinned(c.Fingerprint)
		if p == unpinned {
			continue
		}
		t.all[c.Fingerprint] = c
		t.note(r, c.Fingerprint, KeyReport{Kind: "openpgp", Fingerprint: c.Fingerprint, User: c.User, Algorithm: c.Algorithm, Bits: c.Bits, Expires: c.Expires, From: from, Pinned: p == pinned})
	}
	return nil
}

// note keeps the first report of a key: keys/hello.asc and hello.gpg are one.
func (t *trust) note(r *run, id string, k KeyReport) {
	if t.certs[id] == nil {
		t.certs[id] = &k
		r.keys = append(r.keys, &k)
	}
}

func pin(s string) string { return strings.ToUpper(strings.ReplaceAll(s, " ", "")) }

type pinning int

const (
	anyKey   pinning = iota // no fingerprint of that kind is asked for
	pinned                  // this one is
	unpinned                // another one is
)

// pinned looks a fingerprint up. Keys of a kind of which none is named are taken
// as they are.
func (r *run) pinned(fingerprint string) pinning {
	state := anyKey
	for _, f := range r.Fingerprints {
		switch {
		case strings.EqualFold(pin(f), fingerprint):
			return pinned
		case (len(pin(f)) == 16) == (len(fingerprint) == 16):
			state = unpinned
		}
	}
	return state
}

// has reports whether a key was found.
func (t *trust) has(fingerprint string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.certs {
		if strings.EqualFold(k.Fingerprint, pin(fingerprint)) {
			return true
		}
	}
	return false
}

// use notes that a key made a good signature.
func (t *trust) use(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.certs[id]; k != nil {
		k.Used = true
	}
}

var keyName = regexp.MustCompile(`^[A-Za-z0-9@+_][A-Za-z0-9@+._-]*$`)

// rsaKey finds the key of a name, which apk asks for by it; nil if there is none.
func (r *run) rsaKey(ctx context.Context, name string) *keys.RSAKey {
	t := r.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.rsa[name]; !known && !t.given && keyName.MatchString(name) {
		t.rsa[name] = nil
		t.fetch(ctx, r, "keys/"+name)
	}
	return t.rsa[name]
}

// usignKey finds the key of a number.
func (r *run) usignKey(ctx context.Context, id string) *keys.UsignKey {
	t := r.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.usign[id]; !known && !t.given {
		t.usign[id] = nil
		t.fetch(ctx, r, "keys/"+id)
	}
	return t.usign[id]
}

func (t *trust) fetch(ctx context.Context, r *run, name string) {
	b, err := r.get(ctx, nil, name, maxSmall)
	if err != nil {
		return
	}
	var rings [][]byte // OpenPGP keys do not come this late
	if err := t.take(r, path.Base(name), name, b, &rings); err != nil {
		r.add(nil, Error, name, "key", "it is no key that is known: %v", err)
	}
}

// judge notes keys that end soon, or that clients refuse.
func (t *trust) judge(r *run) {
	used := false // by a key that is alive
	for _, k := range t.certs {
		used = used || k.Used && (k.Expires.IsZero() || k.Expires.After(r.Now))
	}
	for _, id := range sortedKeys(t.certs) {
		k := t.certs[id]
		at := k.From
		if at == "" {
			at = "key " + k.Fingerprint
		}
		if c, ok := t.all[id]; ok {
			switch {
			case c.Revoked:
				r.add(nil, severityIf(!used || k.Used), at, "revoked", "key %s is revoked", id)
			case !c.Expires.IsZero() && !c.Expires.After(r.Now):
				r.add(nil, severityIf(!used || k.Used), at, "expired", "key %s expired on %s: dnf, and apt before Debian 13, refuse all that it signed; extend it (gpg --quick-set-expire %[1]s 2y) and publish again", id, c.Expires.Format(time.DateOnly))
			case !c.Expires.IsZero():
				r.ends(at, c)
			}
			if c.WeakHash {
				r.add(nil, Error, at, "weak-key", "key %s is certified with SHA-1: Debian 13 and later refuse it; renew it: gpg --cert-digest-algo SHA512 --quick-set-expire %[1]s 5y", id)
			}
		}
		switch {
		case k.Algorithm == "DSA":
			r.add(nil, Error, at, "weak-key", "key %s is DSA, which clients refuse", k.Fingerprint)
		case k.Algorithm == "RSA" && k.Bits < 2048:
			r.add(nil, Error, at, "weak-key", "key %s is RSA with %d bits, which clients refuse; 4096 is right", k.Fingerprint, k.Bits)
		case k.Algorithm == "RSA" && k.Bits < 3072 && k.Kind == "openpgp":
			r.add(nil, Warning, at, "weak-key", "key %s is RSA with %d bits: Debian 13 and later refuse it from 2030-02-01; 4096 is right", k.Fingerprint, k.Bits)
		}
	}
}

// severityIf is Error for what clients meet now.
func severityIf(now bool) Severity {
	if now {
		return Error
	}
	return Warning
}

// ends warns of a key's end, 90, 30 and 7 days before.
func (r *run) ends(at string, c keys.Certificate) {
	left := c.Expires.Sub(r.Now)
	for _, days := range []int{7, 30, 90} {
		if left > time.Duration(days)*24*time.Hour {
			continue
		}
		r.add(nil, Warning, at, "key-expires", "key %s expires in less than %d days, on %s: extend it and publish again, clients need the new certificate", c.Fingerprint, days, c.Expires.Format(time.DateOnly))
		return
	}
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// signature checks a detached signature over message. document says how sure it is
// that the message is what somebody published, so that two files of two publishes
// can be told from a damaged one. It reports whether the signature is good.
func (r *run) signature(t *target, name, of string, message, sig []byte, doc func() document) bool {
	if r.trust.ring.Empty() {
		r.add(t, Warning, name, "no-key", noKey)
		return false
	}
	c, err := r.trust.ring.Check(sig)
	if err != nil {
		r.add(t, Error, name, "signature", "%v", err)
		return false
	}
	c.Write(message)
	by, err := c.Good(r.Now)
	if err == nil {
		r.trust.use(by.Fingerprint)
		t.Signed = true
		return true
	}
	if d := doc(); d.sound && torn(c, d, r.Now) {
		r.add(t, Error, name, "torn", "%s", tornText(of))
		return false
	}
	r.add(t, Error, name, "signature", "%v", err)
	return false
}

func tornText(of string) string {
	return fmt.Sprintf("it is a signature of our key, but of another %s than the one here: a cache or mirror serves two publishes at once; wait until it has both, and if it stays so take it for forged", of)
}

// document is what is known of a signed text besides its signature.
type document struct {
	sound  bool      // all that it names is as it says, or another signature is good
	proven bool      // another signature is good
	time   time.Time // when it says it was made; zero: it does not
}

// torn reports whether a signature that does not fit is one of another publish. A
// sound text with a genuine signature has been published some time; but a change
// of a byte that nothing depends on looks the same, so their times have to differ
// where they are known.
func torn(c *keys.Check, d document, now time.Time) bool {
	at, genuine, known := c.Genuine(now)
	apart := !d.time.IsZero() && at.Sub(d.time).Abs() > 2*time.Second
	switch {
	case known && !genuine:
		return false
	case known && (d.proven || d.time.IsZero()):
		return true
	}
	return apart
}
