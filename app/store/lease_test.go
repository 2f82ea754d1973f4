package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func TestALeaseIsOneNodesUntilItEnds(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		take := func(node string, want bool, until time.Time) {
			t.Helper()
			got, at, err := s.TakeLease(t.Context(), "tags", node, time.Minute)
			must(t, err)
			if got != want || !at.Equal(until) {
				t.Errorf("%s gets it: %v until %v, want %v until %v", node, got, at, want, until)
			}
		}
		take("a", true, noon.Add(time.Minute))
		take("b", false, noon.Add(time.Minute))
		c.pass(30 * time.Second)
		take("a", true, noon.Add(90*time.Second)) // anew
		must(t, s.EndLease(t.Context(), "tags", "b", noon))
		take("b", false, noon.Add(90*time.Second))
		c.pass(time.Minute)
		take("b", true, noon.Add(150*time.Second)) // a is dead
		must(t, s.EndLease(t.Context(), "tags", "a", noon))
		take("a", false, noon.Add(150*time.Second))
		must(t, s.EndLease(t.Context(), "tags", "b", noon.Add(time.Hour)))
		take("b", false, noon.Add(time.Hour)) // nobody before its time
		c.pass(time.Hour)
		take("a", true, c.now().Add(time.Minute))
		must(t, s.EndLease(t.Context(), "none", "a", noon))
	})
}

func TestOfManyNodesOneGetsALease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		one, two := open(t, url, store.Options{}), open(t, url, store.Options{})
		var taken atomic.Int32
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				s := one
				if i%2 == 1 {
					s = two
				}
				got, _, err := s.TakeLease(t.Context(), "tags", string(rune('a'+i)), time.Hour)
				if err != nil {
					t.Error(err)
				}
				if got {
					taken.Add(1)
				}
			})
		}
		wait.Wait()
		if n := taken.Load(); n != 1 {
			t.Errorf("%d nodes have it", n)
		}
	})
}
