package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// Pull is what the check run of a pull request says.
type Pull struct {
	Commit     string // its head
	ExternalID string
	Owner      string
	Name       string // of the repository
	Err        error  // of the configuration or the plan; ErrNoConfig if there is none
	// Report is a run's that stopped at the plan, or a dry run's: then it has sizes,
	// and what a publish would write and retention drop.
	Report   *pipeline.Report
	Sizes    map[string]int64 // of files by name, where the report lacks them, such as the last release's
	Drops    []publish.Listed // what retention would drop, where the report does not say
	Warnings []string         // besides the report's
	URL      string
	Now      time.Time
}

// ForPull makes the check run of a pull request: what a release of it would do, or
// what keeps it from being released.
func ForPull(in Pull) github.Check {
	k := github.Check{Name: PullName, HeadSHA: in.Commit, ExternalID: in.ExternalID, DetailsURL: in.URL, Status: "completed", Completed: in.Now, Actions: []github.Action{}, Annotations: Annotations(in.Err)}
	switch {
	case errors.Is(in.Err, ErrNoConfig):
		k.Conclusion = "neutral"
		k.Title, k.Summary = "There is no distropack.yml", howToBegin(in.Owner, in.Name)
		return k
	case in.Err != nil || in.Report == nil || in.Report.Plan == nil:
		short, detail := Explain(in.Err)
		k.Conclusion = "failure"
		what := "A release of this commit would not work."
		if len(k.Annotations) == 0 && github.Temporary(in.Err) {
			k.Conclusion, what = "neutral", "What a release of this commit would do is not known yet."
		}
		k.Title = clip(cmp.Or(short, "There is no plan"), maxTitle)
		k.Summary = what + "\n\n" + Plain(cmp.Or(short, "There is no plan."), 2<<10) + "\n"
		if detail != "" {
			k.Text = "### Details\n\n" + fence(detail, maxDetail, false)
		}
		return k
	}
	k.Conclusion = "success"
	p := in.Report.Plan
	k.Title = clip(oneLine(Redact(fmt.Sprintf("A release would make %s for %s", count(len(p.Targets), "package"), count(len(p.Sites), "place")))), maxTitle)
	var b strings.Builder
	fmt.Fprintf(&b, "A release of this commit, as version %s", Code(p.Release.Version, 100))
	if len(p.Release.Channels) > 0 {
		fmt.Fprintf(&b, " in %s", Code(strings.Join(p.Release.Channels, ", "), 200))
	}
	b.WriteString(", would do the following. Nothing was published.\n")
	b.WriteString("\n" + in.places())
	b.WriteString(in.drops())
	b.WriteString(warningList(slices.Concat(in.Report.Warnings, in.Warnings)))
	k.Summary = b.String()
	k.Text = in.artifacts()
	return k
}

// artifacts is a table of the files that would be made.
func (in *Pull) artifacts() string {
	if len(in.Report.Plan.Targets) == 0 {
		return ""
	}
	sizes := make(map[string]int64, len(in.Report.Artifacts))
	for name, n := range in.Sizes {
		sizes[name] = n
	}
	for _, a := range in.Report.Artifacts {
		sizes[a.Name] = a.Size
	}
	var total int64
	var rows []string
	unknown := 0
	for _, t := range in.Report.Plan.Targets {
		n := sizes[t.Filename]
		if n == 0 {
			unknown++
		}
		total += n
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |\n", Code(t.Filename, 200), Code(t.Name, 120), Plain(t.Format, 40), Code(t.Platform.String(), 60), size(n)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n| File | Package | Format | System | Size |\n| --- | --- | --- | --- | ---: |\n", count(len(rows), "package"))
	left := writeRows(&b, rows, maxTable)
	if left > 0 {
		fmt.Fprintf(&b, "\n%s more did not fit in here.\n", count(left, "package"))
	}
	switch {
	case unknown == len(rows):
		b.WriteString("\nSizes are known once packages are made.\n")
	case unknown > 0:
		fmt.Fprintf(&b, "\nTogether %s, without %s whose size is not known yet.\n", size(total), count(unknown, "package"))
	default:
		fmt.Fprintf(&b, "\nTogether %s.\n", size(total))
	}
	return b.String()
}

// places is a table of the sites.
func (in *Pull) places() string {
	p := in.Report.Plan
	if len(p.Sites) == 0 {
		return "There is no place to publish to: add one below publish.\n"
	}
	var rows []string
	for i := range p.Sites {
		s := &p.Sites[i]
		files := make(map[string]bool)
		for _, x := range s.Placements {
			files[x.Filename] = true
		}
		written, tree := "", ""
		if r := in.site(s.Name); r != nil {
			var n int64
			for _, f := range r.Written {
				n += f.Size
			}
			written = fmt.Sprintf("%s in %s", cmp.Or(size(n), "0 B"), count(len(r.Written), "file"))
			tree = size(r.Bytes)
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %d | %s | %s |\n", Code(s.Name, 100), Code(cmp.Or(s.URL, s.Dir, s.Place), 200), Plain(strings.Join(s.Clients, ", "), 200), len(files), written, tree))
	}
	var b strings.Builder
	b.WriteString("| Place | Address | Repositories for | Packages | Would write | All packages then |\n| --- | --- | --- | ---: | --- | ---: |\n")
	if left := writeRows(&b, rows, maxTable/2); left > 0 {
		fmt.Fprintf(&b, "\n%s more did not fit in here.\n", count(left, "place"))
	}
	if alone := unlisted(p); len(alone) > 0 {
		b.WriteString("\nNo repository lists these:\n\n" + codeList(alone, 4<<10, "file"))
	}
	return b.String()
}

func (in *Pull) site(name string) *pipeline.SiteReport {
	for _, r := range in.Report.Sites {
		if r.Site == name {
			return r
		}
	}
	return nil
}

// drops lists what retention would take away, each file of a place once.
func (in *Pull) drops() string {
	var all []string
	seen := make(map[string]bool)
	add := func(site string, list []publish.Listed) {
		for _, l := range list {
			key := site + "\x00" + l.Path
			if !seen[key] {
				seen[key] = true
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s (%s)", site, l.Name, l.Version, l.Path)))
			}
		}
	}
	for _, r := range in.Report.Sites {
		add(r.Site, r.Removed)
	}
	add("", in.Drops)
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("\n### Retention would drop %s\n\n", count(len(all), "package")) + codeList(all, 8<<10, "package")
}

// unlisted are files that no site lists.
func unlisted(p *plan.Plan) []string {
	listed := make(map[string]bool)
	for i := range p.Sites {
		for _, x := range p.Sites[i].Placements {
			listed[x.Filename] = true
		}
	}
	var all []string
	for _, t := range p.Targets {
		if !listed[t.Filename] {
			all = append(all, t.Filename)
		}
	}
	return all
}

// codeList is a list of names, of at most so many bytes.
func codeList(all []string, most int, one string) string {
	var b strings.Builder
	for i, x := range all {
		line := "- " + Code(x, 300) + "\n"
		if b.Len()+len(line) > most {
			fmt.Fprintf(&b, "\n%s more did not fit in here.\n", count(len(all)-i, one))
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// writeRows writes as many as fit and returns how many do not.
func writeRows(b *strings.Builder, rows []string, most int) (left int) {
	for i, row := range rows {
		if most -= len(row); most < 0 {
			return len(rows) - i
		}
		b.WriteString(row)
	}
	return 0
}
