package apk

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/distropack/distropack/formats"
)

// machine is a root directory of its own that apk works on: busybox for /bin/sh
// and a systemctl that writes down its calls.
type machine struct {
	t          *testing.T
	root, keys string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	need(t, "apk", "busybox", "ldd")
	if os.Getuid() != 0 {
		t.Skip("apk needs root to change into a root of its own")
	}
	m := &machine{t, t.TempDir(), t.TempDir()}
	writeKey(t, m.keys)
	for _, d := range []string{"bin", "usr/bin", "lib64", "lib/x86_64-linux-gnu", "tmp", "run/systemd/system", "etc/apk", "dev"} {
		m.must(os.MkdirAll(m.path(d), 0o755))
	}
	busybox, _ := exec.LookPath("busybox")
	m.copy(busybox, "bin/busybox")
	for _, word := range strings.Fields(mustRun(t, "ldd", busybox)) {
		if strings.HasPrefix(word, "/") {
			m.copy(word, word)
		}
	}
	for _, applet := range []string{"sh", "cat", "rm", "mktemp", "awk"} {
		m.must(os.Symlink("/bin/busybox", m.path("bin/"+applet)))
	}
	m.must(os.Symlink("/bin/awk", m.path("usr/bin/awk")))
	m.must(syscall.Mknod(m.path("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3))
	m.write("bin/systemctl", "#!/bin/sh\necho \"systemctl $*\" >>/log\nexit 1\n", 0o755)
	m.write("etc/passwd", "root:x:0:0::/:/bin/sh\nhello:x:77:77::/:/bin/sh\n", 0o644)
	m.write("etc/group", "root:x:0:\nhello:x:77:\n", 0o644)
	m.must(os.MkdirAll(m.path("etc/apk"), 0o755))
	m.write("etc/apk/repositories", "", 0o644)
	m.mustApk("add", "--initdb")
	return m
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) path(p string) string { return filepath.Join(m.root, p) }

func (m *machine) write(p, text string, mode os.FileMode) {
	m.t.Helper()
	m.must(os.WriteFile(m.path(p), []byte(text), mode))
}

func (m *machine) copy(from, to string) {
	m.t.Helper()
	b, err := os.ReadFile(from)
	m.must(err)
	m.must(os.WriteFile(m.path(to), b, 0o755))
}

func (m *machine) apk(args ...string) (string, error) {
	m.t.Helper()
	return run(m.t, "apk", append([]string{"--root", m.root, "--keys-dir", m.keys, "--arch", "x86_64", "--no-network"}, args...)...)
}

func (m *machine) mustApk(args ...string) string {
	m.t.Helper()
	out, err := m.apk(args...)
	if err != nil || strings.Contains(out, "ERROR") || strings.Contains(out, "WARNING: hello") {
		m.t.Fatalf("apk %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (m *machine) wantLog(what string, want ...string) {
	m.t.Helper()
	b, _ := os.ReadFile(m.path("log"))
	os.Remove(m.path("log"))
	if got := strings.Split(strings.TrimSpace(string(b)), "\n"); !slices.Equal(got, want) {
		m.t.Errorf("%s ran\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestApkInstallsUpgradesAndRemoves(t *testing.T) {
	m := newMachine(t)
	f := newFormat(t, "release")
	dir := t.TempDir()
	files := helloFiles()
	one := buildFile(t, f, dir, hello("1.3.0-rc.1"), files)
	if out := mustRun(t, "apk", "--keys-dir", m.keys, "verify", one); !strings.Contains(out, "OK") {
		t.Errorf("apk verify: %s", out)
	}
	m.mustApk("add", one)
	// apk finds changed content, modes and owners by what the package said of them.
	if out := m.mustApk("audit", "--system", "--packages", "--check-permissions"); strings.Contains(out, "usr/") || strings.Contains(out, "var/lib/hello") {
		t.Errorf("apk audit: %s", out)
	}
	if got, want := mustRun(t, "stat", "-c", "%u:%g %a", m.path("usr/bin/su-hello"), m.path("var/lib/hello")), "0:0 4755\n123:77 750\n"; got != want {
		t.Errorf("owners and modes %q, want %q", got, want)
	}
	if out := m.mustApk("info", "-a", "hello"); !strings.Contains(out, "Says hello") || !strings.Contains(out, "hello-1.3.0_rc1-r1") || !strings.Contains(out, "https://hello.example") {
		t.Errorf("apk info: %s", out)
	}
	conf := "etc/hello/hello conf#1=é.txt"
	m.write(conf, "a = mine\n", 0o640)
	files[2].Content = formats.Bytes([]byte("a = c\n"))
	if out := m.mustApk("add", buildFile(t, f, dir, hello("1.3.0"), files)); !strings.Contains(out, "Upgrading hello (1.3.0_rc1-r1 -> 1.3.0-r1)") {
		t.Errorf("1.3.0 is no upgrade of 1.3.0-rc.1: %s", out)
	}
	if b, _ := os.ReadFile(m.path(conf)); string(b) != "a = mine\n" {
		t.Errorf("the changed configuration file holds %q", b)
	}
	if _, err := os.Stat(m.path(conf + ".apk-new")); err != nil {
		t.Error(err)
	}
	m.mustApk("del", "hello")
	if _, err := os.Stat(m.path("usr/bin/hello")); !os.IsNotExist(err) {
		t.Errorf("after removal: %v", err)
	}
}

func TestApkRefusesUnsignedAndFlipped(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	if out, err := m.apk("add", buildFile(t, newFormat(t, ""), dir, hello("1"), helloFiles())); err == nil || !strings.Contains(out, "UNTRUSTED") {
		t.Errorf("an unsigned package: %v\n%s", err, out)
	}
	b := build(t, newFormat(t, "release"), hello("1"), helloFiles())
	for _, at := range []int{len(b) / 2, len(b) - 3, 1000} {
		flipped := slices.Clone(b)
		flipped[at] ^= 1
		name := filepath.Join(dir, "flipped.apk")
		m.must(os.WriteFile(name, flipped, 0o644))
		if out, err := m.apk("add", name); err == nil {
			t.Errorf("byte %d flipped: %s", at, out)
		}
	}
}

func TestScriptsRunAtTheirMoments(t *testing.T) {
	m := newMachine(t)
	f := newFormat(t, "release")
	dir := t.TempDir()
	say := func(what string) string { return "echo \"" + what + " $*\" >>/log\nexit 0\n" }
	spec := func(v string) *formats.Spec {
		s := hello(v)
		s.Scripts = formats.Scripts{
			PreInstall:  say("pre"),
			PostInstall: "#!/bin/sh -eu\n" + say("post"),
			PreRemove:   "#!/usr/bin/awk -f\nBEGIN { print \"preremove\", ARGV[1] >>\"/log\" }\n",
		}
		s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}, {Unit: "hello@.service", Enable: true, Start: true}}
		return s
	}
	m.mustApk("add", buildFile(t, f, dir, spec("1"), nil)) // without files: scripts run all the same
	m.wantLog("installation", "pre 1-r1", "post 1-r1", "systemctl daemon-reload", "systemctl enable hello.service", "systemctl enable hello@.service", "systemctl start hello.service")
	m.mustApk("add", buildFile(t, f, dir, spec("2"), helloFiles()))
	m.wantLog("upgrade", "pre 2-r1 1-r1", "post 2-r1 1-r1", "systemctl daemon-reload", "systemctl try-restart hello.service")
	three := spec("3")
	three.Scripts.PreUpgrade, three.Scripts.PostUpgrade = say("preup"), "#!/bin/sh\necho half >>/log\nfalse\necho \"rest $1\" >>/log\n"
	m.must(os.RemoveAll(m.path("run/systemd")))
	three.Scripts.PostRemove = say("postremove")
	m.mustApk("add", buildFile(t, f, dir, three, helloFiles()))
	m.wantLog("upgrade with scripts of its own", "preup 3-r1 2-r1", "half", "rest 3-r1")
	m.mustApk("del", "hello")
	m.wantLog("removal", "preremove 3-r1", "systemctl disable hello.service", "systemctl disable hello@.service", "postremove 3-r1")
	left, err := os.ReadDir(m.path("tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("the scripts left %v, %v in /tmp", left, err)
	}
}

func TestFailingScriptsFailTheInstallation(t *testing.T) {
	for _, scripts := range []formats.Scripts{{PreInstall: "exit 3\n"}, {PostInstall: "#!/bin/sh -e\nfalse\necho not reached >>/log\n"}} {
		m := newMachine(t)
		s := hello("1")
		s.Scripts = scripts
		s.Services = []formats.Service{{Unit: "hello.service", Start: scripts.PostInstall != ""}}
		if out, err := m.apk("add", buildFile(t, newFormat(t, "release"), t.TempDir(), s, helloFiles())); err == nil {
			t.Errorf("apk add ended well: %s", out)
		}
		if scripts.PostInstall != "" {
			m.wantLog("the failing script", "")
		}
	}
}
