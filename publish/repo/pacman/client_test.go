package pacman

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func hello(t testing.TB, keys formats.Keys, key, version string) publish.Package {
	return build(t, keys, key, formats.Spec{Name: "hello", Version: version, Relations: formats.Relations{Depends: []string{"hello-data >= 1.0"}}},
		amd64, file("/usr/bin/hello", "#!/bin/sh\necho hello "+version+"\n"))
}

func data(t testing.TB, keys formats.Keys, key, version string) publish.Package {
	return build(t, keys, key, formats.Spec{Name: "hello-data", Version: version}, formats.All, file("/usr/share/hello/data", version))
}

// machine is a root of its own in which a key is trusted.
type machine struct {
	t    *testing.T
	root string
	gnu  string
}

func newMachine(t *testing.T, keys publishtest.GPGKeys, section string) *machine {
	t.Helper()
	gnu, err := os.MkdirTemp("/tmp", "dp")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t, t.TempDir(), gnu}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", gnu, "--kill", "all").Run()
		os.RemoveAll(gnu)
	})
	pub, err := keys.Public("hello", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	publishtest.MustRun(t, nil, "gpg", "--homedir", gnu, "--batch", "--import", write(t, m.root+"/key", pub.Data))
	publishtest.MustRun(t, nil, "gpg", "--homedir", gnu, "--batch", "--import-ownertrust", write(t, m.root+"/trust", []byte(pub.ID+":6:\n")))
	for _, d := range []string{"/var/lib/pacman", "/var/cache/pacman/pkg", "/hooks"} {
		if err := os.MkdirAll(m.root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.configure(section)
	return m
}

func (m *machine) configure(section string) {
	m.t.Helper()
	write(m.t, m.root+"/pacman.conf", []byte("[options]\nArchitecture = x86_64\nSigLevel = Required DatabaseRequired TrustedOnly\nHookDir = "+m.root+"/hooks\n"+section))
}

func (m *machine) pacman(args ...string) (string, error) {
	m.t.Helper()
	out, err := publishtest.Tool(m.t, nil, "pacman", append([]string{
		"--noconfirm", "--config", m.root + "/pacman.conf", "--root", m.root, "--dbpath", m.root + "/var/lib/pacman",
		"--cachedir", m.root + "/var/cache/pacman/pkg", "--gpgdir", m.gnu, "--logfile", m.root + "/log",
	}, args...)...)
	// gpg makes a pubring.kbx, pacman looks for a pubring.gpg and only warns.
	return strings.ReplaceAll(out, "warning: Public keyring not found; have you run 'pacman-key --init'?\n", ""), err
}

func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, err := m.pacman(args...)
	if err != nil {
		m.t.Fatalf("pacman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (m *machine) reads(path, want string) {
	m.t.Helper()
	got, err := os.ReadFile(m.root + path)
	if err != nil || string(got) != want {
		m.t.Errorf("%s = %q (%v), want %q", path, got, err, want)
	}
}

// section is what the guide puts into pacman.conf.
func sectionOf(t *testing.T, r *Repo, url, channel string) string {
	t.Helper()
	g, err := r.Guide(context.Background(), &publish.GuideInput{URL: url, Title: "Hello", Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	b, err := formats.ReadAll(g.Files[0].Blob)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPacmanInstallsAndUpgradesWithSignaturesRequired(t *testing.T) {
	publishtest.Need(t, "pacman")
	keys := publishtest.GPG(t)
	for form, o := range map[string]Options{
		"gzip": {},
		"zstd": {Compression: "zstd", Dir: "repo/{repo}/{arch}", Databases: map[string]string{"stable": "Acme_1"}},
	} {
		t.Run(form, func(t *testing.T) {
			r := newRepo(t, o, publish.RepoEnv{Keys: keys, Key: "hello"})
			tree := &publishtest.Mem{}
			put(t, tree, r, release, "stable", hello(t, keys, "hello", "1.0.0-rc.1"), data(t, keys, "hello", "1.0"))
			s := serve(t, tree)
			m := newMachine(t, keys, sectionOf(t, r, s.URL, "stable"))
			m.must("-Sy", "hello")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.0-rc.1\n")
			m.reads("/usr/share/hello/data", "1.0")

			// Many names make several pages, which are compressed apart.
			var more []publish.Package
			filler := build(t, nil, "", formats.Spec{Name: "filler", Version: "1"}, formats.All, file("/usr/share/filler", "x"))
			for i := range 300 {
				meta := *filler.Meta
				meta.Name = fmt.Sprintf("filler-%d", i)
				meta.Fields = slices.Clone(meta.Fields)
				meta.Fields[slices.Index(meta.Fields, formats.Field{Key: "pkgname", Value: "filler"})].Value = meta.Name
				more = append(more, publish.Package{Blob: filler.Blob, Meta: &meta, Version: "1"})
			}
			put(t, tree, r, release+5, "stable", more...)
			put(t, tree, r, release+10, "stable", hello(t, keys, "hello", "1.0.0"))
			m.must("-Syu")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.0\n")
			if n := strings.Count(m.must("-Slq", r.databaseName("stable")), "\n"); n != 302 {
				t.Errorf("pacman lists %d packages, want 302", n)
			}
			m.must("-Fy")
			if out := m.must("-F", "/usr/share/hello/data"); !strings.Contains(out, "hello-data") {
				t.Errorf("pacman -F does not know whose the file is:\n%s", out)
			}
			if out := m.must("-Si", "hello"); !strings.Contains(out, "1.0.0-1") || !strings.Contains(out, "hello-data>=1.0") {
				t.Errorf("pacman -Si:\n%s", out)
			}
			m.must("-Qkk")
			m.must("-Rs", "hello")
		})
	}
}

func TestChannelsAreDatabasesOfOneDirectory(t *testing.T) {
	publishtest.Need(t, "pacman")
	keys := publishtest.GPG(t)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", data(t, keys, "hello", "1.0"))
	put(t, tree, r, release+1, "beta", data(t, keys, "hello", "1.1"))
	s := serve(t, tree)
	m := newMachine(t, keys, sectionOf(t, r, s.URL, "beta"))
	m.must("-Sy", "hello-data")
	m.reads("/usr/share/hello/data", "1.1")

	before := len(tree.Files())
	promote := publish.Edit{Promote: []publish.Promotion{{Selection: publish.Selection{Channel: "beta", Name: "hello-data"}, To: "stable"}}}
	res, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, promote, publish.Options{Time: release + 2, Now: release + 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Change.Put {
		if strings.Contains(f.Path, ".pkg.tar") {
			t.Errorf("promotion writes the package %s again", f.Path)
		}
	}
	if n := len(tree.Files()); n > before+2 { // pages of records
		t.Errorf("promotion brought %d files", n-before)
	}
	m2 := newMachine(t, keys, sectionOf(t, r, s.URL, "stable"))
	m2.must("-Sy", "hello-data")
	m2.reads("/usr/share/hello/data", "1.1")
}

// pacman has to say no to each of these, and installs nothing.
func TestPacmanRefusesWhatWasTamperedWith(t *testing.T) {
	publishtest.Need(t, "pacman")
	keys := publishtest.GPG(t)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	publishHello := func(key, dbKey string) map[string][]byte {
		tree := &publishtest.Mem{}
		put(t, tree, newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: dbKey}), release, "stable", data(t, keys, key, "1.0"))
		return tree.Files()
	}
	const db, pkg = "arch/x86_64/hello.db", "arch/x86_64/hello-data-1.0-1-any.pkg.tar.zst"
	flip := func(name string, at func(n int) int) func(files map[string][]byte) {
		return func(files map[string][]byte) {
			b := bytes.Clone(files[name])
			b[at(len(b))] ^= 1
			files[name] = b
		}
	}
	half := func(n int) int { return n / 2 }
	for name, tt := range map[string]struct {
		key, dbKey string
		tamper     func(files map[string][]byte)
	}{
		"nothing":               {"hello", "hello", nil},
		"flip in the database":  {"hello", "hello", flip(db, func(int) int { return 9 })}, // the system in gzip's header
		"flip in the package":   {"hello", "hello", flip(pkg, half)},
		"signature of database": {"hello", "hello", flip(db+".sig", func(n int) int { return n - 9 })},
		"database of other key": {"hello", "other", func(map[string][]byte) {}},
		"package of other key":  {"other", "hello", func(map[string][]byte) {}},
		"unsigned database":     {"hello", "", func(map[string][]byte) {}},
		"unsigned package":      {"", "hello", func(map[string][]byte) {}},
		"no package signature":  {"hello", "hello", func(files map[string][]byte) { delete(files, pkg+".sig") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := publishHello(tt.key, tt.dbKey)
			if tt.tamper != nil {
				tt.tamper(files)
			}
			s := serve(t, treeOf(t, files))
			m := newMachine(t, keys, sectionOf(t, r, s.URL, "stable"))
			out, err := m.pacman("-Sy", "hello-data")
			_, missing := os.Stat(m.root + "/usr/share/hello/data")
			if refused := err != nil && missing != nil; refused != (tt.tamper != nil) {
				t.Errorf("pacman: %v, installed %t\n%s", err, missing == nil, out)
			}
		})
	}
}

func TestEmptyDatabaseIsADatabase(t *testing.T) {
	publishtest.Need(t, "pacman")
	keys := publishtest.GPG(t)
	for _, form := range []string{"gzip", "zstd"} {
		r := newRepo(t, Options{Compression: form}, publish.RepoEnv{Keys: keys, Key: "hello"})
		tree := &publishtest.Mem{}
		put(t, tree, r, release, "stable", data(t, keys, "hello", "1.0"))
		m := newMachine(t, keys, sectionOf(t, r, serve(t, tree).URL, "beta"))
		m.must("-Sy")
		m.must("-Fy")
		if out, _ := m.pacman("-Sl", "hello-beta"); strings.TrimSpace(out) != "" {
			t.Errorf("%s: an empty database lists %q", form, out)
		}
	}
}

// untar returns the entries of a compressed tar by name.
func untar(t *testing.T, b []byte) (names []string, texts map[string]string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	texts = make(map[string]string)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names, texts[h.Name] = append(names, h.Name), string(text)
	}
}

// Our databases say what repo-add says of the same packages, but for MD5 sums.
func TestEntriesAgreeWithRepoAdd(t *testing.T) {
	publishtest.Need(t, "repo-add", "bsdtar")
	r := newRepo(t, Options{}, publish.RepoEnv{})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", data(t, nil, "", "1.0"), hello(t, nil, "", "1.0.0"), build(t, nil, "", formats.Spec{
		Name: "full", Version: "2.0.0-rc.1", Epoch: "3", Release: "4", Summary: "All %KEYS% & more", Homepage: "https://example.org", License: "MIT AND Apache-2.0",
		Relations: formats.Relations{Depends: []string{"glibc", "bash >= 5"}, Recommends: []string{"git"}, Suggests: []string{"vim"}, Conflicts: []string{"rude < 3"}, Provides: []string{"greeter = 2"}, Replaces: []string{"old"}},
	}, amd64, file("/usr/bin/full", "x"), formats.File{Path: "/etc/full.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("a"))},
		formats.File{Path: "/usr/lib/full", Type: formats.Symlink, Target: "../bin/full"}))
	dir := t.TempDir()
	args := []string{dir + "/ref.db.tar.gz"}
	for name, b := range tree.Files() {
		if path.Dir(name) == "arch/x86_64" && strings.HasSuffix(name, ".pkg.tar.zst") {
			args = append(args, write(t, filepath.Join(dir, path.Base(name)), b))
		}
	}
	if len(args) != 4 {
		t.Fatalf("%d packages in the tree, want 3", len(args)-1)
	}
	publishtest.MustRun(t, nil, "repo-add", args...)
	for _, stream := range []string{"db", "files"} {
		theirs, err := os.ReadFile(dir + "/ref." + stream + ".tar.gz")
		if err != nil {
			t.Fatal(err)
		}
		_, want := untar(t, theirs)
		_, got := untar(t, tree.Files()["arch/x86_64/hello."+stream])
		if len(want) != len(got) {
			t.Errorf("%s: %d entries, repo-add has %d", stream, len(got), len(want))
		}
		for name, text := range want {
			if before, rest, ok := strings.Cut(text, "%MD5SUM%\n"); ok {
				_, after, _ := strings.Cut(rest, "\n\n")
				text = before + after
			}
			if got[name] != text {
				t.Errorf("%s %s:\n--- got\n%s--- want\n%s", stream, name, got[name], text)
			}
		}
	}
}
