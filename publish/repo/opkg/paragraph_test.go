package opkg

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// A case's "control" holds the control paragraphs of packages; "want" is what
// Packages says of them, "newest" the same under newest-only.
func TestIndexTextIsGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g := publishtest.ReadGolden(t, file)
			paragraphs, err := Parse([]byte(g.Texts["control"]))
			if err != nil {
				t.Fatal(err)
			}
			var recs []*publish.Record
			for _, fields := range paragraphs {
				m := formats.Meta{Format: "ipk", Fields: fields}
				m.Name, m.Version, m.Arch = m.Get("Package"), m.Get("Version"), m.Get("Architecture")
				recs = append(recs, &publish.Record{
					Path: fmt.Sprintf("opkg/stable/x/%s_%s_%s.ipk", m.Name, m.Version, m.Arch),
					Ref:  formats.Ref{Size: 1000}, Meta: m,
				})
			}
			for name, newest := range map[string]bool{"want": false, "newest": true} {
				got, err := page(recs, newest)
				if err != nil {
					got = []byte("error: " + err.Error() + "\n")
				}
				g.Check(t, name, string(got))
			}
		})
	}
}

func TestPackagesCannotForgeWhatTheyAre(t *testing.T) {
	for _, f := range []formats.Field{
		{Key: "Filename", Value: "../evil.ipk"},
		{Key: "SHA256sum", Value: "00"},
		{Key: "Size", Value: "1"},
		{Key: "Size-Hint", Value: "1"}, // OpenWrt's opkg would take it for Size
		{Key: "MD5Sum", Value: "00"},
		{Key: "size", Value: "1"},
	} {
		rec := record("hello", "1", "all")
		rec.Meta.Fields = append(rec.Meta.Fields, f)
		text, err := page([]*publish.Record{rec}, false)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), f.Key+": "+f.Value+"\n") {
			t.Errorf("%s: %s is in the index", f.Key, f.Value)
		}
	}
	for want, f := range map[string]formats.Field{
		`field X starts with a blank or has a control character: "a\r\nPackage: evil"`: {Key: "X", Value: "a\r\nPackage: evil"},
		`field X starts with a blank or has a control character: " a"`:                 {Key: "X", Value: " a"},
		`field "X: y" is not letters, digits and -`:                                    {Key: "X: y", Value: "a"},
		`field "X\n\nPackage" is not letters, digits and -`:                            {Key: "X\n\nPackage", Value: "a"},
		`field "" is not letters, digits and -`:                                        {Key: "", Value: "evil"},
		`field package is there twice`:                                                 {Key: "package", Value: "evil"},
		`field X has a line of 524289 bytes; opkg reads 524288: shorten it`:            {Key: "X", Value: "a\n" + strings.Repeat("x", maxLine+1)},
	} {
		rec := record("hello", "1", "all")
		rec.Meta.Fields = append(rec.Meta.Fields, f)
		if _, err := page([]*publish.Record{rec}, false); err == nil || err.Error() != "package hello 1: "+want {
			t.Errorf("%.40q: %v, want %s", f, err, want)
		}
	}
	rec := record("hello", "1", "all")
	rec.Meta.Fields = append(rec.Meta.Fields, formats.Field{Key: "X", Value: "a\n\nPackage: evil"})
	text, err := page([]*publish.Record{rec}, false)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := Parse(text); err != nil || len(all) != 1 {
		t.Errorf("an empty line in a value made %d packages of one: %v", len(all), err)
	}
	rec.Meta.Name = "other"
	if _, err := page([]*publish.Record{rec}, false); err == nil || !strings.Contains(err.Error(), `its control paragraph has Package "hello", its record "other"`) {
		t.Errorf("a record of another name than its package: %v", err)
	}
}

func TestDamagedIndexesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"A: b\nC: d":         "line 2 is cut off",
		"A: b\n":             "the last paragraph is cut off: no empty line ends it",
		"A: b\x00\n\n":       "line 1 has a control character",
		"\n b\n\n":           "line 2 continues a field, but there is none",
		"A: b\nno field\n\n": `line 2 is no field: "no field"`,
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v, want %s", text, err, want)
		}
	}
}

func FuzzParseRenderedIsTheSame(f *testing.F) {
	text, err := page([]*publish.Record{record("hello", "1", "all"), record("world", "2", "all")}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("A:\n b\n\n\n\nC: d\n\te\n \tf\n\n"))
	f.Add([]byte("A: b\n .\n . \n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(text)
		if err != nil {
			return
		}
		var b []byte
		for _, fields := range all {
			if b, err = appendParagraph(b, fields); err != nil { // a field twice, or a long line
				return
			}
		}
		again, err := Parse(b)
		if err != nil {
			t.Fatalf("Parse(%q): %v", b, err)
		}
		if !reflect.DeepEqual(again, all) {
			t.Errorf("%q became %q", all, again)
		}
	})
}

func BenchmarkRender10000(b *testing.B) {
	var recs []*publish.Record
	for i := range 10000 {
		recs = append(recs, record(fmt.Sprintf("pkg%05d", i), "1.2.0-1", "x86_64"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := page(recs, false); err != nil {
			b.Fatal(err)
		}
	}
}
