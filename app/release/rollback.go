package release

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// Rollback withdraws a release from all its places: people get the version before.
// Its GitHub release stays.
func (s *Releases) Rollback(ctx context.Context, by, id string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil {
		return err
	}
	x := rowOf(r)
	switch {
	case r.State.Open():
		return refuse("%s is under way: cancel it first.", r.Tag)
	case len(x.Sites) == 0:
		return refuse("%s is published nowhere.", r.Tag)
	}
	if _, err := s.change(ctx, id, func(r *store.Release, x *row) {
		x.Why, x.Was = "Rolled back by "+by+": people get the version before.", r.State
	}); err != nil {
		return err
	}
	return s.Engine.Enqueue(ctx, kindRollback, fmt.Sprintf("%s:rollback:%d", id, r.Attempt), strconv.FormatInt(r.Installation, 10), input{Release: id}.json())
}

// rollbackJob withdraws a release.
func (s *Releases) rollbackJob(_ context.Context, r *engine.Run) error {
	j, err := s.open(r)
	if err != nil {
		return err
	}
	_, err = do(j, "roll back", j.withdraw)
	if errors.Is(err, engine.ErrInterrupted) {
		return err
	}
	_, e := engine.Always(r, "finish", func(ctx context.Context) (struct{}, error) {
		_, e := j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
			r.State, r.Ended = store.Cancelled, j.Now()
			if err != nil { // it is what it was
				x.warn("It could not be rolled back. " + r.Short)
				r.State, r.Short, r.Detail, r.Step, x.Why = x.Was, "", "", "", ""
				return
			}
			r.Short, x.Sites, x.Install = x.Why, nil, nil
		})
		return struct{}{}, errors.Join(e, j.clear(j.in.Release), j.tellAtLast(ctx))
	})
	return errors.Join(err, e)
}

// withdraw takes the packages of the release out of every place. It may be repeated:
// what is out already stays out.
func (j *job) withdraw(ctx context.Context) (struct{}, error) {
	none := struct{}{}
	w, err := j.world(ctx, facts{Time: j.Now()})
	if err != nil {
		return none, err
	}
	defer w.close()
	if err := j.rules(w); err != nil {
		return none, err
	}
	env, task := w.env(ctx), w.task()
	if env.Places, err = j.guarded(ctx, w); err != nil {
		return none, err
	}
	task.Stop, task.Release.Version = pipeline.Plan, w.release.Version
	rep, err := pipeline.Run(ctx, env, task)
	if err != nil {
		return none, err
	}
	rec := j.record(ctx)
	defer rec.close()
	published := rowOf(w.release).Sites
	var errs []error
	for i := range rep.Plan.Sites {
		site := &rep.Plan.Sites[i]
		if !slices.ContainsFunc(published, func(p *pipeline.SiteReport) bool { return p.Site == site.Name }) {
			continue
		}
		leg := rec.begin(legSite, site.Name)
		err := j.withdrawFrom(ctx, w, env, rep.Plan, site)
		if err != nil {
			err = fmt.Errorf("site %s: %w", site.Name, err)
			errs = append(errs, err)
		}
		rec.end(leg, err)
		if err == nil {
			rec.set(leg, func(l *store.Leg) { l.State, l.Short = store.Cancelled, "withdrawn" })
			rec.say(site.Name, "withdrawn")
		}
	}
	return none, errors.Join(errs...)
}

// open opens the place of a site, outside of a run of the pipeline. The caller closes
// it.
func (w *world) open(env pipeline.Env, site *plan.Site) (publish.Destination, publish.Options, error) {
	var dst publish.Destination
	var err error
	if kind, section, ok := pipeline.PlaceOf(env.Places, site.Config); ok {
		dst, err = pipeline.NewPlace(kind, section, publish.DestinationEnv{Base: w.tree(), URL: site.URL, Temp: w.dir(), Lookup: w.vars.lookup, Now: w.s.Now(), Say: w.say})
	} else {
		name := filepath.FromSlash(site.Dir)
		if !filepath.IsAbs(name) {
			name = filepath.Join(w.folders(), name)
		}
		dst, err = w.openFolder(name)
	}
	if err != nil {
		return nil, publish.Options{}, err
	}
	o, err := (&pipeline.Site{Plan: site, Project: w.project, Keys: w.ring, Tool: w.s.Tool, At: w.facts.Time}).Options(w.s.Now)
	if err != nil {
		return nil, o, errors.Join(err, closed(dst))
	}
	o.Tries, o.Pause = pipeline.Tries, pause
	return dst, o, nil
}

func (j *job) withdrawFrom(ctx context.Context, w *world, env pipeline.Env, made *plan.Plan, site *plan.Site) (err error) {
	dst, o, err := w.open(env, site)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closed(dst)) }()
	view, err := publish.Read(ctx, dst, site.Repos, o.Verify)
	if err != nil {
		return err
	}
	var e publish.Edit
	names := make(map[string]bool)
	for _, t := range made.Targets {
		if names[t.Name] {
			continue
		}
		names[t.Name] = true
		there, others := false, false
		if err := view.Each(ctx, t.Name, func(_, _ string, rec *publish.Record) error {
			same := rec.Version == w.release.Version || rec.Version == "" && formats.CompareVersions(rec.Meta.Version, w.release.Version) == 0
			there, others = there || same, others || !same
			return nil
		}); err != nil {
			return err
		}
		if there && !others {
			return fmt.Errorf("%w: %s is the only version of %s there: there is none to go back to", pipeline.ErrUsage, w.release.Version, t.Name)
		}
		if there {
			e.Remove = append(e.Remove, publish.Selection{Name: t.Name, Version: w.release.Version})
		}
	}
	if len(e.Remove) == 0 {
		return nil
	}
	o.Message = "roll back " + w.release.Version
	_, err = publish.Publish(ctx, dst, site.Repos, e, o)
	return err
}
