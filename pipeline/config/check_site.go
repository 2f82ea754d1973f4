package config

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

func (c *checker) publish() {
	list := c.root.get("publish")
	names := make(map[string]Pos)
	dirs := make(map[string]Pos)
	for i := range c.p.Publish {
		s, n := &c.p.Publish[i], list.item(i)
		if n.kind != mapping {
			continue
		}
		switch v := n.get("site"); {
		case v == nil:
			c.missing(n, "site", "a name for the tree, such as pages")
		case !plainWord.MatchString(s.Site):
			c.fail(v, "lower-case letters, digits and - . _", "site %s is not a usable name", v.shown())
		default:
			if was, ok := names[s.Site]; ok {
				c.fail(v, "give each site a name", "site %s is there twice; first at %d:%d", v.shown(), was.Line, was.Col)
			}
			names[s.Site] = v.pos
		}
		c.site(s, n)
		c.folder(s, n, dirs)
	}
}

func (c *checker) site(s *Site, n *node) {
	clients := n.get("clients")
	c.knownWords(clients, "client", s.Clients, c.opts.clientNames())
	switch v := n.get("url"); {
	case v == nil && (clients == nil || len(s.Clients) > 0):
		c.missing(n, "url", "where the tree will be served, such as https://example.org/hello; only a site with clients: [] needs none")
	case v == nil:
	case c.url(v):
		if u, err := url.Parse(v.text); err == nil && (u.RawQuery != "" || u.Fragment != "" || u.ForceQuery) {
			c.fail(v, "remove what stands from ? or # on", "%s is not the address of a folder", v.shown())
		}
	}
	if v := n.get("name"); v != nil && !siteName.MatchString(s.Name) {
		c.fail(v, "lower-case letters, digits and -", "%s is not a usable name", v.shown())
	}
	channels := []string{"stable"}
	if len(c.p.Channels) > 0 {
		channels = nil
		for _, ch := range c.p.Channels {
			channels = append(channels, ch.Name)
		}
	}
	c.knownWords(n.get("channels"), "channel", s.Channels, channels)
	for _, k := range []struct {
		key string
		n   int64
	}{{"versions", int64(s.Keep.Versions)}, {"per-minor", int64(s.Keep.PerMinor)}} {
		if k.n < 0 {
			c.fail(n.at("keep", k.key), "leave it out to keep all", "%s is less than none", n.at("keep", k.key).shown())
		}
	}
	for i, v := range s.Keep.Pin {
		item := n.at("keep", "pin").item(i)
		if item.kind == scalar && (v == "" || strings.ContainsAny(v, " \t/")) {
			c.fail(item, "such as 1.2.0", "%s is not a version", item.shown())
		}
	}
	for _, kind := range c.opts.Clients {
		if o, ok := s.Options[kind.Name]; ok {
			c.checkSection(o, kind.Name, kind.Options)
		}
	}
	c.place(s, n)
}

// place checks where the tree lies.
func (c *checker) place(s *Site, n *node) {
	var first *node
	if v := n.get("dir"); v != nil {
		first = v
	}
	for _, kind := range c.opts.Places {
		if o, ok := s.Options[kind.Name]; ok {
			v := n.get(kind.Name)
			if first != nil {
				c.fail(v, "a site for each place", "the tree has another place at %d:%d", first.pos.Line, first.pos.Col)
			}
			first = v
			c.checkSection(o, kind.Name, kind.Options)
		}
		if o, ok := s.Options["tap"]; ok && kind.Name == tapPlace {
			c.checkSection(o, "tap", kind.Options)
			if s.Clients != nil && !slices.Contains(s.Clients, "brew") {
				c.fail(n.get("tap"), "add brew to clients, or remove it", "the site has no formula for a tap")
			}
		}
	}
	large := n.get("large")
	if large == nil || large.kind != mapping {
		return
	}
	if s.Large.To == "release" && c.root.get("github") == nil {
		c.fail(large.get("to"), "add github: with the repository whose releases hold them", "there is no release")
	}
	if s.Large.To == "" {
		c.missing(large, "to", "release")
	}
}

// folder checks where the tree is written: two trees may neither be one nor lie
// in each other, since each removes what it does not know.
func (c *checker) folder(s *Site, n *node, dirs map[string]Pos) {
	at := n.get("dir")
	dir := s.Dir
	if at == nil && c.opts.placed(s) {
		return
	}
	if at == nil {
		if s.Site == "" {
			return
		}
		at, dir = n, "dist/"+s.Site
	} else if at.kind != scalar {
		return
	}
	switch {
	case dir == "":
		c.fail(at, "such as dist/pages", "the folder is empty")
		return
	case strings.Contains(dir, `\`) || slices.Contains(strings.Split(dir, "/"), ".."):
		c.fail(at, "a folder of the project, or an absolute path, with /", "%s is not a usable folder", at.shown())
		return
	case path.Clean(dir) == "." || path.Clean(dir) == "/":
		c.fail(at, "such as dist/pages", "the tree needs a folder of its own")
		return
	}
	dir = path.Clean(dir)
	for _, other := range sortedKeys(dirs) {
		pos := dirs[other]
		switch {
		case other == dir:
			c.fail(at, "give each site a folder of its own", "the folder is that of the site at %d:%d", pos.Line, pos.Col)
			return
		case strings.HasPrefix(dir, other+"/") || strings.HasPrefix(other, dir+"/"):
			c.fail(at, "give each site a folder beside the others", "the folder and that of the site at %d:%d lie in each other", pos.Line, pos.Col)
			return
		}
	}
	dirs[dir] = n.pos
}
