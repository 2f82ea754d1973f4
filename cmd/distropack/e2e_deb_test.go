package main

import (
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sampleDebs releases the sample and returns its debs, one per CPU.
func sampleDebs(t *testing.T) []string {
	t.Helper()
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	names, err := filepath.Glob(filepath.Join(p.dir, "pool/main/h/hello/*.deb"))
	if err != nil || len(names) != 2 {
		t.Fatalf("debs: %v, %v; want two", names, err)
	}
	return names
}

// tolerated are lintian's errors that the sample's package may have: they are about
// what the project brings, not about how DistroPack packs it.
var tolerated = map[string]string{
	"statically-linked-binary": "the sample is a Go program without cgo; lintian knows Go by Built-Using, which only Debian's own builds have",
}

func TestLintianFindsNoErrorOfOurs(t *testing.T) {
	if _, err := exec.LookPath("lintian"); err != nil {
		t.Skip("lintian is not installed")
	}
	tag := regexp.MustCompile(`(?m)^E: hello(?: \w+)?: (\S+).*$`)
	for _, name := range sampleDebs(t) {
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "none", "--no-tag-display-limit", "--show-overrides", name).CombinedOutput()
		if err != nil {
			t.Fatalf("lintian: %v: %s", err, out)
		}
		seen := make(map[string]bool)
		for _, m := range tag.FindAllStringSubmatch(string(out), -1) {
			seen[m[1]] = true
			if tolerated[m[1]] == "" {
				t.Errorf("%s: %s", filepath.Base(name), m[0])
			}
		}
		for _, want := range slices.Sorted(maps.Keys(tolerated)) {
			if !seen[want] {
				t.Errorf("%s: lintian does not say %s any more: take it from the list, or lintian did not run:\n%s", filepath.Base(name), want, out)
			}
		}
		if strings.Contains(string(out), "O: ") {
			t.Errorf("%s: an override hides something:\n%s", filepath.Base(name), out)
		}
	}
}

func TestDpkgDebShowsWhatTheConfigurationSays(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	for _, name := range sampleDebs(t) {
		out, err := exec.Command("dpkg-deb", "-I", name).CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg-deb -I: %v: %s", err, out)
		}
		_, arch, _ := strings.Cut(strings.TrimSuffix(name, ".deb"), "1.0.0-1_")
		for _, want := range []string{
			"Package: hello", "Version: 1.0.0-1", "Architecture: " + arch, "Maintainer: Ann Example <ann@example.org>",
			"Homepage: https://example.org/hello", "Section: utils", "Priority: optional",
			"Description: Prints a friendly greeting", " Hello reads its greeting from a file and prints it, or answers with it over",
		} {
			if !strings.Contains(string(out), "\n "+want+"\n") {
				t.Errorf("dpkg-deb -I %s lacks %q:\n%s", filepath.Base(name), want, out)
			}
		}
		if !regexp.MustCompile(`(?m)^ Installed-Size: [1-9]`).Match(out) {
			t.Errorf("dpkg-deb -I %s has no Installed-Size:\n%s", filepath.Base(name), out)
		}
	}
}
