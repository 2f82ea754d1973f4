package rpm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// maxRichDepth bounds how deep parentheses may nest.
const maxRichDepth = 16

// checkRich refuses what rpm would not take as a rich relation, since rpm says
// so only on the machine of whoever installs the package:
//
//	rich    = "(" operand { operator operand } ")"
//	operand = rich | name [ comparison version ]
//
// One parenthesis holds one operator: and, or, with may repeat; if and unless
// may be followed by else. Where all must hold (any is false), unless makes no
// sense, and where one suffices (any is true), if makes none.
func checkRich(s string, any bool) error {
	p := richParser{words: richWords(s)}
	n, err := p.rich(1)
	if err != nil {
		return err
	}
	if len(p.words) != 0 {
		return fmt.Errorf("%q follows the closing parenthesis", p.words[0])
	}
	if any {
		return n.check("or")
	}
	return n.check("and")
}

// richNode is an operator and its operands; without an operator it is a name.
type richNode struct {
	op   string
	kids []richNode
}

// check applies rpm's rules on what may stand in what. parent is the operator
// above, "" where it sets no bound.
func (n *richNode) check(parent string) error {
	within := parent == "with" || parent == "without"
	switch {
	case n.op == "":
		return nil
	case within && n.op != "with" && n.op != "without" && n.op != "or":
		return fmt.Errorf("%q can't stand below %q", n.op, parent)
	case n.op == "if" && (parent == "or" || parent == "unless"):
		return errors.New(`"if" makes no sense where one of several suffices; use "and"`)
	case n.op == "unless" && (parent == "and" || parent == "if"):
		return errors.New(`"unless" makes no sense where all must hold; use "or"`)
	}
	for i, kid := range n.kids {
		below := n.op
		if within {
			below = parent
		}
		if i == 1 && (n.op == "if" || n.op == "unless") { // the condition stands on its own
			below = ""
		}
		if err := kid.check(below); err != nil {
			return err
		}
	}
	return nil
}

// richWords splits at blanks and at parentheses that are not part of a name:
// "(perl(Carp) or b)" is ( perl(Carp) or b ).
func richWords(s string) []string {
	var words []string
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		if s[0] == '(' || s[0] == ')' {
			words = append(words, s[:1])
			s = s[1:]
			continue
		}
		depth, n := 0, 0
		for ; n < len(s) && s[n] != ' ' && (s[n] != ')' || depth > 0); n++ {
			switch s[n] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		words = append(words, s[:n])
		s = s[n:]
	}
	return words
}

type richParser struct{ words []string }

// next takes a word; "" is the end.
func (p *richParser) next() string {
	w := p.peek()
	if w != "" {
		p.words = p.words[1:]
	}
	return w
}

func (p *richParser) peek() string { return at(p.words, 0) }

func (p *richParser) rich(depth int) (richNode, error) {
	var n richNode
	if depth > maxRichDepth {
		return n, fmt.Errorf("parentheses nest more than %d deep", maxRichDepth)
	}
	p.next()
	for {
		kid, err := p.operand(depth)
		if err != nil {
			return n, err
		}
		n.kids = append(n.kids, kid)
		switch op := p.next(); {
		case op == ")" && n.op == "": // a parenthesis around one operand
			return n.kids[0], nil
		case op == ")":
			return n, nil
		case op == "":
			return n, errors.New("a closing parenthesis is missing")
		case op == "else":
			if n.op != "if" && n.op != "unless" || len(n.kids) != 2 {
				return n, errors.New(`"else" does not follow "if" or "unless"`)
			}
		case !strings.Contains(" and or with without if unless ", " "+op+" "):
			return n, fmt.Errorf("%q is no operator; rpm knows and, or, if, else, unless, with, without", op)
		case n.op == "":
			n.op = op
		case op != n.op || op != "and" && op != "or" && op != "with":
			return n, fmt.Errorf("%q after %q needs parentheses of its own", op, n.op)
		}
	}
}

func (p *richParser) operand(depth int) (richNode, error) {
	if p.peek() == "(" {
		return p.rich(depth + 1)
	}
	r := formats.Relation{Name: p.next()}
	if p.peek() != "" && senses[p.peek()] != 0 {
		r.Op, r.Version = p.next(), p.next()
	}
	_, err := plainRelation(r.Name, r)
	return richNode{}, err
}
