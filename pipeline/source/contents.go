package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/each"
)

// Contents turns the contents of a package into the files of one format and
// platform.
func (s *Slots) Contents(ctx context.Context, p *config.Project, pkg *config.Package, format string, platform formats.Platform) ([]formats.File, error) {
	e := &expander{s: s, ctx: ctx, platform: platform, ignore: newIgnored(p.Ignore), values: Values(platform, s.Release.Version, s.Release.Tag)}
	var errs []error
	seen := make(map[string]config.Pos)
	for i := range pkg.Contents {
		c := &pkg.Contents[i]
		if c.Packager != "" && c.Packager != format {
			continue
		}
		files, err := e.content(c)
		if err == nil {
			for _, f := range files {
				if pos, ok := seen[f.Path]; ok && f.Type != formats.Dir {
					err = fmt.Errorf("%s comes from line %d, too", f.Path, pos.Line)
					break
				} else if ok {
					continue
				}
				seen[f.Path] = c.Pos
				e.files = append(e.files, f)
			}
		}
		if err != nil {
			errs = append(errs, placed(p.File, c.Pos, fmt.Sprintf("packages.%s.contents", pkg.Name), err))
		}
	}
	for _, svc := range pkg.Services {
		if err := e.service(&svc, p.Unit(svc.Src), seen); err != nil {
			errs = append(errs, placed(p.File, svc.Pos, "packages."+pkg.Name+".services", err))
		}
	}
	if limit := p.Limits.Files; limit > 0 && len(e.files) > limit {
		errs = append(errs, fmt.Errorf("package %s has %d files; the limit is %d: raise limits.files", pkg.Name, len(e.files), limit))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	files, err := manuals(format, e.files)
	if err != nil {
		return nil, err
	}
	files = formats.SortFiles(files)
	if err := formats.CheckFiles(files); err != nil {
		return nil, placed(p.File, pkg.Pos, "packages."+pkg.Name+".contents", err)
	}
	return files, nil
}

func placed(file string, pos config.Pos, at string, err error) error {
	var has *config.Error
	if errors.As(err, &has) {
		return err
	}
	return &config.Error{File: file, Line: pos.Line, Col: pos.Col, Path: at, Err: err}
}

type expander struct {
	s        *Slots
	ctx      context.Context
	platform formats.Platform
	ignore   *ignored
	values   map[string]string
	files    []formats.File
}

// content expands one entry.
func (e *expander) content(c *config.Content) ([]formats.File, error) {
	dst, err := Expand(c.Dst, e.values)
	if err != nil {
		return nil, err
	}
	base := formats.File{Owner: firstOf(c.Owner, c.FileInfo.Owner), Group: firstOf(c.Group, c.FileInfo.Group)}
	mode := c.Mode
	if mode == 0 {
		mode = c.FileInfo.Mode
	}
	switch c.Type {
	case "dir":
		base.Path, base.Type, base.Mode = path.Clean(dst), formats.Dir, fs.ModeDir|0o755
		if mode != 0 {
			base.Mode = fs.ModeDir | mode.FileMode()
		}
		return []formats.File{base}, nil
	case "symlink":
		src, err := Expand(c.Src, e.values)
		base.Path, base.Type, base.Mode, base.Target = path.Clean(dst), formats.Symlink, fs.ModeSymlink|0o777, src
		return []formats.File{base}, err
	case "ghost":
		base.Path, base.Type, base.Mode = path.Clean(dst), formats.Ghost, 0o644
		if mode != 0 {
			base.Mode = mode.FileMode()
		}
		return []formats.File{base}, nil
	}
	switch c.Type {
	case "config":
		base.Type = formats.Config
	case "config|noreplace":
		base.Type = formats.Keep
	case "doc":
		base.Type = formats.Doc
	default:
		base.Type = formats.Regular
	}
	tree, src, err := e.open(c.Src)
	if err != nil {
		return nil, err
	}
	matches, prefix, err := glob(tree.FS, src)
	if err != nil {
		return nil, err
	}
	one := func(w wanted, m *many) (formats.File, error) {
		f := base
		f.Path = path.Clean(w.to)
		name := w.name
		if w.isFile {
			var found fs.FileMode
			var err error
			f.Content, found, err = tree.file(name, true, m)
			f.Mode = firstMode(mode, found)
			return f, err
		}
		st, err := lstat(tree.FS, name)
		if err != nil {
			return f, escape(err)
		}
		if st.Mode()&fs.ModeSymlink != 0 {
			if target, err := fs.ReadLink(tree.FS, name); err == nil && c.Type == "tree" && !path.IsAbs(target) && fs.ValidPath(path.Join(path.Dir(name), target)) {
				f.Type, f.Mode, f.Target = formats.Symlink, fs.ModeSymlink|0o777, target
				return f, nil
			}
			if st, err = fs.Stat(tree.FS, name); err != nil { // what it points to is taken
				return f, escape(err)
			}
		}
		if !st.Mode().IsRegular() {
			return f, fmt.Errorf("%s is a %s: only files, folders and links can be packaged", name, kind(st.Mode()))
		}
		f.Mode = firstMode(mode, st.Mode())
		f.Content, _, err = tree.file(name, true, nil)
		return f, err
	}
	var all []wanted
	for _, m := range matches {
		if e.ignore.matches(m) {
			if len(matches) == 1 && m == src {
				return nil, fmt.Errorf("%s is on the list of ignored files: it never reaches a package", m)
			}
			continue
		}
		st, err := fs.Stat(tree.FS, m)
		if err != nil {
			return nil, e.absent(tree, m, err)
		}
		if !st.IsDir() {
			to := dst
			switch {
			case m != src: // a pattern: what matched goes below dst
				to = path.Join(dst, strings.TrimPrefix(strings.TrimPrefix(m, prefix), "/"))
			case strings.HasSuffix(dst, "/"):
				to = path.Join(dst, path.Base(m))
			}
			all = append(all, wanted{m, to, false})
			continue
		}
		top, clean := cutTop(m, src, prefix), strings.TrimSuffix(path.Clean(dst), "/")
		err = fs.WalkDir(tree.FS, m, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return escape(err)
			}
			if e.ignore.matchesLast(name) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() {
				return nil
			}
			all = append(all, wanted{name, clean + "/" + strings.TrimPrefix(strings.TrimPrefix(name, top), "/"), d.Type().IsRegular()})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no file is there", c.Src)
	}
	// The files of one folder are read together.
	groups := byFolder(all)
	files := make([]formats.File, len(all))
	_, errs := each.Do(e.ctx, each.Limits{}, true, groups, nil, func(ctx context.Context, g group) (struct{}, error) {
		var together *many
		if fsys, ok := tree.FS.(manyFS); ok && g.to-g.from > 1 {
			if together = fsys.openMany(path.Dir(all[g.from].name)); together != nil {
				defer together.close()
			}
		}
		for i := g.from; i < g.to; i++ {
			if err := ctx.Err(); err != nil {
				return struct{}{}, err
			}
			var err error
			if files[i], err = one(all[i], together); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	for _, err := range errs { // the first is enough: those after it may be its consequence
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
	}
	return files, e.ctx.Err()
}

// group is a range of wanted files.
type group struct{ from, to int }

// byFolder cuts all where the folder changes, and large folders in between, so
// that there is something for every CPU.
func byFolder(all []wanted) []group {
	var groups []group
	for i := range all {
		if i == 0 || i-groups[len(groups)-1].from == 256 || !sameDir(all[i].name, all[i-1].name) {
			groups = append(groups, group{i, i})
		}
		groups[len(groups)-1].to = i + 1
	}
	return groups
}

// wanted is a file of the project that goes into a package.
type wanted struct {
	name, to string
	isFile   bool // known to be regular
}

// firstMode returns the mode that was set, or else what the file's own stands for.
func firstMode(set config.Mode, found fs.FileMode) fs.FileMode {
	switch {
	case set != 0:
		return set.FileMode()
	case found&0o111 != 0:
		return 0o755
	}
	return 0o644
}

func sameDir(a, b string) bool {
	i, j := strings.LastIndexByte(a, '/'), strings.LastIndexByte(b, '/')
	return i == j && a[:i+1] == b[:j+1]
}

// cutTop is what is cut off the names of files below the folder m: m itself where
// it was named, the pattern's fixed part where it matched.
func cutTop(m, src, prefix string) string {
	if m == src {
		if m == "." {
			return ""
		}
		return m
	}
	return prefix
}

// open finds the tree that src is in, and its path there.
func (e *expander) open(src string) (*Tree, string, error) {
	src, err := Expand(src, e.values)
	if err != nil {
		return nil, "", err
	}
	if slot, rest, found := strings.Cut(src, ":"); found {
		if _, ok := e.s.Sources[slot]; ok {
			t, err := e.s.Open(e.ctx, slot, e.platform)
			return t, path.Clean(firstOf(rest, ".")), err
		}
	}
	return e.s.Project, path.Clean(src), nil
}

func (e *expander) absent(t *Tree, name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return escape(err)
	}
	where := "the project"
	if t.Name != "" {
		where = t.Name
	}
	return fmt.Errorf("%s is not in %s (for %s)", name, where, e.platform)
}

// service puts the unit of a service where systemd finds it, unless contents
// brings one of that name.
func (e *expander) service(svc *config.Service, unit string, seen map[string]config.Pos) error {
	for at := range seen {
		if path.Base(at) == unit && strings.Contains(at, "/systemd/system/") {
			return nil
		}
	}
	tree, src, err := e.open(svc.Src)
	if err != nil {
		return err
	}
	b, err := tree.Blob(src)
	if err != nil {
		return e.absent(tree, src, err)
	}
	e.files = append(e.files, formats.File{Path: "/usr/lib/systemd/system/" + unit, Type: formats.Regular, Mode: 0o644, Content: b})
	return nil
}

// glob returns what a pattern matches, sorted, and the folder before its first
// special character. ** matches any number of folders. A name without special
// characters is returned as it is.
func glob(fsys fs.FS, pattern string) (matches []string, prefix string, err error) {
	i := strings.IndexAny(pattern, "*?[")
	if i < 0 {
		return []string{pattern}, pattern, nil
	}
	if j := strings.LastIndex(pattern[:i], "/"); j >= 0 {
		prefix = pattern[:j]
	}
	if !strings.Contains(pattern, "**") {
		matches, err = fs.Glob(fsys, pattern)
	} else {
		err = fs.WalkDir(fsys, firstOf(prefix, "."), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return escape(err)
			}
			if !d.IsDir() && matchDeep(strings.Split(pattern, "/"), strings.Split(name, "/")) {
				matches = append(matches, name)
			}
			return nil
		})
	}
	if err != nil {
		return nil, "", fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if len(matches) == 0 {
		return nil, "", fmt.Errorf("pattern %q matches no file", pattern)
	}
	slices.Sort(matches)
	return matches, prefix, nil
}

func matchDeep(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		for i := 0; i <= len(name); i++ {
			if matchDeep(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && matchDeep(pattern[1:], name[1:])
}

// lstat is fs.Lstat where the tree knows links, fs.Stat elsewhere.
func lstat(fsys fs.FS, name string) (fs.FileInfo, error) { return fs.Lstat(fsys, name) }

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
