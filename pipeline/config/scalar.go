package config

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// Bytes is a number of bytes as people write it.
type Bytes = formats.Size

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
