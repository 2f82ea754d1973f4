package scaffold

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// packageJSON is what npm's manifest says. Several keys are text or mapping.
type packageJSON struct {
	Name        string         `json:"name"`
	Version     string         `json:"version"`
	Description string         `json:"description"`
	Homepage    string         `json:"homepage"`
	License     any            `json:"license"`
	Author      any            `json:"author"`
	Repository  any            `json:"repository"`
	Bin         any            `json:"bin"`
	Scripts     map[string]any `json:"scripts"`
}

const jsonVersion = `(?m)^\s*"version"\s*:\s*"([^"]+)"`

func readPackageJSON(r *reader, p *Project) (m packageJSON, ok bool) {
	if !r.has("package.json") {
		return m, false
	}
	p.Manifest = "package.json"
	if err := json.Unmarshal([]byte(r.text("package.json")), &m); err != nil {
		p.Notes = append(p.Notes, "package.json could not be read as JSON.")
		return packageJSON{}, true
	}
	p.Name = m.Name
	p.Description = m.Description
	p.Homepage = first(m.Homepage, webOf(textOr(m.Repository, "url")))
	p.License = textOr(m.License, "type")
	if p.License == "UNLICENSED" {
		// npm's word for "no licence is given", not an SPDX one.
		p.License = ""
	}
	p.Maintainer = textOr(m.Author, "")
	if who, ok := m.Author.(map[string]any); ok {
		p.Maintainer = fmt.Sprintf("%v <%v>", who["name"], who["email"])
	}
	// "Jane <jane@example.org> (https://…)"
	if i := strings.Index(p.Maintainer, "> ("); i >= 0 {
		p.Maintainer = p.Maintainer[:i+1]
	}
	if r.find("package.json", jsonVersion) == m.Version {
		p.Version = r.extractor("package.json", jsonVersion)
	}
	return m, true
}

// textOr returns v if it is text, else its text at key.
func textOr(v any, key string) string {
	if m, ok := v.(map[string]any); ok {
		v = m[key]
	}
	s, _ := v.(string)
	return s
}

func node(r *reader, p *Project) bool {
	m, ok := readPackageJSON(r, p)
	if !ok {
		return false
	}
	name := usableName(p.Name)
	if name == "" {
		name = "app"
	}
	programs := make(map[string]string)
	switch bin := m.Bin.(type) {
	case string:
		programs[name] = bin
	case map[string]any:
		for k, v := range bin {
			if s, ok := v.(string); ok {
				programs[k] = s
			}
		}
	}
	p.Platforms = []string{"noarch"}
	p.Depends = []string{"nodejs"}
	p.Slot = "app"
	p.Build = ""
	install := "npm install"
	if r.has("package-lock.json") {
		install = "npm ci"
	}
	if _, ok := m.Scripts["build"].(string); ok {
		p.Build += install + "\nnpm run build\n"
	}
	p.Build += "npm pack --silent --pack-destination \"$OUT\"\n" +
		"tar -xzf \"$OUT\"/*.tgz -C \"$OUT\" --strip-components=1\n" +
		"rm \"$OUT\"/*.tgz\n" +
		"npm install --prefix \"$OUT\" --omit=dev --ignore-scripts --no-audit --no-fund\n"
	p.Contents = append(p.Contents, Entry{Src: "app:.", Dst: "/usr/lib/" + name + "/", Type: "tree"})
	for _, n := range safeNames(sortedKeys(programs)) {
		target := strings.TrimPrefix(path.Clean("/"+programs[n]), "/")
		if !safePath.MatchString(target) {
			continue
		}
		p.Build += fmt.Sprintf("chmod +x \"$OUT/%s\"\n", target)
		p.Contents = append(p.Contents, Entry{Src: "../lib/" + name + "/" + target, Dst: "/usr/bin/" + n, Type: "symlink"})
	}
	p.Notes = append(p.Notes, "With native modules, list real platforms instead of noarch.")
	return true
}

// tauri is a desktop program of Rust with a web page inside.
func tauri(r *reader, p *Project) bool {
	const conf = "src-tauri/tauri.conf.json"
	if !r.has(conf) {
		return false
	}
	_, hasNode := readPackageJSON(r, p)
	cargo := parseTOML(r.text("src-tauri/Cargo.toml"))
	fromNode := p.Version
	npm := *p
	p.rustManifest(r, table{}, crate{dir: "src-tauri", toml: cargo})
	fromCargo := p.Version
	if fromCargo != nil && cargo.str("package", "version") == "" {
		fromCargo = nil
	}
	p.Name, p.Description = first(p.Name, npm.Name), first(p.Description, npm.Description)
	p.Homepage, p.License = first(p.Homepage, npm.Homepage), first(p.License, npm.License)
	p.Maintainer = first(p.Maintainer, npm.Maintainer)
	p.Manifest = conf
	var c struct {
		Version     string `json:"version"` // of Tauri 2
		ProductName string `json:"productName"`
		Package     struct {
			Version     string `json:"version"`
			ProductName string `json:"productName"`
		} `json:"package"` // of Tauri 1
	}
	if err := json.Unmarshal([]byte(r.text(conf)), &c); err != nil {
		p.Notes = append(p.Notes, conf+" could not be read as JSON.")
	}
	p.Version = nil
	// The version may be the path of a package.json; absent, it is Cargo's.
	if v := first(c.Version, c.Package.Version); v != "" && r.find(conf, jsonVersion) == v {
		p.Version = r.extractor(conf, jsonVersion)
	}
	if p.Version == nil && strings.HasSuffix(first(c.Version, c.Package.Version), "package.json") {
		p.Version = fromNode
	}
	if p.Version == nil {
		p.Version = fromCargo
	}
	if p.Version == nil {
		p.Version = fromNode
	}
	programs := safeNames([]string{first(cargo.str("package", "name"), usableName(first(c.ProductName, c.Package.ProductName)))})
	p.Slot = "app"
	if hasNode {
		p.Build = "npm install\nnpm run tauri build -- --no-bundle\n"
	} else {
		p.Build = "cargo tauri build --no-bundle\n"
	}
	for _, n := range programs {
		p.Build += fmt.Sprintf("cp src-tauri/target/release/%s \"$OUT/\"\n", n)
	}
	p.programs(programs)
	if len(programs) > 0 {
		for _, size := range []string{"32x32", "128x128"} {
			if icon := "src-tauri/icons/" + size + ".png"; r.has(icon) {
				p.Contents = append(p.Contents, Entry{Src: icon, Dst: "/usr/share/icons/hicolor/" + size + "/apps/" + programs[0] + ".png"})
			}
		}
	}
	p.Notes = append(p.Notes, "Tauri's programs need WebKitGTK; its package has another name in each distribution (overrides).")
	return true
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// webOf returns the page of a repository's address: git+https://…/r.git,
// git@github.com:o/r.git and github:o/r are all https://github.com/o/r.
func webOf(remote string) string {
	s := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(remote), "/"), ".git")
	s = strings.TrimPrefix(s, "git+")
	for _, scheme := range []string{"https://", "http://", "ssh://", "git://"} {
		rest, ok := strings.CutPrefix(s, scheme)
		if !ok {
			continue
		}
		host, dir, _ := strings.Cut(rest, "/")
		// A user name, and with it a token, has no place in a package.
		host = host[strings.LastIndexByte(host, '@')+1:]
		if scheme == "ssh://" || scheme == "git://" {
			host, _, _ = strings.Cut(host, ":")
			scheme = "https://"
		}
		s = scheme + host + "/" + dir
		if dir == "" || !isWeb(s) {
			return ""
		}
		return s
	}
	if rest, ok := strings.CutPrefix(s, "github:"); ok {
		return webOf("https://github.com/" + rest)
	}
	if host, dir, ok := strings.Cut(s, ":"); ok && !strings.Contains(host, "/") && strings.Contains(host, ".") {
		return webOf("https://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + dir)
	}
	return ""
}
