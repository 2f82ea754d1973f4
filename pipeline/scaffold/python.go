package scaffold

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

var entryPoint = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$`)

func python(r *reader, p *Project) bool {
	if !r.has("pyproject.toml") {
		return false
	}
	p.Manifest = "pyproject.toml"
	root := parseTOML(r.text("pyproject.toml"))
	own, poetry := root.at("project"), root.at("tool", "poetry")
	p.Name = first(own.str("name"), poetry.str("name"))
	p.Description = first(own.str("description"), poetry.str("description"))
	p.License = first(own.str("license"), own.str("license", "text"), poetry.str("license"))
	urls := own.at("urls")
	for _, k := range []string{"Homepage", "homepage", "Home", "Repository", "repository", "Source", "source"} {
		p.Homepage = first(p.Homepage, urls.str(k))
	}
	p.Homepage = first(p.Homepage, poetry.str("homepage"), poetry.str("repository"))
	for _, who := range slices.Concat(own.tables("maintainers"), own.tables("authors")) {
		if p.Maintainer == "" && who.str("email") != "" {
			p.Maintainer = fmt.Sprintf("%s <%s>", who.str("name"), who.str("email"))
		}
	}
	if who := poetry.strs("authors"); p.Maintainer == "" && len(who) > 0 {
		p.Maintainer = who[0]
	}
	p.Version = pythonVersion(r, root)

	scripts := own.at("scripts")
	if scripts == nil {
		scripts = poetry.at("scripts")
	}
	p.Platforms = []string{"noarch"}
	p.Depends = []string{"python3"}
	p.Slot = "bin"
	p.Build = "t=$(mktemp -d)\npython3 -m pip install --quiet --no-compile --target \"$t\" .\n"
	var names []string
	for n, v := range scripts {
		if s, ok := v.(string); ok && entryPoint.MatchString(s) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	names = safeNames(names)
	for _, n := range names {
		p.Build += fmt.Sprintf("python3 -m zipapp \"$t\" -p /usr/bin/python3 -m %s -o \"$OUT/%s\"\n", scripts.str(n), n)
	}
	p.Build += "rm -r \"$t\"\n"
	if len(names) == 0 {
		p.Notes = append(p.Notes, "pyproject.toml names no script; list what is to be packaged.")
	}
	p.programs(names)
	p.Notes = append(p.Notes, "Each program is one zip file with all its pure Python modules; with native ones, list real platforms instead of noarch.")
	return true
}

const dunderVersion = `(?m)^__version__\s*(?::\s*str\s*)?=\s*["']([^"']+)["']`

// pythonVersion looks where the build back ends do: in the manifest, in the file
// that it names, in the packages' __init__.py.
func pythonVersion(r *reader, root table) *Extractor {
	for _, c := range []struct{ section, want string }{
		{`\[project\]`, root.str("project", "version")},
		{`\[tool\.poetry\]`, root.str("tool", "poetry", "version")},
	} {
		regex := `(?ms)^` + c.section + `.*?^version\s*=\s*["']([^"']+)["']`
		if c.want != "" && r.find("pyproject.toml", regex) == c.want {
			return r.extractor("pyproject.toml", regex)
		}
	}
	files := []string{root.str("tool", "hatch", "version", "path")}
	for _, pattern := range []string{"*/__init__.py", "src/*/__init__.py", "*/__about__.py", "src/*/__about__.py", "*/_version.py", "src/*/_version.py"} {
		files = append(files, r.glob(pattern)...)
	}
	for _, f := range files {
		if e := r.extractor(path.Clean(f), dunderVersion); e != nil {
			return e
		}
	}
	return nil
}

var gemField = regexp.MustCompile(`(?m)^\s*\w+\.(name|summary|description|homepage|license|author|authors|email|version)\s*=\s*\[?\s*["']([^"'\n]*)["']`)

func ruby(r *reader, p *Project) bool {
	specs := r.glob("*.gemspec")
	if len(specs) == 0 && !r.has("Gemfile") {
		return false
	}
	p.Manifest = "Gemfile"
	fields := make(map[string]string)
	if len(specs) > 0 {
		p.Manifest = specs[0]
		for _, m := range gemField.FindAllStringSubmatch(r.text(specs[0]), -1) {
			// #{…} is Ruby.
			if !strings.Contains(m[2], "#{") && fields[m[1]] == "" {
				fields[m[1]] = m[2]
			}
		}
		p.Name = first(fields["name"], strings.TrimSuffix(specs[0], ".gemspec"))
		p.Version = r.extractor(specs[0], `(?m)^\s*\w+\.version\s*=\s*["']([^"']+)["']`)
	}
	p.Description = first(fields["summary"], fields["description"])
	p.Homepage = fields["homepage"]
	p.License = fields["license"]
	if who := first(fields["author"], fields["authors"]); who != "" && fields["email"] != "" {
		p.Maintainer = fmt.Sprintf("%s <%s>", who, fields["email"])
	}
	for _, f := range append(r.glob("lib/*/version.rb"), r.glob("lib/*/*/version.rb")...) {
		if p.Version == nil {
			p.Version = r.extractor(f, `(?m)^\s*VERSION\s*=\s*["']([^"']+)["']`)
		}
	}
	versionFile(r, p)
	name := usableName(p.Name)
	if name == "" {
		name = "app"
	}
	p.Platforms = []string{"noarch"}
	p.Depends = []string{"ruby"}
	for _, dir := range []string{"lib", "exe", "bin"} {
		if len(r.list(dir)) > 0 {
			p.Contents = append(p.Contents, Entry{Src: dir, Dst: "/usr/lib/" + name + "/" + dir + "/", Type: "tree"})
		}
	}
	dir := "exe"
	if len(r.glob("exe/*")) == 0 {
		dir = "bin"
	}
	for _, f := range r.glob(dir + "/*") {
		// What bundler puts into bin is for developers.
		if n := path.Base(f); safeName.MatchString(n) && n != "console" && n != "setup" && n != "bundle" {
			p.Contents = append(p.Contents, Entry{Src: "../lib/" + name + "/" + f, Dst: "/usr/bin/" + n, Type: "symlink"})
		}
	}
	p.Notes = append(p.Notes, "Programs find lib by require_relative; gems they need are packages to depend on.")
	return true
}
