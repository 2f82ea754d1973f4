package deb_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func spec() *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: "1.2.0", Time: time.Unix(1700000000, 0),
		Summary: "greets the world", Description: "It says hello.\n\n  verbatim\nAnd goodbye.\n",
		Homepage: "https://example.com/hello", License: "GPL-3.0-or-later OR MIT",
		Maintainer: "Ann Example <ann@example.com>", Section: "utils", Priority: "optional", Source: "hello",
	}
}

func write(t *testing.T, o deb.Options, s *formats.Spec, files ...formats.File) string {
	t.Helper()
	d, err := deb.New(o, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.Identify(s, amd64)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Write(context.Background(), &b, s, amd64, files); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), id.Filename)
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func file(path, body string) formats.File {
	return formats.File{Path: path, Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte(body))}
}

func program(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not installed")
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// root is a system of busybox alone with a dpkg database.
type root struct {
	dir string
	t   *testing.T
}

func newRoot(t *testing.T) *root {
	t.Helper()
	program(t, "dpkg")
	program(t, "busybox")
	if os.Getuid() != 0 {
		t.Skip("dpkg needs root to chroot into a test system")
	}
	r := &root{t.TempDir(), t}
	for _, d := range []string{"bin", "tmp", "etc", "dev", "run/systemd/system", "var/lib/dpkg/info", "var/lib/dpkg/updates", "lib64", "lib/x86_64-linux-gnu"} {
		if err := os.MkdirAll(r.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, busybox, r.path("bin/busybox"))
	for _, word := range strings.Fields(ldd(busybox)) {
		if strings.HasPrefix(word, "/") {
			if err := os.MkdirAll(filepath.Dir(r.path(word)), 0o755); err != nil {
				t.Fatal(err)
			}
			copyFile(t, word, r.path(word))
		}
	}
	for _, applet := range strings.Fields("sh cat echo rm rmdir mkdir mktemp awk ls touch test env") {
		if err := os.Symlink("busybox", r.path("bin/"+applet)); err != nil {
			t.Fatal(err)
		}
	}
	r.put("bin/systemctl", "#!/bin/sh\necho \"systemctl $*\" >>/log\nexit 7\n", 0o755)
	r.put("var/lib/dpkg/status", "", 0o644)
	r.put("dev/null", "", 0o666)
	return r
}

// ldd names nothing for a static program.
func ldd(program string) string {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func (r *root) path(p string) string { return filepath.Join(r.dir, p) }

func (r *root) put(path, body string, mode fs.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(r.path(path), []byte(body), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) read(path string) string {
	b, err := os.ReadFile(r.path(path))
	if err != nil {
		return "" // a test compares with what it expects
	}
	return string(b)
}

// log returns and forgets what scripts and systemctl did.
func (r *root) log() string {
	s := r.read("log")
	os.Remove(r.path("log"))
	return s
}

func (r *root) dpkg(args ...string) (string, error) {
	cmd := exec.Command("dpkg", append([]string{"--root=" + r.dir, "--force-bad-path", "--force-depends", "--force-unsafe-io"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *root) do(args ...string) string {
	r.t.Helper()
	out, err := r.dpkg(args...)
	if err != nil {
		r.t.Fatalf("dpkg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// clean fails the test where the package left something behind.
func (r *root) clean(name string) {
	r.t.Helper()
	filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
		if strings.Contains(p, "/bin/") || strings.Contains(p, "/lib") && !strings.Contains(p, "var/lib") {
			return nil
		}
		if base := filepath.Base(p); strings.Contains(base, name) || base == "distropack" {
			r.t.Errorf("%s is left after purge", p)
		}
		return nil
	})
}
