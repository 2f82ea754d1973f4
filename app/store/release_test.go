package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func release(t testing.TB, s *store.Store, r *store.Release) {
	t.Helper()
	if created, err := s.CreateRelease(t.Context(), r); err != nil || !created {
		t.Fatalf("CreateRelease(%s) = %v, %v", r.ID, created, err)
	}
}

func TestReleases(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		r := &store.Release{ID: "rel:7:v1:abc", Installation: 1, Repository: 7, Tag: "v1", Commit: "abc", Version: "1", Trigger: "push"}
		release(t, s, r)
		if created, err := s.CreateRelease(ctx, &store.Release{ID: r.ID, Tag: "other"}); created || err != nil {
			t.Errorf("CreateRelease of a known one = %v, %v", created, err)
		}
		want := *r
		want.State, want.Created = store.Waiting, noon
		got, err := s.Release(ctx, r.ID)
		must(t, err)
		equal(t, "Release", got, &want)

		wrong := errors.New("wrong")
		if _, err := s.UpdateRelease(ctx, r.ID, func(r *store.Release) error { r.Tag = "x"; return wrong }); err != wrong {
			t.Errorf("UpdateRelease: %v, want the function's error", err)
		}
		got, err = s.Release(ctx, r.ID)
		must(t, err)
		equal(t, "Release after a failed update", got, &want)

		// All fields, and times finer than the database keeps.
		want = store.Release{ID: r.ID, Installation: 2, Repository: 8, Tag: "v2", Commit: "def", Version: "2", Trigger: "button", State: store.Failed, Step: "attach", Short: "s", Detail: "d",
			CheckRun: 9, Attempt: 3, Cancel: true, Created: noon.Add(-time.Hour), Started: noon.Add(1500), Ended: noon.Add(2999), Report: json.RawMessage(`{"a": "b"}`)}
		got, err = s.UpdateRelease(ctx, r.ID, func(r *store.Release) error { *r = want; r.ID = "ignored"; return nil })
		must(t, err)
		want.Started, want.Ended = noon.Add(1000), noon.Add(2000)
		equal(t, "UpdateRelease", got, &want)
		got, err = s.Release(ctx, r.ID)
		must(t, err)
		equal(t, "Release", got, &want)

		_, err = s.Release(ctx, "rel:8")
		missing(t, "Release", err)
		_, err = s.UpdateRelease(ctx, "rel:8", func(*store.Release) error { t.Error("called"); return nil })
		missing(t, "UpdateRelease", err)
		if _, err := s.CreateRelease(ctx, &store.Release{}); err == nil {
			t.Error("a release without an id is created")
		}
	})
}

func TestReleasesAreListed(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		for i, r := range []store.Release{
			{ID: "a", Installation: 1, Repository: 1, Tag: "v1", State: store.Done},
			{ID: "b", Installation: 1, Repository: 2, Tag: "v1"},
			{ID: "c", Installation: 2, Repository: 3, Tag: "v2", State: store.Failed},
			{ID: "d", Installation: 1, Repository: 1, Tag: "v2", State: store.Running},
		} {
			r.Created = noon.Add(time.Duration(i) * time.Minute)
			release(t, s, &r)
		}
		for _, test := range []struct {
			f    store.ReleaseFilter
			want string
		}{
			{store.ReleaseFilter{}, "d c b a"},
			{store.ReleaseFilter{Limit: 2}, "d c"},
			{store.ReleaseFilter{Limit: 2, Before: noon.Add(2 * time.Minute)}, "b a"},
			{store.ReleaseFilter{Installation: 1}, "d b a"},
			{store.ReleaseFilter{Repository: 1}, "d a"},
			{store.ReleaseFilter{Repository: 1, Tag: "v1"}, "a"},
			{store.ReleaseFilter{States: []store.State{store.Waiting, store.Running}}, "d b"},
		} {
			list, err := s.Releases(t.Context(), test.f)
			must(t, err)
			var ids []string
			for _, r := range list {
				ids = append(ids, r.ID)
			}
			if got := strings.Join(ids, " "); got != test.want {
				t.Errorf("Releases(%+v) = %q, want %q", test.f, got, test.want)
			}
		}
	})
}

func TestUpdatesOfAReleaseFollowEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		stores := []*store.Store{open(t, url, store.Options{}), open(t, url, store.Options{})}
		var created sync.WaitGroup
		news := make(chan bool, 8)
		for i := range cap(news) {
			created.Go(func() {
				ok, err := stores[i%2].CreateRelease(t.Context(), &store.Release{ID: "r"})
				if err != nil {
					t.Error(err)
				}
				news <- ok
			})
		}
		created.Wait()
		n := 0
		for range cap(news) {
			if <-news {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d created it", n)
		}
		// Legs and lines of the same release are written at the same time, in the order
		// that would lock them against each other.
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for k := range 25 {
					s := stores[i%2]
					if _, err := s.UpdateRelease(t.Context(), "r", func(r *store.Release) error { r.Attempt++; return nil }); err != nil {
						t.Error(err)
					}
					if err := s.SetLeg(t.Context(), &store.Leg{Release: "r", Name: fmt.Sprint(i), N: k}); err != nil {
						t.Error(err)
					}
					if err := s.AppendLog(t.Context(), "r", []store.LogLine{{Text: "x"}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if r, err := stores[0].Release(t.Context(), "r"); err != nil || r.Attempt != 200 {
			t.Errorf("%d updates are there, %v, want 200", r.Attempt, err)
		}
		if legs, err := stores[1].Legs(t.Context(), "r"); err != nil || len(legs) != 8 {
			t.Errorf("%d legs, %v, want 8", len(legs), err)
		}
	})
}

func TestAPanicOfAnUpdateIsItsCallersAlone(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		release(t, s, &store.Release{ID: "r"})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				defer func() {
					if r := recover(); (r != nil) != (i%2 == 0) {
						t.Errorf("update %d: recovered %v", i, r)
					}
				}()
				if _, err := s.UpdateRelease(t.Context(), "r", func(r *store.Release) error {
					if r.Attempt++; i%2 == 0 {
						panic("on purpose")
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if r, err := s.Release(t.Context(), "r"); err != nil || r.Attempt != 10 {
			t.Errorf("%d updates are there, %v, want 10", r.Attempt, err)
		}
	})
}

func TestLegsKeepTheirOrder(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		release(t, s, &store.Release{ID: "r"})
		release(t, s, &store.Release{ID: "other"})
		must(t, s.SetLeg(ctx, &store.Leg{Release: "other", Name: "z"}))
		z := &store.Leg{Release: "r", Name: "z", Kind: "package", State: store.Waiting}
		a := &store.Leg{Release: "r", Name: "a", Kind: "site", State: store.Running, Short: "s", Detail: "d", N: 1, M: 2, Bytes: 1 << 40, Started: noon, Ended: noon.Add(time.Second)}
		must(t, s.SetLeg(ctx, z))
		must(t, s.SetLeg(ctx, a))
		z.State, z.N = store.Done, 5
		must(t, s.SetLeg(ctx, z))
		legs, err := s.Legs(ctx, "r")
		must(t, err)
		equal(t, "Legs", legs, []*store.Leg{z, a})
		missing(t, "SetLeg", s.SetLeg(ctx, &store.Leg{Release: "none", Name: "a"}))
	})
}
