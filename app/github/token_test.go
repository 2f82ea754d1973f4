package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestTokensAreForOneJob(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	other := w.Repo("acme", "other")
	read := map[string]string{"contents": "read"}
	token, expires, err := w.c.Token(t.Context(), w.repo.ID(), read)
	if err != nil {
		t.Fatal(err)
	}
	repos, permissions, ok := w.TokenOf(token)
	want := map[string]string{"contents": "read", "metadata": "read"}
	if !ok || !slices.Equal(repos, []string{"acme/hello"}) || !maps.Equal(permissions, want) || !expires.Equal(w.now().Add(time.Hour)) {
		t.Errorf("got %v, %v, %v", repos, permissions, expires)
	}
	if again, _, _ := w.c.Token(t.Context(), w.repo.ID(), read); again != token {
		t.Error("the same job got two tokens")
	}
	all, _, err := w.c.Token(t.Context(), 0, nil)
	if repos, permissions, _ := w.TokenOf(all); err != nil || all == token || repos != nil || permissions["checks"] != "write" {
		t.Errorf("got %v, %v, %v", repos, permissions, err)
	}
	_, _, err = w.c.Token(t.Context(), w.repo.ID(), map[string]string{"issues": "write"})
	w.is(err, github.ErrForbidden)
	_, _, err = w.c.Token(t.Context(), other.ID(), read)
	w.is(err, github.ErrNotFound)
	_, _, err = w.app.Installation(5).Token(t.Context(), 0, nil)
	w.is(err, github.ErrNoInstallation)
	w.is(err, github.ErrNotFound)
}

func TestTokensAreRenewedBeforeTheirEnd(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	mint := fmt.Sprintf("POST /app/installations/%d/access_tokens", w.in.ID)
	for i, tt := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {54 * time.Minute, 1}, {time.Minute, 2}, {time.Hour, 3}} {
		w.pass(tt.after)
		if _, err := w.c.Repositories(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Another Client of the App has the same tokens.
		if _, err := w.app.Installation(w.in.ID).Repository(t.Context(), "acme", "hello"); err != nil {
			t.Fatal(err)
		}
		if n := w.Count(mint); n != tt.want {
			t.Errorf("step %d: %d tokens, want %d", i, n, tt.want)
		}
	}
	// A revoked one is replaced once, and the request goes through.
	w.Revoke()
	if _, err := w.c.Repositories(t.Context()); err != nil || w.Count(mint) != 4 {
		t.Errorf("got %v and %d tokens", err, w.Count(mint))
	}
}

func TestManyJobsAskForOneToken(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := w.c.Repository(t.Context(), "acme", "hello"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.Count("POST /app/installations"); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestTheAppProvesItself(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	self, err := w.app.Self(t.Context())
	if err != nil || self.Slug != "distro-pack" || self.Permissions["checks"] != "write" || !slices.Contains(self.Events, "push") {
		t.Errorf("got %+v, %v", self, err)
	}
	for _, tt := range []struct {
		skew time.Duration
		good bool
	}{{0, true}, {50 * time.Second, true}, {-3 * time.Minute, true}, {90 * time.Second, false}, {7 * time.Minute, false}, {-5 * time.Minute, false}} {
		w.skew = tt.skew
		_, err := w.open().Self(t.Context())
		if tt.good {
			w.is(err, nil)
			continue
		}
		w.is(err, github.ErrRefused)
		if !strings.Contains(fmt.Sprint(err), "clock") {
			t.Errorf("no word of the clock: %v", err)
		}
	}
	w.skew = 0
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(o *github.Options){"another key": func(o *github.Options) { o.Key = key }, "another App": func(o *github.Options) { o.ID = 3 }} {
		o := w.options()
		change(&o)
		a, err := github.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Self(t.Context()); !strings.Contains(fmt.Sprint(err), "private key") {
			t.Errorf("%s: got %v", name, err)
		}
		_, err = a.Installation(w.in.ID).Repositories(t.Context())
		w.is(err, github.ErrRefused)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	for name, change := range map[string]func(o *github.Options){
		"id":           func(o *github.Options) { o.ID = 0 },
		"private key":  func(o *github.Options) { o.Key = nil },
		"no address":   func(o *github.Options) { o.API = "github.example.org" },
		"address of G": func(o *github.Options) { o.API = "https://token@github.example.org/api/v3" },
	} {
		o := w.options()
		change(&o)
		if _, err := github.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSuspendedAndRemoved(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	if _, err := w.c.Repositories(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.in.Suspend()
	_, err := w.c.Repositories(t.Context()) // with the token it has
	w.is(err, github.ErrSuspended)
	_, _, err = w.app.Installation(w.in.ID).Token(t.Context(), w.repo.ID(), nil)
	w.is(err, github.ErrSuspended)
	if i, err := w.app.FindInstallation(t.Context(), w.in.ID); err != nil || !i.Suspended || i.Account != "acme" {
		t.Errorf("got %+v, %v", i, err)
	}
	w.in.Unsuspend()
	_, err = w.c.Repositories(t.Context())
	w.is(err, nil)
	w.in.Uninstall()
	_, err = w.c.Repositories(t.Context())
	w.is(err, github.ErrNoInstallation)
	_, err = w.app.FindInstallation(t.Context(), w.in.ID)
	w.is(err, github.ErrNoInstallation)
}

func TestInstallations(t *testing.T) {
	w := newWorld(t, githubtest.Options{PageSize: 2})
	w.Organization("corp")
	tool := w.Repo("corp", "tool").Private()
	w.double.Install("corp")
	w.double.Install("zoo", w.Repo("zoo", "ape"))
	all, err := w.app.Installations(t.Context())
	if err != nil || len(all) != 3 || all[1].Account != "corp" || all[1].AccountType != "Organization" || !all[1].All || all[0].All || all[0].AccountID == all[1].AccountID {
		t.Errorf("got %+v, %v", all, err)
	}
	repos, err := w.app.Installation(all[1].ID).Repositories(t.Context())
	if err != nil || len(repos) != 1 || repos[0].ID != tool.ID() || repos[0].Owner != "corp" || !repos[0].Private || repos[0].DefaultBranch != "main" {
		t.Errorf("got %+v, %v", repos, err)
	}
	for n := range 4 {
		w.Repo("corp", fmt.Sprint("more", n))
	}
	if i, err := w.app.InstallationOf(t.Context(), "corp", "more1"); err != nil || i.ID != all[1].ID {
		t.Errorf("got %+v, %v", i, err)
	}
	if repos, err = w.app.Installation(all[1].ID).Repositories(t.Context()); err != nil || len(repos) != 5 {
		t.Errorf("got %d repositories, %v", len(repos), err)
	}
	_, err = w.app.InstallationOf(t.Context(), "acme", "nothing")
	w.is(err, github.ErrNoInstallation)
	// One installation sees nothing private of another.
	_, err = w.c.Repository(t.Context(), "corp", "tool")
	w.is(err, github.ErrNotFound)
}
