package release

import (
	"context"
	"errors"
	"slices"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/store"
)

// logKind are the kinds of entries of the publish log.
const (
	logArtifact = "artifact" // a file, by its SHA-256
	logState    = "state"    // a site, by what its place calls the tree
)

func logKey(e *store.LogEntry) string { return e.Kind + " " + e.Subject + " " + e.Digest }

// writeLog says in the publish log what came out, each once: what is about to be
// written is noted before, so that who comes after a crash knows where to look.
func (j *job) writeLog(ctx context.Context, entries ...*store.LogEntry) error {
	var todo []*store.LogEntry
	var broken bool
	r, err := j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
		todo, broken = nil, false
		for _, e := range entries {
			e.Repository, e.Release = r.Repository, r.ID
			key := logKey(e)
			if slices.Contains(x.Logged, key) {
				continue
			}
			todo = append(todo, e)
			if slices.Contains(x.Logging, key) {
				broken = true
			} else {
				x.Logging = append(x.Logging, key)
			}
		}
	})
	if err != nil || len(todo) == 0 {
		return err
	}
	write := todo
	if broken {
		there, err := j.inLog(ctx, r)
		if err != nil {
			return err
		}
		write = slices.DeleteFunc(slices.Clone(todo), func(e *store.LogEntry) bool { return there[logKey(e)] })
	}
	if len(write) > 0 {
		if err := j.Store.AppendPublishLog(ctx, write...); err != nil {
			return err
		}
	}
	_, err = j.change(ctx, j.in.Release, func(_ *store.Release, x *row) {
		for _, e := range todo {
			key := logKey(e)
			x.Logging = slices.DeleteFunc(x.Logging, func(k string) bool { return k == key })
			if !slices.Contains(x.Logged, key) {
				x.Logged = append(x.Logged, key)
			}
		}
	})
	return err
}

// inLog is what the publish log has of a release.
func (j *job) inLog(ctx context.Context, r *store.Release) (map[string]bool, error) {
	const page = 10_000
	there := make(map[string]bool)
	for after := int64(0); ; {
		all, err := j.Store.PublishLog(ctx, r.Repository, after, page)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			after = e.Seq
			if e.Release == r.ID {
				there[logKey(e)] = true
			}
		}
		if len(all) < page {
			return there, nil
		}
	}
}

// finish writes how a release ended.
func (j *job) finish(ctx context.Context, v verdict, why error) error {
	state := store.Done
	switch {
	case errors.Is(why, engine.ErrCancelled):
		state = store.Cancelled
	case errors.Is(why, check.ErrPublished):
		state = store.ActionRequired
	case why != nil:
		state = store.Failed
	case v.State != "":
		state = v.State
	}
	legs, err := j.Store.Legs(ctx, j.in.Release)
	if err != nil {
		return err
	}
	for _, l := range legs { // of steps that were broken off
		if l.State.Open() {
			l.State, l.Ended = store.Cancelled, j.Now()
			if state == store.Done {
				l.State = store.Ignored
			}
			if err := j.Store.SetLeg(ctx, l); err != nil {
				return err
			}
		}
	}
	r, err := j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
		r.State, r.Ended = state, j.Now()
		switch state {
		case store.Done:
			r.Short, r.Detail, r.Step = "", "", ""
		case store.Cancelled:
			r.Short, r.Detail = x.Why, ""
			if r.Short == "" {
				r.Short = "It was cancelled."
			}
		case store.Ignored:
			r.Short, r.Detail = v.Short, ""
			x.Plain = v.Plain
		default:
			if r.Short == "" {
				r.Short, r.Detail = check.Explain(why)
			}
		}
	})
	if err != nil {
		return err
	}
	text := string(state)
	if r.Short != "" {
		text += ": " + r.Short
	}
	j.say(ctx, "", text)
	j.log.Info("a release ended", "release", r.ID, "state", state, "short", r.Short, "dur", r.Ended.Sub(r.Started))
	if err := j.clear(r.ID); err != nil {
		j.log.Warn("the work folder of a release can't be removed", "release", r.ID, "err", err)
	}
	return nil
}
