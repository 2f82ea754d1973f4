package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distropack/distropack/app/store"
)

// ErrGone says that a site is no more: it is forgotten.
var ErrGone = errors.New("the site is no more")

// Site is a published tree whose indexes end: apt's valid-for.
type Site struct {
	Installation int64         `json:"-"` // set by the task
	Repository   int64         `json:"-"` // whose distropack.yml has it
	Name         string        `json:"name"`
	ValidFor     time.Duration `json:"validFor"` // 0: for ever
	At           time.Time     `json:"at"`       // of the last publish
}

// maxSites bounds the sites of one repository.
const maxSites = 1000

// Sites are kept in slots, "reconcile/sites/REPOSITORY/N" from 0 on, since a list in
// one setting could lose what two publishes add to it at once.
func slot(repository int64, n int) string {
	return fmt.Sprintf("reconcile/sites/%d/%d", repository, n)
}

// Published is to be called after each publish to a site, with ValidFor 0 where its
// indexes have no end: it then is not signed again. It may be called concurrently.
func Published(ctx context.Context, s *store.Store, site Site) error {
	for n := range maxSites {
		name := slot(site.Repository, n)
		var there Site
		found, err := load(ctx, s, name, &there)
		if err != nil {
			return err
		}
		if !found {
			if site.ValidFor == 0 {
				return nil
			}
			b, err := json.Marshal(&site)
			if err != nil {
				return err
			}
			if set, err := s.SetSettingOnce(ctx, name, b); set || err != nil {
				return err
			}
			if _, err := load(ctx, s, name, &there); err != nil { // somebody was faster
				return err
			}
		}
		if there.Name == site.Name {
			return save(ctx, s, name, &site)
		}
	}
	return fmt.Errorf("repository %d has more than %d sites", site.Repository, maxSites)
}

// Sites has those signed again whose last publish is longer ago than a third of the
// time they are valid for, the most urgent first. One that fails keeps its turn, and
// does not keep the others.
func (l *Loop) Sites(ctx context.Context) error {
	live, err := l.live(ctx)
	if err != nil {
		return err
	}
	now := l.o.Now()
	type entry struct {
		slot string
		site Site
	}
	var due []entry
	for _, r := range live {
		for n := range maxSites {
			e := entry{slot: slot(r.ID, n)}
			found, err := l.load(ctx, e.slot, &e.site)
			if err != nil {
				return err
			}
			if !found {
				break
			}
			e.site.Installation, e.site.Repository = r.Installation, r.ID
			if e.site.ValidFor > 0 && now.Sub(e.site.At) > e.site.ValidFor/3 {
				due = append(due, e)
			}
		}
	}
	left := func(s Site) time.Duration { return s.At.Add(s.ValidFor).Sub(now) }
	slices.SortStableFunc(due, func(a, b entry) int { return int(min(1, max(-1, left(a.site)-left(b.site)))) })
	var errs []error
	for _, e := range due {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		err := l.o.Resign(ctx, e.site)
		if errors.Is(err, ErrGone) {
			e.site.ValidFor = 0
			err = l.save(ctx, e.slot, &e.site)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("repository %d: site %q is valid for %s more: %w", e.site.Repository, e.site.Name, left(e.site).Round(time.Minute), err))
		}
	}
	return errors.Join(errs...)
}

// live are the repositories of installations that are there and not suspended, by
// their ids.
func (l *Loop) live(ctx context.Context) ([]*store.Repository, error) {
	installations, err := l.o.Store.Installations(ctx)
	if err != nil {
		return nil, err
	}
	on := make(map[int64]bool, len(installations))
	for _, i := range installations {
		on[i.ID] = !i.Suspended && !i.Removed
	}
	all, err := l.o.Store.Repositories(ctx, 0)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r *store.Repository) bool { return r.Removed || !on[r.Installation] })
	slices.SortFunc(all, func(a, b *store.Repository) int { return int(min(1, max(-1, a.ID-b.ID))) })
	return all, nil
}
