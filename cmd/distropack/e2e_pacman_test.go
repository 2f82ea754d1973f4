package main

import (
	"strings"
	"testing"
)

// pacmanConf writes the options that Arch Linux comes with.
func (c *clone) pacmanConf() {
	c.t.Helper()
	c.write("/etc/pacman.conf", "[options]\nHoldPkg = pacman\nArchitecture = auto\nSigLevel = Required DatabaseOptional\nLocalFileSigLevel = Optional\n")
}

// arch makes the clone a system with pacman that trusts the published key and
// nobody else's, by the commands of the install page.
func (c *clone) arch(p *published) {
	c.t.Helper()
	c.pacmanConf()
	c.write("/etc/pacman.conf", strings.Replace(c.read("/etc/pacman.conf"), "Required DatabaseOptional", "Required DatabaseRequired TrustedOnly", 1))
	c.must("pacman-key", "--init")
	c.fetch(p.url+"/keys/hello.asc", "/tmp/hello.asc")
	out := c.must("gpg", "--batch", "--with-colons", "--show-keys", "/tmp/hello.asc")
	_, rest, _ := strings.Cut(out, "\nfpr:::::::::")
	id, _, ok := strings.Cut(rest, ":")
	if !ok {
		c.t.Fatalf("no fingerprint in %q", out)
	}
	c.must("pacman-key", "--add", "/tmp/hello.asc")
	c.must("pacman-key", "--lsign-key", id)
}

// addPacman adds a published section to pacman.conf as it is.
func (c *clone) addPacman(p *published, db string) {
	c.t.Helper()
	c.fetch(p.url+"/arch/"+db+".conf", "/etc/pacman.d/"+db+".conf")
	c.write("/etc/pacman.conf", c.read("/etc/pacman.conf")+"\nInclude = /etc/pacman.d/"+db+".conf\n")
	level := c.must("pacman-conf", "--repo", db, "SigLevel")
	for _, word := range []string{"PackageRequired", "PackageTrustedOnly", "DatabaseRequired", "DatabaseTrustedOnly"} {
		if !strings.Contains(level, word+"\n") {
			c.t.Errorf("%s.conf leaves the level at %q, without %s", db, level, word)
		}
	}
}

func (c *clone) pacman(args ...string) string {
	c.t.Helper()
	out := c.must("pacman", append([]string{"--noconfirm"}, args...)...)
	if strings.Contains(out, "warning:") || strings.Contains(out, "error:") {
		c.t.Errorf("pacman %s says\n%s", strings.Join(args, " "), out)
	}
	return out
}

func TestPacmanTakesTheSampleThroughItsLife(t *testing.T) {
	c := newClone(t, "pacman", "pacman-key", "gpg")
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	c.arch(p)
	installed := func(want string) {
		t.Helper()
		if got := c.must("pacman", "-Q", "hello"); got != "hello "+want+"\n" {
			t.Errorf("installed is %q, want %q", got, want)
		}
	}
	whole := func() {
		t.Helper()
		if out := c.pacman("-Qkk", "hello"); !strings.Contains(out, " 0 altered files") {
			t.Errorf("pacman -Qkk says %q", out)
		}
	}

	c.addPacman(p, "hello")
	c.pacman("-Sy")
	c.pacman("-S", "hello")
	installed("1.0.0-1")
	c.says("1.0.0", "Hello, world")
	c.enabled(true)
	whole()
	if got := c.read("/var/lib/hello/log"); got != "installed\n" {
		t.Errorf("the scriptlet's log is %q", got)
	}
	c.pacman("-Fy")
	for _, query := range []string{"/usr/bin/hello", "hello.service"} {
		if out := c.pacman("-F", query); !strings.Contains(out, "hello/hello 1.0.0-1") {
			t.Errorf("pacman -F %s says %q", query, out)
		}
	}

	c.write("/etc/hello.conf", "greeting=Good morning\n")
	p.release(t, "1.1.0-rc.1")
	c.pacman("-Syu")
	installed("1.0.0-1")
	c.addPacman(p, "hello-beta")
	// pacman takes a package from the first section that has it.
	c.pacman("-Sy", "hello-beta/hello")
	installed("1.1.0rc.1-1")
	p.release(t, "1.1.0")
	c.pacman("-Syu")
	installed("1.1.0-1")
	c.says("1.1.0", "Good morning")
	c.enabled(true)
	if out := c.must("vercmp", "1.1.0rc.1-1", "1.1.0-1"); out != "-1\n" {
		t.Errorf("vercmp says %q", out)
	}

	c.pacman("-Rn", "hello")
	c.gone()
}

func TestPacmanReadsThePackageFile(t *testing.T) {
	c := newClone(t, "pacman", "pacman-key", "gpg")
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	c.arch(p)
	for _, cpu := range []string{"x86_64", "aarch64"} {
		file := "/tmp/hello-" + cpu + ".pkg.tar.zst"
		from := p.url + "/arch/" + cpu + "/hello-1.0.0-1-" + cpu + ".pkg.tar.zst"
		c.fetch(from, file)
		c.fetch(from+".sig", file+".sig")
		if out := c.must("pacman-key", "--verify", file+".sig", file); !strings.Contains(out, "Good signature") {
			t.Errorf("pacman-key --verify says\n%s", out)
		}
		out := c.must("pacman", "-Qip", file)
		for _, want := range []string{
			"Name            : hello", "Version         : 1.0.0-1", "Description     : Prints a friendly greeting", "Architecture    : " + cpu,
			"URL             : https://example.org/hello", "Licenses        : MIT", "Packager        : Ann Example <ann@example.org>",
		} {
			if !strings.Contains(out, want+"\n") {
				t.Errorf("pacman -Qip has no line %q:\n%s", want, out)
			}
		}
	}
	// One root per CPU: pacman takes the other one's database by its name.
	c.addPacman(p, "hello")
	c.write("/tmp/arm.conf", strings.Replace(c.read("/etc/pacman.conf"), "Architecture = auto", "Architecture = aarch64", 1))
	c.must("mkdir", "-p", "/tmp/arm/var/lib/pacman", "/tmp/arm/cache")
	c.pacman("--config", "/tmp/arm.conf", "--root", "/tmp/arm", "--cachedir", "/tmp/arm/cache", "-Syw", "hello")
	if !c.has("/tmp/arm/cache/hello-1.0.0-1-aarch64.pkg.tar.zst") {
		t.Error("pacman did not fetch the package for aarch64")
	}
}
