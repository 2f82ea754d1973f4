package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// Keyring holds opened keys by name: usually "main", and "also" while keys are
// rotated. A name such as "main+also" means all of them for OpenPGP, and the
// first one for the schemes that have room for one signature only. It does not
// change and may be used concurrently. It prints as "[secret]".
type Keyring struct {
	project string
	keys    map[string]*Key
	at      time.Time
}

var _ formats.Keys = (*Keyring)(nil)

// Options is what opening keys needs besides their text.
type Options struct {
	Now         time.Time         // whether keys have expired is asked of this time
	At          time.Time         // what signatures are dated; Now where zero or later than Now
	Passphrases map[string]Secret // by the key's name; "" is tried for those not named
}

// Open imports the keys. project names their files: hello.asc and
// hello-1a2b3c4d.rsa.pub. Empty secrets are left out, so that a Keyring may be
// empty; asking it for a key then says so.
func Open(project string, refs map[string]Secret, o Options) (*Keyring, error) {
	r := &Keyring{project: project, keys: make(map[string]*Key)}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if refs[name].IsEmpty() {
			continue
		}
		if strings.Contains(name, "+") {
			errs = append(errs, fmt.Errorf("key name %q has a +", name))
			continue
		}
		pass, ok := o.Passphrases[name]
		if !ok {
			pass = o.Passphrases[""]
		}
		k, err := Import(refs[name], ImportOptions{Now: o.Now, Passphrase: pass})
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", name, err))
			continue
		}
		r.keys[name] = k
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.at = o.Now
	if !o.At.IsZero() && o.At.Before(o.Now) {
		r.at = o.At
	}
	return r, nil
}

// Of returns a Keyring of keys that are open already, whose signatures are dated
// at.
func Of(project string, keys map[string]*Key, at time.Time) *Keyring {
	return &Keyring{project, maps.Clone(keys), at}
}

// At returns a Keyring whose signatures are dated t, or when their key was made
// if that is later: clients refuse a signature older than its key.
func (r *Keyring) At(t time.Time) *Keyring { return &Keyring{r.project, r.keys, t} }

// Key returns an opened key; nil if there is none of that name.
func (r *Keyring) Key(name string) *Key { return r.keys[name] }

// Names lists the keys, sorted.
func (r *Keyring) Names() []string { return slices.Sorted(maps.Keys(r.keys)) }

// Format prints "[secret]" for every verb.
func (r *Keyring) Format(f fmt.State, _ rune) { f.Write([]byte(hidden)) }

// find returns the keys that name means, in its order.
func (r *Keyring) find(name string) ([]*Key, error) {
	var found []*Key
	for _, part := range strings.Split(name, "+") {
		k := r.keys[part]
		switch {
		case k == nil && len(r.keys) == 0:
			return nil, fmt.Errorf("there is no key %q: no signing key is set (signing.key in distropack.yml, DISTROPACK_KEY in the environment)", part)
		case k == nil:
			return nil, fmt.Errorf("there is no key %q (there are: %s)", part, strings.Join(r.Names(), " "))
		case slices.Contains(found, k):
			return nil, fmt.Errorf("key name %q has %q twice", name, part)
		}
		found = append(found, k)
	}
	return found, nil
}

// missing says that a key lacks the part for a scheme, and how to get it.
func missing(name string, s formats.Scheme) error {
	switch s {
	case formats.RSA256:
		return fmt.Errorf("key %s has no RSA part, which apk needs: add an RSA private key in PEM to it (openssl genrsa 4096), or use an RSA OpenPGP key", name)
	case formats.Usign:
		return fmt.Errorf("key %s has no usign part, which opkg needs: add the secret key of usign -G or signify -G -n, or an OpenPGP key", name)
	}
	return fmt.Errorf("key %s has no OpenPGP part: add one (gpg --export-secret-keys --armor)", name)
}

// Public returns what clients check signatures by key and s with. For several
// keys the OpenPGP file holds all certificates, and ID all fingerprints with a
// space between them.
func (r *Keyring) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	found, err := r.find(key)
	if err != nil {
		return nil, err
	}
	first := found[0]
	switch s {
	case formats.OpenPGP, formats.OpenPGPArmor, formats.OpenPGPClear:
		return r.certificates(key, found)
	case formats.RSA256:
		if first.rsa == nil {
			return nil, missing(key, s)
		}
		id := rsaID(&first.rsa.PublicKey)
		der, err := x509.MarshalPKIXPublicKey(&first.rsa.PublicKey)
		if err != nil {
			return nil, err
		}
		data := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		return &formats.PublicKey{Name: r.project + "-" + id[:8] + ".rsa.pub", ID: id, Data: data}, nil
	case formats.Usign:
		if first.usign == nil {
			return nil, missing(key, s)
		}
		return &formats.PublicKey{Name: first.usign.id(), ID: first.usign.id(), Data: first.usign.publicFile()}, nil
	}
	return nil, fmt.Errorf("unknown signature scheme %q", s)
}

func (r *Keyring) certificates(name string, found []*Key) (*formats.PublicKey, error) {
	var binary bytes.Buffer
	var ids []string
	for _, k := range found {
		if k.entity == nil {
			return nil, missing(name, formats.OpenPGP)
		}
		binary.Write(k.public)
		ids = append(ids, k.Fingerprint())
	}
	file := r.project
	if first, _, _ := strings.Cut(name, "+"); first != "main" {
		file += "-" + first
	}
	return &formats.PublicKey{
		Name:   file + ".asc",
		ID:     strings.Join(ids, " "),
		Data:   armored("PGP PUBLIC KEY BLOCK", binary.Bytes()),
		Binary: binary.Bytes(),
	}, nil
}
