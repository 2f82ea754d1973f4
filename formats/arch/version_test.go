package arch

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestVersionsTakePacmansForm(t *testing.T) {
	for _, c := range []struct{ version, epoch, release, want string }{
		{"1.3.0", "", "", "1.3.0-1"},
		{"1.3.0", "", "2", "1.3.0-2"},
		{"1.3.0", "2", "1.1", "2:1.3.0-1.1"},
		{"1.3.0", "0", "", "1.3.0-1"},
		{"1.3.0-rc.1", "", "", "1.3.0rc.1-1"},
		{"1.3.0-rc-1", "", "", "1.3.0rc_1-1"},
		{"1.3.0-1", "", "", "1.3.0a.1-1"},
		{"1.3.0-rc.1+build.5", "", "", "1.3.0rc.1+build.5-1"},
		{"1.3.0+build-5", "", "", "1.3.0+build_5-1"},
		{"1.0~rc1", "", "", "1.0rc1-1"},
		{"2026-01-05", "", "", "2026_01_05-1"},
		{"1.0.2k", "", "", "1.0.2k-1"},
	} {
		got, err := Version(&formats.Spec{Version: c.version, Epoch: c.epoch, Release: c.release})
		if err != nil || got != c.want {
			t.Errorf("Version(%q, %q, %q) = %q, %v; want %q", c.version, c.epoch, c.release, got, err, c.want)
		}
	}
}

func TestVersionsPacmanCannotCarryAreRefused(t *testing.T) {
	const allowed = "; only letters, digits and . - + ~ _ are allowed"
	for want, s := range map[string]formats.Spec{
		"the version is empty":                                                                                            {Version: ""},
		`version "v1" does not start with a digit`:                                                                        {Version: "v1"},
		`version "1 2" has the character ' '` + allowed:                                                                   {Version: "1 2"},
		`version "1:2" has the character ':'` + allowed:                                                                   {Version: "1:2"},
		`version "1/2" has the character '/'` + allowed:                                                                   {Version: "1/2"},
		`version "1\n2" has the character '\n'` + allowed:                                                                 {Version: "1\n2"},
		`release "1-2" is not a number: pacman's releases are 1, 2 or 1.1`:                                                {Version: "1.0", Release: "1-2"},
		`release "1ubuntu1" is not a number: pacman's releases are 1, 2 or 1.1`:                                           {Version: "1.0", Release: "1ubuntu1"},
		`release "1.2.3" is not a number: pacman's releases are 1, 2 or 1.1`:                                              {Version: "1.0", Release: "1.2.3"},
		`epoch "x" is not a number of at most nine digits`:                                                                {Version: "1.0", Epoch: "x"},
		`epoch "-1" is not a number of at most nine digits`:                                                               {Version: "1.0", Epoch: "-1"},
		`epoch "1234567890" is not a number of at most nine digits`:                                                       {Version: "1.0", Epoch: "1234567890"},
		`version "1.0b~rc1" has a pre-release after a letter, which pacman can't order; end what is before it in a digit`: {Version: "1.0b~rc1"},
	} {
		if v, err := Version(&s); fmt.Sprint(err) != want {
			t.Errorf("Version(%q %q %q) = %q, %v; want %s", s.Version, s.Epoch, s.Release, v, err, want)
		}
	}
}

// TestReleasesSortAsTheyCameOut has each line older than the next.
func TestReleasesSortAsTheyCameOut(t *testing.T) {
	line := []string{
		"1.2.9", "1.3.0-1", "1.3.0-alpha", "1.3.0-alpha.1", "1.3.0-alpha.2", "1.3.0-alpha.10", "1.3.0-beta", "1.3.0-beta.2", "1.3.0-beta.11",
		"1.3.0-dev.20260101", "1.3.0-rc.1", "1.3.0-rc.1+build.5", "1.3.0-rc.2", "1.3.0-rc.2.1", "1.3.0", "1.3.0+1", "1.3.0+2", "1.3.1-rc1", "1.3.1-rc2", "1.3.1-rc10", "1.3.1", "1.10.0",
	}
	var vs []string
	for _, v := range line {
		s, err := Version(&formats.Spec{Version: v})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(s, "-") != 1 {
			t.Errorf("Version(%q) = %q has a - in its pkgver", v, s)
		}
		vs = append(vs, s)
	}
	_, err := exec.LookPath("vercmp")
	for i := range vs {
		for j := range vs {
			want := sign(i - j)
			if got := Compare(vs[i], vs[j]); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", vs[i], vs[j], got, want)
			}
			if err == nil && i == j+1 {
				if got := vercmp(t, vs[i], vs[j]); got != want {
					t.Errorf("vercmp %s %s = %d, want %d", vs[i], vs[j], got, want)
				}
			}
		}
	}
}

func vercmp(t *testing.T, a, b string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(mustRun(t, "vercmp", a, b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCompareAgreesWithVercmp(t *testing.T) {
	need(t, "vercmp")
	pairs := [][2]string{
		{"1.0", "1.0"}, {"1.0-1", "1.0"}, {"1.0-1", "1.0-2"}, {"1:1.0", "2.0"}, {"0:1.0", "1.0"}, {"1.0rc1", "1.0"}, {"1.0.a", "1.0"}, {"1.0..1", "1.0.1"},
		{"1.001", "1.1"}, {"01", "1"}, {"", "1"}, {"", ""}, {"-", "1"}, {"a", "1"}, {":1", "1"}, {"1:", "1"}, {"1.0~rc1", "1.0"}, {"1.0+a", "1.0"}, {"1.", "1"}, {"1.0-1-2", "1.0-1"},
		{"1:2:3", "1:2"}, {"1.0.", "1.0.a"}, {"1.0a", "1.0.a"}, {"1-", "1"}, {"1--", "1-1"},
	}
	r := rand.New(rand.NewPCG(3, 7))
	const alphabet = "0011299abz..-_+~:AZ"
	text := func() string {
		b := make([]byte, r.IntN(8))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 600 {
		a, b := text(), text()
		if r.IntN(2) == 0 { // a near miss of a
			cut := r.IntN(len(a) + 1)
			b = a[:cut] + text()
		}
		pairs = append(pairs, [2]string{a, b})
	}
	for _, p := range pairs {
		if strings.HasPrefix(p[0], "-") || p[0] == "" || p[1] == "" {
			continue // vercmp takes these for options or missing arguments
		}
		if got, want := Compare(p[0], p[1]), vercmp(t, p[0], p[1]); got != want {
			t.Errorf("Compare(%q, %q) = %d, vercmp says %d", p[0], p[1], got, want)
		}
	}
}

func FuzzCompareIsAntisymmetric(f *testing.F) {
	f.Add("1.0-1", "1:1.0rc1-2")
	f.Add("1.0.a~", "é:-")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Compare(a, b), Compare(b, a)
		if Compare(a, a) != 0 || x != -y {
			t.Errorf("Compare(%q, %q) = %d, the other way round %d", a, b, x, y)
		}
	})
}
