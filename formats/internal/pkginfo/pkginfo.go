// Package pkginfo reads and writes .PKGINFO, the text in which pacman's and apk's
// packages say what they are: lines of "key = value", keys in any order and any
// number of times, comments after "#" at the start of a line.
//
// See PKGBUILD(5) and https://wiki.alpinelinux.org/wiki/Apk_spec. What a key means
// is left to the formats; this package knows lines only.
package pkginfo

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
)

// MaxSize is the longest text that Parse takes, in bytes.
const MaxSize = 4 << 20

// Render writes the fields, one a line. It refuses what Parse would read
// differently, so that Parse gives back exactly what was rendered.
func Render(fields []formats.Field) ([]byte, error) {
	var b bytes.Buffer
	for _, f := range fields {
		if !IsKey(f.Key) {
			return nil, fmt.Errorf("key %q is not made of letters, digits, _ and -", f.Key)
		}
		if err := CheckLine(f.Key, f.Value); err != nil {
			return nil, err
		}
		b.WriteString(f.Key)
		b.WriteString(" = ")
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("the description is %d bytes long; %d are allowed", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

// Parse reads a .PKGINFO. Lines that are not "key = value" are passed over, as apk
// does: some packagers write descriptions of several lines. Bytes that are not
// UTF-8 are replaced.
func Parse(text []byte) ([]formats.Field, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the description is %d bytes long; %d are allowed", len(text), MaxSize)
	}
	var fields []formats.Field
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		key, value = trim(key), trim(strings.ToValidUTF8(value, "\ufffd"))
		if !found || !IsKey(key) {
			continue
		}
		if hasControl(value) {
			return nil, fmt.Errorf("line %d: %s %q has a control character", n+1, key, value)
		}
		fields = append(fields, formats.Field{Key: key, Value: value})
	}
	return fields, nil
}

// IsKey reports whether s can be a key.
func IsKey(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// CheckLine refuses values that do not survive as the rest of one line. what names
// the value in the error.
func CheckLine(what, value string) error {
	switch {
	case hasControl(value):
		return fmt.Errorf("%s %q has a line break or control character; one line of text is allowed", what, value)
	case !utf8.ValidString(value):
		return fmt.Errorf("%s %q is not UTF-8", what, value)
	case trim(value) != value:
		return fmt.Errorf("%s %q starts or ends with a space", what, value)
	}
	return nil
}

// hasControl reports control characters other than tab.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func trim(s string) string { return strings.Trim(s, " \t") }

// CheckExtra refuses additional fields that are no fields, and those in own, which
// the format writes itself. Keys are compared without regard to case, so that
// "Filename" is caught where own has "filename".
func CheckExtra(extra []formats.Field, own []string) error {
	for _, f := range extra {
		if !IsKey(f.Key) {
			return fmt.Errorf("field %q is not made of letters, digits, _ and -", f.Key)
		}
		for _, k := range own {
			if strings.EqualFold(k, f.Key) {
				return fmt.Errorf("field %q is written by the format itself; remove it", f.Key)
			}
		}
		if err := CheckLine("field "+f.Key, f.Value); err != nil {
			return err
		}
	}
	return nil
}
