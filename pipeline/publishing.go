package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// defaultGrace is how long files that nothing names stay: longer than any client
// or mirror takes.
const defaultGrace = 24 * time.Hour

// publish publishes the packages to every site. One that fails does not stop the
// others.
func (r *run) publish(ctx context.Context) error {
	if len(r.todo.Sites) == 0 {
		return fmt.Errorf("%w: publish is empty: the packages are in %s; to publish them add a site to %s", ErrUsage, r.Out, r.project.File)
	}
	var errs []error
	for i := range r.todo.Sites {
		s := &r.todo.Sites[i]
		r.progress(Event{Step: "publish", Name: s.Name, N: i + 1, M: len(r.todo.Sites)})
		rep, err := r.publishSite(ctx, s)
		if err == nil && r.taps[s.Name] != nil {
			rep.Tap = "unchanged"
			var changed bool
			if changed, err = r.fillTap(ctx, s, rep.Version); changed {
				rep.Tap = "changed"
			}
			if err != nil {
				err = fmt.Errorf("tap: %w", err)
			}
		}
		r.progress(Event{Step: "publish", Name: s.Name, N: i + 1, M: len(r.todo.Sites), Done: true, Err: err})
		if rep != nil {
			r.report.Sites = append(r.report.Sites, rep)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("publish to %s: %w", s.Name, err))
			if r.FailFast {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (r *run) publishSite(ctx context.Context, s *plan.Site) (*SiteReport, error) {
	dst := r.places[s.Name]
	var edit publish.Edit
	var large []string
	for _, a := range r.made {
		if !r.listed(s, a) {
			continue
		}
		add := publish.Addition{
			Package:  publish.Package{Blob: a.blob, Meta: a.meta, Project: r.project.Project, Version: r.release.Version, Beside: a.beside},
			Channels: intersect(r.release.Channels, s.Channels),
		}
		if r.isLarge(s, a) {
			large = append(large, a.Name)
			if clients := r.clientsOf(s, a); len(clients) == 1 && clients[0] == "apt" {
				continue // it is in the flat repository
			}
			add.URL = r.releases.AssetURL(r.release.Tag, a.Name)
		}
		edit.Add = append(edit.Add, add)
	}
	if len(edit.Add)+len(large) == 0 {
		return nil, fmt.Errorf("none of the packages is for its clients (%v) and channels (%v)", s.Clients, s.Channels)
	}
	o, err := r.site(s).Options(r.clock)
	if err != nil {
		return nil, err
	}
	in, err := r.siteInputs(s, edit, o.SiteSettings)
	if err != nil {
		return nil, err
	}
	if version, ok := r.journal.done("site "+s.Name, in); ok && !r.DryRun {
		head, err := dst.Head(ctx)
		if err != nil {
			return nil, err
		}
		if head == version {
			r.skip("site %s: published by an earlier run, and nobody published since", s.Name)
			return &SiteReport{Site: s.Name, Place: dst.name, URL: s.URL, Large: large, Version: version}, nil
		}
	}
	o.Message = r.project.Project + " " + r.release.Version
	o.Tries, o.Pause, o.Approve = Tries, r.Pause, r.approve(s, dst)
	o.AllowOlder, o.Replace, o.DryRun = r.AllowOlder, r.Replace, r.DryRun
	res, err := publish.Publish(ctx, dst, s.Repos, edit, o)
	if err != nil {
		return nil, err
	}
	rep := NewSiteReport(s.Name, dst.name, s.URL, res)
	rep.Large = large
	if r.DryRun {
		return rep, nil
	}
	return rep, r.journal.note("site "+s.Name, in, res.Version)
}

// siteInputs is the digest of what a site is made of, but for what others publish
// there.
func (r *run) siteInputs(s *plan.Site, e publish.Edit, settings string) (formats.Digest, error) {
	var packages []any
	for _, a := range e.Add {
		packages = append(packages, a.Blob.Ref(), a.Channels, a.URL, a.Meta.Format, a.Meta.Name, a.Meta.Version)
	}
	var repos []string
	for _, repo := range s.Repos {
		repos = append(repos, repo.Name()+" "+repo.Settings())
	}
	return inputs(packages, repos, settings, s.Config.Keep, r.Tool, s.Config.Dir, s.Place)
}

// site is what the tree of a site has besides its repositories.
func (r *run) site(s *plan.Site) *Site {
	return &Site{Plan: s, Project: r.project, Tool: r.Tool, At: r.release.Time, Keys: r.keyring}
}

// NewSiteReport tells what a publish did to a site.
func NewSiteReport(name, place, url string, res *publish.Result) *SiteReport {
	rep := &SiteReport{Site: name, Place: place, URL: url, Version: res.Version, Changed: res.Changed, Serial: res.Serial, Bytes: res.Bytes, Added: res.Added, Removed: res.Removed, Abandoned: res.Abandoned}
	if res.Change != nil {
		for _, f := range res.Change.Put {
			rep.Written = append(rep.Written, WrittenFile{f.Path, f.Blob.Ref().Size})
		}
		rep.Deleted = res.Change.Delete
	}
	return rep
}

// listed reports whether a site lists an artifact anywhere.
func (r *run) listed(s *plan.Site, a *Artifact) bool {
	return slices.ContainsFunc(s.Placements, func(p plan.Placement) bool { return p.Filename == a.Name })
}

func intersect(a, b []string) []string {
	var both []string
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both
}
