package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// thresholds are the days before its end at which people are warned of a key.
var thresholds = []int{7, 30, 90}

// Warning says that a signing key expires.
type Warning struct {
	Scope, Name  string // of the sealed key
	Installation int64
	Repository   *store.Repository // whose people are told: the key's, or the one of the installation that published last
	Expires      time.Time
	Days         int    // the threshold: 90, 30 or 7
	Text         string // a sentence
}

// Keys warns of signing keys 90, 30 and 7 days before they expire, once each; of one
// that came later than that, at the nearest only. A warning that could not be given is
// given at the next run. Keys nobody has published with are left alone.
func (l *Loop) Keys(ctx context.Context) error {
	sealed, err := l.o.Store.ListSealed(ctx, "")
	if err != nil {
		return err
	}
	now := l.o.Now()
	var errs []error
	for _, v := range sealed {
		days := threshold(v, now)
		if days == 0 {
			continue
		}
		given, err := l.given(ctx, v, days)
		if err != nil {
			return err
		}
		if given {
			continue
		}
		w := Warning{Scope: v.Scope, Name: v.Name, Expires: v.Expires, Days: days, Text: expiry(v, now)}
		if w.Installation, w.Repository, err = l.told(ctx, v.Scope); err != nil {
			return err
		}
		if w.Repository == nil {
			continue
		}
		if err := l.o.Warn(ctx, w); err != nil {
			errs = append(errs, fmt.Errorf("key %s of %s expires on %s, and nobody could be told: %w", v.Name, v.Scope, v.Expires.Format(time.DateOnly), err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if err := l.o.Store.SetSetting(ctx, warned(v, days), []byte(now.UTC().Format(time.RFC3339))); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// threshold is the nearest one that a key has reached; 0 if none.
func threshold(v *store.Sealed, now time.Time) int {
	if v.Kind != "key" || v.Expires.IsZero() {
		return 0
	}
	for _, days := range thresholds {
		if !v.Expires.After(now.AddDate(0, 0, days)) {
			return days
		}
	}
	return 0
}

// warned is the setting that says that a warning was given. A key that was extended is
// another one.
func warned(v *store.Sealed, days int) string {
	return fmt.Sprintf("reconcile/warned/%s/%s/%d/%d", v.Scope, v.Name, v.Expires.Unix(), days)
}

func (l *Loop) given(ctx context.Context, v *store.Sealed, days int) (bool, error) {
	_, err := l.o.Store.Setting(ctx, warned(v, days))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func expiry(v *store.Sealed, now time.Time) string {
	day := v.Expires.UTC().Format("2 January 2006")
	if !v.Expires.After(now) {
		return fmt.Sprintf("the signing key %s expired on %s: extend or replace it, and release again", v.Name, day)
	}
	left := int(v.Expires.Sub(now).Hours() / 24)
	return fmt.Sprintf("the signing key %s expires on %s, in %d days: extend or replace it and release again before that, since clients need the new certificate", v.Name, day, left)
}

// KeyWarnings are the sentences about keys that expire within 90 days, for the check
// runs of a repository.
func KeyWarnings(ctx context.Context, s *store.Store, installation, repository int64, now time.Time) ([]string, error) {
	var all []string
	for _, scope := range []string{fmt.Sprintf("installation:%d", installation), fmt.Sprintf("repository:%d", repository)} {
		sealed, err := s.ListSealed(ctx, scope)
		if err != nil {
			return nil, err
		}
		for _, v := range sealed {
			if threshold(v, now) > 0 {
				all = append(all, expiry(v, now))
			}
		}
	}
	return all, nil
}

// told says whom a key's scope concerns; no repository where nobody publishes with it.
func (l *Loop) told(ctx context.Context, scope string) (int64, *store.Repository, error) {
	kind, number, _ := strings.Cut(scope, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, nil, nil // the server's own
	}
	f := store.ReleaseFilter{States: []store.State{store.Done}, Limit: 100}
	switch kind {
	case "installation":
		f.Installation = id
	case "repository":
		f.Repository = id
	default:
		return 0, nil, nil
	}
	rows, err := l.o.Store.Releases(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	for _, row := range rows {
		r, err := l.o.Store.Repository(ctx, row.Repository)
		if errors.Is(err, store.ErrNotFound) || err == nil && r.Removed {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		in, err := l.o.Store.Installation(ctx, r.Installation)
		if errors.Is(err, store.ErrNotFound) || err == nil && (in.Removed || in.Suspended) {
			continue
		}
		return r.Installation, r, err
	}
	return 0, nil, nil
}
