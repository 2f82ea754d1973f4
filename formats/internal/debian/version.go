package debian

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Version renders the version of spec: "[epoch:]core[~pre][+build]-release". A
// tilde sorts before the end of the text, so a pre-release comes before its
// release. "_", which versions may not have, becomes ".".
func Version(spec *formats.Spec) (string, error) {
	if err := formats.CheckVersion(spec.Version); err != nil {
		return "", err
	}
	s := formats.SplitVersion(spec.Version)
	v := s.Core
	if s.Pre != "" {
		v += "~" + s.Pre
	}
	if s.Build != "" {
		v += "+" + s.Build
	}
	v = strings.ReplaceAll(v, "_", ".")
	release := spec.Release
	if release == "" {
		release = "1"
	}
	for _, c := range release {
		if !alnum(c) && !strings.ContainsRune(".+~", c) {
			return "", fmt.Errorf("release %q has the character %q; only letters, digits and . + ~ are allowed", release, c)
		}
	}
	v += "-" + release
	epoch := strings.TrimLeft(spec.Epoch, "0")
	if strings.Trim(epoch, "0123456789") != "" || len(epoch) > 9 {
		return "", fmt.Errorf("epoch %q is not a number of at most nine digits", spec.Epoch)
	}
	if epoch != "" {
		v = epoch + ":" + v
	}
	return v, nil
}

// CheckVersion refuses text that dpkg does not take as a version.
func CheckVersion(v string) error {
	rest := v
	if epoch, after, found := strings.Cut(v, ":"); found {
		if epoch == "" || strings.Trim(epoch, "0123456789") != "" || len(epoch) > 10 {
			return fmt.Errorf("version %q: the epoch before the colon is not a number", v)
		}
		rest = after
	}
	if rest == "" || !alnum(rune(rest[0])) || len(rest) > 256 {
		return fmt.Errorf("version %q does not start with a digit or letter, or has more than 256 characters", v)
	}
	for _, c := range rest {
		if !alnum(c) && !strings.ContainsRune(".+-~:", c) {
			return fmt.Errorf("version %q has the character %q; only letters, digits and . + - ~ : are allowed", v, c)
		}
	}
	return nil
}

func alnum(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Compare orders two versions as dpkg does: -1 if a is older, 1 if it is newer.
// Any text has a place in the order, so that lists of foreign packages can be
// sorted.
func Compare(a, b string) int {
	ea, ua, ra := split(a)
	eb, ub, rb := split(b)
	if c := compareNumbers(ea, eb); c != 0 {
		return c
	}
	if c := comparePart(ua, ub); c != 0 {
		return c
	}
	return comparePart(ra, rb)
}

// split takes a version apart. A text before a colon that is no number is part of
// the upstream version.
func split(v string) (epoch, upstream, revision string) {
	v = strings.TrimSpace(v)
	if e, rest, found := strings.Cut(v, ":"); found && e != "" && strings.Trim(e, "0123456789") == "" {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// comparePart compares alternating runs of other characters and of digits.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if c := weight(a) - weight(b); c != 0 {
				return sign(c)
			}
			a, b = a[min(1, len(a)):], b[min(1, len(b)):]
		}
		na, nb := digits(a), digits(b)
		if c := compareNumbers(a[:na], b[:nb]); c != 0 {
			return c
		}
		a, b = a[na:], b[nb:]
	}
	return 0
}

// weight places the first character of s: a tilde before the end, the end and
// digits before letters, letters before everything else.
func weight(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case alnum(rune(s[0])):
		return int(s[0])
	}
	return int(s[0]) + 256
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return sign(len(a) - len(b))
	}
	return strings.Compare(a, b)
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
