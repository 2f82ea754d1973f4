package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

func rust(r *reader, p *Project) bool {
	if !r.has("Cargo.toml") {
		return false
	}
	p.Manifest = "Cargo.toml"
	root := parseTOML(r.text("Cargo.toml"))
	crates := workspace(r, root)
	// The crate that gives the project its name: the root's own, else the first
	// with a program, else the first.
	lead := crates[0]
	if root.at("package") == nil {
		for _, c := range crates {
			if len(c.programs) > 0 {
				lead = c
				break
			}
		}
	}
	p.rustManifest(r, root, lead)
	var programs []string
	for _, c := range crates {
		programs = append(programs, c.programs...)
	}
	programs = safeNames(programs)
	locked := ""
	if r.has("Cargo.lock") {
		locked = " --locked"
	}
	p.Slot = "bin"
	p.Build = "cargo build --release" + locked + " --target-dir target\n"
	for _, n := range programs {
		p.Build += fmt.Sprintf("cp target/release/%s \"$OUT/\"\n", n)
	}
	if len(programs) == 0 {
		p.Notes = append(p.Notes, "Cargo.toml names no program; list what is to be packaged.")
	}
	p.programs(programs)
	return true
}

// crate is one package of a Cargo workspace.
type crate struct {
	dir      string
	toml     table
	programs []string
}

// workspace lists the root's crate and the members. It has at least one entry.
func workspace(r *reader, root table) []crate {
	var all []crate
	if root.at("package") != nil || root.at("workspace") == nil {
		all = append(all, newCrate(r, ".", root))
	}
	exclude := root.strs("workspace", "exclude")
	for _, pattern := range root.strs("workspace", "members") {
		for _, name := range r.glob(path.Join(pattern, "Cargo.toml")) {
			dir := path.Dir(name)
			if dir == "." || slices.Contains(exclude, dir) || slices.ContainsFunc(all, func(c crate) bool { return c.dir == dir }) || len(all) >= 100 {
				continue
			}
			all = append(all, newCrate(r, dir, parseTOML(r.text(name))))
		}
	}
	if len(all) == 0 {
		all = append(all, newCrate(r, ".", root))
	}
	return all
}

func newCrate(r *reader, dir string, t table) crate {
	c := crate{dir: dir, toml: t}
	name := t.str("package", "name")
	for _, b := range t.tables("bin") {
		c.programs = append(c.programs, b.str("name"))
	}
	if name != "" && r.has(path.Join(dir, "src/main.rs")) && len(t.tables("bin")) == 0 {
		c.programs = append(c.programs, name)
	}
	for _, f := range r.glob(path.Join(dir, "src/bin/*.rs")) {
		if n := strings.TrimSuffix(path.Base(f), ".rs"); !slices.Contains(c.programs, n) && len(t.tables("bin")) == 0 {
			c.programs = append(c.programs, n)
		}
	}
	return c
}

// rustManifest takes what the crate says, or the workspace where the crate says
// that the workspace does.
func (p *Project) rustManifest(r *reader, root table, c crate) {
	own, shared := c.toml.at("package"), root.at("workspace", "package")
	get := func(key string) string {
		if t, ok := own[key].(table); ok && t["workspace"] == bare("true") {
			return shared.str(key)
		}
		return own.str(key)
	}
	p.Name = own.str("name")
	p.Description = get("description")
	p.Homepage = first(get("homepage"), get("repository"))
	// Cargo read "MIT/Apache-2.0" as OR before it knew SPDX.
	p.License = strings.ReplaceAll(get("license"), "/", " OR ")
	authors := own.strs("authors")
	if len(authors) == 0 {
		authors = shared.strs("authors")
	}
	if len(authors) > 0 {
		p.Maintainer = authors[0]
	}
	section, file := `\[package\]`, path.Join(c.dir, "Cargo.toml")
	if _, inherited := own["version"].(table); inherited {
		section, file = `\[workspace\.package\]`, "Cargo.toml"
	}
	regex := `(?ms)^` + section + `.*?^version\s*=\s*"([^"]+)"`
	if r.find(file, regex) == get("version") {
		p.Version = r.extractor(file, regex)
	}
}
