package formats

import (
	"slices"
	"testing"
)

func TestVersionsAreInSemVersOrder(t *testing.T) {
	// The chain of SemVer 2.0.0, section 11, and what people write besides.
	order := []string{"0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+build.2", "1.0.0+build.10", "1.0.1", "1.2.0", "1.10.0", "2", "2.0", "2024.01.2", "2024.1.10"}
	for i, a := range order {
		for j, b := range order {
			if got, want := sign(CompareVersions(a, b)), sign(i-j); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestSplitVersion(t *testing.T) {
	for v, want := range map[string]Version{
		"1.3.0":              {"1.3.0", "", ""},
		"1.3.0-rc.1":         {"1.3.0", "rc.1", ""},
		"1.3.0-rc.1+build.5": {"1.3.0", "rc.1", "build.5"},
		"1.3.0+a-b":          {"1.3.0", "", "a-b"},
		"1.3-rc1":            {"1.3", "rc1", ""},
		"2024-01-02":         {"2024-01-02", "", ""},
		"1.3.0-1":            {"1.3.0", "1", ""},
		"1.3a-2":             {"1.3a-2", "", ""},
	} {
		if got := SplitVersion(v); got != want {
			t.Errorf("SplitVersion(%q) = %+v, want %+v", v, got, want)
		}
	}
}

func TestOnlySemVerIsSemVer(t *testing.T) {
	for v, want := range map[string]bool{"1.2.3": true, "256.0.0": true, "1.2.3-rc.1+x": true, "1.2": false, "1.2.": false, "asdf": false, "01.2.3": false, "1.2.3-": false, "1.2.3-01": false, "1.2.3+": false, "": false, "1.2.3.4": false} {
		if got := IsSemVer(v); got != want {
			t.Errorf("IsSemVer(%q) = %v", v, got)
		}
	}
}

func TestParseRelation(t *testing.T) {
	for s, want := range map[string]Relation{
		"a": {Name: "a"}, "a >= 1": {"a", ">=", "1"}, "a>=1": {"a", ">=", "1"}, "a (>= 1:2-3)": {"a", ">=", "1:2-3"},
		"a (<< 2)": {"a", "<", "2"}, "a >> 2": {"a", ">", "2"}, "a = 1": {"a", "=", "1"}, "lib.so()": {},
	} {
		got, ok := ParseRelation(s)
		if want.Name == "" && ok || want.Name != "" && (!ok || got != want) {
			t.Errorf("ParseRelation(%q) = %+v, %v; want %+v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "a | b", "(a or b)", "a, b", "a >= ", "a 1", "a (>= 1"} {
		if r, ok := ParseRelation(s); ok {
			t.Errorf("ParseRelation(%q) = %+v", s, r)
		}
	}
}

func TestPlatforms(t *testing.T) {
	for s, want := range map[string]string{"linux/amd64": "linux/amd64", "amd64": "linux/amd64", "arm/v7": "linux/arm/v7", "noarch": "linux/all", "all": "linux/all", "darwin/arm64": "darwin/arm64"} {
		if p, err := ParsePlatform(s); err != nil || p.String() != want {
			t.Errorf("ParsePlatform(%q) = %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "linux", "linux/arm", "linux/amd64/v9", "plan9/amd64", "linux/vax", "a/b/c/d"} {
		if p, err := ParsePlatform(s); err == nil {
			t.Errorf("ParsePlatform(%q) = %v", s, p)
		}
	}
}

func TestFilesThatNoFormatCarriesAreRefused(t *testing.T) {
	blob := Bytes(nil)
	ok := []File{{Path: "/usr/bin/a", Type: Regular, Content: blob}, {Path: "/usr/bin", Type: Dir}, {Path: "/l", Type: Symlink, Target: "x"}}
	if err := CheckFiles(ok); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]File{
		"relative": {Path: "usr", Type: Regular, Content: blob}, "unclean": {Path: "/a/../b", Type: Regular, Content: blob}, "root": {Path: "/", Type: Dir},
		"twice": {Path: "/usr/bin/a", Type: Dir}, "no content": {Path: "/x", Type: Regular}, "no target": {Path: "/x", Type: Symlink},
		"below a file": {Path: "/usr/bin/a/b", Type: Regular, Content: blob}, "line break": {Path: "/a\nb", Type: Regular, Content: blob}, "not UTF-8": {Path: "/caf\xe9", Type: Regular, Content: blob}, "type": {Path: "/x", Type: "fifo"},
	} {
		if err := CheckFiles(append(slices.Clone(ok), f)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestParentsComeBeforeTheirChildren(t *testing.T) {
	all, implied := WithParents([]File{{Path: "/usr/share/x/y", Type: Regular}, {Path: "/usr/share", Type: Dir, Mode: 0o700}})
	var paths []string
	for _, f := range all {
		paths = append(paths, f.Path)
	}
	if want := []string{"/usr", "/usr/share", "/usr/share/x", "/usr/share/x/y"}; !slices.Equal(paths, want) {
		t.Errorf("paths %v", paths)
	}
	if !implied["/usr"] || implied["/usr/share"] {
		t.Errorf("implied %v", implied)
	}
}
