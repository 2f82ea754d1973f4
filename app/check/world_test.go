package check_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const commit = "0123456789abcdef0123456789abcdef01234567"

func release(state store.State) *store.Release {
	r := &store.Release{ID: "rel:7:v1.2.0:" + commit, Installation: 42, Repository: 7, Tag: "v1.2.0", Commit: commit, Version: "1.2.0", Trigger: "tag pushed", State: state, Attempt: 1,
		Created: noon.Add(-time.Minute), Started: noon.Add(-50 * time.Second)}
	if !state.Open() {
		r.Ended = noon.Add(-16 * time.Second)
	}
	return r
}

func leg(kind, name string, state store.State, more func(*store.Leg)) *store.Leg {
	l := &store.Leg{Kind: kind, Name: name, State: state}
	if state != store.Waiting {
		l.Started = noon.Add(-40 * time.Second)
	}
	if !state.Open() {
		l.Ended = noon.Add(-38*time.Second + 300*time.Millisecond)
	}
	if more != nil {
		more(l)
	}
	return l
}

func platform(arch string) formats.Platform { return formats.Platform{OS: "linux", Arch: arch} }

// report is what a run left that made two packages for one place.
func report() *pipeline.Report {
	amd, arm := platform("amd64"), platform("arm64")
	return &pipeline.Report{
		Plan: &plan.Plan{Project: "hello", Release: plan.Release{Tag: "v1.2.0", Version: "1.2.0", Channels: []string{"stable"}},
			Targets: []plan.Target{
				{Package: "hello", Format: "deb", Platform: amd, Filename: "hello_1.2.0-1_amd64.deb", Name: "hello", Version: "1.2.0-1", Arch: "amd64"},
				{Package: "hello", Format: "deb", Platform: arm, Filename: "hello_1.2.0-1_arm64.deb", Name: "hello", Version: "1.2.0-1", Arch: "arm64"},
			},
			Sites: []plan.Site{{Name: "public", URL: "https://acme.github.io/hello", Place: "git", Clients: []string{"apt", "downloads"}, Channels: []string{"stable", "beta"},
				Placements: []plan.Placement{
					{Client: "apt", Partition: "stable/main/amd64", Path: "pool/h/hello_1.2.0-1_amd64.deb", Filename: "hello_1.2.0-1_amd64.deb"},
					{Client: "apt", Partition: "stable/main/arm64", Path: "pool/h/hello_1.2.0-1_arm64.deb", Filename: "hello_1.2.0-1_arm64.deb"},
				}}}},
		Artifacts: []*pipeline.Artifact{
			{Type: "package", Name: "hello_1.2.0-1_amd64.deb", Size: 3_210_000, Platform: &amd},
			{Type: "package", Name: "hello_1.2.0-1_arm64.deb", Size: 3_100_000, Platform: &arm},
			{Type: "checksums", Name: "SHA256SUMS", Size: 200},
		},
		Sites: []*pipeline.SiteReport{{Site: "public", Place: "git", URL: "https://acme.github.io/hello", Changed: true, Bytes: 31_000_000,
			Written: []pipeline.WrittenFile{{Path: "dists/stable/InRelease", Size: 4000}, {Path: "pool/h/hello_1.2.0-1_amd64.deb", Size: 3_210_000}},
			Removed: []publish.Listed{
				{Repo: "apt", Partition: "stable/main/amd64", Name: "hello", Version: "0.9.0-1", Path: "pool/h/hello_0.9.0-1_amd64.deb"},
				{Repo: "apt", Partition: "beta/main/amd64", Name: "hello", Version: "0.9.0-1", Path: "pool/h/hello_0.9.0-1_amd64.deb"},
			}}},
		Warnings: []string{"key main: it expires on 2027-01-01: extend it and publish again before that, clients need the new certificate"},
	}
}

// text writes a check run out, for golden files.
func text(k github.Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nsha: %s\nexternal: %s\nstatus: %s\nconclusion: %s\nurl: %s\n", k.Name, k.HeadSHA, k.ExternalID, k.Status, k.Conclusion, k.DetailsURL)
	for _, m := range []struct {
		name string
		at   time.Time
	}{{"started", k.Started}, {"completed", k.Completed}} {
		if !m.at.IsZero() {
			fmt.Fprintf(&b, "%s: %s\n", m.name, m.at.Format(time.RFC3339))
		}
	}
	for _, a := range k.Actions {
		fmt.Fprintf(&b, "action: %s | %s | %s\n", a.Identifier, a.Label, a.Description)
	}
	for _, a := range k.Annotations {
		fmt.Fprintf(&b, "annotation: %s:%d-%d:%d-%d %s %q %q %q\n", a.Path, a.StartLine, a.EndLine, a.StartColumn, a.EndColumn, a.Level, a.Title, a.Message, a.Details)
	}
	fmt.Fprintf(&b, "title: %s\n\nsummary:\n%s\n", k.Title, k.Summary)
	if k.Text != "" {
		fmt.Fprintf(&b, "text:\n%s", k.Text)
	}
	return b.String()
}

var (
	span  = regexp.MustCompile("`[^`\n]+`")
	word  = regexp.MustCompile(`^[\p{L}\p{M}\p{N},;'"%?()./=+…–: !-]*$`)
	bold  = regexp.MustCompile(`\*\*[^*]+\*\*`)
	links = regexp.MustCompile(`(?i)://|www\.|@\w|#\d|\b[0-9a-f]{7,40}\b|[a-z]{2}-\d|:\w+:`)
)

// inert fails if Markdown has anything but what this package means to write:
// paragraphs, headings, lists, bold words, tables whose rows have the cells of
// their head, code.
func inert(t *testing.T, markdown string) {
	t.Helper()
	cells := 0
	until := ""
	for n, line := range strings.Split(markdown, "\n") {
		bad := func(why string) { t.Helper(); t.Errorf("line %d: %s: %q", n+1, why, line) }
		if until != "" {
			if line == until {
				until = ""
			}
			continue
		}
		if strings.HasPrefix(line, "```") {
			until = strings.TrimSuffix(line, "text")
			if strings.Trim(until, "`") != "" {
				bad("a fence with another word")
			}
			continue
		}
		rest := span.ReplaceAllString(line, "")
		if links.MatchString(rest) {
			bad("GitHub makes a link of it")
		}
		switch {
		case rest == "":
			cells = 0
			continue
		case strings.HasPrefix(rest, "|"):
			got := strings.Count(line, "|") // a bar within code cuts the cell, too
			if cells == 0 {
				cells = got
			}
			if got != cells || !strings.HasSuffix(rest, " |") && !strings.HasSuffix(rest, ": |") {
				bad(fmt.Sprintf("%d bars, want %d", got, cells))
			}
			rest = strings.ReplaceAll(rest, "|", "")
		case strings.HasPrefix(rest, "#"):
			rest = strings.TrimLeft(rest, "#")
		case strings.HasPrefix(rest, "- "):
			rest = rest[2:]
		default:
			if cells > 0 {
				bad("a row of a table does not begin with a bar")
			}
			if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, "=") || regexp.MustCompile(`^\d+[.)]`).MatchString(rest) {
				bad("it begins as a list does")
			}
		}
		rest = bold.ReplaceAllStringFunc(rest, func(s string) string { return strings.Trim(s, "*") })
		if !word.MatchString(rest) {
			bad("marks outside of code")
		}
	}
	if until != "" {
		t.Errorf("a fence %q has no end", until)
	}
}

var tag = regexp.MustCompile(`<(/?[a-z0-9]+)[^>]*>`)

// rendered has GitHub's own Markdown program look at it, where that is installed
// (Debian: cmark-gfm), and fails if it makes anything but what inert allows.
func rendered(t *testing.T, markdown string) {
	t.Helper()
	exe, err := exec.LookPath("cmark-gfm")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("cmark-gfm is not installed")
		}
		return // inert has looked at it; this is a second opinion
	}
	cmd := exec.Command(exe, "--unsafe", "-e", "table", "-e", "autolink", "-e", "strikethrough", "-e", "tasklist", "-e", "footnotes")
	cmd.Stdin = strings.NewReader(markdown)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tag.FindAllStringSubmatch(string(out), -1) {
		switch strings.TrimPrefix(m[1], "/") {
		case "p", "h2", "h3", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "code", "pre":
		default:
			t.Errorf("rendered it has %s", m[0])
		}
	}
	outside := regexp.MustCompile(`(?s)<(pre|code)[^>]*>.*?</(pre|code)>`).ReplaceAllString(string(out), "")
	outside = tag.ReplaceAllString(outside, " ")
	if m := links.FindString(outside); m != "" {
		t.Errorf("rendered, GitHub makes a link of %q", m)
	}
}
