package debian

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

// variants are packages that differ in which scripts they have.
func variants() map[string]*formats.Spec {
	all := formats.Scripts{
		PreInstall: "echo a\n", PostInstall: "#!/bin/sh -eu\necho b", PreRemove: "#!/usr/bin/python3 -u\nprint('c')\n",
		PostRemove: "#!/bin/bash\necho d\n", PreUpgrade: "echo e\n", PostUpgrade: "#!/usr/bin/env -S perl -w\nprint 'DISTROPACK_SCRIPT'\n",
	}
	services := []formats.Service{{Unit: `a-\x2d@b.service`, Enable: true, Start: true}, {Unit: "c.timer", Enable: true}}
	v := map[string]*formats.Spec{
		"all":      {Scripts: all},
		"services": {Services: services},
		"both":     {Scripts: all, Services: services},
		"install":  {Scripts: formats.Scripts{PostInstall: "echo\n"}},
		"remove":   {Scripts: formats.Scripts{PostRemove: "echo\n"}},
		"upgrade":  {Scripts: formats.Scripts{PostUpgrade: "echo\n"}},
		"none":     {},
	}
	for _, s := range v {
		s.Name = "hello"
	}
	return v
}

func TestScriptsAreCleanShell(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for what, s := range variants() {
		for _, d := range []Dialect{Dpkg, Opkg} {
			members, err := Scripts(s, d)
			if err != nil {
				t.Fatal(err)
			}
			if what == "none" && len(members) > 0 {
				t.Errorf("a package without scripts has %s", members[0].Name)
			}
			for _, m := range members {
				name := filepath.Join(dir, fmt.Sprintf("%s-%d-%s", what, d, m.Name))
				if err := os.WriteFile(name, m.Body, 0o755); err != nil {
					t.Fatal(err)
				}
				names = append(names, name)
			}
		}
	}
	for _, sh := range [][]string{{"dash", "-n"}, {"busybox", "sh", "-n"}, {"bash", "--posix", "-n"}} {
		if _, err := exec.LookPath(sh[0]); err != nil {
			t.Logf("%s is not installed", sh[0])
			continue
		}
		for _, name := range names {
			if out, err := exec.Command(sh[0], append(sh[1:], name)...).CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v\n%s", sh[0], name, err, out)
			}
		}
	}
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed")
	}
	if out, err := exec.Command("shellcheck", append([]string{"-s", "sh"}, names...)...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// runMember runs one of opkg's scripts with a root of its own.
func runMember(t *testing.T, members []Member, root, name string, env []string, args ...string) string {
	t.Helper()
	for _, m := range members {
		if m.Name != name {
			continue
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, m.Body, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", append([]string{file}, args...)...)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "PKG_ROOT=" + root + "/"}, env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	return ""
}

func TestOpkgScriptsTellInstallationFromUpgrade(t *testing.T) {
	members, err := Scripts(&formats.Spec{Name: "hello", Scripts: formats.Scripts{
		PreInstall: "echo preinstall", PostInstall: "echo postinstall", PreRemove: "echo preremove",
		PostRemove: "echo postremove", PreUpgrade: "echo preupgrade", PostUpgrade: "echo postupgrade",
	}}, Opkg)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []struct {
		name             string
		install, upgrade []string
	}{
		{"OpenWrt's", []string{"PKG_UPGRADE=0"}, []string{"PKG_UPGRADE=1"}},
		{"Yocto's", nil, nil},
	} {
		root := t.TempDir()
		var got strings.Builder
		do := func(env []string, name string, args ...string) {
			got.WriteString(runMember(t, members, root, name, env, args...))
		}
		do(client.install, "preinst", "install")
		do(client.install, "postinst", "configure")
		do(client.upgrade, "prerm", "upgrade", "2")
		do(client.upgrade, "preinst", "upgrade", "1")
		do(client.upgrade, "postrm", "upgrade", "2")
		do(client.upgrade, "postinst", "configure")
		do(client.install, "prerm", "remove")
		do(client.install, "postrm", "remove")
		do(client.install, "preinst", "install")
		do(client.install, "postinst", "configure")
		want := "preinstall postinstall preupgrade postupgrade preremove postremove preinstall postinstall"
		if g := strings.Join(strings.Fields(got.String()), " "); g != want {
			t.Errorf("%s opkg: %s\nwant %s", client.name, g, want)
		}
		if _, err := os.Stat(filepath.Join(root, "var/lib/distropack")); err == nil {
			t.Errorf("%s opkg: the mark is left", client.name)
		}
	}
	// An old OpenWrt calls the scripts of the old version as for a removal.
	if got := runMember(t, members, t.TempDir(), "prerm", []string{"PKG_UPGRADE=1"}, "remove"); got != "" {
		t.Errorf("prerm ran on an upgrade: %s", got)
	}
}

func TestBodyKeepsItsMeaning(t *testing.T) {
	for body, want := range map[string]string{
		"echo \"$#:$1\"; exit 0; echo no":                                 "2:a b",
		"false; echo on":                                                  "on",
		"set -- x\necho $1":                                               "x",
		"trap 'echo trapped' EXIT\necho in":                               "in\ntrapped",
		"#!/bin/sh -f\necho /et*":                                         "/et*",
		"#!/usr/bin/env sh\necho env":                                     "env",
		"cat <<DISTROPACK_SCRIPT\n$2\nDISTROPACK_SCRIPT":                  "c",
		"#!/bin/bash\nx=(1 2); echo ${x[1]} $2\nDISTROPACK_SCRIPT=\n":     "2 c",
		"#!/bin/bash\ncat <<'DISTROPACK_SCRIPT'\n$x\nDISTROPACK_SCRIPT\n": "$x",
		"#!/usr/bin/env -S bash -u\necho ok":                              "ok",
	} {
		text, err := runBody(body)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sh", "-c", "set -e\nif true; then\n"+text+"fi\necho after", "sh", "a b", "c").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want+"\nafter" {
			t.Errorf("%q gave %q, %v; want %q", body, out, err, want)
		}
	}
}
