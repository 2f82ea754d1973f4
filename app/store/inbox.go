package store

import (
	"context"
	"slices"
	"time"
)

// TakeDeliveries gives up to limit deliveries that wait to a node; each call goes round
// the installations, beginning with the one served longest ago, and takes the oldest of
// each. They are Running until the node settles them; after lease anybody may take them
// again, so no two nodes have one at once as long as they keep to it. The nodes' clocks
// must differ by much less than a lease.
func (s *Store) TakeDeliveries(ctx context.Context, node string, limit int, lease time.Duration) ([]*Delivery, error) {
	if limit <= 0 {
		return nil, nil
	}
	// Most calls find nothing, and need not wait for the writers.
	now := s.now()
	if due, err := all(ctx, s.read(), value[int64], "SELECT 1 FROM deliveries WHERE due IS NOT NULL AND due <= ? LIMIT 1", now); err != nil || len(due) == 0 {
		return nil, about(err, "deliveries")
	}
	var taken []*Delivery
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		taken = nil
		if err := s.dialect.lock(ctx, q, "deliveries"); err != nil {
			return err
		}
		guids, err := pick(ctx, q, now, limit, s.takenBytes)
		if err != nil || len(guids) == 0 {
			return err
		}
		args := append([]any{node, now.Add(lease), now}, guids...)
		if _, err := q.exec(ctx, "UPDATE deliveries SET state = 'running', node = ?, due = ?, tries = tries + 1 WHERE due <= ? AND guid IN ("+marks(len(guids))+")", args...); err != nil {
			return err
		}
		args = append([]any{node, now.Add(lease)}, guids...)
		taken, err = all(ctx, q, (*Delivery).columnsAndBody, "SELECT "+prefixed("d", deliveryColumns)+", b.body FROM deliveries d JOIN bodies b ON b.guid = d.guid "+
			"WHERE d.state = 'running' AND d.node = ? AND d.due = ? AND d.guid IN ("+marks(len(guids))+")", args...)
		turn := func(d *Delivery) int { return slices.Index(guids, any(d.GUID)) }
		slices.SortFunc(taken, func(a, b *Delivery) int { return turn(a) - turn(b) })
		return err
	})
	if err != nil {
		return nil, about(err, "deliveries")
	}
	return taken, nil
}

type picked struct {
	guid string
	size int64
}

// pick chooses up to limit deliveries, with bodies of up to most bytes together but always
// one, in the order they are to be handled, and notes whose turn it was.
func pick(ctx context.Context, q querier, now time.Time, limit int, most int64) ([]any, error) {
	// Steps from one installation to the next in the index, so that a long queue of one
	// costs nothing.
	installations, err := all(ctx, q, value[int64], `WITH RECURSIVE open (installation) AS (
			SELECT MIN(installation) FROM deliveries WHERE due IS NOT NULL
			UNION ALL
			SELECT (SELECT MIN(d.installation) FROM deliveries d WHERE d.due IS NOT NULL AND d.installation > open.installation)
			FROM open WHERE open.installation IS NOT NULL
		), heads (installation, received) AS (
			SELECT open.installation, (SELECT d.received FROM deliveries d
				WHERE d.due IS NOT NULL AND d.due <= ? AND d.installation = open.installation ORDER BY d.received LIMIT 1)
			FROM open WHERE open.installation IS NOT NULL
		)
		SELECT heads.installation FROM heads LEFT JOIN turns ON turns.installation = heads.installation
		WHERE heads.received IS NOT NULL
		ORDER BY COALESCE(turns.served, 0), heads.received, heads.installation LIMIT ?`, now, limit)
	if err != nil {
		return nil, err
	}
	queues := make([][]*picked, len(installations))
	for i, id := range installations {
		queues[i], err = all(ctx, q, func(p *picked) []any { return []any{&p.guid, &p.size} },
			"SELECT guid, size FROM deliveries WHERE due IS NOT NULL AND due <= ? AND installation = ? ORDER BY received, guid LIMIT ?", now, *id, limit-len(installations)+1)
		if err != nil {
			return nil, err
		}
	}
	var guids []any
	var bytes int64
	served := map[int64]int{} // by installation: when in this round it was served last
	for round := 0; len(guids) < limit; round++ {
		before := len(guids)
		for i, queue := range queues {
			if round >= len(queue) || len(guids) == limit {
				continue
			}
			p := queue[round]
			if bytes += p.size; bytes > most && len(guids) > 0 {
				return guids, serve(ctx, q, served)
			}
			guids = append(guids, p.guid)
			served[*installations[i]] = len(guids)
		}
		if len(guids) == before {
			break
		}
	}
	return guids, serve(ctx, q, served)
}

func serve(ctx context.Context, q querier, served map[int64]int) error {
	last, err := one(ctx, q, value[int64], "SELECT COALESCE(MAX(served), 0) FROM turns")
	if err != nil {
		return err
	}
	for id, n := range served {
		if _, err := q.exec(ctx, "INSERT INTO turns (installation, served) VALUES (?, ?) ON CONFLICT (installation) DO UPDATE SET served = excluded.served", id, *last+int64(n)); err != nil {
			return err
		}
	}
	return nil
}
