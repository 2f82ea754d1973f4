package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
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
		{name: "wrong token", server: gittest.Options{Token: testToken}, options: Options{Token: token("wrong")}, want: []string{"refuses the token", "expired"}},
		{name: "no token", server: gittest.Options{Token: testToken}, want: []string{"wants a token"}},
		{name: "the token can't be had", options: Options{Token: func(context.Context) (string, error) { return "", errors.New("MY_TOKEN is not set") }}, want: []string{"MY_TOKEN is not set"}},
		{name: "may only read", options: Options{Token: token(testToken)}, answer: func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.RawQuery, receivePack) {
				http.Error(w, "Permission to a/b.git denied to c. "+testToken+"\x1b[31m", http.StatusForbidden)
				return true
			}
			return false
		}, want: []string{"contents: write", "denied to c", "[secret]"}},
		{name: "may read, refused at the push", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
				http.Error(w, "no", http.StatusForbidden)
				return true
			}
			return false
		}, want: []string{"contents: write"}},
		{name: "no repository", answer: func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, want: []string{"no such repository"}},
		{name: "not git", answer: func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, "<html>hello"); return true }, want: []string{"not git's", "text/html"}},
		{name: "busy", answer: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, want: []string{"busy", "30"}},
		{name: "too large", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return true
			}
			return false
		}, want: []string{"larger than the host"}},
		{name: "no chunks", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusLengthRequired)
				return true
			}
			return false
		}, want: []string{"411"}},
		{name: "protected", server: gittest.Options{PreReceive: strings.Replace(hook, "$TEXT", "error: GH006: Protected branch update failed for refs/heads/gh-pages.", 1)}, want: []string{"the branch is protected", "GH006", "pre-receive hook declined"}},
		{name: "large file", server: gittest.Options{PreReceive: strings.Replace(hook, "$TEXT", "error: GH001: Large files detected.", 1)}, want: []string{"larger than the host takes", "bucket"}},
		{name: "a hook with bad words", server: gittest.Options{PreReceive: "printf '\\033[31mno\\r\\n\\007 way'; head -c 100000 /dev/zero | tr '\\0' x; exit 1"}, want: []string{"no", "way", "pre-receive hook declined"}},
		{name: "another object format", server: gittest.Options{SHA256: true}, want: []string{"SHA-256", "not supported"}},
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
			if len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if tip := s.Tip(t, "gh-pages"); tip != "" {
				t.Errorf("the branch is at %s", tip)
			}
		})
	}
}

func TestNewBeginningsMayBeRefused(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{})
	g := open(t, Options{URL: s.URL})
	base := commit(t, g, put("a", "1"))
	gittest.Git(t, s.Dir, "config", "receive.denyNonFastForwards", "true")
	_, err := g.Commit(t.Context(), base, put("a", "2"))
	wants(t, err, "allow forced pushes", "keep its history")
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
	_, err := open(t, Options{URL: base + "/away.git", Token: token(testToken)}).Head(t.Context())
	wants(t, err, other.URL, "not shown the token")
	_, err = open(t, Options{URL: base + "/round.git", Token: token(testToken)}).Head(t.Context())
	wants(t, err, "circles")
}

func TestConnectionsThatFail(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{TLS: true})
	_, err := open(t, Options{URL: s.URL}).Head(t.Context())
	wants(t, err, "authority", "install")
	plain := gittest.Serve(t, gittest.Options{})
	_, err = open(t, Options{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Head(t.Context())
	wants(t, err, "does not speak TLS")
	plain.HTTP.Close()
	_, err = open(t, Options{URL: plain.URL}).Head(t.Context())
	wants(t, err, "refused")
	_, err = open(t, Options{URL: t.TempDir() + "/none.git"}).Head(t.Context())
	wants(t, err, "no such repository")
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
			wants(t, err, "ended early", "proxy")
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
	wants(t, err, "other content", asked)
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

func TestSSHWantsKeyAndHost(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.ServeSSH(t, gittest.Options{})
	other := gittest.ServeSSH(t, gittest.Options{})
	locked, _ := gittest.NewKey(t, "open sesame")
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{KnownHosts: s.KnownHosts}, []string{"ssh key is needed"}},
		{Options{SSHKey: s.Key}, []string{"ssh-keyscan -p", "known hosts are needed"}},
		{Options{SSHKey: s.Key, KnownHosts: other.KnownHosts}, []string{"not among the known hosts", "SHA256:", "ssh-keyscan -p"}},
		{Options{SSHKey: s.Key, KnownHosts: []byte(strings.Replace(string(other.KnownHosts), port(other.Addr), port(s.Addr), 1))}, []string{"another key", "SHA256:"}},
		{Options{SSHKey: other.Key, KnownHosts: s.KnownHosts}, []string{"does not take the ssh key", "deploy keys"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts}, []string{"has a passphrase"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts, SSHPassphrase: "wrong"}, []string{"can't be read"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts, SSHPassphrase: "open sesame"}, []string{"does not take the ssh key"}},
		{Options{SSHKey: []byte("nonsense"), KnownHosts: s.KnownHosts}, []string{"can't be read"}},
		{Options{SSHKey: s.Key, KnownHosts: []byte("nonsense")}, []string{"known hosts"}},
		{Options{SSHKey: s.Key, KnownHosts: s.KnownHosts, URL: s.URL + "x"}, []string{"no such repository"}},
	} {
		if c.o.URL == "" {
			c.o.URL = s.URL
		}
		c.o.Dir = t.TempDir()
		g, err := Open(c.o)
		if err == nil {
			_, err = g.Head(t.Context())
			g.Close()
		}
		wants(t, err, c.want...)
	}
	// A connection that the host closed meanwhile is made anew.
	g := open(t, sshOptions(s))
	commit(t, g, put("a", "1"))
	g.link.(*shell).client.Close()
	v := commit(t, g, put("a", string(noise(3, 3<<20))))
	if got := read(t, g, v, "a"); got != string(noise(3, 3<<20)) {
		t.Errorf("a has %d bytes", len(got))
	}
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

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
			wants(t, err, "silent for 2s")
		})
	}
	all.Wait()
}

func TestAddressesAndNames(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/a/b.git":                   "https://example.org/a/b.git",
		"https://example.org/a/b.git/":                  "https://example.org/a/b.git",
		"HTTPS://example.org:8443/a/b":                  "https://example.org:8443/a/b",
		"git@example.org:a/b.git":                       "!ssh key",
		"example.org:a/b.git":                           "!ssh key",
		"ssh://git@example.org/a/b.git":                 "!ssh key",
		"file:///srv/b.git":                             "file:///srv/b.git",
		"/srv/b.git":                                    "/srv/b.git",
		"":                                              "!missing",
		"https://" + testToken + "@example.org/a/b":     "!take it out",
		"https://u:" + testToken + "@example.org/a/b":   "!take it out",
		"https://example.org/a/b?token=" + testToken:    "!take it out",
		"https://example.org/a/b#" + testToken:          "!take it out",
		"https://u:" + testToken + "@exa mple.org/a":    "!can't be understood",
		"https://u:" + testToken + "%zz@example.org/a/": "!can't be understood",
		"ssh://git:" + testToken + "@example.org/a":     "!take it out",
		"git:" + testToken + "@example.org:a":           "!",
		"ftp://example.org/a":                           "!not supported",
		"ssh://-oProxyCommand=x/a":                      "!",
		"https://example.org":                           "!no repository",
		"https:///a":                                    "!no host",
		"https://example.org/a\nb":                      "!control",
		"file://example.org/a":                          "!names no host",
	} {
		g, err := Open(Options{URL: url, Dir: t.TempDir()})
		if part, ok := strings.CutPrefix(want, "!"); ok {
			wants(t, err, part)
		} else if err != nil || g.URL() != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	for _, o := range []Options{{Branch: "a..b"}, {Branch: "-x"}, {Branch: "a b"}, {Branch: "a.lock"}, {Branch: "a/.b"}, {Branch: "a//b"}, {Branch: "@{u}"}, {Branch: "a\nb"},
		{Folder: "../x"}, {Folder: "a//b"}, {Folder: "a/.git"}, {Name: "a <b>"}, {Email: "a\nb"}, {Name: " a"}, {Name: "..."}} {
		o.URL = "/srv/b.git"
		_, err := Open(o)
		wants(t, err, "can't be")
	}
	g := open(t, Options{URL: "/srv/b.git"})
	for _, p := range []string{".git/config", "a/.GIT/x", "a/.git ", "git~1/x"} {
		_, err := g.Commit(t.Context(), "", put(p, "x"))
		wants(t, err, "can't be in a git branch")
	}
	c := put("a", "1")
	c.Put = append(c.Put, publish.File{Path: "a", Blob: formats.Bytes(nil)})
	_, err := g.Commit(t.Context(), "", c)
	wants(t, err, "twice")
}

func TestPrintableIsBounded(t *testing.T) {
	for in, want := range map[string]string{"a\x1b[31mb\r\n c\x00": "a [31mb c", "ä\xff": "ä?", strings.Repeat("x", 50): strings.Repeat("x", 9) + "…", " \n": ""} {
		if got := printable(in, 10); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
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
