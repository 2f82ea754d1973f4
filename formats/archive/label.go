package archive

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/distropack/distropack/formats"
)

// label says what an archive is of.
type label struct {
	name, version string
	platform      formats.Platform
}

// String renders the comment. No value has a blank.
func (l label) String() string {
	s := fmt.Sprintf("name=%s version=%s os=%s arch=%s", l.name, l.version, l.platform.OS, l.platform.Arch)
	if l.platform.Variant != "" {
		s += " variant=" + l.platform.Variant
	}
	return s
}

// parseLabel reads what String made; ok is false for any other comment.
func parseLabel(s string) (l label, ok bool) {
	for _, word := range strings.Split(s, " ") {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "name":
			l.name = value
		case "version":
			l.version = value
		case "os":
			l.platform.OS = value
		case "arch":
			l.platform.Arch = value
		case "variant":
			l.platform.Variant = value
		default:
			return label{}, false
		}
	}
	return l, l.legal() && l.String() == s
}

func (l label) legal() bool {
	p, err := formats.ParsePlatform(l.platform.String())
	return err == nil && p == l.platform && nameRule.MatchString(l.name) && formats.CheckVersion(l.version) == nil
}

// topRule takes name-version-os-arch apart: the version is what begins with a
// digit behind the first dash that a digit follows.
var topRule = regexp.MustCompile(`^(.+?)[-_]v?([0-9].*)[-_]([A-Za-z]+)[-_]([A-Za-z0-9]+)$`)

// The words others use, in lower case.
var (
	systemWords = map[string]string{"macos": "darwin", "osx": "darwin", "win": "windows"}
	cpuWords    = map[string]string{
		"x64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "x86": "386",
		"armv6": "armv6", "armv7": "armv7", "armhf": "armv7", "universal": "all", "noarch": "all",
	}
)

// parseTop reads the name of an archive's top folder.
func parseTop(top string) (l label, ok bool) {
	if rest, ok := strings.CutSuffix(top, "x86_64"); ok { // it has a separator in it
		top = rest + "amd64"
	}
	m := topRule.FindStringSubmatch(top)
	if m == nil {
		return l, false
	}
	os, cpu := strings.ToLower(m[3]), strings.ToLower(m[4])
	if w, ok := systemWords[os]; ok {
		os = w
	}
	if w, ok := cpuWords[cpu]; ok {
		cpu = w
	}
	l = label{name: m[1], version: m[2], platform: formats.Platform{OS: os, Arch: cpu}}
	if v, ok := strings.CutPrefix(cpu, "armv"); ok {
		l.platform.Arch, l.platform.Variant = "arm", "v"+v
	}
	return l, l.legal()
}
