// Package apk writes and reads the packages of apk, the package manager of Alpine
// Linux, in their second version, which apk 2 and 3 both install.
//
// A package is three gzip members one after the other, each a tar archive: the
// signature (.SIGN.RSA256.KEY), the control part (.PKGINFO and scripts) and the
// files. The first two archives are cut before the blocks that end an archive, so
// that the whole unpacks as one. The signature is over the compressed bytes of the
// control part, whose last line, datahash, is the SHA-256 of the compressed bytes
// of the files. Each file and symlink carries its SHA-1 in a PAX header. See
// https://wiki.alpinelinux.org/wiki/Apk_spec and apk-package(5).
//
// What apk has no word for is left out: recommendations, suggestions, epochs, and
// the mark of configuration files, which for apk are all files below /etc. apk
// goes on after a failed script, but ends with an error and marks the package as
// broken.
package apk

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// Kind is the entry of apk in the list of formats. There are no options: apk
// knows gzip alone.
func Kind() formats.Kind {
	return formats.Kind{Name: "apk", New: func(_ formats.Section, env formats.Env) (formats.Format, error) {
		return &Format{env: env}, nil
	}}
}

// Format writes and reads apk's packages. They are signed with Env's key.
type Format struct{ env formats.Env }

var _ formats.Format = (*Format)(nil)

// Name is "apk".
func (*Format) Name() string { return "apk" }

// words are Alpine's names of CPUs.
var words = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armhf", "armv7": "armv7", "386": "x86",
	"riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64", "all": "noarch",
}

func word(p formats.Platform) (string, error) {
	if p.OS != "linux" {
		return "", fmt.Errorf("platform %s: apk packages are for linux only", p)
	}
	w, ok := words[p.CPU()]
	if !ok {
		return "", fmt.Errorf("platform %s: apk has no word for this CPU", p)
	}
	return w, nil
}

// Identify names the package NAME_VERSION-rRELEASE_ARCH.apk. It also renders the
// description and the scripts, so all that is wrong with spec shows here.
func (f *Format) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	id, err := identity(spec, p)
	if err != nil {
		return formats.Identity{}, err
	}
	fields, err := describe(spec, id, 1)
	if err != nil {
		return formats.Identity{}, err
	}
	if _, err := pkginfo.Render(fields); err != nil {
		return formats.Identity{}, err
	}
	if _, err := scripts(spec); err != nil {
		return formats.Identity{}, err
	}
	return id, nil
}

func identity(spec *formats.Spec, p formats.Platform) (id formats.Identity, err error) {
	if err := checkName(spec.Name); err != nil {
		return id, err
	}
	if id.Arch, err = word(p); err != nil {
		return id, err
	}
	if id.Version, err = Version(spec); err != nil {
		return id, err
	}
	id.Name = spec.Name
	// A repository calls it name-version.apk in a folder per CPU; beside packages
	// for other CPUs the name needs the word.
	id.Filename = id.Name + "_" + id.Version + "_" + id.Arch + ".apk"
	if len(id.Filename) > 255 {
		return id, fmt.Errorf("file name %q is longer than 255 bytes; shorten the name or version", id.Filename)
	}
	return id, nil
}

// checkName holds abuild's rule for pkgname.
func checkName(s string) error {
	if s == "" {
		return fmt.Errorf("the package has no name")
	}
	if strings.IndexByte("-.+", s[0]) >= 0 || !isMadeOf(s, "._+-") {
		return fmt.Errorf("package name %q is not legal for apk: letters, digits and . _ + - are, and - . or + can't be first", s)
	}
	return nil
}

// isMadeOf reports whether s is letters, digits and bytes of others, and not
// empty.
func isMadeOf(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return s != ""
}
