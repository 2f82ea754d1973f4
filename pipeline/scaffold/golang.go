package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	goModule    = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)
	goMain      = regexp.MustCompile(`(?m)^package main\b`)
	goMajor     = regexp.MustCompile(`^v[0-9]+$`)
	yamlProject = regexp.MustCompile(`(?m)^project_name:[ \t]*["']?([^\s"'#]+)`)
	yamlBinary  = regexp.MustCompile(`(?m)^[ \t-]+binary:[ \t]*["']?([^\s"'#]+)`)
)

// module returns the last word of go.mod's module path and the page it names.
func module(r *reader) (name, homepage string) {
	m := goModule.FindStringSubmatch(r.text("go.mod"))
	if m == nil {
		return "", ""
	}
	name = path.Base(m[1])
	if goMajor.MatchString(name) {
		name = path.Base(path.Dir(m[1]))
	}
	parts := strings.Split(m[1], "/")
	if len(parts) >= 3 && slices.Contains([]string{"github.com", "gitlab.com", "codeberg.org"}, parts[0]) {
		homepage = "https://" + strings.Join(parts[:3], "/")
	}
	return name, homepage
}

// isMain reports whether a folder holds a program.
func isMain(r *reader, dir string) bool {
	for _, name := range r.list(dir) {
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && goMain.MatchString(r.text(path.Join(dir, name))) {
			return true
		}
	}
	return false
}

func golang(r *reader, p *Project) bool {
	if !r.has("go.mod") {
		return false
	}
	p.Manifest = "go.mod"
	p.Name, p.Homepage = module(r)
	p.Platforms = []string{"linux/amd64", "linux/arm64"}
	p.Slot = "bin"
	var programs, paths []string
	for _, name := range r.list("cmd") {
		dir, ok := strings.CutSuffix(name, "/")
		if ok && isMain(r, path.Join("cmd", dir)) {
			programs = append(programs, dir)
		}
	}
	programs = safeNames(programs)
	for _, n := range programs {
		paths = append(paths, "./cmd/"+n)
	}
	const build = `CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/`
	switch {
	case len(paths) > 0:
		p.Build = build + `" ` + strings.Join(paths, " ") + "\n"
	case isMain(r, "."):
		programs = safeNames([]string{usableName(p.Name)})
		p.Build = build + strings.Join(programs, "") + "\" .\n"
	default:
		p.Build = build + "\" ./...\n"
		p.Notes = append(p.Notes, "No program was found; list what is to be packaged.")
	}
	p.programs(programs)
	return true
}

func goreleaser(r *reader, p *Project) bool {
	for _, name := range []string{".goreleaser.yml", ".goreleaser.yaml", "goreleaser.yml", "goreleaser.yaml"} {
		if !r.has(name) {
			continue
		}
		p.Manifest = name
		text := r.text(name)
		p.Name, p.Homepage = module(r)
		if m := yamlProject.FindStringSubmatch(text); m != nil && usableName(m[1]) != "" {
			p.Name = m[1]
		}
		p.Homepage = first(yamlField(text, "homepage"), p.Homepage)
		p.Description = yamlField(text, "description")
		p.License = yamlField(text, "license")
		p.Maintainer = yamlField(text, "maintainer")
		p.Platforms = []string{"linux/amd64", "linux/arm64"}
		p.Slot, p.Artifacts = "dist", "dist/artifacts.json"
		var programs []string
		for _, m := range yamlBinary.FindAllStringSubmatch(text, -1) {
			programs = append(programs, m[1])
		}
		if programs = safeNames(programs); len(programs) == 0 {
			programs = safeNames([]string{usableName(p.Name)})
		}
		p.programs(programs)
		p.Notes = append(p.Notes, "goreleaser release --clean (or build) comes first; its dist folder is packaged.")
		return true
	}
	return false
}

// yamlField returns the plain or quoted text of the first "key: text" at any
// depth, "" where it is a template or spans lines. It is for manifests whose one
// line says it all; distropack.yml itself is read by package config.
func yamlField(text, key string) string {
	m := regexp.MustCompile(`(?m)^[ \t-]*` + key + `:[ \t]*(.*)$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return yamlText(m[1])
}

func yamlText(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.Contains(s, "{{") || strings.ContainsAny(s[:1], "|>&*[{!%@`#") {
		return ""
	}
	if q := s[0]; q == '"' || q == '\'' {
		if i := strings.IndexByte(s[1:], q); i >= 0 {
			return s[1 : i+1]
		}
		return ""
	}
	s, _, _ = strings.Cut(s, " #")
	return strings.TrimSpace(s)
}
