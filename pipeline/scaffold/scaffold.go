// Package scaffold writes the first distropack.yml of a project.
//
// Detect looks at the files of a project: what it is built with, what its own
// manifest says of it, and which files a package should bring (licence, manual
// pages, completions, units). Render turns that into a commented file that
// config.Parse accepts as it is. Nothing is guessed that a package would state as
// a fact: a licence stands there only where the manifest names one.
//
// Nothing is run, and nothing outside the given file system is read. Files that
// can't be read as what they should be are left aside with a note in the result.
package scaffold

import (
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/pipeline/config"
)

// Project is what Detect found. Empty strings are unknown.
type Project struct {
	Type     string // "go", "rust", …; "" if nothing was recognised
	Manifest string // the file that decided

	Name        string
	Description string
	Homepage    string
	License     string // an SPDX expression, as the manifest has it
	Maintainer  string // Name <mail>
	Changelog   string // a file

	Version   *Extractor // nil: the tag
	Slot      string     // the source the build fills; "" if there is none
	Build     string     // its shell command
	Artifacts string     // GoReleaser's list, instead of Build
	Platforms []string
	Depends   []string
	Contents  []Entry
	Services  []string
	Notes     []string // what the user should look at; comments in the result
}

// Extractor is a place in a file that holds the version.
type Extractor struct {
	File  string
	Regex string
}

// Entry is one entry of contents.
type Entry struct {
	Src, Dst, Mode, Type string
}

// kinds are the project types, most specific first: a Tauri project has a
// package.json, nearly everything has a Makefile.
var kinds = []struct {
	name   string
	detect func(r *reader, p *Project) bool
}{
	{"goreleaser", goreleaser},
	{"tauri", tauri},
	{"rust", rust},
	{"go", golang},
	{"python", python},
	{"crystal", crystal},
	{"ruby", ruby},
	{"node", node},
	{"meson", meson},
	{"cmake", cmake},
	{"make", makefile},
}

// Detect looks at a project. fsys is its root. The only errors are those of fsys
// other than fs.ErrNotExist for a single file.
func Detect(fsys fs.FS) (*Project, error) {
	if _, err := fs.Stat(fsys, "."); err != nil {
		return nil, err
	}
	r := &reader{fsys: fsys}
	p := &Project{Platforms: []string{"linux/amd64"}}
	for _, k := range kinds {
		if k.detect(r, p) {
			p.Type = k.name
			break
		}
	}
	p.Description = paragraph(p.Description)
	if !isWeb(p.Homepage) {
		p.Homepage = ""
	}
	p.License = strings.TrimSpace(p.License)
	if !config.IsLicense(p.License) {
		p.License = ""
	}
	if !personShape.MatchString(p.Maintainer) {
		p.Maintainer = ""
	}
	p.Name = usableName(p.Name)
	extras(r, p)
	return p, nil
}

// reader reads small files of a project; what can't be read is empty.
type reader struct{ fsys fs.FS }

const maxManifest = 1 << 20

func (r *reader) text(name string) string {
	if !fs.ValidPath(name) {
		return ""
	}
	f, err := r.fsys.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r\n", "\n")
}

func (r *reader) has(name string) bool {
	st, err := fs.Stat(r.fsys, name)
	return err == nil && !st.IsDir()
}

// list returns the names in a folder, sorted, folders with a slash at the end.
func (r *reader) list(dir string) []string {
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

// glob returns files of the project that match, sorted.
func (r *reader) glob(pattern string) []string {
	names, err := fs.Glob(r.fsys, pattern)
	if err != nil {
		return nil
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !r.has(n) })
	slices.Sort(names)
	return names
}

// extractor returns where a version is found, nil unless the expression finds one
// in the file as it is.
func (r *reader) extractor(file, regex string) *Extractor {
	if usableVersion.MatchString(r.find(file, regex)) {
		return &Extractor{file, regex}
	}
	return nil
}

// find returns group 1 of the expression in a file.
func (r *reader) find(file, regex string) string {
	if !safePath.MatchString(file) {
		return ""
	}
	if m := regexp.MustCompile(regex).FindStringSubmatch(r.text(file)); m != nil {
		return m[1]
	}
	return ""
}

var (
	usableVersion = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~_-]*$`)
	safeName      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$`)
	safePath      = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9._+/-]{0,199}$`)
	personShape   = regexp.MustCompile(`^[^<>\s\pC][^<>\pC]* <[^<>@\s\pC]+@[^<>@\s\pC]+>$`)
	webShape      = regexp.MustCompile(`^https?://[A-Za-z0-9.-]*[A-Za-z0-9](:[0-9]{1,5})?(/[A-Za-z0-9._~!&'()*+,;=:@/-]*)?$`)
)

func isWeb(s string) bool { return webShape.MatchString(s) }

// usableName makes a manifest's name one that projects can have: "@acme/Hello_X"
// is "hello-x". It is "" where nothing is left.
func usableName(s string) string {
	s = strings.ToLower(path.Base("/" + s))
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '+', r == '-':
			return r
		case r == '_', r == ' ':
			return '-'
		}
		return -1
	}, s)
	s = strings.Trim(s, "-.+")
	if len(s) > 100 {
		s = strings.TrimRight(s[:100], "-.+")
	}
	return s
}

// paragraph returns s on one line.
func paragraph(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 && r <= 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff'
	}), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "")
	}
	return strings.TrimSpace(s)
}

// safeNames returns those of the names that a shell command can hold unquoted.
func safeNames(names []string) []string {
	var safe []string
	for _, n := range names {
		if safeName.MatchString(n) && !slices.Contains(safe, n) && len(safe) < 50 {
			safe = append(safe, n)
		}
	}
	return safe
}

// programs adds the built programs to the package.
func (p *Project) programs(names []string) {
	for _, n := range names {
		p.Contents = append(p.Contents, Entry{Src: p.Slot + ":" + n, Dst: "/usr/bin/" + n, Mode: "0755"})
	}
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
