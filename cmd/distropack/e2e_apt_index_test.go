package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/repo/apt"
)

var byHash = regexp.MustCompile(`/by-hash/SHA256/([0-9a-f]{64})$`)

func TestAptFetchesEveryIndexByHash(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	old, err := os.ReadFile(filepath.Join(p.dir, "dists/stable/InRelease"))
	if err != nil {
		t.Fatal(err)
	}
	p.release(t, "1.1.0")
	onDebian(t, func(t *testing.T, r *debRoot) {
		l := serveLogged(t, p.dir, nil)
		r.trust(t, p, "hello.sources", l.url)
		r.update(t)
		asked, missing := l.take()
		if len(missing) > 0 {
			t.Errorf("apt asked in vain for %v", missing)
		}
		hashes := 0
		for _, a := range asked {
			if byHash.MatchString(a) {
				hashes++
			} else if a != "/dists/stable/InRelease" {
				t.Errorf("apt asked for %s", a)
			}
		}
		if hashes == 0 {
			t.Errorf("apt asked for nothing by hash: %v", asked)
		}
	})
	// A mirror or a cache may serve the InRelease before last: what it names is
	// still there.
	onDebian(t, func(t *testing.T, r *debRoot) {
		l := serveLogged(t, p.dir, map[string][]byte{"/dists/stable/InRelease": old})
		r.trust(t, p, "hello.sources", l.url)
		r.update(t)
		if got := r.candidate(t, "hello"); got != "1.0.0-1" {
			t.Errorf("with the previous InRelease the candidate is %q, want 1.0.0-1", got)
		}
		if _, missing := l.take(); len(missing) > 0 {
			t.Errorf("apt asked in vain for %v", missing)
		}
		r.run(t, "apt-get -y install hello; hello")
	})
}

func TestAptDownloadsForAForeignArchitecture(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	onDebian(t, func(t *testing.T, r *debRoot) {
		foreign := "arm64"
		if strings.TrimSpace(r.run(t, "dpkg --print-architecture")) == foreign {
			foreign = "amd64"
		}
		r.trust(t, p, "hello.sources", p.url)
		r.run(t, "dpkg --add-architecture "+foreign)
		r.update(t)
		got := r.run(t, "cd /tmp; apt-get -q download hello:"+foreign+" >&2; dpkg-deb -f hello_1.0.0-1_"+foreign+".deb Package Version Architecture")
		if want := "Package: hello\nVersion: 1.0.0-1\nArchitecture: " + foreign + "\n"; !strings.HasSuffix(got, want) {
			t.Errorf("downloaded\n%s\nwant\n%s", got, want)
		}
	})
}

// aptFile is how apt-file makes apt fetch Contents.
const aptFile = `Acquire::IndexTargets::deb::Contents-deb {
	MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
	ShortDescription "Contents-$(ARCHITECTURE)";
	Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)";
	flatMetaKey "Contents-$(ARCHITECTURE)";
	flatDescription "$(RELEASE) Contents (deb)";
	PDiffs "true";
	KeepCompressed "true";
	DefaultEnabled "true";
	Identifier "Contents-deb";
};
`

func TestAptFetchesContentsForAptFile(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	b, err := os.ReadFile(filepath.Join(p.dir, "dists/stable/main/Contents-amd64.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"usr/bin/hello", "etc/hello.conf", "usr/share/bash-completion/completions/hello", "usr/lib/systemd/system/hello.service"} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(want) + `\s+utils/hello$`).Match(text) {
			t.Errorf("Contents lacks %s:\n%s", want, text)
		}
	}
	onDebian(t, func(t *testing.T, r *debRoot) {
		l := serveLogged(t, p.dir, nil)
		r.trust(t, p, "hello.sources", l.url)
		r.put(t, "/etc/apt/apt.conf.d/50apt-file.conf", aptFile)
		r.update(t)
		if _, missing := l.take(); len(missing) > 0 {
			t.Errorf("apt asked in vain for %v", missing)
		}
		got := r.run(t, `/usr/lib/apt/apt-helper cat-file $(apt-get indextargets --format '$(FILENAME)' 'Created-By: Contents-deb')`)
		if got != string(text) {
			t.Errorf("apt has\n%s\nof Contents\n%s", got, text)
		}
	})
}

// aptTree is a repository made by publish and apt alone, without a pipeline.
type aptTree struct {
	dir  string
	key  *keys.Key
	repo *apt.Repo
	at   int64
}

func newAptTree(t *testing.T) *aptTree {
	t.Helper()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	a := &aptTree{dir: filepath.Join(t.TempDir(), "tree"), at: 1780000000}
	if a.key, err = keys.Import(keys.NewSecret(text), keys.ImportOptions{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	a.repo, err = apt.New(formats.NoSection, publish.RepoEnv{
		Name: "many", Channels: []string{"stable"}, Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}},
		Keys: keys.Of("many", map[string]*keys.Key{"main": a.key}, time.Unix(a.at, 0)), Key: "main",
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// add publishes packages of the names; nothing opens them.
func (a *aptTree) add(t *testing.T, names ...string) {
	t.Helper()
	dst, err := dir.Open(a.dir, dir.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var edit publish.Edit
	for _, name := range names {
		edit.Add = append(edit.Add, publish.Addition{Channels: []string{"stable"}, Package: publish.Package{
			Blob: formats.Bytes([]byte("the package " + name)), Project: "many", Version: "1.0",
			Meta: &formats.Meta{Format: "deb", Name: name, Version: "1.0-1", Arch: "all", Files: []string{"/usr/share/" + name}, Fields: []formats.Field{
				{Key: "Package", Value: name}, {Key: "Version", Value: "1.0-1"}, {Key: "Architecture", Value: "all"},
				{Key: "Maintainer", Value: "Ann Example <ann@example.org>"}, {Key: "Installed-Size", Value: "1"}, {Key: "Description", Value: "What " + name + " is for\nAnd more of it."},
			}},
		}})
	}
	a.at += 3600
	if _, err := publish.Publish(context.Background(), dst, []publish.Repo{a.repo}, edit, publish.Options{Time: a.at, Now: a.at}); err != nil {
		t.Fatal(err)
	}
}

// forms maps the hash of each form of an index to the form's suffix.
func (a *aptTree) forms(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.dir, "dists/stable/Release"))
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^ ([0-9a-f]{64}) \d+ (\S+/Packages\S*)$`).FindAllStringSubmatch(string(b), -1) {
		of[m[1]] = path.Ext(m[2])
	}
	return of
}

func TestAptCountsEveryOneOfManyPackagesInEveryForm(t *testing.T) {
	a := newAptTree(t)
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("%s%04d", []string{"lib", "tool-", "x", "data", "web"}[i%5], i))
	}
	a.add(t, names...)
	onDebian(t, func(t *testing.T, r *debRoot) {
		a, names := a.clone(t), slices.Clone(names)
		l := serveLogged(t, a.dir, nil)
		sources, err := a.repo.Guide(t.Context(), &publish.GuideInput{URL: l.url, Channel: "stable"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(open(t, sources.Files[0].Blob))
		if err != nil {
			t.Fatal(err)
		}
		r.put(t, "/etc/apt/sources.list.d/many.sources", string(b))
		r.count(t, a, l, names)
		more := []string{"a-first", "libzz-added", "zz-last"} // before, between and after
		a.add(t, more...)
		names = append(names, more...)
		r.count(t, a, l, names)
		a.add(t, "tool-0001a")
		names = append(names, "tool-0001a")
		r.count(t, a, l, names)
	})
}

// clone gives a test a tree of its own to add to.
func (a *aptTree) clone(t *testing.T) *aptTree {
	t.Helper()
	c := *a
	c.dir = filepath.Join(t.TempDir(), "tree")
	if err := os.CopyFS(c.dir, os.DirFS(a.dir)); err != nil {
		t.Fatal(err)
	}
	return &c
}

func open(t *testing.T, b formats.Blob) io.Reader {
	t.Helper()
	f, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// count compares what apt lists with the names, for each form of Packages, kept as
// it came and kept compressed.
func (r *debRoot) count(t *testing.T, a *aptTree, l *accessLog, names []string) {
	t.Helper()
	slices.Sort(names)
	want := strings.Join(names, "\n") + "\n"
	forms := a.forms(t)
	for _, form := range []string{".gz", ".zst", ".gz kept", ".zst kept"} {
		suffix, kept, _ := strings.Cut(form, " ")
		options := "Acquire::CompressionTypes::Order { \"" + suffix[1:] + "\"; };\n"
		if kept != "" {
			options += "Acquire::GzipIndexes \"true\";\n"
		}
		r.put(t, "/etc/apt/apt.conf.d/50form", options)
		r.run(t, "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin")
		l.take()
		r.update(t)
		asked, missing := l.take()
		fetched := 0
		for _, p := range asked {
			m := byHash.FindStringSubmatch(p)
			if m == nil {
				continue
			}
			fetched++
			if forms[m[1]] != suffix {
				t.Errorf("%s: with %s apt fetched %s, which is Packages%s", r.suite, form, p, forms[m[1]])
			}
		}
		if fetched == 0 || len(missing) > 0 {
			t.Errorf("%s: with %s apt fetched %v, in vain %v", r.suite, form, asked, missing)
		}
		if got := r.run(t, "apt-cache pkgnames | LC_ALL=C sort"); without(got, r.own(t)) != want {
			t.Errorf("%s: with %s apt-cache pkgnames lists %d packages, want %d", r.suite, form, strings.Count(without(got, r.own(t)), "\n"), len(names))
		}
		list := `/usr/lib/apt/apt-helper cat-file $(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages') | `
		if got := r.run(t, list+"sed -n 's/^Package: //p' | LC_ALL=C sort"); got != want {
			t.Errorf("%s: with %s apt's list has %d packages, want %d", r.suite, form, strings.Count(got, "\n"), len(names))
		}
		if got := strings.Count(r.run(t, "apt-cache dumpavail"), "\nFilename: pool/main/"); got != len(names) {
			t.Errorf("%s: with %s apt-cache dumpavail has %d packages with a file, want %d", r.suite, form, got, len(names))
		}
	}
}

// own lists what the root has by itself.
func (r *debRoot) own(t *testing.T) map[string]bool {
	t.Helper()
	own := make(map[string]bool)
	for _, name := range strings.Fields(r.run(t, "apt-cache -o Dir::State::lists=/nonexistent -o Dir::Cache=/tmp/own pkgnames")) {
		own[name] = true
	}
	return own
}

func without(list string, drop map[string]bool) string {
	var b strings.Builder
	for name := range strings.Lines(list) {
		if !drop[strings.TrimSpace(name)] {
			b.WriteString(name)
		}
	}
	return b.String()
}
