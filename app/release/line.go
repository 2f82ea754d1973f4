package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// facts are what the steps found out, for later ones and for children.
type facts struct {
	Time      time.Time         `json:"time"` // of the commit
	Replace   bool              `json:"replace,omitempty"`
	NotLatest bool              `json:"notLatest,omitempty"`
	Assets    []asset           `json:"assets,omitempty"`   // of the GitHub release that the configuration takes
	Packages  map[string]string `json:"packages,omitempty"` // SHA-256 by name
}

// verdict ends a release before it was made; the zero verdict does not.
type verdict struct {
	State store.State `json:"state,omitempty"`
	Short string      `json:"short,omitempty"`
	Plain bool        `json:"plain,omitempty"` // there is no distropack.yml
}

// release is the job of a release.
func (s *Releases) release(_ context.Context, r *engine.Run) error {
	j, err := s.open(r)
	if err != nil {
		return err
	}
	v, err := j.line()
	if errors.Is(err, engine.ErrInterrupted) {
		return err
	}
	if _, e := engine.Always(r, "finish", func(ctx context.Context) (struct{}, error) { return struct{}{}, j.finish(ctx, v, err) }); e != nil {
		return errors.Join(err, e)
	}
	if _, e := engine.Always(r, "tell", func(ctx context.Context) (struct{}, error) { return struct{}{}, j.tellAtLast(ctx) }); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// line takes the steps. Between them nothing is read but what they returned.
func (j *job) line() (verdict, error) {
	none := verdict{}
	at, err := do(j, "resolve", j.resolve)
	if err != nil || at.State != "" {
		return at.verdict, err
	}
	f := facts{Time: at.Time}
	v, err := do(j, "look", j.look)
	if err != nil || v.State != "" {
		return v, err
	}
	if _, err := do(j, "check", j.createCheck); err != nil {
		return none, err
	}
	if f.Replace, err = do(j, "published", j.published); err != nil {
		return none, err
	}
	if _, err := do(j, "quota", j.quota); err != nil {
		return none, err
	}
	if _, err := do(j, "fetch", j.fetch); err != nil {
		return none, err
	}
	p, err := do(j, "plan", func(ctx context.Context) (planned, error) { return j.plan(ctx, f) })
	if err != nil || p.State != "" {
		return p.verdict, err
	}
	if f.Assets, err = j.awaitAssets(p); err != nil {
		return none, err
	}
	made, err := do(j, "package", func(ctx context.Context) (packed, error) { return j.pack(ctx, f) })
	if err != nil {
		return none, err
	}
	f.Packages = made.Packages
	if v, err := do(j, "attach", func(ctx context.Context) (verdict, error) { return j.attach(ctx, f) }); err != nil || v.State != "" {
		return v, err
	}
	var children []engine.Child
	base, _, _ := strings.Cut(j.run.ID, "~") // what is done stays done in the next attempt
	for _, site := range p.Sites {
		children = append(children, engine.Child{Queue: queuePublish, Partition: site.Target, Kind: kindPublish, ID: base + ":site:" + site.Name,
			Input: input{Release: j.in.Release, Site: site.Name, Facts: &f}.json()})
	}
	if err := joined(j.run.Children(children...)); err != nil {
		return none, err
	}
	for _, site := range p.Sites {
		if err := j.probe(site); err != nil {
			return none, err
		}
	}
	return none, nil
}

// joined is nil, the one error that all are, or what went wrong with each.
func joined(errs []error) error {
	for _, err := range errs {
		if errors.Is(err, engine.ErrInterrupted) || errors.Is(err, engine.ErrCancelled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// resolved is what a tag is.
type resolved struct {
	verdict
	Time time.Time `json:"time"`
}

// resolve asks what the tag is now. One that is gone ends the release; one that
// moved begins another.
func (j *job) resolve(ctx context.Context) (resolved, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return resolved{}, err
	}
	repo, err := j.repository(ctx, r.Repository)
	if err != nil {
		return resolved{}, err
	}
	commit, at, err := j.client(repo).Resolve(ctx, repo.Owner, repo.Name, r.Tag)
	if errors.Is(err, github.ErrNotFound) && !errors.Is(err, github.ErrNoInstallation) {
		return resolved{verdict: verdict{State: store.Ignored, Short: "The tag is gone: there is nothing to release."}}, nil
	}
	if err != nil {
		return resolved{}, err
	}
	if commit != r.Commit {
		if _, err := j.begin(ctx, repo, r.Tag, commit, "a tag that was moved", nil); err != nil {
			return resolved{}, err
		}
		return resolved{verdict: verdict{State: store.Ignored, Short: fmt.Sprintf("The tag is at %.10s now: that commit is released instead.", commit)}}, nil
	}
	j.say(ctx, "", fmt.Sprintf("%s/%s %s is at %s", repo.Owner, repo.Name, r.Tag, commit))
	return resolved{Time: at.UTC()}, nil
}

// published refuses to publish a tag that was published from another commit, unless
// somebody said so: then true.
func (j *job) published(ctx context.Context) (bool, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return false, err
	}
	all, err := j.Store.Releases(ctx, store.ReleaseFilter{Repository: r.Repository, Tag: r.Tag})
	if err != nil {
		return false, err
	}
	for _, other := range all {
		if other.Commit == r.Commit {
			continue
		}
		out := other.State == store.Done
		if !out {
			legs, err := j.Store.Legs(ctx, other.ID)
			if err != nil {
				return false, err
			}
			out = slices.ContainsFunc(legs, func(l *store.Leg) bool { return (l.Kind == legAttach || l.Kind == legSite) && l.State == store.Done })
		}
		if !out {
			continue
		}
		if by := rowOf(r).Replace; by != "" {
			j.say(ctx, "", fmt.Sprintf("published in the place of commit %s, as %s asked for", other.Commit, by))
			return true, nil
		}
		return false, &check.PublishedError{Tag: r.Tag, Published: other.Commit, Now: r.Commit}
	}
	return false, nil
}

// quotaKinds are what an installation may use.
func (j *job) quota(ctx context.Context) (struct{}, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return struct{}{}, err
	}
	now := j.Now()
	for _, q := range []struct {
		kind, what, most string
		limit, unit      int64
		since            time.Duration
	}{
		{"jobs", "releases an hour", "", j.Limits.ReleasesHour, 1, time.Hour},
		{"seconds", "minutes of packaging a day", "", j.Limits.MinutesDay, 60, 24 * time.Hour},
		{"bytes", "bytes a day", "", j.Limits.BytesDay, 1, 24 * time.Hour},
	} {
		if q.limit == 0 {
			continue
		}
		// What was used is known by full hours: the hour that began within the time.
		used, err := j.Store.Used(ctx, q.kind, r.Installation, now.Add(time.Hour-q.since))
		if err != nil {
			return struct{}{}, err
		}
		if used >= q.limit*q.unit {
			return struct{}{}, &check.QuotaError{What: q.what, Most: fmt.Sprint(q.limit), Until: now.UTC().Truncate(time.Hour).Add(time.Hour)}
		}
	}
	return struct{}{}, j.Store.Count(ctx, "jobs", r.Installation, 1)
}
