package apt

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// The streams of a partition.
const (
	packages = "Packages"
	contents = "Contents"
)

// Streams implements publish.Repo.
func (r *Repo) Streams(string) []publish.Stream {
	none := func(int) []byte { return nil }
	s := []publish.Stream{{Name: packages, Forms: r.forms, Head: none, Page: r.packagesPage}}
	if r.contents {
		s = append(s, publish.Stream{Name: contents, Forms: []publish.Form{publish.Gzip}, Head: none, Page: contentsPage})
	}
	return s
}

// packagesPage renders stanzas: the package's control paragraph with Filename,
// Size and SHA256 before its description.
func (r *Repo) packagesPage(recs []*publish.Record) ([]byte, error) {
	var b bytes.Buffer
	for _, rec := range recs {
		filename, ok := rec.Path, true
		if r.dir != "" {
			filename, ok = strings.CutPrefix(rec.Path, r.dir+"/")
		}
		if !ok {
			return nil, fmt.Errorf("%s does not lie in %s/, and apt looks there only: leave apt's dir as it was, or begin a new tree", rec.Path, r.dir)
		}
		if err := stanza(&b, rec, filename); err != nil {
			return nil, fmt.Errorf("%s: %w", rec.Path, err)
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// ours are the fields a stanza has from the record, not from the package.
var ours = []string{"Filename", "Size", "SHA256", "SHA1", "SHA512", "MD5sum"}

// Stanza writes the paragraph of one package without the empty line after it.
func Stanza(b *bytes.Buffer, rec *publish.Record) error { return stanza(b, rec, rec.Path) }

// stanza writes a paragraph whose package lies at filename below the address of
// the repository.
func stanza(b *bytes.Buffer, rec *publish.Record, filename string) error {
	file := func() {
		fmt.Fprintf(b, "Filename: %s\nSize: %d\nSHA256: %s\n", filename, rec.Ref.Size, rec.Ref.SHA256)
	}
	done := false
	for _, f := range rec.Meta.Fields {
		if slices.ContainsFunc(ours, func(o string) bool { return strings.EqualFold(o, f.Key) }) {
			return fmt.Errorf("the package's own control file has the field %s, which belongs to the index", f.Key)
		}
		if strings.EqualFold(f.Key, "Description") && !done {
			file()
			done = true
		}
		if err := field(b, f); err != nil {
			return err
		}
	}
	if !done {
		file()
	}
	return nil
}

func field(b *bytes.Buffer, f formats.Field) error {
	if f.Key == "" || strings.ContainsAny(f.Key, ": \t\n\r") || strings.Contains(f.Value, "\n\n") || strings.ContainsAny(f.Value, "\r\x00") {
		return fmt.Errorf("field %q: not a field of a control paragraph", f.Key)
	}
	b.WriteString(f.Key)
	b.WriteString(": ")
	b.WriteString(strings.ReplaceAll(f.Value, "\n", "\n "))
	b.WriteByte('\n')
	return nil
}

// contentsPage renders "path<TAB>section/package" lines, sorted for each name.
// Debian's own files are sorted as a whole; apt-file reads line by line and does
// not mind, and so a page of Contents changes with its packages alone.
func contentsPage(recs []*publish.Record) ([]byte, error) {
	var b bytes.Buffer
	var lines []string
	for i, rec := range recs {
		owner := rec.Meta.Name
		if s := rec.Meta.Get("Section"); s != "" {
			owner = s + "/" + owner
		}
		for _, f := range rec.Meta.Files {
			if !strings.HasSuffix(f, "/") {
				lines = append(lines, strings.TrimPrefix(f, "/")+"\t"+owner+"\n")
			}
		}
		if i+1 < len(recs) && recs[i+1].Meta.Name == rec.Meta.Name {
			continue // several versions of a package mostly have the same files
		}
		slices.Sort(lines)
		for _, l := range slices.Compact(lines) {
			b.WriteString(l)
		}
		lines = lines[:0]
	}
	return b.Bytes(), nil
}
