package brew

import (
	"regexp"
	"strings"
)

var licenseID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]*$`)

// license returns an SPDX expression in Homebrew's form: "MIT",
// any_of: ["MIT", "Apache-2.0"]. Where Homebrew has none, it is
// :cannot_represent.
func license(expression string) string {
	p := &licenses{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))}
	node, ok := p.either(0)
	if !ok || len(p.words) > 0 {
		return ":cannot_represent"
	}
	return node.render(true)
}

// licenses reads an expression word by word.
type licenses struct{ words []string }

// maxDepth bounds parentheses.
const maxDepth = 20

type licenseNode struct {
	id, exception string
	op            string // any_of, all_of
	parts         []licenseNode
}

func (p *licenses) next(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *licenses) either(depth int) (licenseNode, bool) {
	return p.joined("or", "any_of", func() (licenseNode, bool) {
		return p.joined("and", "all_of", func() (licenseNode, bool) { return p.one(depth) })
	})
}

func (p *licenses) joined(word, op string, read func() (licenseNode, bool)) (licenseNode, bool) {
	n := licenseNode{op: op}
	for {
		part, ok := read()
		if !ok {
			return n, false
		}
		n.parts = append(n.parts, part)
		if !p.next(word) {
			break
		}
	}
	if len(n.parts) == 1 {
		return n.parts[0], true
	}
	return n, true
}

func (p *licenses) one(depth int) (licenseNode, bool) {
	if depth > maxDepth || len(p.words) == 0 {
		return licenseNode{}, false
	}
	if p.next("(") {
		n, ok := p.either(depth + 1)
		return n, ok && p.next(")")
	}
	n := licenseNode{id: p.words[0]}
	p.words = p.words[1:]
	if !licenseID.MatchString(n.id) || strings.HasPrefix(n.id, "LicenseRef-") {
		return n, false
	}
	if p.next("with") {
		if len(p.words) == 0 || !licenseID.MatchString(p.words[0]) {
			return n, false
		}
		n.exception = p.words[0]
		p.words = p.words[1:]
	}
	return n, true
}

// render leaves out the braces of the outermost hash, as Ruby's calls do.
func (n licenseNode) render(outer bool) string {
	s := quote(n.id)
	switch {
	case n.op != "":
		var parts []string
		for _, p := range n.parts {
			parts = append(parts, p.render(false))
		}
		s = n.op + ": [" + strings.Join(parts, ", ") + "]"
	case n.exception != "":
		s += " => { with: " + quote(n.exception) + " }"
	default:
		return s
	}
	if outer {
		return s
	}
	return "{ " + s + " }"
}
