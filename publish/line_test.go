package publish

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

var lines = []*Record{
	{Path: "a", Meta: formats.Meta{Format: "deb", Name: "a", Version: "1", Arch: "all"}},
	{
		Path: "pool/h/hello_1.deb", URL: "https://example.org/d?a=b&c", Ref: formats.Bytes([]byte("x")).Ref(), Project: "hello", Version: "1.0.0", Added: 1_700_000_000,
		Beside: []BesideRef{{".sig", formats.Bytes(nil).Ref()}, {".asc", formats.Bytes([]byte("y")).Ref()}},
		Meta: formats.Meta{Format: "deb", Name: "hello", Version: "1:1.0~rc.1-1", Arch: "amd64",
			Fields: []formats.Field{{Key: "Package", Value: "hello"}, {Key: "Description", Value: "prints \"hello\" & <more>\n\täöü \\"}, {Key: "", Value: ""}},
			Files:  []string{"/usr/", "/usr/bin/hello", "/usr/share/\x7f"}, Ghosts: []string{"/var/log/hello"}},
	},
	{Path: "c", Meta: formats.Meta{Name: "c", Files: []string{"/\x01", "/\u2028", "/\ufffd"}}},
}

func TestPagesComeBackAsTheyWereWritten(t *testing.T) {
	text, err := renderPage(lines)
	if err != nil {
		t.Fatal(err)
	}
	back, err := parsePage(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := renderPage(back)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("rendered again, %v:\n%s\nwas\n%s", err, again, text)
	}
	for _, r := range lines {
		if named, err := parseNamed(text, r.Meta.Name); err != nil || len(named) != 1 || named[0].Path != r.Path {
			t.Errorf("parseNamed(%q) = %v, %v", r.Meta.Name, named, err)
		}
	}
	for _, cut := range []int{1, len(text) / 2} {
		if _, err := parsePage(text[:len(text)-cut]); err == nil {
			t.Errorf("a page without its last %d bytes was read", cut)
		}
	}
}

// What renderPage writes must not fall back, or the time it saves is lost.
func TestOwnLinesAreReadWithoutEncodingJSON(t *testing.T) {
	text, err := renderPage(lines[:2])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		p := lineParser{rest: strings.TrimSuffix(line, "\n")}
		var r Record
		if p.record(&r); p.failed || p.rest != "" {
			t.Errorf("%s: stopped at %q", line, p.rest)
		}
	}
}

func FuzzLinesAreReadAsEncodingJSONReadsThem(f *testing.F) {
	text, err := renderPage(lines)
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		f.Add(line)
	}
	for _, bad := range []string{"\xff", "\x01", "\t", "é", `\n\q`, `\u0041`, "\\\xff"} {
		f.Add(bytes.Replace(text[:bytes.IndexByte(text, '\n')], []byte(`"path":"a"`), []byte(`"path":"`+bad+`"`), 1))
	}
	f.Add([]byte(`{"added":1,"path":"b","meta":{"name":"\ud83d\ude00"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var want Record
		werr := json.Unmarshal(line, &want)
		got, gerr := parseLine(line)
		if (gerr == nil) != (werr == nil) {
			t.Fatalf("parseLine(%q): %v; encoding/json: %v", line, gerr, werr)
		}
		if gerr == nil && !reflect.DeepEqual(*got, want) {
			t.Errorf("parseLine(%q) =\n%+v\nwant\n%+v", line, *got, want)
		}
	})
}
