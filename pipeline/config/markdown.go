package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Markdown returns the reference of distropack.yml, docs/config.md, from the same
// types that Parse fills.
func Markdown(o Options) ([]byte, error) {
	m := &reference{opts: o, seen: make(map[reflect.Type]bool)}
	m.b.WriteString(`# distropack.yml

<!-- Generated from pipeline/config; do not edit. -->

One file in the project describes its packages and where they are published. All
mistakes in it are reported at once, each with line and column. Unknown keys are
mistakes.

` + "`${VAR}`" + ` in any value stands for a variable of the environment or, where it is not
there, of ` + "`.env`" + `; ` + "`${VAR:-default}`" + ` gives a default, and ` + "`$${`" + ` stands for the text
` + "`${`" + `. A variable that is not defined is a mistake. YAML anchors, aliases and merge
keys (` + "`<<`" + `) work; keys at the top that begin with ` + "`x-`" + ` are there to hold anchors.

Paths are relative to the file's folder and never leave it.

`)
	m.table("", reflect.TypeFor[Project]())
	m.b.WriteString("# manifest.yaml\n\nThe manifest of a package directory, beside `assets/` and `scripts/`. Variables\nare not replaced in it.\n\n")
	m.table("", reflect.TypeFor[Manifest]())
	return append(bytes.TrimRight(m.b.Bytes(), "\n"), '\n'), nil
}

type reference struct {
	b    bytes.Buffer
	opts Options
	seen map[reflect.Type]bool
}

// table writes the keys of a struct, then those of the structs in it.
func (m *reference) table(path string, t reflect.Type) {
	if path != "" {
		fmt.Fprintf(&m.b, "## %s\n\n", path)
	}
	m.b.WriteString("| key | value | meaning |\n|---|---|---|\n")
	type inner struct {
		path string
		t    reflect.Type
	}
	var next []inner
	visit := func(name string, ft reflect.Type) {
		p, st := nested(joinPath(path, name), ft)
		if st != nil && !m.seen[st] {
			// Options of formats and clients may share a type; show it each time.
			m.seen[st] = st.PkgPath() == packageType.PkgPath()
			next = append(next, inner{p, st})
		}
	}
	for _, f := range fieldsOf(t) {
		fmt.Fprintf(&m.b, "| `%s` | %s | %s |\n", f.name, m.kindOf(f.typ, f.enum), cell(f.doc))
		visit(f.name, f.typ)
	}
	sections := m.opts.sections(t)
	for _, name := range sortedKeys(sections) {
		if o := sections[name]; o != nil {
			fmt.Fprintf(&m.b, "| `%s` | mapping | Options of %s. |\n", name, name)
			visit(name, reflect.TypeOf(o))
		}
	}
	m.b.WriteByte('\n')
	for _, n := range next {
		m.table(n.path, n.t)
	}
}

// nested returns the struct that a value of t holds and how its path is written:
// packages[], sources.NAME.
func nested(path string, t reflect.Type) (string, reflect.Type) {
	if t == channelsType {
		return path + ".NAME", channelType
	}
	if isText(t) || t == durationType {
		return "", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nested(path, t.Elem())
	case reflect.Slice:
		return nested(path+"[]", t.Elem())
	case reflect.Map:
		return nested(path+".NAME", t.Elem())
	case reflect.Struct:
		return path, t
	}
	return "", nil
}

// kindOf describes the values of a key.
func (m *reference) kindOf(t reflect.Type, enum []string) string {
	switch {
	case enum != nil:
		words := make([]string, len(enum))
		for i, w := range enum {
			words[i] = "`" + w + "`"
		}
		s := cell(strings.Join(words, ", "))
		if t.Kind() == reflect.Slice {
			return "list of " + s
		}
		return s
	case t == channelsType:
		return "mappings by name"
	case t == reflect.TypeFor[formats.Platform]():
		return "platform"
	case t == serviceType:
		return "mapping or text"
	case t == reflect.TypeFor[Bytes]():
		return "size"
	case t == reflect.TypeFor[Mode]():
		return "octal"
	case t == reflect.TypeFor[Duration](), t == durationType:
		return "length of time"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.kindOf(t.Elem(), nil)
	case reflect.Slice:
		return "list: " + m.kindOf(t.Elem(), nil)
	case reflect.Map:
		return m.kindOf(t.Elem(), nil) + " by name"
	case reflect.Struct:
		return "mapping"
	}
	return wanted(t)
}

// cell escapes text for a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`).Replace(s)
}
