package check_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/checkout"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	destrelease "github.com/distropack/distropack/publish/dest/release"
)

func TestErrorsAreExplained(t *testing.T) {
	limit := func(r sandbox.Reason) error {
		return fmt.Errorf("package: %w", &sandbox.Error{Reason: r, Text: "the sandbox says so"})
	}
	for _, c := range []struct {
		err  error
		want string // that short has
	}{
		{mistakes(), `distropack.yml has 2 mistakes. The first, line 12: packages[1].formats[0]: unknown format "dbe" (did you mean "deb"?).`},
		{fmt.Errorf("fetch: %w", &check.QuotaError{What: "releases an hour", Most: "30", Until: noon}), "The quota is used up: 30 releases an hour are the most. It goes on after 21 November 2026, 12:00 UTC."},
		{&check.AssetError{Missing: []string{"a_*.tar.gz", "b", "c", "d", "e", "f"}, Waited: time.Hour}, "After 1 h 0 min the GitHub release still lacks a_*.tar.gz, b, c, d, e and 1 more."},
		{check.ErrNoConfig, "There is no distropack.yml at this commit"},
		{&check.PublishedError{Tag: "v1", Published: commit, Now: strings.Repeat("f", 40)}, "v1 was published from commit 0123456789 and is at ffffffffff now."},
		{&publish.DiffersError{Repo: "apt", Path: "pool/a.deb", Differences: []string{"x"}}, "pool/a.deb is published already with other content."},
		{&publish.OlderError{Repo: "apt", Name: "hello", Version: "1", Newest: "2"}, "hello 1 is older than 2"},
		{&github.Limit{Until: noon}, "GitHub takes no more requests for now. It goes on by itself after 21 November 2026, 12:00 UTC."},
		{&destrelease.LimitError{Host: "api.github.com", Wait: time.Hour}, "GitHub takes no more requests for now."},
		{github.ErrSuspended, "The installation of the App is suspended."},
		{github.ErrNoInstallation, "not installed on this account any more"},
		{github.ErrForbidden, "GitHub does not allow it to the App."},
		{github.ErrRefused, "GitHub refuses the App's credentials."},
		{github.ErrNotFound, "GitHub has no such thing"},
		{github.ErrTooLarge, "larger than this server takes"},
		{&github.Error{Subject: "x", Status: 502}, "GitHub has trouble answering."},
		{fmt.Errorf("github.com/acme/hello: %w", checkout.ErrMoved), "The tag was moved while"},
		{fmt.Errorf("github.com/acme/hello: %w: there are more than 9 files", checkout.ErrTooLarge), "more than this server takes. There are more than 9 files."},
		{checkout.ErrNotFound, "The tag or the repository is gone"},
		{limit(sandbox.Deadline), "took longer than it may"},
		{limit(sandbox.CPU), "took longer than it may"},
		{limit(sandbox.Memory), "more memory"},
		{limit(sandbox.Processes), "more processes"},
		{limit(sandbox.Out), "wrote more"},
		{limit(sandbox.Disk), "nearly full"},
		{limit(sandbox.Left), "something other than files"},
		{limit(sandbox.Start), "could not be started"},
		{limit(sandbox.Exit), "package: the sandbox says so."},
		{publish.ErrForged, "was not signed by this key"},
		{fmt.Errorf("publish to public: %w", publish.ErrConflict), "Others published"},
		{vault.ErrSealed, "can't be opened on this server"},
		{vault.ErrSignerGone, "The signer of this server"},
		{fmt.Errorf("write: %w", syscall.ENOSPC), "The disk of this server is full."},
		{fmt.Errorf("%w: %w", pipeline.ErrUsage, plan.ErrNothing), "There is nothing to make"},
		{fmt.Errorf("%w: no channel takes tag \"x\"", pipeline.ErrUsage), `No channel takes tag "x".`},
		{context.DeadlineExceeded, "It took longer than it may."},
		{context.Canceled, "It was stopped."},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "A server could not be reached"},
		{errors.Join(errors.New("package a: it broke"), errors.New("package b: it broke")), "Package a: it broke. And 1 mistake more."},
		{errors.New("hello.deb: it broke"), "hello.deb: it broke."},
		{errors.New(""), ""},
	} {
		short, detail := check.Explain(c.err)
		if !strings.Contains(short, c.want) {
			t.Errorf("%v is explained as %q, want %q", c.err, short, c.want)
		}
		if strings.Contains(short, "\n") || len(short) > 300 {
			t.Errorf("short is %q", short)
		}
		if want := c.err.Error(); detail != want {
			t.Errorf("detail is %q, want %q", detail, want)
		}
	}
	if short, detail := check.Explain(nil); short+detail != "" {
		t.Errorf("nil is explained as %q, %q", short, detail)
	}
}

func TestExplanationsHaveNoSecretsAndAnEnd(t *testing.T) {
	short, detail := check.Explain(errors.New("push to https://x:ghs_0123456789abcdef0123.456@github.com/a?sig=abcdef refused\x1b[31m " + strings.Repeat("é", 50000)))
	if strings.Contains(short+detail, "0123456789") || strings.Contains(short+detail, "abcdef") || strings.Contains(short+detail, "\x1b") {
		t.Errorf("%s\n%.300s", short, detail)
	}
	if len(short) > 300 || len(detail) > 8<<10 || !strings.HasSuffix(detail, "…") {
		t.Errorf("%d and %d bytes", len(short), len(detail))
	}
}

// What a database gave back has only the kind of an error left.
func TestEachKindIsExplainedWhenOnlyItsKindIsLeft(t *testing.T) {
	kinds := check.Kinds()
	unknown := errors.New("a word")
	asUnknown, _ := check.Explain(unknown)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if name == "usage" || name == "no file" {
			continue // their text is the explanation
		}
		short, _ := check.Explain(readBack{"a word", kinds[name]})
		if short == asUnknown || short == "" {
			t.Errorf("%s is explained as %q", name, short)
		}
	}
}

func TestEachKindHasAName(t *testing.T) {
	kinds := check.Kinds()
	for _, want := range []error{
		check.ErrNoConfig, check.ErrQuota, check.ErrAssets, check.ErrPublished, checkout.ErrMoved, checkout.ErrTooLarge, checkout.ErrNotFound,
		github.ErrSuspended, github.ErrNoInstallation, github.ErrForbidden, github.ErrRefused, github.ErrTooLarge, github.ErrNotFound,
		publish.ErrConflict, publish.ErrForged, pipeline.ErrUsage, plan.ErrNothing, vault.ErrSealed, vault.ErrSignerGone, syscall.ENOSPC, context.DeadlineExceeded,
	} {
		if !slices.Contains(slices.Collect(maps.Values(kinds)), want) {
			t.Errorf("%v has no name", want)
		}
	}
}

type readBack struct {
	text string
	is   error
}

func (r readBack) Error() string   { return r.text }
func (r readBack) Unwrap() []error { return []error{r.is} }

func TestWhatTookTooLongIsKnown(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true}, {&check.AssetError{}, true}, {&sandbox.Error{Reason: sandbox.CPU}, true},
		{&sandbox.Error{Reason: sandbox.Memory}, false}, {errors.New("x"), false}, {nil, false},
	} {
		if got := check.TimedOut(c.err); got != c.want {
			t.Errorf("TimedOut(%v) = %v", c.err, got)
		}
	}
}
