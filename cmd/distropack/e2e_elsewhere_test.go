package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/formats/rpm"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/publishtest"
	repoall "github.com/distropack/distropack/publish/repo/all"
	"github.com/distropack/distropack/publish/repo/apt"
	"github.com/distropack/distropack/publish/repo/dnf"
	"github.com/distropack/distropack/publish/repo/pacman"
)

// largeSize is more than a file of a git branch can have.
const largeSize = 168_000_000

// assets are the files of releases, at the addresses GitHub gives them: a download
// is a 302 to another host, whose path says nothing of the file.
type assets struct {
	releases, storage string // addresses of the two hosts

	mu      sync.Mutex
	files   map[string]string // path by name
	spoiled string            // the name that comes with another bit
	fetched []string          // names that storage was asked for
}

func serveAssets(t *testing.T) *assets {
	t.Helper()
	a := &assets{files: make(map[string]string)}
	storage := httptest.NewServer(http.HandlerFunc(a.store))
	releases := httptest.NewServer(http.HandlerFunc(a.release))
	t.Cleanup(storage.Close)
	t.Cleanup(releases.Close)
	a.storage, a.releases = storage.URL, releases.URL
	return a
}

// attach makes a file an asset.
func (a *assets) attach(name, file string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[name] = file
}

// spoil lets a name come with another bit; "" lets none.
func (a *assets) spoil(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoiled = name
}

// take returns what was fetched since the last call.
func (a *assets) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := a.fetched
	a.fetched = nil
	return names
}

func (a *assets) url(name string) string { return a.releases + "/o/r/releases/download/v1.0.0/" + name }

func (a *assets) latest() string { return a.releases + "/o/r/releases/latest/download" }

func (a *assets) release(w http.ResponseWriter, q *http.Request) {
	folder, name := path.Split(q.URL.EscapedPath()) // nothing is cleaned
	name, err := url.PathUnescape(name)
	a.mu.Lock()
	_, ok := a.files[name]
	a.mu.Unlock()
	if err != nil || !ok || folder != "/o/r/releases/download/v1.0.0/" && folder != "/o/r/releases/latest/download/" {
		http.NotFound(w, q)
		return
	}
	v := url.Values{"sp": {"r"}, "sig": {"a/b+c="}, "response-content-disposition": {"attachment; filename=" + name}}
	http.Redirect(w, q, a.storage+"/production/815/4711-uuid?"+v.Encode(), http.StatusFound)
}

func (a *assets) store(w http.ResponseWriter, q *http.Request) {
	disposition := q.URL.Query().Get("response-content-disposition")
	name := strings.TrimPrefix(disposition, "attachment; filename=")
	a.mu.Lock()
	file, ok := a.files[name]
	spoiled := a.spoiled == name
	a.fetched = append(a.fetched, name)
	a.mu.Unlock()
	if !ok || q.URL.Path != "/production/815/4711-uuid" || q.URL.Query().Get("sig") != "a/b+c=" {
		http.Error(w, "no such asset", http.StatusForbidden)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var r io.ReaderAt = f
	if spoiled {
		r = otherBit{f, st.Size() / 2}
	}
	w.Header().Set("Content-Disposition", disposition)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, q, "", time.Time{}, io.NewSectionReader(r, 0, st.Size()))
}

// otherBit changes a bit of what it reads.
type otherBit struct {
	r  io.ReaderAt
	at int64
}

func (o otherBit) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.r.ReadAt(p, off)
	if i := o.at - off; i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	return n, err
}

// elsewhereSite is a site with a small package in its tree, and a large one that
// needs it in a release.
type elsewhereSite struct {
	*published
	assets *assets
	digest formats.Digest    // of the file in the large package
	large  map[string]string // its file's name by format
}

// publishElsewhere builds and publishes it all, signed.
func publishElsewhere(t *testing.T) *elsewhereSite {
	t.Helper()
	ctx := t.Context()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	ring, err := keys.Open("hello", map[string]keys.Secret{"main": keys.NewSecret(text)}, keys.Options{Now: time.Now(), At: at})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	s := &elsewhereSite{published: &published{dir: filepath.Join(work, "tree")}, assets: serveAssets(t), large: make(map[string]string)}
	pages := httptest.NewServer(treeHandler(s.dir))
	t.Cleanup(pages.Close)
	s.url = pages.URL

	data, err := randomFile(filepath.Join(work, "data"), largeSize)
	if err != nil {
		t.Fatal(err)
	}
	s.digest = data.Ref().SHA256
	env := formats.Env{Keys: ring, Key: "main", Scratch: formats.NewScratch(t.TempDir())}
	small := formats.Spec{Name: "small", Version: "1.0.0", Release: "1", Summary: "Small", License: "MIT", Maintainer: "Ann <ann@example.org>", Time: at}
	large := small
	large.Name, large.Summary, large.Relations = "large", "Large", formats.Relations{Depends: []string{"small"}}
	var edit publish.Edit
	var debs []*publish.Record
	for _, kind := range []formats.Kind{deb.Kind(), rpm.Kind(), arch.Kind()} {
		f, err := kind.New(formats.NoSection, env)
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range []struct {
			spec formats.Spec
			file formats.File
		}{
			{small, formats.File{Path: "/usr/share/small", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("small\n"))}},
			{large, formats.File{Path: "/usr/share/large", Type: formats.Regular, Mode: 0o644, Content: data}},
		} {
			p, name := packageFile(t, f, &pkg.spec, pkg.file, filepath.Join(work, kind.Name+"-"+pkg.spec.Name), ring)
			add := publish.Addition{Package: p, Channels: []string{"stable"}}
			if pkg.spec.Name == "large" {
				name = strings.ReplaceAll(name, "~", ".") // as GitHub does
				s.large[kind.Name] = name
				add.URL = s.assets.url(name)
				s.assets.attach(name, filepath.Join(work, kind.Name+"-large"))
				for _, b := range p.Beside {
					s.attach(t, work, name+b.Suffix, b.Blob)
				}
				if kind.Name == "deb" { // apt can't be told of it by the tree
					debs = append(debs, &publish.Record{Path: name, URL: add.URL, Ref: p.Blob.Ref(), Meta: *p.Meta})
					continue
				}
			}
			edit.Add = append(edit.Add, add)
		}
	}

	repoEnv := publish.RepoEnv{
		Name: "hello", Title: "Hello", Origin: "Example", URL: s.url, Channels: []string{"stable"}, Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}},
		Servers: []string{s.assets.latest()}, Flat: true, Keys: ring, Key: "main",
	}
	a, err := apt.New(formats.NoSection, repoEnv)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dnf.New(formats.NoSection, repoEnv)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pacman.New(formats.NoSection, repoEnv)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := a.Flat(ctx, apt.FlatInput{Channel: "stable", At: at.Unix(), Records: debs})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flat {
		s.attach(t, work, f.Path, f.Blob)
	}
	o := publish.Options{Time: at.Unix(), Now: at.Unix(), Site: func(ctx context.Context, _ *publish.View) ([]publish.File, error) {
		in := &publish.GuideInput{URL: s.url, Title: "Hello", Channel: "stable", Packages: []string{"large", "small"}}
		gs, err := d.Guides(ctx, in)
		for _, guide := range []func(context.Context, *publish.GuideInput) (*publish.Guide, error){a.Guide, p.Guide} {
			g, e := guide(ctx, in)
			if err = e; err != nil {
				return nil, err
			}
			gs = append(gs, g)
		}
		var files []publish.File
		for _, g := range gs {
			for _, f := range g.Files {
				if !slices.ContainsFunc(files, func(other publish.File) bool { return other.Path == f.Path }) {
					files = append(files, f)
				}
			}
		}
		return files, err
	}}
	if o.Sign, err = ring.Signer("main", formats.OpenPGPArmor); err != nil {
		t.Fatal(err)
	}
	dst, err := dir.Open(s.dir, dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Publish(ctx, dst, []publish.Repo{a, d, p}, edit, o); err != nil {
		t.Fatal(err)
	}
	verify, err := ring.Verifier("main", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.Check(ctx, dst, []publish.Repo{a, d, p}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Errorf("the tree is not whole: %v", err)
	}
	return s
}

// randomFile writes size bytes that no compressor makes smaller.
func randomFile(name string, size int64) (formats.Blob, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{'d', 'p'}), size); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return formats.FileBlob(name)
}

// packageFile writes a package to a file, with its signature beside it where the
// format has it there, and returns the name it goes by.
func packageFile(t *testing.T, f formats.Format, spec *formats.Spec, content formats.File, to string, ring *keys.Keyring) (publish.Package, string) {
	t.Helper()
	ctx := t.Context()
	amd64 := formats.Platform{OS: "linux", Arch: "amd64"}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := f.Write(ctx, out, spec, amd64, []formats.File{content}); err != nil {
		t.Fatal(err)
	}
	blob, err := formats.FileBlob(to)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Describe(ctx, out, blob.Ref().Size)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Identify(spec, amd64)
	if err != nil {
		t.Fatal(err)
	}
	p := publish.Package{Blob: blob, Meta: m, Project: "hello", Version: spec.Version}
	if m.Format == "arch" {
		sign, err := ring.Signer("main", formats.OpenPGP)
		if err != nil {
			t.Fatal(err)
		}
		r, err := blob.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		sig, err := sign(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		p.Beside = []publish.Beside{{Suffix: ".sig", Blob: formats.Bytes(sig)}}
	}
	return p, id.Filename
}

// attach makes a small file an asset.
func (s *elsewhereSite) attach(t *testing.T, work, name string, b formats.Blob) {
	t.Helper()
	text, err := formats.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(work, "asset-"+name)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	s.assets.attach(name, file)
}

// came checks that the large package was fetched from the release since the last
// call.
func (s *elsewhereSite) came(t *testing.T, format string) {
	t.Helper()
	if names := s.assets.take(); !slices.Contains(names, s.large[format]) {
		t.Errorf("the release was asked for %q, not for %s", names, s.large[format])
	}
}

// A package that no branch can hold is installed from a site whose tree has never
// held it, by the files that people add and with all signatures required.
func TestLargePackagesComeFromARelease(t *testing.T) {
	if testing.Short() {
		t.Skip("168 MB, five times")
	}
	s := publishElsewhere(t)
	t.Run("the tree is small", func(t *testing.T) {
		var total int64
		err := filepath.WalkDir(filepath.Dir(s.dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(name, s.dir) {
				return err
			}
			st, err := d.Info()
			if err == nil {
				total += st.Size()
			}
			if strings.Contains(path.Base(name), "large") {
				t.Errorf("%s is in the tree", name)
			}
			return err
		})
		if err != nil || total == 0 || total > 1<<20 {
			t.Errorf("the tree has %d bytes, %v", total, err)
		}
	})
	sum := fmt.Sprintf("%s  /usr/share/large\n", s.digest)

	t.Run("apt", func(t *testing.T) {
		onDebian(t, func(t *testing.T, r *debRoot) {
			r.run(t, "curl -fsSL -o /etc/apt/sources.list.d/hello.sources "+s.url+"/apt/hello.sources")
			r.update(t)
			if out := r.run(t, "apt-cache policy"); strings.Count(out, "release o=Example,a=stable,n=stable,l=Hello") != 2 {
				t.Errorf("%s: apt-cache policy shows no two sources of one suite:\n%s", r.suite, out)
			}
			s.assets.spoil(s.large["deb"])
			out, err := r.try("apt-get -y install large")
			if s.assets.spoil(""); err == nil || r.installed(t, "large") != "" {
				t.Errorf("%s: apt-get took a spoiled package:\n%s", r.suite, out)
			}
			s.assets.take()
			r.run(t, "apt-get -y install large")
			s.came(t, "deb")
			if got := r.run(t, "sha256sum /usr/share/large; cat /usr/share/small"); got != sum+"small\n" {
				t.Errorf("%s: installed is %q, want %q", r.suite, got, sum+"small\n")
			}
			// What apt before 2.4 is given.
			r.run(t, "rm /etc/apt/sources.list.d/hello.sources; mkdir -p /etc/apt/keyrings; curl -fsSL -o /etc/apt/keyrings/hello.asc "+s.url+"/keys/hello.asc; curl -fsSL -o /etc/apt/sources.list.d/hello.list "+s.url+"/apt/hello.list")
			r.update(t)
			if got := r.candidate(t, "large"); got != "1.0.0-1" {
				t.Errorf("%s: with the .list file apt finds version %q", r.suite, got)
			}
			// Signed by somebody else's key.
			if out, err := r.try("rm -rf /var/lib/apt/lists; sed -i 's/signed-by=[^]]*/signed-by=\\/usr\\/share\\/keyrings\\/debian-archive-keyring.gpg/' /etc/apt/sources.list.d/hello.list; apt-get update --error-on=any"); err == nil {
				t.Errorf("%s: apt-get took suites of an unknown key:\n%s", r.suite, out)
			}
		})
	})

	t.Run("dnf", func(t *testing.T) {
		c := newClone(t, "dnf", "rpm")
		c.rpms()
		c.addDnf(s.published, "hello")
		s.install(c, "rpm", "dnf", "-y", "install", "large")
	})

	t.Run("zypper", func(t *testing.T) {
		c := newClone(t, "zypper", "rpm")
		c.rpms()
		c.must("rpm", "--import", s.url+"/keys/hello.asc")
		c.must("zypper", "--non-interactive", "addrepo", "--refresh", s.url+"/rpm/zypper/hello.repo")
		s.install(c, "rpm", "zypper", "--non-interactive", "install", "large")
	})

	t.Run("pacman", func(t *testing.T) {
		c := newClone(t, "pacman", "pacman-key", "gpg")
		c.arch(s.published)
		c.addPacman(s.published, "hello")
		c.must("pacman", "--noconfirm", "-Sy")
		s.install(c, "arch", "pacman", "--noconfirm", "-S", "large")
		if names := s.assets.take(); len(names) != 0 {
			t.Errorf("afterwards the release was asked for %q", names)
		}
		if out := c.must("pacman", "-Qkk", "large"); !strings.Contains(out, " 0 altered files") {
			t.Errorf("pacman -Qkk says %q", out)
		}
	})
}

// Clients that fetch packages from beside their index alone are never given one
// that lies elsewhere; pacman can be, once it is told of a server.
func TestOnlyClientsThatFollowAreToldOfOtherPlaces(t *testing.T) {
	follows := map[string]string{"apt": "no", "apk": "no", "opkg": "no", "dnf": "yes", "brew": "yes", "downloads": "yes", "pacman": "with servers"}
	for _, kind := range repoall.Kinds() {
		for _, servers := range [][]string{nil, {"https://h/latest"}} {
			env := publishtest.Env()
			env.Servers = servers
			r, err := kind.New(formats.NoSection, env)
			if err != nil {
				t.Fatal(err)
			}
			e, ok := r.(publish.Elsewhere)
			got := ok && e.ListsElsewhere()
			want := follows[kind.Name] == "yes" || follows[kind.Name] == "with servers" && servers != nil
			if follows[kind.Name] == "" || got != want {
				t.Errorf("%s with servers %q: lists packages elsewhere: %t, want %t", kind.Name, servers, got, want)
			}
			if got {
				continue
			}
			words := map[string]string{"apt": "amd64", "apk": "x86_64", "opkg": "x86_64", "pacman": "x86_64"}
			m := &formats.Meta{Format: kind.Formats[0], Name: "large", Version: "1.0-1", Arch: words[kind.Name]}
			add := publish.Addition{Package: publish.Package{Blob: formats.Bytes([]byte("x")), Meta: m, Version: "1.0"}, Channels: []string{"stable"}, URL: "https://h/v1/large"}
			if places, err := r.Place(m, "stable"); err != nil || len(places) == 0 {
				t.Fatalf("%s would not take it in any case: %v", kind.Name, err)
			}
			if _, err := publish.Publish(t.Context(), new(publishtest.Mem), []publish.Repo{r}, publish.Edit{Add: []publish.Addition{add}}, publish.Options{Time: 1, Now: 1}); err == nil || !strings.Contains(err.Error(), "large 1.0-1") {
				t.Errorf("%s: published with %v", kind.Name, err)
			} else {
				t.Log(err)
			}
		}
	}
}

// install runs a command that installs the large package: first on one that was
// spoiled on its way, then on the right one.
func (s *elsewhereSite) install(c *clone, format string, command ...string) {
	c.t.Helper()
	s.assets.spoil(s.large[format])
	out, err := c.run(command[0], command[1:]...)
	if s.assets.spoil(""); err == nil || c.has("/usr/share/large") {
		c.t.Errorf("%s took a spoiled package:\n%s", command[0], out)
	}
	s.came(c.t, format)
	c.must(command[0], command[1:]...)
	s.came(c.t, format)
	if got := c.must("sha256sum", "/usr/share/large"); got != fmt.Sprintf("%s  /usr/share/large\n", s.digest) {
		c.t.Errorf("installed is %q, want %s", got, s.digest)
	}
	if got := c.read("/usr/share/small"); got != "small\n" {
		c.t.Errorf("the small package brought %q", got)
	}
}
