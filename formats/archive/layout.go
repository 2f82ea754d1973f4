package archive

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// entry is a file at its place in the archive; name has no leading slash, and
// ends in one for a directory.
type entry struct {
	name   string
	file   formats.File
	target string // of a symlink
}

// layOut gives every file its place below top, sorted, directories before what is
// in them. files is left as it is.
func layOut(files []formats.File, top string, flat bool) ([]entry, error) {
	if err := formats.CheckFiles(files); err != nil {
		return nil, err
	}
	place := func(p string) string { return strings.TrimPrefix(p, "/") }
	if flat {
		place = flatten
	}
	var entries []entry
	from := make(map[string]string, len(files))  // name in the archive → path
	moved := make(map[string]string, len(files)) // path → name in the archive
	for _, f := range formats.SortFiles(files) {
		name := place(f.Path)
		if f.Type == formats.Ghost || name == "" { // "" is usr itself
			continue
		}
		if other, ok := from[name]; ok {
			if f.Type == formats.Dir && slices.ContainsFunc(entries, func(e entry) bool { return e.name == top+name+"/" }) {
				continue // /bin and /usr/bin
			}
			return nil, fmt.Errorf("%q and %q would both be %q in the archive; set layout: tree", other, f.Path, name)
		}
		from[name], moved[f.Path] = f.Path, name
		e := entry{name: top + name, file: f}
		if f.Type == formats.Dir {
			e.name += "/"
		}
		entries = append(entries, e)
	}
	for i := range entries {
		if f := entries[i].file; f.Type == formats.Symlink {
			entries[i].target = retarget(f, moved)
		}
	}
	if top != "" {
		entries = append(entries, entry{name: top, file: formats.File{Type: formats.Dir, Mode: fs.ModeDir | 0o755}})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

func flatten(p string) string {
	for _, prefix := range []string{"/usr/local", "/usr"} {
		if p == prefix {
			return ""
		}
		if rest, ok := strings.CutPrefix(p, prefix+"/"); ok {
			return rest
		}
	}
	return strings.TrimPrefix(p, "/")
}

// retarget returns where a symlink points inside the archive: relative, where
// its target is in it; otherwise as it was.
func retarget(f formats.File, moved map[string]string) string {
	target := f.Target
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(f.Path), target)
	}
	to, ok := moved[path.Clean(target)]
	if !ok {
		return f.Target
	}
	from := strings.Split(path.Dir(moved[f.Path]), "/")
	if from[0] == "." {
		from = nil
	}
	parts := strings.Split(to, "/")
	for len(from) > 0 && len(parts) > 1 && from[0] == parts[0] {
		from, parts = from[1:], parts[1:]
	}
	return strings.Repeat("../", len(from)) + strings.Join(parts, "/")
}
