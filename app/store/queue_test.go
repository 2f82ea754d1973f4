package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

// TestABusyStoreLetsOthersWrite counts how often one that never stops writes before
// another one on the same file has its turn.
func TestABusyStoreLetsOthersWrite(t *testing.T) {
	url := storetest.SQLite(t)
	busy, other := opened(t, url, Options{}), opened(t, url, Options{})
	var transactions atomic.Int64
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		all.Go(func() {
			var last any
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := busy.write(t.Context(), func(ctx context.Context, q querier) error {
					if q.db != last {
						last = q.db
						transactions.Add(1)
					}
					_, err := q.exec(ctx, "INSERT INTO nodes (node, seen) VALUES ('a', 1) ON CONFLICT (node) DO UPDATE SET seen = nodes.seen + 1")
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var waited []int64
	for range 100 {
		before := transactions.Load()
		if err := other.write(t.Context(), func(context.Context, querier) error { waited = append(waited, transactions.Load()-before); return nil }); err != nil {
			t.Error(err)
		}
	}
	close(done)
	all.Wait()
	// Without the queue it is thousands: SQLite asks too seldom.
	most := slices.Max(waited)
	t.Logf("waited for up to %d transactions", most)
	if most > 1000 {
		t.Errorf("a write waited for %d transactions", most)
	}
}

func TestTheQueueGivesUp(t *testing.T) {
	path := t.TempDir() + "/app.db"
	var queues []*queue
	for range 2 {
		q, err := openQueue(path)
		if err != nil {
			t.Fatal(err)
		}
		defer q.close()
		queues = append(queues, q)
	}
	for range 2 {
		if err := queues[0].enter(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := queues[1].enter(time.Millisecond); err == nil {
			t.Fatal("two have their turn")
		}
		queues[0].leave()
	}
	// One that has given up, and one that has ended, hold nobody up.
	if err := queues[1].enter(time.Second); err != nil {
		t.Fatal(err)
	}
	queues[1].close()
	if err := queues[0].enter(time.Second); err != nil {
		t.Fatal(err)
	}
}
