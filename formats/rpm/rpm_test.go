package rpm

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

var released = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// helloSpec is a package that uses what rpm has.
func helloSpec() *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: "1.3.0-rc.1+build.5", Epoch: "2", Release: "3", Time: released,
		Summary: "Greets the wörld", Description: "A program that greets.\n\nSecond paragraph.\n",
		Homepage: "https://example.com/hello", License: "MIT", Maintainer: "Ann Example <ann@example.com>",
		Vendor: "Example Inc.", Section: "utils", Source: "hello-src",
		Relations: formats.Relations{
			Depends:    []string{"a | b >= 1", "(c and d)", "libx >= 1:2.0-3", "perl(Carp)", "y (>= 2)"},
			PreDepends: []string{"shadow"},
			Recommends: []string{"nice"}, Suggests: []string{"nicer > 2"},
			Conflicts: []string{"bad < 2"}, Provides: []string{"greeter = 1.0"}, Replaces: []string{"hola <= 0.9"},
		},
		Changelog: []formats.Change{
			{Version: "1.3.0", Time: released, Lines: []string{"Greets twice.", "Second"}},
			{Version: "1.2.0", Time: released.AddDate(0, -1, 0), Maintainer: "Bob <bob@example.com>", Lines: []string{"Greets once."}},
		},
		Fields: []formats.Field{{Key: "BugURL", Value: "https://example.com/bugs"}, {Key: "Supplements", Value: "(x and y)"}, {Key: "Enhances", Value: "z"}},
	}
}

func helloFiles() []formats.File {
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\necho hello\n"))},
		{Path: "/usr/bin/big", Type: formats.Regular, Mode: 0o755 | fs.ModeSetuid, Content: formats.Bytes(noise(pack.Large + 3))},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("a=1\n"))},
		{Path: "/etc/hello.keep", Type: formats.Keep, Mode: 0o640, Content: formats.Bytes([]byte("b=2\n"))},
		{Path: "/usr/share/doc/hello/README", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes(nil)},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: 0o750 | fs.ModeDir},
		{Path: "/var/lib/hello/state", Type: formats.Ghost, Mode: 0o600},
		{Path: "/usr/share/hello/large", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes(noise(3 << 20))},
		{Path: "/usr/share/hello/ünïcode name", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("x"))},
	}
}

// noise is text that compresses to about half, always the same.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() >> 28)
	}
	return b
}

// options is a section that was decoded already.
type options Options

func (o options) Decode(v any) error {
	*v.(*Options) = Options(o)
	return nil
}

func newTestFormat(t testing.TB, o Options, keys formats.Keys) formats.Format {
	t.Helper()
	env := formats.Env{Keys: keys}
	if keys != nil {
		env.Key = "main"
	}
	f, err := Kind().New(options(o), env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func write(t testing.TB, f formats.Format, spec *formats.Spec, p formats.Platform, files []formats.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, spec, p, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// save writes the package under its own name and returns the path.
func save(t testing.TB, f formats.Format, spec *formats.Spec, p formats.Platform, files []formats.File) string {
	t.Helper()
	id, err := f.Identify(spec, p)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), id.Filename)
	if err := os.WriteFile(name, write(t, f, spec, p, files), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// run returns the program's output and fails the test where it fails.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// saveLarge writes a package in the form for files over 4 GiB.
func saveLarge(t *testing.T, spec *formats.Spec, files []formats.File) string {
	t.Helper()
	f := newTestFormat(t, Options{}, nil).(*Format)
	m, err := f.newMain(spec, amd64)
	if err != nil {
		t.Fatal(err)
	}
	list, err := newFileList(files, m.time)
	if err != nil {
		t.Fatal(err)
	}
	list.large = true
	var b bytes.Buffer
	if err := f.write(context.Background(), &b, m, list); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), m.identity.Filename)
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
