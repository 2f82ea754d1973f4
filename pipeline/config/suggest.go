package config

import (
	"fmt"
	"strings"
)

// suggest returns a hint that names the known word closest to got, at most two
// edits away, or else lists the known words.
func suggest(got string, known []string) string {
	if w := nearest(got, known); w != "" {
		return fmt.Sprintf("did you mean %q?", w)
	}
	if len(known) == 0 {
		return ""
	}
	return "known: " + strings.Join(known, ", ")
}

// nearest returns the first of the closest words, "" if none is close.
func nearest(got string, known []string) string {
	// Words of three letters are two edits from everything short.
	best, limit := "", 3
	if len(got) < 4 {
		limit = 2
	}
	if len(got) > 64 {
		return ""
	}
	for _, w := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(w)); d < limit && d < max(len(w), len(got)) {
			best, limit = w, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance (optimal string alignment)
// between a and b in bytes.
func distance(a, b string) int {
	older := make([]int, len(b)+1)
	old := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
