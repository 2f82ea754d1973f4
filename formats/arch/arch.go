// Package arch writes and reads the packages of pacman, the package manager of
// Arch Linux and Manjaro: .pkg.tar.zst.
//
// A package is one compressed tar archive: .PKGINFO (what it is), .MTREE (what
// every file must look like), .INSTALL (shell functions) and .CHANGELOG first,
// then the files with all their directories. See PKGBUILD(5), alpm-pkginfo(5)
// and mtree(5).
//
// The signature is a file beside the package, made when it is finished: Detached
// names it. pacman runs no script of the old version on an upgrade, and goes on
// when a script fails, but for reporting it.
//
// Arch has one directory for programs and one for libraries: /bin, /sbin and
// /usr/sbin are links to /usr/bin, /lib, /lib64 and /usr/lib64 to /usr/lib. Files
// below them are put where the links lead, because pacman refuses packages that
// go through them.
package arch

import (
	"fmt"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// Options are the key arch of a package.
type Options struct {
	Compression string `yaml:"compression" enum:"zstd,gzip" doc:"How the package is compressed; zstd where absent. gzip is for pacman before 5.2."`
}

// Kind is the entry of arch in the list of formats.
func Kind() formats.Kind {
	return formats.Kind{Name: "arch", Options: &Options{}, New: func(section formats.Section, env formats.Env) (formats.Format, error) {
		var o Options
		if err := section.Decode(&o); err != nil {
			return nil, err
		}
		f := &Format{env: env, codec: pack.Zstd, suffix: ".pkg.tar.zst"}
		switch o.Compression {
		case "", "zstd":
		case "gzip":
			f.codec, f.suffix = pack.Gzip, ".pkg.tar.gz"
		default:
			return nil, fmt.Errorf("compression %q is unknown to arch; use zstd or gzip", o.Compression)
		}
		return f, nil
	}}
}

// Format writes and reads pacman's packages.
type Format struct {
	env    formats.Env
	codec  pack.Codec
	suffix string
}

var _ formats.Format = (*Format)(nil)

// Name is "arch".
func (*Format) Name() string { return "arch" }

// Detached says that a finished package is signed by a file beside it, under its
// name with suffix appended.
func (*Format) Detached() (suffix string, scheme formats.Scheme) { return ".sig", formats.OpenPGP }

// words are pacman's names of CPUs: those of Arch Linux, Arch Linux ARM and the
// ports.
var words = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armv6h", "armv7": "armv7h", "386": "i686",
	"riscv64": "riscv64", "ppc64le": "powerpc64le", "s390x": "s390x", "loong64": "loong64", "all": "any",
}

func word(p formats.Platform) (string, error) {
	if p.OS != "linux" {
		return "", fmt.Errorf("platform %s: arch packages are for linux only", p)
	}
	w, ok := words[p.CPU()]
	if !ok {
		return "", fmt.Errorf("platform %s: arch has no word for this CPU", p)
	}
	return w, nil
}

// Identify names the package NAME-[EPOCH:]VERSION-RELEASE-ARCH.pkg.tar.zst. It
// also renders the description and the scripts, so all that is wrong with spec
// shows here.
func (f *Format) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	id, err := f.identity(spec, p)
	if err != nil {
		return formats.Identity{}, err
	}
	fields, err := describe(spec, id, nil)
	if err != nil {
		return formats.Identity{}, err
	}
	if _, err := pkginfo.Render(fields); err != nil {
		return formats.Identity{}, err
	}
	if _, err := scriptlet(spec, nil); err != nil {
		return formats.Identity{}, err
	}
	return id, nil
}

func (f *Format) identity(spec *formats.Spec, p formats.Platform) (id formats.Identity, err error) {
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
	id.Filename = fmt.Sprintf("%s-%s-%s%s", id.Name, id.Version, id.Arch, f.suffix)
	if len(id.Filename) > 250 { // 255 less ".sig"
		return id, fmt.Errorf("file name %q is longer than 250 bytes; shorten the name or version", id.Filename)
	}
	return id, nil
}

// checkName holds PKGBUILD(5)'s rule for pkgname.
func checkName(s string) error {
	if s == "" {
		return fmt.Errorf("the package has no name")
	}
	if s[0] == '-' || s[0] == '.' || !isName(s, "@._+-") {
		return fmt.Errorf("package name %q is not legal for pacman: letters, digits and @ . _ + - are, and - or . can't be first", s)
	}
	return nil
}

func isName(s, others string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && !isLetter(c) {
			found := false
			for j := range len(others) {
				found = found || others[j] == c
			}
			if !found {
				return false
			}
		}
	}
	return s != ""
}
