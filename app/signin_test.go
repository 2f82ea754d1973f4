package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web"
	"github.com/distropack/distropack/publish/githubtest"
)

// userToken signs somebody in and returns the token.
func (w *world) userToken(s *signIn, login string) string {
	w.t.Helper()
	const back = "http://localhost/signin/github"
	w.double.Callbacks(back)
	w.hub.SignIn(login)
	verifier := strings.Repeat("v", 43)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(s.AuthorizeURL(back, "state", verifier))
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	tok, err := s.Exchange(w.t.Context(), to.Query().Get("code"), back, verifier)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := s.Exchange(w.t.Context(), to.Query().Get("code"), back, verifier); !errors.Is(err, web.ErrUnauthorized) {
		w.t.Errorf("a code that was used: %v", err)
	}
	return tok.Token
}

func TestPeopleSeeWhatTheySeeOnGitHub(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	s := &signIn{creds: r.creds, store: r.store, api: r.o.API}
	secret := w.hub.Repo("acme", "secret").Private()
	open := w.hub.Repo("fox", "open")
	w.in.Add(secret)
	for _, x := range []*githubtest.Repository{w.repo, secret, open} {
		if err := r.store.SaveRepository(t.Context(), &store.Repository{ID: x.ID(), Installation: w.in.ID, Owner: x.Owner, Name: x.Name}); err != nil {
			t.Fatal(err)
		}
	}
	w.hub.Person("ada").May("admin", w.repo).May("maintain", secret)
	w.hub.Person("mel").May("push", w.repo)
	ada, mel := w.userToken(s, "ada"), w.userToken(s, "mel")

	u, err := s.User(t.Context(), ada)
	if err != nil || u.Login != "ada" || u.ID != w.hub.Person("ada").ID() {
		t.Errorf("got %+v, %v", u, err)
	}
	list, err := s.Repositories(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	want := []web.Access{
		{ID: w.repo.ID(), Installation: w.in.ID, Owner: "acme", Name: "hello", Admin: true, Maintain: true},
		{ID: secret.ID(), Installation: w.in.ID, Owner: "acme", Name: "secret", Maintain: true},
	}
	if fmt.Sprint(list) != fmt.Sprint(want) {
		t.Errorf("ada sees %+v, want %+v", list, want)
	}
	for _, c := range []struct {
		who, token string
		id         int64
		want       web.Access
		err        error
	}{
		{"ada", ada, secret.ID(), web.Access{ID: secret.ID(), Owner: "acme", Name: "secret"}, nil},
		{"mel", mel, w.repo.ID(), web.Access{ID: w.repo.ID(), Owner: "acme", Name: "hello"}, nil},
		{"mel", mel, secret.ID(), web.Access{}, web.ErrNotVisible},
		{"mel", mel, open.ID(), web.Access{ID: open.ID(), Owner: "fox", Name: "open"}, nil},
		{"mel", mel, 999999, web.Access{}, web.ErrNotVisible},
		{"nobody", "ghu_unknown0000000000000000000", w.repo.ID(), web.Access{}, web.ErrUnauthorized},
	} {
		got, err := s.Repository(t.Context(), c.token, c.id)
		if !errors.Is(err, c.err) || c.err == nil && (err != nil || *got != c.want) {
			t.Errorf("%s and %d: %+v, %v; want %+v, %v", c.who, c.id, got, err, c.want, c.err)
		}
	}
	// By its old name it is followed; by a name that another one has now it is not.
	open.Rename("opened")
	if got, err := s.Repository(t.Context(), mel, open.ID()); err != nil || got.Name != "opened" {
		t.Errorf("renamed: %+v, %v", got, err)
	}
	w.hub.Repo("fox", "open")
	if got, err := s.Repository(t.Context(), mel, open.ID()); !errors.Is(err, web.ErrNotVisible) {
		t.Errorf("under its old name there is another: %+v, %v", got, err)
	}
	w.hub.SignOut("ada")
	if _, err := s.Repositories(t.Context(), ada); !errors.Is(err, web.ErrUnauthorized) {
		t.Errorf("after signing out: %v", err)
	}
	if _, err := s.User(t.Context(), ada); !errors.Is(err, web.ErrUnauthorized) {
		t.Errorf("after signing out: %v", err)
	}

	// Trouble at GitHub is neither of the two: nobody is told that something is hidden.
	for fault, want := range map[string]githubtest.Fault{
		"GitHub answers 502":               githubtest.Broken(502, false),
		"GitHub takes no more requests of": githubtest.SecondaryLimit(60e9),
		"takes no more requests of this":   githubtest.TooMany(60e9),
		"EOF":                              githubtest.Cut(false),
		"GitHub's answer can't be read":    {Done: true, Status: 200, Body: "<"},
	} {
		w.hub.On(func(*http.Request) githubtest.Fault { return want })
		_, err := s.Repository(t.Context(), mel, w.repo.ID())
		if err == nil || errors.Is(err, web.ErrNotVisible) || errors.Is(err, web.ErrUnauthorized) || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), mel) {
			t.Errorf("%s: %v", fault, err)
		}
	}
	w.hub.On(nil)
}

// More repositories than fit on one of GitHub's pages.
func TestAllPagesOfRepositoriesAreRead(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	ada := w.hub.Person("ada")
	for i := range 130 {
		repo := w.hub.Repo("acme", fmt.Sprintf("r%03d", i))
		ada.May("pull", repo)
		w.in.Add(repo)
	}
	s := &signIn{creds: r.creds, store: r.store, api: r.o.API}
	list, err := s.Repositories(t.Context(), w.userToken(s, "ada"))
	if err != nil || len(list) < 130 {
		t.Errorf("%d repositories, %v", len(list), err)
	}
}
