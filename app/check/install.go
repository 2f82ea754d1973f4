package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// Install is how one client installs what was released.
type Install struct {
	Site     string   `json:"site"`
	Client   string   `json:"client"` // "apt"; "" for the script that finds out
	Title    string   `json:"title"`  // "Debian, Ubuntu and derivatives"
	Commands []string `json:"commands"`
}

// Installs asks the repositories of a report that Run returned how their clients
// install, for the release's first channel in each place that it was published to.
// A report that was read back has no repositories: then only the script of each
// place is known. Keys are asked for their public halves.
func Installs(ctx context.Context, rep *pipeline.Report) ([]Install, error) {
	if rep == nil || rep.Plan == nil {
		return nil, nil
	}
	var all []Install
	for i := range rep.Plan.Sites {
		s := &rep.Plan.Sites[i]
		was := slices.ContainsFunc(rep.Sites, func(r *pipeline.SiteReport) bool { return r.Site == s.Name })
		channel := first(rep.Plan.Release.Channels, s.Channels)
		if !was || s.URL == "" || channel == "" {
			continue
		}
		script := "curl -fsSL " + s.URL + "/install.sh | sh"
		if channel != s.Channels[0] {
			script += " -s -- --channel " + channel
		}
		all = append(all, Install{Site: s.Name, Title: "Any system", Commands: []string{script}})
		for _, repo := range s.Repos {
			in := &publish.GuideInput{URL: s.URL, Title: rep.Plan.Project, Channel: channel, Packages: packagesOf(rep.Plan, s, repo.Name())}
			if len(in.Packages) == 0 {
				continue
			}
			guides, err := guidesOf(ctx, repo, in)
			if err != nil {
				return nil, fmt.Errorf("site %s: %w", s.Name, err)
			}
			name := in.Packages[0]
			if slices.Contains(in.Packages, rep.Plan.Project) {
				name = rep.Plan.Project
			}
			for _, g := range guides {
				x := Install{Site: s.Name, Client: g.Client, Title: g.Title}
				for _, step := range slices.Concat(g.Add, g.Install) {
					x.Commands = append(x.Commands, strings.NewReplacer(`"$PACKAGE"`, name, "${PACKAGE}", name, "$PACKAGE", name).Replace(strings.Trim(step.Command, "\n")))
				}
				if len(x.Commands) > 0 {
					all = append(all, x)
				}
			}
		}
	}
	return all, nil
}

func guidesOf(ctx context.Context, repo publish.Repo, in *publish.GuideInput) ([]*publish.Guide, error) {
	if several, ok := repo.(publish.Guides); ok {
		return several.Guides(ctx, in)
	}
	g, err := repo.Guide(ctx, in)
	if g == nil || err != nil {
		return nil, err
	}
	return []*publish.Guide{g}, nil
}

// packagesOf lists the names that a client can install from a site, sorted.
func packagesOf(p *plan.Plan, s *plan.Site, client string) []string {
	names := make(map[string]string, len(p.Targets))
	for _, t := range p.Targets {
		names[t.Filename] = t.Name
	}
	var all []string
	for _, x := range s.Placements {
		if name := names[x.Filename]; x.Client == client && name != "" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// first is the first word of a that b has; "" if none.
func first(a, b []string) string {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x
		}
	}
	return ""
}

// maxInstall bounds the instructions, in bytes.
const maxInstall = 56 << 10

// installText shows how to install, one block per client.
func installText(all []Install) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("## Install\n")
	several := slices.ContainsFunc(all, func(x Install) bool { return x.Site != all[0].Site })
	left := 0
	for _, x := range all {
		title := Plain(x.Title, 200)
		if several {
			title += " from " + Code(x.Site, 100)
		}
		part := fmt.Sprintf("\n**%s**\n\n%s", title, fence(strings.Join(x.Commands, "\n"), 8<<10, false))
		if b.Len()+len(part) > maxInstall {
			left++
			continue
		}
		b.WriteString(part)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%s more did not fit in here; the install page has all.\n", count(left, "instruction"))
	}
	return b.String()
}
