package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// debianSuite is a Debian release that is bootstrapped once per run, on first use.
type debianSuite struct {
	name    string
	include string

	once   sync.Once
	parent string // the folder of root
	root   string
	err    error
}

// debianSuites are the releases tests run in: apt 2.6, which checks with gpgv, and
// apt 3, which checks with sqv.
var debianSuites = []*debianSuite{
	{name: "bookworm", include: "ca-certificates,curl,gpgv"},
	{name: "trixie", include: "ca-certificates,curl,sqv"},
}

// removeDebianRoots is TestMain's.
func removeDebianRoots() {
	for _, s := range debianSuites {
		if s.parent != "" {
			os.RemoveAll(s.parent)
		}
	}
}

// debRoot is a Debian system of a test's own: the suite's root below, what the
// test changes above.
type debRoot struct {
	suite string
	lower string
	dir   string // upper, work and the mount point
}

// onDebian runs a test in a root of each release.
func onDebian(t *testing.T, f func(t *testing.T, r *debRoot)) {
	t.Helper()
	for _, s := range debianSuites {
		t.Run(s.name, func(t *testing.T) { f(t, s.open(t)) })
	}
}

// open returns a fresh copy of the root, without a package source.
func (s *debianSuite) open(t *testing.T) *debRoot {
	t.Helper()
	s.once.Do(s.bootstrap)
	if s.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no root of %s: %v", s.name, s.err)
		}
		t.Skipf("no root of %s: %v", s.name, s.err)
	}
	r := &debRoot{suite: s.name, lower: s.root, dir: t.TempDir()}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(r.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// bootstrap makes the root from the mirror that this machine's apt uses.
func (s *debianSuite) bootstrap() {
	s.err = func() error {
		if os.Getuid() != 0 {
			return errors.New("only root can make one")
		}
		if _, err := exec.LookPath("mmdebstrap"); err != nil {
			return errors.New("mmdebstrap is not installed")
		}
		if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
			return fmt.Errorf("there are no mount namespaces: unshare -m: %v: %s", err, out)
		}
		mirror, options, err := machinesApt()
		if err != nil {
			return err
		}
		if s.parent, err = os.MkdirTemp("", "distropack-root-"); err != nil {
			return err
		}
		if err := os.Chmod(s.parent, 0o755); err != nil { // apt's own user fetches
			return err
		}
		s.root = filepath.Join(s.parent, s.name)
		args := []string{"--variant=apt", "--quiet", "--include=" + s.include, "--skip=output/dev"}
		for _, o := range options {
			args = append(args, "--aptopt="+o)
		}
		// Sources and options are this machine's; a test has its own repository only.
		args = append(args, `--customize-hook=rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap`,
			s.name, s.root, "deb "+mirror+" "+s.name+" main")
		if out, err := exec.Command("mmdebstrap", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("mmdebstrap: %v:\n%s", err, out)
		}
		return nil
	}()
}

var (
	releaseLine = regexp.MustCompile(`(?m)^'(\S+?)/dists/(\S+)/InRelease'`)
	codename    = regexp.MustCompile(`(?m)^VERSION_CODENAME=(\S+)`)
)

// machinesApt reads from apt where it fetches Debian from and through what.
func machinesApt() (mirror string, options []string, err error) {
	about, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", nil, err
	}
	name := codename.FindSubmatch(about)
	out, err := exec.Command("apt-get", "--print-uris", "update").Output()
	if err != nil || name == nil {
		return "", nil, fmt.Errorf("this machine's apt does not say where it fetches from: %v", err)
	}
	for _, m := range releaseLine.FindAllStringSubmatch(string(out), -1) {
		if m[2] == string(name[1]) {
			mirror = m[1]
			break
		}
	}
	if mirror == "" {
		return "", nil, fmt.Errorf("this machine's apt has no source of %s", name[1])
	}
	out, err = exec.Command("apt-config", "dump").Output()
	if err != nil {
		return "", nil, fmt.Errorf("apt-config dump: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		for _, p := range []string{"Acquire::http", "Acquire::https", "Acquire::Check-"} {
			if strings.HasPrefix(line, p) {
				options = append(options, strings.TrimSpace(line))
			}
		}
	}
	return mirror, options, nil
}

// enter mounts the root in a mount namespace that ends with the command. Where
// overlays can't be mounted on each other, as in many containers, the root is
// copied.
const enter = `set -eu
if ! mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" 2>/dev/null && [ ! -e "$2/copied" ]; then
	cp -a --reflink=auto "$1/." "$2/root"
	: >"$2/copied"
fi
mount --rbind /dev "$2/root/dev"
mount --rbind /proc "$2/root/proc"
exec chroot "$2/root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -euc "$3"`

// try runs a script as root, in a shell that ends at the first command that fails.
// Standard input is empty.
func (r *debRoot) try(script string) (string, error) {
	out, err := exec.Command("unshare", "-m", "sh", "-c", enter, "enter", r.lower, r.dir, script).CombinedOutput()
	return string(out), err
}

// run is try for what must succeed.
func (r *debRoot) run(t *testing.T, script string) string {
	t.Helper()
	out, err := r.try(script)
	if err != nil {
		t.Fatalf("%s: %v in\n%s\nsaid\n%s", r.suite, err, script, out)
	}
	return out
}

// put writes a file.
func (r *debRoot) put(t *testing.T, name, text string) {
	t.Helper()
	cmd := exec.Command("unshare", "-m", "sh", "-c", enter, "enter", r.lower, r.dir, `mkdir -p "$(dirname '`+name+`')"; cat >'`+name+`'; chmod 644 '`+name+`'`)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("put %s: %v: %s", name, err, out)
	}
}

// has reports whether there is a file.
func (r *debRoot) has(t *testing.T, name string) bool {
	t.Helper()
	return strings.TrimSpace(r.run(t, "if [ -e '"+name+"' ]; then echo yes; else echo no; fi")) == "yes"
}

// complaint finds what apt-get says only when something is amiss.
var complaint = regexp.MustCompile(`(?m)^(W|E|N|Err|Ign):.*`)

// update fetches the indexes and fails on a warning, too.
func (r *debRoot) update(t *testing.T, options ...string) {
	t.Helper()
	out := r.run(t, strings.Join(append([]string{"apt-get update --error-on=any"}, options...), " "))
	if m := complaint.FindString(out); m != "" {
		t.Fatalf("%s: apt-get update says %q:\n%s", r.suite, m, out)
	}
}

// installed returns the version of an installed package; "" if there is none.
func (r *debRoot) installed(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(r.run(t, `dpkg-query -W -f '${db:Status-Status} ${Version}\n' `+name+` 2>/dev/null | sed -n 's/^installed //p'`))
}

// candidate returns the version that apt would install.
func (r *debRoot) candidate(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(r.run(t, `apt-cache policy `+name+` | sed -n 's/^  Candidate: //p'`))
}
