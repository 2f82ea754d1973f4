package apk

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// own are the keys of .PKGINFO that come from the spec, and words of indexes and
// other formats that must not come from a user.
var own = []string{
	"pkgname", "pkgver", "pkgdesc", "url", "builddate", "packager", "maintainer", "size", "arch", "origin", "license",
	"depend", "provides", "replaces", "datahash",
	"filename", "checksum", "name", "version", "md5sum", "sha1", "sha256", "sha256sum", "sha512sum",
}

// describe returns the pairs of .PKGINFO in abuild's order, but for datahash,
// which is last.
func describe(spec *formats.Spec, id formats.Identity, size int64) ([]formats.Field, error) {
	var fields []formats.Field
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, formats.Field{Key: key, Value: value})
		}
	}
	origin := spec.Source
	if checkName(origin) != nil {
		origin = spec.Name
	}
	add("pkgname", id.Name)
	add("pkgver", id.Version)
	add("pkgdesc", summary(spec))
	add("url", spec.Homepage)
	add("builddate", strconv.FormatInt(seconds(spec), 10))
	add("packager", spec.Maintainer)
	// apk neither unpacks nor runs the scripts of a package whose size is 0.
	add("size", strconv.FormatInt(max(size, 1), 10))
	add("arch", id.Arch)
	add("origin", origin)
	add("maintainer", spec.Maintainer)
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
		{"predepends", "depend", spec.PreDepends, depend},
		{"depends", "depend", spec.Depends, depend},
		{"conflicts", "depend", spec.Conflicts, conflict},
		{"provides", "provides", spec.Provides, provide},
		{"replaces", "replaces", spec.Replaces, depend},
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

// summary is the one line apk has room for.
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

// depend reads an entry and writes it as [!]name[op version]. apk's own operators
// ~ and <~ are known too.
func depend(what, entry string) (string, error) {
	if strings.Contains(entry, "|") || strings.HasPrefix(strings.TrimSpace(entry), "(") {
		return "", fmt.Errorf("%s %q is a choice, which apk can't express; name one package, or something that all of them provide, under overrides.apk.%s", what, entry, what)
	}
	r, ok := fuzzy(entry)
	if !ok {
		r, ok = formats.ParseRelation(entry)
	}
	if !ok {
		return "", fmt.Errorf("%s %q is no relation apk knows: write name or name>=version", what, entry)
	}
	name := strings.TrimPrefix(r.Name, "!")
	if !isMadeOf(name, "+-._,:/[]") {
		return "", fmt.Errorf("%s %q: %q is not a legal name for apk; name a package under overrides.apk.%s", what, entry, name, what)
	}
	if r.Op == "" {
		return r.Name, nil
	}
	v := r.Version
	if !isVersion(v) {
		mapped, err := upstream(v)
		if err != nil {
			return "", fmt.Errorf("%s %q: %w", what, entry, err)
		}
		v = mapped
	}
	return r.Name + r.Op + v, nil
}

// fuzzy reads apk's operators for "this version, whatever follows".
func fuzzy(entry string) (r formats.Relation, ok bool) {
	i := strings.IndexAny(entry, "<>=~")
	if i <= 0 {
		return r, false
	}
	r.Name, r.Op, r.Version = strings.TrimSpace(entry[:i]), strings.TrimRight(entry[i:], "0123456789abcdefghijklmnopqrstuvwxyz._-"), ""
	r.Version, r.Op = strings.TrimSpace(entry[i+len(r.Op):]), strings.TrimSpace(r.Op)
	switch r.Op {
	case "~", "=~", "~=", "<~", ">~":
		return r, r.Name != "" && isVersion(r.Version)
	}
	return r, false
}

// conflict is a dependency on the absence.
func conflict(what, entry string) (string, error) {
	s, err := depend(what, entry)
	if err != nil {
		return "", err
	}
	return "!" + strings.TrimPrefix(s, "!"), nil
}

// provide is depend, but what is provided has one version.
func provide(what, entry string) (string, error) {
	s, err := depend(what, entry)
	if err == nil && (strings.ContainsAny(s, "<>~") || s[0] == '!') {
		return "", fmt.Errorf("%s %q: a package provides one version: write name=version", what, entry)
	}
	return s, err
}
