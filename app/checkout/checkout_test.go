package checkout

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish/gittest"
)

const token = "ghs_secret.with.dots"

// host is a repository with what write gives on main, tagged v1.
func host(t *testing.T, o gittest.Options, write func(w io.Writer)) (s *gittest.Server, commit string) {
	t.Helper()
	o.Token = token
	s = gittest.Serve(t, o)
	gittest.Import(t, s.Dir, func(w io.Writer) {
		fmt.Fprint(w, "commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 3\nold\nM 100644 inline gone\ndata 4\ngone\n")
		fmt.Fprint(w, "commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000001 +0000\ndata 3\nnew\ndeleteall\n")
		write(w)
		fmt.Fprint(w, "tag v1\nfrom refs/heads/main\ntagger Ann <ann@example.org> 1700000002 +0000\ndata 2\nv1\n")
	})
	return s, s.Tip(t, "main")
}

func file(w io.Writer, mode, name, text string) {
	fmt.Fprintf(w, "M %s inline %s\ndata %d\n%s\n", mode, name, len(text), text)
}

// fetch fetches v1 and returns what is below the folder.
func fetch(t *testing.T, o Options) (map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	if o.Token == nil {
		o.Token = func() string { return token }
	}
	if o.Tag == "" {
		o.Tag = "v1"
	}
	err := Fetch(t.Context(), o, dir, t.TempDir())
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the token stands in the error: %v", err)
	}
	have := make(map[string]string)
	if e := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if d.Type() == fs.ModeSymlink {
			have[rel], err = os.Readlink(name)
			have[rel] = "-> " + have[rel]
			return err
		}
		b, err := os.ReadFile(name)
		i, _ := d.Info()
		have[rel] = fmt.Sprintf("%o %s", i.Mode().Perm(), b)
		return err
	}); e != nil {
		t.Fatal(e)
	}
	return have, err
}

func TestACommitIsFetchedWithoutItsHistory(t *testing.T) {
	for name, o := range map[string]gittest.Options{"any": {}, "plain": {NoFilter: true, NoAnyID: true}} {
		t.Run(name, func(t *testing.T) {
			large := strings.Repeat("large ", 500_000)
			s, commit := host(t, o, func(w io.Writer) {
				file(w, "100644", "distropack.yml", "version: 1\n")
				file(w, "100755", "scripts/a b.sh", "#!/bin/sh\n")
				file(w, "100644", "large", large)
				file(w, "120000", "link", "scripts/a b.sh")
				file(w, "100644", ".gitattributes", "distropack.yml export-ignore\n")
			})
			have, err := fetch(t, Options{URL: s.URL, Commit: commit})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"distropack.yml": "644 version: 1\n", "scripts/a b.sh": "755 #!/bin/sh\n", "large": "644 " + large, "link": "-> scripts/a b.sh", ".gitattributes": "644 distropack.yml export-ignore\n",
			} {
				if have[name] != want {
					t.Errorf("%s is %.40q, want %.40q", name, have[name], want)
				}
				delete(have, name)
			}
			if len(have) != 0 {
				t.Errorf("there is more: %v", have)
			}
		})
	}
}

func TestWhatIsNotWhatWasAskedForIsRefused(t *testing.T) {
	s, commit := host(t, gittest.Options{}, func(w io.Writer) { file(w, "100644", "a", strings.Repeat("a", 3<<20)) })
	old := strings.TrimSpace(gittest.Git(t, s.Dir, "rev-parse", "main~1"))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to another host")
		}
	}))
	defer elsewhere.Close()
	away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer away.Close()
	for name, c := range map[string]struct {
		o    Options
		is   error
		want string
	}{
		"moved":      {Options{URL: s.URL, Commit: old}, ErrMoved, "the tag was moved: v1 is at " + commit[:12] + ", and " + old[:12] + " was asked for"},
		"no tag":     {Options{URL: s.URL, Commit: commit, Tag: "v2"}, ErrNotFound, "tag v2: not found"},
		"no such":    {Options{URL: s.URL + "x", Commit: commit}, ErrNotFound, "there is no such repository"},
		"no token":   {Options{URL: s.URL, Commit: commit, Token: func() string { return "wrong" }}, ErrNotFound, "the App's token does not show it"},
		"bytes":      {Options{URL: s.URL, Commit: commit, Limits: Limits{Bytes: 2 << 20}}, ErrTooLarge, "its files are more than 2 MiB"},
		"files":      {Options{URL: s.URL, Commit: commit, Limits: Limits{Files: -1}}, ErrTooLarge, "there are more than -1 files"},
		"pack":       {Options{URL: s.URL, Commit: commit, Limits: Limits{Pack: 100}}, ErrTooLarge, "are more than 0 MiB when packed"},
		"password":   {Options{URL: "https://ann:" + token + "@example.org/a", Commit: commit}, nil, "its URL is not of the form https://host/path"},
		"a file":     {Options{URL: "file://" + s.Dir, Commit: commit}, nil, "its URL is not of the form https://host/path"},
		"other host": {Options{URL: away.URL, Commit: commit}, nil, "redirects to another host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetch(t, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A commit that git itself would not make can't write outside of the folder.
func TestHostileCommitsStayInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, c := range map[string]struct {
		entries string // of mktree, of one blob
		want    string
	}{
		"link and folder": {"120000 blob LINK\tx\n040000 tree TREE\tx\n", "x"},
		"git":             {"040000 tree TREE\t.GIT\n", `a file can't have the name ".GIT"`},
		"up":              {"040000 tree TREE\t..\n", `a file can't have the name ".."`},
		"twice":           {"100644 blob BLOB\ta\n100644 blob BLOB\ta\n", `"a" is in the commit twice`},
	} {
		t.Run(name, func(t *testing.T) {
			s := gittest.Serve(t, gittest.Options{Token: token, Hostile: true})
			hash := func(kind, content string) string {
				at := filepath.Join(t.TempDir(), "object")
				if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return strings.TrimSpace(gittest.Git(t, s.Dir, "hash-object", "-w", "--literally", "-t", kind, at))
			}
			blob, link := hash("blob", "text"), hash("blob", outside)
			tree := hash("tree", "100644 evil\x00"+raw(t, blob))
			var top strings.Builder
			for _, line := range strings.Split(strings.TrimSuffix(c.entries, "\n"), "\n") {
				meta, file, _ := strings.Cut(line, "\t")
				f := strings.Fields(meta)
				id := map[string]string{"BLOB": blob, "LINK": link, "TREE": tree}[f[2]]
				fmt.Fprintf(&top, "%s %s\x00%s", strings.TrimLeft(f[0], "0"), file, raw(t, id))
			}
			commit := hash("commit", "tree "+hash("tree", top.String())+"\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n")
			gittest.Git(t, s.Dir, "update-ref", "refs/tags/v1", commit)
			_, err := fetch(t, Options{URL: s.URL, Commit: commit})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := os.Lstat(outside); err == nil {
				t.Error("something was written outside")
			}
		})
	}
}

func raw(t *testing.T, id string) string {
	t.Helper()
	b, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Submodules of the same host come along, those of others are left out aloud.
func TestSubmodulesOfTheSameHost(t *testing.T) {
	inner := gittest.Repository(t, gittest.Options{})
	gittest.Import(t, inner, func(w io.Writer) {
		fmt.Fprint(w, "commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 1\nx\n")
		file(w, "100644", "inner", "in")
	})
	at := strings.TrimSpace(gittest.Git(t, inner, "rev-parse", "main"))
	other := gittest.ServeDir(t, inner, gittest.Options{Token: token})
	var said []string
	for name, c := range map[string]struct {
		url  string
		want string
		is   string
	}{
		"same": {"%s", "644 in", ""},
		"else": {"https://example.org/other.git", "", "lib lies on another host"},
	} {
		t.Run(name, func(t *testing.T) {
			said = nil
			url := c.url
			s, commit := host(t, gittest.Options{Wrap: func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/inner/") {
						http.StripPrefix("/inner", other.HTTP.Config.Handler).ServeHTTP(w, r)
						return
					}
					h.ServeHTTP(w, r)
				})
			}}, func(w io.Writer) {
				if name == "same" {
					url = "../inner" + strings.TrimPrefix(other.URL, other.HTTP.URL)
				}
				file(w, "100644", ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = "+url+"\n")
				fmt.Fprintf(w, "M 160000 %s lib\n", at)
			})
			o := Options{URL: s.URL, Commit: commit, Submodules: true, Say: func(text string) { said = append(said, text) }}
			have, err := fetch(t, o)
			if err != nil {
				t.Fatal(err)
			}
			if have["lib/inner"] != c.want || !strings.Contains(strings.Join(said, "\n"), c.is) {
				t.Errorf("lib/inner is %q, want %q; said %q", have["lib/inner"], c.want, said)
			}
		})
	}
}

// What git allows and nobody needs is bounded; what can't be right is refused.
func TestCommitsThatAreNoneOrTooDeepAreRefused(t *testing.T) {
	t.Run("link", func(t *testing.T) {
		s, commit := host(t, gittest.Options{Hostile: true}, func(w io.Writer) { fmt.Fprint(w, "M 120000 inline l\ndata 0\n\n") })
		if _, err := fetch(t, Options{URL: s.URL, Commit: commit}); err == nil || !strings.Contains(err.Error(), `"l": the link leads nowhere`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("folders", func(t *testing.T) {
		s, commit := host(t, gittest.Options{}, func(w io.Writer) { file(w, "100644", strings.Repeat("d/", maxDepth+1)+"f", "deep") })
		if _, err := fetch(t, Options{URL: s.URL, Commit: commit}); err == nil || !strings.Contains(err.Error(), "folders nest deeper than 64") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no commit", func(t *testing.T) {
		s, commit := host(t, gittest.Options{}, func(w io.Writer) { file(w, "100644", "f", "text") })
		blob := strings.TrimSpace(gittest.Git(t, s.Dir, "rev-parse", commit+":f"))
		gittest.Git(t, s.Dir, "tag", "blob", blob)
		if _, err := fetch(t, Options{URL: s.URL, Tag: "blob", Commit: blob}); err == nil || !strings.Contains(err.Error(), "the host did not send the commit") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		s, commit := host(t, gittest.Options{Wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				b := rec.Body.Bytes()
				if r.Method == http.MethodPost && len(b) > 100 {
					b = b[:len(b)-40]
				}
				w.Write(b)
			})
		}}, func(w io.Writer) { file(w, "100644", "f", strings.Repeat("text", 1000)) })
		if _, err := fetch(t, Options{URL: s.URL, Commit: commit}); err == nil || !strings.Contains(err.Error(), "its answer is damaged") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("submodules", func(t *testing.T) {
		dir := gittest.Repository(t, gittest.Options{})
		s := gittest.ServeDir(t, dir, gittest.Options{Token: token})
		at := ""
		for range maxNested + 2 {
			gittest.Import(t, dir, func(w io.Writer) {
				fmt.Fprint(w, "commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 1\nx\n")
				if at != "" {
					fmt.Fprint(w, "from refs/heads/main^0\n")
					file(w, "100644", ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = "+s.URL+"\n")
					fmt.Fprintf(w, "M 160000 %s lib\n", at)
				} else {
					file(w, "100644", "f", "text")
				}
			})
			at = s.Tip(t, "main")
		}
		gittest.Git(t, dir, "tag", "v1", at)
		if _, err := fetch(t, Options{URL: s.URL, Commit: at, Submodules: true}); err == nil || !strings.Contains(err.Error(), "submodules nest deeper than 4") {
			t.Errorf("got %v", err)
		}
	})
}
