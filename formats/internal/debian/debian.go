// Package debian is what deb and ipk have in common: the control paragraph
// (deb-control(5)), relations (deb-control(5), Debian policy 7), versions
// (deb-version(7)), maintainer scripts, the tar archives inside a package, and the
// ar archive around them (deb(5)).
//
// It knows neither format's name, fields nor words for CPUs.
package debian

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/distropack/distropack/formats"
)

// Stamp returns t as archives can hold it: whole seconds between 1970 and 2242,
// UTC. The zero time is 1970.
func Stamp(t time.Time) time.Time {
	return time.Unix(min(max(t.Unix(), 0), 1<<33-1), 0).UTC()
}

// Scratch returns s, or where that is nil one in a private folder that done
// removes.
func Scratch(s *formats.Scratch) (scratch *formats.Scratch, done func() error, err error) {
	if s != nil {
		return s, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "distropack-")
	if err != nil {
		return nil, nil, err
	}
	return formats.NewScratch(dir), func() error { return os.RemoveAll(dir) }, nil
}

// Line refuses text that does not fit into one line of a control paragraph. what
// names it in the error.
func Line(what, s string) error {
	for _, c := range s {
		if unicode.IsControl(c) {
			return fmt.Errorf("%s %q has the control character %q; it must be a line of plain text", what, s, c)
		}
	}
	return nil
}

// Description renders a synopsis and the paragraphs below it as the value of a
// Description field: lines that are empty become ".", lines that start with a
// blank stay as they are and are so shown verbatim.
func Description(summary, text string) (string, error) {
	if err := Line("summary", summary); err != nil {
		return "", err
	}
	value := strings.TrimSpace(summary)
	if value == "" {
		return "", errors.New("the summary is empty; a package needs one line that says what it is")
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\t", "        ")
	lines := strings.Split(strings.TrimRight(text, " \n"), "\n")
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for _, line := range lines {
		line = strings.TrimRight(line, " ")
		if err := Line("description line", line); err != nil {
			return "", err
		}
		switch {
		case line == "":
			line = "."
		case line[0] == '.': // a dot with text behind it is reserved
			line = " " + line
		}
		value += "\n" + line
	}
	return value, nil
}

var units = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9_:.\\@-]*\.(service|socket|timer|path|target|mount|automount|swap|slice|device)$`)

// CheckServices refuses names that are no systemd units.
func CheckServices(services []formats.Service) error {
	for _, s := range services {
		if !units.MatchString(s.Unit) || len(s.Unit) > 255 {
			return fmt.Errorf("service %q is not the name of a systemd unit, such as hello.service", s.Unit)
		}
	}
	return nil
}

// CheckOwners refuses owners and groups that tar archives can't name.
func CheckOwners(files []formats.File) error {
	for i := range files {
		for _, name := range []string{files[i].OwnerOr(), files[i].GroupOr()} {
			if len(name) > 31 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' || c == '/' }) {
				return fmt.Errorf("%s: owner %q is not the name of a user or group", files[i].Path, name)
			}
		}
	}
	return nil
}
