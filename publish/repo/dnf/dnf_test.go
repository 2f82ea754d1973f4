package dnf

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
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
	if _, err := r.Place(meta("rpm", "../x", "noarch"), "beta"); err == nil || err.Error() != `package "../x" "1:1.0-2": "../x" can't be part of a file name` {
		t.Errorf("a name that leaves the directory: %v", err)
	}
	if _, err := r.Place(meta("rpm", "hello", "noarch"), "edge"); err == nil || err.Error() != `channel "edge" is not published here (channels: stable beta)` {
		t.Errorf("an unknown channel: %v", err)
	}
}

// The addresses that createrepo's repositories had where people's .repo files look
// for them.
func TestLayoutIsWhatTheOptionsSay(t *testing.T) {
	for _, tt := range []struct {
		o       Options
		baseurl string
		places  []string // of a package for x86_64 and one for all CPUs
	}{
		{Options{}, "https://x/rpm/stable/", []string{"stable rpm/stable/Packages/h/hello-1.0-1.x86_64.rpm", "stable rpm/stable/Packages/d/data-1.0-1.noarch.rpm"}},
		{Options{Dirs: map[string]string{"stable": "."}}, "https://x/", []string{"stable Packages/h/hello-1.0-1.x86_64.rpm", "stable Packages/d/data-1.0-1.noarch.rpm"}},
		{Options{Dirs: map[string]string{"stable": "yum"}, Packages: "flat"}, "https://x/yum/", []string{"stable yum/hello-1.0-1.x86_64.rpm", "stable yum/data-1.0-1.noarch.rpm"}},
		{Options{Dirs: map[string]string{"stable": "el/9/{arch}"}}, "https://x/el/9/$basearch/", []string{
			"stable/x86_64 el/9/x86_64/Packages/h/hello-1.0-1.x86_64.rpm",
			"stable/x86_64 el/9/x86_64/Packages/d/data-1.0-1.noarch.rpm", "stable/armhfp el/9/armhfp/Packages/d/data-1.0-1.noarch.rpm",
		}},
	} {
		r := newRepo(t, tt.o, publish.RepoEnv{Platforms: []formats.Platform{amd64, {OS: "linux", Arch: "arm", Variant: "v6"}, {OS: "linux", Arch: "arm", Variant: "v7"}, {OS: "darwin", Arch: "arm64"}}})
		tree := &publishtest.Mem{}
		pkgs := []publish.Package{build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0"}, amd64), build(t, nil, "", formats.Spec{Name: "data", Version: "1.0"}, formats.All)}
		put(t, tree, r, release, "stable", pkgs...)
		var got []string
		for _, p := range pkgs {
			places, err := r.Place(p.Meta, "stable")
			if err != nil {
				t.Fatal(err)
			}
			for _, pl := range places {
				got = append(got, pl.Partition+" "+pl.Path)
				dir := strings.NewReplacer("https://x/", "", "$basearch", path.Base(pl.Partition)).Replace(tt.baseurl)
				if tree.Read(pl.Path) == nil || tree.Read(dir+"repodata/repomd.xml") == nil {
					t.Errorf("%+v: %s or the repomd.xml of %s is not there", tt.o, pl.Path, dir)
				}
			}
		}
		if !slices.Equal(got, tt.places) {
			t.Errorf("%+v: places %q, want %q", tt.o, got, tt.places)
		}
		if tree.Read("rpm/beta/repodata/repomd.xml") == nil {
			t.Errorf("%+v: beta is not where it was", tt.o)
		}
		for _, g := range guides(t, tree, r, "https://x", "stable") {
			if want := "\nbaseurl=" + tt.baseurl + "\n"; !strings.Contains(string(tree.Read("rpm/hello.repo")), want) || !strings.Contains(g.Setup, want) {
				t.Errorf("%+v: %s is not told of%s:\n%s", tt.o, g.Client, want, g.Setup)
			}
		}
	}
}

// Records say where packages lie; another folder can't be said of what is there.
func TestOtherDirsAreRefusedForATree(t *testing.T) {
	tree := &publishtest.Mem{}
	put(t, tree, newRepo(t, Options{}, publish.RepoEnv{}), release, "stable", build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0"}, amd64))
	for dir, below := range map[string]string{"yum": "yum/", "el9/{arch}": "el9/"} {
		want := "Packages/h/hello-1.0-1.x86_64.rpm: the package does not lie below " + below + ", and an index names nothing else: leave dnf's dirs as they were, or begin a new tree"
		r := newRepo(t, Options{Dirs: map[string]string{"stable": dir}}, publish.RepoEnv{})
		_, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, publish.Edit{}, publish.Options{Time: release, Now: release})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: published with %v, want %s", dir, err, want)
		}
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
	channels := []string{"stable", "beta"}
	for want, tt := range map[string]struct {
		o   Options
		env publish.RepoEnv
	}{
		`compression "xz" is unknown: use zstd or gzip`:                                                             {Options{Compression: "xz"}, publish.RepoEnv{Name: "hello"}},
		`packages "x" is unknown: use letter or flat`:                                                               {Options{Packages: "x"}, publish.RepoEnv{Name: "hello"}},
		`repository name "Hello World": use lower-case letters, digits and -`:                                       {Options{}, publish.RepoEnv{Name: "Hello World"}},
		`channel "../x": use lower-case letters, digits and . _ -`:                                                  {Options{}, publish.RepoEnv{Name: "hello", Channels: []string{"../x"}}},
		`signing key "main" was not opened: without it the repository can't be signed`:                              {Options{}, publish.RepoEnv{Name: "hello", Key: "main"}},
		`dirs: "/srv" of channel stable is no folder of the tree: use letters, digits and . - _, and {arch}`:        {Options{Dirs: map[string]string{"stable": "/srv"}}, publish.RepoEnv{Name: "hello", Channels: channels}},
		`dirs: "x/$basearch" of channel stable is no folder of the tree: use letters, digits and . - _, and {arch}`: {Options{Dirs: map[string]string{"stable": "x/$basearch"}}, publish.RepoEnv{Name: "hello", Channels: channels}},
		`dirs: channels stable and beta have one folder "rpm/beta": give each its own`:                              {Options{Dirs: map[string]string{"stable": "rpm/beta"}}, publish.RepoEnv{Name: "hello", Channels: channels}},
		`dirs: channels stable and beta have one folder "x/x86_64": give each its own`:                              {Options{Dirs: map[string]string{"stable": "x/{arch}", "beta": "x/x86_64"}}, publish.RepoEnv{Name: "hello", Channels: channels, Platforms: []formats.Platform{amd64}}},
	} {
		if _, err := New(options(tt.o), tt.env); err == nil || err.Error() != want {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
	r := newRepo(t, Options{}, publish.RepoEnv{})
	for url, want := range map[string]string{
		"":              `url "": use http or https, and no slash at the end`,
		"ftp://x":       `url "ftp://x": use http or https, and no slash at the end`,
		"https://x/":    `url "https://x/": use http or https, and no slash at the end`,
		"https://x/$(i": `url "https://x/$(i" has the character '$': write it percent-encoded`,
		"https://x/a b": `url "https://x/a b" has the character ' ': write it percent-encoded`,
		"https://x/'":   `url "https://x/'" has the character '\'': write it percent-encoded`,
		"https://x\n":   `url "https://x\n" has the character '\n': write it percent-encoded`,
	} {
		if _, err := r.Guide(context.Background(), &publish.GuideInput{URL: url, Channel: "stable"}); err == nil || err.Error() != want {
			t.Errorf("url %q: %v, want %s", url, err, want)
		}
	}
	if _, err := r.Guide(context.Background(), &publish.GuideInput{URL: "https://x", Channel: "a b"}); err == nil || err.Error() != `channel "a b": use lower-case letters, digits and . _ -` {
		t.Errorf("a channel with a space: %v", err)
	}
}

// What a record may say that is no entry.
func TestPageRefusesWhatClientsWouldMisread(t *testing.T) {
	const six = "\t\t\t\t\t"
	for want, f := range map[string]formats.Field{
		`requires: "bash" has 1 columns, want 6`:                                                {Key: "requires", Value: "bash"},
		`requires: "bash` + strings.ReplaceAll(six, "\t", `\t`) + `\t" has more than 6 columns`: {Key: "requires", Value: "bash" + six + "\t"},
		`provides: "a\tNE\t0\t1\t\t0": "NE" is no comparison`:                                   {Key: "provides", Value: "a\tNE\t0\t1\t\t0"},
		`conflicts: "a\t\t\t\t\tx": pre is "x", want 0 or 1`:                                    {Key: "conflicts", Value: "a\t\t\t\t\tx"},
		`obsoletes: "\t\t\t\t\t" names nothing`:                                                 {Key: "obsoletes", Value: six},
		`changelog: "1\tAnn" has 2 columns, want 3`:                                             {Key: "changelog", Value: "1\tAnn"},
		`changelog: time "today" is not a number`:                                               {Key: "changelog", Value: "today\tAnn\tx"},
		`buildtime "1e9" is not a number`:                                                       {Key: "buildtime", Value: "1e9"},
		`epoch "-1" is not a number`:                                                            {Key: "epoch", Value: "-1"},
	} {
		rec := &publish.Record{Path: "rpm/stable/x.rpm", Meta: formats.Meta{Name: "x", Fields: []formats.Field{f}}}
		var errs []error
		for _, s := range newRepo(t, Options{}, publish.RepoEnv{}).Streams("stable") {
			_, err := s.Page([]*publish.Record{rec})
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err == nil || !strings.HasPrefix(err.Error(), "rpm/stable/x.rpm: "+want) {
			t.Errorf("%q: %v, want %s", f.Value, err, want)
		}
	}
}

func TestFinishNeedsTheIndexesOfOnePartition(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{})
	for want, parts := range map[string][]publish.Built{
		"a repository has one partition, not 0":         nil,
		"a repository has one partition, not 2":         make([]publish.Built, 2),
		"partition stable has no index primary.xml.zst": {{Partition: "stable"}},
	} {
		if _, err := r.Finish(context.Background(), &publish.RootInput{Root: "stable", Partitions: parts}); err == nil || err.Error() != want {
			t.Errorf("Finish: %v, want %s", err, want)
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

// goneKeys can't sign: the agent is gone.
type goneKeys struct{ plainKeys }

func (goneKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("the agent is gone") }, nil
}

func TestSigningErrorsAreReported(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: goneKeys{}, Key: "hello"})
	const want = "repository dnf: root beta: sign repomd.xml: the agent is gone"
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{r}, publish.Edit{}, publish.Options{}); err == nil || err.Error() != want {
		t.Errorf("Publish: %v, want %s", err, want)
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
