package source

import (
	"path"
	"strings"
)

// alwaysIgnored never reach a package, wherever they lie.
var alwaysIgnored = []string{".git", ".env", ".env.*", "node_modules", ".DS_Store"}

// ignored is the files that never reach a package. A pattern stands for a whole
// path, or for any part of one.
type ignored struct {
	names    map[string]bool
	patterns []string
}

func newIgnored(more []string) *ignored {
	g := &ignored{names: make(map[string]bool)}
	for _, list := range [][]string{alwaysIgnored, more} {
		for _, p := range list {
			if strings.ContainsAny(p, `*?[\`) {
				g.patterns = append(g.patterns, p)
			} else {
				g.names[p] = true
			}
		}
	}
	return g
}

// matches reports whether a path, or a folder that it is in, is ignored.
func (g *ignored) matches(name string) bool {
	if g.one(name) {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if g.one(part) {
			return true
		}
	}
	return false
}

// matchesLast is matches for a path whose folder is not ignored.
func (g *ignored) matchesLast(name string) bool {
	return g.one(name) || g.one(path.Base(name))
}

func (g *ignored) one(name string) bool {
	if g.names[name] {
		return true
	}
	for _, p := range g.patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
