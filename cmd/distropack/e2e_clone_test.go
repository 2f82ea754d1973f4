package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/rpm"
)

// clone is this machine as it would be with another distribution's state: an
// overlay over /, whose changes lie in memory, in namespaces of its own. What is
// installed in it, and the daemons that gpg leaves behind, go with the test.
type clone struct {
	t    *testing.T
	pid  string // of the process that made the namespaces
	root string // the overlay, inside
}

// newClone skips the test where one of the programs is not installed.
func newClone(t *testing.T, programs ...string) *clone {
	t.Helper()
	for _, p := range append(programs, "unshare", "nsenter", "curl") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs root")
	}
	dir := t.TempDir()
	// The end of standard input ends the first process, and with it all others
	// and the mounts, even where the test was killed.
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-euc", `
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
cd root
mount --rbind /dev dev
mount -t proc proc proc
for d in tmp var/tmp run root; do mount -t tmpfs -o mode=1777 tmpfs "$d"; done
rm -rf etc/rpm etc/dnf etc/yum.repos.d etc/zypp/repos.d etc/pki/rpm-gpg etc/pacman.d var/lib/rpm var/lib/dnf var/cache/dnf var/cache/zypp var/lib/zypp var/lib/pacman var/cache/pacman
mkdir -p etc/rpm etc/dnf etc/yum.repos.d etc/zypp/repos.d etc/pacman.d var/lib/rpm var/lib/pacman var/cache/pacman/pkg
cd /
echo ready
exec cat`, "clone", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		stdin.Close()
		cmd.Wait()
		t.Fatalf("no overlay over /: %s", stderr.String())
	}
	return &clone{t, fmt.Sprint(cmd.Process.Pid), filepath.Join(dir, "root")}
}

// run runs a program of the clone and returns what it says.
func (c *clone) run(name string, args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	proc := "/proc/" + c.pid
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--mount=" + proc + "/ns/mnt", "--pid=" + proc + "/ns/pid_for_children", "--root=" + proc + "/root" + c.root, "--wd=" + proc + "/root" + c.root,
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "TERM=dumb", name}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run for what has to work.
func (c *clone) must(name string, args ...string) string {
	c.t.Helper()
	out, err := c.run(name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// fetch downloads a file into the clone as the install page says.
func (c *clone) fetch(url, path string) {
	c.t.Helper()
	c.must("curl", "-fsSL", "--create-dirs", "-o", path, url)
}

func (c *clone) path(name string) string { return "/proc/" + c.pid + "/root" + c.root + name }

// read returns a file of the clone, "" if there is none.
func (c *clone) read(name string) string {
	c.t.Helper()
	b, err := os.ReadFile(c.path(name))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	return string(b)
}

func (c *clone) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clone) has(name string) bool {
	_, err := os.Lstat(c.path(name))
	return err == nil
}

// says checks what the sample program answers.
func (c *clone) says(version, greeting string) {
	c.t.Helper()
	if got := c.must("/usr/bin/hello", "-version"); got != "hello "+version+"\n" {
		c.t.Errorf("hello -version says %q, want %q", got, "hello "+version)
	}
	if got := c.must("/usr/bin/hello"); got != greeting+"\n" {
		c.t.Errorf("hello says %q, want %q", got, greeting)
	}
}

// enabled checks whether the sample's service starts with the system.
func (c *clone) enabled(want bool) {
	c.t.Helper()
	if got := c.has("/etc/systemd/system/multi-user.target.wants/hello.service"); got != want {
		c.t.Errorf("hello.service is enabled: %t, want %t", got, want)
	}
}

// gone checks that removal took everything.
func (c *clone) gone() {
	c.t.Helper()
	for _, name := range []string{"/usr/bin/hello", "/usr/share/man/man1/hello.1", "/usr/share/man/man1/hello.1.gz", "/usr/share/doc/hello", "/var/lib/hello", "/usr/lib/systemd/system/hello.service"} {
		if c.has(name) {
			c.t.Errorf("removal left %s", name)
		}
	}
	c.enabled(false)
}

// rpms makes the clone a system of rpm packages: rpm, dnf and zypper share one
// database, which Debian's do not, and something provides the shell.
func (c *clone) rpms() {
	c.t.Helper()
	c.write("/etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
	c.write("/etc/dnf/dnf.conf", "[main]\ngpgcheck=1\nskip_if_unavailable=True\nplugins=0\n")
	c.write("/etc/yum.repos.d/placeholder.repo", "")
	f, err := rpm.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		c.t.Fatal(err)
	}
	spec := &formats.Spec{Name: "system-release", Version: "1", Release: "1", Summary: "A system", License: "MIT", Maintainer: "Ann <ann@example.org>",
		Time: time.Unix(1750000000, 0), Relations: formats.Relations{Provides: []string{"/bin/sh", "system-release(releasever) = 1"}}}
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, spec, formats.All, nil); err != nil {
		c.t.Fatal(err)
	}
	c.write("/tmp/system-release.rpm", b.String())
	c.must("rpm", "--initdb")
	c.must("rpm", "-i", "--nosignature", "/tmp/system-release.rpm")
}
