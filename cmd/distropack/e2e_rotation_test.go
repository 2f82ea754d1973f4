package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// While keys are rotated, clients that know only the old key and clients that
// know only the new one verify the same tree; afterwards the new one is enough.
func TestKeysCanBeRotated(t *testing.T) {
	if _, err := exec.LookPath("gpgv"); err != nil {
		t.Skip("gpgv is not installed")
	}
	second, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	p := publishSample(t, func(config string) string {
		return config + "signing: {key: \"${OLD_KEY}\", also: \"${NEW_KEY:-}\"}\n"
	})
	newKey := filepath.Join(t.TempDir(), "new.key")
	if err := os.WriteFile(newKey, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	ring := func(file string) string {
		armored := must(t, nil, "keys", "export", "--public", file)
		cmd := exec.Command("gpg", "--dearmor")
		cmd.Stdin = strings.NewReader(armored)
		b, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "ring.gpg")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	oldRing, newRing := ring(p.key), ring(newKey)
	verify := func(ring string, files ...string) (string, error) {
		args := []string{"--keyring", ring}
		for _, f := range files {
			args = append(args, filepath.Join(p.dir, f))
		}
		var out bytes.Buffer
		cmd := exec.Command("gpgv", args...)
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	release := func(version string, env ...string) {
		t.Helper()
		must(t, append(env, "SOURCE_DATE_EPOCH="+epochs[version]), "-C", p.project, "release", "--version", version)
	}

	release("1.0.0", "OLD_KEY="+p.key)
	if out, err := verify(oldRing, "dists/stable/InRelease"); err != nil {
		t.Fatalf("the old key: %v\n%s", err, out)
	}
	if _, err := verify(newRing, "dists/stable/InRelease"); err == nil {
		t.Fatal("the new key verifies what it has not signed")
	}
	release("1.1.0-rc.1", "OLD_KEY="+p.key, "NEW_KEY="+newKey)
	for name, ring := range map[string]string{"old": oldRing, "new": newRing} {
		for _, files := range [][]string{{"dists/stable/InRelease"}, {"dists/stable/Release.gpg", "dists/stable/Release"}, {"rpm/stable/repodata/repomd.xml.asc", "rpm/stable/repodata/repomd.xml"}} {
			// gpgv says 2 where one of two signatures is by an unknown key; what the
			// clients look for is the good one.
			if out, _ := verify(ring, files...); !strings.Contains(out, "Good signature") || strings.Contains(out, "BAD") {
				t.Errorf("%s with the %s key: %s", files[0], name, out)
			}
		}
	}
	// pacman wants every signature known, so the first key signs alone.
	if out, err := verify(oldRing, "arch/x86_64/hello.db.sig", "arch/x86_64/hello.db"); err != nil {
		t.Errorf("pacman's database: %v\n%s", err, out)
	}
	must(t, []string{"OLD_KEY=" + p.key, "NEW_KEY=" + newKey}, "-C", p.project, "repo", "check", p.dir)

	// The new key alone: it signed the state too, so it may go on.
	release("1.1.0", "OLD_KEY="+newKey)
	if out, err := verify(newRing, "dists/stable/InRelease"); err != nil {
		t.Errorf("the new key alone: %v\n%s", err, out)
	}
	if out, err := verify(newRing, "arch/x86_64/hello.db.sig", "arch/x86_64/hello.db"); err != nil {
		t.Errorf("pacman's database after the rotation: %v\n%s", err, out)
	}
	// A key that never signed the tree may not.
	stranger := filepath.Join(t.TempDir(), "stranger.key")
	must(t, nil, "keys", "new", "--name", "Stranger", "-o", stranger)
	before := snapshot(t, p.dir)
	_, stderr, code := distropack(t, []string{"OLD_KEY=" + stranger, "SOURCE_DATE_EPOCH=1780200000"}, "-C", p.project, "release", "--version", "1.2.0")
	if code == 0 || !strings.Contains(stderr, "not signed by this key") {
		t.Errorf("a stranger's key: exit %d\n%s", code, stderr)
	}
	if snapshot(t, p.dir) != before {
		t.Error("the tree changed")
	}
}

// Machines that know the old key alone go on while keys are rotated.
func TestDnfAndZypperGoOnWhileKeysAreRotated(t *testing.T) {
	second, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	newKey := filepath.Join(t.TempDir(), "new.key")
	if err := os.WriteFile(newKey, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	p := publishSample(t, func(config string) string {
		return config + "signing: {key: \"${OLD_KEY}\", also: \"${NEW_KEY:-}\"}\n"
	})
	release := func(version string, env ...string) {
		t.Helper()
		must(t, append(env, "SOURCE_DATE_EPOCH="+epochs[version]), "-C", p.project, "release", "--version", version)
	}
	release("1.0.0", "OLD_KEY="+p.key)
	dnf := newClone(t, "dnf", "rpm")
	dnf.rpms()
	dnf.addDnf(p, "hello")
	dnf.must("dnf", "-y", "install", "hello")
	zypper := newClone(t, "zypper", "rpm")
	zypper.rpms()
	zypper.must("zypper", "--non-interactive", "addrepo", "--refresh", p.url+"/rpm/hello.repo")
	zypper.must("rpm", "--import", p.url+"/keys/hello.asc")
	zypper.must("zypper", "--non-interactive", "install", "hello")

	release("1.1.0", "OLD_KEY="+p.key, "NEW_KEY="+newKey)
	dnf.must("dnf", "-y", "--refresh", "upgrade")
	dnf.installed("1.1.0-1")
	zypper.must("zypper", "--non-interactive", "refresh", "hello")
	zypper.must("zypper", "--non-interactive", "update", "hello")
	zypper.installed("1.1.0-1")
}

// A site with a key of its own serves packages that the package key signed: its
// clients are given both keys.
func TestASiteMayHaveItsOwnKey(t *testing.T) {
	own, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "own.key")
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	p := publishSample(t, func(config string) string {
		return strings.Replace(config, "    dir: dist/public\n", "    dir: dist/public\n    key: "+file+"\n", 1)
	})
	p.release(t, "1.0.0")
	ring := filepath.Join(p.dir, "keys/hello.gpg")
	tool(t, "", "gpgv", "--keyring", ring, filepath.Join(p.dir, "dists/stable/InRelease"))
	tool(t, "", "gpgv", "--keyring", ring, filepath.Join(p.dir, "arch/x86_64/hello.db.sig"), filepath.Join(p.dir, "arch/x86_64/hello.db"))
	pkg := filepath.Join(p.dir, "arch/x86_64/hello-1.0.0-1-x86_64.pkg.tar.zst")
	tool(t, "", "gpgv", "--keyring", ring, pkg+".sig", pkg)
	db := t.TempDir()
	tool(t, "", "rpmkeys", "--dbpath", db, "--import", filepath.Join(p.dir, "keys/hello.asc"))
	tool(t, "", "rpmkeys", "--dbpath", db, "--define", "_pkgverify_level all", "--checksig", filepath.Join(p.dir, "rpm/stable/Packages/h/hello-1.0.0-1.x86_64.rpm"))
	must(t, nil, "-C", p.project, "repo", "check", p.dir, "--key", p.key)
}
