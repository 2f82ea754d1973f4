package site

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// Count is how many package files of a format are published.
type Count struct {
	Format string
	Files  int
}

// formatOrder is the one in which people look for formats; others follow by name.
var formatOrder = []string{"deb", "rpm", "arch", "apk", "ipk"}

// counts counts files by format, each path once.
func (in *Input) counts() []Count {
	files := make(map[string]int)
	seen := make(map[string]bool)
	for _, p := range in.Packages {
		for _, v := range p.Versions {
			for _, d := range v.Downloads {
				if d.Format != "" && !seen[d.Path] {
					seen[d.Path] = true
					files[d.Format]++
				}
			}
		}
	}
	var counts []Count
	for format, n := range files {
		counts = append(counts, Count{format, n})
	}
	rank := func(format string) int {
		if i := slices.Index(formatOrder, format); i >= 0 {
			return i
		}
		return len(formatOrder)
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(rank(a.Format), rank(b.Format)), cmp.Compare(a.Format, b.Format))
	})
	return counts
}

func (in *Input) badgeMarkdown() string {
	return fmt.Sprintf("[![%s packages](%s/badge.svg)](%s/)", markdown(in.Title), in.URL, in.URL)
}

// markdown escapes what would end or open a link text.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, "`", "\\`", `<`, `\<`, `*`, `\*`, `_`, `\_`).Replace(s)
}

// renderBadge draws the label, the version where there is one, and a field per
// format. Widths come from a table, since the drawer does not know the reader's
// fonts; textLength makes what is shown agree with it.
func renderBadge(in *Input) []byte {
	type field struct{ text, fill string }
	fields := []field{{cmp.Or(in.Title, in.Name), "#24292f"}}
	if v := in.version(); v != "" {
		fields = append(fields, field{v, "#4338ca"})
	}
	for i, c := range in.counts() {
		fields = append(fields, field{fmt.Sprintf("%s %d", c.Format, c.Files), []string{"#1f6f54", "#2a7f62"}[i%2]})
	}
	var spoken []string
	total := 0
	for _, f := range fields {
		spoken = append(spoken, f.text)
		total += textWidth(f.text) + 12
	}
	var b bytes.Buffer
	label := escape(strings.Join(spoken, ", "))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" viewBox="0 0 %d 20" role="img" aria-label="%s">`, total, total, label)
	fmt.Fprintf(&b, `<title>%s</title><clipPath id="r"><rect width="%d" height="20" rx="4"/></clipPath><g clip-path="url(#r)">`, label, total)
	x := 0
	for _, f := range fields {
		w := textWidth(f.text) + 12
		fmt.Fprintf(&b, `<rect x="%d" width="%d" height="20" fill="%s"/>`, x, w, f.fill)
		x += w
	}
	b.WriteString(`</g><g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-rendering="geometricPrecision">`)
	x = 0
	for _, f := range fields {
		w := textWidth(f.text)
		fmt.Fprintf(&b, `<text x="%d" y="14" textLength="%d">%s</text>`, x+6, w, escape(f.text))
		x += w + 12
	}
	b.WriteString("</g></svg>\n")
	return b.Bytes()
}

func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes every write
	return b.String()
}

// textWidth is about the width of s in Verdana at 11 pixels.
func textWidth(s string) int {
	w := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iIjl|.,:;'!", r):
			w += 3.9
		case strings.ContainsRune(" frt()[]-/", r):
			w += 4.7
		case strings.ContainsRune("mwMW@%", r):
			w += 10
		case r >= 'A' && r <= 'Z':
			w += 7.7
		case r < 0x300:
			w += 6.8
		default:
			w += 11
		}
	}
	return int(w + 0.999)
}
