package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
)

func TestDeadNodesAreRecoveredAndForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, node := range []string{"one", "two", "three"} {
			must(t, w.s.Beat(t.Context(), node))
		}
		var got []string
		fail := true
		w.o.Recover = func(_ context.Context, node string) error {
			got = append(got, node)
			if node == "three" && fail {
				return errors.New("the database is away")
			}
			return nil
		}
		w.restart()
		w.pass(59 * time.Second)
		must(t, w.l.Nodes(t.Context()))
		equal(t, "after 59 s", got, []string{})
		w.pass(2 * time.Second)
		if err := w.l.Nodes(t.Context()); err == nil || !strings.Contains(err.Error(), "three is silent: the database is away") {
			t.Errorf("%v", err)
		}
		equal(t, "after 61 s", got, []string{"three", "two"})
		fail = false
		must(t, w.l.Nodes(t.Context()))
		must(t, w.l.Nodes(t.Context()))
		equal(t, "later", got, []string{"three", "two", "three"})
	})
}

func TestCleanDeletesHereAndElsewhere(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	_, err := w.s.Receive(t.Context(), &store.Delivery{GUID: "old", State: store.Ignored})
	must(t, err)
	swept := 0
	w.o.Clean = store.CleanOptions{Deliveries: day}
	w.o.Sweep = func(context.Context) error { swept++; return errors.New("a spool is in use") }
	w.restart()
	w.pass(2 * day)
	if err := w.l.Clean(t.Context()); err == nil || err.Error() != "a spool is in use" {
		t.Errorf("%v", err)
	}
	if _, err := w.s.Delivery(t.Context(), "old"); !errors.Is(err, store.ErrNotFound) || swept != 1 {
		t.Errorf("%v, swept %d times", err, swept)
	}
}

// A server waits for its App to be made.
func TestWithoutAnAppThereIsNothingToDo(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	w.installed("acme", "hello")
	w.o.GitHub = func() *github.App { return nil }
	w.restart()
	must(t, w.l.Deliveries(t.Context()))
	must(t, w.l.Accounts(t.Context()))
	must(t, w.l.Tags(t.Context()))
}

// timer is a Wait that ends when the test says so.
type timer struct {
	mu      sync.Mutex
	waiting map[chan struct{}]time.Duration
	moved   chan struct{}
}

func newTimer() *timer {
	return &timer{waiting: make(map[chan struct{}]time.Duration), moved: make(chan struct{}, 1000)}
}

func (w *timer) wait(ctx context.Context, d time.Duration) error {
	c := make(chan struct{})
	w.mu.Lock()
	w.waiting[c] = d
	w.mu.Unlock()
	w.moved <- struct{}{}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c:
		return nil
	}
}

// all returns when n wait, and lets them go on.
func (w *timer) all(n int) (waited []time.Duration) {
	for {
		w.mu.Lock()
		if len(w.waiting) == n {
			for c, d := range w.waiting {
				close(c)
				delete(w.waiting, c)
				waited = append(waited, d)
			}
			w.mu.Unlock()
			return waited
		}
		w.mu.Unlock()
		<-w.moved
	}
}

// waits are a beat and the seven tasks.
const waits = 8

func TestOneNodeAtATimeRunsATask(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var swept, atOnce atomic.Int32
		w.o.Sweep = func(context.Context) error {
			if atOnce.Add(1) > 1 {
				t.Error("two nodes sweep at once")
			}
			swept.Add(1)
			atOnce.Add(-1)
			return nil
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		clocks := []*timer{newTimer(), newTimer()}
		var running sync.WaitGroup
		for n, c := range clocks {
			o := w.o
			o.Node, o.Wait = fmt.Sprint("node", n), c.wait
			l := reconcile.New(o)
			running.Go(func() { l.Run(ctx) })
		}
		step := func() {
			for _, c := range clocks {
				c.all(waits)
			}
		}
		for range 7 { // each round ends with all waiting; the first one runs nothing
			step()
		}
		for _, c := range clocks {
			for { // the last round has ended
				c.mu.Lock()
				n := len(c.waiting)
				c.mu.Unlock()
				if n == waits {
					break
				}
				<-c.moved
			}
		}
		equal(t, "swept in an interval, by two nodes in six turns", swept.Load(), 1)
		w.pass(7 * time.Hour)
		step()
		step()
		stop()
		running.Wait()
		equal(t, "swept in the next interval", swept.Load(), 2)
		dead, err := w.s.StaleNodes(t.Context(), -time.Second)
		must(t, err)
		equal(t, "nodes that said that they live", dead, []string{"node0", "node1"})
	})
}

func TestAPanicAndAnErrorEndNoTask(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	var log bytes.Buffer
	w.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	n := 0
	w.o.Sweep = func(context.Context) error {
		if n++; n == 1 {
			panic("out of order")
		}
		return errors.New("in order")
	}
	ctx, stop := context.WithCancel(t.Context())
	c := newTimer()
	w.o.Wait = c.wait
	w.restart()
	var running sync.WaitGroup
	running.Go(func() { w.l.Run(ctx) })
	c.all(waits)
	for range 2 {
		c.all(waits)
		w.pass(7 * time.Hour)
	}
	c.all(waits)
	stop()
	running.Wait()
	if n < 2 || !strings.Contains(log.String(), "out of order") || !strings.Contains(log.String(), "in order") {
		t.Errorf("ran %d times: %s", n, log.String())
	}
}

func TestATaskIsPutOffUntilGitHubsLimitEnds(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	var log bytes.Buffer
	w.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.limitOn("/app/hook/deliveries", w.now().Add(50*time.Minute))
	ctx, stop := context.WithCancel(t.Context())
	c := newTimer()
	w.o.Wait = c.wait
	w.restart()
	var running sync.WaitGroup
	running.Go(func() { w.l.Run(ctx) })
	c.all(waits)
	put := false
	for _, d := range c.all(waits) {
		put = put || d >= 50*time.Minute && d < 53*time.Minute
	}
	stop()
	running.Wait()
	if !put {
		t.Errorf("no task waits for 50 minutes: %s", log.String())
	}
}

func TestATaskThatIsBrokenOffIsAnothersAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		w.o.Sweep = func(ctx context.Context) error {
			stop()
			<-ctx.Done()
			return ctx.Err()
		}
		c := newTimer()
		w.o.Wait = c.wait
		w.restart()
		var running sync.WaitGroup
		running.Go(func() { w.l.Run(ctx) })
		c.all(waits)
		running.Wait()
		taken, _, err := w.s.TakeLease(t.Context(), "reconcile clean", "two", time.Minute)
		must(t, err)
		if !taken {
			t.Error("another node has to wait")
		}
	})
}
