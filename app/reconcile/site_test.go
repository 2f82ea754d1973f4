package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
)

func TestSitesAreSignedAgainAfterAThirdOfTheirTime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, i := w.installed("acme", "hello")
		away, k := w.installed("octo", "world")
		published := func(repository int64, name string, valid time.Duration) {
			must(t, reconcile.Published(t.Context(), w.s, reconcile.Site{Repository: repository, Name: name, ValidFor: valid, At: w.now()}))
		}
		published(r.ID(), "week", 7*day)
		published(r.ID(), "ever", 0)
		published(r.ID(), "day", day)
		published(r.ID(), "gone", day)
		published(r.ID(), "broken", day)
		published(away.ID(), "week", 7*day)
		must(t, w.s.SaveInstallation(t.Context(), &store.Installation{ID: k.ID, Account: "octo", Suspended: true}))
		var got []string
		w.o.Resign = func(_ context.Context, s reconcile.Site) error {
			got = append(got, s.Name)
			if s.Repository != r.ID() || s.Installation != i.ID {
				t.Errorf("%+v", s)
			}
			switch s.Name {
			case "gone":
				return fmt.Errorf("distropack.yml: %w", reconcile.ErrGone)
			case "broken":
				return errors.New("the bucket is away")
			}
			published(s.Repository, s.Name, s.ValidFor)
			return nil
		}
		w.restart()
		run := func(after time.Duration, want string) {
			t.Helper()
			w.pass(after)
			got = nil
			err := w.l.Sites(t.Context())
			if strings.Contains(want, "broken") != (err != nil && strings.Contains(err.Error(), "the bucket is away")) {
				t.Errorf("%v", err)
			}
			equal(t, fmt.Sprint("after ", w.now().Sub(noon)), strings.Join(got, " "), want)
		}
		run(8*time.Hour, "")
		run(time.Minute, "day gone broken")
		run(time.Minute, "broken")           // keeps its turn
		run(8*time.Hour, "broken day")       // the most urgent first
		run(40*time.Hour, "broken day week") // 56 hours: a third of a week
		published(r.ID(), "broken", 0)       // its valid-for was removed
		published(r.ID(), "day", 0)
		run(57*time.Hour, "week")
	})
}

func TestSitesPublishedAtOnceAreAllRemembered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				if err := reconcile.Published(context.Background(), w.s, reconcile.Site{Repository: r.ID(), Name: fmt.Sprint("site", n%10), ValidFor: day, At: noon}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		seen := map[string]int{}
		w.o.Resign = func(_ context.Context, s reconcile.Site) error { seen[s.Name]++; return nil }
		w.restart()
		w.pass(day)
		must(t, w.l.Sites(t.Context()))
		for n := range 10 {
			if name := fmt.Sprint("site", n); seen[name] != 1 {
				t.Errorf("%s is there %d times", name, seen[name])
			}
		}
	})
}
