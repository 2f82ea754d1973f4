package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// createCheck makes the check run of a release: from then on people see it.
func (j *job) createCheck(ctx context.Context) (struct{}, error) {
	if _, err := j.change(ctx, j.in.Release, func(_ *store.Release, x *row) { x.Wanted = true }); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, j.tell(ctx, j.in.Release)
}

// tellAtLast brings the check run of an ended release up to date; where GitHub takes
// nothing now, a job of its own does it later.
func (j *job) tellAtLast(ctx context.Context) error {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := j.tell(limited, r.ID); err != nil {
		j.log.Info("a check run is brought up to date later", "release", r.ID, "err", check.Redact(err.Error()))
		return j.tellLater(ctx, r, fmt.Sprint(":tell:", r.Attempt))
	}
	return nil
}

// tellLater adds a job that brings the check run up to date.
func (s *Releases) tellLater(ctx context.Context, r *store.Release, name string) error {
	return s.Engine.Enqueue(ctx, kindTell, r.ID+name, strconv.FormatInt(r.Installation, 10), input{Release: r.ID}.json())
}

// tellJob is that job.
func (s *Releases) tellJob(_ context.Context, r *engine.Run) error {
	j, err := s.open(r)
	if err != nil {
		return err
	}
	_, err = do(j, "tell", func(ctx context.Context) (struct{}, error) { return struct{}{}, j.tell(ctx, j.in.Release) })
	return err
}

// tellNow brings the check run of a running release up to date, not too often and
// only while GitHub takes enough requests. That it did not work is of no matter.
func (s *Releases) tellNow(ctx context.Context, id string) {
	s.mu.Lock()
	last, known := s.told[id]
	now := time.Now()
	if !known { // it began on another node, or just now
		s.told[id] = now
	}
	due := known && now.Sub(last) >= s.Limits.Check
	if due {
		s.told[id] = now
	}
	s.mu.Unlock()
	if !due || ctx.Err() != nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.tell(limited, id); err != nil {
		s.log.Debug("a check run can't be brought up to date", "release", id, "err", check.Redact(err.Error()))
	}
}

// external is the id by which a check run is found again: each attempt has its own,
// since GitHub does not begin a completed one anew.
func external(r *store.Release) string {
	if r.Attempt > 1 {
		return r.ID + "#" + strconv.Itoa(r.Attempt)
	}
	return r.ID
}

// logLines is how many lines of the log a failed release shows.
const logLines = 40

// tell makes the check run of a release, or brings it up to date. Releases that are
// of no interest to the project have none.
func (s *Releases) tell(ctx context.Context, id string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil {
		return err
	}
	x := rowOf(r)
	if r.CheckRun == 0 && !x.Wanted && !(r.State == store.Ignored && x.Plain) {
		return nil
	}
	repo, err := s.repository(ctx, r.Repository)
	if err != nil {
		if errors.Is(err, github.ErrSuspended) || errors.Is(err, github.ErrNoInstallation) || errors.Is(err, ErrUnknown) {
			return nil // nobody can be told; the page says it
		}
		return err
	}
	legs, err := s.Store.Legs(ctx, id)
	if err != nil {
		return err
	}
	in := check.Release{Release: r, Legs: legs, Report: &x.Report, Install: x.Install, URL: s.page(r), Now: s.Now()}
	if r.State == store.Waiting && r.Short != "" {
		in.Warnings = append(in.Warnings, r.Short)
	}
	if r.State == store.Failed {
		if in.Log, err = s.Store.LogTail(ctx, id, logLines); err != nil {
			return err
		}
	}
	k := check.ForRelease(in)
	if x.Plain && r.State == store.Ignored {
		k = check.NoConfig(repo.Owner, repo.Name, r.Commit, r.ID, in.URL, s.Now())
	}
	k.ExternalID = external(r)
	k.Annotations = x.Mistakes
	c := s.client(repo)
	number := r.CheckRun
	if number == 0 {
		number, err = c.FindCheck(ctx, repo.Owner, repo.Name, r.Commit, k.ExternalID)
		if err != nil && !errors.Is(err, github.ErrNotFound) {
			return s.unheard(err, id)
		}
	}
	if number == 0 {
		number, err = c.CreateCheck(ctx, repo.Owner, repo.Name, k)
	} else {
		err = c.UpdateCheck(ctx, repo.Owner, repo.Name, number, k)
	}
	if err != nil && number == 0 {
		return s.unheard(err, id)
	}
	if number != r.CheckRun || err == nil && len(x.Mistakes) > 0 {
		if _, e := s.change(ctx, id, func(r *store.Release, now *row) {
			r.CheckRun = number
			if err == nil && len(now.Mistakes) == len(x.Mistakes) {
				now.Mistakes = nil
			}
		}); e != nil {
			return errors.Join(err, e)
		}
	}
	if err != nil {
		return s.unheard(err, id)
	}
	if r.State.Open() { // else its entry would stay for ever
		s.mu.Lock()
		s.told[id] = time.Now()
		s.mu.Unlock()
	}
	return nil
}

// unheard is nil for what telling again would not change: a release goes on without
// a check run, and its page says the same.
func (s *Releases) unheard(err error, id string) error {
	if errors.Is(err, github.ErrForbidden) || errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrSuspended) || errors.Is(err, github.ErrNoInstallation) {
		s.log.Warn("a check run can't be made", "release", id, "err", check.Redact(err.Error()))
		return nil
	}
	return err
}
