// Package checkout puts the files of one commit onto the disk, over git's smart
// HTTP, without the history before it and without a git program.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// ErrMoved means that the tag no longer names the commit.
var ErrMoved = errors.New("the tag was moved")

// ErrTooLarge means that the commit holds more than is fetched of one.
var ErrTooLarge = errors.New("the repository is too large")

// ErrNotFound means that there is no such repository or tag, or that the token
// does not show it.
var ErrNotFound = errors.New("not found")

// Options say what is fetched.
type Options struct {
	URL        string            // https://github.com/ann/hello.git
	Token      func() string     // read at each request; nil: nobody's
	Tag        string            // without refs/tags/
	Commit     string            // what the tag is peeled to, 40 hexadecimal digits
	Submodules bool              // fetch those of the same host, to a depth of 4
	Transport  http.RoundTripper // nil: net/http's
	Limits     Limits            // zero fields have defaults
	Say        func(text string) // told of what is left out; nil drops
}

// Limits bound one commit.
type Limits struct {
	Pack  int64 // bytes that the host sends; 0: 1 GiB
	Bytes int64 // of all files; 0: 2 GiB
	Files int   // 0: 200,000
}

// Fetch puts the files of a commit below dir, which must be empty, and scratch
// objects into work, which the caller deletes. Nothing outside of the two is
// written, whatever the commit says. Errors name the repository, never the token.
func Fetch(ctx context.Context, o Options, dir, work string) error {
	o.Limits.Pack, o.Limits.Bytes, o.Limits.Files = or(o.Limits.Pack, 1<<30), or(o.Limits.Bytes, 2<<30), or(o.Limits.Files, 200_000)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f := &fetcher{Options: o, work: work, bytes: o.Limits.Bytes, files: o.Limits.Files, pack: o.Limits.Pack}
	return f.into(ctx, root, module{url: o.URL, commit: o.Commit, tag: o.Tag}, 0)
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// fetcher counts down what may still be fetched, submodules included.
type fetcher struct {
	Options
	work  string
	n     int // scratch folders
	pack  int64
	bytes int64
	files int
}

// module is a repository at a commit.
type module struct {
	url, commit string
	tag         string // "": the commit is asked for by itself
}

// name is the repository for people, without what a URL could hide.
func (m *module) name() string {
	u, err := url.Parse(m.url)
	if err != nil {
		return "the repository"
	}
	return u.Host + strings.TrimSuffix(u.Path, ".git")
}

func (f *fetcher) into(ctx context.Context, root *os.Root, m module, depth int) error {
	s, err := f.objects(ctx, m)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name(), err)
	}
	t := &tree{fetcher: f, root: root, store: s, module: m, depth: depth}
	if err := t.write(ctx); err != nil {
		return fmt.Errorf("%s at %.12s: %w", m.name(), m.commit, err)
	}
	return nil
}

// objects fetches a commit and all of its files into a folder of work.
func (f *fetcher) objects(ctx context.Context, m module) (*filesystem.Storage, error) {
	at, err := transport.NewEndpoint(m.url)
	if err != nil || at.Protocol != "https" && at.Protocol != "http" || at.User != "" || at.Password != "" {
		return nil, errors.New("its URL is not of the form https://host/path")
	}
	u, err := url.Parse(m.url)
	if err != nil {
		return nil, errors.New("its URL is not of the form https://host/path")
	}
	limited := &meter{left: f.pack, host: u.Host, next: or[http.RoundTripper](f.Transport, http.DefaultTransport)}
	var auth transport.AuthMethod
	if f.Token != nil {
		auth = &githttp.BasicAuth{Username: "x-access-token", Password: f.Token()}
	}
	session, err := githttp.NewClient(&http.Client{Transport: limited}).NewUploadPackSession(at, auth)
	if err != nil {
		return nil, plain(err)
	}
	defer session.Close()
	advert, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, f.limit(limited, plain(err))
	}
	want, err := m.want(advert)
	if err != nil {
		return nil, err
	}
	req := packp.NewUploadPackRequestFromCapabilities(advert.Capabilities)
	req.Wants = []plumbing.Hash{want}
	req.Depth = packp.DepthCommits(1)
	for _, c := range []capability.Capability{capability.Shallow, capability.NoProgress} {
		if advert.Capabilities.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, err
			}
		}
	}
	res, err := session.UploadPack(ctx, req)
	if err != nil {
		return nil, f.limit(limited, plain(err))
	}
	defer res.Close()
	f.n++
	dir := filepath.Join(f.work, fmt.Sprintf("objects-%d", f.n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(8<<20), filesystem.Options{LargeObjectThreshold: 1 << 20, ExclusiveAccess: true})
	if err := packfile.UpdateObjectStorage(s, unband(req.Capabilities, res)); err != nil {
		return nil, f.limit(limited, fmt.Errorf("its answer is damaged: %w", err))
	}
	f.pack = limited.left
	if m.tag != "" {
		if got := peel(s, want); got.String() != m.commit {
			return nil, fmt.Errorf("%w: %s is at %.12s, and %.12s was asked for", ErrMoved, m.tag, got, m.commit)
		}
	}
	return s, nil
}

// limit prefers the reason that a stream ended early.
func (f *fetcher) limit(m *meter, err error) error {
	if m.left < 0 {
		return fmt.Errorf("%w: the files of one commit are more than %d MiB when packed", ErrTooLarge, f.Limits.Pack>>20)
	}
	return err
}

// want finds what is asked for: a tag as it is advertised, so that one that moves
// meanwhile is noticed, or a commit.
func (m *module) want(a *packp.AdvRefs) (plumbing.Hash, error) {
	if m.tag == "" {
		return plumbing.NewHash(m.commit), nil
	}
	h, ok := a.References["refs/tags/"+m.tag]
	if !ok {
		return plumbing.ZeroHash, fmt.Errorf("tag %s: %w", m.tag, ErrNotFound)
	}
	return h, nil
}

// peel follows annotated tags to a commit.
func peel(s *filesystem.Storage, h plumbing.Hash) plumbing.Hash {
	for range 10 {
		t, err := tagObject(s, h)
		if err != nil {
			break
		}
		h = t
	}
	return h
}

func unband(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

// plain words errors of the transport for people.
func plain(err error) error {
	switch {
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w: there is no such repository, or the App was not installed on it", ErrNotFound)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("%w: the App's token does not show it: is the App still installed, with permission to read contents?", ErrNotFound)
	}
	return err
}

// meter ends answers that are longer than what is left, and keeps the token from
// hosts that the first one redirects to.
type meter struct {
	next http.RoundTripper
	host string
	left int64
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != m.host {
		return nil, fmt.Errorf("%s redirects to another host, %s", m.host, r.URL.Host)
	}
	res, err := m.next.RoundTrip(r)
	if err == nil {
		res.Body = &metered{res.Body, m}
	}
	return res, err
}

type metered struct {
	io.ReadCloser
	m *meter
}

func (b *metered) Read(p []byte) (int, error) {
	if b.m.left < 0 {
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(p)
	b.m.left -= int64(n)
	return n, err
}
