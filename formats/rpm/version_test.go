package rpm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestVersionIsLegalAndKeepsItsParts(t *testing.T) {
	for _, c := range []struct{ version, release, epoch, want string }{
		{"1.3.0", "", "", "1.3.0-1"},
		{"1.3.0-rc.1", "", "", "1.3.0~rc.1-1"},
		{"1.3.0-rc-1+build-5", "2", "", "1.3.0~rc_1+build_5-2"},
		{"1.3.0", "3", "2", "2:1.3.0-3"},
		{"1.3.0", "3", "0", "1.3.0-3"},
		{"1.3.0", "3.fc40", "007", "7:1.3.0-3.fc40"},
		{"2026-03-04", "", "", "2026_03_04-1"},
		{"1.2~beta", "", "", "1.2~beta-1"},
	} {
		got, err := Version(&formats.Spec{Version: c.version, Release: c.release, Epoch: c.epoch})
		if err != nil || got != c.want {
			t.Errorf("Version(%q, %q, %q) = %q, %v; want %q", c.version, c.release, c.epoch, got, err, c.want)
		}
	}
	const dots, number = "rpm takes letters, digits and . _ + ~ ^, without two dots in a row", " is not a number from 0 to 4294967295"
	for _, c := range []struct{ version, release, epoch, want string }{
		{"", "", "", "the version is empty"}, {"v1", "", "", `version "v1" does not start with a digit`},
		{"1 2", "", "", `version "1 2" has the character ' '`}, {"1:2", "", "", `version "1:2" has the character ':'`},
		{"1\n", "", "", `version "1\n" has the character '\n'`}, {"1..2", "", "", `version "1..2" has two dots in a row, which rpm refuses`},
		{"1", "1-2", "", `release "1-2": ` + dots}, {"1", "a b", "", `release "a b": ` + dots}, {"1", "1..2", "", `release "1..2": ` + dots},
		{"1", "", "x", `epoch "x"` + number}, {"1", "", "-1", `epoch "-1"` + number}, {"1", "", "4294967296", `epoch "4294967296"` + number},
	} {
		if got, err := Version(&formats.Spec{Version: c.version, Release: c.release, Epoch: c.epoch}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Version(%q, %q, %q) = %q, %v; want %s", c.version, c.release, c.epoch, got, err, c.want)
		}
	}
}

func TestVersionsSortAsTheirUpstreamOnes(t *testing.T) {
	rising := []string{"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0-rc1", "1.2.0", "1.10.0", "2.0.0", "256.0.0"}
	last := ""
	for _, v := range rising {
		got, err := Version(&formats.Spec{Version: v})
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && (Compare(last, got) != -1 || Compare(got, last) != 1) {
			t.Errorf("Compare(%q, %q) = %d, want -1", last, got, Compare(last, got))
		}
		last = got
	}
}

var comparisonTable = [][2]string{
	{"1.0", "1.0"}, {"1.0", "1.0.0"}, {"1.0", "1.00"}, {"1.0~rc1", "1.0"}, {"1.0~~", "1.0~"}, {"1.0^", "1.0"}, {"1.0^git1", "1.0.1"},
	{"1.0^git1~pre", "1.0^git1"}, {"1.0~rc1^g1", "1.0~rc1"}, {"1.0a", "1.0"}, {"1.0.a", "1.0.1"}, {"a", "1"}, {"A", "a"}, {"1_0", "1.0"},
	{"1.", "1"}, {"1..", "1."}, {"", "0"}, {"0:1", "1"}, {"1:1", "2"}, {":1", "1"}, {"1-1", "1"}, {"1-1", "1-2"}, {"1-1-1", "1-1"},
	{"a:1", "1"}, {"10:1-1", "9:2-2"}, {"1.0+b", "1.0"}, {"007", "7"}, {"1.é", "1."}, {"~", "^"}, {"1~^", "1^~"}, {"00:1", "1"}, {"1:", "1"},
	{"18446744073709551617", "18446744073709551616"}, {"4294967296:1", "1:2"}, {"-", ""}, {"1-", "1"},
}

func TestCompareIsRpms(t *testing.T) {
	pairs := comparisonTable
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a := randomVersion(r)
		b := a
		if r.IntN(3) == 0 { // near misses are where the rules are
			b = randomVersion(r)
		} else if len(b) > 0 {
			i := r.IntN(len(b))
			b = b[:i] + randomVersion(r)[:1] + b[i+r.IntN(2):]
		}
		pairs = append(pairs, [2]string{a, b})
	}
	var in strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&in, "%s\n%s\n", p[0], p[1])
	}
	name := filepath.Join(t.TempDir(), "pairs")
	if err := os.WriteFile(name, []byte(in.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out := run(t, "rpm", "--eval", `%{lua:
		local f = io.open("`+name+`")
		while true do
			local a = f:read("*l")
			if a == nil then break end
			local b = f:read("*l")
			local ok, c = pcall(rpm.vercmp, a, b)
			print((ok and c or "refused") .. "\n")
		end}`)
	got := strings.Fields(out)
	if len(got) != len(pairs) {
		t.Fatalf("rpm answered %d of %d pairs: %.300s", len(got), len(pairs), out)
	}
	refused := 0
	for i, p := range pairs {
		if got[i] == "refused" {
			refused++
			continue
		}
		if c := Compare(p[0], p[1]); fmt.Sprint(c) != got[i] {
			t.Errorf("Compare(%q, %q) = %d, rpm says %s", p[0], p[1], c, got[i])
		}
	}
	if refused > len(pairs)/2 {
		t.Errorf("rpm refused %d of %d pairs", refused, len(pairs))
	}
}

func randomVersion(r *rand.Rand) string {
	const letters = "001129abZ..~^-_+:"
	b := make([]byte, 1+r.IntN(9))
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}
