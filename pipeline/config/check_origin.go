package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// versions checks the extractors.
func (c *checker) versions() {
	list := c.root.get("versions")
	if list == nil {
		return
	}
	for _, e := range list.entries {
		n := e.value
		if !plainWord.MatchString(e.key) {
			c.fail(n, "lower-case letters, digits and - . _", "%q is not a usable name", clip(e.key))
		}
		ways := present(n, "tag", "file", "command", "value")
		if c.p.Versions[e.key].Commit {
			ways = append(ways, "commit")
		}
		c.exactlyOne(list, e, ways, "tag, file, command, value or commit: true")
		c.groupOne(n.get("tag"))
		c.groupOne(n.get("regex"))
		if f := n.get("file"); f != nil {
			c.projectPath(f, f.text)
			if n.get("regex") == nil {
				c.missing(n, "regex", `such as 'version = "(.*)"': group 1 is the version`)
			}
		} else if r := n.get("regex"); r != nil {
			c.fail(r, "name the file it is searched in as file", "regex stands alone")
		}
		if v := n.get("command"); v != nil && v.kind == scalar && strings.TrimSpace(v.text) == "" {
			c.fail(v, "write a shell command that prints the version", "the command is empty")
		}
		if v := n.get("value"); v != nil && v.kind == scalar {
			if err := formats.CheckVersion(v.text); err != nil {
				if len(v.vars) > 0 {
					err = fmt.Errorf("what %s stands for is not a version", v.shown())
				}
				c.fail(v, "such as 1.2.0", "%w", err)
			}
		}
	}
}

// groupOne checks that the expression compiles and has a group.
func (c *checker) groupOne(n *node) {
	if n == nil || n.kind != scalar {
		return
	}
	re, err := regexp.Compile(n.text)
	switch {
	case err != nil && len(n.vars) > 0:
		c.fail(n, "", "what %s stands for is not a regular expression", n.shown())
	case err != nil:
		text := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		c.fail(n, "the syntax is Go's and RE2's", "%s is not a regular expression: %s", n.shown(), clip(text))
	case re.NumSubexp() == 0:
		c.fail(n, "put ( ) around the version", "%s has no group", n.shown())
	}
}

func (c *checker) channels() {
	list := c.root.get("channels")
	if list != nil && list.kind == mapping && len(list.entries) == 0 {
		c.fail(list, "leave it out for one channel named stable", "channels is empty")
	}
	known := []string{"tag"}
	if v := c.root.get("versions"); v != nil {
		for _, e := range v.entries {
			known = append(known, e.key)
		}
	}
	for _, ch := range c.p.Channels {
		e := list.entries[slices.IndexFunc(list.entries, func(e entry) bool { return e.key == ch.Name })]
		if !plainWord.MatchString(ch.Name) {
			c.fail(e.value, "lower-case letters, digits and - . _", "%q is not a usable channel", clip(ch.Name))
		}
		if t := e.value.get("tags"); t != nil && (t.text == "" || strings.ContainsAny(t.text, " \t~^:?[\\")) {
			c.fail(t, "such as v* or hello-v*; only * is special", "%s is not a pattern of tags", t.shown())
		}
		if v := e.value.get("version"); v != nil && !slices.Contains(known, ch.Version) {
			c.fail(v, v.suggest(known), "no version extractor is named %s", v.shown())
		}
	}
}

// sourceVariables are what {…} may name in a source.
var sourceVariables = []string{"os", "arch", "variant", "platform", "version", "tag"}

func (c *checker) sources() {
	list := c.root.get("sources")
	if list == nil {
		return
	}
	for _, e := range list.entries {
		n := e.value
		if !slotName.MatchString(e.key) {
			c.fail(n, "letters, digits and - . _", "%q is not a usable name", clip(e.key))
		}
		ways := present(n, "files", "assets", "goreleaser", "command", "package-dir")
		c.exactlyOne(list, e, ways, "files, assets, goreleaser, command or package-dir")
		for _, way := range ways {
			v := n.get(way)
			switch {
			case v.kind != scalar:
			case strings.TrimSpace(v.text) == "":
				c.fail(v, "", "%s is empty", way)
			case way == "command":
			case way == "assets":
				if strings.Contains(v.text, "/") {
					c.fail(v, "assets of a release have names without folders, such as hello_{version}_{os}_{arch}.tar.gz", "%s has a /", v.shown())
				}
				c.braces(v)
			default:
				c.projectPath(v, v.text)
				c.braces(v)
			}
		}
	}
}

var brace = regexp.MustCompile(`\{([^{}]*)\}`)

// braces refuses variables that a source does not have.
func (c *checker) braces(n *node) {
	if strings.Contains(brace.ReplaceAllString(n.text, ""), "{") {
		c.fail(n, "such as {os}", "%s has a { without }", n.shown())
		return
	}
	for _, m := range brace.FindAllStringSubmatch(n.text, -1) {
		if !slices.Contains(sourceVariables, m[1]) {
			if len(n.vars) > 0 {
				c.fail(n, "known: "+strings.Join(sourceVariables, ", "), "%s has an unknown {variable}", n.shown())
				continue
			}
			c.fail(n, suggest(m[1], sourceVariables), "unknown variable {%s}", clip(m[1]))
		}
	}
}

// present lists those of the keys that n has.
func present(n *node, keys ...string) []string {
	return slices.DeleteFunc(keys, func(k string) bool { return n.get(k) == nil })
}

func (c *checker) exactlyOne(list *node, e entry, ways []string, all string) {
	switch {
	case len(ways) > 1:
		c.fail(e.value.get(ways[1]), "keep one", "%s says both %s", clip(e.key), strings.Join(ways, " and "))
	case len(ways) == 0 && !c.below(e.value.path()):
		if p := e.value.path(); !c.bad[p] {
			c.l.fail(e.keyPos, p, "one of "+all, "%s does not say where from", clip(e.key))
		}
	}
}

// below reports whether something under path is reported already.
func (c *checker) below(path string) bool {
	for p := range c.bad {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}
