package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func guids(list []*store.Delivery) string {
	var b []string
	for _, d := range list {
		b = append(b, d.GUID)
	}
	return strings.Join(b, " ")
}

// receive keeps deliveries named like "1a": installation 1. Each comes a second after the one before.
func receive(t testing.TB, s *store.Store, c *clock, names ...string) {
	t.Helper()
	for _, name := range names {
		c.pass(time.Second)
		fresh, err := s.Receive(t.Context(), &store.Delivery{GUID: name, Event: "push", Installation: int64(name[0] - '0'), Repository: 7, Body: []byte("body of " + name)})
		if err != nil || !fresh {
			t.Fatalf("Receive(%s) = %v, %v", name, fresh, err)
		}
	}
}

func take(t testing.TB, s *store.Store, node string, limit int) string {
	t.Helper()
	list, err := s.TakeDeliveries(t.Context(), node, limit, time.Minute)
	must(t, err)
	return guids(list)
}

func TestDeliveriesAreKeptOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		d := &store.Delivery{GUID: "1", Event: "push", Action: "x", Installation: 5, Repository: 6, Body: []byte{0, 1, 2}}
		if fresh, err := s.Receive(ctx, d); !fresh || err != nil {
			t.Fatalf("Receive = %v, %v", fresh, err)
		}
		again := func(when string, want store.State) {
			t.Helper()
			other := *d
			other.Event, other.Body = "other", []byte("other")
			if fresh, err := s.Receive(ctx, &other); fresh || err != nil {
				t.Errorf("%s: Receive of a known GUID = %v, %v", when, fresh, err)
			}
			got, err := s.Delivery(ctx, "1")
			must(t, err)
			if got.State != want || got.Event != "push" || !bytes.Equal(got.Body, d.Body) || !got.Received.Equal(noon) {
				t.Errorf("%s: the delivery is %+v, want %s and otherwise untouched", when, got, want)
			}
		}
		again("waiting", store.Waiting)
		if got := take(t, s, "a", 10); got != "1" {
			t.Errorf("took %q", got)
		}
		again("running", store.Running)
		must(t, s.SettleDelivery(ctx, "1", store.Failed, "no network"))
		if got := take(t, s, "a", 10); got != "" {
			t.Errorf("took %q, which failed", got)
		}
		again("failed", store.Waiting)
		if got := take(t, s, "a", 10); got != "1" {
			t.Errorf("took %q after a redelivery", got)
		}
		must(t, s.SettleDelivery(ctx, "1", store.Done, ""))
		again("done", store.Done)
		got, err := s.Delivery(ctx, "1")
		must(t, err)
		equal(t, "Delivery", got, &store.Delivery{GUID: "1", Event: "push", Action: "x", Installation: 5, Repository: 6, Received: noon, Body: []byte{0, 1, 2}, State: store.Done, Tries: 2})

		// What is only kept for the list is never taken.
		if fresh, err := s.Receive(ctx, &store.Delivery{GUID: "2", Event: "ping", State: store.Ignored, Note: "a ping"}); !fresh || err != nil {
			t.Errorf("Receive = %v, %v", fresh, err)
		}
		if got := take(t, s, "a", 10); got != "" {
			t.Errorf("took %q", got)
		}
		if _, err := s.Receive(ctx, &store.Delivery{}); err == nil {
			t.Error("a delivery without GUID is received")
		}
		missing(t, "SettleDelivery", s.SettleDelivery(ctx, "3", store.Done, ""))
		missing(t, "SettleDelivery", s.SettleDelivery(ctx, "3", store.Failed, ""))
		_, err = s.Delivery(ctx, "3")
		missing(t, "Delivery", err)
	})
}

func TestLateFailureDoesNotReplaceSuccess(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		receive(t, s, c, "1")
		take(t, s, "a", 1)
		c.pass(time.Hour)
		take(t, s, "b", 1)
		must(t, s.SettleDelivery(ctx, "1", store.Done, ""))
		must(t, s.SettleDelivery(ctx, "1", store.Failed, "late"))
		if d, err := s.Delivery(ctx, "1"); err != nil || d.State != store.Done || d.Note != "" {
			t.Errorf("the delivery is %+v, %v, want done", d, err)
		}
	})
}

func TestALeaseKeepsOthersAway(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		receive(t, s, c, "1a", "1b")
		if got := take(t, s, "a", 1); got != "1a" {
			t.Errorf("took %q, want the oldest", got)
		}
		c.pass(59 * time.Second)
		if got := take(t, s, "b", 9); got != "1b" {
			t.Errorf("took %q, want the one that nobody has", got)
		}
		c.pass(time.Second)
		if got := take(t, s, "b", 9); got != "1a" {
			t.Errorf("took %q, want the one whose lease is over", got)
		}
		must(t, s.SettleDelivery(ctx, "1a", store.Done, ""))
		must(t, s.SettleDelivery(ctx, "1b", store.Waiting, "again"))
		if got := take(t, s, "a", 9); got != "1b" {
			t.Errorf("took %q, want the one that was put back", got)
		}
		if d, err := s.Delivery(ctx, "1b"); err != nil || d.Tries != 2 || d.State != store.Running {
			t.Errorf("the delivery is %+v, %v", d, err)
		}
	})
}

func TestInstallationsTakeTurns(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		receive(t, s, c, "1a", "1b", "1c", "1d", "1e", "1f", "2a", "2b", "3a")
		if got, want := take(t, s, "a", 4), "1a 2a 3a 1b"; got != want {
			t.Errorf("took %q, want %q", got, want)
		}
		// 1 was served last, so 2 comes first.
		if got, want := take(t, s, "b", 1), "2b"; got != want {
			t.Errorf("took %q, want %q", got, want)
		}
		receive(t, s, c, "3b", "2c")
		for _, want := range []string{"3b", "1c", "2c", "1d", "1e", "1f", ""} {
			if got := take(t, s, "a", 1); got != want {
				t.Errorf("took %q, want %q", got, want)
			}
		}
	})
}

func TestNoDeliveryIsTakenTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		const n = 80
		stores := []*store.Store{open(t, url, store.Options{}), open(t, url, store.Options{})}
		ctx := t.Context()
		var mu sync.Mutex
		taken := map[string]string{}
		var senders, takers sync.WaitGroup
		done := make(chan struct{})
		for i, s := range stores {
			for range 3 {
				senders.Go(func() {
					for k := range n { // everybody sends all of them
						if _, err := s.Receive(ctx, &store.Delivery{GUID: fmt.Sprint("g", k), Installation: int64(k % 7), Body: []byte("x")}); err != nil {
							t.Error(err)
							return
						}
					}
				})
				takers.Go(func() {
					node := fmt.Sprint("node", i)
					for last := false; !last; {
						select {
						case <-done:
							last = true // once more, for what came meanwhile
						default:
						}
						for {
							list, err := s.TakeDeliveries(ctx, node, 5, time.Hour)
							if err != nil {
								t.Error(err)
								return
							}
							for _, d := range list {
								mu.Lock()
								if before := taken[d.GUID]; before != "" {
									t.Errorf("%s took %s, which %s has", node, d.GUID, before)
								}
								taken[d.GUID] = node
								mu.Unlock()
								if err := s.SettleDelivery(ctx, d.GUID, store.Done, node); err != nil {
									t.Error(err)
								}
							}
							if len(list) == 0 {
								time.Sleep(time.Millisecond) // not to keep the senders from their work
								break
							}
						}
					}
				})
			}
		}
		senders.Wait()
		close(done)
		takers.Wait()
		if len(taken) != n {
			t.Errorf("%d deliveries were taken, want %d", len(taken), n)
		}
		if list, err := stores[0].Deliveries(ctx, store.DeliveryFilter{State: store.Done, Limit: 1000}); err != nil || len(list) != n {
			t.Errorf("%d deliveries are done, %v, want %d", len(list), err, n)
		}
	})
}

func TestOfManyExactlyOneReceives(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		stores := []*store.Store{open(t, url, store.Options{}), open(t, url, store.Options{})}
		for k := range 20 {
			fresh := make(chan bool, 16)
			var all sync.WaitGroup
			for i := range cap(fresh) {
				all.Go(func() {
					ok, err := stores[i%2].Receive(t.Context(), &store.Delivery{GUID: fmt.Sprint(k)})
					if err != nil {
						t.Error(err)
					}
					fresh <- ok
				})
			}
			all.Wait()
			n := 0
			for range cap(fresh) {
				if <-fresh {
					n++
				}
			}
			if n != 1 {
				t.Errorf("delivery %d: %d were told that it is fresh", k, n)
			}
		}
	})
}

func TestDeliveriesAreListed(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		receive(t, s, c, "1a", "2a", "1b", "2b", "1c")
		must(t, s.SettleDelivery(ctx, "1b", store.Failed, "why"))
		for _, test := range []struct {
			f    store.DeliveryFilter
			want string
		}{
			{store.DeliveryFilter{}, "1c 2b 1b 2a 1a"},
			{store.DeliveryFilter{Limit: 2}, "1c 2b"},
			{store.DeliveryFilter{Limit: 2, Before: "2b"}, "1b 2a"},
			{store.DeliveryFilter{Before: "1a"}, ""},
			{store.DeliveryFilter{Before: "unknown"}, ""},
			{store.DeliveryFilter{Installation: 2}, "2b 2a"},
			{store.DeliveryFilter{Installation: 1, Before: "1c"}, "1b 1a"},
			{store.DeliveryFilter{Repository: 7, State: store.Failed}, "1b"},
			{store.DeliveryFilter{Repository: 8}, ""},
		} {
			list, err := s.Deliveries(ctx, test.f)
			must(t, err)
			if got := guids(list); got != test.want {
				t.Errorf("Deliveries(%+v) = %q, want %q", test.f, got, test.want)
			}
			for _, d := range list {
				if d.Body != nil || d.Event != "push" || d.Received.IsZero() {
					t.Errorf("listed: %+v", d)
				}
			}
		}
	})
}

// TestReceivedIsNotLost kills a process that receives, and looks for all that it said
// it has.
func TestReceivedIsNotLost(t *testing.T) {
	if url := os.Getenv("STORE_TEST_RECEIVE"); url != "" {
		receiver(url)
	}
	storetest.Each(t, func(t *testing.T, url string) {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestReceivedIsNotLost$")
		cmd.Env = append(os.Environ(), "STORE_TEST_RECEIVE="+url)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		var said []string
		lines := bufio.NewScanner(out)
		for len(said) < 300 && lines.Scan() {
			said = append(said, lines.Text())
		}
		must(t, cmd.Process.Kill())
		for lines.Scan() { // what it said before it died counts too
			said = append(said, lines.Text())
		}
		cmd.Wait()
		s := open(t, url, store.Options{})
		for _, guid := range said {
			if d, err := s.Delivery(t.Context(), guid); err != nil || string(d.Body) != strings.Repeat(guid, 100) {
				t.Fatalf("delivery %q after the kill: %v", guid, err)
			}
		}
		if len(said) < 300 {
			t.Errorf("it received %d", len(said))
		}
	})
}

func receiver(url string) {
	ctx := context.Background()
	s, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		panic(err)
	}
	for i := range 8 {
		go func() {
			for k := 0; ; k++ {
				guid := fmt.Sprintf("g-%d-%d", i, k)
				if _, err := s.Receive(ctx, &store.Delivery{GUID: guid, Body: []byte(strings.Repeat(guid, 100))}); err != nil {
					panic(err)
				}
				if _, err := io.WriteString(os.Stdout, guid+"\n"); errors.Is(err, os.ErrClosed) {
					return
				}
			}
		}()
	}
	select {}
}

// BenchmarkReceive keeps webhooks of 10 KiB, 64 at once. SQLite waits for the disk at
// each commit; the Postgres of the tests does not.
func BenchmarkReceive(b *testing.B) {
	for _, database := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(database.name, func(b *testing.B) {
			s := open(b, database.url(b), store.Options{})
			body := bytes.Repeat([]byte("0123456789abcdef"), 640)
			times := make([]time.Duration, b.N)
			work := make(chan int)
			var all sync.WaitGroup
			b.ResetTimer()
			for range 64 {
				all.Go(func() {
					for i := range work {
						began := time.Now()
						if fresh, err := s.Receive(context.Background(), &store.Delivery{GUID: fmt.Sprintf("72d3162e-cc78-11e3-81ab-%012d", i), Event: "push", Installation: int64(i % 100), Body: body}); err != nil || !fresh {
							b.Error(fresh, err)
						}
						times[i] = time.Since(began)
					}
				})
			}
			for i := range b.N {
				work <- i
			}
			close(work)
			all.Wait()
			b.StopTimer()
			slices.Sort(times)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
