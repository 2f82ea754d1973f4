package apt

import (
	"bytes"
	"context"
	"fmt"
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
	for _, f := range []formats.Field{{Key: "Filename", Value: "x"}, {Key: "sha256", Value: "x"}, {Key: "Bad key", Value: "x"}, {Key: "X", Value: "a\n\nPackage: evil"}} {
		if err := Stanza(new(bytes.Buffer), record("hello", "1", "amd64", f)); err == nil {
			t.Errorf("field %q was taken over", f.Key)
		}
	}
}

// The whole of a small suite, as it lies in the tree.
func TestSuiteGolden(t *testing.T) {
	env := publishtest.Env()
	env.Channels, env.Platforms = []string{"stable"}, env.Platforms[:1]
	r := open(t, env, func(o *Options) { o.ValidFor = "48h"; o.Compression = nil })
	m := new(publishtest.Mem)
	p := publish.Package{Blob: formats.Bytes([]byte("hello")), Meta: &record("hello", "1.0-1", "amd64", formats.Field{Key: "Section", Value: "utils"}).Meta}
	if _, err := publish.Publish(context.Background(), m, []publish.Repo{r}, publish.Edit{Add: []publish.Addition{{Package: p, Channels: env.Channels}}}, publish.Options{Time: 1780000000}); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	files := m.Files()
	var names []string
	for name := range files {
		if strings.HasPrefix(name, "dists/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text := string(files[name])
		if strings.HasSuffix(name, ".gz") || strings.HasPrefix(text, "\x1f\x8b") {
			text = "(compressed)\n"
		}
		fmt.Fprintf(&got, "-- %s --\n%s", name, text)
	}
	golden := filepath.Join("testdata", "suite.txtar")
	if *publishtest.Update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v: the suite differs from %s (go test -update rewrites it):\n%s", err, golden, got.String())
	}
}

func TestOptionsThatCanOnlyFailAreRefused(t *testing.T) {
	for name, o := range map[string]func(*Options){
		"component": func(o *Options) { o.Component = "a b" }, "suite": func(o *Options) { o.Suites = map[string]string{"stable": "x/y"} },
		"one suite": func(o *Options) { o.Suites = map[string]string{"stable": "x", "beta": "x"} }, "compression": func(o *Options) { o.Compression = []string{"lz4"} },
		"valid-for": func(o *Options) { o.ValidFor = "5m" }, "no time": func(o *Options) { o.ValidFor = "soon" }, "pool": func(o *Options) { o.Pool = "flat" }, "origin": func(o *Options) { o.Origin = "a\nb" },
	} {
		if _, err := New(options(o), publishtest.Env()); err == nil {
			t.Errorf("%s was accepted", name)
		}
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
