package apk

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Entry is one package of an APKINDEX: lines of a letter, a colon and a value,
// ended by an empty line.
type Entry struct {
	Checksum         string // C: "Q1" and base64 of the SHA-1 of the package's control member
	Name             string // P
	Version          string // V
	Arch             string // A
	Size             int64  // S: of the file
	InstalledSize    int64  // I
	Description      string // T
	URL              string // U
	License          string // L
	Origin           string // o
	Maintainer       string // m
	BuildTime        int64  // t: Unix time
	Commit           string // c
	ProviderPriority int64  // k

	Depends   []string // D
	Provides  []string // p
	InstallIf []string // i
}

// apk writes the lines up to k of an installed package through a buffer of 2,048
// bytes and fails where they do not fit; its own indexes cut T at 512.
const (
	maxDescription = 512
	maxHeader      = 2000
)

// NewEntry returns the entry of a record in the index of arch.
func NewEntry(rec *publish.Record, arch string) (*Entry, error) {
	m := &rec.Meta
	e := &Entry{
		Checksum:    m.Get("checksum"),
		Name:        m.Name,
		Version:     m.Version,
		Arch:        arch,
		Size:        rec.Ref.Size,
		Description: cut(m.Get("pkgdesc"), maxDescription),
		URL:         m.Get("url"),
		License:     m.Get("license"),
		Origin:      m.Get("origin"),
		Maintainer:  m.Get("maintainer"),
		Commit:      m.Get("commit"),
		Depends:     words(m, "depend"),
		Provides:    words(m, "provides"),
		InstallIf:   words(m, "install_if"),
	}
	if e.Maintainer == "" {
		e.Maintainer = m.Get("packager")
	}
	var err error
	for _, f := range []struct {
		key string
		to  *int64
	}{{"size", &e.InstalledSize}, {"builddate", &e.BuildTime}, {"provider_priority", &e.ProviderPriority}} {
		if text := m.Get(f.key); text != "" && err == nil {
			*f.to, err = number(f.key, text)
		}
	}
	return e, err
}

func words(m *formats.Meta, key string) []string {
	var all []string
	for _, v := range m.All(key) {
		all = append(all, strings.Fields(v)...)
	}
	return all
}

// cut returns at most n bytes of s, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], " ")
}

func number(what, text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a number", what, text)
	}
	return int64(n), nil
}

// Render returns the entry as it stands in an index. It refuses values that would
// not be read back as they are.
func (e *Entry) Render() ([]byte, error) { return e.append(nil) }

func (e *Entry) append(b []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	start := len(b)
	line := func(letter byte, value string) {
		b = append(b, letter, ':')
		b = append(b, value...)
		b = append(b, '\n')
	}
	count := func(letter byte, n int64) {
		b = append(b, letter, ':')
		b = strconv.AppendInt(b, n, 10)
		b = append(b, '\n')
	}
	line('C', e.Checksum)
	line('P', e.Name)
	line('V', e.Version)
	line('A', e.Arch)
	count('S', e.Size)
	count('I', e.InstalledSize)
	line('T', e.Description)
	line('U', e.URL)
	line('L', e.License)
	if e.Origin != "" {
		line('o', e.Origin)
	}
	if e.Maintainer != "" {
		line('m', e.Maintainer)
	}
	if e.BuildTime != 0 {
		count('t', e.BuildTime)
	}
	if e.Commit != "" {
		line('c', e.Commit)
	}
	if e.ProviderPriority != 0 {
		count('k', e.ProviderPriority)
	}
	if n := len(b) - start; n > maxHeader {
		return nil, fmt.Errorf("its description, licence and other lines take %d bytes; apk can keep %d: shorten them", n, maxHeader)
	}
	for _, l := range []struct {
		letter byte
		list   []string
	}{{'D', e.Depends}, {'p', e.Provides}, {'i', e.InstallIf}} {
		if len(l.list) > 0 {
			line(l.letter, strings.Join(l.list, " "))
		}
	}
	return append(b, '\n'), nil
}

func (e *Entry) check() error {
	sum, ok := strings.CutPrefix(e.Checksum, "Q1")
	if raw, err := base64.StdEncoding.Strict().DecodeString(sum); !ok || err != nil || len(raw) != 20 || len(sum) != 28 {
		return fmt.Errorf("checksum %q is not Q1 and the base64 of 20 bytes", e.Checksum)
	}
	if !nameForm.MatchString(e.Name) || !versionForm.MatchString(e.Version) || !archForm.MatchString(e.Arch) {
		return fmt.Errorf("name %q, version %q, arch %q: one has a character apk does not take", e.Name, e.Version, e.Arch)
	}
	if min(e.Size, e.InstalledSize, e.BuildTime, e.ProviderPriority) < 0 {
		return errors.New("a size or time is negative")
	}
	for _, v := range []string{e.Description, e.URL, e.License, e.Origin, e.Maintainer, e.Commit} {
		if strings.ContainsAny(v, "\n\r\x00") {
			return fmt.Errorf("value %q is more than one line", v)
		}
	}
	for _, list := range [][]string{e.Depends, e.Provides, e.InstallIf} {
		for _, w := range list {
			if w == "" || strings.ContainsAny(w, " \t\n\v\f\r\x00\u0085\u00a0") || len(strings.Fields(w)) != 1 {
				return fmt.Errorf("relation %q has a space", w)
			}
		}
	}
	return nil
}

// Parse reads the text of an APKINDEX. Lines with a lower-case letter it does not
// know are left out, as apk does; other unknown lines are refused.
func Parse(text []byte) ([]*Entry, error) {
	var all []*Entry
	var e *Entry
	for n := 1; len(text) > 0; n++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if len(line) == 0 {
			if e != nil {
				if err := e.check(); err != nil {
					return nil, fmt.Errorf("line %d: %w", n, err)
				}
				all = append(all, e)
			}
			e = nil
			continue
		}
		if e == nil {
			e = &Entry{}
		}
		if err := e.set(string(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if e != nil {
		return nil, errors.New("the last entry is cut off: no empty line ends it")
	}
	return all, nil
}

func (e *Entry) set(line string) (err error) {
	if len(line) < 2 || line[1] != ':' {
		return fmt.Errorf("%q is not a letter, a colon and a value", line)
	}
	v := line[2:]
	switch line[0] {
	case 'C':
		e.Checksum = v
	case 'P':
		e.Name = v
	case 'V':
		e.Version = v
	case 'A':
		e.Arch = v
	case 'S':
		e.Size, err = number("size", v)
	case 'I':
		e.InstalledSize, err = number("installed size", v)
	case 'T':
		e.Description = v
	case 'U':
		e.URL = v
	case 'L':
		e.License = v
	case 'o':
		e.Origin = v
	case 'm':
		e.Maintainer = v
	case 't':
		e.BuildTime, err = number("build time", v)
	case 'c':
		e.Commit = v
	case 'k':
		e.ProviderPriority, err = number("provider priority", v)
	case 'D':
		e.Depends = strings.Fields(v)
	case 'p':
		e.Provides = strings.Fields(v)
	case 'i':
		e.InstallIf = strings.Fields(v)
	default:
		if line[0] < 'a' || line[0] > 'z' {
			return fmt.Errorf("line %q has a letter apk does not know", line)
		}
	}
	return err
}
