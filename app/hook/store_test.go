package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sqlite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "app.db") }

// post sends a webhook by the network, as GitHub does.
func post(t testing.TB, client *http.Client, url, guid, body string) int {
	r := webhook("push", guid, body)
	q, err := http.NewRequest("POST", url+"/webhook", r.Body)
	if err != nil {
		t.Error(err)
		return 0
	}
	q.Header, q.ContentLength = r.Header, r.ContentLength
	a, err := client.Do(q)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil { // else the connection is not used again
		t.Error(err)
	}
	return a.StatusCode
}

// Forty webhooks of ten installations, each sent twice, come to a handler that
// fails at first: with the real store, in either database, and two nodes, each is done
// exactly once.
func TestWithTheRealStoreEachIsDoneOnce(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": sqlite, "Postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			s := open(t, url(t))
			var mu sync.Mutex
			done, failed := map[string]int{}, map[string]bool{}
			all := make(chan struct{})
			handle := func(ctx context.Context, e *event.Event, d *store.Delivery) error {
				mu.Lock()
				defer mu.Unlock()
				if !failed[d.GUID] && len(d.GUID)%2 == 0 {
					failed[d.GUID] = true
					return errors.New("at first")
				}
				if done[d.GUID]++; len(done) == 40 {
					close(all)
				}
				return nil
			}
			var nodes []*Dispatcher
			var stops []func()
			for _, node := range []string{"a", "b"} {
				d, stop := start(t, DispatcherOptions{Queue: s, Node: node, Handle: handle, Delay: time.Millisecond, Poll: 50 * time.Millisecond})
				nodes, stops = append(nodes, d), append(stops, stop)
			}
			server := httptest.NewServer(Handler(Options{Secrets: secrets, Inbox: s, Wake: nodes[0].Wake}))
			defer server.Close()
			var group sync.WaitGroup
			var fresh atomic.Int64
			for i := range 80 {
				group.Go(func() {
					body := strings.Replace(pushed, `"id":7`, fmt.Sprintf(`"id":%d`, 100+i%10), 1)
					switch code := post(t, server.Client(), server.URL, fmt.Sprint("d-", i%40), body); code {
					case 202:
						fresh.Add(1)
					case 200:
					default:
						t.Errorf("webhook %d: %d", i, code)
					}
				})
			}
			group.Wait()
			// What is not handled is a row all the same, in either database.
			for guid, body := range map[string]string{"branch": strings.Replace(pushed, "tags", "heads", 1), "hostile": strings.Replace(pushed, "v1.0", "a b", 1)} {
				if code := post(t, server.Client(), server.URL, guid, body); code != 202 {
					t.Errorf("%s: %d", guid, code)
				}
			}
			select {
			case <-all:
			case <-time.After(time.Minute):
				t.Error("not all are done after a minute")
			}
			for _, stop := range stops {
				stop()
			}
			if fresh.Load() != 40 {
				t.Errorf("%d were fresh, want 40", fresh.Load())
			}
			for guid, want := range map[string]store.State{"branch": store.Ignored, "hostile": store.Failed} {
				if d, err := s.Delivery(t.Context(), guid); err != nil || d.State != want || d.Note == "" || d.Tries != 0 {
					t.Errorf("%s: %+v, %v", guid, d, err)
				}
			}
			list, err := s.Deliveries(t.Context(), store.DeliveryFilter{State: store.Done, Limit: 1000})
			if err != nil || len(list) != 40 {
				t.Fatalf("%d are done in the store, %v", len(list), err)
			}
			for _, d := range list {
				if n := done[d.GUID]; n != 1 {
					t.Errorf("%s was done %d times", d.GUID, n)
				}
			}
		})
	}
}

// BenchmarkWebhook sends webhooks of 12 kB from 32 connections, handled meanwhile or
// not, and measures the answers.
func BenchmarkWebhook(b *testing.B) {
	body := strings.Replace(pushed, "{", `{"x":"`+strings.Repeat("x", 12_000)+`",`, 1)
	for _, x := range []struct {
		name    string
		inbox   func() any
		handled bool
	}{
		{"memory", func() any { return newMemory(b) }, false},
		{"SQLite", func() any { return open(b, sqlite(b)) }, false},
		{"SQLiteHandled", func() any { return open(b, sqlite(b)) }, true},
	} {
		b.Run(x.name, func(b *testing.B) {
			in := x.inbox()
			o := Options{Secrets: secrets, Inbox: in.(Inbox)}
			if x.handled {
				d := NewDispatcher(DispatcherOptions{Queue: in.(Queue), Node: "a", Handle: func(context.Context, *event.Event, *store.Delivery) error { return nil }})
				ctx, cancel := context.WithCancel(context.Background())
				var group sync.WaitGroup
				group.Go(func() { d.Run(ctx) })
				defer group.Wait()
				defer cancel()
				o.Wake = d.Wake
			}
			server := httptest.NewServer(Handler(o))
			defer server.Close()
			client := server.Client()
			client.Transport.(*http.Transport).MaxIdleConnsPerHost = 32
			var next atomic.Int64
			var group sync.WaitGroup
			times := make([][]time.Duration, 32)
			b.ResetTimer()
			for w := range times {
				group.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						began := time.Now()
						if code := post(b, client, server.URL, fmt.Sprint("b-", n), body); code != 202 {
							b.Errorf("webhook %d: %d", n, code)
						}
						times[w] = append(times[w], time.Since(began))
					}
				})
			}
			group.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(times...)))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
