package config

import (
	"fmt"
	"strings"
)

// expand replaces ${VAR} and ${VAR:-default} in s; $${ stands for ${, and a $
// before anything else for itself. vars are the names whose values are in text.
// A default is used where the variable is undefined or empty; it is taken as it
// is, without variables of its own. bad is the first thing that is wrong.
func expand(s string, env func(string) (string, bool)) (text string, vars []variable, hint string, bad error) {
	if !strings.Contains(s, "${") {
		return s, nil, "", nil
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 >= len(s) {
			b.WriteString(s)
			return b.String(), vars, hint, bad
		}
		b.WriteString(s[:i])
		s = s[i:]
		if strings.HasPrefix(s, "$${") {
			b.WriteString("${")
			s = s[3:]
			continue
		}
		if s[1] != '{' {
			b.WriteByte('$')
			s = s[1:]
			continue
		}
		body, rest, closed := strings.Cut(s[2:], "}")
		name, fallback, hasFallback := strings.Cut(body, ":-")
		switch {
		case !closed:
			if bad == nil {
				bad, hint = fmt.Errorf("${ is not closed"), "write $${ for the text ${"
			}
			b.WriteString(s)
			return b.String(), vars, hint, bad
		case !isVariable(name):
			if bad == nil {
				bad, hint = fmt.Errorf("${%s} is not a variable", clip(body)), "${NAME} and ${NAME:-default} are; write $${ for the text ${"
			}
		default:
			value, ok := "", false
			if env != nil {
				value, ok = env(name)
			}
			switch {
			case hasFallback && value == "":
				b.WriteString(fallback)
			case ok:
				b.WriteString(value)
				vars = append(vars, variable{name, value})
			case bad == nil:
				bad = fmt.Errorf("variable %s is not defined", name)
				hint = fmt.Sprintf("set it in the environment or in .env, or write ${%s:-default}; $${ stands for the text ${", name)
			}
		}
		s = rest
	}
}

// variable is one that was replaced.
type variable struct{ name, value string }

func isVariable(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// clip shortens text that is quoted in an error.
func clip(s string) string {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 && i < 80 {
		return s[:i] + "…"
	}
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
