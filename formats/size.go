package formats

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 900MB (powers of 1000), 2GiB (powers of
// 1024) or a plain number.
type Size int64

var sizeUnits = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a whole number and a unit.
func (b *Size) UnmarshalText(text []byte) error {
	s := string(text)
	digits := strings.TrimRight(s, "kKMGTiB ")
	unit := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 63)
	for _, u := range sizeUnits {
		if err == nil && u.name == unit && n <= uint64(math.MaxInt64/u.size) {
			*b = Size(int64(n) * u.size)
			return nil
		}
	}
	return fmt.Errorf("%q is not a number of bytes; write it as 900MB, 2GiB or 1048576", s)
}

// MarshalText renders what UnmarshalText reads, with the largest unit that
// leaves a whole number.
func (b Size) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Size) String() string {
	best, name := int64(1), ""
	for _, u := range sizeUnits {
		if u.size > best && b != 0 && int64(b)%u.size == 0 {
			best, name = u.size, u.name
		}
	}
	return strconv.FormatInt(int64(b)/best, 10) + name
}
