package rpm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// relation is one entry of a kind of relations in a header.
type relation struct {
	name    string
	flags   uint32
	version string
}

// relationSet is one kind of relations, with what may be said in it.
type relationSet struct {
	word string // for errors
	rich bool   // takes "(a or b)"
	any  bool   // in which one part of a rich relation that holds is enough: a conflict
	list []relation
}

// add parses an entry of a Spec. extra are flags set besides the comparison.
func (set *relationSet) add(s string, extra uint32) error {
	r, err := parseRelation(s, set.any)
	if err != nil {
		return fmt.Errorf("%s: %w", set.word, err)
	}
	if strings.HasPrefix(r.name, "(") && !set.rich {
		return fmt.Errorf("%s: %q: rpm takes alternatives and other rich relations only in depends, predepends, conflicts, recommends, suggests and the fields Supplements and Enhances", set.word, s)
	}
	r.flags |= extra
	set.list = append(set.list, r)
	return nil
}

// sorted returns the relations by name, flags and version, each once.
func (set *relationSet) sorted() []relation {
	list := slices.Clone(set.list)
	slices.SortFunc(list, func(a, b relation) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.flags, b.flags), strings.Compare(a.version, b.version))
	})
	return slices.Compact(list)
}

// parseRelation reads the shared spelling, alternatives among it, and rpm's own:
// "pkgconfig(zlib) >= 1.2", "/usr/bin/env", "(a or b)". any is as for checkRich.
func parseRelation(s string, any bool) (relation, error) {
	s = strings.TrimSpace(s)
	if r, ok := formats.ParseRelation(s); ok {
		return plainRelation(s, r)
	}
	if rs, ok := formats.Alternatives(s); ok {
		return alternative(s, rs)
	}
	if strings.HasPrefix(s, "(") {
		if err := checkRich(s, any); err != nil {
			return relation{}, fmt.Errorf("relation %q: %w", s, err)
		}
		return relation{name: s}, nil
	}
	// ParseRelation takes the parenthesis of "perl(Carp)" for a comparison.
	words := strings.Fields(s)
	r := formats.Relation{}
	switch len(words) {
	case 1:
		r.Name = words[0]
	case 3:
		r.Name, r.Op, r.Version = words[0], words[1], words[2]
		if r.Op == "==" {
			r.Op = "="
		}
	default:
		return relation{}, fmt.Errorf("relation %q is not of the form name, name >= version or (a or b)", s)
	}
	return plainRelation(s, r)
}

var senses = map[string]uint32{
	"":   0,
	"<":  senseLess,
	"<=": senseLess | senseEqual,
	"=":  senseEqual,
	">=": senseGreater | senseEqual,
	">":  senseGreater,
}

func plainRelation(s string, r formats.Relation) (relation, error) {
	if err := checkRelationName(r.Name); err != nil {
		return relation{}, fmt.Errorf("relation %q: %w", s, err)
	}
	flags, ok := senses[r.Op]
	if !ok {
		return relation{}, fmt.Errorf("relation %q: unknown comparison %q; rpm knows < <= = >= >", s, r.Op)
	}
	if r.Op != "" && !legalEVR(r.Version) {
		return relation{}, fmt.Errorf("relation %q: version %q is not of the form [epoch:]version[-release] of letters, digits and . _ + ~ ^", s, r.Version)
	}
	return relation{r.Name, flags, r.Version}, nil
}

// alternative renders "a | b >= 1" as "(a or b >= 1)".
func alternative(s string, rs []formats.Relation) (relation, error) {
	parts := make([]string, len(rs))
	for i, r := range rs {
		if _, err := plainRelation(s, r); err != nil {
			return relation{}, err
		}
		parts[i] = r.Name
		if r.Op != "" {
			parts[i] += " " + r.Op + " " + r.Version
		}
	}
	return relation{name: "(" + strings.Join(parts, " or ") + ")"}, nil
}

// checkRelationName refuses what is no name of a package, a file or a capability.
func checkRelationName(name string) error {
	if name == "" || !isAlnum(name[0]) && name[0] != '_' && name[0] != '/' {
		return fmt.Errorf("name %q does not start with a letter, a digit, _ or /", name)
	}
	depth := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return fmt.Errorf("name %q has a ) too many", name)
			}
		case c <= ' ' || c >= 0x7f || strings.IndexByte("<>=,;|&[]{}\"'`\\%", c) >= 0 && depth == 0:
			return fmt.Errorf("name %q has the character %q", name, c)
		}
	}
	if depth != 0 {
		return fmt.Errorf("name %q has a ( too many", name)
	}
	return nil
}

func legalEVR(s string) bool {
	v := parseEVR(s)
	return legalVersion(v.version) && (!v.released || legalVersion(v.release))
}

// relations writes one kind of relations into the header.
func (h *header) relations(name, flags, version tag, list []relation) {
	names, versions := make([]string, len(list)), make([]string, len(list))
	bits := make([]uint32, len(list))
	for i, r := range list {
		names[i], bits[i], versions[i] = r.name, r.flags, r.version
	}
	h.strings(name, names...)
	h.int32s(flags, bits...)
	h.strings(version, versions...)
}
