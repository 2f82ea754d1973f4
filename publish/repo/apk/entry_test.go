package apk

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// A case's "records" are lines of key = value, an entry per empty line; "want" is
// the index text.
func TestIndexTextIsGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g := publishtest.ReadGolden(t, file)
			var recs []*publish.Record
			for _, para := range strings.Split(strings.TrimSpace(g.Texts["records"]), "\n\n") {
				rec := &publish.Record{Ref: formats.Ref{Size: 1000}, Meta: formats.Meta{Format: "apk"}}
				for _, line := range strings.Split(para, "\n") {
					k, v, _ := strings.Cut(line, " = ")
					rec.Meta.Fields = append(rec.Meta.Fields, formats.Field{Key: k, Value: strings.ReplaceAll(v, `\n`, "\n")})
				}
				rec.Meta.Name, rec.Meta.Version, rec.Meta.Arch = rec.Meta.Get("pkgname"), rec.Meta.Get("pkgver"), rec.Meta.Get("arch")
				recs = append(recs, rec)
			}
			got, err := page(recs, "x86_64")
			if err != nil {
				got = []byte("error: " + err.Error() + "\n")
			}
			g.Check(t, "want", string(got))
		})
	}
}

func TestLongTextsDoNotReachTheClient(t *testing.T) {
	rec := record("hello", "1-r0", "x86_64")
	for i := range rec.Meta.Fields {
		if rec.Meta.Fields[i].Key == "pkgdesc" {
			rec.Meta.Fields[i].Value = strings.Repeat("ä", 400)
		}
	}
	e, err := NewEntry(rec, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("ä", 256); e.Description != want {
		t.Errorf("description of %d bytes, want %d", len(e.Description), len(want))
	}
	e.License = strings.Repeat("x", 2000)
	if _, err := e.Render(); err == nil || !strings.Contains(err.Error(), "its description, licence and other lines take 2") || !strings.Contains(err.Error(), "apk can keep 2000: shorten them") {
		t.Errorf("a header apk can't store: %v", err)
	}
}

// What would not be read back as it is is not rendered, and not read either.
func TestEntriesThatApkWouldMisreadAreRefused(t *testing.T) {
	const sum = "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA="
	good := Entry{Checksum: sum, Name: "hello", Version: "1.0-r0", Arch: "x86_64"}
	for want, spoil := range map[string]func(*Entry){
		`checksum "Q1AAAA" is not Q1 and the base64 of 20 bytes`:                             func(e *Entry) { e.Checksum = "Q1AAAA" },
		`checksum "" is not Q1 and the base64 of 20 bytes`:                                   func(e *Entry) { e.Checksum = "" },
		`name "a b", version "1.0-r0", arch "x86_64": one has a character apk does not take`: func(e *Entry) { e.Name = "a b" },
		`arch "x86/64": one has a character apk does not take`:                               func(e *Entry) { e.Arch = "x86/64" },
		"a size or time is negative":                                                         func(e *Entry) { e.Size = -1 },
		`value "a\nP:evil" is more than one line`:                                            func(e *Entry) { e.Maintainer = "a\nP:evil" },
		`relation "a b" has a space`:                                                         func(e *Entry) { e.Depends = []string{"a b"} },
	} {
		e := good
		spoil(&e)
		if _, err := e.Render(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Render: %v, want %s", err, want)
		}
	}
	text, err := good.Render()
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string]string{
		"the last entry is cut off: no empty line ends it":         strings.TrimSuffix(string(text), "\n"),
		`line 2: "Phello" is not a letter, a colon and a value`:    "C:" + sum + "\nPhello\n\n",
		`line 1: line "X:1" has a letter apk does not know`:        "X:1\n\n",
		`line 5: size "-1" is not a number`:                        strings.Replace(string(text), "\nS:0\n", "\nS:-1\n", 1),
		`line 2: checksum "" is not Q1 and the base64 of 20 bytes`: "P:hello\n\n",
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v, want %s", text, err, want)
		}
	}
}

func TestNumbersThatAreNoneAreRefused(t *testing.T) {
	rec := record("hello", "1-r0", "x86_64")
	for i, f := range rec.Meta.Fields {
		if f.Key == "builddate" {
			rec.Meta.Fields[i].Value = "today"
		}
	}
	if _, err := page([]*publish.Record{rec}, "x86_64"); err == nil || err.Error() != `package hello 1-r0: builddate "today" is not a number` {
		t.Errorf("page: %v", err)
	}
}

func TestNewlinesCannotForgeAnEntry(t *testing.T) {
	for _, key := range []string{"pkgdesc", "url", "license", "origin", "packager"} {
		rec := record("hello", "1-r0", "x86_64")
		for i := range rec.Meta.Fields {
			if rec.Meta.Fields[i].Key == key {
				rec.Meta.Fields[i].Value = "x\n\nP:evil"
			}
		}
		if _, err := page([]*publish.Record{rec}, "x86_64"); err == nil || !strings.Contains(err.Error(), `package hello 1-r0: value "x\n\nP:evil" is more than one line`) {
			t.Errorf("%s with a newline: %v", key, err)
		}
	}
}

func FuzzParseRenderedIsTheSame(f *testing.F) {
	e, err := NewEntry(record("hello", "1.2.0-r0", "x86_64"), "x86_64")
	if err != nil {
		f.Fatal(err)
	}
	text, err := e.Render()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append(bytes.Clone(text), text...))
	f.Add([]byte("P:a\nz:x\n\n"))
	f.Add([]byte("\n\n\nC:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := Parse(text)
		if err != nil {
			return
		}
		var b []byte
		for _, e := range entries {
			one, err := e.Render()
			if err != nil { // too long for apk's buffer
				return
			}
			b = append(b, one...)
		}
		again, err := Parse(b)
		if err != nil {
			t.Fatalf("Parse(%q): %v", b, err)
		}
		if len(again) != len(entries) {
			t.Fatalf("%d entries, then %d", len(entries), len(again))
		}
		for i := range again {
			// Several spaces between relations are one.
			if !reflect.DeepEqual(normal(again[i]), normal(entries[i])) {
				t.Errorf("%+v became %+v", entries[i], again[i])
			}
		}
	})
}

func normal(e *Entry) Entry {
	n := *e
	for _, l := range []*[]string{&n.Depends, &n.Provides, &n.InstallIf} {
		if len(*l) == 0 {
			*l = nil
		}
	}
	return n
}

func BenchmarkRender10000(b *testing.B) {
	pages := pagesOf(10000, 128)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range pages {
			if _, err := page(p, "x86_64"); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkFinish10000(b *testing.B) {
	r := newRepo(b, Options{}, testEnv())
	built := build(b, r, "stable/x86_64", pagesOf(10000, 128)...)
	b.ReportAllocs()
	for b.Loop() {
		finish(b, r, built)
	}
}

func ExampleParse() {
	entries, err := Parse([]byte("C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:hello\nV:1.2.0-r0\nA:x86_64\nD:musl>=1.2 so:libc.so\n\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(entries[0].Name, entries[0].Version, len(entries[0].Depends))
	// Output: hello 1.2.0-r0 2
}
