package arch

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

// machine is a root directory of its own that pacman works on: busybox for /bin/sh
// and a systemctl that writes down its calls.
type machine struct {
	t    *testing.T
	root string
	conf string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	need(t, "pacman", "busybox", "ldd")
	if os.Getuid() != 0 {
		t.Skip("pacman needs root to change into a root of its own")
	}
	dir := t.TempDir()
	m := &machine{t, filepath.Join(dir, "root"), filepath.Join(dir, "pacman.conf")}
	for _, d := range []string{"usr/bin", "usr/lib", "tmp", "run/systemd/system", "etc", "var/lib/pacman", "var/cache", "hooks", "dev"} {
		m.must(os.MkdirAll(m.path(d), 0o755))
	}
	for from, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib"} {
		m.must(os.Symlink(to, m.path(from)))
	}
	busybox, _ := exec.LookPath("busybox")
	m.copy(busybox, "usr/bin/busybox")
	for _, word := range strings.Fields(mustRun(t, "ldd", busybox)) {
		if strings.HasPrefix(word, "/") {
			m.copy(word, "usr/lib/"+filepath.Base(word))
		}
	}
	for _, applet := range []string{"sh", "cat", "rm", "mktemp", "chown", "chmod", "awk"} {
		m.must(os.Symlink("busybox", m.path("usr/bin/"+applet)))
	}
	m.write("usr/bin/systemctl", "#!/bin/sh\necho \"systemctl $*\" >>/log\nexit 1\n", 0o755)
	m.must(syscall.Mknod(m.path("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3))
	m.write("etc/passwd", "root:x:0:0::/:/bin/sh\nhello:x:77:77::/:/bin/sh\n", 0o644)
	m.write("etc/group", "root:x:0:\nhello:x:77:\n", 0o644)
	m.must(os.WriteFile(m.conf, []byte("[options]\nArchitecture = auto\nSigLevel = Never\nLocalFileSigLevel = Never\n"), 0o644))
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

func (m *machine) pacman(args ...string) (string, error) {
	m.t.Helper()
	return run(m.t, "pacman", append([]string{"--config", m.conf, "--root", m.root, "--dbpath", m.path("var/lib/pacman"), "--cachedir", m.path("var/cache"),
		"--gpgdir", m.path("etc"), "--hookdir", m.path("hooks"), "--logfile", m.path("pacman.log"), "--noconfirm"}, args...)...)
}

func (m *machine) mustPacman(args ...string) string {
	m.t.Helper()
	out, err := m.pacman(args...)
	if err != nil || strings.Contains(out, "error:") {
		m.t.Fatalf("pacman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// log returns the lines the scripts wrote since the last call.
func (m *machine) log() []string {
	m.t.Helper()
	b, err := os.ReadFile(m.path("log"))
	if err != nil {
		return nil
	}
	m.must(os.Remove(m.path("log")))
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func (m *machine) wantLog(what string, want ...string) {
	m.t.Helper()
	if got := m.log(); !slices.Equal(got, want) {
		m.t.Errorf("%s ran\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestPacmanInstallsUpgradesAndRemoves(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	for _, compression := range []string{"zstd", "gzip"} {
		f := newFormat(t, options{compression})
		one := hello("1.3.0-rc.1")
		one.Epoch = "1"
		two := hello("1.3.0")
		two.Epoch = "1"
		files := helloFiles()
		pkg1 := buildFile(t, f, dir, one, files)
		m.mustPacman("-U", pkg1)
		if out := m.mustPacman("-Qkk", "hello"); !strings.Contains(out, "0 altered files") {
			t.Errorf("pacman -Qkk: %s", out)
		}
		if out := m.mustPacman("-Qi", "hello"); !strings.Contains(out, "1:1.3.0rc.1-1") || !strings.Contains(out, "Says hello") {
			t.Errorf("pacman -Qi: %s", out)
		}
		if out := m.mustPacman("-Qc", "hello"); !strings.Contains(out, "first") {
			t.Errorf("pacman -Qc: %s", out)
		}
		conf := "etc/hello/hello conf#1=é.txt"
		m.write(conf, "a = mine\n", 0o640)
		files[2].Content = formats.Bytes([]byte("a = c\n"))
		if out := m.mustPacman("-U", buildFile(t, f, dir, two, files)); !strings.Contains(out, "upgrading hello") {
			t.Errorf("1.3.0 is no upgrade of 1.3.0-rc.1: %s", out)
		}
		if b, _ := os.ReadFile(m.path(conf)); string(b) != "a = mine\n" {
			t.Errorf("the changed configuration file holds %q", b)
		}
		if _, err := os.Stat(m.path(conf + ".pacnew")); err != nil {
			t.Error(err)
		}
		if out := m.mustPacman("-Qkk", "hello"); !strings.Contains(out, "backup file: hello: /") && !strings.Contains(out, "0 altered") {
			t.Errorf("pacman -Qkk: %s", out)
		}
		m.mustPacman("-Rn", "hello")
		if _, err := os.Stat(m.path("usr/bin/hello")); !os.IsNotExist(err) {
			t.Errorf("after removal: %v", err)
		}
		m.must(os.RemoveAll(m.path("etc/hello")))
	}
}

// options is a section as the configuration would decode it.
type options struct{ compression string }

func (o options) Decode(v any) error {
	v.(*Options).Compression = o.compression
	return nil
}

func TestQkkFindsWhatWasChanged(t *testing.T) {
	m := newMachine(t)
	m.mustPacman("-U", buildFile(t, newFormat(t, formats.NoSection), t.TempDir(), hello("1"), helloFiles()))
	m.must(os.Chmod(m.path("usr/bin/hello"), 0o700))
	m.write("usr/bin/su-hello", "y", 0o755)
	out, err := m.pacman("-Qkk", "hello")
	if err == nil || !strings.Contains(out, "Permissions mismatch") || !strings.Contains(out, "SHA256 checksum mismatch") {
		t.Errorf("pacman -Qkk: %v\n%s", err, out)
	}
}

func TestScriptsRunAtTheirMoments(t *testing.T) {
	m := newMachine(t)
	f := newFormat(t, formats.NoSection)
	dir := t.TempDir()
	say := func(what string) string { return "echo \"" + what + " $*\" >>/log\nexit 0\n" }
	spec := func(v string) *formats.Spec {
		s := hello(v)
		s.Scripts = formats.Scripts{
			PreInstall:  say("pre"),
			PostInstall: "#!/bin/sh -eu\n# post_remove is only mentioned here: pre_upgrade\n" + say("post"),
			PreRemove:   "#!/usr/bin/awk -f\nBEGIN { print \"preremove\", ARGV[1] >>\"/log\" }\n",
		}
		s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}, {Unit: "hello@.service", Enable: true, Start: true}}
		return s
	}
	m.mustPacman("-U", buildFile(t, f, dir, spec("1"), helloFiles()))
	m.wantLog("installation", "pre 1-1", "post 1-1", "systemctl daemon-reload", "systemctl enable hello.service", "systemctl enable hello@.service", "systemctl start hello.service")
	m.mustPacman("-U", buildFile(t, f, dir, spec("2"), helloFiles()))
	m.wantLog("upgrade", "pre 2-1 1-1", "post 2-1 1-1", "systemctl daemon-reload", "systemctl try-restart hello.service")
	three := spec("3")
	three.Scripts.PreUpgrade, three.Scripts.PostUpgrade = say("preup"), "#!/bin/sh\necho half >>/log\nfalse\necho \"rest $1\" >>/log\n"
	three.Services = nil
	m.mustPacman("-U", buildFile(t, f, dir, three, helloFiles()))
	m.wantLog("upgrade with scripts of its own", "preup 3-1 2-1", "half", "rest 3-1")
	m.must(os.RemoveAll(m.path("run/systemd")))
	four := spec("4")
	four.Scripts.PostRemove = say("postremove")
	m.mustPacman("-U", buildFile(t, f, dir, four, helloFiles()))
	m.wantLog("upgrade without systemd", "pre 4-1 3-1", "post 4-1 3-1")
	m.mustPacman("-R", "hello")
	m.wantLog("removal", "preremove 4-1", "systemctl disable hello.service", "systemctl disable hello@.service", "postremove 4-1")
	left, err := os.ReadDir(m.path("tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("the scripts left %v, %v in /tmp", left, err)
	}
}

func TestFailingScriptsAreReported(t *testing.T) {
	m := newMachine(t)
	s := hello("1")
	s.Scripts.PostInstall = "#!/bin/sh -e\nfalse\necho not reached >>/log\n"
	s.Services = []formats.Service{{Unit: "hello.service", Start: true}}
	out, _ := m.pacman("-U", buildFile(t, newFormat(t, formats.NoSection), t.TempDir(), s, nil))
	if !strings.Contains(out, "error: command failed to execute correctly") {
		t.Errorf("pacman said %s", out)
	}
	if got := m.log(); got != nil {
		t.Errorf("after the failure ran %v", got)
	}
}

func TestFunctionsThatAreOnlyMentionedAreThere(t *testing.T) {
	m := newMachine(t)
	s := hello("1")
	s.Scripts.PostInstall = "echo 'see pre_install and pre_remove' >>/log\n"
	m.mustPacman("-U", buildFile(t, newFormat(t, formats.NoSection), t.TempDir(), s, nil)) // an unknown function is an error
	m.wantLog("installation", "see pre_install and pre_remove")
	m.mustPacman("-R", "hello")
}

func TestOwnersWithNamesAreSetOnTheMachine(t *testing.T) {
	need(t, "stat")
	m := newMachine(t)
	files := []formats.File{
		{Path: "/usr/bin/it's", Type: formats.Regular, Mode: 0o755 | os.ModeSetuid, Owner: "hello", Group: "hello", Content: formats.Bytes([]byte("x"))},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: 0o755, Group: "hello"},
	}
	m.mustPacman("-U", buildFile(t, newFormat(t, formats.NoSection), t.TempDir(), hello("1"), files))
	if got, want := mustRun(t, "stat", "-c", "%u:%g %a", m.path("usr/bin/it's"), m.path("var/lib/hello")), "77:77 4755\n0:77 755\n"; got != want {
		t.Errorf("owners and modes %q, want %q", got, want)
	}
}

func TestRepoAddTakesThePackage(t *testing.T) {
	need(t, "repo-add", "bsdtar")
	dir := t.TempDir()
	s := hello("1.3.0-rc.1")
	s.Epoch = "2"
	s.Depends = []string{"glibc >= 2.38"}
	s.Recommends = []string{"man-db: to read the manual"}
	pkg := buildFile(t, newFormat(t, formats.NoSection), dir, s, helloFiles())
	if out, err := run(t, "repo-add", filepath.Join(dir, "x.db.tar.gz"), pkg); err != nil || strings.Contains(out, "ERROR") || strings.Contains(out, "WARNING") {
		t.Fatalf("repo-add: %v\n%s", err, out)
	}
	desc := mustRun(t, "bsdtar", "-xOf", filepath.Join(dir, "x.db.tar.gz"), "hello-2:1.3.0rc.1-1/desc")
	for _, want := range []string{"%FILENAME%\nhello-2:1.3.0rc.1-1-x86_64.pkg.tar.zst\n", "%BASE%\nhello\n", "%DEPENDS%\nglibc>=2.38\n", "%OPTDEPENDS%\nman-db: to read the manual\n"} {
		if !strings.Contains(desc, want) {
			t.Errorf("the entry has no %q:\n%s", want, desc)
		}
	}
}

func TestPacmanShowsWhatTheSpecSays(t *testing.T) {
	m := newMachine(t)
	s := hello("1.0")
	s.Relations = formats.Relations{
		Depends: []string{"glibc", "zlib (>= 1.2)"}, PreDepends: []string{"sh"}, Recommends: []string{"a"}, Suggests: []string{"b"},
		Conflicts: []string{"bye<2"}, Provides: []string{"greeter=1.0"}, Replaces: []string{"hallo"},
	}
	s.Fields = []formats.Field{{Key: "group", Value: "greeters"}}
	out := m.mustPacman("-Qip", buildFile(t, newFormat(t, formats.NoSection), t.TempDir(), s, helloFiles()))
	for _, want := range []string{
		"Name            : hello\n", "Version         : 1.0-1\n", "Description     : Says hello\n", "Architecture    : x86_64\n", "URL             : https://hello.example\n",
		"Licenses        : MIT\n", "Groups          : greeters\n", "Provides        : greeter=1.0\n", "Depends On      : sh  glibc  zlib>=1.2\n",
		"Conflicts With  : bye<2\n", "Replaces        : hallo\n", "Packager        : Jane Doe <jane@hello.example>\n",
		"Build Date      : Tue Nov 14 22:13:20 2023\n", "Install Script  : No\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
