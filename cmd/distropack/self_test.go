package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const checkout = "../.."

// What is generated is what the code says now; make docs writes it.
func TestGeneratedDocsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	must(t, nil, "docs", dir)
	err := filepath.Walk(dir, func(name string, st os.FileInfo, err error) error {
		if err != nil || st.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(checkout, "docs", rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s is not current: make docs", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(checkout, "docs", "man", "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if _, err := os.Stat(filepath.Join(dir, "man", filepath.Base(p))); err != nil {
			t.Errorf("docs/man/%s is of no command: remove it", filepath.Base(p))
		}
	}
}

// The examples people copy from pass check.
func TestExamplesPassCheck(t *testing.T) {
	must(t, nil, "-C", checkout, "check")
	p := publishSample(t, nil)
	must(t, nil, "-C", p.project, "check")
}

func TestDistroPackPackagesItself(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program again")
	}
	out := t.TempDir()
	must(t, []string{"SOURCE_DATE_EPOCH=1780000000"}, "-C", checkout, "build", "--version", "0.1.0", "--platform", "linux/amd64", "--format", "deb,rpm,tar.gz", "-o", out)
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	deb := filepath.Join(out, "distropack_0.1.0-1_amd64.deb")
	root := t.TempDir()
	if b, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	got, err := exec.Command(filepath.Join(root, "usr/bin/distropack"), "--version").Output()
	if err != nil || string(got) != "distropack 0.1.0\n" {
		t.Errorf("the packaged program says %q, %v", got, err)
	}
	for _, name := range []string{"usr/share/man/man1/distropack-release.1", "usr/share/bash-completion/completions/distropack", "usr/share/doc/distropack/copyright"} {
		found := false
		for _, n := range []string{name, name + ".gz"} {
			if _, err := os.Stat(filepath.Join(root, n)); err == nil {
				found = true
			}
		}
		if !found {
			t.Errorf("%s is not in the package", name)
		}
	}
	info, err := exec.Command("dpkg-deb", "-I", deb).Output()
	if err != nil || !strings.Contains(string(info), "Recommends: git") {
		t.Errorf("dpkg-deb -I: %v\n%s", err, info)
	}
}
