package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// Schema returns the JSON Schema (2020-12) of distropack.yml for editors: keys,
// types, words and what they mean. What it accepts Parse may still refuse; what
// Parse accepts, it accepts too, but for keys without a value.
func Schema(o Options) ([]byte, error) {
	g := &schemas{opts: o, defs: make(map[string]*schema)}
	root := g.object(reflect.TypeFor[Project]())
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "distropack.yml"
	root.Required = []string{"version", "project"}
	root.Patterns = map[string]*schema{"^x-": {Description: "Holds anchors; not read otherwise."}}
	root.Defs = g.defs
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(root)
	return b.Bytes(), err
}

// schema is the part of JSON Schema that is used here.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // string or []string
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Patterns    map[string]*schema `json:"patternProperties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false or *schema
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

type schemas struct {
	opts Options
	defs map[string]*schema
}

// variableSchema is text with a ${VAR}, which may stand for any scalar.
func variableSchema() *schema { return &schema{Type: "string", Pattern: `\$\{`} }

func orVariable(s *schema) *schema { return &schema{AnyOf: []*schema{s, variableSchema()}} }

// of returns the schema of a value of t. enum and extra narrow its text.
func (g *schemas) of(t reflect.Type, enum []string) *schema {
	switch {
	case t == channelsType:
		return &schema{Type: "object", Additional: &schema{AnyOf: []*schema{g.of(channelType, nil), {Type: "null"}}}}
	case t == serviceType:
		return &schema{AnyOf: []*schema{{Type: "string"}, g.ref(t)}}
	case t == reflect.TypeFor[Bytes]():
		return orVariable(&schema{Type: []string{"string", "integer"}, Pattern: `^[0-9]+ ?([kKMGT]i?B|B)?$`})
	case t == reflect.TypeFor[Mode]():
		return orVariable(&schema{Type: []string{"string", "integer"}, Pattern: `^(0o)?[0-7]{1,5}$`})
	case t == reflect.TypeFor[Duration](), t == durationType:
		return orVariable(&schema{Type: []string{"string", "integer"}, Pattern: `^[0-9.]+[a-zµ]|^0$`})
	case isText(t):
		return &schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem(), enum)
	case reflect.String:
		if enum != nil {
			return orVariable(&schema{Enum: enum})
		}
		return &schema{Type: []string{"string", "number"}}
	case reflect.Bool:
		return orVariable(&schema{Type: "boolean"})
	case reflect.Float32, reflect.Float64:
		return orVariable(&schema{Type: "number"})
	case reflect.Slice:
		return &schema{Type: "array", Items: g.of(t.Elem(), enum)}
	case reflect.Map:
		item := g.of(t.Elem(), enum)
		if t.Elem().Kind() == reflect.String && enum == nil {
			item = &schema{Type: []string{"string", "number", "boolean"}}
		}
		return &schema{Type: "object", Additional: item}
	case reflect.Struct:
		return g.ref(t)
	}
	return orVariable(&schema{Type: "integer"})
}

// ref puts structs of this package under $defs. Those of formats and clients stay
// in place, since several packages call theirs Options.
func (g *schemas) ref(t reflect.Type) *schema {
	if t.PkgPath() != packageType.PkgPath() {
		return g.object(t)
	}
	name := strings.ToLower(t.Name())
	if _, ok := g.defs[name]; !ok {
		g.defs[name] = &schema{}
		*g.defs[name] = *g.object(t)
	}
	return &schema{Ref: "#/$defs/" + name}
}

func (g *schemas) object(t reflect.Type) *schema {
	o := &schema{Type: "object", Properties: make(map[string]*schema), Additional: false}
	for _, f := range fieldsOf(t) {
		s := g.of(f.typ, f.enum)
		g.words(t, f.name, s)
		s.Description = f.doc
		o.Properties[f.name] = s
	}
	for name, options := range g.opts.sections(t) {
		s := &schema{Type: []string{"object", "null"}, Additional: false}
		if options != nil {
			s = g.of(reflect.TypeOf(options).Elem(), nil)
		}
		s.Description = "Options of " + name + "."
		o.Properties[name] = s
	}
	switch t {
	case siteType:
		o.Required = []string{"site"}
	case reflect.TypeFor[Content]():
		o.Required = []string{"dst"}
	case serviceType:
		o.Required = []string{"src"}
	}
	return o
}

// words adds the names of formats and clients, which no tag can hold.
func (g *schemas) words(t reflect.Type, name string, s *schema) {
	names := g.opts.sectionNames(packageType)
	switch {
	case t == packageType && name == "formats":
		s.Items = orVariable(&schema{Enum: names})
	case t == reflect.TypeFor[Content]() && name == "packager":
		*s = *orVariable(&schema{Enum: names})
	case t == siteType && name == "clients":
		s.Items = orVariable(&schema{Enum: g.opts.clientNames()})
	case t == packageType && name == "overrides":
		item := s.Additional
		s.Additional, s.Properties = false, make(map[string]*schema)
		for _, n := range names {
			if isLinux(n) {
				s.Properties[n] = item.(*schema)
			}
		}
	case name == "priority" && t.PkgPath() == packageType.PkgPath():
		*s = *orVariable(&schema{Enum: priorities})
	}
}

// sections maps the keys of a package or site that formats and clients decode to
// a pointer to their options, nil where they have none.
func (o *Options) sections(t reflect.Type) map[string]any {
	m := make(map[string]any)
	switch t {
	case packageType:
		for _, k := range o.Formats {
			m[k.Name] = k.Options
		}
	case siteType:
		for _, k := range o.Clients {
			m[k.Name] = k.Options
		}
		for _, k := range o.Places {
			m[k.Name] = k.Options
			if k.Name == tapPlace {
				m["tap"] = k.Options
			}
		}
	}
	return m
}
