package rpm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is a system of its own with rpm's database, a shell and a systemctl that
// writes down what it is asked.
type root struct {
	t   testing.TB
	dir string
}

func newRoot(t testing.TB) *root {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("installing needs root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed")
	}
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("rpm is not installed")
	}
	r := &root{t, t.TempDir()}
	for _, d := range []string{"bin", "usr/bin", "etc", "tmp", "var/tmp", "var/lib/rpm", "run/systemd/system", "dev"} {
		r.mkdir(d)
	}
	b, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	r.put("bin/busybox", string(b))
	if out, err := exec.Command("ldd", busybox).Output(); err == nil {
		for _, word := range strings.Fields(string(out)) {
			if filepath.IsAbs(word) {
				lib, err := os.ReadFile(word)
				if err != nil {
					t.Fatal(err)
				}
				r.mkdir(filepath.Dir(word))
				r.put(word, string(lib))
			}
		}
	}
	for _, applet := range []string{"sh", "cat", "echo", "mktemp", "rm", "awk"} {
		if err := os.Symlink("/bin/busybox", filepath.Join(r.dir, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	r.put("bin/systemctl", "#!/bin/sh\necho \"systemctl $*\" >>/log\nexit 1\n")
	r.put("etc/passwd", "root:x:0:0::/:/bin/sh\n")
	r.put("etc/group", "root:x:0:\n")
	r.put("dev/null", "")
	return r
}

func (r *root) mkdir(dir string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) put(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// read returns a file of the root, "" if there is none.
func (r *root) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return string(b)
}

// log returns what scripts wrote to /log since the last call.
func (r *root) log() string {
	r.t.Helper()
	s := r.read("log")
	os.Remove(filepath.Join(r.dir, "log"))
	return s
}

func (r *root) try(args ...string) (string, error) {
	r.t.Helper()
	return try(r.t, "rpm", append([]string{"--root", r.dir, "--dbpath", "/var/lib/rpm"}, args...)...)
}

func (r *root) rpm(args ...string) string {
	r.t.Helper()
	out, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("rpm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
