package formats

import (
	"cmp"
	"strings"
)

// CompareVersions orders upstream versions by SemVer 2.0.0's precedence, and text
// that is not SemVer by its runs of digits and other characters. Build metadata
// breaks ties, so that the order is total.
func CompareVersions(a, b string) int {
	x, y := SplitVersion(a), SplitVersion(b)
	if c := compareRuns(x.Core, y.Core); c != 0 {
		return c
	}
	if (x.Pre == "") != (y.Pre == "") { // a pre-release precedes its release
		if x.Pre == "" {
			return 1
		}
		return -1
	}
	return cmp.Or(comparePre(x.Pre, y.Pre), compareRuns(x.Build, y.Build), strings.Compare(a, b))
}

// comparePre compares identifier by identifier: numbers by value and before text.
func comparePre(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		xn, yn := strings.Trim(x, "0123456789") == "", strings.Trim(y, "0123456789") == ""
		switch {
		case xn && yn:
			if c := compareNumber(x, y); c != 0 {
				return c
			}
		case xn != yn:
			if xn {
				return -1
			}
			return 1
		default:
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareRuns compares runs of digits by value and what is between as text.
func compareRuns(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			if c := compareNumber(a[:x], b[:y]); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

func compareNumber(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
