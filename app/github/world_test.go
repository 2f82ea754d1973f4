package github_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

// world is a GitHub with an App that is installed on acme/hello.
type world struct {
	*githubtest.Server
	t      *testing.T
	double *githubtest.App
	repo   *githubtest.Repository
	in     *githubtest.Installation
	app    *github.App
	c      *github.Client
	log    *strings.Builder

	mu    sync.Mutex
	time  time.Time
	skew  time.Duration // our clock is so much ahead of GitHub's
	waits []time.Duration
}

func newWorld(t *testing.T, o githubtest.Options) *world {
	t.Helper()
	w := &world{t: t, time: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), log: &strings.Builder{}}
	o.Now = w.now
	w.Server = githubtest.New(t, o)
	w.double = w.NewApp("Distro Pack")
	w.repo = w.Repo("acme", "hello")
	w.in = w.double.Install("acme", w.repo)
	w.app = w.open()
	w.c = w.app.Installation(w.in.ID)
	return w
}

func (w *world) options() github.Options {
	return github.Options{ID: w.double.ID, Key: w.double.Key, API: strings.TrimSuffix(w.URL, "/"), Web: strings.TrimSuffix(w.URL, "/api/v3/"), Now: w.ours, Wait: w.wait,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

// open makes an App that remembers nothing.
func (w *world) open() *github.App {
	w.t.Helper()
	a, err := github.New(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) ours() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time.Add(w.skew)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func (w *world) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = append(w.waits, d)
	return ctx.Err()
}

// nth puts a fault on the nth request from now on, from 1, whose method and path
// begin with a text.
func (w *world) nth(n int, prefix string, f githubtest.Fault) {
	var mu sync.Mutex
	seen := 0
	w.On(func(r *http.Request) githubtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasPrefix(r.Method+" "+githubtest.Path(r), prefix) {
			return githubtest.Fault{}
		}
		if seen++; seen == n {
			return f
		}
		return githubtest.Fault{}
	})
}

func (w *world) is(err, want error) {
	w.t.Helper()
	if want == nil && err != nil || !errors.Is(err, want) {
		w.t.Errorf("got %v, want %v", err, want)
	}
}

// asked runs f and returns the requests it made.
func (w *world) asked(f func()) []string {
	n := len(w.Requests())
	f()
	return w.Requests()[n:]
}
