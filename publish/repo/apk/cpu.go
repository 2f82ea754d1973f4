package apk

import (
	"fmt"
	"maps"
	"slices"

	"github.com/distropack/distropack/formats"
)

// cpu is one platform with apk's words for it.
type cpu struct {
	platform formats.Platform
	words    []string
}

// alpine has Alpine's word of each CPU.
var alpine = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armhf", "armv7": "armv7", "386": "x86",
	"riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64",
}

// cpus returns apk's words for platforms, own ones where given.
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
			c.words = []string{alpine[p.CPU()]}
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
