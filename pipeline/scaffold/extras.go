package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-.].*)?$`)
	readmeFile  = regexp.MustCompile(`(?i)^readme(\.(md|txt|rst|adoc))?$`)
	changesFile = regexp.MustCompile(`(?i)^(changelog|changes|news)(\.md)?$`)
	manPage     = regexp.MustCompile(`^[A-Za-z0-9_.+-]+\.([1-8])$`)
	unitFile    = regexp.MustCompile(`^[A-Za-z0-9_.@-]+\.(service|timer|socket)$`)
)

const maxExtras = 200

// extras adds files that many projects have and every package should bring.
func extras(r *reader, p *Project) {
	docs := "/usr/share/doc/" + first(p.Name, "hello") + "/"
	for _, f := range r.list(".") {
		if !safePath.MatchString(f) || strings.HasSuffix(f, "/") {
			continue
		}
		switch {
		case licenseFile.MatchString(f), readmeFile.MatchString(f):
			p.Contents = append(p.Contents, Entry{Src: f, Dst: docs, Type: "doc"})
		case changesFile.MatchString(f) && p.Changelog == "":
			p.Changelog = f
		}
	}
	if p.installsItself() {
		return
	}
	for _, dir := range []string{".", "man", "doc", "docs", "docs/man", "doc/man", "manpages", "man/man1", "man/man5", "man/man8"} {
		p.each(r, dir, func(f string) (string, bool) {
			m := manPage.FindStringSubmatch(path.Base(f))
			if m == nil {
				return "", false
			}
			return "/usr/share/man/man" + m[1] + "/" + path.Base(f), true
		})
	}
	for _, dir := range []string{"completions", "completion", "contrib/completions", "contrib/completion", "completions/bash", "completions/zsh", "completions/fish"} {
		p.each(r, dir, completion)
	}
	for _, dir := range []string{".", "data", "desktop", "share/applications"} {
		p.each(r, dir, func(f string) (string, bool) {
			return "/usr/share/applications/" + path.Base(f), strings.HasSuffix(f, ".desktop")
		})
	}
	var units []string
	for _, dir := range []string{".", "init", "systemd", "contrib", "contrib/systemd", "packaging", "packaging/systemd", "etc", "scripts"} {
		for _, f := range r.list(dir) {
			name := path.Join(dir, f)
			if unitFile.MatchString(f) && safePath.MatchString(name) && !slices.Contains(units, f) && len(units) < maxExtras {
				units = append(units, f)
				p.Services = append(p.Services, name)
			}
		}
	}
}

// each adds those files of a folder that place knows a path for.
func (p *Project) each(r *reader, dir string, place func(f string) (dst string, ok bool)) {
	for _, f := range r.list(dir) {
		name := path.Join(dir, f)
		if strings.HasSuffix(f, "/") || !safePath.MatchString(name) || len(p.Contents) >= maxExtras {
			continue
		}
		dst, ok := place(name)
		if ok && !slices.ContainsFunc(p.Contents, func(e Entry) bool { return e.Dst == dst }) {
			p.Contents = append(p.Contents, Entry{Src: name, Dst: dst})
		}
	}
}

// completion places a shell's completions by their names: hello.bash, _hello or
// hello.zsh, hello.fish.
func completion(f string) (string, bool) {
	base := path.Base(f)
	stem := strings.TrimPrefix(strings.TrimSuffix(base, path.Ext(base)), "_")
	switch {
	case stem == "":
	case strings.HasSuffix(base, ".bash"), path.Base(path.Dir(f)) == "bash":
		return "/usr/share/bash-completion/completions/" + strings.TrimSuffix(base, ".bash"), true
	case strings.HasSuffix(base, ".zsh"):
		return "/usr/share/zsh/site-functions/_" + stem, true
	case strings.HasPrefix(base, "_"):
		return "/usr/share/zsh/site-functions/" + base, true
	case strings.HasSuffix(base, ".fish"):
		return "/usr/share/fish/vendor_completions.d/" + base, true
	}
	return "", false
}
