package git

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hostError is what a host said went wrong, in its own words.
type hostError struct{ words string }

func (e *hostError) Error() string { return fmt.Sprintf("the host says %q", e.words) }

var errSHA256 = errors.New("the repository names its objects by SHA-256, which is not supported: make one with --object-format=sha1")

// printable returns foreign words on one line, without what a terminal could take
// for a command, and at most max bytes of them.
func printable(s string, max int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = b.Len() > 0
			continue
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r)+1 > max {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// refusal is a push that a host refused.
type refusal struct {
	reason string // of the branch: "pre-receive hook declined"
	words  string // what the host said to people meanwhile
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("the host refused the push: %q", printable(r.reason, 200))
	if r.words != "" {
		text += fmt.Sprintf(", and said %q", printable(r.words, 600))
	}
	if advice := r.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// advice says what to do about a refusal.
func (r *refusal) advice() string {
	all := strings.ToLower(r.reason + "\n" + r.words)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(all, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("gh001", "file size limit", "exceeds the maximum", "larger than the allowed", "file is too large"):
		return "a file is larger than the host takes: keep such packages in a bucket or a release"
	case has("non-fast-forward", "force push", "force-push"):
		return "the branch takes no new beginnings: allow forced pushes to it, or keep its history"
	case has("gh006", "gh013", "protected branch", "protected ref", "rule violations"):
		return "the branch is protected: allow this publisher to push to it in the host's settings"
	case has("currently checked out"):
		return "the repository has a work tree with this branch: use a bare one, or another branch"
	case has("quota", "no space", "disk full"):
		return "the host has no room: free some, or drop old versions"
	}
	return ""
}

// isRace tells whether a push may have been refused because another one was under
// way at the same moment.
func (r *refusal) isRace() bool {
	all := strings.ToLower(r.reason)
	for _, w := range []string{"lock", "failed to update ref", "already exists", "fetch first", "stale info", "but expected", "incorrect old value", "reference"} {
		if strings.Contains(all, w) {
			return true
		}
	}
	return false
}
