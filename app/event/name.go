package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxTag            = 255 // bytes: what a part of a path may have on most file systems
	maxOwner, maxName = 100, 100
	maxExternalID     = 512
	maxIdentifier     = 64 // GitHub takes 20 today
)

// checkRef holds a tag's or branch's name to git's rules (git-check-ref-format), and
// beyond them refuses what people cannot see and what a program could take for an
// option or for a way out of a folder.
func checkRef(what, s string) error {
	bad := func(why string) error { return fmt.Errorf("%s %s %s", what, quote(s), why) }
	switch {
	case s == "":
		return fmt.Errorf("%s is empty", what)
	case len(s) > maxTag:
		return bad("is longer than 255 bytes")
	case !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError):
		return bad("is not UTF-8")
	case s[0] == '-':
		return bad("begins with -")
	case s == "@" || strings.Contains(s, "@{"):
		return bad("is one that git keeps for itself")
	case strings.Contains(s, "..") || strings.HasSuffix(s, "."):
		return bad("has dots where git allows none")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || strings.ContainsRune(" ~^:?*[\\", r) {
			return bad(fmt.Sprintf("has the character %U, which a name may not have", r))
		}
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad("has a part that git does not allow: empty, .hidden or .lock")
		}
	}
	return nil
}

// checkOwner takes logins; what says whose.
func checkOwner(what, s string) error {
	if s == "" || len(s) > maxOwner || !all(s, func(c byte) bool { return alnum(c) || c == '-' || c == '_' }) {
		return fmt.Errorf("%s %s is not a name of an account on GitHub", what, quote(s))
	}
	return nil
}

func checkRepository(s string) error {
	if s == "" || s == "." || s == ".." || len(s) > maxName || !all(s, func(c byte) bool { return alnum(c) || c == '-' || c == '_' || c == '.' }) {
		return fmt.Errorf("repository name %s is not one that GitHub allows", quote(s))
	}
	return nil
}

func checkCommit(s string) error {
	ok := (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0") != "" &&
		all(s, func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' })
	if !ok {
		return fmt.Errorf("commit %s is not 40 or 64 hex digits", quote(s))
	}
	return nil
}

func checkID(what string, id int64) error {
	if id <= 0 {
		return fmt.Errorf("%s has the id %d; ids are positive", what, id)
	}
	return nil
}

// checkText takes our own identifiers as they come back: one word of visible ASCII.
func checkText(what, s string, limit int) error {
	if len(s) > limit || !all(s, func(c byte) bool { return ' ' < c && c <= '~' }) {
		return fmt.Errorf("%s %s is not one word of at most %d plain characters", what, quote(s), limit)
	}
	return nil
}

// plainWord holds for names of events and actions.
func plainWord(s string) bool {
	return s != "" && len(s) <= 64 && all(s, func(c byte) bool {
		return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
	})
}

func alnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func all(s string, f func(byte) bool) bool {
	for i := range len(s) {
		if !f(s[i]) {
			return false
		}
	}
	return true
}

// quote shows a stranger's text in an error: escaped, and no longer than a line.
func quote(s string) string { return strconv.QuoteToASCII(clip(s)) }

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
