package vault

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

// Repository is what keys sign for.
type Repository struct {
	ID           int64     `json:"id"`
	Installation int64     `json:"installation"`
	Release      string    `json:"release,omitempty"` // store's id of it, for the log; "" outside of releases
	Project      string    `json:"project"`           // names the files of public keys
	At           time.Time `json:"at"`                // what signatures are dated
}

// KeyRef is a sealed key and the name it goes by: plan.PackageKey, "also",
// plan.OwnKey of a site.
type KeyRef struct {
	Key     string  `json:"key"`
	Binding Binding `json:"binding"`
	Blob    []byte  `json:"blob"`
}

const (
	maxKeys  = 8         // of a repository
	maxClear = 64 << 20  // bytes of a clear-signed message, which is in memory
	maxUsign = 256 << 20 // bytes of what usign signs, which is in memory
	maxAhead = time.Hour // of a signature's date over the signer's clock
)

// ring opens the keys of a repository. Keys of other repositories and
// installations are refused, whatever their blobs say.
func (s *signer) ring(q *request) (*keys.Keyring, error) {
	r := q.Repository
	if r.ID <= 0 || r.At.IsZero() {
		return nil, fmt.Errorf("repository %d at %s: the signer needs the number and the time", r.ID, r.At.Format(time.RFC3339))
	}
	if now := s.Now(); r.At.After(now.Add(maxAhead)) {
		return nil, fmt.Errorf("repository %d: a signature of %s would be from the future; it is %s", r.ID, r.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if len(q.Keys) == 0 || len(q.Keys) > maxKeys {
		return nil, fmt.Errorf("repository %d: %d keys; 1 to %d are possible", r.ID, len(q.Keys), maxKeys)
	}
	open := make(map[string]*keys.Key)
	for _, ref := range q.Keys {
		if ref.Binding.Scope != RepositoryScope(r.ID) && (r.Installation <= 0 || ref.Binding.Scope != InstallationScope(r.Installation)) {
			return nil, fmt.Errorf("key %s belongs to %s: it can't sign for repository %d of installation %d", ref.Key, ref.Binding.Scope, r.ID, r.Installation)
		}
		if open[ref.Key] != nil {
			return nil, fmt.Errorf("there are two keys %q", ref.Key)
		}
		k, err := s.keys.key(ref.Binding, ref.Blob)
		if err != nil {
			return nil, err
		}
		open[ref.Key] = k
	}
	return keys.Of(r.Project, open, r.At), nil
}

// schemes are all there are.
var schemes = []formats.Scheme{formats.OpenPGP, formats.OpenPGPArmor, formats.OpenPGPClear, formats.RSA256, formats.Usign}

// halves lists the public halves of the keys and of each two of them: trees are
// signed by two while keys are rotated, and where a site has a key of its own.
func halves(ring formats.Keys, names []string) []half {
	var all []half
	add := func(name string) {
		for _, scheme := range []formats.Scheme{formats.OpenPGP, formats.RSA256, formats.Usign} {
			h := half{Key: name, Scheme: scheme}
			var err error
			if h.Public, err = ring.Public(name, scheme); err != nil {
				h.Error = err.Error()
			}
			all = append(all, h)
		}
	}
	for _, a := range names {
		add(a)
		for _, b := range names {
			if a != b {
				add(a + "+" + b)
			}
		}
	}
	return all
}

// sign signs a message, and says its digest.
func (s *signer) sign(ctx context.Context, q *request, message io.Reader) (*response, []byte, error) {
	ring, err := s.ring(q)
	if err != nil {
		return nil, nil, err
	}
	sign, err := ring.Signer(q.Key, q.Scheme)
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(message, maxPiece)
	switch q.Scheme {
	case formats.RSA256:
		if begin, err := in.Peek(2); err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		} else if len(begin) < 2 || begin[0] != 0x1f || begin[1] != 0x8b {
			return nil, nil, fmt.Errorf("%s signs what apk reads, which begins like a gzip file; this does not", q.Scheme)
		}
	case formats.Usign, formats.OpenPGPClear:
		select {
		case s.memory <- struct{}{}:
			defer func() { <-s.memory }()
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	count := &counter{r: in, most: mostOf(q.Scheme)}
	digest := sha256.New()
	sig, err := sign(ctx, io.TeeReader(count, digest))
	if err != nil {
		return nil, nil, err
	}
	return &response{Digest: hex.EncodeToString(digest.Sum(nil)), Size: count.n}, sig, nil
}

// mostOf is how long a message may be; 0 is any length.
func mostOf(s formats.Scheme) int64 {
	switch s {
	case formats.OpenPGPClear:
		return maxClear
	case formats.Usign:
		return maxUsign
	}
	return 0
}

// counter counts what it passes on, and stops after most bytes.
type counter struct {
	r    io.Reader
	n    int64
	most int64 // 0: any
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.most > 0 && c.n > c.most {
		return 0, fmt.Errorf("the message is longer than %d bytes, which is all that can be signed at once", c.most)
	}
	return n, err
}
