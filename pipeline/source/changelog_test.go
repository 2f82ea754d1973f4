package source

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/distropack/distropack/formats"
)

const changes = `# Changelog

## [Unreleased]
- not yet

## [1.2.0] - 2026-01-31
### Added
- one
  goes on
* two

## v1.1.0 (2025-12-01)
Text without a bullet.

## 1.0.0

[1.2.0]: https://example.org/
`

func TestChangelogReadsKeepAChangelog(t *testing.T) {
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	want := []formats.Change{
		{Version: "1.2.0", Time: day(2026, 1, 31), Maintainer: "A", Lines: []string{"one goes on", "two"}},
		{Version: "1.1.0", Time: day(2025, 12, 1), Maintainer: "A", Lines: []string{"Text without a bullet."}},
		{Version: "1.0.0", Time: day(2025, 12, 1), Maintainer: "A", Lines: []string{"New version."}},
	}
	s := &Slots{Project: &Tree{FS: fstest.MapFS{"C.md": {Data: []byte(changes)}, "empty": {}}}}
	fallback := formats.Change{Version: "1.2.0", Time: day(2026, 2, 1), Maintainer: "A", Lines: []string{"New version."}}
	for _, c := range []struct {
		file, version string
		want          []formats.Change
	}{
		{"C.md", "1.2.0", want},
		{"C.md", "1.1.0", want[1:]},
		{"C.md", "2.0.0", append([]formats.Change{{Version: "2.0.0", Time: fallback.Time, Maintainer: "A", Lines: fallback.Lines}}, want...)},
		{"empty", "1.2.0", []formats.Change{fallback}},
		{"", "1.2.0", []formats.Change{fallback}},
	} {
		f := fallback
		f.Version = c.version
		got, err := s.Changelog(c.file, "A", f)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Changelog(%q) for %s = %+v, %v, want %+v", c.file, c.version, got, err, c.want)
		}
	}
	_, err := s.Changelog("none", "A", fallback)
	wants(t, err, "none is not in the project")
}

// FuzzChangelog holds that whatever a file says, an entry has a version and lines,
// no line is two, and nothing is made up.
func FuzzChangelog(f *testing.F) {
	f.Add(changes)
	f.Add("## 1\n- a\r\n- b\n## [2] - 2026-99-99")
	f.Add("## [\n##  \n## 0")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range parseChangelog(text, "A") {
			if c.Version == "" || len(c.Lines) == 0 {
				t.Errorf("entry %+v", c)
			}
			if !strings.Contains(text, c.Version) {
				t.Errorf("version %q is not in the text", c.Version)
			}
			for _, l := range c.Lines {
				if strings.Contains(l, "\n") {
					t.Errorf("line %q", l)
				}
			}
		}
	})
}
