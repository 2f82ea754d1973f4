package config

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a number of bytes, written as 900MB (powers of 1000), 2GiB (powers of
// 1024) or a plain number.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a whole number and a unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	digits := strings.TrimRight(s, "kKMGTiB ")
	unit := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 63)
	for _, u := range byteUnits {
		if err == nil && u.name == unit && n <= uint64(math.MaxInt64/u.size) {
			*b = Bytes(int64(n) * u.size)
			return nil
		}
	}
	return fmt.Errorf("%q is not a number of bytes; write it as 900MB, 2GiB or 1048576", s)
}

// MarshalText renders what UnmarshalText reads, with the largest unit that
// leaves a whole number.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Bytes) String() string {
	best, name := int64(1), ""
	for _, u := range byteUnits {
		if u.size > best && b != 0 && int64(b)%u.size == 0 {
			best, name = u.size, u.name
		}
	}
	return strconv.FormatInt(int64(b)/best, 10) + name
}

// Mode is the permission bits of a file as stat(2) has them, written in octal:
// 0755, 04755. 0 is the absent mode.
type Mode uint32

// UnmarshalText reads octal digits, with or without 0 or 0o in front.
func (m *Mode) UnmarshalText(text []byte) error {
	s := string(text)
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		// nFPM's configurations hold decimal modes where YAML lost the octal ones.
		if d, err := strconv.ParseUint(s, 10, 32); err == nil && d <= 0o7777 {
			return fmt.Errorf("mode %q is not octal; %s in decimal is 0%o in octal", s, s, d)
		}
		return fmt.Errorf("mode %q is not octal permission bits; write it as 0755", s)
	}
	if n == 0 {
		return fmt.Errorf("mode %q gives nobody any right; leave mode out for the usual one", s)
	}
	*m = Mode(n)
	return nil
}

// MarshalText renders what UnmarshalText reads.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m Mode) String() string { return fmt.Sprintf("%#04o", uint32(m)) }

// FileMode returns the mode with setuid, setgid and sticky as fs.FileMode bits.
func (m Mode) FileMode() fs.FileMode {
	f := fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		f |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		f |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		f |= fs.ModeSticky
	}
	return f
}

// Duration is a time.Duration, written as 90m, 24h, 7d or 2w.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does, and whole days and weeks.
// Negative ones are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := parseDuration(string(text))
	if err == nil {
		*d = Duration(v)
	}
	return err
}

// MarshalText renders what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return time.Duration(d).String()
}

func parseDuration(s string) (time.Duration, error) {
	for unit, size := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, found := strings.CutSuffix(s, unit)
		if !found {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil && n <= uint64(math.MaxInt64/size) {
			return time.Duration(n) * size, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a length of time; write it as 90m, 24h, 7d or 2w", s)
}
