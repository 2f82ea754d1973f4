package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
)

// input is what a job of a release is given. Everything else is read in its steps:
// it changes.
type input struct {
	Release string `json:"release"`
	Site    string `json:"site,omitempty"` // of a child
	Facts   *facts `json:"facts,omitempty"`
}

func (i input) json() []byte {
	b, err := json.Marshal(i)
	if err != nil {
		panic(err) // texts and times
	}
	return b
}

// begin has a tag released at a commit, once: what is known is left as it is, unless
// it was ignored, which may have changed since.
func (s *Releases) begin(ctx context.Context, repo *store.Repository, tag, commit, trigger string, only []string) (string, error) {
	r := &store.Release{ID: id(repo.ID, tag, commit), Installation: repo.Installation, Repository: repo.ID, Tag: tag, Commit: commit, Trigger: trigger, State: store.Waiting, Attempt: 1}
	x := &row{Job: r.ID, Only: only}
	if err := x.put(r); err != nil {
		return "", err
	}
	created, err := s.Store.CreateRelease(ctx, r)
	if err != nil {
		return "", err
	}
	if created {
		s.log.Info("a release begins", "release", r.ID, "repository", repo.Owner+"/"+repo.Name, "trigger", trigger)
	} else if r, err = s.Store.Release(ctx, r.ID); err != nil {
		return "", err
	} else if r.State == store.Ignored {
		return r.ID, s.again(ctx, r.ID, trigger, nil)
	}
	if !r.State.Open() {
		return r.ID, nil
	}
	// Known already, if its event came twice: then nothing happens.
	return r.ID, s.enqueue(ctx, r, rowOf(r).job(r))
}

func (s *Releases) enqueue(ctx context.Context, r *store.Release, job string) error {
	return s.Engine.Enqueue(ctx, kindRelease, job, strconv.FormatInt(r.Installation, 10), input{Release: r.ID}.json())
}

// again begins an ended release once more: what failed goes on where it failed, and
// what ended well is looked at from the beginning. One that is under way is left to
// itself. change may be nil.
func (s *Releases) again(ctx context.Context, id, trigger string, change func(*store.Release, *row)) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil {
		return err
	}
	job := rowOf(r).job(r)
	was, err := s.Engine.Status(ctx, job)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	known := err == nil
	if known && !was.State.Ended() {
		if r.State.Open() {
			return nil
		}
		// It has told people of its end, and is about to end: GitHub's buttons are
		// there already.
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if was, err = s.Engine.Wait(limited, job); err != nil {
			return fmt.Errorf("release %s is about to end: %w", id, err)
		}
	}
	r, err = s.change(ctx, id, func(r *store.Release, x *row) {
		r.State, r.Cancel, r.Short, r.Detail, r.Step, r.Ended = store.Waiting, false, "", "", "", time.Time{}
		r.Attempt++
		if trigger != "" {
			r.Trigger = trigger
		}
		x.Why, x.Waits, x.Mistakes = "", "", nil
		r.CheckRun = 0 // GitHub does not begin a completed one anew
		if change != nil {
			change(r, x)
		}
	})
	if err != nil {
		return err
	}
	next := fmt.Sprintf("%s+%d", r.ID, r.Attempt)
	if known && was.State != engine.Done {
		next, err = s.Engine.Restart(ctx, job)
	} else {
		err = s.enqueue(ctx, r, next)
	}
	if err != nil {
		return err
	}
	_, err = s.change(ctx, id, func(_ *store.Release, x *row) { x.Job = next })
	return err
}

// Enqueue has a tag released that no event told of: reconcile.Options.Enqueue.
func (s *Releases) Enqueue(ctx context.Context, t reconcile.Trigger) error {
	repo, err := s.repository(ctx, t.Repository)
	if err != nil {
		return err
	}
	id, err := s.begin(ctx, repo, t.Tag, t.Commit, t.Cause, nil)
	if err != nil || !t.Release {
		return err
	}
	return s.retry(ctx, id, t.Cause)
}

// retry begins a release again that failed before its GitHub release was there.
func (s *Releases) retry(ctx context.Context, id, cause string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil || r.State != store.Failed {
		return err
	}
	return s.again(ctx, id, cause, nil)
}
