package release_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

var ctx = context.Background()

// clock is the time of a server, which passes when a client waits.
type clock struct {
	mu     sync.Mutex
	t      time.Time
	waited []time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	c.waited = append(c.waited, d)
	return ctx.Err()
}

func (c *clock) total() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.waited {
		sum += d
	}
	return sum
}

// host is a server with the repository acme/hello, whose tag v1 is at commit.
type host struct {
	*githubtest.Server
	*clock
	repo   *githubtest.Repository
	commit string
	said   []string
}

func newHost(t *testing.T, o githubtest.Options) *host {
	t.Helper()
	h := &host{clock: &clock{t: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}}
	o.Now = h.now
	h.Server = githubtest.New(t, o)
	h.repo = h.Repo("acme", "hello")
	h.commit = h.repo.Commit("v1")
	h.repo.Annotated("v1", h.commit)
	return h
}

func (h *host) options() release.Options {
	return release.Options{
		API: h.URL, Owner: "acme", Repo: "hello", Jobs: 1, Wait: h.wait,
		Token: func(context.Context) (string, error) { return githubtest.Token, nil },
		Say: func(s string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said = append(h.said, s)
		},
	}
}

func (h *host) place(t *testing.T) *release.Place { return open(t, h.options()) }

func open(t *testing.T, o release.Options) *release.Place {
	t.Helper()
	p, err := release.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *host) rel() release.Release {
	return release.Release{Tag: "v1", Commit: h.commit, Title: "Hello 1", Notes: "All new.", Latest: true}
}

func asset(name, content string) release.Asset {
	return release.Asset{Name: name, Type: "application/x-test", Blob: formats.Bytes([]byte(content))}
}

// three are the assets most tests attach.
func three() []release.Asset {
	return []release.Asset{asset("SHA256SUMS", "sums"), asset("hello_1.0~rc.1-1_amd64.deb", strings.Repeat("deb", 1000)), asset("hello-1.0+git.x86_64.rpm", strings.Repeat("rpm", 1000))}
}

// only returns the one release of the repository.
func (h *host) only(t *testing.T) githubtest.Release {
	t.Helper()
	all := h.repo.Releases()
	if len(all) != 1 {
		t.Fatalf("%d releases, want 1: %+v", len(all), all)
	}
	return all[0]
}

// state tells a repository's releases as people see them: without ids and times.
func (h *host) state() string {
	var b strings.Builder
	for _, r := range h.repo.Releases() {
		fmt.Fprintf(&b, "%s %s %q %q draft=%v pre=%v latest=%s published=%d\n", r.Tag, r.Commit, r.Name, r.Body, r.Draft, r.Prerelease, r.MakeLatest, r.Published)
		as := slices.Clone(r.Assets)
		slices.SortFunc(as, func(a, b githubtest.Asset) int { return strings.Compare(a.Name, b.Name) })
		for _, a := range as {
			fmt.Fprintf(&b, "  %s %q %s %s %d %s\n", a.Name, a.Label, a.Type, a.State, a.Size, a.SHA256)
		}
	}
	return b.String()
}

// whole fails the test if a published release lacks one of the assets.
func (h *host) whole(t *testing.T, assets []release.Asset) {
	t.Helper()
	for _, r := range h.repo.Releases() {
		if r.Draft {
			continue
		}
		if r.Published != 1 {
			t.Errorf("release %s was published %d times", r.Tag, r.Published)
		}
		for _, a := range assets {
			got := r.Asset(release.HostName(a.Name))
			if got == nil || got.State != githubtest.Uploaded || got.SHA256 != a.Blob.Ref().SHA256.String() {
				t.Errorf("published release %s has %+v for %s", r.Tag, got, a.Name)
			}
		}
	}
}

// askedOnce fails the test if the release was asked to be published twice.
func (h *host) askedOnce(t *testing.T) {
	t.Helper()
	for _, r := range h.repo.Releases() {
		if r.Asked > 1 {
			t.Errorf("%d requests published release %s", r.Asked, r.Tag)
		}
	}
}

// clean is the state a run without trouble leaves.
func clean(t *testing.T) string {
	t.Helper()
	h := newHost(t, githubtest.Options{})
	if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	h.whole(t, three())
	return h.state()
}

// wantError fails the test unless err says all the words, and no secret.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q lacks %q", err, w)
		}
	}
	for _, secret := range []string{githubtest.Token, "sig="} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q has a secret", err)
		}
	}
}

var errStop = errors.New("stopped by the test")
