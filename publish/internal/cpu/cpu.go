// Package cpu holds words for CPUs: those of uname -m, and those of a client whose
// users may have words of their own (apk, opkg).
package cpu

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/distropack/distropack/formats"
)

// CPU is one platform with a client's words for it.
type CPU struct {
	Platform formats.Platform
	Words    []string
}

// Machines are the words of uname -m for each platform's CPU().
var Machines = map[string][]string{
	"amd64": {"x86_64"}, "arm64": {"aarch64"}, "armv6": {"armv6l"}, "armv7": {"armv7l", "armv8l"},
	"386": {"i386", "i486", "i586", "i686"}, "riscv64": {"riscv64"}, "ppc64le": {"ppc64le"},
	"s390x": {"s390x"}, "loong64": {"loongarch64"},
}

// Words returns a client's words for platforms: own ones where given, by platform
// as ParsePlatform reads it, and those of usual, by CPU(). A word must match form
// and stand for one platform.
func Words(usual map[string]string, own map[string][]string, platforms []formats.Platform, form *regexp.Regexp) ([]CPU, error) {
	given := make(map[formats.Platform][]string)
	for _, text := range slices.Sorted(maps.Keys(own)) {
		p, err := formats.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		if len(own[text]) == 0 {
			return nil, fmt.Errorf("platform %q has no word: list at least one", text)
		}
		if given[p] != nil {
			return nil, fmt.Errorf("platform %q is there twice", p)
		}
		given[p] = own[text]
	}
	var all []CPU
	seen := make(map[string]formats.Platform)
	for _, p := range platforms {
		if p.OS != "linux" || p.Arch == formats.All.Arch {
			continue
		}
		c := CPU{p, slices.Clone(given[p])}
		if c.Words == nil {
			c.Words = []string{usual[p.CPU()]}
		}
		for _, w := range c.Words {
			if !form.MatchString(w) || w == "all" || w == "noarch" {
				return nil, fmt.Errorf("platform %q: %q is no name of a CPU", p, w)
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
