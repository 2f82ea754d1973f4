package deb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// arches are Debian's words for CPUs. It has none for ARMv6: Raspberry Pi OS, the
// one system that runs such packages, calls itself armhf.
var arches = map[string]string{
	"amd64": "amd64", "arm64": "arm64", "armv6": "armhf", "armv7": "armhf", "386": "i386",
	"riscv64": "riscv64", "ppc64le": "ppc64el", "s390x": "s390x", "loong64": "loong64", "all": "all",
}

func archOf(p formats.Platform) (string, error) {
	if p.OS != "linux" {
		return "", fmt.Errorf("platform %s: a deb is for linux only", p)
	}
	arch, ok := arches[p.CPU()]
	if !ok {
		return "", fmt.Errorf("platform %s: Debian has no word for this CPU", p)
	}
	return arch, nil
}

// checkName refuses names policy 5.6.1 has no place for, but for the two
// characters it wants at least: packages of others need not follow it.
func checkName(name string) error {
	for i, c := range name {
		low := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !low && (i == 0 || !strings.ContainsRune("+-.", c)) {
			return fmt.Errorf("name %q has the character %q; Debian takes lower-case letters, digits and + - . and starts with a letter or digit", name, c)
		}
	}
	if name == "" || len(name) > 200 {
		return fmt.Errorf("name %q has %d characters; a name takes 1 to 200", name, len(name))
	}
	return nil
}

func checkOwnName(name string) error {
	if len(name) == 1 {
		return fmt.Errorf("name %q is too short; Debian wants two characters at least", name)
	}
	return checkName(name)
}

// checkRelated takes the name of a package with or without an architecture behind
// it, as in python3:any.
func checkRelated(name string) error {
	name, arch, found := strings.Cut(name, ":")
	if found && (arch == "" || strings.Trim(arch, "abcdefghijklmnopqrstuvwxyz0123456789-") != "") {
		return fmt.Errorf("%q is no architecture; write any or Debian's word, such as amd64", arch)
	}
	return checkName(name)
}

// reserved are fields that are ours or a repository's to write, or dpkg's own.
var reserved = []string{
	"Package", "Package-Type", "Source", "Version", "Architecture", "Maintainer", "Installed-Size",
	"Pre-Depends", "Depends", "Recommends", "Suggests", "Conflicts", "Replaces", "Provides",
	"Section", "Priority", "Essential", "Homepage", "Description", "Description-md5",
	"Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Status", "Conffiles", "Config-Version",
	"Triggers-Awaited", "Triggers-Pending",
}

// control returns the fields of the control paragraph in Debian's order.
func control(spec *formats.Spec, id formats.Identity, size int64) ([]formats.Field, error) {
	for _, l := range []struct{ what, text string }{
		{"maintainer", spec.Maintainer}, {"section", spec.Section}, {"priority", spec.Priority},
		{"homepage", spec.Homepage}, {"license", spec.License}, {"source", spec.Source},
	} {
		if err := debian.Line(l.what, l.text); err != nil {
			return nil, err
		}
	}
	if strings.TrimSpace(spec.Maintainer) == "" {
		return nil, errors.New(`the maintainer is empty; Debian wants who answers for a package: "Name <mail>"`)
	}
	description, err := debian.Description(spec.Summary, spec.Description)
	if err != nil {
		return nil, err
	}
	var fields []formats.Field
	add := func(key, value string) {
		if value = strings.TrimSpace(value); value != "" {
			fields = append(fields, formats.Field{Key: key, Value: value})
		}
	}
	add("Package", spec.Name)
	if spec.Source != "" && spec.Source != spec.Name {
		if err := checkOwnName(spec.Source); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		add("Source", spec.Source)
	}
	add("Version", id.Version)
	add("Architecture", id.Arch)
	add("Maintainer", spec.Maintainer)
	add("Installed-Size", strconv.FormatInt(size, 10))
	for _, r := range []struct {
		debian.Relation
		entries []string
	}{
		{debian.Relation{Field: "Pre-Depends", Alternatives: true, Versions: debian.AllVersions}, spec.PreDepends},
		{debian.Relation{Field: "Depends", Alternatives: true, Versions: debian.AllVersions}, spec.Depends},
		{debian.Relation{Field: "Recommends", Alternatives: true, Versions: debian.AllVersions}, spec.Recommends},
		{debian.Relation{Field: "Suggests", Alternatives: true, Versions: debian.AllVersions}, spec.Suggests},
		{debian.Relation{Field: "Conflicts", Versions: debian.AllVersions}, spec.Conflicts},
		{debian.Relation{Field: "Replaces", Versions: debian.AllVersions}, spec.Replaces},
		{debian.Relation{Field: "Provides", Versions: "="}, spec.Provides},
	} {
		r.Name = checkRelated
		value, err := r.Render(r.entries)
		if err != nil {
			return nil, err
		}
		add(r.Field, value)
	}
	add("Section", orElse(spec.Section, "utils"))
	add("Priority", orElse(spec.Priority, "optional"))
	if spec.Essential {
		add("Essential", "yes")
	}
	add("Homepage", spec.Homepage)
	fields = append(fields, formats.Field{Key: "Description", Value: description})
	fields, err = debian.AddFields(fields, spec.Fields, "Description", reserved...)
	if err != nil {
		return nil, err
	}
	_, err = debian.RenderParagraph(fields)
	return fields, err
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
