package brew

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// quote returns s as a Ruby string that holds just s: nothing in it is an
// expression.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	runes := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	for i, c := range runes {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '#' && i+1 < len(runes) && strings.ContainsRune("{$@", runes[i+1]):
			b.WriteString(`\#`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\u{%x}`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var constant = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]*$`)

// className returns the class that Homebrew looks for in the file of a formula:
// HelloWorldAT1 for hello-world@1, Gxx for g++.
func className(formula string) (string, error) {
	var b strings.Builder
	up := true
	lower := []byte(strings.ToLower(formula))
	for i, c := range lower {
		alnum := i+1 < len(lower) && isAlnum(lower[i+1])
		switch {
		case strings.IndexByte("-_.", c) >= 0 && alnum && i > 0:
			up = true
			continue
		case c == '+':
			c = 'x'
		case c == '@' && i > 0 && i+1 < len(lower) && lower[i+1] >= '0' && lower[i+1] <= '9':
			b.WriteString("AT")
			continue
		}
		if up && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	if !constant.MatchString(b.String()) {
		return "", fmt.Errorf("%q can't be a formula, since its class would be called %q: a name begins with a letter; leave brew out of clients, or rename the package", formula, b.String())
	}
	return b.String(), nil
}

func isAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// formulaName is what people install: Homebrew knows lower case only.
func (r *Repo) formulaName(pkg, channel string) string {
	name := strings.ToLower(pkg)
	if len(r.env.Channels) > 0 && channel != r.env.Channels[0] {
		name += "-" + channel
	}
	return name
}
