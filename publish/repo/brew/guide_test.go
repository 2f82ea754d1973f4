package brew

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
)

// functions are what install.sh offers; brew says what it was asked to do.
const functions = `set -eu
URL=https://example.org/p
PACKAGE=hello
brew() { case $1 in --repository) echo "$ROOT/Taps/$2" ;; *) echo "brew $*" >>"$ROOT/ran" ;; esac; }
curl() { echo "from $4" >"$3"; }
run() { "$@"; }
fetch() { echo "from $1" >"$2"; }
`

func sh(t *testing.T, shell, root, script string) {
	t.Helper()
	args := append(strings.Fields(shell), "-c", functions+"body() {\n"+script+"\n}\nbody hello world\n", "sh")
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", shell, err, script, out)
	}
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func guide(t *testing.T, o Options, channel string) *publish.Guide {
	t.Helper()
	g, err := newRepo(t, o, testEnv()).Guide(t.Context(), &publish.GuideInput{URL: "https://example.org/p", Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFormulaeAreFetchedIntoAFolderOfTheirOwn(t *testing.T) {
	for channel, suffix := range map[string]string{"stable": "", "edge": "-edge"} {
		g := guide(t, Options{}, channel)
		file := "Taps/hello/tap/Formula/hello" + suffix + ".rb"
		want := "from https://example.org/p/brew/Formula/hello" + suffix + ".rb\n"
		root := t.TempDir()
		for range 2 {
			sh(t, "dash", root, g.Setup)
			sh(t, "dash", root, g.InstallSh)
		}
		if got := read(t, root, file); got != want {
			t.Errorf("%s: install.sh: formula %q, want %q", channel, got, want)
		}
		once := "brew install hello/tap/hello" + suffix + "\nbrew install hello/tap/world" + suffix + "\n"
		if got := read(t, root, "ran"); got != once+once {
			t.Errorf("%s: ran %q", channel, got)
		}
		root = t.TempDir()
		for _, steps := range [][]publish.Step{g.Add, g.Install, g.Upgrade, g.Verify, g.Remove} {
			for _, s := range steps {
				sh(t, "bash --posix", root, s.Command)
			}
		}
		if got := read(t, root, file); got != want {
			t.Errorf("%s: by hand: formula %q, want %q", channel, got, want)
		}
		formula := "hello/tap/hello" + suffix
		if got, want := read(t, root, "ran"), "brew install "+formula+"\nbrew upgrade "+formula+"\nbrew fetch --force "+formula+"\nbrew uninstall "+formula+"\nbrew untap hello/tap\n"; got != want {
			t.Errorf("%s: ran %q, want %q", channel, got, want)
		}
	}
}

func TestTapsAreAdded(t *testing.T) {
	g := guide(t, Options{Tap: "ann/hello", TapURL: "https://git.example.org/x.git"}, "stable")
	root := t.TempDir()
	sh(t, "dash", root, g.Setup)
	sh(t, "dash", root, g.InstallSh)
	if got, want := read(t, root, "ran"), "brew tap ann/hello https://git.example.org/x.git\nbrew install ann/hello/hello\nbrew install ann/hello/world\n"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestGuideRefusesURLsAShellWouldRead(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, c := range []struct{ url, channel, want string }{
		{"https://x/$(z)", "stable", `url "https://x/$(z)" can't stand in a command: use http or https`},
		{"", "stable", `url "" can't stand in a command: use http or https`},
		{"https://x", "nightly", `channel "nightly" is not published here (channels: stable edge)`},
	} {
		if _, err := r.Guide(t.Context(), &publish.GuideInput{URL: c.url, Channel: c.channel}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Guide(%q, %s): %v, want %s", c.url, c.channel, err, c.want)
		}
	}
}

func TestGuideIsCleanUnderShellcheck(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	for _, o := range []Options{{}, {Tap: "ann/hello"}} {
		g := guide(t, o, "edge")
		p := filepath.Join(t.TempDir(), "guide.sh")
		script := "#!/bin/sh\nURL=x\nrun() { echo \"$@\"; }\nfetch() { echo \"$URL\" \"$@\"; }\nsetup() {\n" + g.Setup + "}\ninstall_all() {\n" + g.InstallSh + "}\nsetup\ninstall_all \"$@\"\n"
		if err := os.WriteFile(p, []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shellcheck, p).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
