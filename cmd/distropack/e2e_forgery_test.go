package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/rpm"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/repo/dnf"
)

// forgery is what somebody who can write to the web server may do to the tree.
// An empty client means all.
type forgery struct {
	name string
	do   func(t *testing.T, tree string)
}

// flip changes one bit of the only file that fits the pattern; at is its place,
// from the end where negative.
func flip(pattern string, at int) func(t *testing.T, tree string) {
	return func(t *testing.T, tree string) {
		t.Helper()
		name := onlyFile(t, tree, pattern)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		replaceFile(t, name, b)
	}
}

// edit replaces text of the only file that fits the pattern.
func edit(pattern, from, to string) func(t *testing.T, tree string) {
	return func(t *testing.T, tree string) {
		t.Helper()
		name := onlyFile(t, tree, pattern)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(from)) {
			t.Fatalf("%s has no %q", name, from)
		}
		replaceFile(t, name, bytes.Replace(b, []byte(from), []byte(to), 1))
	}
}

func drop(patterns ...string) func(t *testing.T, tree string) {
	return func(t *testing.T, tree string) {
		t.Helper()
		for _, p := range patterns {
			if err := os.Remove(onlyFile(t, tree, p)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// graft puts files of another tree in the place of this one's.
func graft(other *published, patterns ...string) func(t *testing.T, tree string) {
	return func(t *testing.T, tree string) {
		t.Helper()
		for _, p := range patterns {
			b, err := os.ReadFile(onlyFile(t, other.dir, p))
			if err != nil {
				t.Fatal(err)
			}
			replaceFile(t, onlyFile(t, tree, p), b)
		}
	}
}

// swap puts a folder of another tree in the place of this one's.
func swap(other *published, folder string) func(t *testing.T, tree string) {
	return func(t *testing.T, tree string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(tree, folder)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(tree, folder), os.DirFS(filepath.Join(other.dir, folder))); err != nil {
			t.Fatal(err)
		}
	}
}

func onlyFile(t *testing.T, tree, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(tree, pattern))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %d files (%v), want 1", pattern, len(names), err)
	}
	return names[0]
}

// replaceFile never writes into a file: other trees may hold a link to it.
func replaceFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// suspicion is what clients say of a forgery.
var suspicion = regexp.MustCompile(`(?i)signature|gpg|pgp|checksum|digest|not signed|\.sig' from`)

// refuses makes each forgery after prepare has made a machine of its own trust the
// tree as it was published. Then install must fail and nothing be installed;
// without a forgery it must work, before and after all.
func refuses(t *testing.T, p *published, prepare func(t *testing.T) *clone, install func(c *clone) (string, error), forgeries []forgery) {
	t.Helper()
	genuine := filepath.Join(t.TempDir(), "genuine")
	if err := os.CopyFS(genuine, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	all := append([]forgery{{"nothing", nil}}, forgeries...)
	for _, f := range append(all, forgery{"nothing any more", nil}) {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			if err := os.RemoveAll(p.dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(p.dir, os.DirFS(genuine)); err != nil {
				t.Fatal(err)
			}
			c := prepare(t)
			if f.do != nil {
				f.do(t, p.dir)
				if same(t, p.dir, genuine) {
					t.Fatal("the forgery changed nothing")
				}
			}
			out, err := install(c)
			refused := err != nil && !c.has("/usr/bin/hello")
			if refused != (f.do != nil) {
				t.Errorf("%v, installed %t\n%s", err, c.has("/usr/bin/hello"), out)
			}
			if refused && !suspicion.MatchString(out) {
				t.Errorf("refused for another reason:\n%s", out)
			}
		})
	}
}

// same reports whether two trees have the same files.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	read := func(dir string) map[string]string {
		all := make(map[string]string)
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(filepath.Join(dir, name))
			all[name] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	x, y := read(a), read(b)
	if len(x) != len(y) {
		return false
	}
	for name, text := range x {
		if other, ok := y[name]; !ok || other != text {
			return false
		}
	}
	return true
}

// forged is the sample's version 1.0.0 as somebody else would publish it: with
// his key, or with args in its place.
func forged(t *testing.T, args ...string) *published {
	t.Helper()
	text, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	p := publishSample(t, nil)
	if err := os.WriteFile(p.key, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.release(t, "1.0.0", args...)
	return p
}

// keyring has the key that the tests' trees are signed with.
func keyring(t *testing.T) *keys.Keyring {
	t.Helper()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open("hello", map[string]keys.Secret{plan.PackageKey: keys.NewSecret(text)}, keys.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// repoEnv is what the sample's repositories are made with.
func repoEnv(t *testing.T) publish.RepoEnv {
	t.Helper()
	return publish.RepoEnv{Name: "hello", Title: "Hello", Channels: []string{"stable", "beta"}, Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}},
		Keys: keyring(t), Key: plan.PackageKey}
}

// indexed is a tree with other's package under an index signed with the right
// key: gpgcheck stands alone against it.
func indexed(t *testing.T, other *published) *published {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(other.dir, rpmFile))
	if err != nil {
		t.Fatal(err)
	}
	f, err := rpm.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Describe(t.Context(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := dnf.Kind().New(formats.NoSection, repoEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &published{dir: t.TempDir()}
	d, err := dir.Open(p.dir, dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	add := publish.Addition{Package: publish.Package{Blob: formats.Bytes(b), Meta: m, Version: "1.0.0"}, Channels: []string{"stable"}}
	if _, err := publish.Publish(t.Context(), d, []publish.Repo{r}, publish.Edit{Add: []publish.Addition{add}}, publish.Options{Time: time.Now().Unix(), Now: time.Now().Unix()}); err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	rpmFile    = "rpm/stable/Packages/h/hello-1.0.0-1.x86_64.rpm"
	primaryXML = "rpm/stable/repodata/*-primary.xml.zst"
	repomd     = "rpm/stable/repodata/repomd.xml"
)

// rpmForgeries are those against dnf and zypper.
func rpmForgeries(t *testing.T) []forgery {
	t.Helper()
	other := forged(t)
	return []forgery{
		{"a bit of the package", flip(rpmFile, -1000)},
		{"a bit of the package's header", edit(rpmFile, "Prints a friendly", "Prints a friendlY")},
		{"a bit of the package's signature", flip(rpmFile, 400)},
		{"a bit of the index", flip(primaryXML, -60)},
		{"a word of repomd.xml", edit(repomd, "<revision>", "<revision>1")},
		{"a letter of the index's signature", flip(repomd+".asc", 300)},
		{"no signature of the index", drop(repomd + ".asc")},
		{"the index signed by somebody else", graft(other, repomd+".asc")},
		{"everything signed by somebody else", swap(other, "rpm")},
		{"the key beside the index, too", func(t *testing.T, tree string) {
			graft(other, repomd+".asc", repomd+".key")(t, tree)
		}},
	}
}

func TestDnfRefusesForgeries(t *testing.T) {
	newClone(t, "dnf", "rpm")
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	refuses(t, p, func(t *testing.T) *clone {
		c := newClone(t)
		c.rpms()
		c.addDnf(p, "hello")
		return c
	}, func(c *clone) (string, error) { return c.run("dnf", "-y", "install", "hello") }, append(rpmForgeries(t),
		// zypper leaves packages to the signed index that has their digests.
		forgery{"a package of somebody else, rightly indexed", swap(indexed(t, forged(t)), "rpm")},
		forgery{"an unsigned package, rightly indexed", swap(indexed(t, forged(t, "--unsigned")), "rpm")},
	))
}

func TestZypperRefusesForgeries(t *testing.T) {
	newClone(t, "zypper", "rpm")
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	refuses(t, p, func(t *testing.T) *clone {
		c := newClone(t)
		c.rpms()
		c.must("rpm", "--import", p.url+"/keys/hello.asc")
		c.must("zypper", "--non-interactive", "addrepo", "--refresh", p.url+"/rpm/hello.repo")
		return c
	}, func(c *clone) (string, error) {
		if out, err := c.run("zypper", "--non-interactive", "refresh", "hello"); err != nil {
			return out, err
		}
		return c.run("zypper", "--non-interactive", "install", "hello")
	}, rpmForgeries(t))
}

func TestPacmanRefusesForgeries(t *testing.T) {
	newClone(t, "pacman", "pacman-key", "gpg")
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	other := forged(t)
	const (
		db  = "arch/x86_64/hello.db"
		pkg = "arch/x86_64/hello-1.0.0-1-x86_64.pkg.tar.zst"
	)
	refuses(t, p, func(t *testing.T) *clone {
		c := newClone(t)
		c.arch(p)
		c.addPacman(p, "hello")
		return c
	}, func(c *clone) (string, error) { return c.run("pacman", "--noconfirm", "-Sy", "hello") }, []forgery{
		{"a bit of the package", flip(pkg, -1000)},
		{"a bit of the package's signature", flip(pkg+".sig", -20)},
		{"no signature of the package", drop(pkg + ".sig")},
		{"the package signed by somebody else", graft(other, pkg+".sig")},
		{"a bit of the database", flip(db, 9)}, // the system in gzip's header: what is unpacked is the same
		{"a bit of the database's signature", flip(db+".sig", -20)},
		{"no signature of the database", drop(db + ".sig")},
		{"the database signed by somebody else", graft(other, db+".sig")},
		{"database and package signed by somebody else", graft(other, db, db+".sig", pkg, pkg+".sig")},
	})
}
