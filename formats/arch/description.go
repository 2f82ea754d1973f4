package arch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// own are the keys of .PKGINFO that come from the spec, and those words of
// repository databases and other formats that must not come from a user.
var own = []string{
	"pkgname", "pkgbase", "pkgver", "pkgdesc", "url", "builddate", "packager", "size", "arch", "license",
	"replaces", "conflict", "provides", "backup", "depend", "optdepend", "xdata",
	"filename", "csize", "isize", "name", "version", "md5sum", "sha1", "sha256", "sha256sum", "sha512sum", "pgpsig", "datahash",
}

// describe returns the pairs of .PKGINFO in makepkg's order.
func describe(spec *formats.Spec, id formats.Identity, files []formats.File) ([]formats.Field, error) {
	var fields []formats.Field
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, formats.Field{Key: key, Value: value})
		}
	}
	base := spec.Source
	if checkName(base) != nil {
		base = spec.Name
	}
	packager := spec.Maintainer
	if packager == "" {
		packager = "Unknown Packager" // makepkg's words
	}
	var size int64
	for i := range files {
		size += files[i].Size()
	}
	add("pkgname", id.Name)
	add("pkgbase", base)
	add("xdata", "pkgtype=pkg")
	add("pkgver", id.Version)
	add("pkgdesc", summary(spec))
	add("url", spec.Homepage)
	add("builddate", strconv.FormatInt(seconds(spec), 10))
	add("packager", packager)
	add("size", strconv.FormatInt(size, 10))
	add("arch", id.Arch)
	add("license", spec.License)

	if err := pkginfo.CheckExtra(spec.Fields, own); err != nil {
		return nil, err
	}
	fields = append(fields, spec.Fields...)
	for _, list := range []struct {
		what, key string
		entries   []string
		form      func(what, entry string) (string, error)
	}{
		{"replaces", "replaces", spec.Replaces, depend},
		{"conflicts", "conflict", spec.Conflicts, depend},
		{"provides", "provides", spec.Provides, provide},
	} {
		for _, entry := range list.entries {
			s, err := list.form(list.what, entry)
			if err != nil {
				return nil, err
			}
			add(list.key, s)
		}
	}
	for i := range files {
		if files[i].IsConfig() {
			add("backup", strings.TrimPrefix(files[i].Path, "/"))
		}
	}
	for _, list := range []struct {
		what, key string
		entries   []string
		form      func(what, entry string) (string, error)
	}{
		{"predepends", "depend", spec.PreDepends, depend},
		{"depends", "depend", spec.Depends, depend},
		{"recommends", "optdepend", spec.Recommends, optional},
		{"suggests", "optdepend", spec.Suggests, optional},
	} {
		for _, entry := range list.entries {
			s, err := list.form(list.what, entry)
			if err != nil {
				return nil, err
			}
			add(list.key, s)
		}
	}
	return fields, nil
}

// summary is the one line pacman has room for.
func summary(spec *formats.Spec) string {
	if spec.Summary != "" {
		return spec.Summary
	}
	first, _, _ := strings.Cut(strings.TrimSpace(spec.Description), "\n")
	return strings.TrimSpace(first)
}

// seconds is the time of everything in the package. Times before 1970 don't fit
// into a plain tar header.
func seconds(spec *formats.Spec) int64 { return max(spec.Time.Unix(), 0) }

// depend reads an entry of depends, conflicts or replaces and writes it as
// name[op version].
func depend(what, entry string) (string, error) {
	if strings.Contains(entry, "|") || strings.HasPrefix(strings.TrimSpace(entry), "(") {
		return "", fmt.Errorf("%s %q is a choice, which pacman can't express; name one package under overrides.arch.%s", what, entry, what)
	}
	r, ok := formats.ParseRelation(entry)
	if !ok {
		return "", fmt.Errorf("%s %q is no relation pacman knows: write name or name>=version", what, entry)
	}
	if r.Name[0] == '-' || r.Name[0] == '.' || !isName(r.Name, "@._+-:") {
		return "", fmt.Errorf("%s %q: %q is not a legal name for pacman; name a package under overrides.arch.%s", what, entry, r.Name, what)
	}
	if r.Op == "" {
		return r.Name, nil
	}
	v, err := bound(r.Version)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", what, entry, err)
	}
	return r.Name + r.Op + v, nil
}

// bound writes the version of a relation. It may be in pacman's form already, so
// that only pre-releases are mapped: 1.2-1 means release 1 of 1.2.
func bound(v string) (string, error) {
	if !isName(v, "@._+-:~") {
		return "", fmt.Errorf("version %q is not legal for pacman", v)
	}
	s := formats.SplitVersion(v)
	if s.Pre != "" && isLetter(s.Pre[0]) || strings.Contains(v, "~") {
		return upstream(v)
	}
	return v, nil
}

// provide is depend, but what is provided has one version.
func provide(what, entry string) (string, error) {
	s, err := depend(what, entry)
	if err == nil && strings.ContainsAny(s, "<>") {
		return "", fmt.Errorf("%s %q: a package provides one version: write name=version", what, entry)
	}
	return s, err
}

// optional is depend with a reason behind ": ", which pacman shows.
func optional(what, entry string) (string, error) {
	entry, reason, found := strings.Cut(entry, ": ")
	s, err := depend(what, entry)
	if err == nil && found {
		s += ": " + strings.TrimSpace(reason)
	}
	return s, err
}
