package scaffold

import (
	"strconv"
	"strings"
)

// table is a TOML table: strings, []any, table; numbers, dates and truth values
// as their text.
type table map[string]any

// parseTOML reads what manifests use of TOML 1.0. Of a file with mistakes it
// returns what stands before the first one.
func parseTOML(text string) table {
	root := table{}
	s := &tomlText{text}
	at := root
	for {
		s.blank(true)
		switch {
		case s.rest == "":
			return root
		case s.take("[["):
			at = root.open(s.keys(), true)
			if at == nil || !s.take("]]") {
				return root
			}
		case s.take("["):
			at = root.open(s.keys(), false)
			if at == nil || !s.take("]") {
				return root
			}
		default:
			if !s.pair(at, 0) {
				return root
			}
		}
		s.blank(false)
		if s.rest != "" && !s.take("\n") {
			return root
		}
	}
}

// open returns the table at a path, made where it is not there. list appends a
// new one to a list of tables. It is nil where something else is in the way.
func (t table) open(keys []string, list bool) table {
	if len(keys) == 0 {
		return nil
	}
	for i, k := range keys {
		if list && i == len(keys)-1 {
			all, ok := t[k].([]any)
			if t[k] != nil && !ok {
				return nil
			}
			next := table{}
			t[k] = append(all, next)
			return next
		}
		switch v := t[k].(type) {
		case nil:
			next := table{}
			t[k] = next
			t = next
		case table:
			t = v
		case []any:
			last, ok := v[max(len(v)-1, 0):], len(v) > 0
			if !ok {
				return nil
			}
			if t, ok = last[0].(table); !ok {
				return nil
			}
		default:
			return nil
		}
	}
	return t
}

// str returns the string at a path, "" where there is none.
func (t table) str(keys ...string) string {
	if len(keys) > 1 {
		t = t.at(keys[:len(keys)-1]...)
	}
	v, _ := t[keys[len(keys)-1]].(string)
	return v
}

// at returns the table at a path, nil where there is none.
func (t table) at(keys ...string) table {
	for _, k := range keys {
		t, _ = t[k].(table)
	}
	return t
}

// strs returns the strings of the list at a path.
func (t table) strs(keys ...string) []string {
	if len(keys) > 1 {
		t = t.at(keys[:len(keys)-1]...)
	}
	list, _ := t[keys[len(keys)-1]].([]any)
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// tables returns the tables of the list at key.
func (t table) tables(key string) []table {
	list, _ := t[key].([]any)
	var all []table
	for _, v := range list {
		if s, ok := v.(table); ok {
			all = append(all, s)
		}
	}
	return all
}

type tomlText struct{ rest string }

func (s *tomlText) take(prefix string) bool {
	var ok bool
	s.rest, ok = strings.CutPrefix(s.rest, prefix)
	return ok
}

// blank skips spaces and comments, and line ends where lines is set.
func (s *tomlText) blank(lines bool) {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\r")
		switch {
		case strings.HasPrefix(s.rest, "#"):
			if i := strings.IndexByte(s.rest, '\n'); i >= 0 {
				s.rest = s.rest[i:]
			} else {
				s.rest = ""
			}
		case lines && s.take("\n"):
		default:
			return
		}
	}
}

// keys reads a dotted key; nil is a mistake.
func (s *tomlText) keys() []string {
	var keys []string
	for len(keys) < 16 {
		s.blank(false)
		var k string
		if strings.HasPrefix(s.rest, `"`) || strings.HasPrefix(s.rest, "'") {
			var ok bool
			if k, ok = s.str(); !ok {
				return nil
			}
		} else {
			n := strings.IndexFunc(s.rest, func(r rune) bool {
				return !(r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
			})
			if n <= 0 {
				return nil
			}
			k, s.rest = s.rest[:n], s.rest[n:]
		}
		keys = append(keys, k)
		s.blank(false)
		if !s.take(".") {
			return keys
		}
	}
	return nil
}

func (s *tomlText) pair(t table, depth int) bool {
	keys := s.keys()
	if keys == nil || !s.take("=") {
		return false
	}
	v, ok := s.value(depth)
	if !ok {
		return false
	}
	if len(keys) > 1 {
		if t = t.open(keys[:len(keys)-1], false); t == nil {
			return false
		}
	}
	t[keys[len(keys)-1]] = v
	return true
}

func (s *tomlText) value(depth int) (any, bool) {
	s.blank(false)
	switch {
	case depth > 16 || s.rest == "":
		return nil, false
	case s.rest[0] == '"' || s.rest[0] == '\'':
		return s.str()
	case s.take("["):
		list := []any{}
		for {
			s.blank(true)
			if s.take("]") {
				return list, true
			}
			v, ok := s.value(depth + 1)
			if !ok {
				return nil, false
			}
			list = append(list, v)
			s.blank(true)
			if !s.take(",") && !strings.HasPrefix(s.rest, "]") {
				return nil, false
			}
		}
	case s.take("{"):
		t := table{}
		for {
			s.blank(true)
			if s.take("}") {
				return t, true
			}
			if !s.pair(t, depth+1) {
				return nil, false
			}
			s.blank(true)
			if !s.take(",") && !strings.HasPrefix(s.rest, "}") {
				return nil, false
			}
		}
	}
	n := strings.IndexAny(s.rest, ",]}#\n")
	if n < 0 {
		n = len(s.rest)
	}
	word := strings.TrimSpace(s.rest[:n])
	s.rest = s.rest[n:]
	// Not a string: a manifest that says version = 1 means no text.
	return bare(word), word != ""
}

// bare is a number, date or truth value.
type bare string

// str reads one of TOML's four kinds of strings.
func (s *tomlText) str() (string, bool) {
	for _, q := range []string{`"""`, "'''", `"`, "'"} {
		if !strings.HasPrefix(s.rest, q) {
			continue
		}
		body := s.rest[len(q):]
		for i := 0; i < len(body); i++ {
			switch {
			case q[0] == '"' && body[i] == '\\':
				i++
			case len(q) == 1 && body[i] == '\n':
				return "", false
			case strings.HasPrefix(body[i:], q):
				s.rest = body[i+len(q):]
				text := strings.TrimPrefix(body[:i], map[bool]string{true: "\n"}[len(q) == 3])
				if q[0] == '"' {
					text = unescape(text)
				}
				return text, true
			}
		}
		return "", false
	}
	return "", false
}

var escapes = map[byte]string{'b': "\b", 't': "\t", 'n': "\n", 'f': "\f", 'r': "\r", '"': `"`, '\\': `\`}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if e, ok := escapes[s[i]]; ok {
			b.WriteString(e)
			continue
		}
		switch width := map[byte]int{'u': 4, 'U': 8}[s[i]]; {
		case width > 0 && i+width < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+1+width], 16, 32); err == nil {
				b.WriteRune(rune(n))
			}
			i += width
		case s[i] == '\n' || s[i] == ' ':
			// A line that ends in \ goes on in the next.
			for i+1 < len(s) && strings.IndexByte(" \t\n", s[i+1]) >= 0 {
				i++
			}
		}
	}
	return b.String()
}
