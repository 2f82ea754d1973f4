package store

import (
	"context"
	"time"
)

// Leg is one part of a release that people see: a fetch, a package, a site.
type Leg struct {
	Release string
	Name    string // unique within the release
	Kind    string // fetch, package, attach, site, probe…
	State   State
	Short   string
	Detail  string
	N, M    int // N of M done, if M > 0
	Bytes   int64
	Started time.Time
	Ended   time.Time
}

const legColumns = "release, name, kind, state, short, detail, n, m, bytes, started, ended"

func (l *Leg) columns() []any {
	return []any{&l.Release, &l.Name, &l.Kind, &l.State, &l.Short, &l.Detail, &l.N, &l.M, &l.Bytes, at(&l.Started), at(&l.Ended)}
}

// SetLeg inserts or replaces the leg with this name. It returns ErrNotFound if there is no such release.
func (s *Store) SetLeg(ctx context.Context, l *Leg) error {
	var version int64
	err := s.write(ctx, func(ctx context.Context, q querier) (err error) {
		if version, err = progressed(ctx, q, l.Release); err != nil {
			return err
		}
		_, err = q.exec(ctx, "INSERT INTO legs ("+legColumns+", position) VALUES ("+marks(11)+", (SELECT COALESCE(MAX(position), 0) + 1 FROM legs WHERE release = ?)) "+
			"ON CONFLICT (release, name) DO UPDATE SET kind = excluded.kind, state = excluded.state, short = excluded.short, detail = excluded.detail, "+
			"n = excluded.n, m = excluded.m, bytes = excluded.bytes, started = excluded.started, ended = excluded.ended",
			l.Release, l.Name, l.Kind, l.State, l.Short, l.Detail, l.N, l.M, l.Bytes, l.Started, l.Ended, l.Release)
		return err
	})
	if err != nil {
		return about(err, "release %s: leg %s", l.Release, l.Name)
	}
	s.watch.changed(l.Release, version)
	return nil
}

// Legs returns the legs of a release in the order they were first set.
func (s *Store) Legs(ctx context.Context, release string) ([]*Leg, error) {
	list, err := all(ctx, s.read(), (*Leg).columns, "SELECT "+legColumns+" FROM legs WHERE release = ? ORDER BY position", release)
	return list, about(err, "release %s: legs", release)
}
