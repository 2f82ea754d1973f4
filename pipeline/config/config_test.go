package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

func parse(t *testing.T, text string) *config.Project {
	t.Helper()
	p, err := config.Parse("sub/distropack.yml", []byte(text), options(exampleEnv))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	p := parse(t, read(t, "testdata/good/smallest.yml")+"publish: [{site: pages, url: https://example.org/}]\nsigning: {key: k.asc}\n")
	k, s := p.Packages[0], p.Publish[0]
	for _, c := range []struct{ what, got, want string }{
		{"File", p.File, "sub/distropack.yml"}, {"Dir", p.Dir, "sub"},
		{"Title", p.Title, "hello"}, {"Section", k.Section, "utils"}, {"Priority", k.Priority, "optional"},
		{"Release", k.Release, "1"}, {"Name", k.Name, "hello"}, {"Maintainer", k.Maintainer, "Jane Doe <jane@example.org>"},
		{"Formats", fmt.Sprint(k.Formats), "[deb rpm arch apk ipk tar.gz]"},
		{"Platforms", fmt.Sprint(k.Platforms), "[linux/amd64]"},
		{"Channels", fmt.Sprint(p.Channels), "[{stable v* false tag {0 0}}]"},
		{"Versions", p.Versions["tag"].Tag, "^v?(.+)$"},
		{"Limits", fmt.Sprint(p.Limits), "{2GiB 200000}"},
		{"Type", k.Contents[0].Type, "file"}, {"Owner", k.Contents[0].Owner, "root"},
		{"Dir", s.Dir, "dist/pages"}, {"URL", s.URL, "https://example.org"}, {"site Name", s.Name, "hello"},
		{"Clients", fmt.Sprint(s.Clients), "[apt dnf pacman apk]"}, {"site Channels", fmt.Sprint(s.Channels), "[stable]"},
		{"Grace", s.Keep.Grace.String(), "1d"}, {"Key", s.Key, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s = %q, want %q", c.what, c.got, c.want)
		}
	}
}

func TestEverythingArrives(t *testing.T) {
	p := parse(t, read(t, "testdata/good/everything.yml"))
	k := p.Packages[0]
	for _, c := range []struct{ what, got, want string }{
		{"maintainer from the environment", p.Maintainer, "Jane Doe <jane@example.org>"},
		{"versions from the environment", fmt.Sprint(p.Publish[0].Keep.Versions), "3"},
		{"escaped variable", p.Sources["build"].Command[len(p.Sources["build"].Command)-7:], "${HOME}"},
		{"number as text", p.Versions["fixed"].Value, "1.0"},
		{"epoch", k.Epoch, "1"},
		{"config type", k.Contents[1].Type, "config|noreplace"},
		{"mode of file_info", k.Contents[4].Mode.String(), "0750"},
		{"owner of file_info", k.Contents[4].Owner, "hello"},
		{"short service", fmt.Sprintln(k.Services[0].Src, *k.Services[0].Enable, *k.Services[0].Start), "init/hello.service true true\n"},
		{"long service", fmt.Sprintln(k.Services[1].Src, *k.Services[1].Enable, *k.Services[1].Start), "hello.timer false true\n"},
		{"inlined relation", fmt.Sprint(k.Depends), "[libc6 >= 2.36 a | b]"},
		{"override", k.Overrides["rpm"].Scripts.PostInstall, "s/rpm.sh"},
		{"custom", fmt.Sprint(k.Custom), "map[debug:true name:x port:8080]"},
		{"noarch", fmt.Sprint(p.Packages[1].Platforms), "[linux/all]"},
		{"channel order", p.Channels[0].Name + p.Channels[1].Name, "stablenext"},
		{"no clients", fmt.Sprint(p.Publish[1].Clients), "[]"},
		{"limit", p.Limits.File.String(), "900MB"},
		{"grace", time.Duration(p.Publish[0].Keep.Grace).String(), "168h0m0s"},
		{"position", fmt.Sprint(k.Pos), "{33 5}"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	var deb debOptions
	if err := k.Options["deb"].Decode(&deb); err != nil || deb.Compression != "zstd" || deb.Fields["Bugs"] == "" || deb.Level != 3 {
		t.Errorf("deb options: %+v, %v", deb, err)
	}
	apt := aptOptions{Components: []string{"x"}}
	if err := p.Publish[0].Options["apt"].Decode(&apt); err != nil || apt.Components[0] != "main" || apt.ValidUntil != 14*24*time.Hour {
		t.Errorf("apt options: %+v, %v", apt, err)
	}
}

func TestAbsentSectionLeavesValuesAlone(t *testing.T) {
	v := debOptions{Level: 7}
	var absent config.Section
	if err := absent.Decode(&v); err != nil || v.Level != 7 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := absent.Decode(v); err == nil || !strings.Contains(err.Error(), "section: can't decode into config_test.debOptions, a pointer is wanted") {
		t.Errorf("decoding into a value that is no pointer: %v", err)
	}
}

func TestSectionWrapNamesThePlace(t *testing.T) {
	p := parse(t, read(t, "testdata/good/everything.yml"))
	err := p.Packages[0].Options["deb"].Wrap(errors.New("level 3 is too low"))
	if want := "sub/distropack.yml:62:10: packages[0].deb: level 3 is too low"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestMergeKeysTakeOwnValuesFirst(t *testing.T) {
	p := parse(t, read(t, "testdata/good/anchors.yml"))
	a, b, c := p.Packages[0], p.Packages[1], p.Packages[2]
	if a.License != "MIT" || b.License != "Apache-2.0" || b.Section != "net" || c.License != "" {
		t.Errorf("licences %q %q %q, section %q", a.License, b.License, c.License, b.Section)
	}
	for _, k := range p.Packages {
		if len(k.Contents) != 1 || k.Contents[0].Mode != 0o755 {
			t.Errorf("package %s has contents %v", k.Name, k.Contents)
		}
	}
}

func TestManyTargetsShareOneBlock(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nproject: hello\nmaintainer: J <j@example.org>\nx-s: &s\n  contents: [{src: a, dst: /a}]\npackages:\n")
	for i := range 36 {
		fmt.Fprintf(&b, "  - {<<: *s, name: hello-%d}\n", i)
	}
	if p := parse(t, b.String()); len(p.Packages) != 36 || p.Packages[35].Contents[0].Dst != "/a" {
		t.Errorf("%d packages", len(p.Packages))
	}
}

func TestLineEndsAndByteOrderMarkDoNotMatter(t *testing.T) {
	text := read(t, "testdata/good/everything.yml")
	dos := "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")
	if p := parse(t, dos); p.Description != parse(t, text).Description {
		t.Errorf("description %q", p.Description)
	}
}

// TestHostileFilesAreRefusedQuickly bounds what a stranger's file can cost.
func TestHostileFilesAreRefusedQuickly(t *testing.T) {
	var keys, short, bomb, merges strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&keys, "key%d: 1\n", i)
	}
	for i := range 12_000 {
		fmt.Fprintf(&short, "k%x: 1\n", i)
	}
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 8), i)
	}
	merges.WriteString("x-0: &m0 {a: 1, b: 2, c: 3}\n")
	for i := range 1000 {
		fmt.Fprintf(&merges, "x-%d: &m%d {<<: [*m%d, *m%d], k%d: 1}\n", i+1, i+1, i, i, i)
	}
	cases := map[string]struct{ data, want string }{
		"40,000 keys":    {keys.String(), "the most is 131072"},
		"many keys":      {short.String(), "more than 20000"},
		"alias bomb":     {bomb.String(), "aliases make the file more than 20000"},
		"merge bomb":     {merges.String(), "more than"},
		"deep lists":     {strings.Repeat("[", 60_000), ""},
		"nested flow":    {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested more than 64"},
		"deep blocks":    {strings.Repeat("- ", 60_000), ""},
		"long line":      {"a: " + strings.Repeat("x ", 60_000), "unknown key"},
		"empty entries":  {"packages: [" + strings.Repeat("~,", 19_000) + "]", "and at least 900 more mistakes from here on"},
		"many entries":   {"packages: [" + strings.Repeat("~,", 300) + "]", "and 202 more mistakes from here on"},
		"many variables": {"title: " + strings.Repeat("${A}", 30_000), "not defined"},
		"many anchors":   {strings.Repeat("- &a a\n", 18_000), ""},
		"comments":       {strings.Repeat("#\n", 60_000), "empty"},
		"comment lines":  {"a: b\n" + strings.Repeat("# x\n\n", 20_000), ""},
		"utf-16":         {"\xff\xfev\x00", "f:1:1: the file is UTF-16 (save it as UTF-8)"},
		"null byte":      {"a: \x00", "control character"},
		"long key":       {strings.Repeat("k", 300) + ": a", "a key has 300 bytes"},
		"bad indents":    {strings.Repeat("a:\n  b: c\n d: e\n", 8000), ""},
	}
	for name, c := range cases {
		start := time.Now()
		_, err := config.Parse("f", []byte(c.data), options(nil))
		took := time.Since(start)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %.300v, want %q", name, err, c.want)
		}
		if took > 10*time.Second { // a busy machine and the race detector make 0.1 s 7
			t.Errorf("%s took %v", name, took)
		}
		t.Logf("%s: %v", name, took)
		if err != nil && len(err.Error()) > 1<<20 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}

func TestVariablesAreReplaced(t *testing.T) {
	env := map[string]string{"A": "a", "EMPTY": "", "NESTED": "${A}"}
	for text, want := range map[string]string{
		"${A}":             "a",
		"x${A}y${A}":       "xaya",
		"${A:-b}":          "a",
		"${NO:-b}":         "b",
		"${NO:-}x":         "x",
		"${EMPTY:-b}":      "b",
		"x${EMPTY}":        "x",
		"$${A}":            "${A}",
		"$$${A}":           "$${A}",
		"$A $ $$ $1 {A}":   "$A $ $$ $1 {A}",
		"${NESTED}":        "${A}",
		"cost: 5$":         "cost: 5$",
		"${NO:-a:-b}":      "a:-b",
		"${NO:-https://x}": "https://x",
	} {
		p, err := config.Parse("f", fmt.Appendf(nil, "%stitle: '%s'\n", read(t, "testdata/good/smallest.yml"), text), options(env))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if p.Title != want && !(want == "" && p.Title == "hello") {
			t.Errorf("%s = %q, want %q", text, p.Title, want)
		}
	}
}

func TestScalarsRoundTrip(t *testing.T) {
	for _, s := range []string{"0", "1", "900MB", "2GiB", "1kB", "1537", "3TiB"} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(s)); err != nil || b.String() != s {
			t.Errorf("Bytes %q = %q, %v", s, b, err)
		}
	}
	for _, s := range []string{"", "MB", "-1", "1.5GB", "99999999TB", "1 2", "1mb"} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("Bytes %q was read as %d", s, b)
		}
	}
	for s, want := range map[string]fs.FileMode{"0755": 0o755, "644": 0o644, "0o600": 0o600, "4755": 0o755 | fs.ModeSetuid, "3777": 0o777 | fs.ModeSetgid | fs.ModeSticky} {
		var m config.Mode
		if err := m.UnmarshalText([]byte(s)); err != nil || m.FileMode() != want {
			t.Errorf("Mode %q = %v, want %v (%v)", s, m.FileMode(), want, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "1y", "99999999999d", "-5s", "106752d"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("Duration %q was read as %v", s, d)
		}
	}
}

func TestManifest(t *testing.T) {
	m, err := config.ParseManifest("manifest.yaml", []byte("name: hello\nversion: 256.0.0\ndepends: [a]\narch: arm/v7\ndescription: ${x}\n"))
	if err != nil || m.Version != "256.0.0" || m.Depends[0] != "a" || m.Description != "${x}" {
		t.Fatalf("%+v, %v", m, err)
	}
	for text, want := range map[string]error{
		"version: 1.2.0":             config.ErrNoName,
		"name: a":                    config.ErrNoVersion,
		"name: a\nversion: 1.2":      config.ErrBadVersion,
		"name: a\nversion: \"1.2.\"": config.ErrBadVersion,
		"name: a\nversion: asdf":     config.ErrBadVersion,
	} {
		if _, err := config.ParseManifest("manifest.yaml", []byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestSameFileSameProject(t *testing.T) {
	text := read(t, "testdata/good/everything.yml")
	a, b := fmt.Sprintf("%+v", parse(t, text).Channels), fmt.Sprintf("%+v", parse(t, text).Channels)
	if a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// FuzzParse shows that no file makes Parse panic, and that each error has a
// place inside the file and a text without line breaks.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/good", "testdata/errors"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(dir + "/" + e.Name())
			if err != nil {
				f.Fatal(err)
			}
			if dir == "testdata/errors" {
				for _, file := range parseArchive(data).files {
					data = file.data
					if strings.HasSuffix(file.name, ".yml") {
						break
					}
				}
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := options(exampleEnv)
		p, err := config.Parse("f", data, opts)
		if (p == nil) == (err == nil) {
			t.Fatalf("project %v, error %v", p != nil, err)
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u0085")) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) + 1
		var errs config.Errors
		if errors.As(err, &errs) {
			for _, e := range errs {
				if e.Line > lines+1 || strings.ContainsAny(e.Error(), "\n\x00") {
					t.Errorf("bad error %q", e.Error())
				}
			}
		}
		_, _ = config.ParseManifest("f", data)
	})
}

var _ formats.Section = config.Section{}
