package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
	"github.com/distropack/distropack/publish/repo/apt"
	"github.com/distropack/distropack/publish/site"
)

// Folders, suites and databases have names of their own; nothing is made for arm64
// but a deb, and nothing goes to nightly.
const ownLayout = `version: 1
project: hello
description: Greets
maintainer: Ann Example <ann@example.org>
license: MIT
channels:
  stable: {tags: "v*"}
  nightly: {tags: "nightly-*"}
platforms: [linux/amd64, linux/arm64]
packages:
  - platforms: [linux/amd64]
    contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
  - name: hello-arm
    platforms: [linux/arm64]
    formats: [deb]
    contents: [{src: hello.sh, dst: /usr/bin/hello-arm, mode: 0755}]
publish:
  - site: public
    url: %s
    apt: {dir: debian, aliases: {stable: [bookworm, jammy]}}
    dnf: {dirs: {stable: "el9/{arch}", nightly: "el9-nightly/{arch}"}}
    pacman: {dir: "pacman/{repo}/{arch}", databases: {stable: hello-main, nightly: hello-next}}
`

// own are the indexes of ownLayout and a file without which clients fail.
var own = map[string]string{
	"apt:debian/dists/stable":                     "InRelease",
	"apt:debian/dists/bookworm":                   "InRelease",
	"apt:debian/dists/jammy":                      "InRelease",
	"apt:debian/dists/nightly":                    "InRelease",
	"dnf:el9/x86_64":                              "repodata/repomd.xml",
	"dnf:el9/aarch64":                             "repodata/repomd.xml",
	"dnf:el9-nightly/x86_64":                      "repodata/repomd.xml",
	"dnf:el9-nightly/aarch64":                     "repodata/repomd.xml",
	"pacman:pacman/hello-main/x86_64/hello-main":  ".db",
	"pacman:pacman/hello-main/aarch64/hello-main": ".db",
	"pacman:pacman/hello-next/x86_64/hello-next":  ".db",
	"pacman:pacman/hello-next/aarch64/hello-next": ".db",
	"apk:apk/stable/x86_64":                       "APKINDEX.tar.gz",
	"apk:apk/stable/aarch64":                      "APKINDEX.tar.gz",
	"apk:apk/nightly/x86_64":                      "APKINDEX.tar.gz",
	"apk:apk/nightly/aarch64":                     "APKINDEX.tar.gz",
	"opkg:opkg/stable/x86_64":                     "Packages",
	"opkg:opkg/stable/aarch64_generic":            "Packages",
	"opkg:opkg/nightly/x86_64":                    "Packages",
	"opkg:opkg/nightly/aarch64_generic":           "Packages",
	"downloads:downloads/SHA256SUMS":              "",
	"downloads:downloads/SHA256SUMS-nightly":      "",
}

// notOwn are looked at besides: they are no listed indexes.
var notOwn = []string{"brew:brew", "site:install.json"}

func named(rep *Report) []string {
	var all []string
	for _, c := range rep.Clients {
		all = append(all, c.Client+":"+c.Path)
	}
	slices.Sort(all)
	return all
}

func TestEveryIndexOfAnOwnLayoutIsLookedAt(t *testing.T) {
	m := new(publishtest.Mem)
	s := serve(t, m.Files, nil)
	publishProject(t, m, fmt.Sprintf(ownLayout, s.URL), "1.0.0", now, testKey)
	want := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(own)), notOwn...)))
	local := see(t, m.Files(), Options{Packages: Hashes})
	rep := see(t, nil, Options{Fetch: overHTTP(t, s.URL), Packages: Hashes})
	expect(t, rep)
	if got := named(rep); !slices.Equal(got, want) {
		t.Errorf("over HTTP:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(rep.Clients, local.Clients) {
		t.Errorf("over HTTP:\n%+v\non disk:\n%+v", rep.Clients, local.Clients)
	}
	packages := make(map[string]int)
	for _, c := range rep.Clients {
		packages[c.Client+":"+c.Path] = c.Packages
	}
	for at, n := range map[string]int{"apt:debian/dists/jammy": 2, "apt:debian/dists/nightly": 0, "dnf:el9/x86_64": 1, "dnf:el9/aarch64": 0, "apk:apk/stable/aarch64": 0} {
		if packages[at] != n {
			t.Errorf("%s has %d packages, want %d", at, packages[at], n)
		}
	}
}

// A CPU's indexes are there, and listed, from the publish on that knows of it.
func TestAPlatformWithoutPackagesIsListedAtOnce(t *testing.T) {
	m := new(publishtest.Mem)
	s := serve(t, m.Files, nil)
	layout := fmt.Sprintf(ownLayout, s.URL)
	publishProject(t, m, layout, "1.0.0", now, testKey)
	before := m.Files()
	publishProject(t, m, layout, "1.0.0", now, testKey)
	if !maps.EqualFunc(m.Files(), before, bytes.Equal) {
		t.Error("the same release again changes the tree")
	}
	publishProject(t, m, strings.Replace(layout, "linux/arm64]\npackages", "linux/arm64, linux/386]\npackages", 1), "1.0.0", now, testKey)
	rep := see(t, nil, Options{Fetch: overHTTP(t, s.URL)})
	expect(t, rep)
	for _, at := range []string{"dnf:el9/i386", "pacman:pacman/hello-main/i686/hello-main", "apk:apk/nightly/x86", "opkg:opkg/stable/i386_pentium4"} {
		if !slices.Contains(named(rep), at) {
			t.Errorf("%s is not looked at: %q", at, named(rep))
		}
	}
	var list site.List
	if err := json.Unmarshal(m.Files()[sitePath], &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range list.Indexes {
		if x.Client == "apt" || x.Client == "dnf" {
			got = append(got, strings.Join([]string{x.Client, x.Channel, x.Arch, x.Path}, " "))
		}
	}
	if want := []string{
		"apt stable  debian/dists/stable", "apt stable  debian/dists/bookworm", "apt stable  debian/dists/jammy", "apt nightly  debian/dists/nightly",
		"dnf stable x86_64 el9/x86_64", "dnf stable aarch64 el9/aarch64", "dnf stable i386 el9/i386",
		"dnf nightly x86_64 el9-nightly/x86_64", "dnf nightly aarch64 el9-nightly/aarch64", "dnf nightly i386 el9-nightly/i386",
	}; !slices.Equal(got, want) {
		t.Errorf("listed are %q, want %q", got, want)
	}
}

func TestAListedIndexThatIsMissingIsAnErrorThatNamesIt(t *testing.T) {
	m := new(publishtest.Mem)
	var files map[string][]byte
	s := serve(t, func() map[string][]byte { return files }, nil)
	publishProject(t, m, fmt.Sprintf(ownLayout, s.URL), "1.0.0", now, testKey)
	for at, file := range own {
		client, name, _ := strings.Cut(at, ":")
		switch {
		case strings.HasPrefix(file, "."):
			name += file
		case file != "":
			name += "/" + file
		}
		files = m.Files()
		if files[name] == nil {
			t.Errorf("%s: there is no %s", at, name)
		}
		// A walk finds an index by its files, so all of them go.
		folder := path.Dir(name)
		if client == "dnf" {
			folder = path.Dir(folder)
		}
		if client == "downloads" {
			folder = name
		}
		maps.DeleteFunc(files, func(p string, _ []byte) bool {
			return strings.HasPrefix(p, folder) && !strings.HasPrefix(p, folder+"-")
		})
		for where, fetch := range map[string]Fetcher{"over HTTP": overHTTP(t, s.URL), "on disk": FS(mapFS(files))} {
			rep := see(t, nil, Options{Fetch: fetch, Packages: None})
			var lost []string
			for _, f := range rep.Findings {
				if f.Severity == Error {
					lost = append(lost, codeOf(f))
				}
			}
			if want := []string{"error " + client + " missing " + name}; !slices.Equal(lost, want) {
				t.Errorf("%s, %s: errors %q, want %q", at, where, lost, want)
			}
		}
	}
}

// relisted returns files with another list of indexes in install.json.
func relisted(t *testing.T, files map[string][]byte, edit func([]site.ListIndex) []site.ListIndex) map[string][]byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(files[sitePath], &all); err != nil {
		t.Fatal(err)
	}
	var indexes []site.ListIndex
	if err := json.Unmarshal(all["indexes"], &indexes); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(edit(indexes))
	if err != nil {
		t.Fatal(err)
	}
	if all["indexes"] = b; string(b) == "null" {
		delete(all, "indexes")
	}
	files = maps.Clone(files)
	if files[sitePath], err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestASiteThatListsNoIndexesIsFoundByItsInstructions(t *testing.T) {
	url, files := served(t, nil)
	want := see(t, nil, Options{Fetch: overHTTP(t, url), Packages: Hashes})
	old := relisted(t, files, func([]site.ListIndex) []site.ListIndex { return nil })
	s := serve(t, func() map[string][]byte { return old }, nil)
	rep := see(t, nil, Options{Fetch: overHTTP(t, s.URL), Packages: Hashes})
	if !slices.Equal(named(rep), named(want)) {
		t.Errorf("by instructions:\n%q\nby the list:\n%q", named(rep), named(want))
	}
	old = relisted(t, files, func([]site.ListIndex) []site.ListIndex { return []site.ListIndex{} })
	if got := named(see(t, nil, Options{Fetch: overHTTP(t, s.URL), Packages: Hashes})); !slices.Equal(got, notOwn) {
		t.Errorf("a list of no indexes gives %q", got)
	}
}

func TestWhatCanNotBeAnIndexIsSaid(t *testing.T) {
	for _, c := range []struct {
		index site.ListIndex
		want  []string
	}{
		{site.ListIndex{Client: "apt", Path: "../dists/stable"}, []string{"error site path install.json: it lists an index for \"apt\" that can't be asked for: \"../dists/stable\" is no path in the tree"}},
		{site.ListIndex{Client: "apt"}, []string{"error site path install.json: \"\" is no path in the tree"}},
		{site.ListIndex{Client: "apt", URL: "file:///etc?token=secret"}, []string{"error site path install.json: \"file:///etc\" is no address of the form https://host/folder/"}},
		{site.ListIndex{Client: "apt", URL: "https://ann:secret@h/"}, []string{"error site path install.json: \"https://h/\" is no address"}},
		{site.ListIndex{Client: "winget", Path: "manifests"}, []string{"note site outside install.json: it lists an index for \"winget\", which is not known here and was not looked at"}},
		{site.ListIndex{Client: "apt", Path: "dists/stable"}, nil}, // again
	} {
		files := relisted(t, generation(t, 1), func(all []site.ListIndex) []site.ListIndex { return append(all, c.index) })
		rep := see(t, files, Options{})
		expect(t, rep, c.want...)
		for _, f := range rep.Findings {
			if strings.Contains(f.String(), "secret") {
				t.Errorf("a secret is told: %s", f)
			}
		}
	}
}

// What a site can't hold apt finds in a flat repository among a release's files.
func TestAListedIndexOutsideTheTreeIsFetchedOverHTTPAlone(t *testing.T) {
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open("hello", map[string]keys.Secret{"main": key.Bundle()}, keys.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := apt.New(formats.NoSection, publish.RepoEnv{Name: "hello", Channels: []string{"stable"}, Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}}, Keys: ring, Key: "main"})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("a large package")
	rec := &publish.Record{Path: "hello_2.0.0-1_amd64.deb", Ref: formats.Bytes(body).Ref(), Meta: formats.Meta{Format: "deb", Name: "hello", Version: "2.0.0-1", Arch: "amd64",
		Fields: []formats.Field{{Key: "Package", Value: "hello"}, {Key: "Version", Value: "2.0.0-1"}, {Key: "Architecture", Value: "amd64"}}}}
	flat, err := repo.Flat(t.Context(), apt.FlatInput{Channel: "stable", At: now.Unix(), Records: []*publish.Record{rec}})
	if err != nil {
		t.Fatal(err)
	}
	release := map[string][]byte{"latest/" + rec.Path: body}
	for _, f := range flat {
		if release["latest/"+f.Path], err = formats.ReadAll(f.Blob); err != nil {
			t.Fatal(err)
		}
	}
	_, files := served(t, nil)
	far := serve(t, func() map[string][]byte { return release }, nil)
	at := far.URL + "/latest/"
	files = relisted(t, files, func(all []site.ListIndex) []site.ListIndex {
		return append(all, site.ListIndex{Client: "apt", Channel: "stable", URL: far.URL + "/latest"})
	})
	near := serve(t, func() map[string][]byte { return files }, nil)
	o := Options{Fetch: overHTTP(t, near.URL), Packages: Hashes, Clients: []string{"apt"}}
	expect(t, see(t, files, Options{}), "note apt outside "+at+": it lies outside the tree and was not looked at")

	rep := see(t, nil, o)
	expect(t, rep)
	i := slices.IndexFunc(rep.Clients, func(c ClientReport) bool { return c.Path == at })
	if i < 0 || !rep.Clients[i].Good || !rep.Clients[i].Signed || rep.Clients[i].Packages != 1 {
		t.Errorf("%+v", rep.Clients)
	}
	if here := see(t, nil, Options{Fetch: o.Fetch, Packages: Hashes, Clients: []string{"apt:dists/stable", "apt:dists/beta"}}); rep.Packages != here.Packages+1 || rep.Bytes != here.Bytes+int64(len(body)) {
		t.Errorf("%d packages of %d bytes, %d of %d without it", rep.Packages, rep.Bytes, here.Packages, here.Bytes)
	}
	for name, want := range map[string]string{
		rec.Path:   "error apt hash " + at + rec.Path,
		"Packages": "error apt hash " + at + "Packages",
	} {
		sound := release["latest/"+name]
		release["latest/"+name] = flip(sound, -1)
		expect(t, see(t, nil, o), want)
		release["latest/"+name] = sound
	}
	clear(release)
	expect(t, see(t, nil, o), "error apt missing "+at+"InRelease: neither InRelease nor Release is there")
}
