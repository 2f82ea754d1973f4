package scaffold

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Options is what Render can't see in the project's files.
type Options struct {
	GitName, GitEmail string // user.name and user.email of git
	Remote            string // the address of git's origin
	Folder            string // what the project's folder is called
}

// Render returns a commented distropack.yml. It is the same for the same input.
func Render(p *Project, o Options) []byte {
	w := &writer{}
	name := first(p.Name, usableName(strings.TrimSuffix(path.Base("/"+strings.TrimSuffix(o.Remote, "/")), ".git")), usableName(o.Folder), "hello")
	p = settle(p, name)

	w.line("# What this project is packaged as and where it is published.")
	w.line("# distropack validate checks this file, distropack plan shows what it makes.")
	for _, n := range p.Notes {
		w.line("# Note: " + paragraph(n))
	}
	w.line("version: 1")
	w.line("project: " + quote(name))
	w.head(p, o)
	w.versions(p)
	w.line("")
	w.line("platforms: [" + strings.Join(p.Platforms, ", ") + "]")
	w.sources(p)
	w.packages(p)
	w.publish(name, o)
	return []byte(w.b.String())
}

// settle returns a copy of p whose entries carry the final name and whose
// platforms are not empty.
func settle(p *Project, name string) *Project {
	c := *p
	c.Contents = slices.Clone(p.Contents)
	if p.Name == "" {
		for i, e := range c.Contents {
			c.Contents[i].Dst = strings.Replace(e.Dst, "/usr/share/doc/hello/", "/usr/share/doc/"+name+"/", 1)
		}
	}
	if len(c.Platforms) == 0 {
		c.Platforms = []string{"linux/amd64"}
	}
	return &c
}

type writer struct{ b strings.Builder }

func (w *writer) line(s string) { w.b.WriteString(s + "\n") }

func (w *writer) head(p *Project, o Options) {
	if p.Description != "" {
		w.line("description: " + quote(p.Description))
	} else {
		w.line("# description: What it does, in one line.")
	}
	if page := first(p.Homepage, webOf(o.Remote)); page != "" {
		w.line("homepage: " + quote(page))
	} else {
		w.line("# homepage: https://example.org/")
	}
	if p.License != "" {
		w.line("license: " + quote(p.License))
	} else {
		w.line("# license: an SPDX expression such as MIT; " + first(paragraph(p.Manifest), "nothing here") + " names none.")
	}
	who := paragraph(o.GitName) + " <" + paragraph(o.GitEmail) + ">"
	if !personShape.MatchString(who) {
		who = p.Maintainer
	}
	if who != "" {
		w.line("maintainer: " + quote(who))
	} else {
		w.line("maintainer: Your Name <you@example.org> # write your own; packages show it")
	}
	if p.Changelog != "" {
		w.line("changelog: " + quote(p.Changelog))
	}
}

func (w *writer) versions(p *Project) {
	w.line("")
	if p.Version == nil {
		w.line("# The version is that of the tag: v1.2.0 is 1.2.0.")
		w.line("channels:")
		w.line("  stable: {tags: v*}")
		return
	}
	w.line("# A tag v* starts a release; the version is what the file says.")
	w.line("versions:")
	w.line("  manifest:")
	w.line("    file: " + quote(p.Version.File))
	w.line("    regex: " + single(p.Version.Regex))
	w.line("channels:")
	w.line("  stable: {tags: v*, version: manifest}")
}

func (w *writer) sources(p *Project) {
	if p.Slot == "" {
		return
	}
	w.line("")
	if p.Artifacts != "" {
		w.line("# What GoReleaser built.")
		w.line("sources:")
		w.line("  " + p.Slot + ": {goreleaser: " + p.Artifacts + "}")
		return
	}
	w.line("# Run for each platform with GOOS, GOARCH, GOARM, VERSION and OUT set; what it")
	w.line("# writes into $OUT is packaged. Ready-made files come from files: dist/{os}-{arch}.")
	w.line("sources:")
	w.line("  " + p.Slot + ":")
	w.line("    command: |")
	w.line("      set -e")
	for line := range strings.Lines(p.Build) {
		w.line("      " + strings.TrimSuffix(line, "\n"))
	}
}

func (w *writer) packages(p *Project) {
	w.line("")
	w.line("packages:")
	w.line("  - formats: [deb, rpm, arch, apk, ipk, tar.gz]")
	if len(p.Depends) > 0 {
		w.line("    depends: [" + strings.Join(p.Depends, ", ") + "]")
	}
	if len(p.Contents) == 0 {
		w.line("    # contents:")
		w.line("    #   - {src: hello, dst: /usr/bin/hello, mode: 0755}")
		w.line("    #   - {src: hello.conf, dst: /etc/hello.conf, type: config}")
		w.line("    contents: []")
	} else {
		w.line("    contents:")
	}
	for _, e := range p.Contents {
		s := "      - {src: " + quote(e.Src) + ", dst: " + quote(e.Dst)
		if e.Mode != "" {
			s += ", mode: " + e.Mode
		}
		if e.Type != "" {
			s += ", type: " + e.Type
		}
		w.line(s + "}")
	}
	if len(p.Services) > 0 {
		w.line("    services:")
		for _, s := range p.Services {
			w.line("      - " + quote(s))
		}
	}
}

func (w *writer) publish(name string, o Options) {
	url, placeholder := "https://example.org/"+name, " # where the tree will be served"
	if rest, ok := strings.CutPrefix(webOf(o.Remote), "https://github.com/"); ok {
		if owner, repo, ok := strings.Cut(rest, "/"); ok && !strings.Contains(repo, "/") {
			url, placeholder = fmt.Sprintf("https://%s.github.io/%s", strings.ToLower(owner), repo), ""
		}
	}
	if !isWeb(url) {
		url = "https://example.org/" + name
	}
	w.line("")
	w.line("publish:")
	w.line("  - site: pages")
	w.line("    url: " + quote(url) + placeholder)
	w.line("    keep: {versions: 5}")
	w.line("")
	w.line("# distropack keys new makes a key. Without one nothing is signed.")
	w.line("# signing:")
	w.line("#   key: ${DISTROPACK_KEY}")
}

var plainYAML = regexp.MustCompile(`^([A-Za-z/][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*( <[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+>)?|https?://[A-Za-z0-9_./+~-]+)$`)

// quote writes text as a YAML value: plain where nobody could misread it. What
// looks like a variable is escaped.
func quote(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainYAML.MatchString(s) {
			return s
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// A string always encodes.
	_ = enc.Encode(strings.ReplaceAll(strings.ToValidUTF8(s, ""), "${", "$${"))
	return strings.TrimSuffix(b.String(), "\n")
}

func single(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
