package config

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// node is one value of a file, its aliases, merge keys and variables resolved.
type node struct {
	kind    kind
	pos     Pos
	text    string     // of a scalar: with the variables' values
	raw     string     // of a scalar: as the file has it
	vars    []variable // those whose values are in text
	tag     string     // of a scalar: !!str, !!int, !!bool, !!float
	entries []entry    // of a mapping, in the order of the file
	items   []*node    // of a list

	parent *node
	name   string // the key in the parent, or "[2]"
}

// sum is the digest of keys and values, in their order.
func (n *node) sum() formats.Digest {
	h := sha256.New()
	n.write(h)
	return formats.Digest(h.Sum(nil))
}

func (n *node) write(w io.Writer) {
	fmt.Fprintf(w, "%d %q %q %d %d\n", n.kind, n.tag, n.text, len(n.entries), len(n.items))
	for _, e := range n.entries {
		fmt.Fprintf(w, "%q\n", e.key)
		e.value.write(w)
	}
	for _, item := range n.items {
		item.write(w)
	}
}

type kind int

const (
	null kind = iota
	scalar
	mapping
	list
)

type entry struct {
	key    string
	keyPos Pos
	value  *node
}

// get returns the value of key, nil where it is absent or null.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key && e.value.kind != null {
			return e.value
		}
	}
	return nil
}

// at returns the value at a path of keys, nil where there is none.
func (n *node) at(keys ...string) *node {
	for _, k := range keys {
		n = n.get(k)
	}
	return n
}

// item returns the i-th value of a list, nil where there is none.
func (n *node) item(i int) *node {
	if n == nil || i >= len(n.items) {
		return nil
	}
	return n.items[i]
}

// path names the node as errors do: packages[1].formats[0].
func (n *node) path() string {
	if n == nil || n.parent == nil {
		return ""
	}
	return joinPath(n.parent.path(), n.name)
}

func joinPath(parent, name string) string {
	if !strings.HasPrefix(name, "[") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		name = fmt.Sprintf("%q", clip(name))
	}
	switch {
	case name == "":
		return parent
	case parent == "" || strings.HasPrefix(name, "["):
		return parent + name
	}
	return parent + "." + name
}

// shown quotes the scalar as the file has it, so that an error never tells the
// value of a variable.
func (n *node) shown() string {
	if n == nil {
		return `""`
	}
	return fmt.Sprintf("%q", clip(n.raw))
}

// what names the kind of value for people.
func (n *node) what() string {
	switch {
	case n.kind == mapping:
		return "a mapping"
	case n.kind == list:
		return "a list"
	case n.kind == null:
		return "nothing"
	case len(n.vars) > 0:
		return "text " + n.shown()
	case n.tag == "!!bool":
		return "the truth value " + n.raw
	case n.tag == "!!int", n.tag == "!!float":
		return "the number " + n.raw
	}
	return "the text " + n.shown()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
