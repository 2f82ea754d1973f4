package rpm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

func TestRelationsAreReadInBothSpellings(t *testing.T) {
	for in, want := range map[string]relation{
		"a":                           {"a", 0, ""},
		" a>=1.2 ":                    {"a", senseGreater | senseEqual, "1.2"},
		"a (<< 2)":                    {"a", senseLess, "2"},
		"a == 1:2~rc1-3":              {"a", senseEqual, "1:2~rc1-3"},
		"perl(Foo::Bar)":              {"perl(Foo::Bar)", 0, ""},
		"pkgconfig(x) >= 1":           {"pkgconfig(x)", senseGreater | senseEqual, "1"},
		"libc.so.6(GLIBC_2.4)(64bit)": {"libc.so.6(GLIBC_2.4)(64bit)", 0, ""},
		"/usr/bin/env":                {"/usr/bin/env", 0, ""},
		"a | b":                       {"(a or b)", 0, ""},
		"a | b >= 1 | c (<< 2)":       {"(a or b >= 1 or c < 2)", 0, ""},
		"(a or (b and c))":            {"(a or (b and c))", 0, ""},
	} {
		got, err := parseRelation(in, false)
		if err != nil || got != want {
			t.Errorf("parseRelation(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "a b", "a [amd64]", "a, b", "a >= ", "a >= 1 2", "a ~ 1", "a | ", "a | b c", "-a", "a\nb", "a(b", "a)b", "a:any = 1-2-3 ",
		"a = 1/2", "a = 1-", "(a or b", "a >= 1.0 | (b)", "{a}", "$a", "a = %{version}", "%{name}", "a || b",
	} {
		if got, err := parseRelation(in, false); err == nil {
			t.Errorf("parseRelation(%q) = %+v, want an error", in, got)
		}
	}
}

// richTable says in which of "Requires" and "Conflicts" a relation may stand.
var richTable = map[string]string{
	"(a or b)": "RC", "(a and b and c)": "RC", "(a or b or c >= 1)": "RC", "(a with b)": "RC", "(a with b with c)": "RC", "(a without b)": "RC",
	"(perl(A) or b)": "RC", "(a = 1:2-3 or b)": "RC", "(a or (b and (c or d)))": "RC", "(a)": "RC", "((a or b) with c)": "RC", "(a with (b without c))": "RC",
	"(a if b)": "R", "(a if b else c)": "R", "(a unless b)": "C", "(a unless b else c)": "C", "((a if b) and c)": "RC", "((a unless b) or c)": "RC",
	"(((a if b) and c) or d)": "RC", "(a if (b or c))": "R", "(a if (b if c))": "R", "(a if (b unless c))": "R", "(a if b else (c if d))": "R",
	"((a if d) if b)": "R", "((a or c) if b)": "R", "(a unless (b unless c))": "C", "(a or (b with c))": "RC", "(a if (b or (c unless d)))": "R",
	"()": "", "(a or)": "", "(or a)": "", "(a or b and c)": "", "(a b)": "", "(a if b if c)": "", "(a without b without c)": "", "(a or b": "",
	"(a xor b)": "", "(a if b else c else d)": "", "(a >= or b)": "", "(a or b))": "", "((a if b) or c)": "", "((a unless b) and c)": "",
	"((a and b) with c)": "", "((a if b) with c)": "", "(a with (b or (c and d)))": "", "((a unless d) if b)": "", "(a if (b and (c unless d)))": "",
	"((a if b) unless c)": "", "((a and (b or (c if d))) or e)": "",
}

func TestRichRelationsAreCheckedAsRpmDoes(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "x.spec")
	for s, where := range richTable {
		for _, kind := range []string{"Requires", "Conflicts"} {
			want := strings.Contains(where, kind[:1])
			if err := checkRich(s, kind == "Conflicts"); (err == nil) != want {
				t.Errorf("checkRich(%q) for %s = %v, want ok %t", s, kind, err, want)
			}
			text := "Name: x\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n" + kind + ": " + s + "\n%description\n%files\n"
			if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := try(t, "rpmspec", "-q", spec); (err == nil) != want {
				t.Errorf("%s: %s: rpm says %v, %s, want ok %t", kind, s, err, strings.TrimSpace(out), want)
			}
		}
	}
	for _, s := range []string{strings.Repeat("(a or ", 1000) + "b" + strings.Repeat(")", 1000), "(a or b) c", "(a\tor b)"} {
		if err := checkRich(s, false); err == nil {
			t.Errorf("checkRich(%.20q…) took it", s)
		}
	}
}

// An rpm that lacks a feature must refuse the package, and none other may.
func TestFeaturesAreThoseThatAreUsed(t *testing.T) {
	always := []string{"CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix"}
	for want, spec := range map[string]*formats.Spec{
		"":                                 {Version: "1"},
		"TildeInVersions":                  {Version: "1.0.0-rc.1", Relations: formats.Relations{Suggests: []string{"z"}}},
		"CaretInVersions":                  {Version: "1", Relations: formats.Relations{Suggests: []string{"a > 1^2"}}},
		"RichDependencies":                 {Version: "1", Relations: formats.Relations{Recommends: []string{"a | b"}}},
		"RichDependencies TildeInVersions": {Version: "1", Relations: formats.Relations{Conflicts: []string{"(a or b < 2~)"}}},
	} {
		spec.Name = "x"
		m := describeFile(t, save(t, newTestFormat(t, Options{Compression: pack.Gzip}, nil), spec, formats.All, nil))
		var got []string
		for _, r := range m.All("requires") {
			if name, ok := strings.CutPrefix(r, "rpmlib("); ok {
				got = append(got, name[:strings.Index(name, ")")])
			}
		}
		all := append(strings.Fields(want), always...)
		slices.Sort(all)
		if !slices.Equal(got, all) {
			t.Errorf("features of %+v are %q, want %q", spec, got, all)
		}
	}
}

func TestInterpretersAreNeededWhenTheirScriptsRun(t *testing.T) {
	for want, scripts := range map[string]formats.Scripts{
		"/bin/sh\t\t\t\t\t1": {PostInstall: "true"},
		"/bin/sh\t\t\t\t\t0": {PostRemove: "true"},
		"/bin/ed\t\t\t\t\t1": {PreInstall: "#! /bin/ed -s\nq\n"},
	} {
		spec := &formats.Spec{Name: "x", Version: "1", Scripts: scripts}
		m := describeFile(t, save(t, newTestFormat(t, Options{}, nil), spec, formats.All, nil))
		if !slices.Contains(m.All("requires"), want) {
			t.Errorf("requires of %+v are %q, want %q", scripts, m.All("requires"), want)
		}
	}
}
