package deb_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
)

func say(what string) string { return "echo " + what + " \"$@\" >>/log\n" }

func TestDpkgInstallsUpgradesRemovesAndPurges(t *testing.T) {
	r := newRoot(t)
	s := spec()
	s.Changelog = []formats.Change{{Version: "1.2.0", Time: time.Unix(1700000000, 0), Lines: []string{"First."}}}
	files := []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\n"))},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/usr/libexec/hello su", Type: formats.Regular, Mode: 0o755 | os.ModeSetuid, Owner: "daemon", Group: "daemon", Content: formats.Bytes([]byte("x"))},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: 0o750, Owner: "daemon"},
		{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("old\n"))},
		{Path: "/etc/keep.conf", Type: formats.Keep, Mode: 0o644, Content: formats.Bytes([]byte("old\n"))},
		{Path: "/var/log/hello.log", Type: formats.Ghost},
		file("/usr/share/hello/"+strings.Repeat("long/", 40)+"naïve.txt", "text"),
	}
	r.do("-i", write(t, deb.Options{}, s, files...))
	if out := r.do("--verify", "hello"); out != "" {
		t.Errorf("dpkg --verify: %s", out)
	}
	if out := r.do("-s", "hello"); !strings.Contains(out, "Status: install ok installed") || !strings.Contains(out, "Version: 1.2.0-1") {
		t.Errorf("dpkg -s: %s", out)
	}
	// dpkg looks users up on the machine it runs on, and everyone has daemon.
	st, err := os.Stat(r.path("usr/libexec/hello su"))
	if err != nil || st.Mode() != 0o755|os.ModeSetuid || st.Sys().(*syscall.Stat_t).Uid != 1 || st.Sys().(*syscall.Stat_t).Gid != 1 {
		t.Errorf("the setuid program is %v, %v", st, err)
	}
	if st, err := os.Stat(r.path("var/lib/hello")); err != nil || st.Mode().Perm() != 0o750 || st.Sys().(*syscall.Stat_t).Uid != 1 {
		t.Errorf("the folder is %v, %v", st, err)
	}
	if target, err := os.Readlink(r.path("usr/bin/hi")); target != "hello" {
		t.Errorf("the symlink leads to %q, %v", target, err)
	}
	if out := r.do("-L", "hello"); !strings.Contains(out, "/usr/share/doc/hello/changelog.Debian.gz\n") || strings.Contains(out, "hello.log") {
		t.Errorf("dpkg -L: %s", out)
	}

	// A configuration file that was changed stays as it is, the new one comes beside it.
	r.put("etc/hello.conf", "mine\n", 0o644)
	s.Version = "1.3.0"
	files[4].Content = formats.Bytes([]byte("new\n"))
	files[0].Content = formats.Bytes([]byte("#!/bin/sh\n# 1.3.0\n"))
	r.do("--force-confold", "-i", write(t, deb.Options{Compression: "zstd"}, s, files...))
	if got := r.read("etc/hello.conf") + r.read("etc/hello.conf.dpkg-dist"); got != "mine\nnew\n" {
		t.Errorf("configuration after the upgrade: %q", got)
	}
	if got := r.read("usr/bin/hello"); !strings.Contains(got, "1.3.0") {
		t.Errorf("program after the upgrade: %q", got)
	}
	r.do("-r", "hello")
	if got := r.read("usr/bin/hello") + r.read("etc/hello.conf"); got != "mine\n" {
		t.Errorf("after removal: %q", got)
	}
	r.do("-P", "hello")
	r.clean("hello")
}

func TestScriptsRunAtTheirMoments(t *testing.T) {
	r := newRoot(t)
	s := spec()
	s.Scripts = formats.Scripts{
		PreInstall: say("preinstall"), PostInstall: "#!/bin/sh -e\n" + say("postinstall") + "exit 0\n",
		PreRemove: say("preremove"), PostRemove: "#!/usr/bin/awk -f\nBEGIN { for (i = 1; i < ARGC; i++) a = a \" \" ARGV[i]; print \"postremove\" a >> \"/log\" }\n",
	}
	// busybox has no /usr/bin/awk here, so that the interpreter's path counts.
	if err := os.MkdirAll(r.path("usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/busybox", r.path("usr/bin/awk")); err != nil {
		t.Fatal(err)
	}
	step := func(what, want string, args ...string) {
		t.Helper()
		r.do(args...)
		if got := r.log(); got != want {
			t.Errorf("%s: scripts did\n%s\nwant\n%s", what, got, want)
		}
	}
	v1 := write(t, deb.Options{}, s)
	s.Version = "1.3.0"
	v2 := write(t, deb.Options{}, s)
	s.Version = "1.4.0"
	s.Scripts.PreUpgrade, s.Scripts.PostUpgrade = say("preupgrade"), say("postupgrade")
	v3 := write(t, deb.Options{}, s)

	step("first installation", "preinstall install\npostinstall configure \n", "-i", v1)
	step("upgrade without scripts for it", "preinstall upgrade 1.2.0-1 1.3.0-1\npostinstall configure 1.2.0-1\n", "-i", v2)
	step("upgrade with scripts for it", "preupgrade upgrade 1.3.0-1 1.4.0-1\npostupgrade configure 1.3.0-1\n", "-i", v3)
	step("removal", "preremove remove\npostremove remove\n", "-r", "hello")
	step("purge", "", "-P", "hello")
	step("first installation again", "preinstall install\npostinstall configure \n", "-i", v3)
	r.do("-P", "hello")
	r.clean("hello")
}

func TestInstallationAfterRemovalIsNoUpgrade(t *testing.T) {
	r := newRoot(t)
	s := spec()
	s.Scripts = formats.Scripts{PreInstall: say("preinstall"), PostInstall: say("postinstall"), PreUpgrade: say("preupgrade"), PostUpgrade: say("postupgrade")}
	conf := formats.File{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("x\n"))}
	name := write(t, deb.Options{}, s, conf)
	r.do("-i", name)
	r.do("-r", "hello")
	r.log()
	r.do("-i", name)
	if got, want := r.log(), "preinstall install 1.2.0-1 1.2.0-1\npostinstall configure 1.2.0-1\n"; got != want {
		t.Errorf("scripts did\n%s\nwant\n%s", got, want)
	}
	r.do("-i", name)
	if got, want := r.log(), "preupgrade upgrade 1.2.0-1 1.2.0-1\npostupgrade configure 1.2.0-1\n"; got != want {
		t.Errorf("scripts did\n%s\nwant\n%s", got, want)
	}
	r.do("-P", "hello")
	r.clean("hello")
}

func TestServicesSurviveAnUpgrade(t *testing.T) {
	r := newRoot(t)
	s := spec()
	s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}, {Unit: "hello@.service"}}
	unit := file("/lib/systemd/system/hello.service", "[Service]\n")
	conf := formats.File{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("x\n"))}
	v1 := write(t, deb.Options{}, s, unit, conf)
	s.Version = "1.3.0"
	v2 := write(t, deb.Options{}, s, unit, conf)
	first := "systemctl daemon-reload\nsystemctl enable hello.service\nsystemctl start hello.service\n"
	last := "systemctl stop hello.service\nsystemctl stop hello@.service\nsystemctl disable hello.service\nsystemctl disable hello@.service\nsystemctl daemon-reload\n"
	for _, step := range []struct{ what, want, arg, pkg string }{
		{"first installation", first, "-i", v1},
		{"upgrade", "systemctl daemon-reload\nsystemctl try-restart hello.service\n", "-i", v2},
		{"removal", last, "-r", "hello"},
		{"installation after removal", first, "-i", v2},
		{"purge", last, "-P", "hello"},
	} {
		r.do(step.arg, step.pkg)
		if got := r.log(); got != step.want {
			t.Errorf("%s: did\n%s\nwant\n%s", step.what, got, step.want)
		}
	}
	r.clean("hello")

	// Without systemd running, links are made and nothing else.
	if err := os.RemoveAll(r.path("run/systemd")); err != nil {
		t.Fatal(err)
	}
	r.do("-i", v1)
	r.do("-i", v2)
	if got := r.log(); got != "systemctl enable hello.service\n" {
		t.Errorf("without systemd: %s", got)
	}
	if err := os.Remove(r.path("bin/systemctl")); err != nil {
		t.Fatal(err)
	}
	r.do("-P", "hello")
	r.do("-i", v1)
}

func TestFailingScriptFailsTheInstallation(t *testing.T) {
	for what, scripts := range map[string]formats.Scripts{
		"preinstall":               {PreInstall: "exit 3"},
		"postinstall":              {PostInstall: "exit 3"},
		"set -e counts":            {PostInstall: "set -e\nfalse\necho on\n"},
		"flags of the first line":  {PostInstall: "#!/bin/sh -e\nfalse\necho on\n"},
		"another interpreter":      {PostInstall: "#!/bin/awk -f\nBEGIN { exit 3 }\n"},
		"no such interpreter":      {PostInstall: "#!/no/such/thing\n"},
		"the status is the last's": {PostInstall: "echo\nfalse"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRoot(t)
			s := spec()
			s.Scripts = scripts
			s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
			out, err := r.dpkg("-i", write(t, deb.Options{}, s))
			if err == nil {
				t.Errorf("dpkg succeeded: %s", out)
			}
			if got := r.log(); got != "" {
				t.Errorf("services were touched: %s", got)
			}
		})
	}
}

func TestLenientScriptDoesNotFailTheInstallation(t *testing.T) {
	r := newRoot(t)
	s := spec()
	s.Scripts = formats.Scripts{PreInstall: "# a comment and nothing else", PostInstall: "false\ncat <<E >>/log\n$1)\nE\ncase x in x) true;; esac"}
	r.do("-i", write(t, deb.Options{}, s))
	if got := r.log(); got != "configure)\n" {
		t.Errorf("log: %q", got)
	}
}
