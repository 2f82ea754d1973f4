package source

import (
	"regexp"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

var heading = regexp.MustCompile(`^##\s+\[?v?([0-9][0-9A-Za-z.+~-]*)\]?(?:\([^)]*\))?(?:\s*[-–—(]?\s*(\d{4}-\d{2}-\d{2})\)?)?`)

// parseChangelog reads keepachangelog.com's form, newest first as in the file.
func parseChangelog(text, maintainer string) []formats.Change {
	var all []formats.Change
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.HasPrefix(line, "## ") {
			m := heading.FindStringSubmatch(line)
			if m == nil { // "## [Unreleased]"
				all = append(all, formats.Change{})
				continue
			}
			at, _ := time.Parse(time.DateOnly, m[2])
			all = append(all, formats.Change{Version: m[1], Time: at, Maintainer: maintainer})
			continue
		}
		if len(all) == 0 {
			continue
		}
		c := &all[len(all)-1]
		switch t := strings.TrimSpace(line); {
		case t == "" || strings.HasPrefix(t, "#") || strings.HasPrefix(t, "["):
		case strings.HasPrefix(t, "- ") || strings.HasPrefix(t, "* "):
			c.Lines = append(c.Lines, strings.TrimSpace(t[2:]))
		case len(c.Lines) > 0:
			c.Lines[len(c.Lines)-1] += " " + t
		default:
			c.Lines = append(c.Lines, t)
		}
	}
	var out []formats.Change
	for _, c := range all {
		if c.Version != "" {
			if len(c.Lines) == 0 {
				c.Lines = []string{"New version."}
			}
			out = append(out, c)
		}
	}
	return out
}
