package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

const testToken = "ghs_1_secret.token"

func token(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// open returns the branch; what it says goes to the log.
func open(t testing.TB, o Options) *Git {
	t.Helper()
	o.Dir = t.TempDir()
	if o.Now.IsZero() {
		o.Now = time.Unix(1_700_000_000, 0)
	}
	if o.Say == nil {
		o.Say = func(s string) { t.Log(s) }
	}
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	return g
}

func put(files ...string) *publish.Change {
	c := &publish.Change{Message: "test"}
	for i := 0; i < len(files); i += 2 {
		c.Put = append(c.Put, publish.File{Path: files[i], Blob: formats.Bytes([]byte(files[i+1]))})
	}
	return c
}

func head(t testing.TB, g *Git) string {
	t.Helper()
	v, err := g.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func commit(t testing.TB, g *Git, c *publish.Change) string {
	t.Helper()
	v, err := g.Commit(t.Context(), head(t, g), c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func read(t testing.TB, g *Git, version, path string) string {
	t.Helper()
	r, err := g.Open(t.Context(), version, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(b)
	return b
}

func TestGitKeepsThePromises(t *testing.T) {
	publishtest.Need(t, "git")
	for name, make := range map[string]func(t *testing.T) Options{
		"http squash": func(t *testing.T) Options {
			return Options{URL: gittest.Serve(t, gittest.Options{Token: testToken}).URL, Token: token(testToken)}
		},
		"http keep, in a folder": func(t *testing.T) Options {
			return Options{URL: gittest.Serve(t, gittest.Options{Token: testToken}).URL, Token: token(testToken), History: Keep, Folder: "docs/repo", Branch: "main"}
		},
		"https": func(t *testing.T) Options {
			s := gittest.Serve(t, gittest.Options{TLS: true})
			return Options{URL: s.URL, HTTP: s.HTTP.Client()}
		},
		"http, oldest version": func(t *testing.T) Options {
			return Options{URL: gittest.Serve(t, gittest.Options{Version0: true}).URL}
		},
		"http, no filter": func(t *testing.T) Options {
			return Options{URL: gittest.Serve(t, gittest.Options{NoFilter: true}).URL}
		},
		"http, oldest version, neither filter nor ids": func(t *testing.T) Options {
			return Options{URL: gittest.Serve(t, gittest.Options{NoFilter: true, NoAnyID: true, Version0: true}).URL}
		},
		"ssh":                 func(t *testing.T) Options { return sshOptions(gittest.ServeSSH(t, gittest.Options{})) },
		"ssh, oldest version": func(t *testing.T) Options { return sshOptions(gittest.ServeSSH(t, gittest.Options{Version0: true})) },
		"ssh, oldest version, no ids": func(t *testing.T) Options {
			return sshOptions(gittest.ServeSSH(t, gittest.Options{Version0: true, NoAnyID: true}))
		},
		"file": func(t *testing.T) Options {
			return Options{URL: "file://" + gittest.ServeDir(t, gittest.Repository(t, gittest.Options{}), gittest.Options{}).Dir}
		},
		"path, keep": func(t *testing.T) Options {
			return Options{URL: gittest.ServeDir(t, gittest.Repository(t, gittest.Options{}), gittest.Options{}).Dir, History: Keep}
		},
	} {
		t.Run(name, func(t *testing.T) {
			publishtest.Destination(t, func(t *testing.T) publish.Destination { return open(t, make(t)) })
		})
	}
}

func sshOptions(s *gittest.SSH) Options {
	return Options{URL: s.URL, SSHKey: s.Key, KnownHosts: s.KnownHosts}
}

// What others put into the branch stays, with its mode; what git itself clones is
// the tree.
func TestForeignFilesStay(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{Token: testToken})
	gittest.Import(t, s.Dir, func(w io.Writer) {
		io.WriteString(w, "commit refs/heads/gh-pages\ncommitter a <a@example.org> 1000000000 +0000\ndata 2\nx\n"+
			"M 100644 inline CNAME\ndata 11\nexample.org\nM 100755 inline run\ndata 3\nrun\nM 120000 inline link\ndata 5\nCNAME\nM 100644 inline a.b/c\ndata 1\nc\nM 100644 inline a/old\ndata 3\nold\n")
	})
	g := open(t, Options{URL: s.URL, Token: token(testToken)})
	commit(t, g, put("a/new", "new", "a-b", "-", "a0", "0", ".nojekyll", ""))
	c := put("a/new", "newer", "run", "run")
	c.Delete = []string{"a/old"}
	v := commit(t, g, c)
	if got, want := s.Files(t, "gh-pages"), ".nojekyll\nCNAME\na-b\na.b/c\na/new\na0\nlink\nrun"; got != want {
		t.Errorf("files are\n%s\nwant\n%s", got, want)
	}
	for _, line := range strings.Split("100644 CNAME|100755 run|120000 link", "|") {
		mode, name, _ := strings.Cut(line, " ")
		if got := gittest.Git(t, s.Dir, "ls-tree", "gh-pages", name); !strings.HasPrefix(got, mode) {
			t.Errorf("%s is %s, want %s", name, got, mode)
		}
	}
	for _, name := range []string{"link", "a"} {
		_, err := g.Open(t.Context(), v, name)
		wants(t, err, "open "+name+": is not a file in the branch, but a folder, a link or a module")
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is said not to exist", name)
		}
	}
	dir := filepath.Join(t.TempDir(), "clone")
	gittest.Git(t, "", "-c", "http.extraHeader=Authorization: Basic "+basic(testToken), "clone", "-q", "--branch", "gh-pages", s.URL, dir)
	if b, err := os.ReadFile(filepath.Join(dir, "a", "new")); string(b) != "newer" {
		t.Errorf("the clone has %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "old")); err == nil {
		t.Error("a/old is still there")
	}
	_, err := g.Commit(t.Context(), v, put("CNAME/x", "x"))
	wants(t, err, "CNAME is a file in the branch, so nothing can be put below it: delete or rename it")
	_, err = g.Commit(t.Context(), v, put("a", "x"))
	wants(t, err, "a is a folder in the branch, so no file can be put there: delete or rename it")
	swap := put("a", "x")
	swap.Delete = []string{"a/new"}
	v = commit(t, g, swap)
	if got := read(t, g, v, "a"); got != "x" {
		t.Errorf("a = %q", got)
	}
}

// Branches whose names begin alike, and tags, are nobody's business here.
func TestOtherBranchesAreLeftAlone(t *testing.T) {
	publishtest.Need(t, "git")
	for _, old := range []bool{false, true} {
		s := gittest.Serve(t, gittest.Options{Version0: old})
		gittest.Import(t, s.Dir, func(w io.Writer) {
			for _, ref := range []string{"refs/heads/gh-pages2", "refs/heads/gh-pages-old/x", "refs/heads/main", "refs/tags/v1"} {
				fmt.Fprintf(w, "commit %s\ncommitter a <a@example.org> 1000000000 +0000\ndata 2\nx\nM 100644 inline f\ndata 1\n1\n", ref)
			}
		})
		before := gittest.Git(t, s.Dir, "for-each-ref")
		g := open(t, Options{URL: s.URL})
		if v := head(t, g); v != "" {
			t.Errorf("Head = %q before the first publish", v)
		}
		v := commit(t, g, put("a", "1"))
		if got := s.Files(t, "refs/heads/gh-pages"); got != "a" || v != s.Tip(t, "gh-pages") {
			t.Errorf("the branch has %q", got)
		}
		gittest.Git(t, s.Dir, "update-ref", "-d", "refs/heads/gh-pages")
		if after := gittest.Git(t, s.Dir, "for-each-ref"); after != before {
			t.Errorf("other refs were\n%s\nand are\n%s", before, after)
		}
	}
}

func basic(token string) string {
	r, _ := http.NewRequest("GET", "http://x", nil)
	r.SetBasicAuth("x-access-token", token)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

func TestHistoryIsKeptOrNot(t *testing.T) {
	publishtest.Need(t, "git")
	for _, c := range []struct {
		history History
		want    int
	}{{Keep, 4}, {Squash, 1}} {
		s := gittest.Serve(t, gittest.Options{})
		g := open(t, Options{URL: s.URL, History: c.history, Name: "Ä B", Email: "ab@example.org"})
		var made []string
		for i := range 4 {
			made = append(made, commit(t, g, put("f", fmt.Sprint(i))))
		}
		got := strings.Fields(gittest.Git(t, s.Dir, "rev-list", "--reverse", "gh-pages"))
		if want := made[len(made)-c.want:]; !slices.Equal(got, want) {
			t.Errorf("history is %v, want %v", got, want)
		}
		if got := gittest.Git(t, s.Dir, "log", "-1", "--format=%an|%ae|%ct|%B", "gh-pages"); strings.TrimSpace(got) != "Ä B|ab@example.org|1700000000|test" {
			t.Errorf("the commit is %q", got)
		}
	}
}

func TestNothingChangedIsNoCommit(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{})
	g := open(t, Options{URL: s.URL, History: Keep})
	v := commit(t, g, put("a", "1", "b/c", "2"))
	before := s.In.Load()
	if w := commit(t, open(t, Options{URL: s.URL, History: Keep, Now: time.Unix(1_800_000_000, 0)}), put("b/c", "2")); w != v {
		t.Errorf("another version: %s", w)
	}
	if sent := s.In.Load() - before; sent > 2000 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// Eight publishers, each with its own connection, who all saw the same head: each
// adds its file in the end, none is lost, and the history is one line.
func TestPublishersAtOnceLoseNothing(t *testing.T) {
	publishtest.Need(t, "git")
	const n = 8
	s := gittest.Serve(t, gittest.Options{})
	commit(t, open(t, Options{URL: s.URL, History: Keep}), put("start", ""))
	var first, done sync.WaitGroup
	first.Add(n)
	var mu sync.Mutex
	conflicts := 0
	for i := range n {
		g := open(t, Options{URL: s.URL, History: Keep})
		done.Add(1)
		go func() {
			defer done.Done()
			for try := 0; ; try++ {
				base, err := g.Head(t.Context())
				if try == 0 {
					first.Done()
					first.Wait()
				}
				if err == nil {
					_, err = g.Commit(t.Context(), base, put(fmt.Sprint("f", i), "x"))
				}
				if err == nil {
					return
				}
				if !errors.Is(err, publish.ErrConflict) {
					t.Error(err)
					return
				}
				mu.Lock()
				conflicts++
				mu.Unlock()
			}
		}()
	}
	done.Wait()
	if got, want := strings.Count(s.Files(t, "gh-pages"), "f"), n; got != want {
		t.Errorf("%d of %d files are there", got, want)
	}
	if got := len(strings.Fields(gittest.Git(t, s.Dir, "rev-list", "gh-pages"))); got != n+1 {
		t.Errorf("%d commits, want %d", got, n+1)
	}
	if got := gittest.Git(t, s.Dir, "rev-list", "--min-parents=2", "gh-pages"); got != "" {
		t.Errorf("the history is not a line: %s", got)
	}
	if conflicts < n-1 {
		t.Errorf("%d conflicts: not all saw the same head", conflicts)
	}
}

// The engine above: publishers at once, each with another package, by its own
// connection. All packages are listed in the end.
func TestEnginePublishesAtOnce(t *testing.T) {
	publishtest.Need(t, "git")
	const n = 6
	s := gittest.Serve(t, gittest.Options{Token: testToken})
	var done sync.WaitGroup
	for i := range n {
		g := open(t, Options{URL: s.URL, Token: token(testToken)})
		done.Add(1)
		go func() {
			defer done.Done()
			p := publish.Package{Blob: formats.Bytes(noise(uint64(i), 5000)), Meta: &formats.Meta{Format: "toy", Name: fmt.Sprint("p", i), Version: "1", Arch: "all"}, Project: fmt.Sprint("project", i), Version: "1"}
			_, err := publish.Publish(t.Context(), g, []publish.Repo{toy()}, publish.Edit{Add: []publish.Addition{{Package: p, Channels: []string{"stable"}}}}, publish.Options{Time: 1000, Now: 1000, Tries: 4 * n})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	done.Wait()
	v, err := publish.Read(t.Context(), open(t, Options{URL: s.URL, Token: token(testToken)}), []publish.Repo{toy()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Count(); got != 2*n { // in the lists of two CPUs
		t.Errorf("%d records, want %d", got, 2*n)
	}
}

func toy() *publishtest.Toy {
	return &publishtest.Toy{Label: "toys", Channels: []string{"stable"}, Forms: []publish.Form{publish.Plain, publish.Gzip}}
}

// A host whose own lock refuses a push, while the branch has not moved yet, is not
// taken for one that will never take it.
func TestPushIsRepeatedWhileTheHostIsLocked(t *testing.T) {
	publishtest.Need(t, "git")
	lock := ""
	pushes := 0
	s := gittest.Serve(t, gittest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
				if pushes++; lock != "" {
					os.Remove(lock)
				}
			}
		})
	}})
	g := open(t, Options{URL: s.URL})
	base := commit(t, g, put("a", "1"))
	lock = filepath.Join(s.Dir, "refs/heads/gh-pages.lock")
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	v, err := g.Commit(t.Context(), base, put("a", "2"))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, g, v, "a"); got != "2" {
		t.Errorf("a = %q", got)
	}
	if pushes != 3 {
		t.Errorf("%d pushes, want one for the first commit, one refused, one taken", pushes)
	}
}

// The tree is the change's whatever the push was told: lost answers are looked
// into.
func TestLostAnswersAreLookedInto(t *testing.T) {
	publishtest.Need(t, "git")
	for _, done := range []bool{true, false} {
		lose := false
		s := gittest.Serve(t, gittest.Options{Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if lose && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
					if done {
						next.ServeHTTP(&nowhere{}, r)
					}
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			})
		}})
		g := open(t, Options{URL: s.URL})
		base := commit(t, g, put("a", "1"))
		lose = true
		v, err := g.Commit(t.Context(), base, put("a", "2"))
		lose = false
		if done && (err != nil || v != s.Tip(t, "gh-pages") || v == base) {
			t.Errorf("done, but Commit = %q, %v", v, err)
		}
		if !done && (err == nil || errors.Is(err, publish.ErrConflict) || s.Tip(t, "gh-pages") != base || !strings.Contains(err.Error(), "ended early")) {
			t.Errorf("not done, but Commit = %q, %v", v, err)
		}
	}
}

type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header {
	if n.h == nil {
		n.h = make(http.Header)
	}
	return n.h
}
func (*nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (*nowhere) WriteHeader(int)             {}

// A file that changes while it is sent breaks the push: the host keeps the old
// tree.
func TestFileThatChangesMeanwhileIsNotPublished(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{})
	g := open(t, Options{URL: s.URL})
	base := commit(t, g, put("a", "1"))
	for _, size := range []int{100, 3 << 20} { // sent with its length, and as it is read
		b := &fickle{first: noise(1, size), then: noise(2, size)}
		_, err := g.Commit(t.Context(), base, &publish.Change{Put: []publish.File{{Path: "b", Blob: b}}})
		wants(t, err, fmt.Sprintf("a file of %d bytes changed while it was sent", size))
		b = &fickle{n: 1, first: noise(1, size), then: noise(2, size)}
		_, err = g.Commit(t.Context(), base, &publish.Change{Put: []publish.File{{Path: "c", Blob: b}}})
		wants(t, err, fmt.Sprintf("c: the content is not what was announced (%d bytes with SHA-256 %s): it was changed meanwhile; try again", size, b.Ref().SHA256))
		if got := s.Tip(t, "gh-pages"); got != base {
			t.Errorf("the branch moved to %s", got)
		}
	}
	commit(t, g, put("b", "2"))
}

type fickle struct {
	first, then []byte
	n           int
}

func (f *fickle) Ref() formats.Ref { return formats.Bytes(f.first).Ref() }
func (f *fickle) Open() (io.ReadCloser, error) {
	f.n++
	if f.n == 1 {
		return io.NopCloser(bytes.NewReader(f.first)), nil
	}
	return io.NopCloser(bytes.NewReader(f.then)), nil
}
