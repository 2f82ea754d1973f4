package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
)

// publish is the job of one place of a release.
func (s *Releases) publish(_ context.Context, r *engine.Run) error {
	j, err := s.open(r)
	if err != nil {
		return err
	}
	if j.in.Facts == nil || j.in.Site == "" {
		return fmt.Errorf("job %s: it names no site", r.ID)
	}
	_, err = do(j, "publish", j.publishSite)
	if err != nil && !errors.Is(err, engine.ErrInterrupted) {
		_, e := engine.Always(r, "say", func(ctx context.Context) (struct{}, error) { return struct{}{}, j.siteEnded(ctx, err) })
		err = errors.Join(err, e)
	}
	return err
}

// siteEnded marks the leg of a place that was cancelled or given up before it could
// say so itself.
func (j *job) siteEnded(ctx context.Context, why error) error {
	legs, err := j.Store.Legs(ctx, j.in.Release)
	if err != nil {
		return err
	}
	leg := &store.Leg{Release: j.in.Release, Name: j.in.Site, Kind: legSite}
	for _, l := range legs {
		if l.Name == j.in.Site {
			leg = l
		}
	}
	if leg.State == store.Failed || leg.State == store.Done {
		return nil
	}
	leg.State, leg.Ended = store.Failed, j.Now()
	if errors.Is(why, engine.ErrCancelled) {
		leg.State = store.Cancelled
	} else {
		leg.Short, leg.Detail = check.Explain(why)
	}
	return j.Store.SetLeg(ctx, leg)
}

// publishSite publishes the packages to one place.
func (j *job) publishSite(ctx context.Context) (struct{}, error) {
	rec := j.record(ctx)
	defer rec.close()
	leg := rec.begin(legSite, j.in.Site)
	err := j.toSite(ctx, rec, leg)
	if err != nil && j.wait(err, 0) > 0 {
		short, detail := check.Explain(err)
		rec.set(leg, func(l *store.Leg) { l.State, l.Short, l.Detail = store.Waiting, short, detail })
		return struct{}{}, err
	}
	rec.end(leg, err)
	return struct{}{}, err
}

func (j *job) toSite(ctx context.Context, rec *recorder, leg *store.Leg) error {
	w, err := j.world(ctx, *j.in.Facts)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := j.havePackages(ctx, w); err != nil {
		return err
	}
	out, err := j.linked(w)
	if err != nil {
		return err
	}
	env, task := w.env(ctx), w.task()
	if env.Places, err = j.guarded(ctx, w); err != nil {
		return err
	}
	task.Out, task.Site, task.Attached = out, j.in.Site, true
	rep, err := pipeline.Run(ctx, env, task)
	var older *publish.OlderError
	if errors.As(err, &older) {
		// Tags need not come in their order, and fixes of old versions are releases
		// too: an index may list an older version, and the newer one stays the newest.
		rec.say(j.in.Site, fmt.Sprintf("%s %s is older than %s, which is published: people who have that one keep it", older.Name, older.Version, older.Newest))
		task.AllowOlder = true
		rep, err = pipeline.Run(ctx, env, task)
	}
	if err != nil {
		return err
	}
	for _, text := range append(rep.Skipped, rep.Warnings...) {
		rec.say(j.in.Site, text)
	}
	if len(rep.Sites) == 0 {
		return nil
	}
	site := rep.Sites[0]
	rec.say(j.in.Site, fmt.Sprintf("%d packages listed, %d taken out, %d files written (serial %d)", len(site.Added), len(site.Removed), len(site.Written), site.Serial))
	rec.set(leg, func(l *store.Leg) {
		l.N, l.M = len(site.Written), len(site.Written)
		for _, f := range site.Written {
			l.Bytes += f.Size
		}
	})
	if err := j.noted(ctx, w.repo, &rep.Plan.Sites[0]); err != nil {
		return err
	}
	if err := j.writeLog(ctx, &store.LogEntry{Kind: logState, Subject: j.in.Site, Digest: site.Version}); err != nil {
		return err
	}
	lines, err := check.Installs(ctx, rep)
	if err != nil {
		return err
	}
	_, err = j.change(ctx, j.in.Release, func(_ *store.Release, x *row) {
		x.site(site)
		x.install(j.in.Site, lines)
		x.warn(rep.Warnings...)
	})
	return err
}
