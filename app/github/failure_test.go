package github_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestTroubleIsTriedAgainAFewTimes(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	if _, _, err := w.c.Token(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) error { _, err := w.c.Repository(ctx, "acme", "hello"); return err }
	// Where a connection ends without an answer, Go's transport asks once more itself.
	w.On(func(*http.Request) githubtest.Fault { return githubtest.Cut(false) })
	if err := ask(t.Context()); !github.Temporary(err) {
		t.Errorf("cut: got %v", err)
	}
	for name, f := range map[string]githubtest.Fault{"503": githubtest.Broken(503, false), "half": {Status: 200, Body: `{"id":`}} {
		w.waits = nil
		w.nth(1, "", f)
		if err := ask(t.Context()); err != nil || !slices.Equal(w.waits, []time.Duration{time.Second / 2}) {
			t.Errorf("%s: got %v after %v", name, err, w.waits)
		}
		w.On(func(*http.Request) githubtest.Fault { return f })
		var err error
		n := len(w.asked(func() { err = ask(t.Context()) }))
		var e *github.Error
		if !errors.As(err, &e) || !e.Temporary() || !github.Temporary(err) || e.Subject != "acme/hello" || n != 3 {
			t.Errorf("%s: got %v after %d requests", name, err, n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.is(ask(ctx), context.Canceled)
	w.On(nil)
	// What would make something twice is not repeated.
	w.double.Permit(map[string]string{"issues": "write", "metadata": "read"})
	w.in.Accept()
	c := w.open().Installation(w.in.ID)
	n := w.repo.AddIssue("T", "B", "somebody")
	w.nth(1, "POST /repos/acme/hello/issues", githubtest.Cut(true))
	if err := c.Comment(t.Context(), "acme", "hello", n, "text"); !github.Temporary(err) {
		t.Errorf("got %v", err)
	}
	if got := w.repo.Issues()[0].Comments; len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestLimitsAreErrors(t *testing.T) {
	w := newWorld(t, githubtest.Options{Limits: githubtest.Limits{Hour: 10}})
	w.skew = 30 * time.Second // the host's clock counts, not ours
	ask := func() error { _, err := w.c.Repository(t.Context(), "acme", "hello"); return err }
	for range 10 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if n, until, ok := w.c.Left(); !ok || n != 0 || !until.Equal(w.ours().Add(time.Hour)) {
		t.Errorf("left %d until %v, %v", n, until, ok)
	}
	var l *github.Limit
	if err := ask(); !errors.As(err, &l) || !l.Until.Equal(w.ours().Add(time.Hour)) || !github.Temporary(err) {
		t.Fatalf("got %v", err)
	}
	if asked := w.asked(func() {
		if err := ask(); !errors.As(err, &l) {
			t.Errorf("got %v", err)
		}
	}); len(asked) != 0 {
		t.Errorf("asked %q all the same", asked)
	}
	// Others go on.
	other := w.double.Install("zoo", w.Repo("zoo", "ape"))
	if _, err := w.app.Installation(other.ID).Repositories(t.Context()); err != nil {
		t.Error(err)
	}
	if len(w.waits) > 0 {
		t.Errorf("waited %v", w.waits)
	}
	w.pass(time.Hour)
	w.is(ask(), nil)
	if u := w.in.Usage(); u.Primary != 1 {
		t.Errorf("got %+v", u)
	}
}

func TestMakingTooMuchIsLimited(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	sha := w.repo.Commit("first")
	var err error
	n := 0
	for ; err == nil && n < 200; n++ {
		_, err = w.c.CreateCheck(t.Context(), "acme", "hello", github.Check{Name: "DistroPack", HeadSHA: sha, ExternalID: fmt.Sprint(n)})
	}
	var l *github.Limit
	if !errors.As(err, &l) || n != 81 || !l.Until.Equal(w.now().Add(time.Minute)) {
		t.Fatalf("got %v after %d", err, n)
	}
	w.pass(time.Minute)
	if _, err := w.c.CreateCheck(t.Context(), "acme", "hello", github.Check{Name: "DistroPack", HeadSHA: sha}); err != nil {
		t.Error(err)
	}
	if u := w.in.Usage(); u.Minute != 80 || u.Second != 1 {
		t.Errorf("got %+v", u)
	}
}

func TestEveryKindOfLimitIsKnown(t *testing.T) {
	none := githubtest.TooMany(0)
	none.Header.Del("Retry-After")
	w := newWorld(t, githubtest.Options{})
	for name, tt := range map[string]struct {
		f    githubtest.Fault
		wait time.Duration
	}{
		"secondary":  {githubtest.SecondaryLimit(17 * time.Second), 17 * time.Second},
		"429":        {githubtest.TooMany(9 * time.Second), 9 * time.Second},
		"primary":    {githubtest.PrimaryLimit(w.now().Add(40 * time.Second)), 40 * time.Second},
		"no time":    {none, time.Minute},
		"time is up": {githubtest.SecondaryLimit(0), time.Second},
	} {
		c := w.open().Installation(w.in.ID)
		w.nth(1, "GET", tt.f)
		_, err := c.Repository(t.Context(), "acme", "hello")
		var l *github.Limit
		if !errors.As(err, &l) || !l.Until.Equal(w.now().Add(tt.wait)) {
			t.Errorf("%s: got %v", name, err)
		}
		w.nth(1, "POST", tt.f) // where a token is asked for
		_, err = w.open().Installation(w.in.ID).Repository(t.Context(), "acme", "hello")
		if !errors.As(err, &l) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTokensStayOnTheHost(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s got %s with %q", r.Host, r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	w := newWorld(t, githubtest.Options{})
	for _, status := range []int{301, 302, 307, 308} {
		f := githubtest.Fault{Status: status, Header: http.Header{"Location": {elsewhere.URL + "/api/v3/repositories/1"}}}
		w.On(func(r *http.Request) githubtest.Fault {
			if r.Method == "GET" {
				return f
			}
			return githubtest.Fault{}
		})
		_, err := w.c.Repository(t.Context(), "acme", "hello")
		if err == nil || !strings.Contains(err.Error(), "another host") || strings.Contains(err.Error(), elsewhere.URL) {
			t.Errorf("%d: got %v", status, err)
		}
	}
	// A page's link may not lead there either.
	w.On(func(r *http.Request) githubtest.Fault {
		if r.URL.Query().Get("page") == "" && r.Method == "GET" {
			return githubtest.Fault{Status: 200, Header: http.Header{"Link": {"<" + elsewhere.URL + `/x?page=2&per_page=100>; rel="next"`}}, Body: `{"repositories":[]}`}
		}
		return githubtest.Fault{}
	})
	asked := w.asked(func() {
		if _, err := w.c.Repositories(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
}

// Whatever GitHub says, and it may repeat what it was told, no secret gets into an
// error or the log.
func TestNoSecretGetsOut(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	var secrets []string
	seen := func(r *http.Request) string {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if token != "" {
			secrets = append(secrets, token)
		}
		return token
	}
	token, _, err := w.c.Token(t.Context(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"installation": func() error { _, err := w.c.Repository(t.Context(), "acme", "hello"); return err },
		"a new issue":  func() error { _, err := w.c.OpenIssue(t.Context(), "acme", "hello", "T", "B"); return err },
		"app":          func() error { _, err := w.open().Self(t.Context()); return err },
		"minting": func() error {
			_, _, err := w.open().Installation(w.in.ID).Token(t.Context(), 0, nil)
			return err
		},
	}
	for name, call := range calls {
		for _, status := range []int{200, 400, 401, 403, 404, 410, 422, 500, 502, 302} {
			w.On(func(r *http.Request) githubtest.Fault {
				b, _ := json.Marshal(map[string]any{"message": "you said " + seen(r) + " and " + token[:40] + " at https://x.example.org/y?sig=abcdefg", "errors": []any{map[string]string{"message": seen(r)}}})
				if status == 200 {
					b = []byte(`{"id":"` + seen(r) + `"}`)
				}
				return githubtest.Fault{Status: status, Header: http.Header{"Location": {"https://elsewhere.example.org/?token=" + seen(r)}}, Body: string(b)}
			})
			err := call()
			w.On(nil)
			if err == nil {
				if status == 200 {
					continue
				}
				t.Errorf("%s: %d is no error", name, status)
			}
			for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), w.log.String()} {
				for _, s := range append(secrets, "abcdefg", token[:40], "elsewhere.example.org") {
					if strings.Contains(text, s) {
						t.Errorf("%s: %d: %s is in %s", name, status, s, text)
					}
				}
			}
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"a ghs_1234_eyJhbGciOiJub25lIn0.secret-part.of_the-token b": "a [secret] b",
		"github_pat_" + strings.Repeat("a", 30):                     "[secret]",
		"ghp_short":                                                 "ghp_short",
		"Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI0MiJ9.sig-na_ture!": "Bearer [secret]!",
		"GET https://h/p?sig=1&x=2 failed":                          "GET https://h/p?[secret] failed",
		"where? there":                                              "where? there",
	} {
		if got := github.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}
