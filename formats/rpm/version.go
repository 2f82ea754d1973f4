package rpm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
)

// evr is a version as rpm takes it apart. epoch is "" where absent; released says
// that there is a release, which may be empty in text that is not ours.
type evr struct {
	epoch, version, release string
	released                bool
}

func (v evr) String() string {
	s := v.version
	if v.epoch != "" {
		s = v.epoch + ":" + s
	}
	if v.released {
		s += "-" + v.release
	}
	return s
}

// parseEVR takes "[epoch:]version[-release]" apart; text before the first colon
// is an epoch only if it is all digits.
func parseEVR(s string) evr {
	v := evr{version: s}
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits < len(s) && s[digits] == ':' {
		v.epoch, v.version = s[:digits], s[digits+1:]
		if v.epoch == "" {
			v.epoch = "0"
		}
	}
	if i := strings.LastIndexByte(v.version, '-'); i >= 0 {
		v.version, v.release, v.released = v.version[:i], v.version[i+1:], true
	}
	return v
}

// Version returns "[epoch:]version-release". The pre-release part follows a
// tilde, which rpm sorts before the end of the text, so 1.3.0~rc.1 comes before
// 1.3.0; build metadata stays behind its plus; a hyphen, which rpm keeps for the
// release, becomes an underscore.
func Version(spec *formats.Spec) (string, error) {
	v, err := versionOf(spec)
	return v.String(), err
}

func versionOf(spec *formats.Spec) (evr, error) {
	if err := formats.CheckVersion(spec.Version); err != nil {
		return evr{}, err
	}
	v := evr{release: spec.Release, released: true}
	if v.release == "" {
		v.release = "1"
	}
	s := formats.SplitVersion(spec.Version)
	v.version = s.Core
	if s.Pre != "" {
		v.version += "~" + s.Pre
	}
	if s.Build != "" {
		v.version += "+" + s.Build
	}
	v.version = strings.ReplaceAll(v.version, "-", "_")
	if strings.Contains(v.version, "..") {
		return evr{}, fmt.Errorf("version %q has two dots in a row, which rpm refuses", v.version)
	}
	if !legalVersion(v.release) || strings.Contains(v.release, "..") {
		return evr{}, fmt.Errorf("release %q: rpm takes letters, digits and . _ + ~ ^, without two dots in a row", spec.Release)
	}
	if spec.Epoch != "" {
		n, err := strconv.ParseUint(spec.Epoch, 10, 32)
		if err != nil {
			return evr{}, fmt.Errorf("epoch %q is not a number from 0 to 4294967295", spec.Epoch)
		}
		if n > 0 { // rpm takes none for 0
			v.epoch = strconv.FormatUint(n, 10)
		}
	}
	return v, nil
}

// legalVersion reports whether s can be a version or a release.
func legalVersion(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("._+~^", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// Compare orders "[epoch:]version[-release]" as rpm does: -1 if a is older than
// b, 1 if it is newer, 0 if rpm takes them for the same.
func Compare(a, b string) int {
	x, y := parseEVR(a), parseEVR(b)
	if c := compareSegments(zeroIfEmpty(x.epoch), zeroIfEmpty(y.epoch)); c != 0 {
		return c
	}
	if c := compareSegments(x.version, y.version); c != 0 {
		return c
	}
	switch {
	case x.released && !y.released: // a version alone is older than any with a release
		return 1
	case !x.released && y.released:
		return -1
	}
	return compareSegments(x.release, y.release)
}

func zeroIfEmpty(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// compareSegments walks over runs of digits and runs of letters; everything else
// only separates. A tilde is older than anything, the end included; a caret is
// newer than the end and older than anything else.
func compareSegments(a, b string) int {
	for a != "" || b != "" {
		a, b = skipSeparators(a), skipSeparators(b)
		c, done := compareMark(&a, &b, '~', true)
		if !done {
			c, done = compareMark(&a, &b, '^', false)
		}
		if c != 0 {
			return c
		}
		if done {
			continue
		}
		if a == "" || b == "" {
			break
		}
		class := isAlpha
		numeric := isDigit(a[0])
		if numeric {
			class = isDigit
		}
		x, y := runOf(a, class), runOf(b, class)
		if y == "" { // digits are newer than letters
			if numeric {
				return 1
			}
			return -1
		}
		a, b = a[len(x):], b[len(y):]
		if numeric {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return sign(len(x) - len(y))
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return sign(len(a) - len(b))
}

// compareMark settles a mark at the front of one of both, and takes it off where
// both have it; done says that it did. older tells how the mark relates to the
// end of the text.
func compareMark(a, b *string, mark byte, older bool) (c int, done bool) {
	x, y := strings.HasPrefix(*a, string(mark)), strings.HasPrefix(*b, string(mark))
	switch {
	case x && y:
		*a, *b = (*a)[1:], (*b)[1:]
		return 0, true
	case x && !older && *b == "":
		return 1, true
	case y && !older && *a == "":
		return -1, true
	case x:
		return -1, true
	case y:
		return 1, true
	}
	return 0, false
}

func skipSeparators(s string) string {
	for s != "" && !isAlnum(s[0]) && s[0] != '~' && s[0] != '^' {
		s = s[1:]
	}
	return s
}

func runOf(s string, class func(byte) bool) string {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return s[:n]
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

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }

// atoi32 reads an epoch that versionOf checked.
func atoi32(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic("epoch was not checked: " + err.Error())
	}
	return uint32(n)
}
