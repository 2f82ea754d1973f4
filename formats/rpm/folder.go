package rpm

import (
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// shared are the folders in which a package has one of its own name.
var shared = []string{
	"/etc", "/opt", "/srv", "/usr/include", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/share", "/usr/share/doc", "/usr/share/licenses", "/usr/src",
	"/var/cache", "/var/lib", "/var/log", "/var/spool",
}

// ownFolders returns files with the folders that are the package's own by their
// name, and all below: rpm makes folders for files that lie in them, but removes
// only those that a package lists. dpkg and pacman need no list.
func ownFolders(name string, files []formats.File) []formats.File {
	listed := make(map[string]bool) // folders
	for i := range files {
		if f := &files[i]; f.Type == formats.Dir {
			listed[f.Path] = true
		}
	}
	out := slices.Clip(files) // the caller's stay as they are
	own := make([]string, len(shared))
	for i, s := range shared {
		own[i] = s + "/" + name + "/"
	}
	for k := range files {
		f := &files[k]
		for i, o := range own {
			if !strings.HasPrefix(f.Path, o) {
				continue
			}
			for d := path.Dir(f.Path); d != shared[i] && !listed[d]; d = path.Dir(d) {
				listed[d] = true
				out = append(out, formats.File{Path: d, Type: formats.Dir, Mode: 0o755})
			}
		}
	}
	return out
}

// manuals are the folders whose content rpmbuild, too, takes for documentation
// wherever it comes from: people can leave it out.
var manuals = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/info/"}

func isManual(p string) bool {
	return slices.ContainsFunc(manuals, func(dir string) bool { return strings.HasPrefix(p, dir) })
}
