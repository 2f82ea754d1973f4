package arch

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Version returns [epoch:]pkgver-pkgrel.
//
// A pre-release is appended to the core without a separator, since that alone
// makes it older under vercmp: 1.3.0-rc.1 is 1.3.0rc.1. One that starts with a
// digit gets "a." in front, the first of all words. "~" in a version that is not
// SemVer is read as Debian does, as the start of a pre-release. Build metadata stays (1.3.0+5
// is newer than 1.3.0). "-" is not allowed in a pkgver and becomes "_".
//
// Where SemVer orders words before numbers in later places (alpha.1 before
// alpha.beta), pacman has it the other way round.
func Version(spec *formats.Spec) (string, error) {
	pkgver, err := upstream(spec.Version)
	if err != nil {
		return "", err
	}
	release := spec.Release
	if release == "" {
		release = "1"
	}
	if !isRelease(release) {
		return "", fmt.Errorf("release %q is not a number: pacman's releases are 1, 2 or 1.1", spec.Release)
	}
	epoch := strings.TrimLeft(spec.Epoch, "0")
	if strings.Trim(epoch, "0123456789") != "" || len(epoch) > 9 {
		return "", fmt.Errorf("epoch %q is not a number of at most nine digits", spec.Epoch)
	}
	if epoch != "" {
		epoch += ":"
	}
	return epoch + pkgver + "-" + release, nil
}

func upstream(version string) (string, error) {
	if err := formats.CheckVersion(version); err != nil {
		return "", err
	}
	v := formats.SplitVersion(version)
	if core, pre, found := strings.Cut(v.Core, "~"); found {
		if v.Pre != "" {
			pre += "." + v.Pre
		}
		v.Core, v.Pre = core, strings.TrimLeft(pre, ".-_~+")
	}
	s := v.Core
	if v.Pre != "" {
		if !isLetter(v.Pre[0]) {
			s += "a."
		} else if isLetter(s[len(s)-1]) {
			// 1.0b~rc1: the words would run together.
			return "", fmt.Errorf("version %q has a pre-release after a letter, which pacman can't order; end what is before it in a digit", version)
		}
		s += strings.TrimLeft(v.Pre, "-")
	}
	if v.Build != "" {
		s += "+" + v.Build
	}
	return strings.NewReplacer("-", "_", "~", "_").Replace(s), nil
}

func isRelease(s string) bool {
	major, minor, dotted := strings.Cut(s, ".")
	return isNumber(major) && (!dotted || isNumber(minor))
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}
