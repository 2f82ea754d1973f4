package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// decoder fills Go values from nodes. What it can't fill it reports and leaves
// as it was.
type decoder struct {
	l    *loader
	opts *Options // names the sections of packages and sites; nil: there are none
}

func (d *decoder) fail(n *node, hint, format string, args ...any) {
	d.l.fail(n.pos, n.path(), hint, format, args...)
}

func (d *decoder) value(n *node, v reflect.Value, enum []string) {
	if n.kind == null {
		return
	}
	t := v.Type()
	switch {
	case t == channelsType:
		d.channels(n, v.Addr().Interface().(*Channels))
		return
	case t == serviceType && n.kind == scalar:
		s := v.Addr().Interface().(*Service)
		s.Src, s.Pos = n.text, n.pos
		return
	case t == durationType:
		// Options of formats and clients can't name this package's Duration.
		d.text(n, v, (*Duration)(v.Addr().Interface().(*time.Duration)))
		return
	case isText(t):
		d.text(n, v, v.Addr().Interface().(encoding.TextUnmarshaler))
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, p.Elem(), enum)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v, enum)
	case reflect.Slice:
		d.slice(n, v, enum)
	default:
		d.scalar(n, v, enum)
	}
}

func (d *decoder) mismatch(n *node, t reflect.Type) {
	hint := ""
	switch {
	case t.Kind() == reflect.Slice && n.kind == scalar && len(n.vars) == 0:
		hint = fmt.Sprintf("write [%s]", clip(n.raw))
	case t.Kind() == reflect.Slice:
		hint = "begin each entry with - or write [a, b]"
	case t.Kind() == reflect.String && n.kind == scalar:
		hint = fmt.Sprintf("write %q", clip(n.raw))
	}
	d.fail(n, hint, "found %s, want %s", n.what(), wanted(t))
}

func (d *decoder) text(n *node, v reflect.Value, u encoding.TextUnmarshaler) {
	if n.kind != scalar {
		d.mismatch(n, v.Type())
		return
	}
	err := u.UnmarshalText([]byte(n.text))
	switch {
	case err == nil:
	case len(n.vars) > 0:
		// The error may quote the value, which may be a secret.
		d.fail(n, "", "what %s stands for is not %s", n.shown(), wanted(v.Type()))
	default:
		d.fail(n, "", "%w", err)
	}
}

func (d *decoder) structure(n *node, v reflect.Value) {
	t := v.Type()
	if n.kind != mapping {
		d.mismatch(n, t)
		return
	}
	fields := fieldsOf(t)
	sections := d.opts.sectionNames(t)
	for _, e := range n.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.key })
		switch {
		case i >= 0:
			d.value(e.value, v.FieldByIndex(fields[i].index), fields[i].enum)
		case slices.Contains(sections, e.key):
			options := v.FieldByName("Options")
			if options.IsNil() {
				options.Set(reflect.MakeMap(options.Type()))
			}
			options.SetMapIndex(reflect.ValueOf(e.key), reflect.ValueOf(Section{e.value, d.l.file}))
		case n.parent == nil && isShelf(e.key):
		default:
			known := sections
			for _, f := range fields {
				known = append(known, f.name)
			}
			d.l.fail(e.keyPos, joinPath(n.path(), e.key), suggest(e.key, known), "unknown key %q", clip(e.key))
		}
	}
	if pos := v.FieldByName("Pos"); pos.IsValid() && pos.Type() == posType {
		pos.Set(reflect.ValueOf(n.pos))
	}
}

// isShelf reports whether a key at the top of the file only holds anchors.
func isShelf(key string) bool { return len(key) > 2 && key[:2] == "x-" }

func (d *decoder) mapping(n *node, v reflect.Value, enum []string) {
	t := v.Type()
	if n.kind != mapping || t.Key().Kind() != reflect.String {
		d.mismatch(n, t)
		return
	}
	m := reflect.MakeMapWithSize(t, len(n.entries))
	for _, e := range n.entries {
		item := reflect.New(t.Elem()).Elem()
		// Own variables are text whatever they look like.
		if e.value.kind == scalar && e.value.tag == "!!bool" && t.Elem().Kind() == reflect.String {
			item.SetString(e.value.text)
		} else {
			d.value(e.value, item, enum)
		}
		if item.Kind() == reflect.Struct {
			if pos := item.FieldByName("Pos"); pos.IsValid() && pos.Type() == posType {
				pos.Set(reflect.ValueOf(e.keyPos))
			}
		}
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(t.Key()), item)
	}
	v.Set(m)
}

func (d *decoder) slice(n *node, v reflect.Value, enum []string) {
	if n.kind != list {
		d.mismatch(n, v.Type())
		return
	}
	// The entries keep their numbers, so that items[i] is the node of v[i].
	s := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		if item.kind == null && !d.l.reported(item) {
			d.fail(item, "remove it", "the entry is empty")
			continue
		}
		d.value(item, s.Index(i), enum)
	}
	v.Set(s)
}

func (d *decoder) scalar(n *node, v reflect.Value, enum []string) {
	t := v.Type()
	if n.kind != scalar {
		d.mismatch(n, t)
		return
	}
	ok := false
	switch t.Kind() {
	case reflect.String:
		if ok = n.tag != "!!bool" || len(n.vars) > 0; !ok {
			break
		}
		if enum != nil && !slices.Contains(enum, n.text) {
			d.fail(n, n.suggest(enum), "unknown %s %s", n.name, n.shown())
			return
		}
		v.SetString(n.text)
	case reflect.Bool:
		switch n.text {
		case "true", "True", "TRUE":
			ok = n.tag == "!!bool" || len(n.vars) > 0
			v.SetBool(true)
		case "false", "False", "FALSE":
			ok = n.tag == "!!bool" || len(n.vars) > 0
			v.SetBool(false)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, err := strconv.ParseInt(n.text, 10, t.Bits()); err == nil {
			ok = true
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if i, err := strconv.ParseUint(n.text, 10, t.Bits()); err == nil {
			ok = true
			v.SetUint(i)
		}
	case reflect.Float32, reflect.Float64:
		if f, err := strconv.ParseFloat(n.text, t.Bits()); err == nil {
			ok = true
			v.SetFloat(f)
		}
	}
	if !ok {
		d.mismatch(n, t)
	}
}

// suggest is suggest for the scalar's text; of a variable's value it only lists
// what is known, since closeness would tell of it.
func (n *node) suggest(known []string) string {
	if len(n.vars) > 0 {
		return suggest("", known)
	}
	return suggest(n.text, known)
}

// channels keeps the order of the file.
func (d *decoder) channels(n *node, cs *Channels) {
	if n.kind != mapping {
		d.mismatch(n, channelsType)
		return
	}
	for _, e := range n.entries {
		c := Channel{}
		if e.value.kind != null {
			d.structure(e.value, reflect.ValueOf(&c).Elem())
		}
		c.Name, c.Pos = e.key, e.keyPos
		*cs = append(*cs, c)
	}
}
