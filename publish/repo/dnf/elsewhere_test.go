package dnf

import (
	"bytes"
	"context"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestLocationIsWhatClientsPutTogether(t *testing.T) {
	for _, tt := range []struct{ address, base, href, err string }{
		{"https://github.com/o/r/releases/download/v1.2.0/hello-1.2.0-1.x86_64.rpm", "https://github.com/o/r/releases/download/v1.2.0/", "hello-1.2.0-1.x86_64.rpm", ""},
		{"http://h:81/x.rpm", "http://h:81/", "x.rpm", ""},
		{"https://h/a%20b/v1+a&b/hello-1%2Bx%7Erc.1-1.x86_64.rpm", "https://h/a%20b/v1+a&b/", "hello-1+x~rc.1-1.x86_64.rpm", ""},
		{"https://h/a b/x^1.rpm", "https://h/a%20b/", "x^1.rpm", ""},
		{"https://h/a%2Fb/x.rpm", "https://h/a%2Fb/", "x.rpm", ""},
		{"https://h/folder/", "", "", `its address "https://h/folder/" ends in "", which is no name of a package's file`},
		{"https://h", "", "", `its address "https://h" is not of the form https://host/folder/file.rpm`},
		{"https:///x.rpm", "", "", `its address "https:///x.rpm" is not of the form https://host/folder/file.rpm`},
		{"ftp://h/x.rpm", "", "", `its address "ftp://h/x.rpm" is not of the form https://host/folder/file.rpm`},
		{"folder/x.rpm", "", "", `its address "folder/x.rpm" is not of the form https://host/folder/file.rpm`},
		{"https://ann:hunter2@h/%zz.rpm", "", "", "the address where it lies is no URL: use https://host/folder/file.rpm"},
		{"https://h/a%2Fb.rpm", "", "", `ends in "a/b.rpm", which is no name of a package's file`},
		{"https://h/..", "", "", `ends in "..", which is no name of a package's file`},
		{"https://user:hunter2@h/x.rpm", "", "", "its address at h has a user, a query or a fragment: use one that everybody can fetch for ever"},
		{"https://h/x.rpm?sig=hunter2", "", "", "its address at h has a user, a query or a fragment"},
		{"https://h/x.rpm#hunter2", "", "", "its address at h has a user, a query or a fragment"},
		{"https://h/x.rpm?", "", "", "its address at h has a user, a query or a fragment"},
	} {
		base, href, err := location(tt.address)
		if base != tt.base || href != tt.href || (err == nil) != (tt.err == "") {
			t.Errorf("location(%q) = %q, %q, %v; want %q, %q", tt.address, base, href, err, tt.base, tt.href)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("location(%q): %v, want %s", tt.address, err, tt.err)
		}
	}
}

// Only the location differs, and only that of the package that lies elsewhere.
func TestEntryOfAPackageElsewhereHasABase(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{})
	var recs []*publish.Record
	for _, name := range []string{"big", "small"} {
		p := build(t, nil, "", formats.Spec{Name: name, Version: "1.0"}, amd64, file("/usr/bin/"+name, "x"))
		place, err := r.Place(p.Meta, "stable")
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, &publish.Record{Path: place[0].Path, Ref: p.Blob.Ref(), Added: release, Meta: *p.Meta})
	}
	before := texts(t, r, "stable", recs)
	recs[0].URL = "https://h/a&b/v1/big-1.0-1.x86_64.rpm"
	after := texts(t, r, "stable", recs)
	for _, name := range []string{"filelists", "other"} {
		if !bytes.Equal(before[name], after[name]) {
			t.Errorf("%s differs", name)
		}
	}
	want := bytes.Replace(before["primary"], []byte(`<location href="Packages/b/big-1.0-1.x86_64.rpm"/>`), []byte(`<location xml:base="https://h/a&amp;b/v1/" href="big-1.0-1.x86_64.rpm"/>`), 1)
	if !bytes.Equal(after["primary"], want) || bytes.Equal(want, before["primary"]) {
		t.Errorf("primary is\n%s\nwant\n%s", after["primary"], want)
	}
	var doc struct {
		Package []struct {
			Location struct {
				Base string `xml:"http://www.w3.org/XML/1998/namespace base,attr"`
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"package"`
	}
	if err := xml.Unmarshal(after["primary"], &doc); err != nil || len(doc.Package) != 2 {
		t.Fatalf("%d packages, %v", len(doc.Package), err)
	}
	if l := doc.Package[0].Location; l.Base+l.Href != recs[0].URL {
		t.Errorf("the location is %q + %q, want %q", l.Base, l.Href, recs[0].URL)
	}
	if l := doc.Package[1].Location; l.Base != "" {
		t.Errorf("the package in the tree has the base %q", l.Base)
	}
	recs[0].URL = "https://h/x.rpm?signed"
	if _, err := r.Streams("stable")[0].Page(recs); err == nil || !strings.Contains(err.Error(), "big-1.0-1.x86_64.rpm: its address at h has a user, a query or a fragment") {
		t.Errorf("an address that ends: %v", err)
	}
}

// Existing trees are not made anew, and only zypper is told of servers.
func TestServersReachZyppersFileAlone(t *testing.T) {
	without := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
	with := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello", Servers: []string{"https://github.com/o/r/releases/latest/download", "https://big.example.org/x/"}})
	if without.Settings() != with.Settings() || without.Settings() != "dnf 1\ncompression zst\nkey "+strings.Repeat("A1", 20)+"\n" {
		t.Errorf("the settings are %q, and with servers %q", without.Settings(), with.Settings())
	}
	in := &publish.GuideInput{URL: "https://get.example.org/hello", Channel: "stable"}
	files := func(r *Repo) map[string]string {
		gs, err := r.Guides(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]string)
		for _, g := range gs {
			for _, f := range g.Files {
				b, _ := formats.ReadAll(f.Blob)
				all[f.Path] = string(b)
			}
			all[g.Client] = g.Setup + g.Add[1].Command
		}
		return all
	}
	a, b := files(without), files(with)
	if a["dnf"] != b["dnf"] || a["rpm/hello.repo"] != b["rpm/hello.repo"] || a["rpm/zypper/hello.repo"] != "" {
		t.Error("dnf's file changed, or zypper has one of its own without servers")
	}
	lines := "/rpm/stable/\n        https://github.com/o/r/releases/latest/download/\n        https://big.example.org/x/\ntype="
	if want := strings.Replace(a["rpm/hello.repo"], "/rpm/stable/\ntype=", lines, 1); b["rpm/zypper/hello.repo"] != want {
		t.Errorf("zypper's file is\n%s\nwant\n%s", b["rpm/zypper/hello.repo"], want)
	}
	if z := b["zypper"]; !strings.Contains(z, lines) || !strings.HasSuffix(z, "sudo zypper addrepo --refresh https://get.example.org/hello/rpm/zypper/hello.repo") {
		t.Errorf("zypper's instructions are\n%s", z)
	}
	bad := newRepo(t, Options{}, publish.RepoEnv{Servers: []string{"https://h/x\ngpgcheck=0"}})
	const refused = `server of packages: url "https://h/x\ngpgcheck=0" has the character '\n': write it percent-encoded`
	if _, err := bad.Guides(context.Background(), in); err == nil || err.Error() != refused {
		t.Errorf("a server with a line break: %v, want %s", err, refused)
	}
}

// elsewhere serves a file as a release does: 302 to another host, where the name
// is part of the query.
type elsewhere struct {
	url string

	mu    sync.Mutex
	asked []string
}

// paths returns what was asked for.
func (e *elsewhere) paths() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func serveElsewhere(t *testing.T, path string, body []byte) *elsewhere {
	t.Helper()
	e := &elsewhere{}
	asset := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.RequestURI != "/assets/0815-4711?sig=a%2Fb&name=x" {
			http.NotFound(w, q)
			return
		}
		w.Write(body)
	}))
	t.Cleanup(asset.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		e.mu.Lock()
		e.asked = append(e.asked, q.URL.Path)
		e.mu.Unlock()
		if q.URL.Path != path {
			http.NotFound(w, q)
			return
		}
		http.Redirect(w, q, asset.URL+"/assets/0815-4711?sig=a%2Fb&name=x", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	e.url = s.URL
	return e
}

// Names with what has to be encoded arrive at the server once encoded.
func TestDnfFetchesFromTheBase(t *testing.T) {
	publishtest.Need(t, "dnf")
	keys := publishtest.GPG(t)
	p := build(t, keys, "hello", formats.Spec{Name: "hello", Version: "1.0.0+x-rc.1"}, amd64, file("/usr/bin/hello", "hi"))
	body, err := formats.ReadAll(p.Blob)
	if err != nil {
		t.Fatal(err)
	}
	e := serveElsewhere(t, "/o/r x/v1+a/hello-1.0.0+x~rc.1-1.x86_64.rpm", body)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	tree := &publishtest.Mem{}
	edit := publish.Edit{Add: []publish.Addition{{Package: p, Channels: []string{"stable"}, URL: e.url + "/o/r%20x/v1+a/hello-1.0.0%2Bx%7Erc.1-1.x86_64.rpm"}}}
	if _, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, edit, publish.Options{Time: release, Now: release}); err != nil {
		t.Fatal(err)
	}
	for name := range tree.Files() {
		if strings.HasSuffix(name, ".rpm") {
			t.Errorf("%s is in the tree", name)
		}
	}
	m := newMachine(t)
	guides(t, tree, r, serve(t, tree).URL, "stable")
	write(t, m.root+"/etc/yum.repos.d/hello.repo", tree.Files()["rpm/hello.repo"])
	m.mustDnf("install", "hello")
	m.reads("/usr/bin/hello", "hi")
}

// zypper says where it looks: if it begins to heed xml:base, the second half of
// this is no longer needed.
func TestZypperFetchesFromAServerAndNotFromTheBase(t *testing.T) {
	publishtest.Need(t, "zypper", "rpm")
	keys := publishtest.GPG(t)
	p := build(t, keys, "hello", formats.Spec{Name: "hello", Version: "1.0.0+x-rc.1"}, amd64, file("/usr/bin/hello", "hi"))
	body, err := formats.ReadAll(p.Blob)
	if err != nil {
		t.Fatal(err)
	}
	const name = "hello-1.0.0+x~rc.1-1.x86_64.rpm"
	e := serveElsewhere(t, "/latest/download/"+name, body)
	for _, servers := range [][]string{nil, {e.url + "/latest/download"}} {
		r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello", Servers: servers})
		tree := &publishtest.Mem{}
		edit := publish.Edit{Add: []publish.Addition{{Package: p, Channels: []string{"stable"}, URL: e.url + "/download/v1/" + name}}}
		if _, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, edit, publish.Options{Time: release, Now: release}); err != nil {
			t.Fatal(err)
		}
		s := serve(t, tree)
		guides(t, tree, r, s.URL, "stable")
		m := newMachine(t)
		rpmdb := []string{"--root", m.root, "--dbpath", "/var/lib/rpm"}
		publishtest.MustRun(t, nil, "rpm", append(rpmdb, "--initdb")...)
		publishtest.MustRun(t, nil, "rpm", append(rpmdb, "--import", write(t, m.root+"/hello.asc", tree.Files()["keys/hello.asc"]))...)
		file := "/rpm/hello.repo"
		if servers != nil {
			file = "/rpm/zypper/hello.repo"
		}
		if out, err := m.zypper("addrepo", "--refresh", s.URL+file); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := m.zypper("install", "hello")
		asked := e.paths()
		if servers == nil {
			if err == nil || len(asked) != 0 {
				t.Errorf("zypper asked for %q: %v\n%s", asked, err, out)
			}
			continue
		}
		if err != nil || !slices.Equal(asked, []string{"/latest/download/" + name}) {
			t.Errorf("zypper asked for %q: %v\n%s", asked, err, out)
		}
		m.reads("/usr/bin/hello", "hi")
	}
}
