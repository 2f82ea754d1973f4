package dnf

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func records(t testing.TB, text []byte) []*publish.Record {
	t.Helper()
	var recs []*publish.Record
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		rec := new(publish.Record)
		err := d.Decode(rec)
		if err == io.EOF {
			return recs
		}
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
}

// texts renders the streams of a channel whole.
func texts(t testing.TB, r *Repo, channel string, recs []*publish.Record) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, s := range r.Streams(channel) {
		page, err := s.Page(recs)
		if err != nil {
			t.Fatal(err)
		}
		all[s.Name] = slices.Concat(s.Head(len(recs)), page, s.Tail)
	}
	return all
}

func TestIndexIsAsWritten(t *testing.T) {
	publishtest.Cases(t, "index*.txtar", func(t *testing.T, in map[string][]byte) map[string][]byte {
		r := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
		recs := records(t, in["records.jsonl"])
		got := make(map[string][]byte)
		built := publish.Built{Partition: "stable", Records: len(recs)}
		for name, text := range texts(t, r, "stable", recs) {
			got[name+".xml"] = text
			blob := formats.Bytes(text)
			built.Indexes = append(built.Indexes, publish.IndexFile{Stream: name, Form: publish.Zstd, Plain: blob.Ref(), Blob: blob})
		}
		out, err := r.Finish(context.Background(), &publish.RootInput{Root: "stable", At: release, Serial: 1, Partitions: []publish.Built{built}})
		if err != nil {
			t.Fatal(err)
		}
		var list strings.Builder
		for _, f := range out.Files {
			fmt.Fprintf(&list, "%d %s %s.%s\n", f.Class, f.Path, f.Stream, f.Form)
			if f.Class == publish.Pointer {
				got[filepath.Base(f.Path)], _ = formats.ReadAll(f.Blob)
			}
		}
		got["files"] = []byte(list.String())
		return got
	})
}

func TestGuidesAreAsWritten(t *testing.T) {
	publishtest.Cases(t, "guide*.txtar", func(t *testing.T, in map[string][]byte) map[string][]byte {
		env := publish.RepoEnv{Keys: plainKeys{}, Key: "hello"}
		if _, unsigned := in["unsigned"]; unsigned {
			env.Key = ""
		}
		r := newRepo(t, Options{}, env)
		gs, err := r.Guides(context.Background(), &publish.GuideInput{
			URL: "https://get.example.org/hello", Title: "Hello\nWorld", Channel: strings.TrimSpace(string(in["channel"])), Packages: []string{"hello"},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string][]byte)
		for _, g := range gs {
			var steps strings.Builder
			for _, group := range []struct {
				name  string
				steps []publish.Step
			}{{"add", g.Add}, {"install", g.Install}, {"upgrade", g.Upgrade}, {"remove", g.Remove}, {"verify", g.Verify}} {
				fmt.Fprintf(&steps, "%s:\n", group.name)
				for _, s := range group.steps {
					fmt.Fprintf(&steps, "\t# %s\n\t%s\n", s.Text, s.Command)
				}
			}
			got[g.Client+"/steps"] = []byte(steps.String())
			got[g.Client+"/setup.sh"] = []byte(g.Setup)
			got[g.Client+"/install.sh"] = []byte(g.InstallSh)
			for _, f := range g.Files {
				if strings.HasSuffix(f.Path, ".repo") {
					got[f.Path], _ = formats.ReadAll(f.Blob)
				}
			}
		}
		return got
	})
}

func TestGuideScriptsAreCleanShell(t *testing.T) {
	publishtest.Need(t, "shellcheck", "dash")
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
	gs, err := r.Guides(context.Background(), &publish.GuideInput{URL: "https://get.example.org", Channel: "stable"})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gs {
		script := "#!/bin/sh\nset -eu\nrun() { \"$@\"; }\nput() { cat >\"$2\"; }\nsetup() {\n" + g.Setup + "}\ninstall() {\n" + g.InstallSh + "}\nsetup\ninstall \"$@\"\n"
		name := write(t, t.TempDir()+"/x.sh", []byte(script))
		publishtest.MustRun(t, nil, "shellcheck", name)
		publishtest.MustRun(t, nil, "dash", "-n", name)
	}
}

func TestPlaceTakesWhatIsServed(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "386"}, {OS: "darwin", Arch: "arm64"}}})
	meta := func(format, name, arch string) *formats.Meta {
		return &formats.Meta{Format: format, Name: name, Version: "1:1.0-2", Arch: arch, Fields: []formats.Field{{Key: "epoch", Value: "1"}, {Key: "version", Value: "1.0"}, {Key: "release", Value: "2"}}}
	}
	for _, tt := range []struct {
		meta *formats.Meta
		want string
	}{
		{meta("rpm", "Hello", "x86_64"), "rpm/beta/Packages/h/Hello-1.0-2.x86_64.rpm"},
		{meta("rpm", "hello", "noarch"), "rpm/beta/Packages/h/hello-1.0-2.noarch.rpm"},
		{meta("rpm", "hello", "i686"), "rpm/beta/Packages/h/hello-1.0-2.i686.rpm"},
		{meta("rpm", "hello", "src"), "rpm/beta/Packages/h/hello-1.0-2.src.rpm"},
		{meta("rpm", "hello", "aarch64"), ""},
		{meta("deb", "hello", "x86_64"), ""},
	} {
		got, err := r.Place(tt.meta, "beta")
		if err != nil {
			t.Fatal(err)
		}
		path := ""
		if len(got) > 0 {
			path = got[0].Path
			if got[0].Partition != "beta" {
				t.Errorf("partition is %q, want beta", got[0].Partition)
			}
		}
		if path != tt.want {
			t.Errorf("Place(%s %s) = %q, want %q", tt.meta.Format, tt.meta.Arch, path, tt.want)
		}
	}
	if _, err := r.Place(meta("rpm", "../x", "noarch"), "beta"); err == nil {
		t.Error("a name that leaves the directory is placed")
	}
	if _, err := r.Place(meta("rpm", "hello", "noarch"), "edge"); err == nil {
		t.Error("an unknown channel is taken")
	}
}

func TestLessFollowsRpm(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{})
	var recs []*publish.Record
	for _, nv := range []string{"a 2-1", "b 1.0~rc1-1", "b 1.0-1", "b 1.0-2", "b 1.10-1", "b 1:0.1-1", "ba 0-1"} {
		n, v, _ := strings.Cut(nv, " ")
		recs = append(recs, &publish.Record{Meta: formats.Meta{Name: n, Version: v}})
	}
	for i, a := range recs {
		for j, b := range recs {
			if got := r.Less(a, b); got != (i < j) {
				t.Errorf("Less(%s %s, %s %s) = %t", a.Meta.Name, a.Meta.Version, b.Meta.Name, b.Meta.Version, got)
			}
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, tt := range map[string]struct {
		o   Options
		env publish.RepoEnv
	}{
		"compression":      {Options{Compression: "xz"}, publish.RepoEnv{Name: "hello"}},
		"name":             {Options{}, publish.RepoEnv{Name: "Hello World"}},
		"channel":          {Options{}, publish.RepoEnv{Name: "hello", Channels: []string{"../x"}}},
		"key without keys": {Options{}, publish.RepoEnv{Name: "hello", Key: "main"}},
	} {
		if _, err := New(options(tt.o), tt.env); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
	r := newRepo(t, Options{}, publish.RepoEnv{})
	for _, url := range []string{"", "ftp://x", "https://x/", "https://x/$(id)", "https://x/a b", "https://x/'", "https://x\n"} {
		if _, err := r.Guide(context.Background(), &publish.GuideInput{URL: url, Channel: "stable"}); err == nil {
			t.Errorf("url %q: Guide takes it", url)
		}
	}
}

// Only the index of the changed channel is written, under new names; the old
// ones outlive three publishes.
func TestOldIndexesStayForThreePublishes(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
	tree := &publishtest.Mem{}
	primaries := func() (names []string) {
		for n := range tree.Files() {
			if strings.HasPrefix(n, "rpm/stable/") && strings.Contains(n, "-primary.xml") {
				names = append(names, n)
			}
		}
		return names
	}
	var counts []int
	for i := range 6 {
		put(t, tree, r, release+int64(i), "stable", build(t, nil, "", formats.Spec{Name: "hello", Version: fmt.Sprintf("1.%d", i)}, formats.All))
		counts = append(counts, len(primaries()))
	}
	if want := []int{1, 2, 3, 4, 4, 4}; !slices.Equal(counts, want) {
		t.Errorf("primaries after each publish: %v, want %v", counts, want)
	}
	if res := put(t, tree, r, release+9, "stable", build(t, nil, "", formats.Spec{Name: "hello", Version: "1.5"}, formats.All)); res.Changed {
		t.Errorf("publishing what is there changed %d files", len(res.Change.Put))
	}
}

// Any text becomes XML that says the same, but for what XML can't say.
func FuzzPage(f *testing.F) {
	f.Add("hello", "<b>&\"'\x00\t\n\r\xff\ufffe", "a\tEQ\t0\t1\t2\t1", "1\tAnn\tfixed", "/etc/x")
	f.Add("h", "", "rpmlib(X)\tLE\t0\t1\t\t0", "x", "/usr/bin/")
	f.Add("", "", "\t\t\t\t\t", "1\t\t", "")
	r := newRepo(f, Options{}, publish.RepoEnv{})
	f.Fuzz(func(t *testing.T, name, text, rel, change, file string) {
		rec := &publish.Record{Path: "rpm/stable/" + name, Meta: formats.Meta{Name: name, Files: []string{file}, Fields: []formats.Field{
			{Key: "description", Value: text}, {Key: "requires", Value: rel}, {Key: "provides", Value: rel}, {Key: "changelog", Value: change}, {Key: "size", Value: "1"},
		}}}
		for _, s := range r.Streams("stable") {
			page, err := s.Page([]*publish.Record{rec})
			if err != nil {
				continue
			}
			var root node
			if err := xml.Unmarshal(slices.Concat(s.Head(1), page, s.Tail), &root); err != nil {
				t.Fatalf("%s: %v\n%s", s.Name, err, page)
			}
			if len(root.Children) != 1 {
				t.Fatalf("%s: %d packages, want 1", s.Name, len(root.Children))
			}
			want := strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r == 0xFFFE || r == 0xFFFF {
					return '\uFFFD'
				}
				return r
			}, text)
			for _, c := range root.Children[0].Children {
				if c.XMLName.Local == "description" && c.Text != want {
					t.Errorf("description %q became %q", text, c.Text)
				}
			}
		}
	})
}

func BenchmarkPage(b *testing.B) {
	pkg := build(b, nil, "", formats.Spec{Name: "hello", Version: "1.0", Description: strings.Repeat("Says hello to everyone who asks.\n", 5),
		Relations: formats.Relations{Depends: []string{"bash >= 4", "glibc"}}}, amd64,
		file("/usr/bin/hello", "x"), file("/usr/share/doc/hello/README", "x"), file("/usr/share/man/man1/hello.1.gz", "x"))
	recs := make([]*publish.Record, 10000)
	for i := range recs {
		recs[i] = &publish.Record{Path: fmt.Sprintf("rpm/stable/Packages/h/hello-%d.rpm", i), Ref: pkg.Blob.Ref(), Added: release, Meta: *pkg.Meta}
	}
	r := newRepo(b, Options{}, publish.RepoEnv{})
	for _, s := range r.Streams("stable") {
		b.Run(s.Name+"-10000", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				page, err := s.Page(recs)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(page)))
			}
		})
	}
}
