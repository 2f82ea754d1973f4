package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/distropack/distropack/pipeline/config"
)

// schemaDoc is a JSON Schema with the few keywords that Schema writes. Any other
// keyword fails the test, so that none goes unchecked.
type schemaDoc struct {
	root map[string]any
}

func (d *schemaDoc) check(s map[string]any, v any, path string) []string {
	var bad []string
	fail := func(format string, args ...any) { bad = append(bad, path+": "+fmt.Sprintf(format, args...)) }
	for _, key := range slices.Sorted(mapKeys(s)) {
		arg := s[key]
		switch key {
		case "$schema", "title", "description", "$defs":
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/$defs/")
			target, ok := d.root["$defs"].(map[string]any)[name].(map[string]any)
			if !ok {
				fail("no definition %v", arg)
				continue
			}
			bad = append(bad, d.check(target, v, path)...)
		case "type":
			want := []any{arg}
			if list, ok := arg.([]any); ok {
				want = list
			}
			if !slices.ContainsFunc(want, func(t any) bool { return isType(v, t.(string)) }) {
				fail("%v is not a %v", v, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				fail("%v is none of %v", v, arg)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
				fail("%q does not match %v", text, arg)
			}
		case "anyOf":
			var all []string
			ok := false
			for _, alt := range arg.([]any) {
				errs := d.check(alt.(map[string]any), v, path)
				ok = ok || len(errs) == 0
				all = append(all, errs...)
			}
			if !ok {
				bad = append(bad, all...)
			}
		case "items":
			list, _ := v.([]any)
			for i, item := range list {
				bad = append(bad, d.check(arg.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "required":
			m, ok := v.(map[string]any)
			for _, k := range arg.([]any) {
				if _, has := m[k.(string)]; ok && !has {
					fail("%v is missing", k)
				}
			}
		case "properties", "patternProperties", "additionalProperties":
			// Seen together below.
		default:
			fail("the schema has the keyword %q, which this test does not know", key)
		}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return bad
	}
	props, _ := s["properties"].(map[string]any)
	patterns, _ := s["patternProperties"].(map[string]any)
	for k, item := range m {
		if p, ok := props[k].(map[string]any); ok {
			bad = append(bad, d.check(p, item, path+"."+k)...)
			continue
		}
		matched := false
		for pattern := range patterns {
			matched = matched || regexp.MustCompile(pattern).MatchString(k)
		}
		if matched {
			continue
		}
		switch add := s["additionalProperties"].(type) {
		case bool:
			if !add {
				fail("unknown key %q", k)
			}
		case map[string]any:
			bad = append(bad, d.check(add, item, path+"."+k)...)
		}
	}
	return bad
}

func mapKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func isType(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func schemaOf(t *testing.T) *schemaDoc {
	t.Helper()
	o := options(nil)
	text, err := config.Schema(o)
	if err != nil {
		t.Fatal(err)
	}
	d := &schemaDoc{}
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// asJSON reads YAML as an editor's language server does.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchemaAcceptsEveryExample(t *testing.T) {
	d := schemaOf(t)
	for name, data := range examples(t) {
		for _, bad := range d.check(d.root, asJSON(t, data), "") {
			t.Errorf("%s%s", name, bad)
		}
	}
}

// TestSchemaRefusesWrongDocuments takes those cases whose mistake a schema can
// see.
func TestSchemaRefusesWrongDocuments(t *testing.T) {
	d := schemaOf(t)
	for _, name := range []string{"unknown-keys", "wrong-types", "sections", "missing-everything", "wrong-packages", "shared-block", "not-a-mapping"} {
		data, err := os.ReadFile(filepath.Join("testdata/errors", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		if bad := d.check(d.root, asJSON(t, parseArchive(data).files[0].data), ""); len(bad) == 0 {
			t.Errorf("%s was accepted", name)
		}
	}
	for text, want := range map[string]string{
		"packages: [{formats: [dbe]}]":                      "dbe is none of",
		"packages: [{contents: [{dst: /a, type: conifg}]}]": "conifg is none of",
		"packages: [{deb: {compression: lzma}}]":            "lzma is none of",
		"packages: [{overrides: {zip: {}}}]":                `unknown key "zip"`,
		"publish: [{url: x}]":                               "site is missing",
		"publish: [{site: a, clients: [yum]}]":              "yum is none of",
		"priority: high":                                    "high is none of",
		"packages: [{contents: [{dst: /a, mode: 0o9}]}]":    "",
	} {
		bad := d.check(d.root, asJSON(t, []byte("version: 1\nproject: a\n"+text)), "")
		if len(bad) == 0 || !strings.Contains(strings.Join(bad, "\n"), want) {
			t.Errorf("%s: %q, want %q", text, bad, want)
		}
	}
}

func TestSchemaIsDeterministic(t *testing.T) {
	o := options(nil)
	a, _ := config.Schema(o)
	for range 5 {
		if b, _ := config.Schema(o); !bytes.Equal(a, b) {
			t.Fatal("two schemas differ")
		}
	}
}

// TestDocs compares the reference with the one made for the formats and clients
// of these tests.
func TestDocs(t *testing.T) {
	o := options(nil)
	got, err := config.Markdown(o)
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/config.md"
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, name); string(got) != want {
		t.Errorf("%s is not what the types say; run go test -run TestDocs -update", name)
	}
}

// TestEveryKeyIsDocumented walks all types: a key without doc would be an empty
// row in the reference.
func TestEveryKeyIsDocumented(t *testing.T) {
	seen := make(map[reflect.Type]bool)
	var walk func(t reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Map, reflect.Pointer:
			walk(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] || typ == reflect.TypeFor[config.Pos]() || !strings.HasSuffix(typ.PkgPath(), "pipeline/config") {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag := f.Tag.Get("yaml")
			if f.IsExported() && tag != "-" && tag != ",inline" && (f.Tag.Get("doc") == "" || tag == "") {
				t.Errorf("%s.%s has no doc or no name", typ, f.Name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[config.Project]())
	walk(reflect.TypeFor[config.Manifest]())
	if len(seen) < 10 {
		t.Errorf("only %d types were seen", len(seen))
	}
}
