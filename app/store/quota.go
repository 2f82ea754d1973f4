package store

import (
	"context"
	"time"
)

// Count adds what an installation used: "jobs", "seconds", "bytes".
func (s *Store) Count(ctx context.Context, kind string, installation int64, n int64) error {
	hour := s.now().Unix() / 3600
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO quotas (kind, installation, hour, n) VALUES (?, ?, ?, ?) ON CONFLICT (kind, installation, hour) DO UPDATE SET n = quotas.n + excluded.n", kind, installation, hour, n)
		return err
	}), "installation %d: %s", installation, kind)
}

// Used returns what an installation used since a time. It is counted by full hours of
// UTC, and the hour of that time counts as a whole.
func (s *Store) Used(ctx context.Context, kind string, installation int64, since time.Time) (int64, error) {
	n, err := one(ctx, s.read(), value[int64], "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM quotas WHERE kind = ? AND installation = ? AND hour >= ?", kind, installation, since.Unix()/3600)
	if err != nil {
		return 0, about(err, "installation %d: %s", installation, kind)
	}
	return *n, nil
}
