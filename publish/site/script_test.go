package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/publish"
)

// shells are those that install.sh has to work in.
var shells = []string{"dash", "busybox sh", "bash", "bash --posix"}

// shell runs an install.sh in dir, with the programs in dir/bin before all others.
type shell struct {
	t      *testing.T
	script []byte
	dir    string
	env    []string
}

func newShell(t *testing.T, in *Input) *shell {
	return &shell{t: t, script: render(t, in)["install.sh"], dir: t.TempDir()}
}

func (s *shell) exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.dir, name))
	return err == nil
}

// program puts a program of its own before the system's.
func (s *shell) program(name, body string) {
	s.t.Helper()
	at := filepath.Join(s.dir, "bin", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte("#!/bin/sh\n"+body+"\n"), 0o755)); err != nil {
		s.t.Fatal(err)
	}
}

// osRelease makes install.sh read another os-release.
func (s *shell) osRelease(text string) {
	s.t.Helper()
	at := filepath.Join(s.dir, "os-release")
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "DISTROPACK_OS_RELEASE="+at)
}

// run pipes the script into a shell, as curl does, without a terminal.
func (s *shell) run(sh string, args ...string) (string, int) {
	s.t.Helper()
	words := append(strings.Fields(sh), "-s", "--")
	if _, err := exec.LookPath(words[0]); err != nil {
		s.t.Skip(words[0] + " is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "setsid", append([]string{"-w"}, append(words, args...)...)...)
	cmd.Stdin = bytes.NewReader(s.script)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir}, s.env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestScriptIsCleanShell(t *testing.T) {
	s := newShell(t, sample())
	at := filepath.Join(s.dir, "install.sh")
	if err := os.WriteFile(at, s.script, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"shellcheck", "dash -n", "busybox sh -n", "bash -n", "bash --posix -n"} {
		t.Run(line, func(t *testing.T) {
			words := strings.Fields(line)
			if _, err := exec.LookPath(words[0]); err != nil {
				t.Skip(words[0] + " is not installed")
			}
			if out, err := exec.Command(words[0], append(words[1:], at)...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	// posh: "$@" with set -u and no arguments is an error.
	for i, l := range strings.Split(string(s.script), "\n") {
		if strings.HasPrefix(l, "\t") && strings.Contains(l, `set -- `) && strings.Contains(l, `"$@"`) && !strings.Contains(l, `${1+"$@"}`) {
			t.Errorf("line %d has a bare \"$@\": %s", i+1, l)
		}
		if strings.Contains(l, "local ") && !strings.Contains(l, "#") || strings.Contains(l, "[[ ") {
			t.Errorf("line %d is not POSIX: %s", i+1, l)
		}
	}
}

var systems = []struct{ name, release, uname, want string }{
	{"debian", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", "x86_64", "apt"},
	{"ubuntu", "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n", "aarch64", "apt"},
	{"mint", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "x86_64", "apt"},
	{"pop", "NAME=\"Pop!_OS\"\nID=pop\nID_LIKE=\"ubuntu debian\"\n", "x86_64", "apt"},
	{"kali", "ID=kali\nID_LIKE='debian'\n", "x86_64", "apt"},
	{"fedora", "ID=fedora\nVERSION_ID=43\n", "x86_64", "dnf"},
	{"rocky", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "aarch64", "dnf"},
	{"amazon", "ID=\"amzn\"\nID_LIKE=\"fedora\"\n", "x86_64", "dnf"},
	{"tumbleweed", "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", "x86_64", "zypper"},
	{"leap", "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "x86_64", "zypper"},
	{"arch", "ID=arch\n", "x86_64", "pacman"},
	{"endeavour", "ID=\"endeavouros\"\nID_LIKE=\"arch\"\n", "x86_64", "pacman"},
	{"manjaro", "ID=manjaro\nID_LIKE=arch\nPRETTY_NAME=\"Manjaro $(touch pwned) `touch pwned`\"\n", "x86_64", "pacman"},
	{"alpine", "ID=alpine\n", "armv7l", "apk"},
	{"alpine on v8 in 32 bits", "ID=alpine\n", "armv8l", "apk"},
	{"postmarketos", "ID=postmarketos\nID_LIKE=alpine\n", "aarch64", "apk"},
	{"openwrt", "ID=\"openwrt\"\nID_LIKE=\"lede openwrt\"\n", "aarch64", "opkg"},
	{"spaces and comments", "# ID=fedora\n\nNAME=x\nID=\"debian\"  \n", "x86_64", "apt"},
}

func TestEachSystemGetsItsOwnClient(t *testing.T) {
	title := make(map[string]string)
	for _, g := range sampleGuides("stable") {
		title[g.Client] = g.Title
	}
	for _, sh := range shells {
		t.Run(sh, func(t *testing.T) {
			t.Parallel()
			for _, c := range systems {
				s := newShell(t, sample())
				s.osRelease(c.release)
				s.program("uname", `case $1 in -m) echo `+c.uname+`;; *) echo Linux;; esac`)
				out, code := s.run(sh, "--dry-run")
				if code != 0 || !strings.Contains(out, "through     "+title[c.want]+"\n") || !strings.Contains(out, "packages    hello hello-server\n") {
					t.Errorf("%s: ended with %d, want %s:\n%s", c.name, code, c.want, out)
				}
				if s.exists("pwned") {
					t.Errorf("%s: os-release was run", c.name)
				}
			}
		})
	}
}

func TestMacGetsHomebrewWithoutRoot(t *testing.T) {
	s := newShell(t, sample())
	s.osRelease("")
	s.program("uname", `case $1 in -m) echo arm64;; *) echo Darwin;; esac`)
	s.program("id", "echo 501")
	out, code := s.run("dash", "--dry-run")
	if code != 0 || !strings.Contains(out, "+ brew tap example/hello "+sampleURL+"/brew.git\n+ brew install hello hello-server\n") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
}

func TestUnknownSystemIsRefusedWithWhatIsSupported(t *testing.T) {
	for _, sh := range shells {
		s := newShell(t, onlyApk())
		s.osRelease("ID=nixos\nPRETTY_NAME=NixOS\n")
		out, code := s.run(sh, "-y")
		if code != 1 || !strings.Contains(out, "NixOS) is not supported") || !strings.Contains(out, "Alpine Linux: alpine\n") {
			t.Errorf("%s: ended with %d:\n%s", sh, code, out)
		}
		out, code = s.run(sh, "-y", "--distro", "plan9")
		if code != 1 || !strings.Contains(out, "plan9 is not supported") || !strings.Contains(out, "Alpine Linux: alpine\n") {
			t.Errorf("%s: ended with %d:\n%s", sh, code, out)
		}
	}
}

// onlyApk is a sample whose only client is not installed where tests run.
func onlyApk() *Input {
	in := sample()
	for c := range in.Guides {
		in.Guides[c] = in.Guides[c][4:5]
	}
	return in
}

func TestProgramDecidesWhereOsReleaseDoesNot(t *testing.T) {
	s := newShell(t, onlyApk())
	s.osRelease("ID=homemade\n")
	s.program("apk", "")
	if out, code := s.run("dash", "--dry-run"); code != 0 || !strings.Contains(out, "through     Alpine") {
		t.Errorf("ended with %d:\n%s", code, out)
	}

	// Two clients for one word of os-release: OpenWrt had opkg and has apk.
	in := sample()
	apk, opkg := *in.Guides["stable"][4], *in.Guides["stable"][5]
	apk.Families = []string{"openwrt"}
	in.Guides["stable"] = []*publish.Guide{&opkg, &apk}
	for _, have := range []string{"apk", "opkg"} {
		s = newShell(t, in)
		s.osRelease("ID=openwrt\n")
		s.program(have, "")
		if out, code := s.run("dash", "--dry-run"); code != 0 || !strings.Contains(out, "+ "+have+" ") {
			t.Errorf("with %s: ended with %d:\n%s", have, code, out)
		}
	}
}

func TestOtherCPUIsRefused(t *testing.T) {
	s := newShell(t, sample())
	s.osRelease("ID=debian\n")
	s.program("uname", `case $1 in -m) echo s390x;; *) echo Linux;; esac`)
	if out, code := s.run("dash", "-y"); code != 1 || !strings.Contains(out, "no packages for s390x here, only for: x86_64 aarch64") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	// A 32-bit system on a 64-bit kernel is what its programs are.
	s = newShell(t, onlyApk())
	s.osRelease("ID=alpine\n")
	s.program("getconf", "echo 32")
	s.program("uname", `case $1 in -m) echo aarch64;; *) echo Linux;; esac`)
	if out, code := s.run("dash", "--dry-run"); code != 0 {
		t.Errorf("ended with %d:\n%s", code, out)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--help", 0, "--dry-run"},
		{"--dry-run --distro=fedora --channel=beta", 0, "hello-beta.repo"},
		{"--dry-run --distro debian --package hello-server", 0, "+ apt-get install hello-server\n"},
		{"--dry-run --distro debian -y --package hello --package hello-server", 0, "+ apt-get install -y hello hello-server\n"},
		{"--dry-run --distro debian --package=hello,hello-compat", 0, "+ apt-get install hello hello-compat\n"},
		{"--dry-run --distro apt", 0, "+ apt-get install hello hello-server\n"},
		{"--dry-run --distro Debian --channel beta", 0, "+ apt-get install hello\n"},
		{"--dry-run --distro debian --package nope", 1, "there is no package nope"},
		{"--dry-run --distro debian --package *", 1, "there is no package *"},
		{"--dry-run --channel nope", 1, "there is no channel nope, only: stable beta"},
		{"--channel", 2, "--channel needs a value"},
		{"--frobnicate", 2, "unknown option --frobnicate"},
		{"hello", 2, "unknown option hello"},
		{"--dry-run --distro suse --package hello --uninstall", 0, "+ sudo zypper remove \"$PACKAGE\"\n+ sudo zypper removerepo hello\n"},
		{"--dry-run --distro debian --package hello-compat", 0, "hello-compat: deprecated: Scripts call hello"},
		{"--dry-run --distro debian --uninstall", 0, "+ sudo apt-get purge $PACKAGE\n+ sudo apt-get purge $PACKAGE\n+ sudo rm -f /etc/apt/sources.list.d/hello.sources\n"},
	} {
		for _, sh := range shells[:3] {
			s := newShell(t, sample())
			s.program("id", "echo 0")
			s.program("uname", `case $1 in -m) echo x86_64;; *) echo Linux;; esac`)
			if out, code := s.run(sh, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("%s, %s: ended with %d, want %d and %q:\n%s", sh, c.args, code, c.code, c.want, out)
			}
		}
	}
}

func TestWithoutTerminalAndConsentNothingHappens(t *testing.T) {
	for _, sh := range shells {
		s := newShell(t, real(t, "http://127.0.0.1:1"))
		out, code := s.run(sh)
		if code != 1 || !strings.Contains(out, "no terminal to ask on") || s.exists("log") {
			t.Errorf("%s: ended with %d:\n%s", sh, code, out)
		}
	}
}

// A script that was cut off anywhere runs no program and prints nothing of its own.
func TestScriptThatWasCutOffDoesNothing(t *testing.T) {
	s := newShell(t, sample())
	for _, name := range []string{"uname", "id", "cat", "sed", "tr", "mktemp", "apt-get", "sudo"} {
		s.program(name, "echo ran "+name)
	}
	whole := s.script
	var cuts []int
	for i := 0; i < len(whole); i += 397 {
		cuts = append(cuts, i)
	}
	for i := len(whole) - 24; i < len(whole)-1; i++ {
		cuts = append(cuts, i)
	}
	for _, sh := range shells[:3] {
		t.Run(sh, func(t *testing.T) {
			for _, n := range cuts {
				s := shell{t: t, script: whole[:n], dir: s.dir}
				out, _ := s.run(sh, "-y")
				if strings.Contains(out, "ran ") || strings.Contains(out, "Hello\n") || strings.Contains(out, "install.sh: ") {
					t.Fatalf("cut off at %d of %d it did something:\n%s\n…%s", n, len(whole), out, whole[max(0, n-60):n])
				}
			}
			s := shell{t: t, script: whole[:len(whole)-1], dir: s.dir}
			if out, _ := s.run(sh, "-y"); out == "" {
				t.Error("without the last newline it does nothing: the test can't tell")
			}
		})
	}
}

// real is a project whose only guide writes below the folder the script runs in.
func real(t *testing.T, url string) *Input {
	in := sample()
	in.URL = url
	in.Channels, in.Indexes, in.Packages = in.Channels[:1], in.Indexes[:4], []Package{in.Packages[0], in.Packages[3]}
	in.Guides = map[string][]*publish.Guide{"stable": {{
		Client: "apt", Title: "Anything", Families: []string{"debian"}, Probe: "sh",
		Setup:     "\tfetch \"$URL/hello.repo\" \"$PWD/etc/fetched\"\n\tput 0640 \"$PWD/etc/it's here\" <<'EOF'\nchannel $CHANNEL\nEOF",
		InstallSh: `	run sh -c 'echo "installed $*" >>log; if read -r line; then echo "read $line" >>log; fi' install ${YES:+-y} "$@"`,
		Upgrade:   []publish.Step{{Command: "sudo apt-get upgrade $PACKAGE"}},
		Remove:    []publish.Step{{Command: "echo removed $PACKAGE >>log"}, {Command: "sudo rm -f 'etc/it'\\''s here' && if read -r line; then echo \"read $line\" >>log; fi"}},
	}}}
	return in
}

func server(t *testing.T) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hello.repo" {
			http.Error(w, "a page that must not be written", http.StatusNotFound)
			return
		}
		fmt.Fprintln(w, "[hello]")
	}))
	t.Cleanup(srv.Close)
	return srv
}

func (s *shell) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestScriptReallyInstallsAndRemoves(t *testing.T) {
	srv := server(t)
	for _, sh := range shells {
		for _, loader := range []string{"curl", "wget"} {
			t.Run(sh+" "+loader, func(t *testing.T) {
				if _, err := exec.LookPath(loader); err != nil {
					t.Skip(loader + " is not installed")
				}
				s := newShell(t, real(t, srv.URL))
				s.osRelease("ID=debian\n")
				if loader == "wget" {
					s.script = bytes.ReplaceAll(s.script, []byte("have curl"), []byte("false"))
				}
				out, code := s.run(sh, "-y")
				if code != 0 || !strings.Contains(out, "Hello is installed.\nLater versions come with: sudo apt-get upgrade hello\n") {
					t.Fatalf("ended with %d:\n%s", code, out)
				}
				if got := s.read("etc/fetched"); got != "[hello]\n" {
					t.Errorf("fetched %q", got)
				}
				if got := s.read("etc/it's here"); got != "channel $CHANNEL\n" {
					t.Errorf("put %q", got)
				}
				if st, err := os.Stat(filepath.Join(s.dir, "etc/it's here")); err != nil || st.Mode().Perm() != 0o640 {
					t.Errorf("mode is %v, %v", st.Mode(), err)
				}
				if got := s.read("log"); got != "installed -y hello hello-server\n" {
					t.Errorf("log is %q", got)
				}
				if left, _ := filepath.Glob(filepath.Join(s.dir, "etc", ".new.*")); len(left) > 0 {
					t.Errorf("left %v", left)
				}
				if left, _ := filepath.Glob(filepath.Join(s.dir, "tmp.*")); len(left) > 0 {
					t.Errorf("left %v", left)
				}
				os.Remove(filepath.Join(s.dir, "log"))
				out, code = s.run(sh, "-y", "--uninstall")
				if code != 0 || s.read("log") != "removed hello\nremoved hello-server\nread y\n" || s.exists("etc/it's here") {
					t.Errorf("uninstall ended with %d, log %q:\n%s", code, s.read("log"), out)
				}
			})
		}
	}
}

func TestFailedDownloadStopsBeforeAnythingElse(t *testing.T) {
	srv := server(t)
	for _, sh := range shells {
		for _, bad := range []string{`$URL/nothing`, `ftp://x/y`, `/etc/passwd`} {
			in := real(t, srv.URL)
			g := in.Guides["stable"][0]
			g.Setup = strings.Replace(g.Setup, "$URL/hello.repo", bad, 1)
			s := newShell(t, in)
			s.osRelease("ID=debian\n")
			out, code := s.run(sh, "-y")
			if code == 0 || s.exists("log") || s.exists("etc/fetched") || !strings.Contains(out, "stopped before the end") {
				t.Errorf("%s, %s: ended with %d:\n%s", sh, bad, code, out)
			}
		}
	}
	// A site on https fetches nothing over http.
	in := real(t, "https://127.0.0.1:1")
	in.Guides["stable"][0].Setup = "\tfetch " + srv.URL + "/hello.repo \"$PWD/fetched\""
	s := newShell(t, in)
	s.osRelease("ID=debian\n")
	if out, code := s.run("dash", "-y"); code == 0 || !strings.Contains(out, "is not an https address") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
}

func TestRootComesFromSudoOrDoas(t *testing.T) {
	for _, c := range []struct{ name, sudo, want string }{
		{"sudo", `[ "$1" != -n ] || shift; exec "$@"`, "Hello is installed."},
		{"password", `[ "$1" != -n ] || exit 1; exec "$@"`, "would ask for a password"},
	} {
		s := newShell(t, real(t, server(t).URL))
		s.osRelease("ID=debian\n")
		s.program("id", "echo 1000")
		s.program("sudo", c.sudo)
		if out, _ := s.run("dash", "-y"); !strings.Contains(out, c.want) {
			t.Errorf("%s:\n%s", c.name, out)
		}
	}
}

func TestQuestionsAreReadFromTheTerminal(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script is not installed")
	}
	srv := server(t)
	for _, sh := range shells[:3] {
		for _, c := range []struct{ name, answers, log string }{
			{"no", "\nn\n", ""},
			{"one of two", "hello-server\ny\n", "installed hello-server\nread typed\n"},
			{"enter", "\n\n", "installed hello hello-server\nread typed\n"},
			{"unknown package", "nope\n", ""},
			{"end of input", "", ""},
		} {
			t.Run(sh+" "+c.name, func(t *testing.T) {
				t.Parallel() // script(1) waits a second
				s := newShell(t, real(t, srv.URL))
				s.osRelease("ID=debian\n")
				if err := os.WriteFile(filepath.Join(s.dir, "install.sh"), s.script, 0o644); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				cmd := exec.CommandContext(ctx, "script", "-qec", "cat install.sh | "+sh, "/dev/null")
				cmd.Dir = s.dir
				cmd.Env = append(os.Environ(), s.env...)
				cmd.Stdin = strings.NewReader("")
				if c.answers != "" {
					cmd.Stdin = strings.NewReader(c.answers + "typed\n")
				}
				out, _ := cmd.CombinedOutput()
				if c.log == "" && (s.exists("log") || s.exists("etc")) || c.log != "" && s.read("log") != c.log {
					t.Errorf("log is %q, want %q:\n%s", s.read("log"), c.log, out)
				}
			})
		}
	}
}
