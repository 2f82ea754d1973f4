package apk

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
PACKAGE=hello
say() { printf '%s\n' "$*"; }
run() { case $1 in apk) echo "$*" >>"$ROOT/ran" ;; *) "$@" ;; esac; }
put() { mkdir -p "$(dirname "$2")"; cat >"$2"; chmod "$1" "$2"; }
fetch() { echo "from $1" | put 0644 "$2"; }
apk() { echo "apk $*" >>"$ROOT/ran"; }
wget() { echo "from $3" >"$2"; }
`

// inRoot makes a script work on $ROOT instead of the machine.
func inRoot(script string) string { return strings.ReplaceAll(script, "/etc/", "$ROOT/etc/") }

func sh(t *testing.T, shell, root, script string) string {
	t.Helper()
	args := append(strings.Fields(shell), "-c", functions+inRoot(script), "sh")
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", shell, err, script, out)
	}
	return string(out)
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func guides(t *testing.T, r *Repo) []*publish.Guide {
	t.Helper()
	gs, err := r.Guides(t.Context(), &publish.GuideInput{URL: "https://example.org/p", Title: "Hello", Channel: "stable", Packages: []string{"hello"}})
	if err != nil {
		t.Fatal(err)
	}
	return gs
}

func TestSetupMayRunTwiceAndKeepsOtherRepositories(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for i, list := range []string{"etc/apk/repositories", "etc/apk/repositories.d/customfeeds.list"} {
		g := guides(t, r)[i]
		for _, shell := range []string{"dash", "busybox sh", "bash --posix"} {
			root := t.TempDir()
			write(t, root, list, []byte("https://cdn.example.org/alpine/v3.22/main")) // no newline
			for range 2 {
				sh(t, shell, root, g.Setup)
			}
			if got, want := read(t, root, list), "https://cdn.example.org/alpine/v3.22/main\nhttps://example.org/p/apk/stable\n"; got != want {
				t.Errorf("%s: %s is %q, want %q", shell, list, got, want)
			}
			if got, want := read(t, root, "etc/apk/keys", r.key.Name), "from https://example.org/p/keys/"+r.key.Name+"\n"; got != want {
				t.Errorf("%s: the key is %q, want %q", shell, got, want)
			}
			sh(t, shell, root, "set -- hello world\n"+g.InstallSh)
			if got, want := read(t, root, "ran"), "apk update\napk update\napk add hello world\n"; got != want {
				t.Errorf("%s: ran %q, want %q", shell, got, want)
			}
			for _, s := range g.Remove {
				sh(t, shell, root, s.Command)
			}
			if got, want := read(t, root, list), "https://cdn.example.org/alpine/v3.22/main\n"; got != want {
				t.Errorf("%s: after removal %s is %q, want %q", shell, list, got, want)
			}
			if _, err := os.Stat(filepath.Join(root, "etc/apk/keys", r.key.Name)); err == nil {
				t.Errorf("%s: the key is still there", shell)
			}
		}
	}
}

func TestStepsDoWhatSetupDoes(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	g := guides(t, r)[0]
	root := t.TempDir()
	write(t, root, "etc/apk/repositories", nil)
	write(t, root, "etc/apk/keys/x", nil)
	for _, s := range g.Add {
		sh(t, "dash", root, s.Command)
	}
	if got, want := read(t, root, "etc/apk/repositories"), "https://example.org/p/apk/stable\n"; got != want {
		t.Errorf("repositories is %q, want %q", got, want)
	}
	read(t, root, "etc/apk/keys", r.key.Name)
	if len(g.Files) != 1 || g.Files[0].Path != "keys/"+r.key.Name {
		t.Errorf("files %+v", g.Files)
	}
}

func TestGuideIsCleanUnderShellcheck(t *testing.T) {
	shellcheck := tool(t, "shellcheck")
	env := testEnv()
	env.Key = ""
	for _, r := range []*Repo{newRepo(t, Options{}, testEnv()), newRepo(t, Options{}, env)} {
		for _, g := range guides(t, r) {
			script := "#!/bin/sh\nURL=x\nrun() { \"$@\"; }\nfetch() { echo \"$@\"; }\nsetup() {\n" + g.Setup + "}\ninstall_all() {\n" + g.InstallSh + "}\nsetup\ninstall_all \"$@\"\n"
			p := write(t, t.TempDir(), "guide.sh", []byte(script))
			run(t, "/", shellcheck, p)
		}
	}
}

func TestUnsignedGuideSaysSo(t *testing.T) {
	env := testEnv()
	env.Key = ""
	g := guides(t, newRepo(t, Options{}, env))[0]
	if len(g.Files) != 0 || len(g.Verify) != 0 || !strings.Contains(g.Setup, "--allow-untrusted") || !strings.Contains(g.Install[0].Command, "--allow-untrusted") {
		t.Errorf("guide: %+v", g)
	}
}

func TestGuideRefusesURLsAShellWouldRead(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, url := range []string{"", "https://x/'y", "https://x/ y", "https://x/$(z)", "https://x/`z`", "https://x/;z", "https://x/|z", "https://x/&z"} {
		want := fmt.Sprintf("url %q can't stand in /etc/apk/repositories: use http or https", url)
		if _, err := r.Guide(t.Context(), &publish.GuideInput{URL: url, Channel: "stable"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", url, err, want)
		}
	}
	const want = `channel "nightly" is not published here (channels: stable edge)`
	if _, err := r.Guides(t.Context(), &publish.GuideInput{URL: "https://x", Channel: "nightly"}); err == nil || err.Error() != want {
		t.Errorf("an unknown channel: %v, want %s", err, want)
	}
}
