package arch

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// links are the directories that the package filesystem brings as links.
var links = []struct{ from, to string }{
	{"/bin", "/usr/bin"}, {"/sbin", "/usr/bin"}, {"/usr/sbin", "/usr/bin"},
	{"/lib", "/usr/lib"}, {"/lib64", "/usr/lib"}, {"/usr/lib64", "/usr/lib"},
}

func place(path string) string {
	for _, l := range links {
		if rest, ok := strings.CutPrefix(path, l.from); ok && (rest == "" || rest[0] == '/') {
			return l.to + rest
		}
	}
	return path
}

// placed returns the files where they lie on Arch, with their directories, sorted.
// Ghosts are left out: pacman has none.
func placed(files []formats.File) ([]formats.File, error) {
	if err := formats.CheckFiles(files); err != nil {
		return nil, err
	}
	var kept []formats.File
	at := make(map[string]int, len(files))
	from := make(map[string]string, len(files))
	for _, f := range formats.SortFiles(files) {
		if f.Type == formats.Ghost {
			continue
		}
		named := f.Path
		f.Path = place(f.Path)
		if strings.HasPrefix(f.Path, "/.") {
			return nil, fmt.Errorf("path %q: pacman takes files in / that start with a dot for its own", named)
		}
		i, twice := at[f.Path]
		switch {
		case !twice:
			at[f.Path], from[f.Path] = len(kept), named
			kept = append(kept, f)
		case f.Type == formats.Dir && kept[i].Type == formats.Dir:
			if named == f.Path {
				kept[i] = f // what is said of the place itself goes before what is said of the link
			}
		default:
			return nil, fmt.Errorf("paths %q and %q are one file on Arch", from[f.Path], named)
		}
	}
	if err := formats.CheckFiles(kept); err != nil {
		return nil, err
	}
	all, _ := formats.WithParents(kept)
	return all, nil
}
