package formats

import (
	"fmt"
	"slices"
	"strings"
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
	for s, want := range map[string]string{
		"": `platform "" is not of the form os/arch`, "linux": `platform "linux" is not of the form os/arch`, "a/b/c/d": `platform "a/b/c/d" is not of the form os/arch`,
		"linux/arm":      `platform "linux/arm" needs a variant: linux/arm/v6 or linux/arm/v7`,
		"linux/amd64/v9": `platform "linux/amd64/v9": unknown variant "v9"`,
		"plan9/amd64":    `platform "plan9/amd64": unknown system "plan9" (known: linux darwin freebsd windows)`,
		"linux/vax":      `platform "linux/vax": unknown CPU "vax" (known: amd64 arm64 arm 386 riscv64 ppc64le s390x loong64)`,
	} {
		if p, err := ParsePlatform(s); fmt.Sprint(err) != want {
			t.Errorf("ParsePlatform(%q) = %v, %v; want %s", s, p, err, want)
		}
	}
}

func TestVersionsThatNoFormatCarriesAreRefused(t *testing.T) {
	for v, want := range map[string]string{
		"":    "the version is empty",
		"v1":  `version "v1" does not start with a digit`,
		"1:2": `version "1:2" has the character ':'; only letters, digits and . - + ~ _ are allowed`,
		"1é":  `version "1é" has the character 'é'; only letters, digits and . - + ~ _ are allowed`,
	} {
		if err := CheckVersion(v); fmt.Sprint(err) != want {
			t.Errorf("CheckVersion(%q) = %v, want %s", v, err, want)
		}
	}
}

func TestDigestIsItsText(t *testing.T) {
	good := Bytes([]byte("x")).Ref().SHA256
	if d, err := ParseDigest(good.String()); err != nil || d != good {
		t.Errorf("ParseDigest(%s) = %s, %v", good, d, err)
	}
	for _, s := range []string{"", "ab", good.String() + "00", strings.ToUpper(good.String()), strings.Repeat("xy", 32)} {
		if _, err := ParseDigest(s); fmt.Sprint(err) != fmt.Sprintf("digest %q is not 64 lower-case hexadecimal digits", s) {
			t.Errorf("ParseDigest(%q): %v", s, err)
		}
	}
}

func TestSizeIsANumberAndAUnit(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "900MB": 900e6, "2 GiB": 2 << 30, "1048576": 1 << 20} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "-1", "MB", "1XB", "9223372036854775808", "9223372036854775807kB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); fmt.Sprint(err) != fmt.Sprintf("%q is not a number of bytes; write it as 900MB, 2GiB or 1048576", text) {
			t.Errorf("%q is %d, %v", text, s, err)
		}
	}
}

func TestFilesThatNoFormatCarriesAreRefused(t *testing.T) {
	blob := Bytes(nil)
	ok := []File{{Path: "/usr/bin/a", Type: Regular, Content: blob}, {Path: "/usr/bin", Type: Dir}, {Path: "/l", Type: Symlink, Target: "x"}}
	if err := CheckFiles(ok); err != nil {
		t.Error(err)
	}
	for want, f := range map[string]File{
		`path "usr" is not an absolute, clean path`:                  {Path: "usr", Type: Regular, Content: blob},
		`path "/a/../b" is not an absolute, clean path`:              {Path: "/a/../b", Type: Regular, Content: blob},
		`path "/" is not an absolute, clean path`:                    {Path: "/", Type: Dir},
		`path "/usr/bin/a" is there twice`:                           {Path: "/usr/bin/a", Type: Dir},
		`file "/x" has no content`:                                   {Path: "/x", Type: Regular},
		`symlink "/x" has no target`:                                 {Path: "/x", Type: Symlink},
		`path "/usr/bin/a/b" is below "/usr/bin/a", which is a file`: {Path: "/usr/bin/a/b", Type: Regular, Content: blob},
		`path "/l/b" is below "/l", which is a symlink`:              {Path: "/l/b", Type: Regular, Content: blob},
		`path "/a\nb" has a control character`:                       {Path: "/a\nb", Type: Regular, Content: blob},
		`path "/caf\xe9" is not UTF-8: rename the file`:              {Path: "/caf\xe9", Type: Regular, Content: blob},
		`file "/x" has the unknown type "fifo"`:                      {Path: "/x", Type: "fifo"},
	} {
		if err := CheckFiles(append(slices.Clone(ok), f)); fmt.Sprint(err) != want {
			t.Errorf("CheckFiles(%+v) = %v, want %s", f, err, want)
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
