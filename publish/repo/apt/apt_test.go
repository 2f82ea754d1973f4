package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

type options func(*Options)

func (o options) Decode(v any) error {
	o(v.(*Options))
	return nil
}

func open(t *testing.T, env publish.RepoEnv, o func(*Options)) *Repo {
	t.Helper()
	if o == nil {
		o = func(*Options) {}
	}
	r, err := New(options(o), env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func record(name, version, arch string, fields ...formats.Field) *publish.Record {
	return &publish.Record{Path: "pool/main/" + name[:1] + "/" + name + "/x.deb", Ref: formats.Bytes([]byte(name)).Ref(),
		Meta: formats.Meta{Format: "deb", Name: name, Version: version, Arch: arch, Fields: append([]formats.Field{{Key: "Package", Value: name}, {Key: "Version", Value: version}, {Key: "Architecture", Value: arch}}, fields...),
			Files: []string{"/usr/", "/usr/bin/" + name}}}
}

func TestPoolPathsFollowDebiansRule(t *testing.T) {
	r, lib := open(t, publishtest.Env(), nil), open(t, publishtest.Env(), func(o *Options) { o.Pool = "lib" })
	for _, c := range []struct{ name, source, version, plain, want string }{
		{"hello", "", "1.0-1", "h", "pool/main/h/hello/hello_1.0-1_amd64.deb"},
		{"libfoo1", "", "1:2.0-1", "lib", "pool/main/libf/libfoo1/libfoo1_2.0-1_amd64.deb"},
		{"libfoo-dev", "foo (1.0)", "1", "f", "pool/main/f/foo/libfoo-dev_1_amd64.deb"},
		{"lib", "", "1", "l", "pool/main/l/lib/lib_1_amd64.deb"},
	} {
		m := &formats.Meta{Format: "deb", Name: c.name, Version: c.version, Arch: "amd64"}
		if c.source != "" {
			m.Fields = []formats.Field{{Key: "Source", Value: c.source}}
		}
		places, err := r.Place(m, "stable")
		if err != nil || len(places) != 1 || places[0].Path != c.want || places[0].Partition != "stable/main/amd64" {
			t.Errorf("Place(%s) = %v, %v; want %s", c.name, places, err, c.want)
		}
		places, err = lib.Place(m, "stable")
		if want := "pool/main/" + c.plain + "/"; err != nil || !strings.HasPrefix(places[0].Path, want) {
			t.Errorf("with pool: lib Place(%s) = %v, %v; want %s", c.name, places, err, want)
		}
	}
	all, err := r.Place(&formats.Meta{Format: "deb", Name: "data", Version: "1", Arch: "all"}, "beta")
	if err != nil || len(all) != 2 || all[0].Path != all[1].Path {
		t.Errorf("a package for all CPUs is placed at %v, %v", all, err)
	}
}

func TestStanzasCarryTheControlParagraph(t *testing.T) {
	var b bytes.Buffer
	rec := record("hello", "1.0-1", "amd64", formats.Field{Key: "Depends", Value: "libc6 (>= 2.36)"}, formats.Field{Key: "Description", Value: "greets\nMore of it.\n.\nAnd more."})
	if err := Stanza(&b, rec); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Package: hello\nVersion: 1.0-1\nArchitecture: amd64\nDepends: libc6 (>= 2.36)\nFilename: %s\nSize: 5\nSHA256: %s\nDescription: greets\n More of it.\n .\n And more.\n", rec.Path, rec.Ref.SHA256)
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	for want, f := range map[string]formats.Field{
		"the package's own control file has the field Filename, which belongs to the index": {Key: "Filename", Value: "x"},
		"the package's own control file has the field sha256, which belongs to the index":   {Key: "sha256", Value: "x"},
		`field "Bad key": not a field of a control paragraph`:                               {Key: "Bad key", Value: "x"},
		`field "X": not a field of a control paragraph`:                                     {Key: "X", Value: "a\n\nPackage: evil"},
	} {
		rec := record("hello", "1", "amd64", f)
		_, err := open(t, publishtest.Env(), nil).Streams("stable/main/amd64")[0].Page([]*publish.Record{rec})
		if err == nil || err.Error() != rec.Path+": "+want {
			t.Errorf("field %q: %v, want %s", f.Key, err, want)
		}
	}
}

// put publishes hello into channels.
func put(t *testing.T, r *Repo, channels ...string) *publishtest.Mem {
	t.Helper()
	m := new(publishtest.Mem)
	p := publish.Package{Blob: formats.Bytes([]byte("hello")), Meta: &record("hello", "1.0-1", "amd64", formats.Field{Key: "Section", Value: "utils"}).Meta}
	if _, err := publish.Publish(context.Background(), m, []publish.Repo{r}, publish.Edit{Add: []publish.Addition{{Package: p, Channels: channels}}}, publish.Options{Time: 1780000000}); err != nil {
		t.Fatal(err)
	}
	return m
}

// kept is the layout of one who comes from another tool: a folder, a suite per
// release of the distribution, channels that are components of one suite.
func kept(o *Options) {
	no := false
	o.Dir, o.Contents, o.ByHash, o.Compression = "deb", &no, &no, []string{"gz"}
	o.Suites = map[string]string{"stable": "bookworm", "beta": "bookworm"}
	o.Components = map[string]string{"beta": "testing"}
	o.Aliases = map[string][]string{"stable": {"jammy"}}
	o.Codenames = map[string]string{"stable": "twelve", "beta": "twelve"}
}

// The whole of small suites, as they lie in the tree, and what people are told.
func TestSuiteGolden(t *testing.T) {
	for _, c := range []struct {
		golden, top string
		channels    []string
		o           func(*Options)
	}{
		{"suite.txtar", "dists/", []string{"stable"}, func(o *Options) { o.ValidFor = "48h"; o.Compression = nil }},
		{"layout.txtar", "", []string{"stable", "beta"}, kept},
	} {
		env := publishtest.Env()
		env.Channels, env.Platforms = c.channels, env.Platforms[:1]
		r := open(t, env, c.o)
		m := put(t, r, c.channels[0])
		g, err := r.Guide(context.Background(), &publish.GuideInput{URL: "https://x", Channel: c.channels[len(c.channels)-1]})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range g.Files {
			b, err := formats.ReadAll(f.Blob)
			if err != nil {
				t.Fatal(err)
			}
			m.Set(f.Path, b)
		}
		m.Set("verify", []byte(g.Verify[0].Command+"\n"))
		var got strings.Builder
		files := m.Files()
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if !strings.HasPrefix(name, c.top) || strings.HasPrefix(name, ".distropack/") {
				continue
			}
			text := string(files[name])
			switch {
			case strings.HasSuffix(name, ".gz") || strings.HasPrefix(text, "\x1f\x8b"):
				text = "(compressed)\n"
			case strings.HasSuffix(name, ".deb"):
				text += "\n"
			}
			fmt.Fprintf(&got, "-- %s --\n%s", name, text)
		}
		golden := filepath.Join("testdata", c.golden)
		if *publishtest.Update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got.String() != string(want) {
			t.Errorf("%v: the suite differs from %s (go test -update rewrites it):\n%s", err, golden, got.String())
		}
	}
}

// apt finds the package by each source line that people may have.
func TestAptReadsTheLayoutThatWasKept(t *testing.T) {
	publishtest.Need(t, "apt-get")
	env := publishtest.Env()
	env.Keys, env.Key = nil, ""
	r := open(t, env, kept)
	tree := t.TempDir()
	for name, b := range put(t, r, env.Channels...).Files() {
		write(t, filepath.Join(tree, name), b)
	}
	for source, serves := range map[string]bool{"bookworm main": true, "jammy main": true, "bookworm testing": true, "jammy testing": false, "noble main": false} {
		root := t.TempDir()
		for _, d := range []string{"state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"} {
			if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		list := write(t, filepath.Join(root, "list"), fmt.Appendf(nil, "deb [trusted=yes] file:%s/deb %s\n", tree, source))
		conf := write(t, filepath.Join(root, "conf"), fmt.Appendf(nil, "Dir \"%[1]s\"; Dir::Etc \"etc\"; Dir::State \"state\"; Dir::Cache \"cache\"; Dir::Etc::sourcelist \"%[2]s\"; Dir::Etc::sourceparts \"-\";\n", root, list))
		apt := func(args ...string) error {
			cmd := exec.Command("apt-get", append([]string{"-o", "Dir::State::status=/dev/null", "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root"}, args...)...)
			cmd.Dir, cmd.Env = root, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "APT_CONFIG=" + conf}
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("W: ")) {
				return fmt.Errorf("apt-get %s: %v\n%s", args[0], err, out)
			}
			return nil
		}
		err := apt("update")
		if err == nil {
			err = apt("download", "hello")
		}
		if serves != (err == nil) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// A promotion reaches every suite of the channel, and the pool has the package already.
func TestPromotionReachesTheAliases(t *testing.T) {
	r := open(t, publishtest.Env(), kept)
	m := put(t, r, "beta")
	promote := publish.Edit{Promote: []publish.Promotion{{Selection: publish.Selection{Channel: "beta", Name: "hello"}, To: "stable"}}}
	res, err := publish.Publish(context.Background(), m, []publish.Repo{r}, promote, publish.Options{Time: 1780000001})
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []string{"bookworm", "jammy"} {
		if b := m.Read("deb/dists/" + suite + "/main/binary-amd64/Packages"); !bytes.Contains(b, []byte("\nFilename: pool/main/h/hello/hello_1.0-1_amd64.deb\n")) {
			t.Errorf("%s has %q", suite, b)
		}
	}
	for _, f := range res.Change.Put {
		if strings.HasSuffix(f.Path, ".deb") {
			t.Errorf("%s is written again", f.Path)
		}
	}
}

// Records say where packages lie; another folder can't be said of what is there.
// Trees of before are not made anew.
func TestAnotherDirIsRefusedForATree(t *testing.T) {
	before, after := open(t, publishtest.Env(), nil), open(t, publishtest.Env(), func(o *Options) { o.Dir = "deb" })
	if s := before.Settings(); !strings.HasSuffix(s, " AABBCCDDEEFF00112233445566778899AABBCCDDGreets") || !strings.HasPrefix(after.Settings(), s) || after.Settings() == s {
		t.Errorf("the settings are %q, with dir %q", s, after.Settings())
	}
	const want = "pool/main/h/hello/hello_1.0-1_amd64.deb does not lie in deb/, and apt looks there only: leave apt's dir as it was, or begin a new tree"
	if _, err := publish.Publish(context.Background(), put(t, before, "stable"), []publish.Repo{after}, publish.Edit{}, publish.Options{Time: 1780000000}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("published with %v, want %s", err, want)
	}
}

func TestOptionsThatCanOnlyFailAreRefused(t *testing.T) {
	for want, o := range map[string]func(*Options){
		`component "a b": letters, digits and . _ + - only`:                                                                  func(o *Options) { o.Component = "a b" },
		`component "x/y": letters, digits and . _ + - only`:                                                                  func(o *Options) { o.Components = map[string]string{"beta": "x/y"} },
		`suite "x/y", codename "x/y" of channel stable: letters, digits and . _ + - only`:                                    func(o *Options) { o.Suites = map[string]string{"stable": "x/y"} },
		`suite "beta", codename "b c" of channel beta: letters, digits and . _ + - only`:                                     func(o *Options) { o.Codenames = map[string]string{"beta": "b c"} },
		`suite "../x", codename "../x" of channel stable: letters`:                                                           func(o *Options) { o.Aliases = map[string][]string{"stable": {"../x"}} },
		`channels stable and beta have one suite "x" with one component "main": give each a suite or a component of its own`: func(o *Options) { o.Suites = map[string]string{"stable": "x", "beta": "x"} },
		`channels stable and beta have one suite "beta" with one component "main"`:                                           func(o *Options) { o.Aliases = map[string][]string{"stable": {"beta"}} },
		`channel stable has the suite "jammy" twice: take it out of aliases`:                                                 func(o *Options) { o.Aliases = map[string][]string{"stable": {"jammy", "jammy"}} },
		`suite "x" has the codenames "x" and "y": give the channels that share it one`: func(o *Options) {
			o.Suites, o.Components, o.Codenames = map[string]string{"stable": "x", "beta": "x"}, map[string]string{"beta": "test"}, map[string]string{"beta": "y"}
		},
		`dir "/deb" is no folder of the tree: use letters, digits and . - _`: func(o *Options) { o.Dir = "/deb" },
		`dir "../x" is no folder of the tree`:                                func(o *Options) { o.Dir = "../x" },
		`compression "lz4": gz, zst and xz are known`:                        func(o *Options) { o.Compression = []string{"lz4"} },
		`valid-for "5m": give at least an hour, such as 168h`:                func(o *Options) { o.ValidFor = "5m" },
		`valid-for "soon": give at least an hour, such as 168h`:              func(o *Options) { o.ValidFor = "soon" },
		`pool "flat": debian and lib are known`:                              func(o *Options) { o.Pool = "flat" },
		`origin "a\nb" has a line break`:                                     func(o *Options) { o.Origin = "a\nb" },
		`label "a\rb" has a line break`:                                      func(o *Options) { o.Label = "a\rb" },
	} {
		if _, err := New(options(o), publishtest.Env()); err == nil || !strings.HasPrefix(err.Error(), "apt: "+want) {
			t.Errorf("New: %v, want apt: %s", err, want)
		}
	}
}

func TestWhatHasNoPlaceInAPoolIsRefused(t *testing.T) {
	r := open(t, publishtest.Env(), nil)
	for want, m := range map[string]formats.Meta{
		`package "../x" of source "../x", version "1": not a name or version for a pool`: {Name: "../x", Version: "1"},
		`package "x" of source "a/b", version "1": not a name or version for a pool`:     {Name: "x", Version: "1", Fields: []formats.Field{{Key: "Source", Value: "a/b"}}},
		`package "x" of source "x", version "1/2": not a name or version for a pool`:     {Name: "x", Version: "1/2"},
	} {
		m.Format, m.Arch = "deb", "all"
		if _, err := r.Place(&m, "stable"); err == nil || err.Error() != want {
			t.Errorf("Place: %v, want %s", err, want)
		}
	}
	const want = `partition "stable" is not suite/component/arch`
	if _, err := r.Finish(context.Background(), &publish.RootInput{Root: "stable", Partitions: []publish.Built{{Partition: "stable"}}}); err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
	if _, err := r.Guide(context.Background(), &publish.GuideInput{URL: "https://x", Channel: "nightly"}); err == nil || err.Error() != `apt: there is no channel "nightly"` {
		t.Errorf("Guide: %v", err)
	}
}

// goneKeys can't sign: the agent is gone.
type goneKeys struct{ publishtest.Keys }

func (goneKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("the agent is gone") }, nil
}

func TestSigningErrorsAreReported(t *testing.T) {
	env := publishtest.Env()
	env.Keys = goneKeys{}
	const want = "repository apt: root beta: sign InRelease: the agent is gone\nsign Release.gpg: the agent is gone"
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{open(t, env, nil)}, publish.Edit{}, publish.Options{}); err == nil || err.Error() != want {
		t.Errorf("Publish: %v, want %s", err, want)
	}
}

func TestWithoutByHashTheTreeIsPlain(t *testing.T) {
	no := false
	r := open(t, publishtest.Env(), func(o *Options) { o.ByHash = &no })
	m := new(publishtest.Mem)
	if _, err := publish.Publish(context.Background(), m, []publish.Repo{r}, publish.Edit{}, publish.Options{Time: 1}); err != nil {
		t.Fatal(err)
	}
	for name, b := range m.Files() {
		if strings.Contains(name, "by-hash") || strings.HasSuffix(name, "/Release") && !bytes.Contains(b, []byte("Acquire-By-Hash: no\n")) {
			t.Errorf("%s is there, or says otherwise", name)
		}
	}
}

// apt-ftparchive reads our package and must say what we say.
func TestStanzasAgreeWithAptFtparchive(t *testing.T) {
	if _, err := exec.LookPath("apt-ftparchive"); err != nil {
		t.Skip("apt-ftparchive is not installed")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "p")
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	control := "Package: hello\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Ann <ann@example.org>\nDepends: libc6 (>= 2.36), a | b\nDescription: greets\n More of it.\n .\n And more.\n"
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hello.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", root, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("apt-ftparchive", "packages", "hello.deb")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for _, l := range strings.Split(string(out), "\n") {
		if k, v, ok := strings.Cut(l, ": "); ok {
			want[k] = v
		}
	}
	rec := describe(t, file)
	var b bytes.Buffer
	if err := Stanza(&b, rec); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if k, v, ok := strings.Cut(l, ": "); ok && k != "Filename" && want[k] != v {
			t.Errorf("%s: %q, apt-ftparchive says %q", k, v, want[k])
		}
	}
	if !strings.Contains(b.String(), "\n More of it.\n .\n And more.\n") {
		t.Errorf("the description is not whole:\n%s", b.String())
	}
}
