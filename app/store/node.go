package store

import (
	"context"
	"time"
)

// Beat says that a node is alive now.
func (s *Store) Beat(ctx context.Context, node string) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO nodes (node, seen) VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET seen = excluded.seen", node, s.now())
		return err
	}), "node %s", node)
}

// StaleNodes returns the nodes whose last beat is older than this, by name.
func (s *Store) StaleNodes(ctx context.Context, olderThan time.Duration) ([]string, error) {
	list, err := all(ctx, s.read(), value[string], "SELECT node FROM nodes WHERE seen < ? ORDER BY node", s.now().Add(-olderThan))
	var nodes []string
	for _, n := range list {
		nodes = append(nodes, *n)
	}
	return nodes, about(err, "nodes")
}

// ForgetNode removes a node whose work others have taken over; that there is none is no error.
func (s *Store) ForgetNode(ctx context.Context, node string) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "DELETE FROM nodes WHERE node = ?", node)
		return err
	}), "node %s", node)
}
