package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

const day = 24 * time.Hour

func TestCleanKeepsTheNewest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		c := &clock{t: noon}
		s := open(t, url, store.Options{Now: c.now})
		ctx := t.Context()
		// Days ago; repository 1 has a bit of everything.
		for _, r := range []struct {
			id         string
			repository int64
			ago        int
			state      store.State
		}{
			{"1-old-done", 1, 90, store.Done},
			{"1-waiting", 1, 80, store.Waiting},
			{"1-running", 1, 79, store.Running},
			{"1-cancelled", 1, 70, store.Cancelled}, // never began
			{"1-last-done", 1, 60, store.Done},
			{"1-failed", 1, 50, store.Failed},
			{"1-newest", 1, 40, store.Failed},
			{"2-newest", 2, 400, store.ActionRequired},
			{"3-old", 3, 31, store.Done},
			{"3-young", 3, 29, store.Done},
			{"3-newest", 3, 1, store.Done},
		} {
			at := noon.Add(-time.Duration(r.ago) * day)
			v := &store.Release{ID: r.id, Repository: r.repository, State: r.state, Created: at.Add(-time.Hour)}
			if !r.state.Open() && r.state != store.Cancelled {
				v.Ended = at
			}
			release(t, s, v)
			must(t, s.SetLeg(ctx, &store.Leg{Release: r.id, Name: "a"}))
			must(t, s.AppendLog(ctx, r.id, []store.LogLine{{Text: "a"}, {Text: "b"}}))
		}
		ids := func() string {
			list, err := s.Releases(ctx, store.ReleaseFilter{})
			must(t, err)
			var ids []string
			for _, r := range list {
				ids = append(ids, r.ID)
			}
			slices.Sort(ids)
			return strings.Join(ids, " ")
		}
		clean := func(o store.CleanOptions, want int64) {
			t.Helper()
			if n, err := s.Clean(ctx, o); err != nil || n != want {
				t.Errorf("Clean(%+v) = %d, %v, want %d", o, n, err, want)
			}
		}
		before := ids()
		clean(store.CleanOptions{}, 0)
		clean(store.CleanOptions{Releases: 500 * day, Logs: 500 * day, Deliveries: time.Hour}, 0)
		if got := ids(); got != before {
			t.Errorf("left: %s, want %s", got, before)
		}
		clean(store.CleanOptions{Logs: 65 * day}, 2)
		if lines, err := s.Log(ctx, "1-old-done", 0, 0); err != nil || len(lines) > 0 {
			t.Errorf("an old log has %d lines, %v", len(lines), err)
		}
		for _, id := range []string{"1-waiting", "1-running", "1-last-done", "1-failed", "2-newest"} {
			if lines, err := s.Log(ctx, id, 0, 0); err != nil || len(lines) != 2 {
				t.Errorf("the log of %s has %d lines, %v", id, len(lines), err)
			}
		}
		// A cleaned log goes on with new numbers.
		must(t, s.AppendLog(ctx, "1-old-done", []store.LogLine{{Text: "c"}}))
		if lines, err := s.Log(ctx, "1-old-done", 0, 0); err != nil || texts(lines) != "3:c" {
			t.Errorf("the log is %q, %v", texts(lines), err)
		}
		clean(store.CleanOptions{Releases: 30 * day}, 4)
		if got, want := ids(), "1-last-done 1-newest 1-running 1-waiting 2-newest 3-newest 3-young"; got != want {
			t.Errorf("left: %s, want %s", got, want)
		}
		for _, table := range []string{"legs", "lines", "progress"} {
			for _, row := range dump(t, url, table) {
				if strings.Contains(row, "-old") || strings.Contains(row, "cancelled") || strings.Contains(row, "1-failed") {
					t.Errorf("%s still has %s", table, row)
				}
			}
		}
	})
}

func TestCleanForgetsWhatIsOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		c := &clock{t: noon}
		s := open(t, url, store.Options{Now: c.now})
		ctx := t.Context()
		receive(t, s, c, "1a", "1b", "1c", "1d")
		must(t, s.SettleDelivery(ctx, "1a", store.Done, ""))
		must(t, s.SettleDelivery(ctx, "1b", store.Failed, ""))
		take(t, s, "n", 1) // 1c
		for name, expires := range map[string]time.Duration{"short": time.Hour, "long": 1000 * day} {
			must(t, s.SaveSession(ctx, &store.Session{ID: name, Expires: noon.Add(expires)}))
			must(t, s.CreateToken(ctx, &store.Token{Scope: "app", Name: name, Hash: name, Expires: noon.Add(expires)}))
		}
		must(t, s.CreateToken(ctx, &store.Token{Scope: "app", Name: "ever", Hash: "ever"}))
		must(t, s.Count(ctx, "jobs", 1, 1))
		must(t, s.AppendPublishLog(ctx, &store.LogEntry{Kind: "package"}))
		c.pass(500 * day)
		receive(t, s, c, "1e")
		must(t, s.SettleDelivery(ctx, "1e", store.Done, ""))
		must(t, s.Count(ctx, "jobs", 1, 1))
		if n, err := s.Clean(ctx, store.CleanOptions{Deliveries: 30 * day, Logs: day, Releases: day}); err != nil || n != 5 {
			t.Errorf("Clean = %d, %v, want 2 deliveries, a session, a token, an hour", n, err)
		}
		list, err := s.Deliveries(ctx, store.DeliveryFilter{})
		must(t, err)
		if got := guids(list); got != "1e 1d 1c" {
			t.Errorf("deliveries left: %q", got)
		}
		for table, want := range map[string]int{"bodies": 3, "sessions": 1, "tokens": 2, "quotas": 1, "publish_log": 1} {
			if rows := dump(t, url, table); len(rows) != want {
				t.Errorf("%s has %d rows, want %d", table, len(rows), want)
			}
		}
	})
}
