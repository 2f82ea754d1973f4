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
	const form, start, version = " is not of the form name, name >= version or (a or b)", " does not start with a letter, a digit, _ or /", " is not of the form [epoch:]version[-release]"
	for in, want := range map[string]string{
		"": `relation ""` + form, "a b": `relation "a b"` + form, "a [amd64]": `relation "a [amd64]"` + form, "a, b": form, "a >= ": form, "a >= 1 2": form,
		"a | b c": form, "a >= 1.0 | (b)": form, "a | ": `relation "a |"` + form,
		"a ~ 1": `relation "a ~ 1": unknown comparison "~"; rpm knows < <= = >= >`, "a || b": `unknown comparison "||"; rpm knows`,
		"-a": `relation "-a": name "-a"` + start, "{a}": start, "$a": start, "%{name}": start, "a\nb": `name "a\nb" has the character '\n'`,
		"a(b": `relation "a(b": name "a(b" has a ( too many`, "a)b": `relation "a)b": name "a)b" has a ) too many`,
		"a:any = 1-2-3 ": `version "1-2-3"` + version, "a = 1/2": `version "1/2"` + version, "a = 1-": `version "1-"` + version, "a = %{version}": version,
		"(a or b": `relation "(a or b": a closing parenthesis is missing`,
	} {
		if got, err := parseRelation(in, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseRelation(%q) = %+v, %v; want %s", in, got, err, want)
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
	for s, want := range map[string]string{
		strings.Repeat("(a or ", 1000) + "b" + strings.Repeat(")", 1000): "parentheses nest more than 16 deep",
		"(a or b) c":             "\"c\" follows the closing parenthesis",
		"(a\tor b)":              `name "a\tor" has the character '\t'`,
		"(a or b":                "a closing parenthesis is missing",
		"(a xor b)":              `"xor" is no operator; rpm knows and, or, if, else, unless, with, without`,
		"(a or b and c)":         `"and" after "or" needs parentheses of its own`,
		"(a else b)":             `"else" does not follow "if" or "unless"`,
		"(a if b else c else d)": `"else" does not follow "if" or "unless"`,
		"((a and b) with c)":     `"and" can't stand below "with"`,
		"((a if b) or c)":        `"if" makes no sense where one of several suffices; use "and"`,
		"((a unless b) and c)":   `"unless" makes no sense where all must hold; use "or"`,
	} {
		if err := checkRich(s, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checkRich(%.40q…) = %v, want %s", s, err, want)
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
