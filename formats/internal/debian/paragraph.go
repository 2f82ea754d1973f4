package debian

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
)

// ParseParagraph reads one control paragraph, with blank lines before and after
// it. Fields keep their order.
//
// The value of a field is its first line without blanks around it; each folded
// line follows after "\n" without the one blank or tab it starts with, and without
// blanks at its end. So the description's empty line " ." is "\n.", and replacing
// "\n" by "\n " renders the value again. Bytes that are not UTF-8 become U+FFFD.
//
// It refuses keys that are there twice (letter case aside), lines without a key,
// comments, control characters, and a second paragraph.
func ParseParagraph(b []byte) ([]formats.Field, error) {
	var fields []formats.Field
	seen := make(map[string]bool)
	ended := false
	for n := 1; len(b) > 0; n++ {
		raw, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
		line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), " \t\r")
		for _, c := range line {
			if c < ' ' && c != '\t' || c == 0x7f {
				return nil, fmt.Errorf("line %d has the control character %q", n, c)
			}
		}
		switch {
		case line == "":
			ended = len(fields) > 0
			continue
		case ended:
			return nil, fmt.Errorf("line %d begins a second paragraph", n)
		case line[0] == ' ' || line[0] == '\t':
			if len(fields) == 0 {
				return nil, fmt.Errorf("line %d continues a field, but there is none yet", n)
			}
			fields[len(fields)-1].Value += "\n" + line[1:]
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || !legalKey(key) {
			return nil, fmt.Errorf("line %d is no field: %.60q", n, line)
		}
		if seen[strings.ToLower(key)] {
			return nil, fmt.Errorf("field %s is there twice", key)
		}
		seen[strings.ToLower(key)] = true
		fields = append(fields, formats.Field{Key: key, Value: strings.TrimLeft(value, " \t")})
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("the control paragraph is empty")
	}
	return fields, nil
}

// RenderParagraph writes fields in their order. It refuses what ParseParagraph
// would not read back as it is.
func RenderParagraph(fields []formats.Field) ([]byte, error) {
	var b bytes.Buffer
	seen := make(map[string]bool)
	for _, f := range fields {
		if err := CheckField(f); err != nil {
			return nil, err
		}
		if seen[strings.ToLower(f.Key)] {
			return nil, fmt.Errorf("field %s is there twice", f.Key)
		}
		seen[strings.ToLower(f.Key)] = true
		b.WriteString(f.Key + ":")
		first, _, _ := strings.Cut(f.Value, "\n")
		if first != "" {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ReplaceAll(f.Value, "\n", "\n ") + "\n")
	}
	return b.Bytes(), nil
}

// CheckField refuses a field that a control paragraph can't hold.
func CheckField(f formats.Field) error {
	if !legalKey(f.Key) {
		return fmt.Errorf("%q is no name of a field; letters, digits and - are", f.Key)
	}
	if !utf8.ValidString(f.Value) {
		return fmt.Errorf("field %s is not UTF-8", f.Key)
	}
	for i, line := range strings.Split(f.Value, "\n") {
		switch {
		case strings.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			return fmt.Errorf("field %s has a control character", f.Key)
		case strings.TrimRight(line, " \t") != line:
			return fmt.Errorf("field %s has blanks at the end of a line", f.Key)
		case i == 0 && strings.TrimLeft(line, " \t") != line:
			return fmt.Errorf("field %s starts with blanks", f.Key)
		case i > 0 && line == "":
			return fmt.Errorf("field %s has an empty line; write a dot on it", f.Key)
		}
	}
	return nil
}

func legalKey(key string) bool {
	if key == "" || key[0] == '#' || key[0] == '-' {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f || key[i] == ':' {
			return false
		}
	}
	return true
}

// Get returns the value of key, letter case aside, or "".
func Get(fields []formats.Field, key string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Key, key) {
			return f.Value
		}
	}
	return ""
}

// AddFields returns fields with own, the user's, added before the field named
// before. It refuses keys that are there already and those in reserved.
func AddFields(fields, own []formats.Field, before string, reserved ...string) ([]formats.Field, error) {
	at := len(fields)
	for i, f := range fields {
		if f.Key == before {
			at = i
		}
	}
	all := append([]formats.Field(nil), fields[:at]...)
	for _, f := range own {
		if err := CheckField(f); err != nil {
			return nil, err
		}
		for _, r := range reserved {
			if strings.EqualFold(r, f.Key) {
				return nil, fmt.Errorf("field %s is written by DistroPack or by the repository; take it out of fields", f.Key)
			}
		}
		all = append(all, f)
	}
	return append(all, fields[at:]...), nil
}
