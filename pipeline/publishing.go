package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	dir := filepath.FromSlash(s.Dir)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(cmp.Or(r.SiteDirs, r.Dir), dir)
	}
	dst, err := r.Open(dir)
	if err != nil {
		return nil, err
	}
	var edit publish.Edit
	for _, a := range r.made {
		if !r.listed(s, a) {
			continue
		}
		edit.Add = append(edit.Add, publish.Addition{
			Package:  publish.Package{Blob: a.blob, Meta: a.meta, Project: r.project.Project, Version: r.release.Version, Beside: a.beside},
			Channels: intersect(r.release.Channels, s.Channels),
		})
	}
	if len(edit.Add) == 0 {
		return nil, fmt.Errorf("none of the packages is for its clients (%v) and channels (%v)", s.Clients, s.Channels)
	}
	site := &Site{Plan: s, Project: r.project, Tool: r.Tool, At: r.release.Time, Keys: r.signKeys()}
	o, err := site.Options(r.Now)
	if err != nil {
		return nil, err
	}
	o.Message = r.project.Project + " " + r.release.Version
	o.AllowOlder, o.Replace, o.DryRun = r.AllowOlder, r.Replace, r.DryRun
	res, err := publish.Publish(ctx, dst, s.Repos, edit, o)
	if err != nil {
		return nil, err
	}
	rep := NewSiteReport(s.Name, dir, s.URL, res)
	return rep, nil
}

// signKeys avoids an interface that holds a nil pointer.
func (r *run) signKeys() formats.Keys {
	if r.keyring == nil {
		return nil
	}
	return r.keyring
}

// NewSiteReport tells what a publish did to a site.
func NewSiteReport(name, dir, url string, res *publish.Result) *SiteReport {
	rep := &SiteReport{Site: name, Dir: dir, URL: url, Changed: res.Changed, Serial: res.Serial, Bytes: res.Bytes, Added: res.Added, Removed: res.Removed}
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
