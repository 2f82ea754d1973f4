package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web"
)

// Refusal says in a sentence for people why something can't be done.
type Refusal = web.Refusal

func refuse(format string, args ...any) error { return &Refusal{Text: fmt.Sprintf(format, args...)} }

// Release begins the release of a tag, of some sites only if any are named, and
// returns its id. One that is there already is returned as it is. by is who asks, for
// people.
func (s *Releases) Release(ctx context.Context, by string, repository int64, tag string, sites []string) (string, error) {
	repo, err := s.repository(ctx, repository)
	if err != nil {
		return "", explained(err)
	}
	commit, _, err := s.client(repo).Resolve(ctx, repo.Owner, repo.Name, tag)
	if errors.Is(err, github.ErrNotFound) {
		return "", refuse("There is no tag %q in %s/%s, or the App may not see it.", tag, repo.Owner, repo.Name)
	}
	if err != nil {
		return "", explained(err)
	}
	return s.begin(ctx, repo, tag, commit, by, sites)
}

// Cancel stops a release. What was published stays.
func (s *Releases) Cancel(ctx context.Context, by, id string) error {
	return s.cancel(ctx, id, fmt.Sprintf("It was cancelled by %s.", by))
}

func (s *Releases) cancel(ctx context.Context, id, why string) error {
	r, err := s.change(ctx, id, func(r *store.Release, x *row) {
		if r.State.Open() {
			r.Cancel, x.Why = true, why
		}
	})
	if err != nil || !r.State.Open() {
		return err
	}
	err = s.Engine.Cancel(ctx, rowOf(r).job(r))
	if errors.Is(err, engine.ErrNotFound) { // it was not added yet: then it is, and cancelled
		if err = s.enqueue(ctx, r, rowOf(r).job(r)); err == nil {
			err = s.Engine.Cancel(ctx, rowOf(r).job(r))
		}
	}
	return err
}

// cancelAll stops what is under way.
func (s *Releases) cancelAll(ctx context.Context, f store.ReleaseFilter, why string) error {
	f.States, f.Limit = []store.State{store.Waiting, store.Running}, 1000
	all, err := s.Store.Releases(ctx, f)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := s.cancel(ctx, r.ID, why); err != nil {
			return err
		}
	}
	return nil
}

// Restart begins an ended release again: what is done is not repeated.
func (s *Releases) Restart(ctx context.Context, by, id string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil {
		return err
	}
	if r.State.Open() {
		return refuse("%s is under way already.", r.Tag)
	}
	return s.again(ctx, id, "again by "+by, nil)
}

// Republish publishes a version whose tag was moved after it was published: with the
// files of the commit that it is at now.
func (s *Releases) Republish(ctx context.Context, by, id string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil {
		return err
	}
	if r.State.Open() {
		return refuse("%s is under way already.", r.Tag)
	}
	if !slices.Contains([]store.State{store.ActionRequired, store.Failed, store.Cancelled}, r.State) {
		return refuse("%s is published from this commit: there is nothing to replace.", r.Tag)
	}
	return s.again(ctx, id, "republished by "+by, func(_ *store.Release, x *row) { x.Replace = by })
}

// explained makes a Refusal of what people can do something about.
func explained(err error) error {
	switch {
	case errors.Is(err, github.ErrSuspended):
		return refuse("The installation of the App is suspended: the account's owner can lift that.")
	case errors.Is(err, github.ErrNoInstallation), errors.Is(err, ErrUnknown):
		return refuse("The App is not installed on this repository any more.")
	case github.Temporary(err):
		return refuse("GitHub has trouble answering. Try again in a minute.")
	}
	return err
}
