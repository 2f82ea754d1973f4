package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	maxFile  = 128 << 10 // bytes; far above every honest file, and yaml.v3 is slow beyond
	maxNodes = 20_000    // keys and values, those that aliases repeat counted each time
	maxDepth = 64
	maxKey   = 200
)

// loader reads the text of a file into nodes.
type loader struct {
	file  string
	env   func(string) (string, bool) // nil: ${} is text
	first string                      // what to do about an empty file
	errs  Errors
	nodes int
	over  bool                // the cap on nodes was met and reported
	above map[*yaml.Node]bool // anchors being expanded
}

func (l *loader) fail(pos Pos, path, hint, format string, args ...any) {
	// Nobody reads more, and looking errors up takes time.
	if len(l.errs) >= maxKept {
		return
	}
	l.errs = append(l.errs, &Error{l.file, pos.Line, pos.Col, path, fmt.Errorf(format, args...), hint})
}

// reported reports whether there is an error at n's place already.
func (l *loader) reported(n *node) bool {
	for _, e := range l.errs {
		if e.Line == n.pos.Line && e.Col == n.pos.Col {
			return true
		}
	}
	return false
}

// load returns the root, a mapping, or nil where errs say why not. Errors of
// single values leave the root usable.
func (l *loader) load(data []byte) *node {
	data, ok := l.text(data)
	if !ok {
		return nil
	}
	root, ok := l.parse(data)
	if !ok {
		return nil
	}
	if n := count(root, maxNodes); n > maxNodes {
		l.fail(Pos{1, 1}, "", "split it into several files", "the file has more than %d keys and values", maxNodes)
		return nil
	}
	l.above = make(map[*yaml.Node]bool)
	n := l.build(root.Content[0], nil, "", 0)
	if l.over {
		return nil
	}
	if n.kind != mapping {
		l.fail(n.pos, "", "write lines of the form key: value", "found %s, want a mapping", n.what())
		return nil
	}
	return n
}

// text refuses what is no text, and returns the rest as UTF-8 with \n ends.
func (l *loader) text(data []byte) ([]byte, bool) {
	if len(data) > maxFile {
		l.fail(Pos{}, "", "split it into several files", "the file has %d bytes, the most is %d", len(data), maxFile)
		return nil, false
	}
	for _, bom := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(bom)) {
			l.fail(Pos{1, 1}, "", "save it as UTF-8", "the file is UTF-16")
			return nil, false
		}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	line, col := 1, 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			l.fail(Pos{line, col}, "", "save it as UTF-8", "the byte %#02x is not UTF-8", rest[0])
			return nil, false
		case r < ' ' && r != '\n' && r != '\t' && r != '\r', r == 0x7f, r == '\ufeff':
			l.fail(Pos{line, col}, "", "remove it", "the control character %U is not allowed", r)
			return nil, false
		}
		rest, col = rest[size:], col+1
		if r == '\n' || r == '\r' {
			line, col = line+1, 1
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		l.fail(Pos{}, "", l.first, "the file is empty")
		return nil, false
	}
	return data, true
}

func (l *loader) parse(data []byte) (*yaml.Node, bool) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	if err := decodeYAML(dec, &root); err != nil {
		if errors.Is(err, io.EOF) {
			l.fail(Pos{}, "", l.first, "the file is empty")
			return nil, false
		}
		l.syntax(data, err)
		return nil, false
	}
	err := decodeYAML(dec, &second)
	switch {
	case err == nil:
		l.fail(Pos{second.Line, second.Column}, "", "keep one and remove the --- line", "a second document begins here")
		return nil, false
	case !errors.Is(err, io.EOF):
		l.syntax(data, err)
		return nil, false
	}
	if len(root.Content) != 1 {
		l.fail(Pos{}, "", l.first, "the file is empty")
		return nil, false
	}
	return &root, true
}

// decodeYAML turns a panic of yaml.v3 into an error: the App reads strangers'
// files.
func decodeYAML(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("this is not YAML")
		}
	}()
	return dec.Decode(n)
}

var (
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	tabIndent  = regexp.MustCompile(`(?m)^ *\t`)
)

// syntax reports what yaml.v3 said, with a place where it gave none.
func (l *loader) syntax(data []byte, err error) {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	text = strings.TrimPrefix(text, m[0])
	pos := Pos{1, 1}
	if m[1] != "" {
		pos.Line, _ = strconv.Atoi(m[1])
	}
	if a := yamlAnchor.FindStringSubmatch(text); a != nil {
		if i := bytes.Index(data, []byte("*"+a[1])); i >= 0 {
			pos = placeOf(data, i)
		}
		l.fail(pos, "", fmt.Sprintf("write &%s before the value it stands for, above this line", a[1]), "alias *%s has no anchor", a[1])
		return
	}
	if tab := tabIndent.FindIndex(data); tab != nil && !strings.Contains(text, "depth") {
		l.fail(placeOf(data, tab[1]-1), "", "indent with spaces", "a tab indents this line; YAML has no tabs there")
		return
	}
	if strings.HasPrefix(text, "did not find expected") && m[1] != "" {
		// yaml.v3 counts from 0 here and names the line where the block began.
		pos.Line++
		if strings.HasSuffix(text, "key") || strings.HasSuffix(text, "indicator") {
			pos.Line = firstBad(data, err.Error())
		}
	}
	l.fail(pos, "", "look at this line and the one above it", "%s", text)
}

// firstBad returns the number of the line that data can be cut after for yaml.v3
// to still say text: the one it stumbles over.
func firstBad(data []byte, text string) int {
	ends := []int{}
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	return 1 + sort.Search(len(ends), func(i int) bool {
		var n yaml.Node
		err := decodeYAML(yaml.NewDecoder(bytes.NewReader(data[:ends[i]])), &n)
		return err != nil && err.Error() == text
	})
}

func placeOf(data []byte, offset int) Pos {
	before := data[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	start := bytes.LastIndexByte(before, '\n') + 1
	return Pos{line, utf8.RuneCount(before[start:]) + 1}
}

// count counts nodes without following aliases, up to a little above limit.
func count(n *yaml.Node, limit int) int {
	sum := 1
	for _, c := range n.Content {
		if sum > limit {
			break
		}
		sum += count(c, limit-sum)
	}
	return sum
}

// build resolves y. It returns a null node for what it reported.
func (l *loader) build(y *yaml.Node, parent *node, name string, depth int) *node {
	n := &node{pos: Pos{y.Line, y.Column}, parent: parent, name: name}
	if l.nodes++; l.nodes > maxNodes || depth > maxDepth {
		if !l.over {
			l.over = true
			if depth > maxDepth {
				l.fail(n.pos, "", "nest less", "values are nested more than %d deep", maxDepth)
			} else {
				l.fail(n.pos, "", "use fewer aliases", "aliases make the file more than %d keys and values", maxNodes)
			}
		}
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		if y.Alias == nil || l.above[y.Alias] {
			l.fail(n.pos, n.path(), "an anchor can't hold an alias to itself", "alias *%s is inside its own anchor", clip(y.Value))
			return n
		}
		// Positions are those of the anchor's block: there a mistake is mended.
		return l.build(y.Alias, parent, name, depth)
	case yaml.ScalarNode:
		l.scalar(y, n)
	case yaml.SequenceNode:
		l.above[y] = true
		n.kind = list
		for i, c := range y.Content {
			if l.over {
				break
			}
			n.items = append(n.items, l.build(c, n, "["+strconv.Itoa(i)+"]", depth+1))
		}
		delete(l.above, y)
	case yaml.MappingNode:
		l.above[y] = true
		n.kind = mapping
		l.mapping(y, n, depth)
		delete(l.above, y)
	}
	return n
}

func (l *loader) scalar(y *yaml.Node, n *node) {
	n.tag = y.ShortTag()
	switch n.tag {
	case "!!null":
		return
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
	default:
		l.fail(n.pos, n.path(), "remove it", "tag %s is not known", clip(y.Tag))
		return
	}
	n.kind, n.raw, n.text = scalar, y.Value, y.Value
	if l.env == nil {
		return
	}
	text, vars, hint, err := expand(y.Value, l.env)
	if err != nil {
		l.fail(n.pos, n.path(), hint, "%w", err)
		n.kind = null
		return
	}
	n.text, n.vars = text, vars
}

func (l *loader) mapping(y *yaml.Node, n *node, depth int) {
	first := make(map[string]Pos)
	var merged []*yaml.Node
	for i := 0; i+1 < len(y.Content) && !l.over; i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		pos := Pos{k.Line, k.Column}
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		switch {
		case k.Kind != yaml.ScalarNode:
			l.fail(pos, n.path(), "keys are plain words", "a key is a list or mapping")
			continue
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
			continue
		case len(k.Value) > maxKey:
			l.fail(pos, n.path(), "keys are plain words", "a key has %d bytes, the most is %d", len(k.Value), maxKey)
			continue
		}
		if was, twice := first[k.Value]; twice {
			l.fail(pos, joinPath(n.path(), k.Value), "remove one of them", "key %q is there twice; first at %d:%d", k.Value, was.Line, was.Col)
			continue
		}
		first[k.Value] = pos
		l.nodes++
		n.entries = append(n.entries, entry{k.Value, pos, l.build(v, n, k.Value, depth+1)})
	}
	for _, m := range merged {
		l.merge(m, n, first, depth)
	}
}

// merge adds what <<: brings. Keys that are there already win, and so do earlier
// ones of a list.
func (l *loader) merge(y *yaml.Node, n *node, have map[string]Pos, depth int) {
	m := l.build(y, n, "<<", depth+1)
	from := []*node{m}
	if m.kind == list {
		from = m.items
	}
	for _, f := range from {
		if f.kind != mapping {
			if l.over {
				return
			}
			l.fail(f.pos, f.path(), "write <<: *anchor, with an anchor on a mapping", "found %s, want a mapping", f.what())
			continue
		}
		for _, e := range f.entries {
			if _, ok := have[e.key]; ok {
				continue
			}
			have[e.key] = e.keyPos
			e.value.parent = n
			n.entries = append(n.entries, e)
		}
	}
}
