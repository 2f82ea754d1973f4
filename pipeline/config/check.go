package config

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// checker looks at the meaning of a decoded project. It reads values from the
// Project and places from the nodes.
type checker struct {
	l    *loader
	p    *Project
	root *node
	opts *Options
	bad  map[string]bool // paths with a mistake found while decoding
}

// known remembers what is reported already, so that one mistake is told once.
func (c *checker) known() {
	c.bad = make(map[string]bool)
	for _, e := range c.l.errs {
		c.bad[e.Path] = true
	}
}

func (c *checker) fail(n *node, hint, format string, args ...any) {
	if p := n.path(); !c.bad[p] {
		c.l.fail(n.pos, p, hint, format, args...)
	}
}

// missing reports that n has no key.
func (c *checker) missing(n *node, key, hint string) {
	if p := joinPath(n.path(), key); !c.bad[p] {
		c.l.fail(n.pos, p, hint, "%s is missing", key)
	}
}

var (
	projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`)
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9.+_-]*$`)
	plainWord   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	siteName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	slotName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	maintainer  = regexp.MustCompile(`^[^<>\s][^<>]* <[^<>@\s]+@[^<>@\s]+>$`)
	release     = regexp.MustCompile(`^[0-9A-Za-z.+~]+$`)
	digits      = regexp.MustCompile(`^[0-9]{1,9}$`)
	section     = regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+)?$`)
	licenseWord = regexp.MustCompile(`^[A-Za-z0-9.:+-]+$`)
	account     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
)

var priorities = []string{"required", "important", "standard", "optional", "extra"}

func (c *checker) project() {
	root, p := c.root, c.p
	c.lines(root)
	c.known()
	switch v := root.get("version"); {
	case v == nil:
		c.missing(root, "version", "begin the file with version: 1")
	case p.Version != 1:
		c.fail(v, "this DistroPack reads version 1; a newer one may read more", "version %s is not known", v.shown())
	}
	if n := root.get("project"); n == nil {
		c.missing(root, "project", "name the project, such as project: hello")
	} else if !projectName.MatchString(p.Project) {
		c.fail(n, "lower-case letters, digits and - . +, a letter or digit first", "project %s is not a usable name", n.shown())
	}
	c.about(root)
	if n := root.get("changelog"); n != nil {
		c.projectPath(n, p.Changelog)
	}
	c.versions()
	c.channels()
	c.platforms(root.get("platforms"), p.Platforms)
	c.sources()
	for i, pattern := range p.Ignore {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			n := root.get("ignore").item(i)
			c.fail(n, "* and ? stand for text, [a-z] for one of a range", "%s is not a pattern", n.shown())
		}
	}
	if p.Limits.Files < 0 {
		c.fail(root.at("limits", "files"), "leave it out for the usual 200000", "%d files is less than none", p.Limits.Files)
	}
	c.packages()
	c.publish()
	c.signing()
}

// manyLines are the keys whose text may have more than one line.
var manyLines = []string{"description", "command", "regex", "key", "also"}

// lines refuses line breaks in every text that ends up on one line. Options of
// formats and clients are their owners' to judge.
func (c *checker) lines(n *node) {
	if n.kind == scalar && strings.ContainsAny(n.text, "\n\r") && !slices.Contains(manyLines, n.name) {
		c.fail(n, "write it on one line, without | or >", "the text has a line break")
	}
	for _, item := range n.items {
		c.lines(item)
	}
	for _, e := range n.entries {
		inPackage := n.parent != nil && n.parent.name == "packages" && slices.Contains(c.opts.sectionNames(packageType), e.key)
		inSite := n.parent != nil && n.parent.name == "publish" && slices.Contains(c.opts.sectionNames(siteType), e.key)
		shelf := n.parent == nil && isShelf(e.key)
		if !inPackage && !inSite && !shelf && n.name != "custom" {
			c.lines(e.value)
		}
	}
}

// about checks what a project and a package say in the same words.
func (c *checker) about(n *node) {
	if h := n.get("homepage"); h != nil {
		c.url(h)
	}
	if m := n.get("maintainer"); m != nil && !maintainer.MatchString(m.text) {
		c.fail(m, `such as "Jane Doe <jane@example.org>"`, "%s is not of the form Name <mail>", m.shown())
	}
	if l := n.get("license"); l != nil && !IsLicense(l.text) {
		c.fail(l, `such as MIT, GPL-3.0-or-later or "Apache-2.0 OR MIT"`, "%s is not an SPDX expression", l.shown())
	}
	if s := n.get("section"); s != nil && !section.MatchString(s.text) {
		c.fail(s, "such as utils, net or contrib/net", "%s is not a section", s.shown())
	}
	if p := n.get("priority"); p != nil && !slices.Contains(priorities, p.text) {
		c.fail(p, p.suggest(priorities), "unknown priority %s", p.shown())
	}
	if r := n.get("release"); r != nil && !release.MatchString(r.text) {
		c.fail(r, "letters, digits and . + ~, such as 1 or 2.fc40", "%s is not a package release", r.shown())
	}
}

// IsLicense reports whether s has the shape of an SPDX expression. Which licences
// there are is not checked: the list grows too fast to hold.
func IsLicense(s string) bool {
	open, wantWord := 0, true
	for _, w := range strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)) {
		op := w == "AND" || w == "OR" || w == "WITH"
		switch {
		case w == "(" && wantWord:
			open++
		case w == ")" && !wantWord && open > 0:
			open--
		case op && !wantWord:
			wantWord = true
		case !op && wantWord && licenseWord.MatchString(w):
			wantWord = false
		default:
			return false
		}
	}
	return open == 0 && !wantWord
}

// url checks a public address and reports whether it is one.
func (c *checker) url(n *node) bool {
	u, err := url.Parse(n.text)
	switch {
	case n.kind != scalar:
		return false
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(n.text, " \t\"<>"):
		c.fail(n, "such as https://example.org/hello", "%s is not an http or https address", n.shown())
	case u.User != nil:
		c.fail(n, "remove what stands before the @", "the address holds a user name or password, and everybody will read it")
	default:
		return true
	}
	return false
}

// projectPath refuses paths that leave the project.
func (c *checker) projectPath(n *node, p string) {
	if n.kind != scalar {
		return
	}
	hint := "paths are relative to the file's folder, with /"
	switch {
	case p == "":
		c.fail(n, hint, "the path is empty")
	case strings.HasPrefix(p, "/"):
		c.fail(n, hint, "%s is an absolute path", n.shown())
	case strings.Contains(p, `\`):
		c.fail(n, hint, `%s has a \`, n.shown())
	case slices.Contains(strings.Split(p, "/"), ".."):
		c.fail(n, hint, "%s leaves the project", n.shown())
	case strings.HasPrefix(p, "~"):
		c.fail(n, hint, "%s is not in the project", n.shown())
	}
}

func (c *checker) platforms(n *node, ps []formats.Platform) {
	for i, p := range ps {
		item := n.item(i)
		if p == (formats.Platform{}) || item == nil {
			continue
		}
		if j := slices.Index(ps, p); j < i {
			first := n.item(j)
			c.fail(item, "remove one of them", "platform %s is there twice; first at %d:%d", item.shown(), first.pos.Line, first.pos.Col)
		}
		if p.Arch == formats.All.Arch && len(ps) > 1 {
			c.fail(item, "put the files that run everywhere into a package of their own", "%s can't stand beside other platforms", item.shown())
		}
	}
}

// twice reports entries of a list that are there twice.
func (c *checker) twice(n *node, word string, all []string) {
	for i, s := range all {
		if j := slices.Index(all, s); j < i {
			first := n.item(j)
			c.fail(n.item(i), "remove one of them", "%s %s is there twice; first at %d:%d", word, n.item(i).shown(), first.pos.Line, first.pos.Col)
		}
	}
}

// knownWords reports entries of a list that are not among the known ones.
func (c *checker) knownWords(n *node, word string, all, known []string) {
	for i, s := range all {
		if item := n.item(i); !slices.Contains(known, s) {
			c.fail(item, item.suggest(known), "unknown %s %s", word, item.shown())
		}
	}
	c.twice(n, word, all)
}

func (c *checker) signing() {
	n := c.root.get("signing")
	keys := []*node{n.get("key"), n.get("also")}
	for i := range c.p.Publish {
		keys = append(keys, c.root.get("publish").item(i).get("key"))
	}
	for _, k := range keys {
		// A file's name is short; what is longer and not a variable is the key.
		if k != nil && len(k.vars) == 0 && (strings.Contains(k.text, "PRIVATE KEY") || len(k.text) > 255) {
			c.fail(k, `write "${DISTROPACK_KEY}", put the key there, and make a new one: this one is known`, "a private key stands in the file, and everybody who sees the project can read it")
		}
	}
	if n.get("also") != nil && n.get("key") == nil {
		c.fail(n.get("also"), "name the first key as key", "a second key needs a first")
	}
}
