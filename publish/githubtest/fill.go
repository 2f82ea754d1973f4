package githubtest

import (
	"maps"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// fill adds the fields that a schema requires and the double has nothing to say
// of, with empty values of the right type, in objects within too.
func (s *Server) fill(schema string, have map[string]any) map[string]any {
	return s.filled(s.desc.doc.Components.Schemas[schema].Value, have)
}

func (s *Server) filled(schema *openapi3.Schema, have map[string]any) map[string]any {
	all := maps.Clone(have)
	if all == nil {
		all = make(map[string]any)
	}
	for _, part := range schema.AllOf {
		all = s.filled(part.Value, all)
	}
	for name, p := range schema.Properties {
		if inner, ok := all[name].(map[string]any); ok {
			all[name] = s.filled(p.Value, inner)
		}
	}
	for _, name := range schema.Required {
		if _, ok := all[name]; !ok {
			all[name] = s.empty(name, schema.Properties[name].Value)
		}
	}
	return all
}

// empty is a value of a schema that says nothing.
func (s *Server) empty(name string, p *openapi3.Schema) any {
	switch {
	case p.Nullable:
		return nil
	case len(p.Enum) > 0:
		return p.Enum[0]
	case len(p.OneOf) > 0:
		return s.empty(name, p.OneOf[0].Value)
	case len(p.AnyOf) > 0 && p.Type == nil:
		return s.empty(name, p.AnyOf[0].Value)
	case p.Format == "date-time":
		return "2026-01-02T03:04:05Z"
	case p.Format == "uri" || strings.HasSuffix(name, "url"):
		return s.URL + name
	case p.Type.Is("integer") || p.Type.Is("number"):
		return 0
	case p.Type.Is("boolean"):
		return false
	case p.Type.Is("array"):
		return []any{}
	case p.Type.Is("object") || len(p.Properties) > 0 || len(p.AllOf) > 0:
		return s.filled(p, nil)
	}
	return ""
}
