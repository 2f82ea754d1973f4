package arch

import (
	"archive/tar"
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func hello(version string) *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: version, Time: time.Unix(1_700_000_000, 123),
		Summary: "Says hello", Description: "A longer text.\n", Homepage: "https://hello.example",
		License: "MIT", Maintainer: "Jane Doe <jane@hello.example>",
		Changelog: []formats.Change{{Version: version, Lines: []string{"first"}}},
	}
}

func helloFiles() []formats.File {
	big := make([]byte, 700<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(r.Uint32() >> 28)
	}
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(big)},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/etc/hello/hello conf#1=é.txt", Type: formats.Config, Mode: 0o640, Content: formats.Bytes([]byte("a = b\n"))},
		{Path: "/usr/bin/su-hello", Type: formats.Regular, Mode: 0o755 | os.ModeSetuid, Content: formats.Bytes([]byte("x"))},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: 0o750, Owner: "123", Group: "456"},
		{Path: "/usr/share/hello/" + strings.Repeat("long-", 30) + "/empty", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes(nil)},
		{Path: "/lib/systemd/system/hello.service", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("[Service]\n"))},
		{Path: "/var/log/hello.log", Type: formats.Ghost},
	}
}

func newFormat(t testing.TB, section formats.Section) *Format {
	t.Helper()
	f, err := Kind().New(section, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*Format)
}

func build(t testing.TB, f *Format, spec *formats.Spec, files []formats.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, spec, amd64, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// buildFile writes a package under its own name into dir.
func buildFile(t testing.TB, f *Format, dir string, spec *formats.Spec, files []formats.File) string {
	t.Helper()
	id, err := f.Identify(spec, amd64)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, id.Filename)
	if err := os.WriteFile(name, build(t, f, spec, files), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// plain is a tar archive of empty files, all but .PKGINFO, which holds info.
func plain(t testing.TB, info string, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		text := ""
		if name == ".PKGINFO" {
			text = info
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
}

// run returns what a program wrote to both outputs. The locale is fixed.
func run(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := run(t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}
