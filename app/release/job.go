package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/checkout"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
	ghrelease "github.com/distropack/distropack/publish/dest/release"
)

// job is a job of the engine that is about a release.
type job struct {
	*Releases
	run *engine.Run
	in  input
}

func (s *Releases) open(r *engine.Run) (*job, error) {
	j := &job{Releases: s, run: r}
	if err := json.Unmarshal(r.Input, &j.in); err != nil {
		return nil, fmt.Errorf("job %s: its input can't be read: %w", r.ID, err)
	}
	return j, nil
}

// outcome is what a step came to, as the engine keeps it.
type outcome[T any] struct {
	Value T             `json:"value"`
	Again time.Duration `json:"again,omitempty"` // it is to be tried again after this time
}

// do is a step. What passes by itself is waited for, with durable sleeps, until
// Limits.Patience is over; the release says so meanwhile. Any other error is written
// down for people, with the mistakes of the configuration, and is the job's.
func do[T any](j *job, name string, f func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	var spent time.Duration
	for n := 0; ; n++ {
		o, err := engine.Step(j.run, name, func(ctx context.Context) (outcome[T], error) {
			if err := j.at(ctx, name); err != nil {
				return outcome[T]{}, err
			}
			v, err := f(ctx)
			if err == nil {
				return outcome[T]{Value: v}, nil
			}
			if ctx.Err() != nil {
				return outcome[T]{}, err
			}
			if wait := j.wait(err, n); wait > 0 && spent+wait <= j.Limits.Patience {
				j.waiting(ctx, err, wait)
				return outcome[T]{Again: wait}, nil
			}
			j.failed(ctx, name, err)
			return outcome[T]{}, err
		})
		if err != nil {
			return zero, err
		}
		if o.Again == 0 {
			return o.Value, nil
		}
		spent += o.Again
		if err := j.run.Sleep(o.Again); err != nil {
			return zero, err
		}
	}
}

// at says where the release is.
func (j *job) at(ctx context.Context, step string) error {
	_, err := j.Store.UpdateRelease(ctx, j.in.Release, func(r *store.Release) error {
		if j.in.Site == "" {
			r.Step, r.Short, r.Detail = step, "", ""
		}
		r.State = store.Running
		if r.Started.IsZero() {
			r.Started = j.Now()
		}
		return nil
	})
	return err
}

// waiting says that the release goes on by itself, and when.
func (j *job) waiting(ctx context.Context, why error, wait time.Duration) {
	short, detail := check.Explain(why)
	at := j.Now().Add(wait)
	short += fmt.Sprintf(" The next try is at %s.", at.UTC().Format("15:04:05 UTC"))
	j.log.Info("a release waits", "release", j.in.Release, "job", j.run.ID, "wait", wait, "err", check.Redact(why.Error()))
	_, err := j.Store.UpdateRelease(ctx, j.in.Release, func(r *store.Release) error {
		r.State, r.Short, r.Detail = store.Waiting, short, detail
		return nil
	})
	j.say(ctx, "", short)
	if err != nil {
		j.log.Warn("what a release waits for can't be written", "release", j.in.Release, "err", err)
	}
	if wait > 10*time.Second { // people look at the check run first
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := j.tell(limited, j.in.Release); err != nil {
			j.log.Debug("a check run can't be brought up to date", "release", j.in.Release, "err", check.Redact(err.Error()))
		}
	}
}

// failed writes down why a step failed. It is done in the step that has the error:
// the engine keeps its text only.
func (j *job) failed(ctx context.Context, step string, why error) {
	short, detail := check.Explain(why)
	mistakes := check.Annotations(why)
	j.log.Info("a step failed", "release", j.in.Release, "job", j.run.ID, "step", step, "err", check.Redact(why.Error()))
	_, err := j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
		r.Step, r.Short, r.Detail = step, short, detail
		x.Mistakes = mistakes
		if errors.Is(why, github.ErrSuspended) || errors.Is(why, github.ErrNoInstallation) || errors.Is(why, github.ErrForbidden) {
			x.Waits = waitsForOwner
		} else if step == "look" { // there is a configuration, and it is wrong
			x.Wanted = true
		}
	})
	j.say(ctx, "", "failed: "+detail)
	if err != nil {
		j.log.Warn("why a step failed can't be written", "release", j.in.Release, "err", err)
	}
}

// say adds a line to the release's log.
func (j *job) say(ctx context.Context, leg, text string) {
	if err := j.Store.AppendLog(ctx, j.in.Release, []store.LogLine{{Leg: leg, Text: check.Redact(text)}}); err != nil && ctx.Err() == nil {
		j.log.Warn("a line can't be added to a release's log", "release", j.in.Release, "err", err)
	}
}

// unknownTries is how often a step is tried whose error nobody knows: networks have
// many words for being away.
const unknownTries = 4

// wait says for how long to wait after the n-th try, from 0; 0 is not at all.
func (s *Releases) wait(err error, n int) time.Duration {
	pause := min(s.Limits.Pause<<min(n, 12), 5*time.Minute)
	var (
		limit   *github.Limit
		more    *ghrelease.LimitError
		quota   *check.QuotaError
		box     *sandbox.Error
		away    net.Error
		passing interface{ Temporary() bool } // of publish/dest/release
	)
	switch {
	case errors.As(err, &limit):
		return max(limit.Until.Sub(s.Now()), 0) + time.Second + pause/2
	case errors.As(err, &more):
		return more.Wait + time.Second + pause/2
	case errors.As(err, &quota):
		return max(quota.Until.Sub(s.Now()), 0) + time.Second
	case s.final(err):
		return 0
	case github.Temporary(err), errors.As(err, &passing) && passing.Temporary(), errors.Is(err, vault.ErrSignerGone), errors.Is(err, publish.ErrConflict),
		errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.As(err, &away):
		return pause
	case errors.As(err, &box):
		if box.Reason == sandbox.Disk {
			return max(pause, 30*time.Second)
		}
		return 0
	case n+1 < unknownTries:
		return pause
	}
	return 0
}

// final reports whether repeating would give the same error.
func (s *Releases) final(err error) bool {
	var (
		older   *publish.OlderError
		differs *publish.DiffersError
	)
	for _, is := range []error{checkout.ErrMoved, checkout.ErrNotFound, checkout.ErrTooLarge, github.ErrForbidden, github.ErrNoInstallation, github.ErrNotFound,
		github.ErrRefused, github.ErrSuspended, github.ErrTooLarge, publish.ErrForged, vault.ErrSealed, check.ErrPublished, check.ErrAssets, check.ErrNoConfig, ErrUnknown} {
		if errors.Is(err, is) {
			return true
		}
	}
	return pipeline.IsConfig(err) || errors.As(err, &older) || errors.As(err, &differs)
}
