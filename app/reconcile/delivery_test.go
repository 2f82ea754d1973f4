package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/publish/githubtest"
)

// sent says how often GitHub tried each webhook: by GUID.
func (w *world) sent() map[string]int {
	must(w.t, w.Settle(context.Background()))
	n := make(map[string]int)
	for _, d := range w.double.Deliveries() {
		n[d.GUID]++
	}
	return n
}

func (w *world) received() int {
	list, err := w.s.Deliveries(w.t.Context(), store.DeliveryFilter{Limit: 1000})
	must(w.t, err)
	return len(list)
}

func fails(githubtest.Delivery) githubtest.Loss { return githubtest.Fails }

func TestWhatDidNotArriveIsSentAgainOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.double.Hook(w.inbox)
		r.PushTag("v1", r.Commit("one"))
		before := len(w.sent())
		if before == 0 || w.received() != before {
			t.Fatalf("%d sent, %d received", before, w.received())
		}
		w.double.Lose(fails)
		r.PushTag("v2", r.Commit("two"))
		lost := len(w.sent()) - before
		w.double.Lose(nil)

		must(t, w.l.Deliveries(t.Context()))
		equal(t, "received at once", w.received(), before) // it may be on its way
		w.pass(3 * time.Minute)
		must(t, w.l.Deliveries(t.Context()))
		w.sent()
		equal(t, "received", w.received(), before+lost)
		for range 5 {
			w.pass(10 * time.Minute)
			must(t, w.l.Deliveries(t.Context()))
		}
		for guid, n := range w.sent() {
			if n > 2 {
				t.Errorf("%s was sent %d times", guid, n)
			}
		}
		equal(t, "all", len(w.double.Deliveries()), before+2*lost)
	})
}

// A proxy that answers for a server that is away, or a backup that was put back.
func TestWhatWasAcceptedAndIsNotThereIsSentAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
		defer proxy.Close()
		w.double.Hook(proxy.URL)
		r.PushTag("v1", r.Commit("one"))
		n := len(w.sent())
		w.double.Hook(w.inbox)
		w.pass(3 * time.Minute)
		must(t, w.l.Deliveries(t.Context()))
		w.sent()
		equal(t, "received", w.received(), n)
	})
}

func TestRedeliveriesAreBoundedAndNoneIsUnderWayTwice(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.double.Hook(w.inbox)
		w.double.Lose(fails)
		commit := r.Commit("one")
		for i := range 60 {
			r.PushTag(fmt.Sprint("v", i), commit)
			w.pass(time.Second)
		}
		all := w.sent()
		w.pass(3 * time.Minute)
		var first string
		for _, d := range w.double.Deliveries()[:1] {
			first = d.GUID
		}
		for run := 1; run <= 4; run++ {
			if run > 1 {
				w.restart() // what is under way is remembered
			}
			must(t, w.l.Deliveries(t.Context()))
			again := 0
			for guid, n := range w.sent() {
				if n > 2 {
					t.Fatalf("%s was sent %d times", guid, n)
				}
				again += n - 1
			}
			equal(t, fmt.Sprint("sent again after run ", run), again, min(50*run, len(all)))
			if w.sent()[first] != 2 {
				t.Error("the oldest was not the first")
			}
		}
	})
}

func TestWhatNeverArrivesIsAskedForLessAndLessOftenAndGivenUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.double.Hook(w.inbox)
		w.double.Lose(func(d githubtest.Delivery) githubtest.Loss {
			if d.Event == "create" {
				return githubtest.Fails
			}
			return githubtest.Arrives
		})
		r.PushTag("v1", r.Commit("one"))
		lost := ""
		for _, d := range w.double.Deliveries() {
			if d.Event == "create" {
				lost = d.GUID
			}
		}
		var at []time.Duration
		n := 1
		for w.now().Before(noon.Add(8 * time.Hour)) {
			w.pass(5 * time.Minute)
			must(t, w.l.Deliveries(t.Context()))
			if got := w.sent()[lost]; got > n {
				n = got
				at = append(at, w.now().Sub(noon))
			}
		}
		equal(t, "sent again after", at, []time.Duration{5 * time.Minute, 15 * time.Minute, 35 * time.Minute, 75 * time.Minute, 155 * time.Minute})
	})
}

func TestAnAnswerThatIsLostIsNoReasonToAskTwice(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.double.Hook(w.inbox)
		w.double.Lose(fails)
		r.PushTag("v1", r.Commit("one"))
		w.sent()
		w.pass(3 * time.Minute)
		var n atomic.Int32
		w.On(func(r *http.Request) githubtest.Fault {
			if strings.HasSuffix(r.URL.Path, "/attempts") {
				n.Add(1)
				return githubtest.Cut(false)
			}
			return githubtest.Fault{}
		})
		if err := w.l.Deliveries(t.Context()); !github.Temporary(err) {
			t.Fatalf("%v", err)
		}
		asked := n.Load()
		w.On(nil)
		w.pass(time.Minute)
		must(t, w.l.Deliveries(t.Context()))
		for guid, times := range w.sent() {
			if times != 1 {
				t.Errorf("%s was sent %d times a minute after it was asked for", guid, times)
			}
		}
		w.pass(10 * time.Minute)
		w.double.Lose(nil)
		must(t, w.l.Deliveries(t.Context()))
		w.sent()
		if asked == 0 || w.received() == 0 {
			t.Errorf("asked %d times, received %d", asked, w.received())
		}
	})
}

func TestDeliveriesWaitForGitHubsLimit(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	r, _ := w.installed("acme", "hello")
	w.double.Hook(w.inbox)
	w.double.Lose(fails)
	r.PushTag("v1", r.Commit("one"))
	w.sent()
	w.pass(3 * time.Minute)
	until := w.now().Add(40 * time.Minute)
	w.limitOn("/attempts", until)
	err := w.l.Deliveries(t.Context())
	var limit *github.Limit
	if !errors.As(err, &limit) || limit.Until.Sub(until).Abs() > time.Second {
		t.Fatalf("%v, want a limit until %v", err, until)
	}
	w.On(nil)
	w.double.Lose(nil)
	w.pass(41 * time.Minute)
	must(t, w.l.Deliveries(t.Context()))
	w.pass(time.Minute)
	must(t, w.l.Deliveries(t.Context()))
	n := len(w.sent())
	equal(t, "received", w.received(), n)
}

// What Clean has deleted did arrive.
func TestWhatWasCleanedIsNotSentAgain(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	w.o.Clean.Deliveries = 4 * time.Hour
	w.restart()
	r, _ := w.installed("acme", "hello")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer proxy.Close()
	w.double.Hook(proxy.URL) // as good as received and deleted
	r.PushTag("v1", r.Commit("one"))
	n := len(w.sent())
	w.pass(4 * time.Hour)
	must(t, w.l.Deliveries(t.Context()))
	w.sent()
	equal(t, "tries", len(w.double.Deliveries()), n)
}
