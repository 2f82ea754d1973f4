package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallScriptInstallsUpgradesAndUninstallsOnDebian(t *testing.T) {
	onDebian(t, func(t *testing.T, r *debRoot) {
		p := publishSample(t, nil)
		p.release(t, "1.0.0")
		script := "curl -fsSL " + p.url + "/install.sh | sh -s -- "

		dry := r.run(t, script+"--dry-run")
		if r.has(t, "/etc/apt/sources.list.d/hello.sources") || r.installed(t, "hello") != "" {
			t.Errorf("--dry-run changed the system:\n%s", dry)
		}
		if out, err := r.try(script); err == nil || r.installed(t, "hello") != "" {
			t.Errorf("without a terminal and without -y it installs:\n%s", out)
		}

		first := r.run(t, script+"-y")
		if got := r.run(t, "hello; hello --version; cat /var/lib/hello/log"); got != "Hello, world\nhello 1.0.0\ninstalled\n" {
			t.Errorf("hello and its log say %q after\n%s", got, first)
		}
		r.update(t)
		before := r.run(t, "cd /etc/apt; find . -type f | LC_ALL=C sort | xargs sha256sum")
		again := r.run(t, script+"-y")
		if after := r.run(t, "cd /etc/apt; find . -type f | LC_ALL=C sort | xargs sha256sum"); after != before {
			t.Errorf("run again it changed /etc/apt:\n%s\nwas\n%s\nit said\n%s", after, before, again)
		}
		if got := r.run(t, "cat /var/lib/hello/log"); got != "installed\n" {
			t.Errorf("run again it installed again: %q\n%s", got, again)
		}

		p.release(t, "1.1.0")
		r.update(t)
		r.run(t, "apt-get -y upgrade")
		if got := r.installed(t, "hello"); got != "1.1.0-1" {
			t.Errorf("apt-get upgrade left %q, want 1.1.0-1", got)
		}

		gone := r.run(t, script+"-y --uninstall")
		if r.installed(t, "hello") != "" || r.has(t, "/usr/bin/hello") || r.has(t, "/etc/apt/sources.list.d/hello.sources") || r.has(t, "/var/lib/hello") {
			t.Errorf("--uninstall left something:\n%s", gone)
		}
		if after := r.run(t, "find /etc/apt /tmp -newer /usr/bin/apt-get -name '*hello*'"); after != "" {
			t.Errorf("--uninstall left\n%s", after)
		}
	})
}

func TestInstallScriptTakesAnotherChannelOnDebian(t *testing.T) {
	onDebian(t, func(t *testing.T, r *debRoot) {
		p := publishSample(t, nil)
		p.release(t, "1.0.0")
		p.release(t, "1.1.0-rc.1")
		r.run(t, "curl -fsSL "+p.url+"/install.sh | sh -s -- -y --channel beta")
		if got := r.installed(t, "hello"); got != "1.1.0~rc.1-1" {
			t.Errorf("the channel beta brought %q, want 1.1.0~rc.1-1", got)
		}
		r.run(t, "curl -fsSL "+p.url+"/install.sh | sh -s -- -y --channel beta --uninstall")
		if r.installed(t, "hello") != "" || r.has(t, "/etc/apt/sources.list.d/hello-beta.sources") {
			t.Error("--uninstall of the channel beta left something")
		}
	})
}

func TestInstallScriptFailsWhereAptRefuses(t *testing.T) {
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	onDebian(t, func(t *testing.T, r *debRoot) {
		instead := map[string][]byte{"/dists/stable/InRelease": flipSignature(t, "InRelease", read("dists/stable/InRelease"))}
		l := serveLogged(t, p.dir, instead)
		for _, name := range []string{"install.sh", "apt/hello.sources"} { // they name the address
			instead["/"+name] = bytes.ReplaceAll(read(name), []byte(p.url), []byte(l.url))
		}
		out, err := r.try("curl -fsSL " + l.url + "/install.sh | sh -s -- -y")
		if err == nil || r.installed(t, "hello") != "" {
			t.Errorf("install.sh goes on though the index is forged (%v):\n%s", err, out)
		}
		if !strings.Contains(out, "stopped before the end") {
			t.Errorf("install.sh does not say that it stopped:\n%s", out)
		}
		instead["/dists/stable/InRelease"] = read("dists/stable/InRelease")
		r.run(t, "curl -fsSL "+l.url+"/install.sh | sh -s -- -y; hello")
	})
}
