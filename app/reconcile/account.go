package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// Accounts compares installations and their repositories with GitHub's lists, and
// keeps what no event told of. What changed while it ran is left to its event.
func (l *Loop) Accounts(ctx context.Context) error {
	app := l.o.GitHub()
	if app == nil {
		return nil
	}
	began := l.o.Now()
	theirs, err := app.Installations(ctx)
	if err != nil {
		return err
	}
	ours, err := l.o.Store.Installations(ctx)
	if err != nil {
		return err
	}
	known := make(map[int64]*store.Installation, len(ours))
	for _, i := range ours {
		known[i.ID] = i
	}
	var errs []error
	for _, i := range theirs {
		was := known[i.ID]
		delete(known, i.ID)
		now := &store.Installation{ID: i.ID, Account: i.Account, AccountID: i.AccountID, AccountType: i.AccountType, Suspended: i.Suspended, Created: i.Created}
		if was == nil || !sameInstallation(was, now) && was.Updated.Before(began) {
			l.log.Info("an installation is kept as GitHub has it", "installation", i.ID, "account", i.Account)
			if err := l.o.Store.SaveInstallation(ctx, now); err != nil {
				return err
			}
		}
		if i.Suspended {
			continue
		}
		// Of an installation that nobody told us of, all repositories count from its
		// beginning on; else from when they were found.
		var since time.Time
		if was == nil {
			since = i.Created
		}
		if err := l.repositories(ctx, app.Installation(i.ID), since); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			errs = append(errs, fmt.Errorf("installation %d: %w", i.ID, err))
		}
	}
	for _, gone := range known {
		if gone.Removed || !gone.Updated.Before(began) {
			continue
		}
		l.log.Info("an installation was removed", "installation", gone.ID, "account", gone.Account)
		gone.Removed = true
		if err := l.o.Store.SaveInstallation(ctx, gone); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

func (l *Loop) repositories(ctx context.Context, c *github.Client, since time.Time) error {
	began := l.o.Now()
	theirs, err := c.Repositories(ctx)
	if err != nil {
		return err
	}
	ours, err := l.o.Store.Repositories(ctx, c.ID())
	if err != nil {
		return err
	}
	known := make(map[int64]*store.Repository, len(ours))
	for _, r := range ours {
		known[r.ID] = r
	}
	for _, r := range theirs {
		was := known[r.ID]
		delete(known, r.ID)
		now := &store.Repository{ID: r.ID, Installation: c.ID(), Owner: r.Owner, Name: r.Name, DefaultBranch: r.DefaultBranch, Private: r.Private, Created: since}
		if was == nil || !sameRepository(was, now) && was.Updated.Before(began) {
			if err := l.o.Store.SaveRepository(ctx, now); err != nil {
				return err
			}
		}
	}
	for _, gone := range known {
		if gone.Removed || !gone.Updated.Before(began) {
			continue
		}
		gone.Removed = true
		if err := l.o.Store.SaveRepository(ctx, gone); err != nil {
			return err
		}
	}
	return nil
}

func sameInstallation(a, b *store.Installation) bool {
	x, y := *a, *b
	x.Created, x.Updated, y.Created, y.Updated = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return x == y
}

func sameRepository(a, b *store.Repository) bool {
	x, y := *a, *b
	x.Created, x.Updated, y.Created, y.Updated = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return x == y
}
