package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/hook"
	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/publish/githubtest"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is a GitHub, a store, and a loop between them, at one time.
type world struct {
	*githubtest.Server
	t      *testing.T
	double *githubtest.App
	app    *github.App
	s      *store.Store
	l      *reconcile.Loop
	o      reconcile.Options
	inbox  string // where webhooks are to go

	mu       sync.Mutex
	time     time.Time
	enqueued []reconcile.Trigger
	refuse   error // of Enqueue
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// each runs f on both databases.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) { f(t, newWorld(t, url)) })
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, time: noon}
	w.Server = githubtest.New(t, githubtest.Options{Now: w.now})
	w.double = w.NewApp("Distro Pack")
	w.app = w.open()
	var err error
	w.s, err = store.Open(t.Context(), url, store.Options{Now: w.now})
	must(t, err)
	t.Cleanup(func() { w.s.Close() })
	front := httptest.NewServer(hook.Handler(hook.Options{Secrets: func(context.Context) ([][]byte, error) { return [][]byte{[]byte(w.double.WebhookSecret)}, nil }, Inbox: w.s, Now: w.now}))
	t.Cleanup(front.Close)
	w.inbox = front.URL
	w.o = reconcile.Options{
		Store: w.s, Node: "one", GitHub: func() *github.App { return w.app }, Now: w.now, Rand: func() float64 { return 0.5 },
		Enqueue: func(_ context.Context, tr reconcile.Trigger) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse != nil {
				return w.refuse
			}
			w.enqueued = append(w.enqueued, tr)
			return nil
		},
		Recover: func(context.Context, string) error { return errors.New("no node is expected to be dead") },
		Resign:  func(context.Context, reconcile.Site) error { return errors.New("no site is expected to be due") },
		Warn:    func(context.Context, reconcile.Warning) error { return errors.New("no key is expected to expire") },
	}
	w.restart()
	return w
}

// open makes an App that remembers nothing.
func (w *world) open() *github.App {
	w.t.Helper()
	a, err := github.New(github.Options{ID: w.double.ID, Key: w.double.Key, API: strings.TrimSuffix(w.URL, "/"), Now: w.now, Wait: func(context.Context, time.Duration) error { return nil }})
	must(w.t, err)
	return a
}

// restart makes a loop that remembers what is in the store.
func (w *world) restart() { w.l = reconcile.New(w.o) }

// installed makes a repository of an account that the App is installed on, known to
// the store since now.
func (w *world) installed(owner, name string) (*githubtest.Repository, *githubtest.Installation) {
	w.t.Helper()
	r := w.Repo(owner, name)
	i := w.double.Install(owner, r)
	w.know(i, r)
	return r, i
}

func (w *world) know(i *githubtest.Installation, repos ...*githubtest.Repository) {
	w.t.Helper()
	must(w.t, w.s.SaveInstallation(w.t.Context(), &store.Installation{ID: i.ID, Account: i.Account, AccountID: 1, AccountType: "User"}))
	for _, r := range repos {
		must(w.t, w.s.SaveRepository(w.t.Context(), &store.Repository{ID: r.ID(), Installation: i.ID, Owner: r.Owner, Name: r.Name, DefaultBranch: "main"}))
	}
}

// handed returns what was enqueued since it was called last: "tag commit".
func (w *world) handed() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, t := range w.enqueued {
		text := t.Tag + "@" + t.Commit[:4]
		if t.Moved {
			text += " moved"
		}
		if t.Release {
			text += " release"
		}
		all = append(all, text)
	}
	w.enqueued = nil
	return strings.Join(all, ", ")
}

// config is the files of a commit that is to be released.
var config = map[string]string{"distropack.yml": "version: 1\n"}

// sha makes a commit hash that begins with a word of four hexadecimal digits.
func sha(word string) string { return (word + strings.Repeat("0", 40))[:40] }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// limitOn answers requests whose path has a word with GitHub's limit.
func (w *world) limitOn(word string, until time.Time) {
	w.On(func(r *http.Request) githubtest.Fault {
		if strings.Contains(r.URL.Path, word) {
			return githubtest.PrimaryLimit(until)
		}
		return githubtest.Fault{}
	})
}
