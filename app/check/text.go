package check

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Texts of strangers reach Markdown by Code, Plain and fence alone. Nothing is
// escaped: GitHub looks for mentions, references and addresses in what Markdown has
// made of a text, where an escape is gone. It looks at no code, and in code nothing
// is Markdown. So words that are more than letters and harmless marks become code.

// Code is a stranger's text as Markdown: on one line, as code, of at most so many bytes,
// without secrets; "" for nothing. A backtick becomes ' and, since tables are cut at
// it even within code, | becomes ¦.
func Code(text string, most int) string {
	text = shown(text, most)
	if text == "" {
		return ""
	}
	return "`" + codeMarks.Replace(text) + "`"
}

var codeMarks = strings.NewReplacer("`", "'", "|", "¦")

// shown is a text on one line without secrets, of so many bytes at most. Of a long
// one only the beginning is looked at; the word that this cuts, which could be half
// a secret, goes.
func shown(text string, most int) string {
	if far := 4*most + 1024; len(text) > far {
		text = text[:far]
		if i := strings.LastIndexAny(text, " \t\n"); i > most {
			text = text[:i]
		}
	}
	return clip(oneLine(Redact(text)), most)
}

// Plain is a stranger's sentence as Markdown: on one line, of at most so many bytes
// and without secrets. Words that Markdown or GitHub could make something of are code
// in it, but for the marks that end them.
func Plain(text string, most int) string {
	var b strings.Builder
	var marked []string
	flush := func() {
		if len(marked) == 0 {
			return
		}
		words := strings.Join(marked, " ")
		marked = nil
		bare := strings.TrimRight(words, ".,;:?!")
		if bare == "" {
			bare = words
		}
		b.WriteString("`" + codeMarks.Replace(bare) + "`" + words[len(bare):])
	}
	for i, w := range strings.Fields(shown(text, most)) {
		ok := (harmless.MatchString(w) || clock.MatchString(w)) && !linked.MatchString(w) && (i > 0 || !opening.MatchString(w))
		if i > 0 && (ok || len(marked) == 0) {
			flush()
			b.WriteByte(' ')
		}
		if ok {
			b.WriteString(w)
		} else {
			marked = append(marked, w)
		}
	}
	flush()
	return b.String()
}

var (
	harmless = regexp.MustCompile(`^[\p{L}\p{M}\p{N},;'"%?()./=+…–-]*[:!]?$`)
	clock    = regexp.MustCompile(`^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?[.,;]?$`)
	// linked are words that GitHub makes links of without any mark: hosts that begin
	// with www, commits, and references such as GH-12 and CVE-2026-1.
	linked = regexp.MustCompile(`(?i)www\.|\b[0-9a-f]{7,40}\b|[a-z]{2}-[0-9]`)
	// opening are words that make a list, a rule or a heading where a line begins
	// with them.
	opening = regexp.MustCompile(`^[-+=]|^[0-9]+[.)]`)
)

// fence is a block of lines as they are. A long text loses its beginning if tail
// is set, its end otherwise; the note that says so is part of most.
func fence(text string, most int, tail bool) string {
	text = strings.Trim(lines(Redact(text)), "\n")
	if len(text) > most {
		if tail {
			text = "…" + strings.ToValidUTF8(text[len(text)-most+len("…"):], "")
		} else {
			text = clip(text, most)
		}
	}
	// More backticks in a row than somebody needs.
	for strings.Contains(text, "````````") {
		text = strings.ReplaceAll(text, "````````", "'")
	}
	mark := "```"
	for strings.Contains(text, mark) {
		mark += "`"
	}
	return mark + "text\n" + text + "\n" + mark + "\n"
}

// clip cuts a text to so many bytes.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const end = "…"
	return strings.TrimRight(strings.ToValidUTF8(text[:max(0, most-len(end))], ""), " ") + end
}

// colours are the sequences that terminals know (ECMA-48).
var colours = regexp.MustCompile("\x1b(\\[[0-9;:<=>?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|[ -~])?")

// oneLine is a text without line breaks and what can't be seen.
func oneLine(text string) string {
	return strings.Join(strings.Fields(visible(text)), " ")
}

// lines keeps line breaks and tabs.
func lines(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	all := strings.Split(text, "\n")
	for i, l := range all {
		parts := strings.Split(l, "\t")
		for j := range parts {
			parts[j] = visible(parts[j])
		}
		all[i] = strings.TrimRight(strings.Join(parts, "\t"), " \t")
	}
	return strings.Join(all, "\n")
}

// visible makes spaces of controls, and drops marks that cannot be seen, such as
// those that turn the direction of writing.
func visible(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
		return text
	}
	text = colours.ReplaceAllString(strings.ToValidUTF8(text, "\ufffd"), "")
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return c
		case unicode.IsControl(c), unicode.IsSpace(c):
			return ' '
		case unicode.Is(unicode.Cf, c), unicode.Is(unicode.Co, c):
			return -1
		}
		return c
	}, text)
}

// size is n bytes as people read them, in powers of 1000; "" for none.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	unit := ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if f /= 1000; f < 999.5 {
			break
		}
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}

// lasted is a duration in two units at most.
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

// took is how long something lasted, or has lasted by now; "" if it has not begun.
func took(begun, ended, now time.Time) string {
	if begun.IsZero() {
		return ""
	}
	if ended.IsZero() {
		ended = now
	}
	return lasted(ended.Sub(begun))
}

// count is "1 package", "2 packages".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, plural(one))
}

func plural(word string) string {
	if w, ok := strings.CutSuffix(word, "y"); ok {
		return w + "ies"
	}
	return word + "s"
}
