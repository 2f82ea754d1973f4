package bucket

import (
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/publish"
)

// rounds orders staged files. Each round's lists are put side by side, each list
// one after another: what pointers name, then pointers, then the pointers of
// folders that have signed files. Those are put in the order of the change, in
// which a signature follows what it signs, so that a client finds the two apart
// for as short as can be.
func rounds(files []staged) [][][]*staged {
	var content, loose [][]*staged
	byDir := make(map[string][]*staged)
	var dirs []string
	signed := make(map[string]bool)
	names := make(map[string]bool)
	for i := range files {
		names[files[i].Path] = true
	}
	for i := range files {
		f := &files[i]
		if f.Class != publish.Pointer {
			content = append(content, []*staged{f})
			continue
		}
		dir := path.Dir(f.Path)
		if byDir[dir] == nil {
			dirs = append(dirs, dir)
		}
		byDir[dir] = append(byDir[dir], f)
		if base, ok := signs(f.Path); ok && names[base] || path.Base(f.Path) == "InRelease" {
			signed[dir] = true
		}
	}
	var tops [][]*staged
	for _, dir := range dirs {
		if signed[dir] {
			tops = append(tops, byDir[dir])
			continue
		}
		for _, f := range byDir[dir] {
			loose = append(loose, []*staged{f})
		}
	}
	return slices.DeleteFunc([][][]*staged{content, loose, tops}, func(r [][]*staged) bool { return len(r) == 0 })
}

// signs is the file that p would be the signature of.
func signs(p string) (string, bool) {
	for _, end := range []string{".asc", ".sig", ".gpg"} {
		if base, ok := strings.CutSuffix(p, end); ok {
			return base, true
		}
	}
	return "", false
}
