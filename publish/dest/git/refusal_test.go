package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

// wants checks that an error names what is to be done, and no secret.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	if errors.Is(err, publish.ErrConflict) {
		t.Errorf("%v is a conflict", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
	if strings.Contains(err.Error(), testToken) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q has a secret, or more than one line", err)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	publishtest.Need(t, "git")
	const hook = "cat >/dev/null; echo \"$TEXT\" >&2; exit 1"
	for _, c := range []struct {
		name    string
		server  gittest.Options
		options Options
		answer  func(w http.ResponseWriter, r *http.Request) bool // true: answered
		want    []string
	}{
		{name: "wrong token", server: gittest.Options{Token: testToken}, options: Options{Token: token("expired.token")}, want: []string{"the host refuses the token: it is wrong or has expired; give one that may write to it", `the host says "Invalid username or token."`}},
		{name: "no token", server: gittest.Options{Token: testToken}, want: []string{"the host wants a token, and there is none: give one that may write to it"}},
		{name: "the token can't be had", options: Options{Token: func(context.Context) (string, error) { return "", errors.New("MY_TOKEN is not set") }}, want: []string{"MY_TOKEN is not set"}},
		{name: "may only read", options: Options{Token: token(testToken)}, answer: func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.RawQuery, receivePack) {
				http.Error(w, "Permission to a/b.git denied to c. "+testToken+"\x1b[31m", http.StatusForbidden)
				return true
			}
			return false
		}, want: []string{`the token does not suffice: give it permission to write to it (on GitHub "contents: write"); the host says "Permission to a/b.git denied to c. [secret] [31m"`}},
		{name: "may read, refused at the push", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
				http.Error(w, "no", http.StatusForbidden)
				return true
			}
			return false
		}, want: []string{`the host does not allow that without a token: give one that may write to it (on GitHub "contents: write"); the host says "no"`}},
		{name: "no repository", answer: func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, want: []string{"there is no such repository, or it is not shown without a token: correct the URL, or give a token"}},
		{name: "no repository for this token", options: Options{Token: token(testToken)}, answer: status(http.StatusGone), want: []string{"there is no such repository, or this token may not see it: correct the URL, or give the token permission to write"}},
		{name: "not git", answer: func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, "<html>hello"); return true }, want: []string{`the host's answer is not git's but "text/html": correct the URL, or the proxy in between`}},
		{name: "busy", answer: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, want: []string{"the host is busy (HTTP 429): try again in 30 seconds"}},
		{name: "busy until", answer: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "Sun, 22 Nov 2026 10:00:00 GMT")
			return status(http.StatusServiceUnavailable)(w, r)
		}, want: []string{"the host is busy (HTTP 503): try again after Sun, 22 Nov 2026 10:00:00 GMT"}},
		{name: "busy, for how long nobody knows", answer: status(http.StatusServiceUnavailable), want: []string{"the host is busy (HTTP 503): try again later"}},
		{name: "a fault", answer: func(w http.ResponseWriter, r *http.Request) bool { http.Error(w, "oh", 500); return true }, want: []string{`the host answers with HTTP 500: correct the URL, or try again later; the host says "oh"`}},
		{name: "a proxy", answer: status(http.StatusProxyAuthRequired), want: []string{"the proxy in between wants a password: put it where this machine's proxy is set"}},
		{name: "moved after the greeting", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				http.Redirect(w, r, "/new.git", http.StatusTemporaryRedirect)
			}
			return r.Method == http.MethodPost
		}, want: []string{"the host redirects a request (HTTP 307), which is not followed with the token: make the repository's present address the URL", " (whether the branch was changed is not known: "}},
		{name: "too large", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return true
			}
			return false
		}, want: []string{"the push is larger than the host, or a proxy before it, takes: raise its limit, or keep large packages in a bucket"}},
		{name: "no chunks", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusLengthRequired)
				return true
			}
			return false
		}, want: []string{"the host, or a proxy before it, takes no request without a length (HTTP 411): allow chunked requests there"}},
		{name: "protected", server: gittest.Options{PreReceive: strings.Replace(hook, "$TEXT", "error: GH006: Protected branch update failed for refs/heads/gh-pages.", 1)}, want: []string{`the host refused the push: "pre-receive hook declined", and said`, "GH006", "the branch is protected: allow this publisher to push to it in the host's settings"}},
		{name: "large file", server: gittest.Options{PreReceive: strings.Replace(hook, "$TEXT", "error: GH001: Large files detected.", 1)}, want: []string{"a file is larger than the host takes: keep such packages in a bucket or a release"}},
		{name: "a hook with bad words", server: gittest.Options{PreReceive: "printf '\\033[31mno\\r\\n\\007 way'; head -c 100000 /dev/zero | tr '\\0' x; exit 1"}, want: []string{"no", "way", "pre-receive hook declined"}},
		{name: "another object format", server: gittest.Options{SHA256: true}, want: []string{"the repository names its objects by SHA-256, which is not supported: make one with --object-format=sha1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := false
			c.server.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !broken || c.answer == nil || !c.answer(w, r) {
						next.ServeHTTP(w, r)
					}
				})
			}
			s := gittest.Serve(t, c.server)
			c.options.URL = s.URL
			g := open(t, c.options)
			broken = true
			_, err := g.Commit(t.Context(), "", put("a", "1", "large", string(noise(1, 2<<20))))
			wants(t, err, append(c.want, s.URL)...)
			if err != nil && strings.Contains(err.Error(), "is not known") && c.name != "moved after the greeting" {
				t.Errorf("%q leaves open what is known", err)
			}
			if len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if tip := s.Tip(t, "gh-pages"); tip != "" {
				t.Errorf("the branch is at %s", tip)
			}
		})
	}
}

// status answers with a code and no words.
func status(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
}

func TestNewBeginningsMayBeRefused(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{})
	g := open(t, Options{URL: s.URL})
	base := commit(t, g, put("a", "1"))
	gittest.Git(t, s.Dir, "config", "receive.denyNonFastForwards", "true")
	_, err := g.Commit(t.Context(), base, put("a", "2"))
	wants(t, err, "the branch takes no new beginnings: allow forced pushes to it, or keep its history")
	commit(t, open(t, Options{URL: s.URL, History: Keep}), put("a", "2"))
}

// A redirection on the same host is followed, as after a rename; one to another
// host would be shown the token.
func TestTokenStaysWithItsHost(t *testing.T) {
	publishtest.Need(t, "git")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was asked, with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	s := gittest.Serve(t, gittest.Options{Token: testToken, Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/old.git"); ok {
				http.Redirect(w, r, "/repo.git"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			} else if rest, ok := strings.CutPrefix(r.URL.Path, "/away.git"); ok {
				http.Redirect(w, r, other.URL+"/repo.git"+rest+"?"+r.URL.RawQuery, http.StatusFound)
			} else if strings.HasPrefix(r.URL.Path, "/round.git") {
				http.Redirect(w, r, r.URL.String(), http.StatusFound)
			} else if strings.HasPrefix(r.URL.Path, "/login.git") {
				http.Redirect(w, r, "/login?to="+r.URL.Path, http.StatusFound)
			} else if code, ok := map[string]int{"/nowhere.git/info/refs": http.StatusFound, "/choice.git/info/refs": http.StatusMultipleChoices}[r.URL.Path]; ok {
				w.Header().Set("Location", "https://%zz/repo.git")
				w.WriteHeader(code)
			} else {
				next.ServeHTTP(w, r)
			}
		})
	}})
	base := strings.TrimSuffix(s.URL, "/repo.git")
	g := open(t, Options{URL: base + "/old.git", Token: token(testToken)})
	v := commit(t, g, put("a", "1"))
	if got := read(t, g, v, "a"); got != "1" {
		t.Errorf("a = %q", got)
	}
	for name, want := range map[string]string{
		"away":    "the host redirects to " + other.URL + "/repo.git, which is not shown the token: if that is right, make it the URL",
		"round":   "the host redirects in circles: correct the URL",
		"login":   "the host redirects to " + base + "/login, which is no git repository: correct the URL",
		"nowhere": "the host redirects to something that is no URL: make the repository's present address the URL",
		"choice":  "the host redirects to something that is no URL: make",
	} {
		_, err := open(t, Options{URL: base + "/" + name + ".git", Token: token(testToken)}).Head(t.Context())
		wants(t, err, name+".git, branch gh-pages: ", want)
	}
}

func TestConnectionsThatFail(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{TLS: true})
	_, err := open(t, Options{URL: s.URL}).Head(t.Context())
	wants(t, err, "the host's certificate is signed by an authority that this machine does not know: install that authority's certificate")
	_, err = open(t, Options{URL: strings.Replace(s.URL, "127.0.0.1", "localhost", 1), HTTP: s.HTTP.Client()}).Head(t.Context())
	wants(t, err, "the host's certificate is for another name: correct the URL")
	late := s.HTTP.Client()
	late.Transport.(*http.Transport).TLSClientConfig.Time = func() time.Time { return time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC) }
	_, err = open(t, Options{URL: s.URL, HTTP: late}).Head(t.Context())
	wants(t, err, "the host's certificate is not valid; is this machine's clock right?")
	nameless := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}}
	_, err = open(t, Options{URL: "https://host.invalid/a", HTTP: &http.Client{Transport: &http.Transport{DialContext: nameless.DialContext}}}).Head(t.Context())
	wants(t, err, "the host's name is not found: correct the URL, or look at this machine's network", "host.invalid")
	plain := gittest.Serve(t, gittest.Options{})
	_, err = open(t, Options{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Head(t.Context())
	wants(t, err, "the host does not speak TLS there: correct the URL's scheme or port")
	plain.HTTP.Close()
	_, err = open(t, Options{URL: plain.URL}).Head(t.Context())
	wants(t, err, "refused")
	_, err = open(t, Options{URL: t.TempDir() + "/none.git"}).Head(t.Context())
	wants(t, err, "there is no such repository on this machine: correct the path; git says", "none.git")
}

// A proxy that cuts answers off, at any point of any of them: an error that says
// so, or, where the second try gets through, the right result.
func TestTruncatedAnswersAreNoticed(t *testing.T) {
	publishtest.Need(t, "git")
	limit, times := -1, 0
	s := gittest.Serve(t, gittest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if limit >= 0 && times > 0 {
				w = &short{w, limit}
				times--
			}
			next.ServeHTTP(w, r)
		})
	}})
	v := commit(t, open(t, Options{URL: s.URL}), put("a/b/c", strings.Repeat("text\n", 300), "d", "d"))
	whole := 0
	for limit = 0; limit < 900; limit += 37 {
		times = 1 << 30
		g := open(t, Options{URL: s.URL})
		r, err := g.Open(t.Context(), v, "a/b/c")
		switch {
		case err == nil:
			whole++
			b, _ := io.ReadAll(r)
			r.Close()
			if string(b) != strings.Repeat("text\n", 300) {
				t.Errorf("cut after %d bytes: got %d bytes", limit, len(b))
			}
		default:
			wants(t, err, "the answer ended early: something between here and the host, such as a proxy, cut it off; try again, or raise the proxy's limits")
		}
		times = 1
		if got := read(t, open(t, Options{URL: s.URL}), v, "d"); got != "d" {
			t.Errorf("one answer cut after %d bytes: d = %q", limit, got)
		}
	}
	if whole > 900/37 {
		t.Error("nothing was cut off")
	}
}

// short passes on the beginning of an answer, and ends it as if it were whole.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(b []byte) (int, error) {
	n := min(len(b), s.left)
	s.left -= n
	if _, err := s.ResponseWriter.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// A host that gives other content than was asked for is found out by the hash.
func TestOtherContentIsNoticed(t *testing.T) {
	publishtest.Need(t, "git")
	asked, given := hashOf(blobKind, []byte("asked")).String(), hashOf(blobKind, []byte("given")).String()
	s := gittest.Serve(t, gittest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/"+uploadPack) {
				b, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(b), asked, given)))
			}
			next.ServeHTTP(w, r)
		})
	}})
	g := open(t, Options{URL: s.URL})
	v := commit(t, g, put("a", "asked", "b", "given"))
	_, err := g.Open(t.Context(), v, "a")
	wants(t, err, "the host sent other content for object "+asked)
	none := strings.Repeat("ab", 20)
	_, err = g.Open(t.Context(), none, "a")
	wants(t, err, "the host does not give this object, "+none+": the host says")
	if got := read(t, g, v, "b"); got != "given" {
		t.Errorf("b = %q", got)
	}
}

func TestFullFetchIsSaidOnce(t *testing.T) {
	publishtest.Need(t, "git")
	big := string(noise(5, 6<<20))
	for _, noFilter := range []bool{true, false} {
		s := gittest.ServeSSH(t, gittest.Options{NoFilter: noFilter, NoAnyID: true, Version0: true})
		// Two versions of a large file in one branch: the pack has one as a delta.
		files := []string{"a", "1", "large/one", big, "large/two", big[1000:] + "end"}
		v := commit(t, open(t, sshOptions(s)), put(files...))
		gittest.Git(t, s.Dir, "repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50")
		var said []string
		o := sshOptions(s)
		o.Say = func(s string) { said = append(said, s) }
		g := open(t, o)
		for i := 0; i < len(files); i += 2 {
			if got := read(t, g, v, files[i]); got != files[i+1] {
				t.Errorf("%s is %d bytes, want %d", files[i], len(got), len(files[i+1]))
			}
		}
		v = commit(t, g, put("b", "2"))
		if got := read(t, g, v, "b") + read(t, g, v, "a"); got != "21" {
			t.Errorf("b and a are %q", got)
		}
		if len(said) != 1 || !strings.Contains(said[0], "whole branches") {
			t.Errorf("said %q", said)
		}
	}
}

func TestCancelledContextEndsEverything(t *testing.T) {
	publishtest.Need(t, "git")
	asked := make(chan struct{}, 10)
	silent := false
	s := gittest.Serve(t, gittest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if silent {
				asked <- struct{}{}
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	g := open(t, Options{URL: s.URL})
	base := commit(t, g, put("a", "1"))
	silent = true
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() { <-asked; cancel(why) }()
	if _, err := g.Commit(ctx, base, put("a", "2")); !errors.Is(err, why) {
		t.Errorf("Commit = %v", err)
	}
}

// A host that stops in the middle, by each way to it, does not hold a publish up
// for ever.
func TestSilentHostsAreLeft(t *testing.T) {
	publishtest.Need(t, "git")
	hook := gittest.Options{PreReceive: "while [ -e wait ]; do sleep 0.1; done; exit 1"}
	s, shell := gittest.Serve(t, hook), gittest.ServeSSH(t, hook)
	for _, dir := range []string{s.Dir, shell.Dir} {
		gittest.Git(t, dir, "config", "receive.keepAlive", "0")
		wait := filepath.Join(dir, "wait")
		if err := os.WriteFile(wait, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(wait)
	}
	var all sync.WaitGroup
	for _, o := range []Options{{URL: s.URL}, {URL: s.Dir}, sshOptions(shell)} {
		g := open(t, o)
		g.patience = 2 * time.Second
		all.Go(func() {
			_, err := g.Commit(t.Context(), "", put("a", "1"))
			wants(t, err, "the host was silent for 2s: try again later")
		})
	}
	all.Wait()
}

// The commit's time is the caller's; two publishers make the same commit only of
// the same tree.
func TestCommitIsAFunctionOfItsTree(t *testing.T) {
	publishtest.Need(t, "git")
	made := make(map[string]string)
	for _, files := range [][]string{{"a", "1"}, {"a", "2"}, {"a", "1"}} {
		s := gittest.Serve(t, gittest.Options{})
		v := commit(t, open(t, Options{URL: s.URL, Now: time.Unix(5, 0)}), put(files...))
		if was, ok := made[fmt.Sprint(files)]; ok && was != v {
			t.Errorf("%v gave %s and %s", files, was, v)
		}
		made[fmt.Sprint(files)] = v
	}
	if len(made) != 2 || made["[a 1]"] == made["[a 2]"] {
		t.Errorf("versions are %v", made)
	}
}
