package apk

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestVersionsTakeApksForm(t *testing.T) {
	for _, c := range []struct{ version, release, want string }{
		{"1.3.0", "", "1.3.0-r1"},
		{"1.3.0", "0", "1.3.0-r0"},
		{"1.3.0", "07", "1.3.0-r7"},
		{"1.3.0-rc.1", "", "1.3.0_rc1-r1"},
		{"1.3.0-RC1", "", "1.3.0_rc1-r1"},
		{"1.3.0-rc-1", "", "1.3.0_rc1-r1"},
		{"1.3.0-alpha", "", "1.3.0_alpha-r1"},
		{"1.3.0-beta.2.1", "", "1.3.0_beta2_p1-r1"},
		{"1.3.0-preview.4", "", "1.3.0_pre4-r1"},
		{"1.3.0-M2", "", "1.3.0_pre2-r1"},
		{"1.3.0-5", "", "1.3.0_alpha_alpha5-r1"},
		{"1.3.0-4-gabcdef1", "", "1.3.0_alpha_alpha4-r1"},
		{"1.3.0-dev.20260105.abcdef1", "", "1.3.0_alpha_pre20260105-r1"},
		{"1.3.0-0.20260105120000-abcdef123456", "", "1.3.0_alpha_alpha0_p20260105120000-r1"},
		{"1.3.0-abcdef1.5", "", "1.3.0_alpha_alpha5-r1"},
		{"1.3.0-SNAPSHOT", "", "1.3.0_alpha_pre-r1"},
		{"1.3.0+build.5", "", "1.3.0_p5-r1"},
		{"1.3.0+abcdef1", "", "1.3.0-r1"},
		{"0.0.0+20260105T120000Z.abcdef1", "", "0.0.0_p20260105_p120000-r1"},
		{"1.3.0-rc+5", "", "1.3.0_rc0_p5-r1"},
		{"1.3.0-rc.1+5", "", "1.3.0_rc1_p5-r1"},
		{"1.0~rc1", "", "1.0_rc1-r1"},
		{"1.0rc1", "", "1.0_rc1-r1"},
		{"2.0b3", "", "2.0_beta3-r1"},
		{"9.6p1", "", "9.6_p1-r1"},
		{"1.0.post2", "", "1.0_p2-r1"},
		{"1.0.2k", "", "1.0.2k-r1"},
		{"1.0_git20260105", "", "1.0_git20260105-r1"},
		{"2026-01-05", "", "2026.01.05-r1"},
	} {
		got, err := Version(&formats.Spec{Version: c.version, Release: c.release, Epoch: "3"})
		if err != nil || got != c.want {
			t.Errorf("Version(%q, %q) = %q, %v; want %q", c.version, c.release, got, err, c.want)
		}
	}
}

func TestVersionsApkCannotCarryAreRefused(t *testing.T) {
	const forms = ": its versions are numbers, one letter, and alpha, beta, pre, rc or p with a number"
	for _, c := range []struct{ version, release, want string }{
		{"", "", "the version is empty"},
		{"v1", "", `version "v1" does not start with a digit`},
		{"1:0", "", `version "1:0" has the character ':'; only letters, digits and . - + ~ _ are allowed`},
		{"1.0zl", "", `version "1.0zl": apk has no form for "zl"` + forms},
		{"1.0.x-2", "", `version "1.0.x-2": apk has no form for ".x-2"` + forms},
		{"1..0", "", `version "1..0": apk has no form for "..0"` + forms},
		{"1.0.", "", `version "1.0.": apk has no form for "."` + forms},
		{"1.~rc1", "", `version "1.~rc1": apk has no form for "."` + forms},
		{"1.0.0-rc.1.foo", "", `version "1.0.0-rc.1.foo": pre-release "rc.1.foo" has the word "foo" behind others, which apk can't order; use one word and numbers`},
		{"1.0.0-abcdef1", "", `version "1.0.0-abcdef1": pre-release "abcdef1" is told apart by a commit alone, which apk can't order; put a number or date before it`},
		{"1.0.0-dev.abcdef1", "", `version "1.0.0-dev.abcdef1": pre-release "dev.abcdef1" is told apart by a commit alone, which apk can't order; put a number or date before it`},
		{"1.0.0-...", "", `version "1.0.0-...": pre-release "..." has no word or number`},
		{"1.0.0-rc.1234567890123456789", "", `version "1.0.0-rc.1234567890123456789": "1234567890123456789" is a number of more than 18 digits`},
		{"1.1234567890123456789", "", `version "1.1234567890123456789": "1234567890123456789" is a number of more than 18 digits`},
		{"1.1234567890123456789p1", "", `version "1.1234567890123456789p1": "1234567890123456789" is a number of more than 18 digits`},
		{"1.0.0+1234567890123456789", "", `version "1.0.0+1234567890123456789": "1234567890123456789" is a number of more than 18 digits`},
		{"1.0", "1.1", `release "1.1" is not a number: write 0, 1 or 2, which apk calls r0, r1 and r2`},
		{"1.0", "r1", `release "r1" is not a number: write 0, 1 or 2, which apk calls r0, r1 and r2`},
		{"1.0", "-1", `release "-1" is not a number: write 0, 1 or 2, which apk calls r0, r1 and r2`},
		{"1.0", "1234567890123456789", `release "1234567890123456789" is a number of more than 18 digits`},
	} {
		if v, err := Version(&formats.Spec{Version: c.version, Release: c.release}); fmt.Sprint(err) != c.want {
			t.Errorf("Version(%q, %q) = %q, %v; want %s", c.version, c.release, v, err, c.want)
		}
	}
}

// TestReleasesSortAsTheyCameOut has each line older than the next.
func TestReleasesSortAsTheyCameOut(t *testing.T) {
	line := []string{
		"1.2.9", "1.3.0-1", "1.3.0-1.2", "1.3.0-2", "1.3.0-dev", "1.3.0-dev.1", "1.3.0-dev.20260101", "1.3.0-alpha", "1.3.0-alpha.1", "1.3.0-alpha.2", "1.3.0-alpha.10",
		"1.3.0-beta", "1.3.0-beta.2", "1.3.0-beta.11", "1.3.0-preview.1", "1.3.0-rc", "1.3.0-rc+5", "1.3.0-rc.1", "1.3.0-rc.1+build.5", "1.3.0-rc.2", "1.3.0-rc.2.1", "1.3.0-rc.10",
		"1.3.0", "1.3.0+1", "1.3.0+2", "1.3.1-rc1", "1.3.1-rc2", "1.3.1-rc10", "1.3.1", "1.10.0",
	}
	var vs []string
	for _, v := range line {
		s, err := Version(&formats.Spec{Version: v})
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, s)
	}
	for i := range vs {
		for j := range vs {
			if got, want := Compare(vs[i], vs[j]), order(i, j); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", vs[i], vs[j], got, want)
			}
		}
	}
	older, _ := Version(&formats.Spec{Version: "1.3.0", Release: "9"})
	newer, _ := Version(&formats.Spec{Version: "1.3.0", Release: "10"})
	if Compare(older, newer) != -1 {
		t.Errorf("%s is not older than %s", older, newer)
	}
}

func TestGrammarIsApks(t *testing.T) {
	for _, v := range []string{"1", "1.2", "0.1_pre2", "0.1_pre2~1234abcd", "0.1_p1_pre2", "0.1_git20240101_pre1", "1.2.3a_rc1-r0", "1~ab-r3"} {
		if !isVersion(v) {
			t.Errorf("%q is refused", v)
		}
	}
	for _, v := range []string{
		"", ".1", "a", "_pre1", "-r1", "0.1bc", "0.1bc1", "0.1a1", "0.1a.1", "0.1_pre2~", "0.1_pre2~12xb", "0.1_pre2~12_pre1", "0.1-r1~12", "0.1_foo",
		"0.1-pre1.1", "0.1-r", "0.1-r2_pre1", "0.1-r2-r3", "0.1-r2.1", "0.1_", "0.1_-r0", "0.1__alpha", "0.1_1_alpha", "1.", "1 ", "1A",
	} {
		if isVersion(v) {
			t.Errorf("%q is accepted", v)
		}
	}
}

func TestCompareFollowsApk(t *testing.T) {
	for _, c := range []struct {
		a    string
		want int
		b    string
	}{
		{"2.34", 1, "0.1.0_alpha"}, {"0.1.0_alpha", -1, "0.1.0_alpha2"}, {"1.0.4-r3", -1, "1.0.4-r4"}, {"1.0.4-r4", -1, "1.6"}, {"6.0_pre1", -1, "6.0"}, {"6.0_p1", 1, "6.0"},
		{"8.2.0", -1, "8.2.001"}, {"8.2.0015", -1, "8.2.002"}, {"1.0~1234", -1, "1.0~2345"}, {"1.0~1234-r1", -1, "1.0~2345-r0"}, {"1.0~1234-r1", 1, "1.0~1234-r0"},
		{"0.1.0_alpha_pre2", -1, "0.1.0_alpha"}, {"1.0.0_pre20191002222144-r0", -1, "1.0.0_pre20210530193627-r0"}, {"1.0", -1, "1.0.0"}, {"1.0a", 1, "1.0"}, {"1.0a", -1, "1.0.1"},
		{"1.0-r0", 1, "1.0"}, {"1.05", -1, "1.1"}, {"01", 0, "1"}, {"1.0_cvs", -1, "1.0_svn"}, {"1.0_hg", -1, "1.0_p"}, {"x", 0, "y"}, {"x", -1, "1"},
	} {
		if got := Compare(c.a, c.b); got != c.want {
			t.Errorf("Compare(%s, %s) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Compare(c.b, c.a); got != -c.want {
			t.Errorf("Compare(%s, %s) = %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

// randomVersion is mostly, but not always, a version.
func randomVersion(r *rand.Rand) string {
	parts := []string{"0", "1", "2", "10", "01", "007", ".", ".", ".1", "a", "b", "_alpha", "_beta", "_pre", "_rc", "_p", "_git", "_hg", "_x", "~ab", "~1", "-r0", "-r1", "-r"}
	b := "1"
	for range r.IntN(6) {
		b += parts[r.IntN(len(parts))]
	}
	return b
}

func TestCompareAgreesWithApk(t *testing.T) {
	need(t, "apk")
	if out, _ := exec.Command("apk", "--version").Output(); !strings.Contains(string(out), " 3.") {
		t.Skip("apk is older than 3, whose order this is")
	}
	root := t.TempDir()
	r := rand.New(rand.NewPCG(5, 9))
	for range 300 {
		a, b := randomVersion(r), randomVersion(r)
		if isVersion(a) && isVersion(b) { // apk compares nothing else
			out := mustRun(t, "apk", "--root", root, "version", "-t", a, b)
			want := map[string]int{"<": -1, "=": 0, ">": 1}[strings.TrimSpace(out)]
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, apk says %d", a, b, got, want)
			}
		}
		if _, err := run(t, "apk", "--root", root, "version", "-qc", a); (err == nil) != isVersion(a) {
			t.Errorf("isVersion(%q) = %v, apk says %v", a, isVersion(a), err)
		}
	}
}

func FuzzCompareIsAnOrder(f *testing.F) {
	f.Add("1.0", "1.0_rc1", "1.0-r1")
	f.Add("1.01", "1.1a", "1.1_p")
	f.Add("1.0_alpha_pre", "1~ab", "x")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if Compare(a, a) != 0 || Compare(a, b) != -Compare(b, a) {
			t.Errorf("Compare(%q, %q) = %d, the other way round %d", a, b, Compare(a, b), Compare(b, a))
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Errorf("%q <= %q <= %q, but the last is older than the first", a, b, c)
		}
	})
}

func TestCompareIsTransitive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		a, b, c := randomVersion(r), randomVersion(r), randomVersion(r)
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q, but the last is older than the first", a, b, c)
		}
	}
}

func FuzzVersionIsLegalOrRefused(f *testing.F) {
	for _, s := range []string{"1.3.0-rc.1+5", "1.0~rc1", "2026-01-05", "1.2.3-4-gabcdef1", "1.0_git3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Version(&formats.Spec{Version: s})
		if err == nil && !isVersion(v) {
			t.Errorf("Version(%q) = %q, which apk refuses", s, v)
		}
		if sv := formats.SplitVersion(s); err == nil && sv.Pre != "" && formats.IsSemVer(s) {
			release, err := Version(&formats.Spec{Version: sv.Core})
			if err == nil && Compare(v, release) >= 0 {
				t.Errorf("Version(%q) = %q is not older than %q", s, v, release)
			}
		}
	})
}
