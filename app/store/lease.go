package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A lease is a setting, "lease/NAME", whose value is the time until which it is taken,
// in microseconds since 1970, a space, and the node.

// TakeLease gives a node the sole right to a task until it ends it, or for as long as is
// said, unless another has it: then until says until when. A node that has it gets it
// anew. The nodes' clocks must differ by much less than a lease.
func (s *Store) TakeLease(ctx context.Context, name, node string, lasts time.Duration) (taken bool, until time.Time, err error) {
	setting, now := "lease/"+name, s.now()
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		taken = false
		mine := lease(now.Add(lasts), node)
		n, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", setting, mine)
		if err != nil || n == 1 {
			taken, until = n == 1, stored(now.Add(lasts))
			return err
		}
		end, by, err := s.leased(ctx, q, setting)
		if err != nil {
			return err
		}
		if by != node && now.Before(end) {
			until = end
			return nil
		}
		_, err = q.exec(ctx, "UPDATE settings SET value = ? WHERE name = ?", mine, setting)
		taken, until = true, stored(now.Add(lasts))
		return err
	})
	if err != nil {
		return false, time.Time{}, about(err, "lease %s", name)
	}
	return taken, until, nil
}

// EndLease ends a node's lease; nobody, the node too, gets it before next. A lease that is
// another's by now stays as it is.
func (s *Store) EndLease(ctx context.Context, name, node string, next time.Time) error {
	setting := "lease/" + name
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, by, err := s.leased(ctx, q, setting)
		if errors.Is(err, ErrNotFound) || err == nil && by != node {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = q.exec(ctx, "UPDATE settings SET value = ? WHERE name = ?", lease(next, ""), setting)
		return err
	}), "lease %s", name)
}

func lease(until time.Time, node string) []byte {
	return []byte(strconv.FormatInt(micros(until), 10) + " " + node)
}

func (s *Store) leased(ctx context.Context, q querier, setting string) (until time.Time, node string, err error) {
	v, err := one(ctx, q, func(b *[]byte) []any { return []any{b} }, "SELECT value FROM settings WHERE name = ?"+s.dialect.forUpdate(), setting)
	if err != nil {
		return time.Time{}, "", err
	}
	at, node, _ := strings.Cut(string(*v), " ")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return time.Time{}, "", fmt.Errorf("%q is no lease", *v)
	}
	return fromMicros(n), node, nil
}
