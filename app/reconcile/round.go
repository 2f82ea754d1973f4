package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// round is how far the task tags is.
type round struct {
	After  int64               `json:"after"`  // the repository visited last, by the order of ids
	Again  map[int64]time.Time `json:"again"`  // repositories to be visited out of turn, and when
	Paused map[int64]time.Time `json:"paused"` // installations that GitHub does not answer until then
}

const roundSetting = "reconcile/tags"

// Tags visits a share of the repositories, those first that were never visited, and
// enqueues tags and releases that no event told of: of repositories whose commit has
// a distropack.yml, and only what came after the last visit, or at the first one
// what is younger than the repository is here. Lists that did not change cost GitHub
// nothing. Installations whose limit is near or reached are left until it is over.
func (l *Loop) Tags(ctx context.Context) error {
	app := l.o.GitHub()
	if app == nil {
		return nil
	}
	live, err := l.live(ctx)
	if err != nil || len(live) == 0 {
		return err
	}
	var s round
	if _, err := l.load(ctx, roundSetting, &s); err != nil {
		return err
	}
	if s.Again == nil {
		s.Again = make(map[int64]time.Time)
	}
	if s.Paused == nil {
		s.Paused = make(map[int64]time.Time)
	}
	now := l.o.Now()
	turn, last, err := l.chosen(ctx, live, &s, now)
	if err != nil {
		return err
	}
	for id, until := range s.Paused {
		if !until.After(now) {
			delete(s.Paused, id)
		}
	}
	var errs []error
	for _, r := range turn {
		if ctx.Err() != nil {
			break
		}
		delete(s.Again, r.ID)
		if until, paused := s.Paused[r.Installation]; paused {
			s.Again[r.ID] = until
			continue
		}
		c := app.Installation(r.Installation)
		if left, until, known := c.Left(); known && left < tagReserve && until.After(now) {
			s.Paused[r.Installation], s.Again[r.ID] = until, until
			continue
		}
		err := l.visit(ctx, c, r)
		var limit *github.Limit
		switch {
		case err == nil:
		case ctx.Err() != nil:
			s.Again[r.ID] = now
		case errors.As(err, &limit):
			s.Paused[r.Installation], s.Again[r.ID] = limit.Until, limit.Until
		case errors.Is(err, errMore):
			s.Again[r.ID] = now.Add(l.o.Every.Tags)
		case errors.Is(err, github.ErrSuspended), errors.Is(err, github.ErrNoInstallation):
			s.Paused[r.Installation] = now.Add(time.Hour) // its event, or the task accounts, says the same soon
		case errors.Is(err, github.ErrNotFound):
			l.log.Info("a repository is not there any more", "repository", r.ID)
		default:
			s.Again[r.ID] = now.Add(5 * l.o.Every.Tags)
			errs = append(errs, fmt.Errorf("%s/%s: %w", r.Owner, r.Name, err))
		}
	}
	s.After = last
	// Also when ctx has ended: what could not be visited has been noted.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	return errors.Join(append(errs, l.save(end, roundSetting, &s), ctx.Err())...)
}

// chosen are the repositories of this run, and the last one of the round's order.
// Those of a run that was broken off come in the next round.
func (l *Loop) chosen(ctx context.Context, live []*store.Repository, s *round, now time.Time) (turn []*store.Repository, last int64, err error) {
	picked := make(map[int64]bool)
	pick := func(r *store.Repository) {
		if !picked[r.ID] {
			picked[r.ID] = true
			turn = append(turn, r)
		}
	}
	there := make(map[int64]bool, len(live))
	fresh := 0
	for _, r := range live {
		there[r.ID] = true
		if at, again := s.Again[r.ID]; again {
			if !at.After(now) {
				pick(r)
			}
			continue
		}
		if l.seen[r.ID] || fresh == tagFresh {
			continue
		}
		_, err := l.o.Store.Setting(ctx, repositorySetting(r.ID))
		switch {
		case err == nil:
			l.seen[r.ID] = true
		case errors.Is(err, store.ErrNotFound):
			fresh++
			pick(r)
		default:
			return nil, 0, err
		}
	}
	for id := range s.Again {
		if !there[id] {
			delete(s.Again, id)
		}
	}
	share := (len(live)*int(l.o.Every.Tags/time.Second) + int(l.o.Every.Round/time.Second) - 1) / max(1, int(l.o.Every.Round/time.Second))
	begin, _ := slices.BinarySearchFunc(live, s.After+1, func(r *store.Repository, id int64) int { return int(min(1, max(-1, r.ID-id))) })
	last = s.After
	for i := range min(max(1, share), len(live)) {
		r := live[(begin+i)%len(live)]
		last = r.ID
		if _, again := s.Again[r.ID]; !again {
			pick(r)
		}
	}
	return turn, last, nil
}
