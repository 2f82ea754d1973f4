package ipk

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// arches are OpenWrt's words: of several that suit a CPU, the one most devices
// have. OpenWrt has none for ppc64le and s390x.
var arches = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64_generic", "armv6": "arm_arm1176jzf-s_vfp", "armv7": "arm_cortex-a7_neon-vfpv4",
	"386": "i386_pentium4", "riscv64": "riscv64_generic", "ppc64le": "powerpc64le", "s390x": "s390x",
	"loong64": "loongarch64_generic", "all": "all",
}

func (k *Ipk) archOf(p formats.Platform) (string, error) {
	if p.OS != "linux" {
		return "", fmt.Errorf("platform %s: an ipk is for linux only", p)
	}
	if arch, ok := k.arches[p]; ok {
		return arch, nil
	}
	arch, ok := arches[p.CPU()]
	if !ok {
		return "", fmt.Errorf("platform %s: opkg has no word for this CPU", p)
	}
	return arch, nil
}

func legalArch(s string) bool {
	return s != "" && len(s) <= 100 && s[0] != '-' && s[0] != '.' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}

func checkName(name string) error {
	for i, c := range name {
		legal := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !legal && (i == 0 || !strings.ContainsRune("+-._", c)) {
			return fmt.Errorf("name %q has the character %q; opkg takes letters, digits and + - . _ and starts with a letter or digit", name, c)
		}
	}
	if name == "" || len(name) > 200 {
		return fmt.Errorf("name %q has %d characters; a name takes 1 to 200", name, len(name))
	}
	return nil
}

// reserved are fields that are ours or a feed's to write, or opkg's own.
var reserved = []string{
	"Package", "Version", "Pre-Depends", "Depends", "Recommends", "Suggests", "Conflicts", "Replaces", "Provides",
	"Section", "Priority", "Essential", "Architecture", "Installed-Size", "Maintainer", "License", "Homepage",
	"Source", "Description", "Filename", "Size", "MD5Sum", "SHA1", "SHA256sum", "SHA256", "SHA512",
	"Status", "Conffiles", "Installed-Time", "Auto-Installed",
}

// control returns the fields of the control paragraph. size is in bytes.
func control(spec *formats.Spec, id formats.Identity, size int64) ([]formats.Field, error) {
	for _, l := range []struct{ what, text string }{
		{"maintainer", spec.Maintainer}, {"section", spec.Section}, {"priority", spec.Priority},
		{"homepage", spec.Homepage}, {"license", spec.License}, {"source", spec.Source},
	} {
		if err := debian.Line(l.what, l.text); err != nil {
			return nil, err
		}
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
	add("Version", id.Version)
	for _, r := range []struct {
		debian.Relation
		entries []string
	}{
		{debian.Relation{Field: "Pre-Depends", Alternatives: true, Versions: debian.AllVersions}, spec.PreDepends},
		{debian.Relation{Field: "Depends", Alternatives: true, Versions: debian.AllVersions}, spec.Depends},
		{debian.Relation{Field: "Recommends", Alternatives: true, Versions: debian.AllVersions}, spec.Recommends},
		{debian.Relation{Field: "Suggests", Alternatives: true, Versions: debian.AllVersions}, spec.Suggests},
		{debian.Relation{Field: "Conflicts", Versions: debian.AllVersions}, spec.Conflicts},
		{debian.Relation{Field: "Replaces"}, spec.Replaces},
		{debian.Relation{Field: "Provides"}, spec.Provides},
	} {
		r.Name = checkName
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
	add("Architecture", id.Arch)
	add("Installed-Size", strconv.FormatInt(size, 10))
	add("Maintainer", spec.Maintainer)
	add("License", spec.License)
	add("Homepage", spec.Homepage)
	add("Source", orElse(spec.Source, spec.Name))
	fields = append(fields, formats.Field{Key: "Description", Value: description})
	fields, err = debian.AddFields(fields, spec.Fields, "Description", reserved...)
	if err != nil {
		return nil, err
	}
	_, err = debian.RenderParagraph(fields)
	return fields, err
}

func controlFiles(spec *formats.Spec, id formats.Identity, files []formats.File) ([]debian.Member, error) {
	size := int64(0)
	for i := range files {
		size += files[i].Size()
	}
	fields, err := control(spec, id, size)
	if err != nil {
		return nil, err
	}
	paragraph, err := debian.RenderParagraph(fields)
	if err != nil {
		return nil, err
	}
	members := []debian.Member{{Name: "control", Mode: 0o644, Body: paragraph}}
	if conffiles := debian.Conffiles(files); conffiles != nil {
		members = append(members, debian.Member{Name: "conffiles", Mode: 0o644, Body: conffiles})
	}
	scripts, err := debian.Scripts(spec, debian.Opkg)
	return append(members, scripts...), err
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
