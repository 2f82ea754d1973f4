package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	cmakeName   = regexp.MustCompile(`(?i)\bproject\s*\(\s*"?([A-Za-z0-9_.+-]+)`)
	cmakeText   = regexp.MustCompile(`(?is)\bproject\s*\([^)]*?\bDESCRIPTION\s+"([^")]*)"`)
	cmakePage   = regexp.MustCompile(`(?is)\bproject\s*\([^)]*?\bHOMEPAGE_URL\s+"([^")]*)"`)
	mesonName   = regexp.MustCompile(`(?s)\bproject\s*\(\s*'([^']+)'`)
	mesonText   = regexp.MustCompile(`(?s)\bproject\s*\([^)]*?\blicense\s*:\s*\[?\s*'([^']+)'`)
	makeName    = regexp.MustCompile(`(?m)^(?:NAME|PROJECT|PACKAGE|BIN|PROG|PROGRAM)\s*[:?]?=\s*([A-Za-z0-9_.+-]+)\s*$`)
	makeInstall = regexp.MustCompile(`(?m)^install\b[^\n=]*:`)
	hashLine    = regexp.MustCompile(`(?m)^\s*#.*$`)
)

// tree adds the build of a project that installs itself below DESTDIR.
func (p *Project) tree(build string) {
	p.Slot = "root"
	p.Build = build
	p.Contents = append(p.Contents, Entry{Src: "root:usr", Dst: "/usr/", Type: "tree"})
}

func group(re *regexp.Regexp, text string) string {
	if m := re.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func cmake(r *reader, p *Project) bool {
	const file = "CMakeLists.txt"
	if !r.has(file) {
		return false
	}
	p.Manifest = file
	text := hashLine.ReplaceAllString(r.text(file), "")
	p.Name = group(cmakeName, text)
	p.Description = group(cmakeText, text)
	p.Homepage = group(cmakePage, text)
	p.Version = r.extractor(file, `(?is)^[^#]*\bproject\s*\([^)]*?\bVERSION\s+"?([0-9][0-9A-Za-z.]*)`)
	if p.Version == nil {
		p.Version = r.extractor(file, `(?im)^\s*project\s*\([^)]*?\bVERSION\s+"?([0-9][0-9A-Za-z.]*)`)
	}
	versionFile(r, p)
	p.tree("cmake -S . -B build-package -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr\n" +
		"cmake --build build-package --parallel\n" +
		"DESTDIR=\"$OUT\" cmake --install build-package\n")
	return true
}

func meson(r *reader, p *Project) bool {
	const file = "meson.build"
	if !r.has(file) {
		return false
	}
	p.Manifest = file
	text := hashLine.ReplaceAllString(r.text(file), "")
	p.Name = group(mesonName, text)
	p.License = group(mesonText, text)
	p.Version = r.extractor(file, `(?s)\bproject\s*\([^)]*?\bversion\s*:\s*'([0-9][^']*)'`)
	versionFile(r, p)
	p.tree("meson setup build-package --prefix=/usr --buildtype=release\n" +
		"DESTDIR=\"$OUT\" meson install -C build-package\n")
	return true
}

func makefile(r *reader, p *Project) bool {
	for _, file := range []string{"GNUmakefile", "makefile", "Makefile"} {
		if !r.has(file) {
			continue
		}
		p.Manifest = file
		text := r.text(file)
		p.Name = group(makeName, text)
		p.Version = r.extractor(file, `(?m)^(?:[A-Z]+_)?VERSION\s*[:?]?=\s*v?([0-9][0-9A-Za-z.+~-]*)\s*$`)
		versionFile(r, p)
		if makeInstall.MatchString(text) {
			p.tree("make\nmake install DESTDIR=\"$OUT\" PREFIX=/usr prefix=/usr\n")
			return true
		}
		p.Slot, p.Build = "bin", "make\n"
		programs := safeNames([]string{usableName(p.Name)})
		for _, n := range programs {
			p.Build += fmt.Sprintf("cp %s \"$OUT/\"\n", n)
		}
		p.programs(programs)
		p.Notes = append(p.Notes, "The Makefile has no install target; copy what is to be packaged to $OUT.")
		return true
	}
	return false
}

// versionFile takes the version from a file of that name where nothing else
// holds it.
func versionFile(r *reader, p *Project) {
	for _, f := range []string{"VERSION", "VERSION.txt", "version.txt"} {
		if p.Version == nil && r.has(f) {
			p.Version = r.extractor(f, `^\s*v?([0-9][0-9A-Za-z.+~-]*)`)
		}
	}
}

var (
	shardTop    = regexp.MustCompile(`(?m)^(name|description|homepage|repository|license|version):[ \t]*(.*)$`)
	shardTarget = regexp.MustCompile(`(?m)^targets:[ \t]*\n((?:[ \t]+.*\n|[ \t]*\n)+)`)
	shardName   = regexp.MustCompile(`(?m)^( +|\t+)([A-Za-z0-9_.-]+):[ \t]*$`)
	shardAuthor = regexp.MustCompile(`(?m)^authors:[ \t]*\n[ \t]*-[ \t]*(.*)$`)
)

func crystal(r *reader, p *Project) bool {
	const file = "shard.yml"
	if !r.has(file) {
		return false
	}
	p.Manifest = file
	text := r.text(file)
	fields := make(map[string]string)
	for _, m := range shardTop.FindAllStringSubmatch(text, -1) {
		fields[m[1]] = yamlText(m[2])
	}
	p.Name, p.Description, p.License = fields["name"], fields["description"], fields["license"]
	p.Homepage = first(fields["homepage"], webOf(fields["repository"]))
	p.Maintainer = yamlText(group(shardAuthor, text))
	p.Version = r.extractor(file, `(?m)^version:\s*["']?([^\s"'#]+)`)
	var programs []string
	if m := group(shardTarget, text+"\n"); m != "" {
		indent := ""
		for _, t := range shardName.FindAllStringSubmatch(m, -1) {
			if indent == "" {
				indent = t[1]
			}
			if t[1] == indent {
				programs = append(programs, t[2])
			}
		}
	}
	if len(programs) == 0 {
		programs = []string{usableName(p.Name)}
	}
	programs = safeNames(programs)
	p.Slot = "bin"
	p.Build = "shards build --production --release\n"
	for _, n := range programs {
		p.Build += fmt.Sprintf("cp bin/%s \"$OUT/\"\n", n)
	}
	p.programs(programs)
	return true
}

// installsItself reports whether the build puts manual pages and the like in
// place, so that they need no entries.
func (p *Project) installsItself() bool {
	return slices.ContainsFunc(p.Contents, func(e Entry) bool { return strings.HasPrefix(e.Src, "root:") })
}
