package opkg

import (
	"fmt"
	"maps"
	"slices"

	"github.com/distropack/distropack/formats"
)

// cpu is one platform with opkg's words for it.
type cpu struct {
	platform formats.Platform
	words    []string
}

// openwrt has the word that formats/ipk writes for each CPU.
var openwrt = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64_generic", "armv6": "arm_arm1176jzf-s_vfp", "armv7": "arm_cortex-a7_neon-vfpv4",
	"386": "i386_pentium4", "riscv64": "riscv64_generic", "ppc64le": "powerpc64le", "s390x": "s390x",
	"loong64": "loongarch64_generic",
}

// cpus returns the feeds' words for platforms, own ones where given.
func cpus(words map[string][]string, platforms []formats.Platform) ([]cpu, error) {
	own := make(map[formats.Platform][]string)
	for _, text := range slices.Sorted(maps.Keys(words)) {
		p, err := formats.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		if len(words[text]) == 0 {
			return nil, fmt.Errorf("platform %q has no word: list at least one", text)
		}
		if own[p] != nil {
			return nil, fmt.Errorf("platform %q is there twice", p)
		}
		own[p] = words[text]
	}
	var all []cpu
	seen := make(map[string]formats.Platform)
	for _, p := range platforms {
		if p.OS != "linux" || p.Arch == formats.All.Arch {
			continue
		}
		c := cpu{p, slices.Clone(own[p])}
		if c.words == nil {
			c.words = []string{openwrt[p.CPU()]}
		}
		for _, w := range c.words {
			if !archForm.MatchString(w) || w == "all" || w == "noarch" {
				return nil, fmt.Errorf("%q is no name of a CPU", w)
			}
			if other, ok := seen[w]; ok {
				return nil, fmt.Errorf("%q stands for %s and for %s", w, other, p)
			}
			seen[w] = p
		}
		all = append(all, c)
	}
	return all, nil
}
