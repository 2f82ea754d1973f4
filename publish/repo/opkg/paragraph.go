package opkg

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

func page(recs []*publish.Record, newestOnly bool) ([]byte, error) {
	var b []byte
	for i, rec := range recs {
		if newestOnly && i+1 < len(recs) && recs[i+1].Meta.Name == rec.Meta.Name {
			continue
		}
		fields, err := paragraph(rec)
		if err == nil {
			b, err = appendParagraph(b, fields)
		}
		if err != nil {
			return nil, fmt.Errorf("package %s %s: %w", rec.Meta.Name, rec.Meta.Version, err)
		}
	}
	return b, nil
}

// ours are the fields that say which file to fetch and what it must be. OpenWrt's
// opkg looks only at how a line begins, so that a package's field "Size-Hint"
// would be its size: all fields that begin as one of ours are left out. Conffiles
// in an index need a digest each, and say nothing that the package does not.
var ours = []string{"Filename", "Size", "SHA256", "MD5sum", "Conffiles", "Status", "Installed-Time", "Auto-Installed"}

// paragraph returns what Packages says of a record: the control paragraph of the
// package with ours before its description.
func paragraph(rec *publish.Record) ([]formats.Field, error) {
	var fields, description []formats.Field
	for _, f := range rec.Meta.Fields {
		switch {
		case slices.ContainsFunc(ours, func(o string) bool {
			return len(f.Key) >= len(o) && strings.EqualFold(f.Key[:len(o)], o)
		}):
		case f.Key == "Description":
			description = append(description, f)
		default:
			fields = append(fields, f)
		}
	}
	for _, need := range []struct{ key, value string }{
		{"Package", rec.Meta.Name}, {"Version", rec.Meta.Version}, {"Architecture", rec.Meta.Arch},
	} {
		if got := rec.Meta.Get(need.key); got == "" || got != need.value {
			return nil, fmt.Errorf("its control paragraph has %s %q, its record %q", need.key, got, need.value)
		}
	}
	fields = append(fields,
		formats.Field{Key: "Filename", Value: path.Base(rec.Path)},
		formats.Field{Key: "Size", Value: strconv.FormatInt(rec.Ref.Size, 10)},
		formats.Field{Key: "SHA256sum", Value: rec.Ref.SHA256.String()},
	)
	return append(fields, description...), nil
}

var fieldForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// maxLine keeps lines below where OpenWrt's opkg takes them for damage: 1 MiB.
const maxLine = 512 << 10

// appendParagraph renders fields and the empty line that ends them.
func appendParagraph(b []byte, fields []formats.Field) ([]byte, error) {
	for i, f := range fields {
		if !fieldForm.MatchString(f.Key) {
			return nil, fmt.Errorf("field %q is not letters, digits and -", f.Key)
		}
		if slices.ContainsFunc(fields[:i], func(o formats.Field) bool { return strings.EqualFold(o.Key, f.Key) }) {
			return nil, fmt.Errorf("field %s is there twice", f.Key)
		}
		if strings.ContainsAny(f.Value, "\r\x00") || strings.HasPrefix(f.Value, " ") || strings.HasPrefix(f.Value, "\t") {
			return nil, fmt.Errorf("field %s starts with a blank or has a control character: %.60q", f.Key, f.Value)
		}
		b = append(append(b, f.Key...), ':')
		for n, line := range strings.Split(f.Value, "\n") {
			if len(line) > maxLine {
				return nil, fmt.Errorf("field %s has a line of %d bytes; opkg reads %d: shorten it", f.Key, len(line), maxLine)
			}
			if n > 0 {
				b = append(b, '\n')
			}
			line = strings.TrimRight(line, " \t")
			if n > 0 && line == "" {
				line = "." // an empty line would end the paragraph
			}
			if n > 0 || line != "" {
				b = append(append(b, ' '), line...)
			}
		}
		b = append(b, '\n')
	}
	if len(fields) == 0 {
		return b, nil
	}
	return append(b, '\n'), nil
}

// Parse reads a Packages text into its paragraphs. Folded lines follow in a value
// after a newline, without the blank they start with.
func Parse(text []byte) ([][]formats.Field, error) {
	var all [][]formats.Field
	var fields []formats.Field
	for n := 1; len(text) > 0; n++ {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		if !found {
			return nil, fmt.Errorf("line %d is cut off", n)
		}
		text = rest
		s := strings.TrimRight(string(line), " \t")
		switch {
		case strings.ContainsAny(s, "\r\x00"):
			return nil, fmt.Errorf("line %d has a control character", n)
		case s == "":
			if fields != nil {
				all = append(all, fields)
			}
			fields = nil
		case s[0] == ' ' || s[0] == '\t':
			if fields == nil {
				return nil, fmt.Errorf("line %d continues a field, but there is none", n)
			}
			fields[len(fields)-1].Value += "\n" + s[1:]
		default:
			key, value, ok := strings.Cut(s, ":")
			if !ok || !fieldForm.MatchString(key) {
				return nil, fmt.Errorf("line %d is no field: %.60q", n, s)
			}
			fields = append(fields, formats.Field{Key: key, Value: strings.TrimLeft(value, " \t")})
		}
	}
	if fields != nil {
		return nil, errors.New("the last paragraph is cut off: no empty line ends it")
	}
	return all, nil
}
