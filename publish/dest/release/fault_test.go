package release_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

// nth lets f decide about the n-th request, from 1 on.
func (h *host) nth(n int, f func(*http.Request) githubtest.Fault) {
	var mu sync.Mutex
	seen := 0
	h.On(func(r *http.Request) githubtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen != n {
			return githubtest.Fault{}
		}
		return f(r)
	})
}

// starts are what Attach may find.
var starts = map[string]func(h *host){
	"nothing": func(h *host) {},
	"a mutable published release": func(h *host) {
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "N", Published: 1, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("sums")}}})
	},
	"a mutable published release with other bytes": func(h *host) {
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "O", Published: 1, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("SUMS")}}})
	},
	"a draft with other bytes, half a file and a twin": func(h *host) {
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "Hello 1", Body: "All new.", Draft: true, Assets: []githubtest.Asset{
			{Name: "SHA256SUMS", Bytes: []byte("SUMS")}, {Name: "hello_1.0.rc.1-1_amd64.deb", State: githubtest.Starter, Created: h.now().Add(-time.Hour)}}})
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "Hello 1", Body: "All new.", Draft: true})
	},
}

// ways are how a request may end badly.
var ways = map[string]func(r *http.Request) githubtest.Fault{
	"cut before":        func(*http.Request) githubtest.Fault { return githubtest.Cut(false) },
	"cut after":         func(*http.Request) githubtest.Fault { return githubtest.Cut(true) },
	"502 before":        func(*http.Request) githubtest.Fault { return githubtest.Broken(502, false) },
	"504 after":         func(*http.Request) githubtest.Fault { return githubtest.Broken(504, true) },
	"200 without sense": func(*http.Request) githubtest.Fault { return githubtest.Fault{Status: 200, Done: true, Body: "<html>"} },
	"half an upload": func(r *http.Request) githubtest.Fault {
		if githubtest.IsUpload(r) {
			return githubtest.Fault{Stop: 2}
		}
		return githubtest.Cut(false)
	},
}

// each runs f for the given starts, every way and every request of a run, and hands
// it what the run without trouble leaves.
func each(t *testing.T, starts map[string]func(*host), immutable bool, f func(t *testing.T, h *host, n int, way func(*http.Request) githubtest.Fault, want string)) {
	o := release.AttachOptions{Replace: true}
	for start, prepare := range starts {
		fresh := func(t *testing.T) *host {
			h := newHost(t, githubtest.Options{})
			prepare(h)
			if immutable {
				h.repo.Immutable()
			}
			return h
		}
		h := fresh(t)
		if _, err := h.place(t).Attach(ctx, h.rel(), three(), o); err != nil {
			t.Fatal(err)
		}
		h.whole(t, three())
		want, requests := h.state(), len(h.Requests())
		for name, way := range ways {
			for n := 1; n <= requests; n++ {
				t.Run(fmt.Sprintf("%s/%s/%d", start, name, n), func(t *testing.T) {
					f(t, fresh(t), n, way, want)
				})
			}
		}
	}
}

func TestAfterACrashTheNextRunEndsWell(t *testing.T) {
	fromNothing := map[string]func(*host){"immutable": starts["nothing"]}
	for _, immutable := range []bool{false, true} {
		from := starts
		if immutable {
			from = fromNothing
		}
		each(t, from, immutable, func(t *testing.T, h *host, n int, way func(*http.Request) githubtest.Fault, want string) {
			c, cancel := context.WithCancel(ctx)
			h.nth(n, way)
			o := h.options()
			d := &dying{after: n, cancel: cancel}
			o.HTTP = &http.Client{Transport: d}
			if _, err := open(t, o).Attach(c, h.rel(), three(), release.AttachOptions{Replace: true}); err == nil {
				t.Error("the run ended well")
			}
			if d.seen != n {
				t.Errorf("%d requests, want %d: the run went on", d.seen, n)
			}
			h.afterCrash(t)
			h.On(nil)
			if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{Replace: true}); err != nil {
				t.Fatal(err)
			}
			h.whole(t, three())
			h.askedOnce(t)
			if got := h.state(); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// dying is a process that ends when a request does: it sees no answer and sends
// nothing more.
type dying struct {
	after  int
	cancel func()
	seen   int
}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	d.seen++
	res, err := http.DefaultTransport.RoundTrip(r)
	if d.seen == d.after {
		if err == nil {
			res.Body.Close()
		}
		d.cancel()
		return nil, errStop
	}
	return res, err
}

// afterCrash fails the test unless a published release has, after a crash, what it
// must: all, if this run published it, and else nothing less than before.
func (h *host) afterCrash(t *testing.T) {
	t.Helper()
	for _, r := range h.repo.Releases() {
		switch {
		case r.Draft:
		case r.Name == "N":
			h.whole(t, three()[:1])
		case r.Name == "O":
			if !slices.ContainsFunc(r.Assets, func(a githubtest.Asset) bool { return strings.EqualFold(string(a.Bytes), "sums") }) {
				t.Errorf("the file to replace is gone, and the new one is not there: %+v", r.Assets)
			}
		default:
			h.whole(t, three())
		}
	}
}

func TestOneBrokenAnswerDoesNotStopARun(t *testing.T) {
	each(t, starts, true, func(t *testing.T, h *host, n int, way func(*http.Request) githubtest.Fault, want string) {
		h.nth(n, way)
		if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{Replace: true}); err != nil {
			t.Fatal(err)
		}
		h.whole(t, three())
		h.askedOnce(t)
		if got := h.state(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		if h.total() > 30*time.Second {
			t.Errorf("waited %s", h.total())
		}
	})
}

// Whatever the host answers from some request on, nothing half may be published.
func TestAHostThatStaysBrokenEndsTheRun(t *testing.T) {
	want := clean(t)
	for name, way := range ways {
		for n := 1; n <= 14; n++ {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				h := newHost(t, githubtest.Options{})
				var mu sync.Mutex
				seen := 0
				h.On(func(r *http.Request) githubtest.Fault {
					mu.Lock()
					defer mu.Unlock()
					if seen++; seen < n {
						return githubtest.Fault{}
					}
					return way(r)
				})
				_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
				if err == nil && seen >= n {
					t.Errorf("the run ended well after %d requests", seen)
				}
				if err != nil {
					wantError(t, err, "release v1 of acme/hello")
				}
				h.whole(t, three())
				h.On(nil)
				if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
					t.Fatal(err)
				}
				if got := h.state(); got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
			})
		}
	}
}

func TestLimitsAreWaitedFor(t *testing.T) {
	// Each request of a run is refused once, in turn by each of the host's ways.
	limits := map[string]struct {
		fault func(h *host) githubtest.Fault
		wait  time.Duration
	}{
		"secondary":  {func(*host) githubtest.Fault { return githubtest.SecondaryLimit(17 * time.Second) }, 17 * time.Second},
		"429":        {func(*host) githubtest.Fault { return githubtest.TooMany(9 * time.Second) }, 9 * time.Second},
		"primary":    {func(h *host) githubtest.Fault { return githubtest.PrimaryLimit(h.now().Add(40 * time.Second)) }, 40 * time.Second},
		"no time":    {func(*host) githubtest.Fault { f := githubtest.TooMany(0); f.Header.Del("Retry-After"); return f }, time.Minute},
		"time is up": {func(*host) githubtest.Fault { return githubtest.SecondaryLimit(0) }, time.Second},
	}
	want := clean(t)
	for name, l := range limits {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, githubtest.Options{})
			var mu sync.Mutex
			refused := make(map[string]bool)
			h.On(func(r *http.Request) githubtest.Fault {
				mu.Lock()
				defer mu.Unlock()
				key := r.Method + r.URL.String()
				if refused[key] {
					return githubtest.Fault{}
				}
				refused[key] = true
				return l.fault(h)
			})
			if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := h.state(); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			if len(h.waited) != len(refused) {
				t.Errorf("waited %d times for %d refusals", len(h.waited), len(refused))
			}
			for _, w := range h.waited {
				if w != l.wait {
					t.Errorf("waited %s, want %s", w, l.wait)
				}
			}
		})
	}
}

func TestLimitsAreNotWaitedForAllDay(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	h.On(func(r *http.Request) githubtest.Fault {
		if githubtest.IsUpload(r) {
			return githubtest.PrimaryLimit(h.now().Add(50 * time.Minute))
		}
		return githubtest.Fault{}
	})
	_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	wantError(t, err, "takes no more requests for 50m0s", "run again")
	var l *release.LimitError
	if !errors.As(err, &l) || l.Wait != 50*time.Minute {
		t.Errorf("got %#v", err)
	}
	if h.total() != 0 {
		t.Errorf("waited %s", h.total())
	}
	// Many short waits are a long one, too.
	h.On(func(r *http.Request) githubtest.Fault { return githubtest.SecondaryLimit(time.Minute) })
	_, err = h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	wantError(t, err, "takes no more requests")
	if h.total() != 5*time.Minute {
		t.Errorf("waited %s, want 5 minutes", h.total())
	}
}

func TestRefusalsHaveEachTheirMessage(t *testing.T) {
	const readonly, elsewhere = "ghs_readonly_readonly_readonly", "ghs_elsewhere_elsewhere_elsewhere"
	o := githubtest.Options{Tokens: map[string]githubtest.Grant{githubtest.Token: {Write: true}, readonly: {}, elsewhere: {Write: true, Only: []string{"acme/other"}}}}
	tests := map[string]struct {
		token   string
		private bool
		fault   githubtest.Fault
		words   []string
	}{
		"wrong token":           {token: "ghs_wrong_wrong_wrong_wrong", words: []string{"refuses the token", "Make a new one"}},
		"no token":              {words: []string{"wants a token", "contents: write"}},
		"read only":             {token: readonly, words: []string{"make a draft", "may not", "contents: write", "acme/hello"}},
		"private, no access":    {token: elsewhere, private: true, words: []string{"not found", "acme/hello", "may not see it"}},
		"500":                   {token: githubtest.Token, fault: githubtest.Broken(500, false), words: []string{"has trouble", "500", "run again"}},
		"cut":                   {token: githubtest.Token, fault: githubtest.Cut(false), words: []string{"gave no answer"}},
		"nonsense":              {token: githubtest.Token, fault: githubtest.Fault{Status: 200, Body: "<html>"}, words: []string{"look at the tag: the answer of 127.0.0.1:", " is broken: invalid character '<'"}},
		"redirects in a circle": {token: githubtest.Token, fault: githubtest.Fault{Status: 307, Header: http.Header{"Location": {"v1"}}}, words: []string{"more than 5 redirects: check the API's URL"}},
		"redirect to elsewhere": {token: githubtest.Token, fault: githubtest.Fault{Status: 307, Header: http.Header{"Location": {"http://localhost:1/"}}}, words: []string{"leads to another host"}},
		"400":                   {token: githubtest.Token, fault: githubtest.Fault{Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"message":"no ` + githubtest.Token + `"}`}, words: []string{"status 400", "no [secret]"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, o)
			if tt.private {
				h.repo.Private()
			}
			h.On(func(*http.Request) githubtest.Fault { return tt.fault })
			opts := h.options()
			opts.Token = func(context.Context) (string, error) { return tt.token, nil }
			_, err := open(t, opts).Attach(ctx, h.rel(), three(), release.AttachOptions{})
			wantError(t, err, append(tt.words, "release v1 of acme/hello")...)
			if tt.token != "" && strings.Contains(err.Error(), tt.token) {
				t.Errorf("error %q has the token", err)
			}
			if len(h.repo.Releases()) != 0 {
				t.Errorf("made %s", h.state())
			}
		})
	}
	t.Run("no token to be had", func(t *testing.T) {
		h := newHost(t, o)
		opts := h.options()
		opts.Token = func(context.Context) (string, error) { return "", errStop }
		_, err := open(t, opts).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		if !errors.Is(err, errStop) || len(h.Requests()) != 0 {
			t.Errorf("got %v after %q", err, h.Requests())
		}
	})
}

func TestAnswersThatDoNotFitWhatWasAsked(t *testing.T) {
	t.Run("a draft that no list shows", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.On(func(r *http.Request) githubtest.Fault {
			if r.Method == "GET" && githubtest.Path(r) == "/repos/acme/hello/releases" {
				return githubtest.Fault{Status: 200, Body: "[]"}
			}
			return githubtest.Fault{}
		})
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, "a draft was made and is not in the list of releases: run again")
		h.On(nil)
		if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		h.only(t)
		h.whole(t, three())
	})
	t.Run("a file under another name", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.On(func(r *http.Request) githubtest.Fault {
			if githubtest.IsUpload(r) {
				return githubtest.Fault{Status: 201, Body: `{"id": 7, "name": "default.sums"}`}
			}
			return githubtest.Fault{}
		})
		_, err := h.place(t).Attach(ctx, h.rel(), three()[:1], release.AttachOptions{})
		wantError(t, err, `upload SHA256SUMS: the host calls it "default.sums": choose another name`)
		if r := h.only(t); !r.Draft {
			t.Errorf("published %+v", r)
		}
	})
}
