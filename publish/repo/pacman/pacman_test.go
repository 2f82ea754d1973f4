package pacman

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
		if errors.Is(err, io.EOF) {
			return recs
		}
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
}

// list renders a tar as text: header, content.
func list(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "== %c %o %d:%d %s:%s %d %s\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime.Unix(), h.Name)
		if _, err := io.Copy(&out, r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabaseIsAsWritten(t *testing.T) {
	publishtest.Cases(t, "database*.txtar", func(t *testing.T, in map[string][]byte) map[string][]byte {
		r := newRepo(t, Options{}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
		recs := records(t, in["records.jsonl"])
		got := make(map[string][]byte)
		built := publish.Built{Partition: "beta/x86_64", Records: len(recs)}
		for _, s := range r.Streams(built.Partition) {
			page, err := s.Page(recs)
			if err != nil {
				t.Fatal(err)
			}
			text := slices.Concat(s.Head(len(recs)), page, s.Tail)
			if len(text)%512 != 0 {
				t.Errorf("%s has %d bytes, which are no whole blocks", s.Name, len(text))
			}
			if end := make([]byte, 1024); !bytes.HasSuffix(text, end) || bytes.HasSuffix(page, end) {
				t.Errorf("%s: the two zero blocks that end a tar are not in the tail alone", s.Name)
			}
			got[s.Name] = list(t, text)
			blob := formats.Bytes(text)
			built.Indexes = append(built.Indexes, publish.IndexFile{Stream: s.Name, Form: publish.Gzip, Plain: blob.Ref(), Blob: blob})
		}
		out, err := r.Finish(context.Background(), &publish.RootInput{Root: built.Partition, At: release, Serial: 1, Partitions: []publish.Built{built}})
		if err != nil {
			t.Fatal(err)
		}
		var files strings.Builder
		for _, f := range out.Files {
			fmt.Fprintf(&files, "%d %s %s.%s\n", f.Class, f.Path, f.Stream, f.Form)
		}
		got["paths"] = []byte(files.String())
		return got
	})
}

func TestGuideIsAsWritten(t *testing.T) {
	publishtest.Cases(t, "guide*.txtar", func(t *testing.T, in map[string][]byte) map[string][]byte {
		env := publish.RepoEnv{Keys: plainKeys{}, Key: "hello"}
		if _, unsigned := in["unsigned"]; unsigned {
			env.Key = ""
		}
		g, err := newRepo(t, Options{}, env).Guide(context.Background(), &publish.GuideInput{
			URL: "https://get.example.org/hello", Title: "Hello", Channel: strings.TrimSpace(string(in["channel"])), Packages: []string{"hello"},
		})
		if err != nil {
			t.Fatal(err)
		}
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
		got := map[string][]byte{"steps": []byte(steps.String()), "setup.sh": []byte(g.Setup), "install.sh": []byte(g.InstallSh)}
		for _, f := range g.Files {
			got[f.Path], _ = formats.ReadAll(f.Blob)
		}
		return got
	})
}

// The body of install.sh is run as it is, but for paths, and pacman's own tools
// get the root; twice, as people do.
func TestSetupAddsTheRepositoryOnce(t *testing.T) {
	publishtest.Need(t, "pacman", "pacman-key", "shellcheck", "dash")
	keys := publishtest.GPG(t)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", hello(t, keys, "hello", "1.0.0"), data(t, keys, "hello", "1.0"))
	s := serve(t, tree)
	g, err := r.Guide(context.Background(), &publish.GuideInput{URL: s.URL, Title: "Hello", Channel: "stable"})
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("/tmp", "dp") // an agent's socket has to have a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", root+"/etc/pacman.d/gnupg", "--kill", "all").Run()
		os.RemoveAll(root)
	})
	conf := root + "/etc/pacman.conf"
	write(t, conf, []byte("[options]\nArchitecture = x86_64\nSigLevel = Required DatabaseOptional\n"))
	for _, d := range []string{"/var/lib/pacman", "/var/cache", "/etc/pacman.d"} {
		if err := os.MkdirAll(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\nset -eu\nROOT=" + root + `
run() { "$@"; }
put() { cat >"$2"; }
pacman() { command pacman --config "$ROOT/etc/pacman.conf" --root "$ROOT" --dbpath "$ROOT/var/lib/pacman" --cachedir "$ROOT/var/cache" --gpgdir "$ROOT/etc/pacman.d/gnupg" --logfile "$ROOT/log" "$@"; }
pacman_key() { command pacman-key --gpgdir "$ROOT/etc/pacman.d/gnupg" "$@"; }
pacman_conf() { command pacman-conf --config "$ROOT/etc/pacman.conf" "$@"; }
setup() {
` + strings.NewReplacer("/etc/", root+"/etc/", "/var/lib/", root+"/var/lib/", "pacman-key", "pacman_key", "pacman-conf", "pacman_conf").Replace(g.Setup) + `}
install() {
` + g.InstallSh + `}
setup
setup
install hello
`
	name := write(t, root+"/x.sh", []byte(script))
	publishtest.MustRun(t, nil, "shellcheck", name)
	out := publishtest.MustRun(t, nil, "dash", name)
	// The second time there are lists, and only our own is fetched.
	if n := strings.Count(out, "Synchronizing package databases"); n != 2 {
		t.Errorf("databases were synchronized %d times, want 2:\n%s", n, out)
	}
	if b, err := os.ReadFile(root + "/usr/bin/hello"); err != nil || !strings.Contains(string(b), "1.0.0") {
		t.Errorf("hello is %q (%v)", b, err)
	}
	b, err := os.ReadFile(conf)
	if err != nil || strings.Count(string(b), "Include") != 1 {
		t.Errorf("pacman.conf includes the repository other than once (%v):\n%s", err, b)
	}
}

func TestPlaceTakesWhatIsServed(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm", Variant: "v7"}, {OS: "darwin", Arch: "arm64"}}})
	if got, want := r.Partitions(), []string{"stable/x86_64", "stable/armv7h", "beta/x86_64", "beta/armv7h"}; !slices.Equal(got, want) {
		t.Errorf("Partitions() = %q, want %q", got, want)
	}
	for _, tt := range []struct{ format, arch, want string }{
		{"arch", "x86_64", "beta/x86_64 arch/x86_64/hello-1:1.0-1-x86_64.pkg.tar.zst"},
		{"arch", "any", "beta/x86_64 arch/x86_64/hello-1:1.0-1-any.pkg.tar.zst beta/armv7h arch/armv7h/hello-1:1.0-1-any.pkg.tar.zst"},
		{"arch", "aarch64", ""},
		{"apk", "x86_64", ""},
	} {
		places, err := r.Place(&formats.Meta{Format: tt.format, Name: "hello", Version: "1:1.0-1", Arch: tt.arch}, "beta")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range places {
			got = append(got, p.Partition, p.Path)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("Place(%s %s) = %q, want %q", tt.format, tt.arch, s, tt.want)
		}
	}
	for _, name := range []string{"../x", ".x", "-x", "a b", "a\nb", ""} {
		want := fmt.Sprintf("package %q %q: %q can't be part of a file name", name, "1-1", name)
		if _, err := r.Place(&formats.Meta{Format: "arch", Name: name, Version: "1-1", Arch: "any"}, "beta"); err == nil || err.Error() != want {
			t.Errorf("the name %q: %v, want %s", name, err, want)
		}
	}
	const want = `channel "edge" is not published here (channels: stable beta)`
	if _, err := r.Place(&formats.Meta{Format: "arch", Name: "x", Version: "1-1", Arch: "any"}, "edge"); err == nil || err.Error() != want {
		t.Errorf("an unknown channel: %v, want %s", err, want)
	}
}

// The addresses that repo-add's databases had where people's pacman.conf looks for
// them.
func TestLayoutIsWhatTheOptionsSay(t *testing.T) {
	x86 := []formats.Platform{amd64}
	for _, tt := range []struct {
		o         Options
		platforms []formats.Platform
		channel   string
		server    string   // of the section
		db        string   // its name
		files     []string // that a release brings
	}{
		{Options{}, nil, "beta", "https://x/arch/$arch", "hello-beta", []string{"arch/aarch64/hello-beta.db", "arch/x86_64/hello-beta.db", "arch/x86_64/hello-1.0-1-x86_64.pkg.tar.zst"}},
		{Options{Dir: "."}, x86, "stable", "https://x", "hello", []string{"hello.db", "hello.files", "hello-1.0-1-x86_64.pkg.tar.zst"}},
		{Options{Dir: "{arch}"}, nil, "stable", "https://x/$arch", "hello", []string{"aarch64/hello.db", "x86_64/hello-1.0-1-x86_64.pkg.tar.zst"}},
		{Options{Dir: "repo/{repo}/os/{arch}", Databases: map[string]string{"stable": "ACME", "beta": "acme_test"}}, nil, "stable", "https://x/repo/ACME/os/$arch", "ACME",
			[]string{"repo/ACME/os/x86_64/ACME.db", "repo/acme_test/os/x86_64/acme_test.db", "repo/ACME/os/x86_64/hello-1.0-1-x86_64.pkg.tar.zst"}},
		{Options{Databases: map[string]string{"beta": "hello-git"}}, nil, "beta", "https://x/arch/$arch", "hello-git", []string{"arch/x86_64/hello.db", "arch/x86_64/hello-git.files"}},
	} {
		r := newRepo(t, tt.o, publish.RepoEnv{Platforms: tt.platforms})
		tree := &publishtest.Mem{}
		put(t, tree, r, release, tt.channel, build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0"}, amd64))
		for _, name := range tt.files {
			if tree.Read(name) == nil {
				t.Errorf("%+v: there is no %s", tt.o, name)
			}
		}
		want := "[" + tt.db + "]\nSigLevel = Never\nServer = " + tt.server + "\n"
		if s := sectionOf(t, r, "https://x", tt.channel); s != want {
			t.Errorf("%+v: the section is\n%s\nwant\n%s", tt.o, s, want)
		}
	}
}

// Records say where packages lie; another folder can't be said of what is there.
// Trees of before are not made anew.
func TestAnotherDirIsRefusedForATree(t *testing.T) {
	before, after := newRepo(t, Options{}, publish.RepoEnv{}), newRepo(t, Options{Dir: "pkgs/{arch}"}, publish.RepoEnv{})
	if s := before.Settings(); s == after.Settings() || s != "pacman 1\nname hello\nmain stable\ncompression gz\nsign false\nkey \n" {
		t.Errorf("the settings are %q, with dir %q", s, after.Settings())
	}
	tree := &publishtest.Mem{}
	put(t, tree, before, release, "stable", build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0"}, amd64))
	const want = `the package does not lie in "pkgs/x86_64", where its database does: leave pacman's dir as it was, or begin a new tree`
	_, err := publish.Publish(context.Background(), tree, []publish.Repo{after}, publish.Edit{}, publish.Options{Time: release, Now: release})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("published with %v, want %s", err, want)
	}
}

func TestLessFollowsPacman(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{})
	var recs []*publish.Record
	for _, nv := range []string{"a 2-1", "b 1.0rc1-1", "b 1.0-1", "b 1.0-2", "b 1.10-1", "b 1:0.1-1", "ba 0-1"} {
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
	yes, no := true, false
	env := publish.RepoEnv{Name: "hello", Channels: []string{"stable", "beta"}, Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}}}
	for want, tt := range map[string]struct {
		o   Options
		env func(*publish.RepoEnv)
	}{
		`compression "xz" is unknown: use gzip or zstd`:                                                                    {o: Options{Compression: "xz"}},
		`repository name "Hello World": use lower-case letters, digits and -`:                                              {env: func(e *publish.RepoEnv) { e.Name = "Hello World" }},
		`database "core" of channel stable is taken: pacman or Arch Linux uses it, set name or databases to another word`:  {env: func(e *publish.RepoEnv) { e.Name = "core" }},
		`database "testing" of channel beta is taken: pacman or Arch Linux uses it, set name or databases to another word`: {o: Options{Databases: map[string]string{"beta": "testing"}}},
		`databases: "a/b" of channel stable: use letters, digits and . _ + -`:                                              {o: Options{Databases: map[string]string{"stable": "a/b"}}},
		`databases: channels stable and beta have one database "hello-beta": give each its own`:                            {o: Options{Databases: map[string]string{"stable": "hello-beta"}}},
		`dir "../x" is no folder of the tree: use letters, digits and . - _, {arch} and {repo}`:                            {o: Options{Dir: "../x"}},
		`dir "$arch" is no folder of the tree: use letters, digits and . - _, {arch} and {repo}`:                           {o: Options{Dir: "$arch"}},
		`dir "." is one folder for x86_64 and aarch64, and pacman needs one for each: put {arch} into it`:                  {o: Options{Dir: "."}},
		`channel "a/b": use lower-case letters, digits and . _ -`:                                                          {env: func(e *publish.RepoEnv) { e.Channels = []string{"a/b"} }},
		`signing key "main" was not opened: without it the repository can't be signed`:                                     {env: func(e *publish.RepoEnv) { e.Key = "main" }},
		"check-database asks for what sign-database: false leaves out":                                                     {Options{SignDatabase: &no, CheckDatabase: &yes}, func(e *publish.RepoEnv) { e.Keys, e.Key = plainKeys{}, "hello" }},
	} {
		env := env
		if tt.env != nil {
			tt.env(&env)
		}
		if _, err := New(options(tt.o), env); err == nil || err.Error() != want {
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
func TestPageRefusesWhatPacmanWouldMisread(t *testing.T) {
	for want, spoil := range map[string]func(*publish.Record){
		`its .PKGINFO has pkgname ["hello"], its record "other"`: func(rec *publish.Record) { rec.Meta.Name = "other" },
		`its .PKGINFO has arch [], its record "any"`:             func(rec *publish.Record) { rec.Meta.Fields = rec.Meta.Fields[:2] },
		`"../x-1-1" can't name a directory of the database`:      func(rec *publish.Record) { rec.Meta.Name = "../x" },
		`size "big" is not a number`: func(rec *publish.Record) {
			rec.Meta.Fields = append(rec.Meta.Fields, formats.Field{Key: "size", Value: "big"})
		},
		`path "a\nb" has a control character`: func(rec *publish.Record) { rec.Meta.Files = []string{"/a\nb"} },
		`the package does not lie in "arch/x86_64", where its database does: leave pacman's dir as it was, or begin a new tree`: func(rec *publish.Record) { rec.Path = "pool/hello.pkg.tar.zst" },
	} {
		rec := &publish.Record{Path: "arch/x86_64/hello.pkg.tar.zst", Meta: formats.Meta{Name: "hello", Version: "1-1", Arch: "any", Fields: []formats.Field{
			{Key: "pkgname", Value: "hello"}, {Key: "pkgver", Value: "1-1"}, {Key: "arch", Value: "any"},
		}}}
		spoil(rec)
		_, err := newRepo(t, Options{}, publish.RepoEnv{}).Streams("stable/x86_64")[1].Page([]*publish.Record{rec})
		if err == nil || err.Error() != rec.Path+": "+want {
			t.Errorf("Page: %v, want %s", err, want)
		}
	}
}

func TestFinishNeedsTheIndexesOfOnePartition(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{})
	for want, parts := range map[string][]publish.Built{
		"a database has one partition, not 0":                                                       nil,
		"a database has one partition, not 2":                                                       make([]publish.Built, 2),
		"partition stable/x86_64 has no index db.gz\npartition stable/x86_64 has no index files.gz": {{Partition: "stable/x86_64"}},
	} {
		if _, err := r.Finish(context.Background(), &publish.RootInput{Root: "stable/x86_64", Partitions: parts}); err == nil || err.Error() != want {
			t.Errorf("Finish: %v, want %s", err, want)
		}
	}
}

func TestTheSectionAsksForDatabaseSignaturesWhereTheyHold(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		stale bool
		check *bool
		want  string
	}{{false, nil, "Required"}, {true, nil, "Required DatabaseNever"}, {true, &yes, "Required"}, {false, &no, "Required DatabaseNever"}} {
		r := newRepo(t, Options{CheckDatabase: c.check}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello", Stale: c.stale})
		if s := sectionOf(t, r, "https://x", "stable"); !strings.Contains(s, "SigLevel = "+c.want+"\n") {
			t.Errorf("stale %v: the section is\n%s\nwant %s", c.stale, s, c.want)
		}
	}
}

func TestSignDatabaseFalseSignsNoDatabase(t *testing.T) {
	no := false
	r := newRepo(t, Options{SignDatabase: &no}, publish.RepoEnv{Keys: plainKeys{}, Key: "hello"})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", data(t, plainKeys{}, "hello", "1.0"))
	for name := range tree.Files() {
		if strings.HasSuffix(name, ".db.sig") || strings.HasSuffix(name, ".files.sig") {
			t.Errorf("%s is there", name)
		}
	}
	if s := sectionOf(t, r, "https://x", "stable"); !strings.Contains(s, "SigLevel = Required DatabaseNever\n") {
		t.Errorf("section is %q", s)
	}
}

// goneKeys can't sign: the agent is gone.
type goneKeys struct{ plainKeys }

func (goneKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("the agent is gone") }, nil
}

func TestSigningErrorsAreReported(t *testing.T) {
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: goneKeys{}, Key: "hello"})
	const want = "repository pacman: root beta/aarch64: sign arch/aarch64/hello-beta.db: the agent is gone\nsign arch/aarch64/hello-beta.files: the agent is gone"
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{r}, publish.Edit{}, publish.Options{}); err == nil || err.Error() != want {
		t.Errorf("Publish: %v, want %s", err, want)
	}
}

// Whatever a package says, an entry has the blocks that were written on purpose:
// no value starts one.
func FuzzDesc(f *testing.F) {
	f.Add("hello", "1-1", "text\n\n%FILENAME%\nevil", "depend", "a>=1")
	f.Add("a", "1:2-3", "", "optdepend", "x: \x00y")
	f.Fuzz(func(t *testing.T, name, version, text, key, value string) {
		rec := &publish.Record{Path: "arch/x86_64/x.pkg.tar.zst", Meta: formats.Meta{Name: name, Version: version, Arch: "any", Fields: []formats.Field{
			{Key: "pkgname", Value: name}, {Key: "pkgver", Value: version}, {Key: "arch", Value: "any"}, {Key: "pkgdesc", Value: text}, {Key: key, Value: value},
		}}}
		page, err := newRepo(t, Options{}, publish.RepoEnv{}).Streams("stable/x86_64")[1].Page([]*publish.Record{rec})
		if err != nil {
			return
		}
		if len(page)%512 != 0 {
			t.Fatalf("an entry of %d bytes is no whole blocks", len(page))
		}
		out, err := desc(rec)
		if err != nil {
			t.Fatal(err)
		}
		// Parsed as alpm does, the blocks are what went in, and nothing else.
		parsed := make(map[string][]string)
		for _, block := range strings.Split(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
			head, body, _ := strings.Cut(block, "\n")
			if !strings.HasPrefix(head, "%") || !strings.HasSuffix(head, "%") || parsed[head] != nil || body == "" {
				t.Fatalf("block %q of\n%s", block, out)
			}
			parsed[head] = strings.Split(body, "\n")
		}
		want := map[string][]string{"%NAME%": {name}, "%VERSION%": {version}, "%ARCH%": {"any"}}
		if one := strings.Join(strings.Fields(value), " "); key == "depend" && one != "" { // white space is one blank
			want["%DEPENDS%"] = []string{one}
		}
		for head, values := range want {
			if !slices.Equal(parsed[head], values) {
				t.Fatalf("%s came back as %q, want %q", head, parsed[head], values)
			}
		}
		if !strings.HasPrefix(string(out), "%FILENAME%\nx.pkg.tar.zst\n\n") {
			t.Fatalf("the file name is not first:\n%s", out)
		}
	})
}

func BenchmarkPage(b *testing.B) {
	pkg := build(b, nil, "", formats.Spec{Name: "hello", Version: "1.0", Homepage: "https://example.org", Relations: formats.Relations{Depends: []string{"bash >= 4", "glibc"}}}, amd64,
		file("/usr/bin/hello", "x"), file("/usr/share/doc/hello/README", "x"), file("/usr/share/man/man1/hello.1.gz", "x"))
	recs := make([]*publish.Record, 10000)
	for i := range recs {
		meta := *pkg.Meta
		meta.Name = fmt.Sprintf("hello-%05d", i)
		meta.Fields = slices.Clone(meta.Fields)
		for j := range meta.Fields {
			if meta.Fields[j].Key == "pkgname" {
				meta.Fields[j].Value = meta.Name
			}
		}
		recs[i] = &publish.Record{Path: "arch/x86_64/" + meta.Name + ".pkg.tar.zst", Ref: pkg.Blob.Ref(), Added: release, Meta: meta}
	}
	r := newRepo(b, Options{}, publish.RepoEnv{})
	for _, s := range r.Streams("stable/x86_64") {
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
