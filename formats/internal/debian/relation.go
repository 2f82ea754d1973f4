package debian

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Relation says what one relation field can hold.
type Relation struct {
	Field        string // its name, for errors: "Depends"
	Alternatives bool   // "a | b"
	Versions     string // the operators allowed, separated by blanks; "" for none
	Name         func(string) error
}

// AllVersions are the operators of dependencies.
const AllVersions = "<< <= = >= >>"

var operators = map[string]string{"<": "<<", "<=": "<=", "=": "=", ">=": ">=", ">": ">>"}

// Render returns entries as the value of the field: "a (>= 1) | b, c". It refuses
// what the field can't say.
func (r *Relation) Render(entries []string) (string, error) {
	var all []string
	for _, e := range entries {
		text, err := r.entry(e)
		if err != nil {
			return "", err
		}
		all = append(all, text)
	}
	return strings.Join(all, ", "), nil
}

func (r *Relation) entry(e string) (string, error) {
	if strings.Contains(e, ",") {
		return "", fmt.Errorf("%s: %q has a comma; make it two entries", r.Field, e)
	}
	parts := strings.Split(e, "|")
	if len(parts) > 1 && !r.Alternatives {
		return "", fmt.Errorf("%s: %q has alternatives, which this field can't say; name one package", r.Field, e)
	}
	for i, part := range parts {
		rel, ok := formats.ParseRelation(part)
		if !ok {
			return "", fmt.Errorf(`%s: %q is no relation of this format; write "name", "name >= 1.2" or "a | b"`, r.Field, e)
		}
		if err := r.Name(rel.Name); err != nil {
			return "", fmt.Errorf("%s: %q: %w", r.Field, e, err)
		}
		parts[i] = rel.Name
		if rel.Op == "" {
			continue
		}
		op := operators[rel.Op]
		if !slices.Contains(strings.Fields(r.Versions), op) {
			if r.Versions == "" {
				return "", fmt.Errorf("%s: %q has a version, which this field can't say", r.Field, e)
			}
			return "", fmt.Errorf("%s: %q: %s is not allowed in this field, only %s", r.Field, e, rel.Op, r.Versions)
		}
		if err := CheckVersion(rel.Version); err != nil {
			return "", fmt.Errorf("%s: %q: %w", r.Field, e, err)
		}
		parts[i] += " (" + op + " " + rel.Version + ")"
	}
	return strings.Join(parts, " | "), nil
}
