package rpm

import (
	"fmt"

	"github.com/distropack/distropack/formats"
)

// arch is a CPU in rpm's words.
type arch struct {
	name string // of the file and the arch tag
	isa  string // in name(isa), which lets a package ask for another of its own CPU
	lead uint16 // in the lead, for file(1); rpm itself ignores it
}

// arches holds rpm's words, from its rpmrc and platform macros. 386 is i386,
// the one word every x86 system takes: rpm counts i686 upwards from it.
var arches = map[string]arch{
	"amd64":   {"x86_64", "x86-64", 1},
	"arm64":   {"aarch64", "aarch-64", 19},
	"armv6":   {"armv6hl", "armv6hl-32", 12},
	"armv7":   {"armv7hl", "armv7hl-32", 12},
	"386":     {"i386", "x86-32", 1},
	"riscv64": {"riscv64", "riscv-64", 22},
	"ppc64le": {"ppc64le", "ppc-64", 16},
	"s390x":   {"s390x", "s390-64", 15},
	"loong64": {"loongarch64", "loongarch64-64", 23},
	"all":     {"noarch", "", 255},
}

func archOf(p formats.Platform) (arch, error) {
	if p.OS != "linux" {
		return arch{}, fmt.Errorf("platform %s: rpm packages are for linux", p)
	}
	a, ok := arches[p.CPU()]
	if !ok {
		return arch{}, fmt.Errorf("platform %s: rpm has no word for the CPU %q", p, p.CPU())
	}
	return a, nil
}
