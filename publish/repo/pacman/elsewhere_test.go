package pacman

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestAddressEndsInTheNameThatPacmanAsksFor(t *testing.T) {
	for _, tt := range []struct {
		file, url, want string // want "" is no error
	}{
		{"hello-1.0-1-any.pkg.tar.zst", "", ""},
		{"hello-1.0-1-any.pkg.tar.zst", "https://h/r/v1/hello-1.0-1-any.pkg.tar.zst", ""},
		{"hello-1.0+x-1-any.pkg.tar.zst", "https://h/r/v1/hello-1.0%2Bx-1-any.pkg.tar.zst", ""},
		{"hello-1:1.0-1-any.pkg.tar.zst", "https://h/r/v1/hello-1%3A1.0-1-any.pkg.tar.zst", ""},
		{"hello-1:1.0-1-any.pkg.tar.zst", "https://h/r/v1/hello-1.1.0-1-any.pkg.tar.zst", `it lies at h as "hello-1.1.0-1-any.pkg.tar.zst", but pacman asks for "hello-1:1.0-1-any.pkg.tar.zst": GitHub puts dots for characters of an asset's name`},
		{"hello-1.0-1-any.pkg.tar.zst", "https://h/r/v1/hello-1.0-1-any.pkg.tar.xz", "asks for"},
		{"hello-1.0-1-any.pkg.tar.zst", "https://h/r/v1/", "asks for"},
		{"hello-1.0-1-any.pkg.tar.zst", "https://h/hello-1.0-1-any.pkg.tar.zst?sig=hunter2", "its address at h has a user, a query or a fragment: pacman asks for the name alone"},
		{"hello-1.0-1-any.pkg.tar.zst", "https://ann:hunter2@h/hello-1.0-1-any.pkg.tar.zst", "its address at h has a user, a query or a fragment"},
		{"hello-1.0-1-any.pkg.tar.zst", "ftp://h/hello-1.0-1-any.pkg.tar.zst", "the address where hello-1.0-1-any.pkg.tar.zst lies is not of the form https://host/folder/file"},
		{"hello-1.0-1-any.pkg.tar.zst", "https://ann:hunter2@h/%zz", "the address where hello-1.0-1-any.pkg.tar.zst lies is not of the form https://host/folder/file"},
	} {
		err := checkPlace(&publish.Record{Path: "arch/x86_64/" + tt.file, URL: tt.url}, "arch/x86_64/")
		if tt.want == "" && err == nil {
			continue
		}
		if tt.want == "" || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s at %q: %v, want %q", tt.file, tt.url, err, tt.want)
		}
	}
}

// What GitHub would have renamed never gets into a database.
func TestRenamedPackageIsNotPublished(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Servers: []string{"https://h/latest"}})
	p := build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0", Epoch: "2"}, amd64)
	e := publish.Edit{Add: []publish.Addition{{Package: p, Channels: []string{"stable"}, URL: "https://h/v1/hello-2.1.0-1-x86_64.pkg.tar.zst"}}}
	_, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{r}, e, publish.Options{Time: release, Now: release})
	if err == nil || !strings.Contains(err.Error(), `asks for "hello-2:1.0-1-x86_64.pkg.tar.zst"`) {
		t.Errorf("published with %v", err)
	}
	none := newRepo(t, Options{}, publish.RepoEnv{})
	e.Add[0].URL = "https://h/v1/hello-2%3A1.0-1-x86_64.pkg.tar.zst"
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{none}, e, publish.Options{Time: release, Now: release}); err == nil || !strings.Contains(err.Error(), "it lies elsewhere than in the tree") {
		t.Errorf("a package that lies elsewhere, and no Server line leads there: %v", err)
	}
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{r}, e, publish.Options{Time: release, Now: release}); err != nil {
		t.Errorf("under its own name: %v", err)
	}
}

// Existing trees are not made anew; people get lines for each server, after the tree's.
func TestServersAreLinesOfTheSection(t *testing.T) {
	env := publish.RepoEnv{Keys: plainKeys{}, Key: "hello"}
	without := newRepo(t, Options{}, env)
	env.Servers = []string{"https://github.com/o/r/releases/latest/download", "https://big.example.org/x/"}
	with := newRepo(t, Options{}, env)
	if without.Settings() != with.Settings() {
		t.Errorf("the settings are %q, and with servers %q", without.Settings(), with.Settings())
	}
	const url, line = "https://get.example.org", "Server = https://get.example.org/arch/$arch\n"
	a, b := sectionOf(t, without, url, "stable"), sectionOf(t, with, url, "stable")
	want := a
	for _, server := range []string{"https://github.com/o/r/releases/latest/download", "https://big.example.org/x"} {
		want += "CacheServer = " + server + "\nServer = " + server + "\n"
	}
	if b != want || !strings.HasSuffix(a, line) {
		t.Errorf("the section is\n%s\nwant\n%s", b, want)
	}
	g, err := with.Guide(context.Background(), &publish.GuideInput{URL: url, Channel: "stable"})
	if err != nil || !strings.Contains(g.Setup, b) {
		t.Errorf("install.sh writes another section (%v):\n%s", err, g.Setup)
	}
	env.Servers = []string{"https://h/x\nSigLevel = Never"}
	const refused = `server of packages: url "https://h/x\nSigLevel = Never" has the character '\n': write it percent-encoded`
	if _, err := newRepo(t, Options{}, env).Guide(context.Background(), &publish.GuideInput{URL: url, Channel: "stable"}); err == nil || err.Error() != refused {
		t.Errorf("a server with a line break: %v, want %s", err, refused)
	}
}

// serveElsewhere serves packages as a release does: 302 to another host, where the
// name is part of the query.
func serveElsewhere(t *testing.T, files map[string][]byte) string {
	t.Helper()
	asset := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, ok := files[q.URL.Query().Get("filename")]
		if !ok || q.URL.Path != "/assets/0815-4711" {
			http.NotFound(w, q)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(asset.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		name, ok := strings.CutPrefix(q.URL.Path, "/latest/download/")
		if _, known := files[name]; !ok || !known {
			http.NotFound(w, q)
			return
		}
		http.Redirect(w, q, asset.URL+"/assets/0815-4711?filename="+name, http.StatusFound)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestPacmanTakesPackagesFromTheSecondServer(t *testing.T) {
	publishtest.Need(t, "pacman")
	keys := publishtest.GPG(t)
	files := make(map[string][]byte)
	url := serveElsewhere(t, files)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello", Servers: []string{url + "/latest/download"}})
	tree := &publishtest.Mem{}
	edit := publish.Edit{Add: []publish.Addition{{Package: data(t, keys, "hello", "1.0"), Channels: []string{"stable"}}}}
	content := make([]byte, 20_000) // pacman fetches large packages first
	rand.NewChaCha8([32]byte{}).Read(content)
	var names []string
	for i := range 5 {
		name := fmt.Sprintf("big%d", i)
		p := build(t, keys, "hello", formats.Spec{Name: name, Version: "1.0"}, amd64, file("/usr/share/"+name, name+string(content)))
		file := name + "-1.0-1-x86_64.pkg.tar.zst"
		var err error
		if files[file], err = formats.ReadAll(p.Blob); err != nil {
			t.Fatal(err)
		}
		if files[file+".sig"], err = formats.ReadAll(p.Beside[0].Blob); err != nil {
			t.Fatal(err)
		}
		edit.Add = append(edit.Add, publish.Addition{Package: p, Channels: []string{"stable"}, URL: url + "/download/v1/" + file})
		names = append(names, name)
	}
	if _, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, edit, publish.Options{Time: release, Now: release}); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, keys, sectionOf(t, r, serve(t, tree).URL, "stable"))
	// Three that the tree does not have, and pacman 6.0 leaves the tree out; from
	// 6.1 on all of this is one transaction.
	if version := publishtest.MustRun(t, nil, "pacman", "--version"); strings.Contains(version, "Pacman v6.0") {
		m.must("-Sy", "hello-data")
	}
	m.must(append(append([]string{"-Sy", "--needed"}, names...), "hello-data")...)
	for _, name := range names {
		m.reads("/usr/share/"+name, name+string(content))
	}
	m.reads("/usr/share/hello/data", "1.0")

	// The signature counts there, too.
	files["big0-1.0-1-x86_64.pkg.tar.zst.sig"] = files["big1-1.0-1-x86_64.pkg.tar.zst.sig"]
	m = newMachine(t, keys, sectionOf(t, r, serve(t, tree).URL, "stable"))
	if out, err := m.pacman("-Sy", "big0"); err == nil {
		t.Errorf("pacman took a package with another one's signature:\n%s", out)
	}
}
