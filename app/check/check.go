// Package check words what the App tells people on GitHub: the check run of a
// release with a row per leg, that of a pull request with what a release would
// do, remarks on the lines of distropack.yml, and short reasons of errors. All of
// it are pure functions; the clock is a parameter.
//
// Names, messages and lines of logs are strangers'. In Markdown they are code, or
// words without any mark (text.go), so that they form no link, image, mention,
// HTML or cell of a table. Secrets are taken out on the way (Redact). All texts
// keep to GitHub's bounds; what did not fit is counted.
package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
)

// The names of the check runs.
const (
	ReleaseName = "DistroPack"
	PullName    = "DistroPack plan"
)

// Identifiers of the buttons, as they come back in a webhook. They don't change:
// old check runs have them.
const (
	RerunLeg  = "rerun-leg" // run again what is not done
	Republish = "republish" // publish the commit that a moved tag is at now
	Rollback  = "rollback"  // withdraw the release
)

var (
	rerunLeg  = github.Action{Label: "Run the rest again", Description: "What is done already is not repeated", Identifier: RerunLeg}
	republish = github.Action{Label: "Republish", Description: "Publish what the tag points at now", Identifier: Republish}
	rollback  = github.Action{Label: "Roll back", Description: "Give people the release before it", Identifier: Rollback}
)

// Release is what the check run of a release says.
type Release struct {
	Release *store.Release
	Legs    []*store.Leg
	Report  *pipeline.Report // nil: what Release.Report holds, if anything
	// Err is why it failed, where that is at hand: it wins over Short and Detail,
	// and mistakes in the configuration become annotations, which GitHub adds to
	// those that are there.
	Err      error
	Install  []Install
	Warnings []string        // besides those of the report
	Log      []store.LogLine // the end of the log; shown if it failed
	URL      string          // the release's page
	Now      time.Time
}

// ForRelease makes the check run of a release as it is now. Actions are always set:
// buttons of an earlier state go.
func ForRelease(in Release) github.Check {
	r := in.Release
	if in.Report == nil && len(r.Report) > 0 {
		in.Report = new(pipeline.Report)
		if json.Unmarshal(r.Report, in.Report) != nil {
			in.Report = nil // of another version of this program: the legs say enough
		}
	}
	short, detail := r.Short, r.Detail
	if in.Err != nil {
		short, detail = Explain(in.Err)
	}
	k := github.Check{Name: ReleaseName, HeadSHA: r.Commit, ExternalID: r.ID, DetailsURL: in.URL, Started: r.Started, Actions: []github.Action{}, Annotations: Annotations(in.Err)}
	ended := r.Ended
	if ended.IsZero() {
		ended = in.Now
	}
	k.Status, k.Conclusion = "completed", conclusions[r.State]
	switch r.State {
	case store.Waiting:
		k.Status = "queued"
	case store.Running:
		k.Status = "in_progress"
	case store.Failed:
		if TimedOut(in.Err) {
			k.Conclusion = "timed_out"
		}
		if len(k.Annotations) == 0 { // the same commit has the same mistakes
			k.Actions = append(k.Actions, rerunLeg)
		}
		if published(in.Legs) {
			k.Actions = append(k.Actions, rollback)
		}
	case store.Cancelled:
		k.Actions = append(k.Actions, rerunLeg)
	case store.ActionRequired:
		k.Actions = append(k.Actions, republish)
	case store.Done:
		k.Actions = append(k.Actions, rollback)
	}
	if k.Status == "completed" {
		if k.Conclusion == "" {
			k.Conclusion = "neutral"
		}
		k.Completed = ended
	}
	k.Title = clip(oneLine(Redact(in.title(short))), maxTitle)
	k.Summary = in.summary(short)
	switch {
	case r.State == store.Done:
		k.Text = installText(in.Install)
	case !r.State.Open():
		k.Text = in.failures(detail)
	}
	return k
}

// maxTitle is below GitHub's 255 characters, in bytes.
const maxTitle = 250

var conclusions = map[store.State]string{
	store.Done: "success", store.Failed: "failure", store.Cancelled: "cancelled",
	store.ActionRequired: "action_required", store.Ignored: "neutral",
}

// published reports whether people may have got something of the release.
func published(legs []*store.Leg) bool {
	for _, l := range legs {
		if l.State == store.Done && (l.Kind == "site" || l.Kind == "attach") {
			return true
		}
	}
	return false
}

func (in *Release) title(short string) string {
	r := in.Release
	name := cmp.Or(r.Version, r.Tag)
	switch r.State {
	case store.Waiting:
		return name + " waits for its turn"
	case store.Running:
		done, all := in.progress()
		what := fmt.Sprintf("%s: %d of %d parts done", name, done, all)
		if all == 0 {
			what = name + " is being released"
		}
		if r.Cancel {
			what = name + " is being cancelled"
		}
		return what
	case store.Done:
		return name + " is released" + in.counted()
	case store.Cancelled:
		return name + " was cancelled"
	case store.ActionRequired:
		return name + " needs a decision: " + short
	case store.Ignored:
		return cmp.Or(short, name+" is not released")
	}
	return name + " failed: " + cmp.Or(short, "the details say why")
}

func (in *Release) progress() (done, all int) {
	for _, l := range in.Legs {
		if l.State == store.Done || l.State == store.Ignored {
			done++
		}
	}
	return done, len(in.Legs)
}

// counted says how much was made, such as ": 12 packages, 2 places, 34 s".
func (in *Release) counted() string {
	var parts []string
	if in.Report != nil {
		packages := 0
		for _, a := range in.Report.Artifacts {
			if a.Type == "package" {
				packages++
			}
		}
		if packages > 0 {
			parts = append(parts, count(packages, "package"))
		}
		if n := len(in.Report.Sites); n > 0 {
			parts = append(parts, count(n, "place"))
		}
	}
	if t := took(in.Release.Started, in.Release.Ended, in.Now); t != "" {
		parts = append(parts, t)
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// The bounds of a summary's and a text's parts in bytes, which add up to less than
// the 65,535 characters that GitHub takes of each.
const (
	maxIntro    = 4 << 10
	maxTable    = 40 << 10
	maxWarnings = 12 << 10
	maxFailures = 38 << 10
	maxLog      = 12 << 10
)

func (in *Release) summary(short string) string {
	r := in.Release
	var b strings.Builder
	fmt.Fprintf(&b, "Tag %s at commit %s", Code(r.Tag, 200), Code(fmt.Sprintf("%.10s", r.Commit), 20))
	if r.Trigger != "" {
		fmt.Fprintf(&b, ", cause: %s", Plain(r.Trigger, 200))
	}
	if r.Attempt > 1 {
		fmt.Fprintf(&b, ", attempt %d", r.Attempt)
	}
	b.WriteString(".\n")
	if !r.State.Open() && r.State != store.Done && short != "" {
		fmt.Fprintf(&b, "\n%s\n", Plain(short, 1<<10))
	}
	if len(in.Legs) > 0 {
		b.WriteString("\n" + legTable(in.Legs, in.Now))
	}
	var warnings []string
	if in.Report != nil {
		warnings = append(warnings, in.Report.Warnings...)
	}
	b.WriteString(warningList(append(warnings, in.Warnings...)))
	if r.State == store.Done && len(in.Install) > 0 {
		b.WriteString("\nHow people install it stands below.\n")
	}
	return b.String()
}

// failures has the details of legs that failed, of the release, and the log's end.
func (in *Release) failures(detail string) string {
	var b strings.Builder
	left := 0
	for _, l := range in.Legs {
		if l.State != store.Failed || l.Detail == "" || l.Detail == detail {
			continue
		}
		part := fmt.Sprintf("### %s %s\n\n%s\n", Plain(l.Kind, 50), Code(l.Name, 200), fence(l.Detail, maxDetail, false))
		if b.Len()+len(part) > maxFailures-maxDetail-200 {
			left++
			continue
		}
		b.WriteString(part)
	}
	if left > 0 {
		fmt.Fprintf(&b, "The details of %s more are on the release's page.\n\n", count(left, "failed part"))
	}
	if strings.TrimSpace(detail) != "" {
		fmt.Fprintf(&b, "### Details\n\n%s\n", fence(detail, maxDetail, false))
	}
	if len(in.Log) > 0 && in.Release.State != store.Ignored {
		var text strings.Builder
		var r Redactor
		for _, l := range in.Log {
			fmt.Fprintf(&text, "%s %s\n", l.At.UTC().Format("15:04:05"), r.Redact(l.Text))
		}
		fmt.Fprintf(&b, "### The end of the log\n\n%s", fence(text.String(), maxLog, true))
	}
	return b.String()
}
