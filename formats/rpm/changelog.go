package rpm

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// change is one entry of a header's changelog.
type change struct {
	time       uint32
	name, text string
}

// changes renders the changelog, newest first, as rpmbuild would: the day at
// noon UTC, so that it is the same day nearly everywhere, and the version behind
// the author.
func changes(spec *formats.Spec) ([]change, error) {
	var list []change
	for _, c := range spec.Changelog {
		at := c.Time
		if !at.IsZero() {
			at = at.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
		}
		t, err := unixTime(at)
		if err != nil {
			return nil, fmt.Errorf("changelog of %s: %w", c.Version, err)
		}
		name := cmp.Or(c.Maintainer, spec.Maintainer, spec.Name)
		if c.Version != "" {
			name += " - " + c.Version
		}
		if err := checkLine("changelog author", name); err != nil {
			return nil, err
		}
		var text []string
		for _, line := range c.Lines {
			line = strings.TrimRight(line, "\n")
			if err := checkText("changelog of "+c.Version, line); err != nil {
				return nil, err
			}
			text = append(text, "- "+strings.ReplaceAll(line, "\n", "\n  "))
		}
		list = append(list, change{t, name, strings.Join(text, "\n")})
	}
	return list, nil
}

func writeChanges(h *header, list []change) {
	times, names, texts := make([]uint32, len(list)), make([]string, len(list)), make([]string, len(list))
	for i, c := range list {
		times[i], names[i], texts[i] = c.time, c.name, c.text
	}
	h.int32s(tagChangelogTime, times...)
	h.strings(tagChangelogName, names...)
	h.strings(tagChangelogText, texts...)
}
