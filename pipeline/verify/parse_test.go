package verify

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// shape renders what a scanner sees: starts, ends and texts.
func shape(text string) (string, error) {
	var b strings.Builder
	s := newScanner(strings.NewReader(text))
	for {
		err := s.next()
		if len(strings.TrimSpace(string(s.text))) > 0 && s.begun {
			fmt.Fprintf(&b, "%q ", unescape(s.text))
		}
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		if s.tag.end {
			fmt.Fprintf(&b, "/%s ", s.tag.name)
			continue
		}
		fmt.Fprintf(&b, "%s[%s] ", s.tag.name, s.tag.attr("a"))
		if s.tag.empty {
			fmt.Fprintf(&b, "/%s ", s.tag.name)
		}
	}
}

// library renders the same by encoding/xml.
func library(text string) (string, error) {
	var b strings.Builder
	d := xml.NewDecoder(strings.NewReader(text))
	pending := ""
	flush := func() {
		if strings.TrimSpace(pending) != "" {
			fmt.Fprintf(&b, "%q ", pending)
		}
		pending = ""
	}
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			flush()
			a := ""
			for _, at := range tok.Attr {
				if at.Name.Local == "a" && at.Name.Space == "" {
					a = at.Value
				}
			}
			fmt.Fprintf(&b, "%s[%s] ", full(tok.Name), a)
		case xml.EndElement:
			flush()
			fmt.Fprintf(&b, "/%s ", full(tok.Name))
		case xml.CharData:
			pending += string(tok)
		}
	}
}

func full(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

func TestTheScannerSeesWhatTheLibrarySees(t *testing.T) {
	for _, text := range []string{
		`<r/>`, `<r></r>`, `<?xml version="1.0"?><r a="1"><b>x</b></r>`, "<r\n a = \"1\"\n/>", `<r><p:q a="&lt;&#65;&#x42;&quot;"/>t &amp; u</r>`,
		`<r><!-- <x> > -- --><b/></r>`, `<r><![CDATA[a<b>&amp;]]c]]></r>`, `<r a="x > y"/>`, `<r a='">'/>`, `<r a="'>"/>`, `<r b="a=1" a="2"/>`, `<r><b a=""/></r>`, "<r>" + strings.Repeat("x", 200000) + "</r>",
	} {
		got, err := shape(text)
		want, err2 := library(text)
		if text == `<r><!-- <x> > -- --><b/></r>` {
			want, err2 = `r[] b[] /b /r `, nil // the library is stricter with comments
		}
		if err != nil || err2 != nil || got != want {
			t.Errorf("%.80s:\n got %.200s %v\nwant %.200s %v", text, got, err, want, err2)
		}
	}
	const early = "the XML ends early"
	for text, want := range map[string]string{
		``: early, `x`: early, `<r>`: early, `<r`: early, `<r><!-- `: early, `<r><![CDATA[`: early,
		`</r>`: `the XML closes "r", which is not what is open`, `<r></s>`: `the XML closes "s", which is not what is open`,
		`<r/><s/>`: "the XML has two roots", `<r/>x`: "text follows the XML", `<>`: "the XML has a tag without a name",
		`<!DOCTYPE r><r/>`: "the XML has a DOCTYPE, which is not read", strings.Repeat("<a>", 40): "the XML is nested more than 32 deep",
		"<r " + strings.Repeat("x", maxTag): "a tag or text is longer than 1048576 bytes",
	} {
		if got, err := shape(text); err == nil || err.Error() != want {
			t.Errorf("%.40q is read as %.40s, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, s := range []string{`<r a="1"><b>x</b></r>`, `<r><![CDATA[x]]></r>`, `<?x?><r><!--c--></r>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := shape(text)
		if err != nil || strings.ContainsAny(text, "&!?") {
			return // what it refuses need not be wrong, and the library is stricter with references
		}
		if want, err := library(text); err == nil && got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	})
}

func FuzzStanzas(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nFilename: x\nSize: 1\n folded\n\nPackage: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		if err := stanzas(strings.NewReader(text), func(*stanza) error { n++; return nil }); err == nil && n > strings.Count(text, ":") {
			t.Errorf("%d paragraphs in %q", n, text)
		}
	})
}

func TestStanzasAreRead(t *testing.T) {
	text := "\n\nPackage: a\nDescription: x\n y\n .\nsize: 3\nSHA256sum: " + strings.Repeat("Ab", 32) + "\n\n\nPackage: b\nX: " + strings.Repeat("y", 200000) + "\nVersion: 2"
	var got []string
	err := stanzas(strings.NewReader(text), func(s *stanza) error {
		w, _, _ := s.want()
		got = append(got, fmt.Sprint(s.name, s.version, w.size, w.sum))
		return nil
	})
	want := []string{"a3 {sha256 " + strings.Repeat("ab", 32) + "}", "b20 { }"}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	for bad, want := range map[string]string{
		" x\n": "line 1 continues a field, but there is none", "\nx\n": `line 2 is no field: "x\n"`, "a b: c\n": `line 1 is no field: "a b: c\n"`,
		"Package: a\nPackage: b\n": "line 2: field Package is there twice", strings.Repeat("x", 70000) + "\n": "line 1 is longer than 65536 bytes",
	} {
		if err := stanzas(strings.NewReader(bad), func(*stanza) error { return nil }); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %q", bad, err, want)
		}
	}
}
