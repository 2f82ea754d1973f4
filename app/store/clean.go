package store

import (
	"context"
	"time"
)

// CleanOptions say how long things are kept; 0 keeps them for ever.
type CleanOptions struct {
	Deliveries time.Duration // since they were received, if they are settled
	Logs       time.Duration // since their release ended
	Releases   time.Duration // since they ended; legs and logs go with them
}

// quotaTime is how long Clean keeps what was used.
const quotaTime = 400 * 24 * time.Hour

// cleanBatch bounds one transaction, so that webhooks need not wait for a long one.
const cleanBatch = 200

// Clean deletes what is old, in small transactions, and returns how many deliveries,
// releases, logs, expired sessions, tokens and hours of quotas that were. Of each
// repository the newest release and the newest that is Done stay with their logs, and so does
// whatever is open. The publish log stays whole.
func (s *Store) Clean(ctx context.Context, o CleanOptions) (n int64, err error) {
	now := s.now()
	type task struct {
		age   time.Duration
		query string
		args  []any
	}
	// A release that never began to run, such as a cancelled one, has no end of its own.
	const old = ` FROM releases r WHERE r.state NOT IN ('waiting', 'running') AND CASE WHEN r.ended > 0 THEN r.ended ELSE r.created END < ?
		AND EXISTS (SELECT 1 FROM releases x WHERE x.repository = r.repository AND (x.created, x.id) > (r.created, r.id))
		AND (r.state <> 'done' OR EXISTS (SELECT 1 FROM releases x WHERE x.repository = r.repository AND x.state = 'done' AND (x.created, x.id) > (r.created, r.id)))`
	// What is deleted is asked for its state twice: Postgres chooses in a snapshot, and
	// somebody may begin it again meanwhile.
	tasks := []task{
		{o.Deliveries, "DELETE FROM deliveries WHERE due IS NULL AND guid IN (SELECT guid FROM deliveries WHERE due IS NULL AND received < ? ORDER BY received LIMIT ?)", []any{now.Add(-o.Deliveries), cleanBatch}},
		{o.Releases, "DELETE FROM releases WHERE state NOT IN ('waiting', 'running') AND id IN (SELECT r.id" + old + " ORDER BY r.created LIMIT ?)", []any{now.Add(-o.Releases), 1}},
		{1, "DELETE FROM sessions WHERE id_hash IN (SELECT id_hash FROM sessions WHERE expires <= ? LIMIT ?)", []any{now, cleanBatch}},
		{1, "DELETE FROM quotas WHERE hour < ?", []any{now.Add(-quotaTime).Unix() / 3600}},
		{1, "DELETE FROM tokens WHERE expires > 0 AND expires <= ?", []any{now}},
	}
	for _, t := range tasks {
		if t.age <= 0 {
			continue
		}
		for {
			var deleted int64
			if err := s.write(ctx, func(ctx context.Context, q querier) (err error) {
				deleted, err = q.exec(ctx, t.query, t.args...)
				return err
			}); err != nil {
				return n, about(err, "cleaning")
			}
			if deleted == 0 {
				break
			}
			n += deleted
		}
	}
	if o.Logs > 0 {
		releases, err := all(ctx, s.read(), value[string], "SELECT r.id"+old+" AND EXISTS (SELECT 1 FROM lines l WHERE l.release = r.id)", now.Add(-o.Logs))
		if err != nil {
			return n, about(err, "cleaning")
		}
		for _, release := range releases {
			if err := s.write(ctx, func(ctx context.Context, q querier) error {
				_, err := q.exec(ctx, "DELETE FROM lines WHERE release = ?", *release)
				return err
			}); err != nil {
				return n, about(err, "release %s: cleaning its log", *release)
			}
			n++
		}
	}
	return n, nil
}
