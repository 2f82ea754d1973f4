package apt

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// elsewhere is record for a package of a release's assets.
func elsewhere(name, version, arch, url string) *publish.Record {
	rec := record(name, version, arch)
	rec.Path, rec.URL = "pool/main/"+name+"_"+version+"_"+arch+".deb", url
	return rec
}

// flat returns the files of a flat suite by their names, in the order they came.
func flat(t *testing.T, r *Repo, in FlatInput) (names []string, texts map[string]string) {
	t.Helper()
	files, err := r.Flat(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	texts = make(map[string]string)
	for _, f := range files {
		b, err := formats.ReadAll(f.Blob)
		if err != nil {
			t.Fatal(err)
		}
		names, texts[f.Path] = append(names, f.Path), string(b)
	}
	return names, texts
}

// The whole of a flat suite, as it lies in a release.
func TestFlatSuiteGolden(t *testing.T) {
	r := open(t, publishtest.Env(), func(o *Options) {
		o.Suites, o.Codenames, o.ValidFor = map[string]string{"beta": "testing"}, map[string]string{"beta": "forky"}, "48h"
	})
	const folder = "https://github.com/o/r/releases/download/v1.0.0/"
	in := FlatInput{Channel: "beta", At: 1780000000, Records: []*publish.Record{
		elsewhere("hello", "1.0~rc.1-1", "arm64", folder+"hello_1.0.rc.1-1_arm64.deb"), // GitHub's name for it
		elsewhere("hello", "1.0~rc.1-1", "amd64", folder+"hello_1.0.rc.1-1_amd64.deb"),
		elsewhere("data", "1:1.0+2", "all", folder+"data_1.0%2B2_all.deb"),
		elsewhere("data", "1:1.0+2", "all", folder+"data_1.0%2B2_all.deb"), // of the other CPU's partition
	}}
	names, texts := flat(t, r, in)
	if want := []string{"Packages", "Packages.gz", "Release", "InRelease", "Release.gpg"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	z, err := gzip.NewReader(strings.NewReader(texts["Packages.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != texts["Packages"] {
		t.Errorf("Packages.gz holds %q, %v", b, err)
	}
	texts["Packages.gz"] = "(compressed)\n"
	var got strings.Builder
	for _, name := range names {
		fmt.Fprintf(&got, "-- %s --\n%s", name, texts[name])
	}
	golden := filepath.Join("testdata", "flat.txtar")
	if *publishtest.Update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v: the suite differs from %s (go test -update rewrites it):\n%s", err, golden, got.String())
	}

	slices.Reverse(in.Records)
	if _, again := flat(t, r, in); again["Packages"] != texts["Packages"] {
		t.Errorf("in another order Packages is\n%s", again["Packages"])
	}
}

func TestFlatSuiteMayBeEmptyAndUnsigned(t *testing.T) {
	env := publishtest.Env()
	env.Key = ""
	names, texts := flat(t, open(t, env, nil), FlatInput{Channel: "stable", At: 1})
	if want := []string{"Packages", "Packages.gz", "Release"}; !slices.Equal(names, want) || texts["Packages"] != "" || !strings.Contains(texts["Release"], "\nArchitectures: amd64 arm64\n") {
		t.Errorf("files %q, Release\n%s", names, texts["Release"])
	}
}

// A package in the pool is found by its name there.
func TestFlatSuiteNamesFilesWithoutFolders(t *testing.T) {
	rec := record("hello", "1.0-1", "amd64")
	rec.Path = "pool/main/h/hello/hello_1.0-1_amd64.deb"
	_, texts := flat(t, open(t, publishtest.Env(), nil), FlatInput{Channel: "stable", Records: []*publish.Record{rec}})
	if !strings.Contains(texts["Packages"], "\nFilename: hello_1.0-1_amd64.deb\n") {
		t.Errorf("Packages is\n%s", texts["Packages"])
	}
}

func TestFlatSuiteRefusesWhatAptWouldNotFind(t *testing.T) {
	r := open(t, publishtest.Env(), nil)
	rpm := record("hello", "1", "x86_64")
	rpm.Meta.Format = "rpm"
	bad := record("hello", "1", "amd64", formats.Field{Key: "Bad key"})
	for name, tt := range map[string]struct {
		channel string
		recs    []*publish.Record
		want    string
	}{
		"channel":      {"nightly", nil, `apt: there is no channel "nightly"`},
		"format":       {"stable", []*publish.Record{rpm}, `x.deb is a package of format "rpm", and a suite lists deb`},
		"two folders":  {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/a.deb"), elsewhere("b", "1", "amd64", "https://h/v2/b.deb")}, "packages of one flat suite lie in https://h/v1 and in https://h/v2: apt looks beside the index only"},
		"one name":     {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/a.deb"), elsewhere("b", "1", "amd64", "https://h/v1/a.deb")}, "a 1 and b 1 have one name in a flat suite: a.deb"},
		"field":        {"stable", []*publish.Record{bad}, `field "Bad key": not a field of a control paragraph`},
		"query":        {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/a.deb?hunter2")}, "a_1_amd64.deb: its address at h has a user, a query or a fragment: apt asks for the name alone"},
		"line break":   {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/a%0AFilename:b.deb")}, `"a\nFilename:b.deb" is no name of a package's file`},
		"slash":        {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/")}, `"v1" is no name of a package's file`},
		"percent sign": {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://h/v1/a%2541.deb")}, `"a%41.deb" is no name of a package's file`},
		"no URL":       {"stable", []*publish.Record{elsewhere("a", "1", "amd64", "https://ann:hunter2@h/%zz")}, "a_1_amd64.deb: the address where it lies is no URL: use https://host/folder/file.deb"},
	} {
		_, err := r.Flat(context.Background(), FlatInput{Channel: tt.channel, Records: tt.recs})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// People get a source for a server only where flat suites are said to be there;
// existing trees are not made anew.
func TestSourcesNameFlatSuites(t *testing.T) {
	env := publishtest.Env()
	plain := open(t, env, nil)
	env.Servers = []string{"https://github.com/o/r/releases/latest/download", "https://big.example.org/x/"}
	servers := open(t, env, nil)
	env.Flat = true
	both := open(t, env, nil)
	in := &publish.GuideInput{URL: "https://example.org/hello", Channel: "stable"}
	texts := func(r *Repo) (sources, list string) {
		t.Helper()
		g, err := r.Guide(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := formats.ReadAll(g.Files[0].Blob)
		b, _ := formats.ReadAll(g.Files[1].Blob)
		return string(a), string(b)
	}
	sources, list := texts(plain)
	if s, l := texts(servers); s != sources || l != list {
		t.Errorf("without flat suites the sources are\n%s\n%s", s, l)
	}
	if plain.Settings() != both.Settings() {
		t.Errorf("the settings are %q, with flat suites %q", plain.Settings(), both.Settings())
	}
	s, l := texts(both)
	_, trust, _ := strings.Cut(sources, "Components: main\n")
	if !strings.HasPrefix(trust, "Signed-By:\n ") {
		t.Fatalf("the source is\n%s", sources)
	}
	want := sources
	for _, uri := range []string{"https://github.com/o/r/releases/latest/download/", "https://big.example.org/x/"} {
		want += "\n# Packages that are too large for the above.\nTypes: deb\nURIs: " + uri + "\nSuites: /\n" + trust
	}
	if s != want {
		t.Errorf("the sources are\n%s\nwant\n%s", s, want)
	}
	const by = "deb [signed-by=/etc/apt/keyrings/hello.asc] "
	if want := list + by + "https://github.com/o/r/releases/latest/download/ /\n" + by + "https://big.example.org/x/ /\n"; l != want {
		t.Errorf("the list is\n%s\nwant\n%s", l, want)
	}
	env.Servers = []string{"https://h/x\nTrusted: yes"}
	const refused = `apt: server "https://h/x\nTrusted: yes/": use http or https, and percent-encode what is not a letter, a digit or one of . _ ~ : / @ + , = -`
	if _, err := open(t, env, nil).Guide(context.Background(), in); err == nil || err.Error() != refused {
		t.Errorf("a server with a line break: %v, want %s", err, refused)
	}
}
