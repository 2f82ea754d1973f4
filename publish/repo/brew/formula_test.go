package brew

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// A case's "options" is JSON; "archives" has a line name version os/arch for each,
// and its files on indented lines; "want" is the formula.
func readCase(t *testing.T, file string) (*publishtest.Golden, *Repo, []*publish.Record) {
	t.Helper()
	g := publishtest.ReadGolden(t, file)
	var o Options
	if text := g.Texts["options"]; text != "" {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
	}
	var recs []*publish.Record
	for line := range strings.Lines(g.Texts["archives"]) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, " ") {
			m := &recs[len(recs)-1].Meta
			m.Files = append(m.Files, words...)
			continue
		}
		recs = append(recs, record(words[0], words[1], words[2]))
	}
	return g, newRepo(t, o, testEnv()), recs
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return files
}

func TestFormulaIsGolden(t *testing.T) {
	for _, file := range cases(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g, r, recs := readCase(t, file)
			got, err := r.formula(recs, "stable")
			if err != nil {
				t.Fatal(err)
			}
			g.Check(t, "want", string(got))
		})
	}
}

// onSystem is what Homebrew knows of a formula on one system.
type onSystem struct {
	Desc, Homepage, Version, URL, SHA256 string
	License                              any
	Caveats                              string
	Needs, Conflicts, Files              []string
}

func ruby(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ruby")
	if err != nil {
		t.Skip("ruby is not installed")
	}
	cmd := exec.Command(path, append([]string{"--disable-gems"}, args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("ruby %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func load(t *testing.T, formula []byte, class, os, cpu string, more ...string) *onSystem {
	t.Helper()
	var k onSystem
	if err := json.Unmarshal(ruby(t, append([]string{"-w", "testdata/formula.rb", save(t, formula), class, os, cpu}, more...)...), &k); err != nil {
		t.Fatal(err)
	}
	return &k
}

func save(t *testing.T, formula []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "formula.rb")
	if err := os.WriteFile(p, formula, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRubyTakesEveryFormula(t *testing.T) {
	for _, file := range cases(t) {
		_, r, recs := readCase(t, file)
		text, err := r.formula(recs, "stable")
		if err != nil {
			t.Fatal(err)
		}
		if out := ruby(t, "-wc", save(t, text)); strings.TrimSpace(string(out)) != "Syntax OK" {
			t.Errorf("%s: %s", file, out)
		}
	}
}

func TestEachSystemGetsItsArchive(t *testing.T) {
	for name, c := range map[string]struct {
		platforms []string
		want      map[string]string // system → platform of the archive, and what is needed
	}{
		"all four": {
			[]string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64"},
			map[string]string{"macos arm": "darwin_arm64", "macos intel": "darwin_amd64", "linux arm": "linux_arm64", "linux intel": "linux_amd64"},
		},
		"one CPU of each": {
			[]string{"darwin/arm64", "linux/amd64"},
			map[string]string{
				"macos arm": "darwin_arm64 {:arch=>:arm64}", "macos intel": "darwin_arm64 {:arch=>:arm64}",
				"linux arm": "linux_amd64 {:arch=>:x86_64}", "linux intel": "linux_amd64 {:arch=>:x86_64}",
			},
		},
		"universal": {
			[]string{"darwin/all", "linux/arm64", "linux/all"},
			map[string]string{"macos arm": "darwin_all", "macos intel": "darwin_all", "linux arm": "linux_arm64", "linux intel": "linux_all"},
		},
		"linux only": {
			[]string{"linux/amd64", "linux/arm64"},
			map[string]string{
				"macos arm": "linux_arm64 :linux", "macos intel": "linux_amd64 :linux",
				"linux arm": "linux_arm64 :linux", "linux intel": "linux_amd64 :linux",
			},
		},
		"one alone": {
			[]string{"darwin/arm64"},
			map[string]string{"macos arm": "darwin_arm64 {:arch=>:arm64} :macos", "linux intel": "darwin_arm64 {:arch=>:arm64} :macos"},
		},
		"scripts": {
			[]string{"linux/all"},
			map[string]string{"linux arm": "linux_all :linux", "linux intel": "linux_all :linux"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t, Options{}, testEnv())
			var recs []*publish.Record
			for _, p := range c.platforms {
				recs = append(recs, record("hello", "1.2.0+b", p, "/bin/hello"))
			}
			text, err := r.formula(recs, "stable")
			if err != nil {
				t.Fatal(err)
			}
			for system, want := range c.want {
				os, cpu, _ := strings.Cut(system, " ")
				k := load(t, text, "Hello", os, cpu)
				platform, needs, _ := strings.Cut(want, " ")
				if want := "https://example.org/p/downloads/hello/1.2.0%2Bb/hello_1.2.0%2Bb_" + platform + ".tar.gz"; k.URL != want {
					t.Errorf("%s: url %s, want %s", system, k.URL, want)
				}
				for _, rec := range recs {
					if strings.Contains(rec.Path, platform) && k.SHA256 != rec.Ref.SHA256.String() {
						t.Errorf("%s: sha256 %s, want %s", system, k.SHA256, rec.Ref.SHA256)
					}
				}
				if got := strings.ReplaceAll(strings.Join(k.Needs, " "), "{arch: :", "{:arch=>:"); got != needs {
					t.Errorf("%s: needs %q, want %q", system, got, needs)
				}
				if k.Version != "1.2.0+b" || k.Homepage != "https://example.org/p" || k.Desc != "Hello world program" {
					t.Errorf("%s: %+v", system, k)
				}
			}
		})
	}
}

func TestTextIsNeverRun(t *testing.T) {
	evil := `"#{exit 7}" \#{exit 7} #$0 #@x ` + "`exit 7`" + ` \u0041 'q' ä`
	r := newRepo(t, Options{
		Description: "X" + evil, Homepage: "https://h/" + evil, License: "MIT OR " + evil,
		Formulae: map[string]Formula{"hello": {Caveats: evil + "\nEOS\nexit 7\n", Depends: []string{evil}, Conflicts: []string{evil}, Test: "#{exit} \"x\""}},
	}, testEnv())
	files := []string{"/bin/#{exit 7}", `/share/"x\/y`, "/share/zsh/#{exit 7}\"/x", "/bin/hello"}
	text, err := r.formula([]*publish.Record{record("hello", "1", "linux/amd64", files...)}, "stable")
	if err != nil {
		t.Fatal(err)
	}
	k := load(t, text, "Hello", "linux", "intel")
	if want := describe("X"+evil, "hello"); k.Desc != want {
		t.Errorf("desc %q, want %q", k.Desc, want)
	}
	if k.Homepage != "https://h/"+evil || k.Caveats != evil+"\nEOS\nexit 7\n" || k.License != ":cannot_represent" || !reflect.DeepEqual(k.Conflicts, []string{evil}) {
		t.Errorf("%+v", k)
	}
}

func TestQuotedTextIsReadBack(t *testing.T) {
	var texts, quoted []string
	for i := range 3000 {
		var b strings.Builder
		x := uint32(i)*2654435761 + 1
		for range 12 {
			x = x*1664525 + 1013904223
			b.WriteRune([]rune("\"\\#{}$@'`\n\t\r\x00\x1b\x7f\u0085\u2028\u200bä漢😀 ax%/")[x>>16%26])
		}
		texts, quoted = append(texts, b.String()), append(quoted, quote(b.String()))
	}
	script := "require 'json'\nputs JSON.generate([\n" + strings.Join(quoted, ",\n") + "])\n"
	var got []string
	if err := json.Unmarshal(ruby(t, save(t, []byte(script))), &got); err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if got[i] != texts[i] {
			t.Fatalf("%q was quoted %s and read as %q", texts[i], quoted[i], got[i])
		}
	}
}

// The class is what Homebrew makes of the file's name; ruby does it as Homebrew
// documents it.
func TestClassIsWhatHomebrewLooksFor(t *testing.T) {
	names := []string{"hello", "hello-world", "hello_world", "hello.world", "hello-world@1", "hello@1.2", "g++", "c-ares", "x264", "hello-2-go", "lib-é", "a--b", "hello-"}
	const script = `
require "json"
puts JSON.generate(JSON.parse(ARGV[0]).map { |name|
  words = name.capitalize.split(/[-_.\s](?=[a-zA-Z0-9])/)
  words[0].to_s + words.drop(1).map { |w| w[0].upcase + w[1..] }.join }.map { |s| s.tr("+", "x").sub(/(.)@(\d)/, "\\1AT\\2") })`
	in, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(ruby(t, "-e", script, string(in)), &want); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		got, err := className(name)
		if err == nil && got != want[i] {
			t.Errorf("className(%q) = %q, want %q", name, got, want[i])
		}
		if legal := constant.MatchString(want[i]); legal != (err == nil) {
			t.Errorf("className(%q): %q, %v, Homebrew's is %q", name, got, err, want[i])
		}
	}
}

func TestInstallPutsFilesWhereHomebrewWantsThem(t *testing.T) {
	files := map[string]string{ // in the archive → installed
		"bin/hello":                                  "bin/hello",
		"bin/hello-2":                                "bin/hello-2",
		"sbin/hellod":                                "sbin/hellod",
		"share/man/man1/hello.1.gz":                  "share/man/man1/hello.1.gz",
		"share/man/man8/hellod.8":                    "share/man/man8/hellod.8",
		"share/man/de/man1/hello.1":                  "share/man/de/man1/hello.1",
		"share/bash-completion/completions/hello":    "etc/bash_completion.d/hello",
		"share/zsh/site-functions/_hello":            "share/zsh/site-functions/_hello",
		"share/fish/vendor_completions.d/hello.fish": "share/fish/vendor_completions.d/hello.fish",
		"share/doc/hello/README":                     "share/doc/hello/README",
		"share/hello/a/b":                            "share/hello/a/b",
		"lib/hello/x.so":                             "lib/hello/x.so",
		"lib/libhello.so":                            "lib/libhello.so",
		"lib/systemd/system/hello.service":           "",
		"libexec/hello/{a}[b]*":                      "libexec/hello/{a}[b]*",
		`libexec/b\c`:                                `libexec/b\c`,
		"libexec/{x}[y]*":                            "libexec/{x}[y]*",
		"etc/hello.conf":                             "ETC/hello.conf",
		"etc/hello/x.conf":                           "ETC/hello/x.conf",
		"opt/hello/data":                             "opt/hello/data",
		"LICENSE":                                    "",
	}
	for _, top := range []string{"", "usr/"} {
		archive, prefix := t.TempDir(), t.TempDir()
		var list, want []string
		for from, to := range files {
			if !strings.HasPrefix(from, "etc/") && !strings.HasPrefix(from, "opt/") && from != "LICENSE" {
				from = top + from
			}
			list = append(list, "/"+from)
			if to != "" {
				want = append(want, to)
			}
			p := filepath.Join(archive, from)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte("#!/bin/sh\ntest \"$1\" = --version\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		r := newRepo(t, Options{Test: "--version"}, testEnv())
		text, err := r.formula([]*publish.Record{record("hello", "1", "linux/amd64", list...)}, "stable")
		if err != nil {
			t.Fatal(err)
		}
		k := load(t, text, "Hello", "linux", "intel", archive, prefix)
		got := make(map[string]bool)
		for _, f := range k.Files {
			got[f] = true
		}
		for _, f := range want {
			if !got[f] {
				t.Errorf("layout %q: %s is not installed", top, f)
			}
			delete(got, f)
		}
		if len(got) > 0 {
			t.Errorf("layout %q: also installed: %v\n%s", top, got, text)
		}
	}
}

func TestDescriptionsAreInHomebrewsStyle(t *testing.T) {
	long := strings.Repeat("word ", 30)
	for in, want := range map[string]string{
		"A greeter.":               "Greeter",
		"the Greeter of worlds":    "Greeter of worlds",
		"hello - greets the world": "Greets the world",
		"Hello is a greeter":       "Greeter",
		"hello":                    "Hello",
		"Greets, and so on etc.":   "Greets, and so on etc.",
		" greets \n\nat length":    "Greets",
		long:                       "Word" + strings.Repeat(" word", 15),
		strings.Repeat("ä", 100):   "Ä" + strings.Repeat("ä", 79),
		"":                         "",
		"an":                       "An",
	} {
		if got := describe(in, "hello"); got != want {
			t.Errorf("describe(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLicensesAreInHomebrewsForm(t *testing.T) {
	for in, want := range map[string]string{
		"MIT":                                       `"MIT"`,
		"MIT OR Apache-2.0":                         `any_of: ["MIT", "Apache-2.0"]`,
		"MIT AND (BSD-3-Clause or ISC)":             `all_of: ["MIT", { any_of: ["BSD-3-Clause", "ISC"] }]`,
		"MIT AND ISC OR GPL-2.0-or-later":           `any_of: [{ all_of: ["MIT", "ISC"] }, "GPL-2.0-or-later"]`,
		"GPL-2.0-only WITH Classpath-exception-2.0": `"GPL-2.0-only" => { with: "Classpath-exception-2.0" }`,
		"LicenseRef-own":                            ":cannot_represent",
		"MIT OR":                                    ":cannot_represent",
		"(MIT":                                      ":cannot_represent",
		"MIT)":                                      ":cannot_represent",
		"":                                          ":cannot_represent",
		"see LICENSE":                               ":cannot_represent",
		strings.Repeat("(", 1000):                   ":cannot_represent",
	} {
		if got := license(in); got != want {
			t.Errorf("license(%.40q) = %s, want %s", in, got, want)
		}
	}
}
