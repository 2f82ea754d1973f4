package deb

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// documents returns the files below /usr/share/doc that Debian expects and the
// package does not bring: its changelog and its copyright file.
func documents(spec *formats.Spec, id formats.Identity, files []formats.File) ([]formats.File, error) {
	have := make(map[string]bool)
	for _, f := range files {
		have[f.Path] = true
	}
	dir := "/usr/share/doc/" + spec.Name
	for d := dir; d != "/"; d = d[:max(strings.LastIndexByte(d, '/'), 1)] {
		for _, f := range files {
			if f.Path == d && f.Type != formats.Dir {
				return nil, nil // a link to another package's documents
			}
		}
	}
	var docs []formats.File
	add := func(name string, body []byte) {
		docs = append(docs, formats.File{Path: dir + "/" + name, Type: formats.Doc, Mode: 0o644, Content: formats.Bytes(body)})
	}
	if body := changelog(spec, id); body != nil && !have[dir+"/changelog.Debian.gz"] {
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		w.ModTime = time.Unix(0, 0) // no time: the zero Time would leave one of 2042
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		add("changelog.Debian.gz", z.Bytes())
	}
	if spec.License != "" && !have[dir+"/copyright"] {
		add("copyright", copyright(spec))
	}
	return docs, nil
}

// changelog renders spec.Changelog after Debian policy 4.4. Entries whose version
// is none, such as "Unreleased", are left out.
func changelog(spec *formats.Spec, id formats.Identity) []byte {
	var b bytes.Buffer
	for _, c := range spec.Changelog {
		version := id.Version
		if c.Version != spec.Version {
			v, err := debian.Version(&formats.Spec{Version: c.Version, Epoch: spec.Epoch})
			if err != nil {
				continue
			}
			version = v
		}
		at := c.Time
		if at.IsZero() {
			at = spec.Time
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%s) unstable; urgency=medium\n\n", spec.Name, version)
		written := false
		for _, line := range c.Lines {
			if text := wrap(line, 74); text != nil {
				fmt.Fprintf(&b, "  * %s\n", strings.Join(text, "\n    "))
				written = true
			}
		}
		if !written {
			fmt.Fprintf(&b, "  * Release %s.\n", printable(c.Version))
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n", printable(orElse(c.Maintainer, spec.Maintainer)), debian.Stamp(at).Format(time.RFC1123Z))
	}
	return b.Bytes()
}

// wrap breaks text into lines of at most width characters where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(printable(text)) {
		if n := len(lines); n > 0 && len([]rune(lines[n-1]))+1+len([]rune(word)) <= width {
			lines[n-1] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// printable replaces control characters and what is no UTF-8 by blanks.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s))
}

// commonLicenses are the texts in /usr/share/common-licenses by SPDX id.
var commonLicenses = []struct{ id, file string }{
	{"Apache-2.0", "Apache-2.0"}, {"Artistic-1.0", "Artistic"}, {"BSD-3-Clause-UC", "BSD"}, {"CC0-1.0", "CC0-1.0"},
	{"GFDL-1.2", "GFDL-1.2"}, {"GFDL-1.3", "GFDL-1.3"}, {"GPL-1.0", "GPL-1"}, {"GPL-2.0", "GPL-2"}, {"GPL-3.0", "GPL-3"},
	{"LGPL-2.0", "LGPL-2"}, {"LGPL-2.1", "LGPL-2.1"}, {"LGPL-3.0", "LGPL-3"}, {"MPL-1.1", "MPL-1.1"}, {"MPL-2.0", "MPL-2.0"},
}

// copyright names the licence and where the terms are; it claims nothing about
// who holds rights.
func copyright(spec *formats.Spec) []byte {
	var b strings.Builder
	b.WriteString("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
	project := orElse(spec.Source, spec.Name)
	fmt.Fprintf(&b, "Upstream-Name: %s\nUpstream-Contact: %s\n", project, printable(spec.Maintainer))
	if spec.Homepage != "" {
		fmt.Fprintf(&b, "Source: %s\n", printable(spec.Homepage))
	}
	license := printable(spec.License)
	fmt.Fprintf(&b, "\nFiles: *\nCopyright: the authors of %s\nLicense: %s\n", project,
		strings.NewReplacer(" AND ", " and ", " OR ", " or ", " WITH ", " with ").Replace(license))
	if spec.Homepage != "" {
		fmt.Fprintf(&b, " The terms and the holders of the copyright are named at\n %s.\n", printable(spec.Homepage))
	} else {
		fmt.Fprintf(&b, " The terms are those of the licence with this SPDX expression.\n")
	}
	words := strings.FieldsFunc(license, func(r rune) bool { return strings.ContainsRune(" ()", r) })
	for _, l := range commonLicenses {
		for _, w := range words {
			if w == l.id || w == l.id+"+" || w == l.id+"-only" || w == l.id+"-or-later" {
				fmt.Fprintf(&b, " .\n On Debian systems the whole text of %s is in\n /usr/share/common-licenses/%s.\n", l.id, l.file)
				break
			}
		}
	}
	return []byte(b.String())
}
