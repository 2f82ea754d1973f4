package opkg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
)

// functions are what install.sh offers to Setup and InstallSh, as root in a tree.
const functions = `set -eu
URL=https://example.org/p
YES=1
ARCH=aarch64
PACKAGE=hello
say() { printf '%s\n' "$*"; }
opkg() { echo "opkg $*" >>"$ROOT/ran"; }
run() { case $1 in opkg | opkg-key) echo "$*" >>"$ROOT/ran" ;; *) "$@" ;; esac; }
put() { mkdir -p "$(dirname "$2")"; cat >"$2"; chmod "$1" "$2"; }
fetch() { echo "from $1" | put 0644 "$2"; }
wget() { echo "from $3" >"$2"; }
`

// sh runs a script with $ROOT for the machine, in a function as install.sh does.
func sh(t *testing.T, shell, root, script string) (string, error) {
	t.Helper()
	script = functions + "body() {\n" + strings.ReplaceAll(script, "/etc/", "$ROOT/etc/") + "\n}\nbody hello world\n"
	args := append(strings.Fields(shell), "-c", script, "sh")
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, text string, parts ...string) {
	t.Helper()
	p := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func guides(t *testing.T, r *Repo, channel string) []*publish.Guide {
	t.Helper()
	gs, err := r.Guides(t.Context(), &publish.GuideInput{URL: "https://example.org/p", Title: "Hello", Channel: channel, Packages: []string{"hello"}})
	if err != nil {
		t.Fatal(err)
	}
	return gs
}

func TestDeviceGetsTheFeedOfItsCPU(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, c := range []struct{ own, conf, feed, arches string }{
		{"x86_64", "", "x86_64", ""},
		{"aarch64_generic", "", "aarch64_generic", ""},
		{"aarch64_cortex-a72", "", "aarch64_generic", "arch all 1\narch noarch 1\narch aarch64_cortex-a72 200\narch aarch64_generic 100\n"},
		{"aarch64_cortex-a53", "arch all 100\narch aarch64_cortex-a53 300\n", "aarch64_generic", "arch aarch64_generic 100\n"},
		{"mips_24kc", "", "", ""},
	} {
		for _, shell := range []string{"dash", "busybox sh"} {
			g := guides(t, r, "edge")[0]
			root := t.TempDir()
			write(t, "DISTRIB_ARCH='"+c.own+"'\n", root, "etc/openwrt_release")
			write(t, c.conf, root, "etc/opkg.conf")
			write(t, "# own feeds\n", root, "etc/opkg/customfeeds.conf")
			out, err := sh(t, shell, root, g.Setup)
			if c.feed == "" {
				if err == nil || !strings.Contains(out, "no packages for mips_24kc") {
					t.Errorf("%s on %s: %v %s", shell, c.own, err, out)
				}
				continue
			}
			if err == nil {
				out, err = sh(t, shell, root, g.Setup)
			}
			if err != nil {
				t.Fatalf("%s on %s: %v %s", shell, c.own, err, out)
			}
			if got, want := read(t, root, "etc/opkg/customfeeds.conf"), "# own feeds\nsrc/gz hello-edge https://example.org/p/opkg/edge/"+c.feed+"\n"; got != want {
				t.Errorf("%s on %s: feeds %q, want %q", shell, c.own, got, want)
			}
			arches, _ := os.ReadFile(filepath.Join(root, "etc/opkg/hello-edge-arch.conf"))
			if string(arches) != c.arches {
				t.Errorf("%s on %s: arches %q, want %q", shell, c.own, arches, c.arches)
			}
			read(t, root, "etc/opkg/keys", r.usign.key.Name)
			for _, script := range []string{g.InstallSh, g.Remove[0].Command, g.Remove[1].Command} {
				if out, err := sh(t, shell, root, script); err != nil {
					t.Errorf("%s: %s: %v %s", shell, script, err, out)
				}
			}
			if got, want := read(t, root, "ran"), "opkg update\nopkg update\nopkg install hello world\nopkg remove hello\n"; got != want {
				t.Errorf("%s: ran %q, want %q", shell, got, want)
			}
			if got := read(t, root, "etc/opkg/customfeeds.conf"); got != "# own feeds\n" {
				t.Errorf("%s: after removal feeds %q", shell, got)
			}
		}
	}
}

func TestStepsDoWhatSetupDoes(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	g := guides(t, r, "stable")[0]
	root := t.TempDir()
	write(t, "DISTRIB_ARCH='x86_64'\n", root, "etc/openwrt_release")
	write(t, "", root, "etc/opkg/keys/other")
	for _, s := range g.Add {
		if out, err := sh(t, "dash", root, s.Command); err != nil {
			t.Fatalf("%s: %v %s", s.Command, err, out)
		}
	}
	if got, want := read(t, root, "etc/opkg/customfeeds.conf"), "src/gz hello https://example.org/p/opkg/stable/x86_64\n"; got != want {
		t.Errorf("feeds %q, want %q", got, want)
	}
	read(t, root, "etc/opkg/keys", r.usign.key.Name)
	var paths []string
	for _, f := range g.Files {
		paths = append(paths, f.Path)
	}
	if got, want := strings.Join(paths, " "), "keys/"+r.usign.key.Name+" keys/hello.asc"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
}

func TestYoctoChecksOpenPGP(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	g := guides(t, r, "stable")[1]
	want := "option check_signature 1\noption signature_type gpg-asc\narch aarch64_generic 100\nsrc/gz hello https://example.org/p/opkg/stable/aarch64_generic\n"
	for _, shell := range []string{"dash", "busybox sh"} {
		root := t.TempDir()
		if out, err := sh(t, shell, root, g.Setup); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if got := read(t, root, "etc/opkg/hello.conf"); got != want {
			t.Errorf("%s: conf %q, want %q", shell, got, want)
		}
		if got := read(t, root, "ran"); got != "opkg-key add "+root+"/etc/opkg/hello.asc\nopkg update\n" {
			t.Errorf("%s: ran %q", shell, got)
		}
	}
	root := t.TempDir()
	write(t, "", root, "etc/opkg/x")
	if out, err := sh(t, "dash", root, g.Add[1].Command); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got := read(t, root, "etc/opkg/hello.conf"); got != strings.ReplaceAll(want, "aarch64_generic", "x86_64") {
		t.Errorf("by hand: conf %q", got)
	}
}

func TestGuideIsCleanUnderShellcheck(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	env := testEnv()
	env.Key = ""
	for _, r := range []*Repo{newRepo(t, Options{}, testEnv()), newRepo(t, Options{}, env)} {
		for _, g := range guides(t, r, "stable") {
			dir := t.TempDir()
			write(t, "#!/bin/sh\nURL=x\nexport ARCH=y\nrun() { \"$@\"; }\nput() { echo \"$@\"; }\nfetch() { echo \"$@\"; }\nsay() { echo \"$@\"; }\nsetup() {\n"+g.Setup+"}\ninstall_all() {\n"+g.InstallSh+"}\nsetup\ninstall_all \"$@\"\n", dir, "guide.sh")
			if out, err := exec.Command(shellcheck, filepath.Join(dir, "guide.sh")).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", g.Title, err, out)
			}
		}
	}
}

func TestGuideRefusesURLsAShellWouldRead(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, url := range []string{"", "https://x/'y", "https://x/ y", "https://x/$(z)", "https://x/`z`", "https://x/%20", "https://x/;z"} {
		want := fmt.Sprintf("url %q can't stand in /etc/opkg/customfeeds.conf: use http or https", url)
		if _, err := r.Guide(t.Context(), &publish.GuideInput{URL: url, Channel: "stable"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", url, err, want)
		}
	}
	const want = `channel "nightly" is not published here (channels: stable edge)`
	if _, err := r.Guides(t.Context(), &publish.GuideInput{URL: "https://x", Channel: "nightly"}); err == nil || err.Error() != want {
		t.Errorf("an unknown channel: %v, want %s", err, want)
	}
}
