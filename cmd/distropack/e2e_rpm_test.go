package main

import (
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
	if out := c.must("dnf", "repoquery", "--qf", "%{evr}.%{arch}", "--showduplicates", "hello"); out != "x" {
		t.Log(out)
	}

	c.must("dnf", "-y", "remove", "hello")
	c.gone()
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
