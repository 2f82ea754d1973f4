package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/repo/apt"
)

// validFor is how long a site's indexes are valid; 0 is for ever.
func validFor(site *plan.Site) time.Duration {
	section, ok := site.Config.Options["apt"]
	if !ok {
		return 0
	}
	var o apt.Options
	if section.Decode(&o) != nil || o.ValidFor == "" {
		return 0
	}
	d, err := time.ParseDuration(o.ValidFor)
	if err != nil {
		return 0
	}
	return d
}

// noted remembers a publish to a site, for those that have to be signed again in time.
func (s *Releases) noted(ctx context.Context, repo *store.Repository, site *plan.Site) error {
	return reconcile.Published(ctx, s.Store, reconcile.Site{Installation: repo.Installation, Repository: repo.ID, Name: site.Name, ValidFor: validFor(site), At: s.Now()})
}

// Resign signs the indexes of a site again, as the newest release that was published
// there has it: reconcile.Options.Resign.
func (s *Releases) Resign(ctx context.Context, site reconcile.Site) error {
	all, err := s.Store.Releases(ctx, store.ReleaseFilter{Repository: site.Repository, States: []store.State{store.Done}, Limit: 100})
	if err != nil {
		return err
	}
	for _, r := range all {
		for _, p := range rowOf(r).Sites {
			if p.Site == site.Name {
				return s.resign(ctx, r, site.Name)
			}
		}
	}
	return reconcile.ErrGone
}

func (s *Releases) resign(ctx context.Context, r *store.Release, name string) (err error) {
	j := &job{Releases: s, in: input{Release: r.ID}}
	w, err := j.world(ctx, facts{Time: s.Now()})
	if errors.Is(err, ErrUnknown) {
		return reconcile.ErrGone
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(), s.clear(r.ID)) }()
	if err := j.rules(w); err != nil {
		return err
	}
	env, task := w.env(ctx), w.task()
	if env.Places, err = j.guarded(ctx, w); err != nil {
		return err
	}
	task.Stop, task.Site = pipeline.Plan, name
	rep, err := pipeline.Run(ctx, env, task)
	if err != nil {
		return err
	}
	for i := range rep.Plan.Sites {
		site := &rep.Plan.Sites[i]
		dst, o, err := w.open(env, site)
		if err != nil {
			return err
		}
		o.Message = "sign again"
		_, err = publish.Publish(ctx, dst, site.Repos, publish.Edit{Refresh: true}, o)
		if err = errors.Join(err, closed(dst)); err != nil {
			return fmt.Errorf("site %s: %w", name, err)
		}
		if err := s.noted(ctx, w.repo, site); err != nil {
			return err
		}
	}
	return nil
}
