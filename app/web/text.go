package web

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/distropack/distropack/app/store"
)

// clean makes text of strangers harmless for terminals and readers: sequences that
// colour or move are dropped; control characters, and those that turn the direction of
// writing, are shown as �. HTML is html/template's business.
func clean(text string) string {
	if plainText(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		if text[i] == 0x1b {
			i += escape(text[i:])
			continue
		}
		c, n := utf8.DecodeRuneInString(text[i:])
		if c == '\t' || !hidden(c) && (c != utf8.RuneError || n > 1) {
			b.WriteString(text[i : i+n])
		} else {
			b.WriteRune(utf8.RuneError)
		}
		i += n
	}
	return b.String()
}

func plainText(text string) bool {
	for i := range len(text) {
		if (text[i] < ' ' && text[i] != '\t') || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// hidden are controls and the marks of bidirectional text.
func hidden(c rune) bool {
	return unicode.IsControl(c) || c == '\u061c' || c == '\u200e' || c == '\u200f' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069' || c == '\u2028' || c == '\u2029' || c == '\ufeff'
}

// escape returns the length of the sequence that text begins with (ECMA-48: CSI, OSC,
// and escapes of two bytes).
func escape(text string) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i + 1
			}
			if text[i] < 0x20 || text[i] > 0x7e {
				return i
			}
		}
		return len(text)
	case ']':
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == 0x1b {
				if i+1 < len(text) && text[i+1] == '\\' {
					return i + 2
				}
				return i
			}
		}
		return len(text)
	}
	if text[1] >= 0x20 && text[1] < 0x7f {
		return 2
	}
	return 1
}

// cleanLines is clean for text of several lines.
func cleanLines(text string) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

// short cuts text to so many characters.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n == most {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// moment is a time to read and one for programs; the zero moment is unknown.
type moment struct{ Text, ISO string }

func at(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{t.UTC().Format("2 Jan 2006, 15:04 UTC"), t.UTC().Format(time.RFC3339)}
}

func day(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{t.UTC().Format("2 January 2006"), t.UTC().Format(time.RFC3339)}
}

// lasted is a duration in two units at most. live.js writes them the same way.
func lasted(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// span is how long something took, or has taken so far.
type span struct {
	Text  string // "" if it has not begun
	Since string // while it runs: when it began, for the script
}

func took(begun, ended, now time.Time) span {
	switch {
	case begun.IsZero():
		return span{}
	case ended.IsZero():
		return span{lasted(now.Sub(begun)), begun.UTC().Format(time.RFC3339Nano)}
	}
	return span{Text: lasted(ended.Sub(begun))}
}

// size is n bytes as people read them, in powers of 1000.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if f /= 1000; f < 999.5 || unit == "TB" {
			if f < 9.95 {
				return fmt.Sprintf("%.1f %s", f, unit)
			}
			return fmt.Sprintf("%.0f %s", f, unit)
		}
	}
	return ""
}

// state is a state for people: a word, and a class of the style.
type state struct{ Word, Class string }

func stateOf(s store.State) state {
	switch s {
	case store.Waiting:
		return state{"waiting", "quiet"}
	case store.Running:
		return state{"running", "busy"}
	case store.Done:
		return state{"done", "good"}
	case store.Failed:
		return state{"failed", "bad"}
	case store.Cancelled:
		return state{"cancelled", "quiet"}
	case store.ActionRequired:
		return state{"needs a decision", "warn"}
	case store.Ignored:
		return state{"ignored", "quiet"}
	}
	return state{string(s), "quiet"}
}

// open says that something is still to come.
func open(s store.State) bool { return s == store.Waiting || s == store.Running }

// commit is short enough to read.
func commit(c string) string {
	if len(c) > 10 {
		return c[:10]
	}
	return c
}

// groups cuts a fingerprint into fours.
func groups(fingerprint string) []string {
	var out []string
	for text := strings.ReplaceAll(fingerprint, " ", ""); text != ""; {
		n := min(4, len(text))
		out = append(out, text[:n])
		text = text[n:]
	}
	return out
}
