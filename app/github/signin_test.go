package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

// browse returns where a page leads to.
func browse(t *testing.T, res *http.Response, err error) url.Values {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	return to.Query()
}

var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func TestPeopleSignIn(t *testing.T) {
	w := newWorld(t, githubtest.Options{PageSize: 2})
	secret := w.Repo("acme", "secret").Private()
	w.Repo("acme", "hidden").Private()
	w.in.Add(secret)
	w.double.Install("zoo", w.Repo("zoo", "ape"))
	w.Person("alice").May("admin", w.repo).May("pull", secret)
	w.SignIn("alice")
	back := "https://app.example.org" + github.SignInPath
	w.double.Callbacks(back)
	o, err := github.NewOAuth(w.double.ClientID, w.double.ClientSecret, w.options())
	if err != nil {
		t.Fatal(err)
	}
	verifier := strings.Repeat("verifier", 8)
	code := func() string {
		res, err := browser.Get(o.AuthorizeURL(back, "st&te", verifier))
		q := browse(t, res, err)
		if q.Get("state") != "st&te" || q.Get("code") == "" {
			t.Fatalf("came back with %v", q)
		}
		return q.Get("code")
	}
	first := code()
	token, err := o.Exchange(t.Context(), first, back, verifier)
	if err != nil || !token.Expires.Equal(w.now().Add(8*time.Hour)) || token.Refresh == "" || token.RefreshExpires.Before(token.Expires) {
		t.Fatalf("got %v, %v", token, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", token, *token, token, *token); strings.Contains(text, token.Token) || strings.Contains(text, token.Refresh) {
		t.Errorf("the token is in %s", text)
	}
	user, err := o.User(t.Context(), token.Token)
	if err != nil || user.Login != "alice" || user.ID != w.Person("alice").ID() || user.Avatar == "" {
		t.Errorf("got %+v, %v", user, err)
	}
	ins, err := o.UserInstallations(t.Context(), token.Token)
	if err != nil || len(ins) != 1 || ins[0].ID != w.in.ID {
		t.Errorf("got %+v, %v", ins, err)
	}
	repos, err := o.UserRepositories(t.Context(), token.Token, w.in.ID)
	if err != nil || len(repos) != 2 || !repos[0].Admin || !repos[0].Write || repos[1].Name != "secret" || repos[1].Write || repos[1].Admin {
		t.Errorf("got %+v, %v", repos, err)
	}
	again, err := o.Renew(t.Context(), token.Refresh)
	if err != nil || again.Token == token.Token {
		t.Errorf("got %v, %v", again, err)
	}

	refused := map[string]func() error{
		"a code twice":     func() error { _, err := o.Exchange(t.Context(), first, back, verifier); return err },
		"another's code":   func() error { _, err := o.Exchange(t.Context(), code(), back, verifier+"x"); return err },
		"another way back": func() error { _, err := o.Exchange(t.Context(), code(), back+"x", verifier); return err },
		"an old code": func() error {
			c := code()
			w.pass(time.Hour)
			_, err := o.Exchange(t.Context(), c, back, verifier)
			return err
		},
		"a token renewed": func() error { _, err := o.Renew(t.Context(), token.Refresh); return err },
		"a token signed out": func() error {
			w.SignOut("alice")
			_, err := o.User(t.Context(), again.Token)
			return err
		},
		"a wrong secret": func() error {
			wrong, err := github.NewOAuth(w.double.ClientID, "wrong-client-secret", w.options())
			if err != nil {
				t.Fatal(err)
			}
			_, err = wrong.Exchange(t.Context(), code(), back, verifier)
			return err
		},
	}
	for name, f := range refused {
		err := f()
		if w.is(err, github.ErrRefused); err != nil && (strings.Contains(err.Error(), first) || strings.Contains(err.Error(), "wrong-client-secret") || strings.Contains(err.Error(), token.Refresh)) {
			t.Errorf("%s: a secret is in %v", name, err)
		}
	}
	_, err = o.UserRepositories(t.Context(), "", 5)
	if err == nil {
		t.Error("nobody has installations")
	}
	if _, err := github.NewOAuth("", "", w.options()); err == nil {
		t.Error("an App without a client id")
	}
}

func TestAnAppIsMadeFromItsManifest(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	m := github.Manifest("Our Packages", "https://app.example.org/", "issues:write")
	var asked struct {
		Permissions map[string]string    `json:"default_permissions"`
		Hook        struct{ URL string } `json:"hook_attributes"`
	}
	if err := json.Unmarshal(m, &asked); err != nil || len(asked.Permissions) != 5 || asked.Permissions["issues"] != "write" || asked.Permissions["contents"] != "write" || asked.Hook.URL != "https://app.example.org"+github.HookPath {
		t.Errorf("got %+v, %v", asked, err)
	}
	for _, organization := range []string{"", "acme"} {
		res, err := browser.PostForm(github.ManifestURL(w.options().Web, organization, "s/1"), url.Values{"manifest": {string(m)}})
		q := browse(t, res, err)
		if q.Get("state") != "s/1" {
			t.Errorf("came back with %v", q)
		}
		made, err := github.Convert(t.Context(), w.URL, q.Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v", made, made, made); strings.Contains(text, made.ClientSecret) || strings.Contains(text, "PRIVATE") {
			t.Errorf("a secret is in %s", text)
		}
		key, err := github.ParseKey([]byte(made.PEM))
		if err != nil {
			t.Fatal(err)
		}
		o := w.options()
		o.ID, o.Key = made.ID, key
		a, err := github.New(o)
		if err != nil {
			t.Fatal(err)
		}
		self, err := a.Self(t.Context())
		if err != nil || self.Name != "Our Packages" || self.Slug != made.Slug || made.WebhookSecret == "" || made.ClientID == "" || !strings.Contains(a.InstallURL(made.Slug), "/apps/our-packages/installations/new") {
			t.Errorf("got %+v, %v", self, err)
		}
		if _, err = github.Convert(t.Context(), w.URL, q.Get("code")); err == nil || !strings.Contains(err.Error(), "begin again") || strings.Contains(err.Error(), q.Get("code")) {
			t.Errorf("got %v", err)
		}
	}
	for _, code := range []string{"", "a/b", "../../user"} {
		if asked := w.asked(func() {
			if _, err := github.Convert(t.Context(), w.URL, code); err == nil {
				t.Errorf("%q: no error", code)
			}
		}); len(asked) > 0 {
			t.Errorf("%q: asked %q", code, asked)
		}
	}
	if _, err := github.ParseKey([]byte("no key")); err == nil {
		t.Error("no key was read")
	}
}
