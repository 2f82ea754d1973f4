package brew

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/archive"
	"github.com/distropack/distropack/publish"
)

func testEnv() publish.RepoEnv {
	return publish.RepoEnv{
		Name: "hello", Title: "Hello", Description: "A hello world program.\nMore of it.", URL: "https://example.org/p",
		Channels:  []string{"stable", "edge"},
		Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "darwin", Arch: "arm64"}},
	}
}

func newRepo(t testing.TB, o Options, env publish.RepoEnv) *Repo {
	t.Helper()
	r, err := New(o, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// record is of an archive; platform is os/arch.
func record(name, version, platform string, files ...string) *publish.Record {
	os, arch, _ := strings.Cut(platform, "/")
	rec := &publish.Record{
		Path: fmt.Sprintf("downloads/%[1]s/%[2]s/%[1]s_%[2]s_%[3]s_%[4]s.tar.gz", name, version, os, arch),
		Meta: formats.Meta{
			Format: "tar.gz", Name: name, Version: version, Arch: os + "-" + arch,
			Fields: []formats.Field{{Key: "os", Value: os}, {Key: "arch", Value: arch}}, Files: files,
		},
	}
	rec.Ref = formats.Bytes([]byte(rec.Path)).Ref()
	return rec
}

func plain(b []byte, partition string) publish.Built {
	blob := formats.Bytes(b)
	return publish.Built{Partition: partition, Changed: true, Indexes: []publish.IndexFile{{Stream: stream, Plain: blob.Ref(), Blob: blob}}}
}

func TestPathsAreWhatTheFormatCallsArchives(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	format, err := archive.New("tar.gz", archive.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "darwin/arm64", "darwin/amd64", "darwin/all", "linux/all", "windows/amd64", "linux/386"} {
		p, err := formats.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		id, err := format.Identify(&formats.Spec{Name: "hello", Version: "1.2.0-rc.1"}, p)
		if err != nil {
			t.Fatal(err)
		}
		m := record(id.Name, id.Version, p.OS+"/"+p.Arch).Meta
		places, err := r.Place(&m, "stable")
		if err != nil {
			t.Fatal(err)
		}
		served := (p.OS == "linux" || p.OS == "darwin") && (p.Arch == "amd64" || p.Arch == "arm64" || p.Arch == "all")
		if served != (len(places) == 1) {
			t.Errorf("%s is in %d places", p, len(places))
		}
		if served && (filepath.Base(places[0].Path) != id.Filename || places[0].Path != "downloads/hello/1.2.0-rc.1/"+id.Filename) {
			t.Errorf("%s lies at %s, is called %s", p, places[0].Path, id.Filename)
		}
	}
	for _, c := range []struct{ name, version, channel, want string }{
		{"../x", "1", "stable", `archive "../x" version "1" can't be a file name`},
		{"x", "1/../2", "stable", `archive "x" version "1/../2" can't be a file name`},
		{"7zip", "1", "stable", `"7zip" can't be a formula, since its class would be called "7zip": a name begins with a letter; leave brew out of clients`},
		{"x", "1", "nightly", `channel "nightly" is not published here (channels: stable edge)`},
	} {
		if _, err := r.Place(&record(c.name, c.version, "linux/amd64").Meta, c.channel); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Place(%q %q): %v, want %s", c.name, c.version, err, c.want)
		}
	}
	if p, err := r.Place(&formats.Meta{Format: "deb"}, "stable"); p != nil || err != nil {
		t.Errorf("Place(deb) = %v, %v", p, err)
	}
}

func TestReleasesOfOneVersionAreOrderedBehindIt(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	want := []string{"1.0.0-rc.1", "1.0.0", "1.0.0-2", "1.0.0-10", "1.9.0", "1.10.0"}
	of := func(v string) *publish.Record {
		rec := record("hello", v, "linux/amd64")
		rec.Version = strings.TrimSuffix(strings.TrimSuffix(v, "-2"), "-10")
		return rec
	}
	for i, a := range want {
		for j, b := range want {
			if got := r.Less(of(a), of(b)); got != (i < j) {
				t.Errorf("Less(%s, %s) = %t", a, b, got)
			}
		}
	}
}

func TestFormulaIsOfTheNewestVersion(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	recs := []*publish.Record{
		record("hello", "1.10.0", "linux/amd64"), record("hello", "1.9.0", "linux/amd64"), record("hello", "1.9.0", "darwin/arm64"),
		record("hello", "1.10.0", "darwin/arm64"), record("hello", "1.10.0-rc.1", "darwin/arm64"), record("world", "1", "linux/amd64"),
	}
	slices.SortFunc(recs, func(a, b *publish.Record) int {
		if r.Less(a, b) {
			return -1
		}
		return 1
	})
	text, err := r.page(recs, "stable")
	if err != nil {
		t.Fatal(err)
	}
	names, formulae, err := cut(text)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(names, []string{"hello.rb", "world.rb"}) {
		t.Fatalf("formulae %q", names)
	}
	if s := string(formulae[0]); strings.Contains(s, "1.9.0") || strings.Contains(s, "rc.1") || strings.Count(s, "/1.10.0/") != 2 {
		t.Errorf("formula:\n%s", s)
	}
}

func TestTapHasAFileAPackageAndChannel(t *testing.T) {
	for dir, want := range map[string][]string{
		"":  {".distropack/index/brew/edge/formulae", ".distropack/index/brew/stable/formulae", "brew/Formula/hello-edge.rb", "brew/Formula/hello.rb", "brew/Formula/world.rb"},
		".": {".distropack/index/brew/edge/formulae", ".distropack/index/brew/stable/formulae", "Formula/hello-edge.rb", "Formula/hello.rb", "Formula/world.rb"},
	} {
		r := newRepo(t, Options{Dir: dir}, testEnv())
		stable, err := r.page([]*publish.Record{record("hello", "1.0.0", "linux/amd64"), record("world", "2", "darwin/all")}, "stable")
		if err != nil {
			t.Fatal(err)
		}
		edge, err := r.page([]*publish.Record{record("hello", "1.1.0-rc.1", "linux/amd64")}, "edge")
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Finish(t.Context(), &publish.RootInput{Root: "brew", Partitions: []publish.Built{plain(stable, "stable"), plain(edge, "edge")}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range out.Files {
			got = append(got, f.Path)
			if strings.HasSuffix(f.Path, "hello-edge.rb") {
				b, err := formats.ReadAll(f.Blob)
				if err != nil || !bytes.Contains(b, []byte("class HelloEdge < Formula\n")) {
					t.Errorf("%s (%v):\n%s", f.Path, err, b)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("dir %q: files %q, want %q", dir, got, want)
		}
	}
}

func TestTwoChannelsCannotWriteOneFormula(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	stable, err := r.page([]*publish.Record{record("hello-edge", "1", "linux/amd64")}, "stable")
	if err != nil {
		t.Fatal(err)
	}
	edge, err := r.page([]*publish.Record{record("hello", "1", "linux/amd64")}, "edge")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Finish(t.Context(), &publish.RootInput{Root: "brew", Partitions: []publish.Built{plain(stable, "stable"), plain(edge, "edge")}})
	const want = "channels stable and edge both have a formula hello-edge.rb: rename a package"
	if err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
}

func TestArchivesForOtherSystemsAreNoFormulae(t *testing.T) {
	const want = "formula of hello 1: archive downloads/hello/1/hello_1_windows_amd64.tar.gz is for a platform Homebrew does not have"
	if _, err := newRepo(t, Options{}, testEnv()).page([]*publish.Record{record("hello", "1", "windows/amd64")}, "stable"); err == nil || err.Error() != want {
		t.Errorf("page: %v, want %s", err, want)
	}
}

func TestFinishRefusesADamagedIndex(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for want, part := range map[string]publish.Built{
		"partition stable has no index formulae":                                                       {Partition: "stable"},
		`partition stable: formula 1 does not begin with its name and length: "class Hello < Formula"`: plain([]byte("class Hello < Formula\n"), "stable"),
		`partition stable: formula 2 does not begin with its name and length: "-- b.rb"`:               plain([]byte("-- a.rb 2\nx\n-- b.rb\n"), "stable"),
		`partition stable: formula "a.rb" of "9" bytes: there are 2 left`:                              plain([]byte("-- a.rb 9\nx\n"), "stable"),
		`partition stable: formula "../a.rb" of "2" bytes: it is no name of a formula's file`:          plain([]byte("-- ../a.rb 2\nx\n"), "stable"),
	} {
		if _, err := r.Finish(t.Context(), &publish.RootInput{Root: "brew", Partitions: []publish.Built{part}}); err == nil || err.Error() != want {
			t.Errorf("Finish: %v, want %s", err, want)
		}
	}
}

func TestWithoutURLThereAreNoFormulae(t *testing.T) {
	env := testEnv()
	env.URL = ""
	r := newRepo(t, Options{}, env)
	if text, err := r.page([]*publish.Record{record("hello", "1", "linux/amd64")}, "stable"); len(text) != 0 || err != nil {
		t.Errorf("page: %q, %v", text, err)
	}
	if r.Settings() == newRepo(t, Options{}, testEnv()).Settings() {
		t.Error("the URL is not among the settings: formulae would not come with it")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		`dir "/x" is no folder of the tree: use letters`:                            {Dir: "/x"},
		`dir "../x" is no folder of the tree: use letters`:                          {Dir: "../x"},
		`dir "x/" is no folder of the tree: use letters`:                            {Dir: "x/"},
		`dir "a b" is no folder of the tree: use letters`:                           {Dir: "a b"},
		`tap "x" is not of the form owner/name`:                                     {Tap: "x"},
		`tap "a/b;c" is not of the form owner/name`:                                 {Tap: "a/b;c"},
		`tap-url "https://x" needs tap, and may have neither spaces nor quotes`:     {TapURL: "https://x"},
		`tap-url "https://x; rm" needs tap, and may have neither spaces nor quotes`: {Tap: "a/b", TapURL: "https://x; rm"},
	} {
		if _, err := New(o, testEnv()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
	env := testEnv()
	env.Channels = []string{"a/b"}
	if _, err := New(Options{}, env); err == nil || !strings.Contains(err.Error(), `channel "a/b" can't be part of a formula's name: use lower-case letters`) {
		t.Errorf("New: %v", err)
	}
}

func FuzzCutNeverPanicsAndLosesNothing(f *testing.F) {
	f.Add([]byte("-- a.rb 2\nx\n-- b.rb 0\n"))
	f.Add([]byte("-- a.rb 99\nx\n"))
	f.Add([]byte("-- ../a.rb 1\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		names, formulae, err := cut(text)
		if err != nil {
			return
		}
		var b []byte
		for i, n := range names {
			b = fmt.Appendf(b, "-- %s %d\n", n, len(formulae[i]))
			b = append(b, formulae[i]...)
		}
		again, formulaeAgain, err := cut(b)
		if err != nil || !slices.Equal(again, names) || !slices.EqualFunc(formulaeAgain, formulae, bytes.Equal) {
			t.Errorf("%q became %q: %v", text, b, err)
		}
	})
}

func BenchmarkRender10000(b *testing.B) {
	r := newRepo(b, Options{}, testEnv())
	var recs []*publish.Record
	for i := range 2500 {
		for _, p := range []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64"} {
			recs = append(recs, record(fmt.Sprintf("pkg%05d", i), "1.2.0", p, "/bin/x", "/share/man/man1/x.1.gz"))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.page(recs, "stable"); err != nil {
			b.Fatal(err)
		}
	}
}
