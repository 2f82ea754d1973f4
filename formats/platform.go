package formats

import (
	"fmt"
	"slices"
	"strings"
)

// Platform is what a package runs on, in Go's words: linux/amd64, linux/arm/v7.
// Arch "all" means that the package runs on every CPU ("noarch" is read too).
type Platform struct {
	OS      string
	Arch    string
	Variant string // "v6" or "v7" for arm
}

// All is the platform of packages that run on every CPU.
var All = Platform{OS: "linux", Arch: "all"}

// ParsePlatform reads "linux/amd64", "linux/arm/v7", "amd64", "arm/v7", "noarch"
// or "all".
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) > 0 && slices.Contains(arches, parts[0]) || parts[0] == "all" || parts[0] == "noarch" {
		parts = append([]string{"linux"}, parts...)
	}
	p := Platform{}
	switch len(parts) {
	case 3:
		p.Variant = parts[2]
		fallthrough
	case 2:
		p.OS, p.Arch = parts[0], parts[1]
	default:
		return p, fmt.Errorf("platform %q is not of the form os/arch", s)
	}
	if p.Arch == "noarch" {
		p.Arch = "all"
	}
	if p.Arch == "arm" && p.Variant == "" {
		return p, fmt.Errorf("platform %q needs a variant: %s/arm/v6 or %s/arm/v7", s, p.OS, p.OS)
	}
	if !slices.Contains(systems, p.OS) {
		return p, fmt.Errorf("platform %q: unknown system %q (known: %s)", s, p.OS, strings.Join(systems, " "))
	}
	if p.Arch != "all" && !slices.Contains(arches, p.Arch) {
		return p, fmt.Errorf("platform %q: unknown CPU %q (known: %s)", s, p.Arch, strings.Join(arches, " "))
	}
	if p.Variant != "" && (p.Arch != "arm" || p.Variant != "v6" && p.Variant != "v7") {
		return p, fmt.Errorf("platform %q: unknown variant %q", s, p.Variant)
	}
	return p, nil
}

var (
	systems = []string{"linux", "darwin", "freebsd", "windows"}
	arches  = []string{"amd64", "arm64", "arm", "386", "riscv64", "ppc64le", "s390x", "loong64"}
)

// LinuxPlatforms lists every Linux platform, All last.
func LinuxPlatforms() []Platform {
	var ps []Platform
	for _, a := range arches {
		if a == "arm" {
			ps = append(ps, Platform{"linux", "arm", "v6"}, Platform{"linux", "arm", "v7"})
			continue
		}
		ps = append(ps, Platform{"linux", a, ""})
	}
	return append(ps, All)
}

func (p Platform) String() string {
	if p == (Platform{}) {
		return ""
	}
	s := p.OS + "/" + p.Arch
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// CPU is the platform without its system: "amd64", "armv7".
func (p Platform) CPU() string { return p.Arch + p.Variant }

// MarshalText renders the platform as String does.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses what ParsePlatform reads.
func (p *Platform) UnmarshalText(b []byte) error {
	q, err := ParsePlatform(string(b))
	if err == nil {
		*p = q
	}
	return err
}
