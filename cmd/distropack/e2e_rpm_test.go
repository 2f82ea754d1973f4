package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// addDnf adds the published .repo file as it is.
func (c *clone) addDnf(p *published, id string) {
	c.t.Helper()
	c.fetch(p.url+"/rpm/"+id+".repo", "/etc/yum.repos.d/"+id+".repo")
	text := c.read("/etc/yum.repos.d/" + id + ".repo")
	for _, line := range []string{"gpgcheck=1", "repo_gpgcheck=1", "skip_if_unavailable=0"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			c.t.Errorf("%s.repo lacks %s:\n%s", id, line, text)
		}
	}
}

// installed checks the version in rpm's database.
func (c *clone) installed(want string) {
	c.t.Helper()
	if got := c.must("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", "hello"); got != want {
		c.t.Errorf("installed is %q, want %q", got, want)
	}
}

// verifies checks that the installed files are as they came, but for those lines.
func (c *clone) verifies(but ...string) {
	c.t.Helper()
	out, _ := c.run("rpm", "-V", "hello")
	want := ""
	for _, line := range but {
		want += line + "\n"
	}
	if out != want {
		c.t.Errorf("rpm -V says %q, want %q", out, want)
	}
}

func TestDnfTakesTheSampleThroughItsLife(t *testing.T) {
	c := newClone(t, "dnf", "rpm")
	c.rpms()
	p := publishSample(t, nil)
	p.release(t, "1.0.0")

	c.addDnf(p, "hello")
	c.must("dnf", "-y", "makecache")
	c.must("dnf", "-y", "install", "hello")
	c.installed("1.0.0-1")
	c.says("1.0.0", "Hello, world")
	c.enabled(true)
	c.verifies()
	if got := c.read("/var/lib/hello/log"); got != "installed\n" {
		t.Errorf("the scriptlet's log is %q", got)
	}

	// The administrator's greeting outlives all that follows.
	c.write("/etc/hello.conf", "greeting=Good morning\n")
	p.release(t, "1.1.0-rc.1")
	c.must("dnf", "-y", "--refresh", "upgrade")
	c.installed("1.0.0-1") // stable people see no pre-release
	c.addDnf(p, "hello-beta")
	c.must("dnf", "-y", "--refresh", "upgrade")
	c.installed("1.1.0~rc.1-1")
	c.says("1.1.0-rc.1", "Good morning")
	p.release(t, "1.1.0")
	c.must("dnf", "-y", "--refresh", "upgrade")
	c.installed("1.1.0-1")
	c.says("1.1.0", "Good morning")
	c.enabled(true)
	c.verifies("S.5....T.  c /etc/hello.conf")

	// One index serves both CPUs.
	for _, cpu := range []string{"x86_64", "aarch64"} {
		if out := c.must("dnf", "-q", "--forcearch="+cpu, "--disablerepo=hello", "--showduplicates", "repoquery", "--qf", "%{evr}.%{arch}", "hello."+cpu); out != "1.0.0-1."+cpu+"\n1.1.0-1."+cpu+"\n1.1.0~rc.1-1."+cpu+"\n" {
			t.Errorf("%s: the index lists %q", cpu, out)
		}
	}

	c.must("dnf", "-y", "remove", "hello")
	c.gone()

	c.must("dnf", "-y", "--forcearch=aarch64", "install", "--downloadonly", "--downloaddir=/tmp/arm64", "hello")
	if out := c.must("rpm", "-qp", "--qf", "%{ARCH}", "/tmp/arm64/hello-1.1.0-1.aarch64.rpm"); out != "aarch64" {
		t.Errorf("the package for aarch64 is for %q", out)
	}
}

func TestZypperTakesTheSampleThroughItsLife(t *testing.T) {
	c := newClone(t, "zypper", "rpm")
	c.rpms()
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	zypper := func(args ...string) string {
		t.Helper()
		return c.must("zypper", append([]string{"--non-interactive"}, args...)...)
	}

	zypper("addrepo", "--refresh", p.url+"/rpm/hello.repo")
	// The key lies beside the index, and is not trusted for that.
	if out, err := c.run("zypper", "--non-interactive", "refresh", "hello"); err == nil {
		t.Fatalf("zypper took a key nobody imported:\n%s", out)
	}
	c.must("rpm", "--import", p.url+"/keys/hello.asc")
	zypper("refresh", "hello")
	zypper("install", "hello")
	c.installed("1.0.0-1")
	c.says("1.0.0", "Hello, world")
	c.enabled(true)
	c.verifies()
	if got := c.read("/var/lib/hello/log"); got != "installed\n" {
		t.Errorf("the scriptlet's log is %q", got)
	}

	c.write("/etc/hello.conf", "greeting=Good morning\n")
	p.release(t, "1.1.0-rc.1")
	zypper("refresh", "hello")
	zypper("update", "hello")
	c.installed("1.0.0-1")
	zypper("addrepo", "--refresh", p.url+"/rpm/hello-beta.repo")
	zypper("refresh")
	zypper("update", "hello")
	c.installed("1.1.0~rc.1-1")
	p.release(t, "1.1.0")
	zypper("refresh")
	zypper("update", "hello")
	c.installed("1.1.0-1")
	c.says("1.1.0", "Good morning")
	c.enabled(true)
	c.verifies("S.5....T.  c /etc/hello.conf")

	zypper("remove", "hello")
	c.gone()
}

// rpm's own strictest check, of files fetched by hand, for both CPUs.
func TestRpmkeysVerifiesTheSamplesSignatures(t *testing.T) {
	c := newClone(t, "rpm", "rpmkeys")
	c.rpms()
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	strict := func(file string) (string, error) {
		return c.run("rpmkeys", "--define", "_pkgverify_level all", "--checksig", "-v", file)
	}
	for _, cpu := range []string{"x86_64", "aarch64"} {
		file := "/tmp/hello." + cpu + ".rpm"
		c.fetch(p.url+"/rpm/stable/Packages/h/hello-1.0.0-1."+cpu+".rpm", file)
		if out, err := strict(file); err == nil {
			t.Errorf("rpmkeys takes %s without a key:\n%s", file, out)
		}
	}
	c.must("rpmkeys", "--import", p.url+"/keys/hello.asc")
	for _, cpu := range []string{"x86_64", "aarch64"} {
		file := "/tmp/hello." + cpu + ".rpm"
		out, err := strict(file)
		if err != nil || !strings.Contains(out, "Header V4 RSA/SHA512 Signature") || !strings.Contains(out, "Payload SHA256 digest: OK") {
			t.Errorf("rpmkeys --checksig %s: %v\n%s", file, err, out)
		}
		b := []byte(c.read(file))
		for what, at := range map[string]int{"header": bytes.Index(b, []byte("Prints a friendly")), "payload": len(b) - 1000} {
			changed := bytes.Clone(b)
			changed[at] ^= 1
			c.write("/tmp/changed.rpm", string(changed))
			if out, err := strict("/tmp/changed.rpm"); err == nil {
				t.Errorf("rpmkeys takes %s with another %s:\n%s", file, what, out)
			}
		}
	}
	out := c.must("rpm", "-qip", "/tmp/hello.x86_64.rpm")
	for name, want := range map[string]string{
		"Name": "hello", "Version": "1.0.0", "Release": "1", "Architecture": "x86_64", "License": "MIT", "URL": "https://example.org/hello",
		"Summary": "Prints a friendly greeting", "Packager": "Ann Example <ann@example.org>",
	} {
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			k, v, _ := strings.Cut(line, ":")
			return strings.TrimSpace(k) == name && strings.TrimSpace(v) == want
		}) {
			t.Errorf("rpm -qip shows no %s %q:\n%s", name, want, out)
		}
	}
	if !strings.Contains(out, "Hello reads its greeting from a file") {
		t.Errorf("rpm -qip shows no description:\n%s", out)
	}
}

// rpmlintNoise are errors of rpmlint that nothing on our side could take away.
var rpmlintNoise = map[string]string{
	"statically-linked-binary": "Go programs are, and the project chose it",
}

func TestRpmlintFindsNoErrorOfOurs(t *testing.T) {
	c := newClone(t, "rpm", "rpmlint")
	c.rpms()
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	for _, cpu := range []string{"x86_64", "aarch64"} {
		c.fetch(p.url+"/rpm/stable/Packages/h/hello-1.0.0-1."+cpu+".rpm", "/tmp/lint/hello-1.0.0-1."+cpu+".rpm")
	}
	c.must("rpmkeys", "--import", p.url+"/keys/hello.asc")
	out, _ := c.run("rpmlint", "/tmp/lint")
	if !strings.Contains(out, "2 packages and 0 specfiles checked") {
		t.Fatalf("rpmlint did not look at two packages:\n%s", out)
	}
	for _, line := range strings.Split(out, "\n") {
		_, rest, ok := strings.Cut(line, ": E: ")
		if !ok {
			continue
		}
		id, _, _ := strings.Cut(rest, " ")
		if _, ok := rpmlintNoise[id]; !ok {
			t.Error(line)
		}
	}
}
