package check

import (
	"regexp"
	"strings"
)

const secret = "[secret]"

// Secrets that a text may hold, each with what stands for it.
var secrets = []struct {
	has  []string // one of them is in every text that has such a secret
	what *regexp.Regexp
	by   string
}{
	// GitHub's tokens have any length, and dots.
	{[]string{"gh", "github_pat_"}, regexp.MustCompile(`(gh[a-z]|github_pat)_[A-Za-z0-9_.\-]{20,}`), secret},
	{[]string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]*)?`), secret},
	{[]string{"AGE-SECRET-KEY-", "age-secret-key-"}, regexp.MustCompile(`(?i)AGE-SECRET-KEY-[0-9A-Z\-]+`), secret},
	// A PEM or PGP block in base64, and usign's private key.
	{[]string{"LS0tLS1CRUdJTi"}, regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/=]*`), secret},
	{[]string{"RWRCS"}, regexp.MustCompile(`RWRCS[A-Za-z0-9+/=]{40,}`), secret},
	{[]string{"earer ", "EARER ", "asic ", "ASIC "}, regexp.MustCompile(`(?i)\b(bearer|basic) +[A-Za-z0-9._~+/=\-]{12,}`), "${1} " + secret},
	// In addresses: whoever is named before the host, and what follows the ?.
	{[]string{"://"}, regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/?#"'<>@]*(@[^\s/?#"'<>@]*)*@`), "${1}" + secret + "@"},
	{[]string{"?"}, regexp.MustCompile(`(/[^\s"'<>?]*\?)[^\s"'<>]+`), "${1}" + secret},
}

var blockBegin = regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]{3,60})-----`)

// clearText is what a signature follows: no secret.
const clearText = "PGP SIGNED MESSAGE"

// Redact returns a text without what looks like a secret: GitHub's tokens, PEM and
// PGP blocks (to the end of the text where one has no end), age's and usign's
// private keys, what proves who asks, and the user info and queries of addresses.
// Redacting twice changes nothing more. It may be called concurrently.
func Redact(text string) string {
	var r Redactor
	return r.Redact(text)
}

// Redactor redacts a text that comes in parts, such as the lines of a log: it
// remembers a block that one part began. The zero value is ready; it is not for
// concurrent use.
type Redactor struct{ end string }

// blockLine is a line that can be part of a block: base64, a header, nothing, or
// base64 behind what somebody puts before each line.
var blockLine = regexp.MustCompile(`^\s*([A-Za-z0-9+/=]{1,80}|[A-Za-z\-]{3,30}: .{0,200})?\s*$|[A-Za-z0-9+/=]{40}`)

// Redact returns the next part as it may be shown. A block whose end never comes
// is given up at the first line that can't be part of one.
func (r *Redactor) Redact(part string) string {
	if r.end != "" && !strings.Contains(part, r.end) && !strings.Contains(part, "\n") && !blockLine.MatchString(part) {
		r.end = ""
	}
	part = r.blocks(part)
	for _, s := range secrets {
		for _, has := range s.has {
			if strings.Contains(part, has) {
				part = s.what.ReplaceAllString(part, s.by)
				break
			}
		}
	}
	return part
}

// blocks replaces what lies between -----BEGIN X----- and -----END X-----.
func (r *Redactor) blocks(part string) string {
	if r.end == "" && !strings.Contains(part, "-----BEGIN ") {
		return part
	}
	var b strings.Builder
	if r.end != "" {
		b.WriteString(secret)
	}
	for {
		if r.end != "" {
			_, after, found := strings.Cut(part, r.end)
			if !found {
				return b.String()
			}
			part, r.end = after, ""
		}
		at := blockBegin.FindStringSubmatchIndex(part)
		if at == nil {
			b.WriteString(part)
			return b.String()
		}
		b.WriteString(part[:at[0]])
		label := part[at[2]:at[3]]
		if label == clearText {
			b.WriteString(part[at[0]:at[1]])
		} else {
			b.WriteString(secret)
			r.end = "-----END " + label + "-----"
		}
		part = part[at[1]:]
	}
}
