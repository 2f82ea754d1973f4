package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/distropack/distropack/app/checkout"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/release"
)

// The bounds of what Explain returns, in bytes.
const (
	maxShort  = 300
	maxDetail = 8 << 10
)

// Explain says in a sentence or two, for the maintainer, what went wrong and what
// to do, and in detail, for who looks closer. Both are without secrets and control
// characters; they are text and not Markdown. Of several errors the first is
// explained, and how many there are is said. nil gives "" twice.
func Explain(err error) (short, detail string) {
	if err == nil {
		return "", ""
	}
	detail = clip(strings.TrimSpace(lines(Redact(err.Error()))), maxDetail)
	short = reason(err)
	if short == "" {
		all := leaves(err)
		short = sentence(firstLine(all[0].Error()))
		if more := len(all) - 1; more > 0 {
			short = clip(short, maxShort-40) + fmt.Sprintf(" And %s more.", count(more, "mistake"))
		}
	}
	return clip(oneLine(Redact(short)), maxShort), detail
}

// reason explains what is known; "" for the rest. The order matters where an error
// is of several kinds: what its owner can change comes first.
func reason(err error) string {
	if all := configErrors(err); len(all) > 0 {
		return mistakes(all)
	}
	var (
		limit   *github.Limit
		wait    *release.LimitError
		quota   *QuotaError
		asset   *AssetError
		moved   *PublishedError
		older   *publish.OlderError
		differs *publish.DiffersError
		hub     *github.Error
		network net.Error
	)
	switch {
	case errors.As(err, &quota):
		return fmt.Sprintf("The quota is used up: %s %s are the most. It goes on after %s.", quota.Most, quota.What, stamp(quota.Until))
	case errors.Is(err, ErrQuota):
		return "The quota is used up. It goes on by itself when there is some again."
	case errors.As(err, &asset):
		return fmt.Sprintf("After %s the GitHub release still lacks %s. Upload what is missing and run this again.", lasted(asset.Waited), names(asset.Missing))
	case errors.Is(err, ErrAssets):
		return "Files that distropack.yml takes from the GitHub release did not come. Upload them and run this again."
	case errors.Is(err, ErrNoConfig):
		return "There is no distropack.yml at this commit, so nothing is published."
	case errors.As(err, &moved):
		return fmt.Sprintf("%s was published from commit %.10s and is at %.10s now. What people have installed is never overwritten unasked: make a new tag, or press Republish.", moved.Tag, moved.Published, moved.Now)
	case errors.Is(err, ErrPublished):
		return "This version was published from another commit. What people have installed is never overwritten unasked: make a new tag, or press Republish."
	case errors.As(err, &differs):
		return fmt.Sprintf("%s is published already with other content. Raise the version, or press Republish.", differs.Path)
	case errors.As(err, &older):
		return fmt.Sprintf("%s %s is older than %s, which is published: people who have that one would not get it.", older.Name, older.Version, older.Newest)
	case errors.Is(err, github.ErrSuspended):
		return "The installation of the App is suspended. The account's owner can lift that in its settings, below Applications; it goes on by itself then."
	case errors.Is(err, github.ErrNoInstallation):
		return "The App is not installed on this account any more. Install it again."
	case errors.As(err, &limit):
		return fmt.Sprintf("GitHub takes no more requests for now. It goes on by itself after %s.", stamp(limit.Until))
	case errors.As(err, &wait):
		return "GitHub takes no more requests for now. It goes on by itself later."
	case errors.Is(err, checkout.ErrMoved):
		return "The tag was moved while it was being released. The commit it is at now is released instead."
	case errors.Is(err, checkout.ErrTooLarge):
		return "The files of this commit are more than this server takes." + because(err, checkout.ErrTooLarge)
	case errors.Is(err, checkout.ErrNotFound):
		return "The tag or the repository is gone, or the App may not read it. Is the App still installed on it?"
	case errors.Is(err, github.ErrTooLarge):
		return "A file of the repository is larger than this server takes."
	case errors.Is(err, github.ErrForbidden):
		needs := ""
		if errors.As(err, &hub) && hub.Advice != "" {
			needs = " " + sentence(hub.Advice)
		}
		return "GitHub does not allow it to the App." + needs
	case errors.Is(err, github.ErrRefused):
		return "GitHub refuses the App's credentials. Whoever runs this server has to look at its App's id, key and clock."
	case errors.Is(err, github.ErrNotFound):
		return "GitHub has no such thing, or the App may not see it. Is the App still installed on the repository?"
	case github.Temporary(err):
		return "GitHub has trouble answering. It is tried again by itself."
	case limitOf(err) != "":
		return limits[limitOf(err)]
	case errors.Is(err, publish.ErrForged):
		return "What lies in the place was not signed by this key, so nothing was built on it. Give the key it was signed with, or publish to an empty place."
	case errors.Is(err, publish.ErrConflict):
		return "Others published to the same place again and again meanwhile. Nothing is lost: run this again."
	case errors.Is(err, vault.ErrSealed):
		return "A key or secret can't be opened on this server. Whoever runs it has to look at its identity files; or give the key again."
	case errors.Is(err, vault.ErrSignerGone):
		return "The signer of this server does not answer. It is started again by itself; run this again."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "The disk of this server is full. Whoever runs it has to make room; run this again then."
	case errors.Is(err, plan.ErrNothing):
		return "There is nothing to make: no package has one of the platforms and formats that were asked for."
	case errors.Is(err, pipeline.ErrUsage):
		return sentence(strings.TrimPrefix(firstLine(err.Error()), pipeline.ErrUsage.Error()+": "))
	case errors.Is(err, context.DeadlineExceeded):
		return "It took longer than it may."
	case errors.Is(err, context.Canceled):
		return "It was stopped."
	case errors.As(err, &network):
		return "A server could not be reached: " + firstLine(err.Error()) + "."
	}
	return ""
}

// limits says which bound of the sandbox a release met.
var limits = map[string]string{
	"time":      "Packaging took longer than it may on this server.",
	"memory":    "Packaging needed more memory than it may have on this server.",
	"processes": "Packaging started more processes than it may on this server.",
	"out":       "Packaging wrote more than it may on this server.",
	"disk":      "The disk of this server is nearly full. Whoever runs it has to make room; run this again then.",
	"left":      "Packaging left something other than files, such as a link, and nothing of it was taken.",
	"start":     "Packaging could not be started on this server. Whoever runs it has to look at its sandbox.",
}

// limitOf is a key of limits; "" where the sandbox is not what ended it.
func limitOf(err error) string {
	var box *sandbox.Error
	if !errors.As(err, &box) {
		return ""
	}
	switch box.Reason {
	case sandbox.Deadline, sandbox.CPU:
		return "time"
	case sandbox.Memory:
		return "memory"
	case sandbox.Processes:
		return "processes"
	case sandbox.Out:
		return "out"
	case sandbox.Disk:
		return "disk"
	case sandbox.Left:
		return "left"
	case sandbox.Start:
		return "start"
	}
	return "" // what the packer itself says is better
}

// mistakes are those of the configuration, all of one file as a rule.
func mistakes(all []*config.Error) string {
	e := all[0]
	text := e.Err.Error()
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	line := ""
	if e.Line > 0 {
		line = fmt.Sprintf(", line %d", e.Line)
	}
	if len(all) > 1 {
		return clip(oneLine(fmt.Sprintf("%s has %s. The first%s: %s", e.File, count(len(all), "mistake"), line, text)), maxShort-1) + "."
	}
	return clip(oneLine(e.File+line+": "+text), maxShort-1) + "."
}

// because is what an error says behind one that it is.
func because(err, kind error) string {
	_, after, ok := strings.Cut(firstLine(err.Error()), kind.Error()+": ")
	if !ok {
		return ""
	}
	return " " + sentence(after)
}

// leaves are the errors that were joined, or err alone. Those that only wrap one
// error stay whole: they name its subject.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		if e != nil {
			all = append(all, leaves(e)...)
		}
	}
	if len(all) == 0 {
		return []error{err}
	}
	return all
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimRight(line, ": ")
}

// sentence begins with a capital and ends in a full stop. A first word that is a
// name, such as of a file, stays as it is.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	word, _, _ := strings.Cut(text, " ")
	if c, n := utf8.DecodeRuneInString(text); strings.IndexFunc(word, func(c rune) bool { return !unicode.IsLower(c) }) < 0 {
		text = string(unicode.ToUpper(c)) + text[n:]
	}
	text = clip(text, maxShort-1)
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "…") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// names lists at most five.
func names(all []string) string {
	const most = 5
	more := ""
	if len(all) > most {
		all, more = all[:most], fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ") + more
}
