package dnf

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// text is an XML text that grows. Markup is written as it is, values are escaped.
type text []byte

func (t *text) raw(s string) { *t = append(*t, s...) }

// element writes a whole element that holds value.
func (t *text) element(name, value string) {
	if value == "" {
		t.raw("<" + name + "/>\n")
		return
	}
	t.raw("<" + name + ">")
	t.value(value)
	t.raw("</" + name + ">\n")
}

// attr writes an attribute with the space before it.
func (t *text) attr(name, value string) {
	t.raw(" ")
	t.raw(name)
	t.raw(`="`)
	t.value(value)
	t.raw(`"`)
}

// escapes has what stands for bytes that can't stand for themselves. Line ends
// and tabs are written as references, since a reader turns them into spaces in
// attributes. What XML 1.0 has no way to write becomes U+FFFD.
var escapes = func() (e [utf8.RuneSelf]string) {
	for c := range 0x20 {
		e[c] = "\uFFFD"
	}
	e['\t'], e['\n'], e['\r'] = "&#9;", "&#10;", "&#13;"
	e['&'], e['<'], e['>'], e['"'] = "&amp;", "&lt;", "&gt;", "&quot;"
	e[0x7f] = "\uFFFD" // legal, but no one's text
	return e
}()

// value writes s escaped.
func (t *text) value(s string) {
	b := *t
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if escapes[c] == "" {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = append(b, escapes[c]...)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			start = i + n
		}
		i += n
	}
	*t = append(b, s[start:]...)
}

// number returns s if it is a number of up to 19 digits; "" counts as 0.
func number(key, s string) (string, error) {
	if s == "" {
		return "0", nil
	}
	if len(s) > 19 || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("%s %q is not a number", key, s)
	}
	return s, nil
}
