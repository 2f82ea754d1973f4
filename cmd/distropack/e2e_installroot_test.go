package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// family is a kind of system that install.sh is run on.
type family struct {
	name     string
	release  string // os-release
	programs []string
	prepare  func(c *clone)
	version  func(c *clone) string
	upgrade  string // as the install page says, for root and without questions
}

// families are those with a client of their own.
var families = []family{
	{
		name: "Fedora", release: "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\nPRETTY_NAME=\"Fedora Linux 42 (Server Edition)\"\n",
		programs: []string{"dnf", "rpm"}, prepare: (*clone).rpms, version: (*clone).rpmVersion,
		upgrade: "dnf -y upgrade --refresh hello",
	},
	{
		name: "openSUSE", release: "NAME=\"openSUSE Leap\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\nPRETTY_NAME=\"openSUSE Leap 15.6\"\n",
		programs: []string{"zypper", "rpm"}, prepare: (*clone).rpms, version: (*clone).rpmVersion,
		upgrade: "zypper --non-interactive refresh hello && zypper --non-interactive update hello",
	},
	{
		name: "Arch", release: "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n",
		programs: []string{"pacman", "pacman-key", "gpg"}, prepare: (*clone).pacmanConf, version: (*clone).pacmanVersion,
		upgrade: "pacman --noconfirm -Syu",
	},
}

// derived returns the family under another name.
func derived(f family, name, release string) family {
	f.name, f.release = name, release
	return f
}

func (c *clone) rpmVersion() string {
	out, _ := c.run("rpm", "-q", "--qf", "%{VERSION}", "hello")
	return out
}

// pacmanVersion looks for itself: with a forged database beside it, pacman -Q
// says more than was asked.
func (c *clone) pacmanVersion() string {
	names, _ := filepath.Glob(c.path("/var/lib/pacman/local/hello-*"))
	if len(names) != 1 {
		return ""
	}
	v, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(names[0]), "hello-"), "-")
	return v
}

// install pipes install.sh into a shell, as the page says.
func (c *clone) install(p *published, args string) (string, error) {
	c.t.Helper()
	return c.run("sh", "-c", "curl -fsSL "+p.url+"/install.sh | DISTROPACK_OS_RELEASE=/tmp/os-release sh -s -- "+args)
}

func TestInstallShServesEveryFamily(t *testing.T) {
	for _, f := range append(slices.Clone(families),
		derived(families[0], "Rocky", "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.5\"\nPRETTY_NAME=\"Rocky Linux 9.5 (Blue Onyx)\"\n"),
		derived(families[2], "a derivative of Arch", "NAME=\"Some Linux\"\nID=somelinux\nID_LIKE=arch\n"),
	) {
		t.Run(f.name, func(t *testing.T) {
			c := newClone(t, f.programs...)
			f.prepare(c)
			c.write("/tmp/os-release", f.release)
			p := publishSample(t, nil)
			p.release(t, "1.0.0")

			if out, err := c.install(p, "-y --dry-run"); err != nil || c.has("/usr/bin/hello") || c.has("/etc/pki/rpm-gpg") || c.has("/etc/pacman.d/hello.conf") {
				t.Fatalf("a dry run did something, or failed: %v\n%s", err, out)
			}
			for range 2 { // people do it twice
				if out, err := c.install(p, "-y"); err != nil || !strings.Contains(out, "Hello is installed.") {
					t.Fatalf("install.sh: %v\n%s", err, out)
				}
			}
			c.says("1.0.0", "Hello, world")
			c.enabled(true)

			p.release(t, "1.1.0")
			c.must("sh", "-c", f.upgrade)
			c.says("1.1.0", "Hello, world")
			if out := c.must("sh", "-c", f.upgrade); f.version(c) != "1.1.0" {
				t.Errorf("upgrading twice left %q:\n%s", f.version(c), out)
			}

			if out, err := c.install(p, "-y --uninstall"); err != nil {
				t.Fatalf("install.sh --uninstall: %v\n%s", err, out)
			}
			c.gone()
			for _, name := range []string{"/etc/yum.repos.d/hello.repo", "/etc/zypp/repos.d/hello.repo", "/etc/pacman.d/hello.conf"} {
				if c.has(name) {
					t.Errorf("--uninstall left %s", name)
				}
			}
			if strings.Contains(c.read("/etc/pacman.conf"), "hello") {
				t.Errorf("--uninstall left pacman.conf with\n%s", c.read("/etc/pacman.conf"))
			}
		})
	}
}

// Whoever takes the server over later, keys and all, finds machines that trust
// what install.sh brought them.
func TestInstallShPinsTheKey(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := newClone(t, f.programs...)
			f.prepare(c)
			c.write("/tmp/os-release", f.release)
			p := publishSample(t, nil)
			p.release(t, "1.0.0")
			if out, err := c.install(p, "-y"); err != nil {
				t.Fatalf("install.sh: %v\n%s", err, out)
			}

			text, err := otherKey()
			if err != nil {
				t.Fatal(err)
			}
			genuine := p.dir + ".genuine"
			if err := os.Rename(p.dir, genuine); err != nil {
				t.Fatal(err)
			}
			taken := &published{project: p.project, dir: p.dir, url: p.url, key: p.key + ".other"}
			if err := os.WriteFile(taken.key, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			taken.release(t, "1.1.0")
			out, err := c.run("sh", "-c", f.upgrade)
			if got := f.version(c); err == nil || got != "1.0.0" {
				t.Errorf("the upgrade ended with %v and version %s\n%s", err, got, out)
			}

			// The control: the same version from the one who has the key.
			if err := os.RemoveAll(p.dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(genuine, p.dir); err != nil {
				t.Fatal(err)
			}
			p.release(t, "1.1.0")
			c.must("sh", "-c", f.upgrade)
			c.says("1.1.0", "Hello, world")
		})
	}
}

// Where a release brings another configuration file, the administrator's stays
// and the new one lies beside it.
func TestConfigurationOfTheAdministratorStays(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := newClone(t, f.programs...)
			f.prepare(c)
			c.write("/tmp/os-release", f.release)
			p := publishSample(t, func(config string) string {
				return strings.Replace(config, "type: config}", "type: config|noreplace}", 1)
			})
			p.release(t, "1.0.0")
			if out, err := c.install(p, "-y"); err != nil {
				t.Fatalf("install.sh: %v\n%s", err, out)
			}
			c.write("/etc/hello.conf", "greeting=Good morning\n")
			if err := os.WriteFile(filepath.Join(p.project, "hello.conf"), []byte("greeting=Hi\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			p.release(t, "1.1.0")
			c.must("sh", "-c", f.upgrade)
			c.says("1.1.0", "Good morning")
			if beside := c.read("/etc/hello.conf.rpmnew") + c.read("/etc/hello.conf.pacnew"); beside != "greeting=Hi\n" {
				t.Errorf("the new configuration beside it holds %q", beside)
			}
		})
	}
}
