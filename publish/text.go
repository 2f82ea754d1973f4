package publish

import (
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
)

// readable returns m with every text in UTF-8. Records are kept as JSON, which
// replaces other bytes when they are read back; replaced before the first index
// is rendered, every later one is the same.
func readable(m formats.Meta) formats.Meta {
	clean := func(s string) string {
		if utf8.ValidString(s) {
			return s
		}
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	list := func(all []string) []string {
		for i, s := range all {
			if utf8.ValidString(s) {
				continue
			}
			out := make([]string, len(all))
			copy(out, all[:i])
			for j := i; j < len(all); j++ {
				out[j] = clean(all[j])
			}
			return out
		}
		return all
	}
	m.Name, m.Version, m.Arch = clean(m.Name), clean(m.Version), clean(m.Arch)
	m.Files, m.Ghosts = list(m.Files), list(m.Ghosts)
	for i, f := range m.Fields {
		if utf8.ValidString(f.Key) && utf8.ValidString(f.Value) {
			continue
		}
		fields := make([]formats.Field, len(m.Fields))
		copy(fields, m.Fields[:i])
		for j := i; j < len(fields); j++ {
			fields[j] = formats.Field{Key: clean(m.Fields[j].Key), Value: clean(m.Fields[j].Value)}
		}
		m.Fields = fields
		break
	}
	return m
}
