package config

import (
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

func (c *checker) packages() {
	all := c.root.get("packages")
	if len(c.p.Packages) == 0 {
		if all != nil && all.kind != list {
			return
		}
		for _, s := range c.p.Sources {
			if s.PackageDir != "" {
				return
			}
		}
		n := all
		if n == nil {
			n = &node{parent: c.root, name: "packages", pos: c.root.pos}
		}
		c.fail(n, "write a package with its contents, or name a package-dir source", "packages is empty")
		return
	}
	needsMaintainer := false
	first := make(map[string]Pos)
	for i := range c.p.Packages {
		k, n := &c.p.Packages[i], all.item(i)
		if n.kind != mapping {
			continue
		}
		name := k.Name
		if name == "" {
			name = c.p.Project
		}
		at := n.get("name")
		if at == nil {
			at = n
		}
		if was, ok := first[name]; ok {
			c.fail(at, "give each package a name", "%s is there twice; first at %d:%d", c.shownName(at, name), was.Line, was.Col)
		} else {
			first[name] = at.pos
		}
		c.pack(k, n)
		if k.Maintainer == "" && c.p.Maintainer == "" && c.onLinux(k) {
			needsMaintainer = true
		}
	}
	if needsMaintainer && c.root.get("maintainer") == nil {
		c.missing(c.root, "maintainer", `Linux packages name who answers for them: "Jane Doe <jane@example.org>"`)
	}
}

func (c *checker) shownName(n *node, name string) string {
	if n.kind == scalar {
		return "package " + n.shown()
	}
	return "a package without a name, called as the project,"
}

func (c *checker) onLinux(k *Package) bool {
	names := k.Formats
	if len(names) == 0 {
		names = c.opts.defaultFormats()
	}
	return slices.ContainsFunc(names, isLinux)
}

func (c *checker) pack(k *Package, n *node) {
	if v := n.get("name"); v != nil && !packageName.MatchString(k.Name) {
		c.fail(v, "lower-case letters, digits and - . + _, a letter or digit first", "package %s is not a usable name", v.shown())
	}
	c.about(n)
	if v := n.get("epoch"); v != nil && !digits.MatchString(k.Epoch) {
		c.fail(v, "digits, such as 1", "%s is not an epoch", v.shown())
	}
	c.knownWords(n.get("formats"), "format", k.Formats, c.opts.formatNames())
	if f := n.get("formats"); f != nil && f.kind == list && len(f.items) == 0 {
		c.fail(f, "leave it out for the usual ones", "formats is empty")
	}
	c.platforms(n.get("platforms"), k.Platforms)
	c.contents(k, n.get("contents"))
	c.services(k, n.get("services"))
	c.overridable(n, true)
	if list := n.get("overrides"); list != nil {
		known := slices.DeleteFunc(c.opts.formatNames(), func(f string) bool { return !isLinux(f) })
		for _, e := range list.entries {
			if !slices.Contains(known, e.key) {
				c.l.fail(e.keyPos, e.value.path(), suggest(e.key, known), "unknown format %q", clip(e.key))
				continue
			}
			c.overridable(e.value, false)
		}
	}
	if own := n.get("custom"); own != nil {
		for _, e := range own.entries {
			if !isVariable(strings.ReplaceAll(e.key, "-", "_")) {
				c.fail(e.value, "letters, digits, - and _", "%q is not a usable name of a variable", clip(e.key))
			}
		}
	}
	for _, kind := range c.opts.Formats {
		if s, ok := k.Options[kind.Name]; ok {
			c.checkSection(s, kind.Name, kind.Options)
		}
	}
}

func (o *Options) formatNames() []string { return o.sectionNames(packageType) }

func (c *checker) contents(k *Package, list *node) {
	first := make(map[Content]Pos)
	for i := range k.Contents {
		f, n := &k.Contents[i], list.item(i)
		if n.kind != mapping {
			continue
		}
		c.source(f, n)
		c.destination(f, n)
		if p := n.get("packager"); p != nil && !slices.Contains(c.opts.formatNames(), f.Packager) {
			c.fail(p, p.suggest(c.opts.formatNames()), "unknown format %s", p.shown())
		}
		c.once(n, "mode", f.Mode != 0 && f.FileInfo.Mode != 0 && f.Mode != f.FileInfo.Mode)
		c.once(n, "owner", f.Owner != "" && f.FileInfo.Owner != "" && f.Owner != f.FileInfo.Owner)
		c.once(n, "group", f.Group != "" && f.FileInfo.Group != "" && f.Group != f.FileInfo.Group)
		for _, a := range []*node{n.get("owner"), n.get("group"), n.at("file_info", "owner"), n.at("file_info", "group")} {
			if a != nil && !account.MatchString(a.text) {
				c.fail(a, "such as root or www-data", "%s is not a name of a user or group", a.shown())
			}
		}
		key := Content{Src: f.Src, Dst: f.Dst, Packager: f.Packager}
		if was, ok := first[key]; ok && f.Dst != "" {
			c.fail(n, "remove one of them", "the entry is there twice; first at %d:%d", was.Line, was.Col)
		}
		first[key] = n.pos
	}
}

func (c *checker) once(n *node, key string, differ bool) {
	if differ {
		c.fail(n.at("file_info", key), "keep one of them", "%s and file_info say different things", key)
	}
}

// source checks where an entry of contents comes from.
func (c *checker) source(f *Content, n *node) {
	src := n.get("src")
	switch {
	case f.Type == "dir" || f.Type == "ghost":
		if src != nil {
			c.fail(src, "remove it; tree is for a folder with what is in it", "a %s has no src", f.Type)
		}
	case src == nil:
		c.missing(n, "src", map[bool]string{true: "where the symlink points to", false: "a file, folder or pattern of the project, or slot:path"}[f.Type == "symlink"])
	case src.kind != scalar:
	case f.Type == "symlink":
		if f.Src == "" {
			c.fail(src, "write where the symlink points to", "the target is empty")
		}
	default:
		c.slotPath(src)
	}
}

// slotPath checks a path of the project or of a slot.
func (c *checker) slotPath(n *node) {
	slot, rest, ok := strings.Cut(n.text, ":")
	if !ok || !slotName.MatchString(slot) {
		c.projectPath(n, n.text)
		return
	}
	names := []string{}
	if list := c.root.get("sources"); list != nil {
		for _, e := range list.entries {
			names = append(names, e.key)
		}
	}
	switch {
	case !slices.Contains(names, slot) && len(n.vars) > 0:
		c.fail(n, suggest("", names), "%s names no source", n.shown())
	case !slices.Contains(names, slot) && len(names) == 0:
		c.fail(n, "write sources: with an entry of that name, or ./ before a file with a colon", "no source is named %q", clip(slot))
	case !slices.Contains(names, slot):
		c.fail(n, suggest(slot, names), "no source is named %q", clip(slot))
	case rest == "":
		c.fail(n, "such as "+slot+":hello, or "+slot+":* for all of its files", "%s names no file of the source", n.shown())
	default:
		c.projectPath(n, rest)
	}
}

// destination checks where an entry of contents goes.
func (c *checker) destination(f *Content, n *node) {
	dst := n.get("dst")
	if dst == nil {
		c.missing(n, "dst", "the absolute path on the machine")
		return
	}
	if dst.kind != scalar {
		return
	}
	clean := strings.TrimSuffix(f.Dst, "/")
	switch {
	case !strings.HasPrefix(f.Dst, "/"):
		c.fail(dst, "such as /usr/bin/hello", "%s is not an absolute path", dst.shown())
	case slices.Contains(strings.Split(f.Dst, "/"), ".."):
		c.fail(dst, "write the path that is meant", "%s has ..", dst.shown())
	case clean == "" && f.Type != "tree" && f.Type != "":
		c.fail(dst, "such as /usr/share/hello", "a %s can't be the root of the machine", f.Type)
	case clean != "" && path.Clean(clean) != clean:
		hint := ""
		if len(dst.vars) == 0 {
			hint = "write " + path.Clean(clean)
		}
		c.fail(dst, hint, "%s is not a clean path", dst.shown())
	case f.Type == "symlink" && strings.HasSuffix(f.Dst, "/"):
		c.fail(dst, "end it with the symlink's name", "%s is a folder", dst.shown())
	}
}

var unitKinds = []string{".service", ".timer", ".socket", ".path", ".mount", ".target"}

func (c *checker) services(k *Package, list *node) {
	first := make(map[string]Pos)
	for i := range k.Services {
		s, n := &k.Services[i], list.item(i)
		src := n
		if n.kind == mapping {
			if src = n.get("src"); src == nil {
				c.missing(n, "src", "the unit's file, or the name of one that contents brings")
				continue
			}
		}
		if src.kind != scalar {
			continue
		}
		if !slices.Contains(unitKinds, path.Ext(s.Src)) {
			c.fail(src, "its name ends in "+strings.Join(unitKinds, ", "), "%s is not a systemd unit", src.shown())
			continue
		}
		c.slotPath(src)
		if was, ok := first[path.Base(s.Src)]; ok {
			c.fail(src, "remove one of them", "unit %s is there twice; first at %d:%d", src.shown(), was.Line, was.Col)
		}
		first[path.Base(s.Src)] = src.pos
	}
}

// overridable checks relations and scripts. Only shared ones must be in the
// spelling every format understands.
func (c *checker) overridable(n *node, shared bool) {
	for _, key := range []string{"depends", "predepends", "recommends", "suggests", "conflicts", "provides", "replaces"} {
		list := n.get(key)
		if list == nil {
			continue
		}
		for _, item := range list.items {
			if item.kind == scalar {
				c.relation(item, shared)
			}
		}
	}
	if s := n.get("scripts"); s != nil {
		for _, e := range s.entries {
			if e.value.kind != null {
				c.projectPath(e.value, e.value.text)
			}
		}
	}
}

func (c *checker) relation(n *node, shared bool) {
	text := strings.TrimSpace(n.text)
	_, plain := formats.ParseRelation(text)
	_, either := formats.Alternatives(text)
	switch {
	case text == "":
		c.fail(n, "remove it", "the relation is empty")
	case plain || either || !shared:
	case strings.Contains(text, ","):
		c.fail(n, "write one entry for each", "%s has a comma", n.shown())
	// "perl(Foo) >= 1", "(a or b)" and "foo [amd64]" are some format's own.
	case !strings.ContainsAny(text, "()[]{}|"):
		c.fail(n, `such as "libc6 >= 2.36"`, "%s is not a relation", n.shown())
	}
}
