package release

import (
	"context"
	"fmt"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
)

// attach puts the packages on the GitHub release and publishes that: the point of no
// return. The tag is looked at once more before. Without a GitHub release in the
// configuration it only takes over what the packer made.
func (j *job) attach(ctx context.Context, f facts) (verdict, error) {
	at, err := j.resolve(ctx)
	if err != nil || at.State != "" {
		return at.verdict, err
	}
	w, err := j.world(ctx, f)
	if err != nil {
		return verdict{}, err
	}
	defer w.close()
	if _, err := j.havePackages(ctx, w); err != nil {
		return verdict{}, err
	}
	if w.facts.NotLatest, err = j.newerReleased(ctx, w); err != nil {
		return verdict{}, err
	}
	rec := j.record(ctx)
	defer rec.close()
	env, task := w.env(ctx), w.task()
	if env.Places, err = j.guarded(ctx, w); err != nil {
		return verdict{}, err
	}
	task.Stop = pipeline.Attach
	task.Alone = true // the engine has one runner per release
	var leg *store.Leg
	if w.project.GitHub != nil {
		leg = rec.begin(legAttach, "GitHub release")
	}
	rep, err := pipeline.Run(ctx, env, task)
	if leg != nil {
		if rep != nil && rep.Release != nil {
			rec.set(leg, func(l *store.Leg) {
				l.N = len(rep.Release.Uploaded) + len(rep.Release.Kept) + len(rep.Release.Replaced)
				l.M = l.N
			})
		}
		rec.end(leg, err)
	}
	if err != nil {
		return verdict{}, err
	}
	if g := rep.Release; g != nil {
		rec.say("", fmt.Sprintf("GitHub release: %d files uploaded, %d were there: %s", len(g.Uploaded)+len(g.Replaced), len(g.Kept), g.URL))
	}
	var entries []*store.LogEntry
	for _, a := range rep.Artifacts {
		entries = append(entries, &store.LogEntry{Kind: logArtifact, Subject: a.Name, Digest: a.SHA256.String()})
	}
	if err := j.writeLog(ctx, entries...); err != nil {
		return verdict{}, err
	}
	_, err = j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
		x.Plan, x.Artifacts = rep.Plan, rep.Artifacts
		if x.Release == nil || rep.Release != nil && rep.Release.Published { // a repeated step finds all done
			x.Release = rep.Release
		}
		for _, a := range x.Artifacts {
			a.Path = a.Name // of no use to anybody else
		}
		x.warn(rep.Warnings...)
	})
	return verdict{}, err
}

// newerReleased reports whether a newer version of the repository is released: then
// this one must not be what "latest" leads to.
func (j *job) newerReleased(ctx context.Context, w *world) (bool, error) {
	all, err := j.Store.Releases(ctx, store.ReleaseFilter{Repository: w.repo.ID, States: []store.State{store.Running, store.Waiting, store.Done}, Limit: 1000})
	if err != nil {
		return false, err
	}
	for _, other := range all {
		if other.ID == w.release.ID || other.Version == "" || formats.SplitVersion(other.Version).Pre != "" {
			continue
		}
		if x := rowOf(other); x.Release != nil && formats.CompareVersions(other.Version, w.release.Version) > 0 {
			return true, nil
		}
	}
	return false, nil
}
