package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distropack/distropack/app/store/storetest"
)

func TestARestartedParentRestartsTheChildThatFailed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		var mu sync.Mutex
		broken := true
		e := node(t, url, "a", nil)
		e.Handle("release", "release", func(ctx context.Context, r *Run) error {
			if err := say(r, m, "build"); err != nil {
				return err
			}
			errs := r.Children(Child{"publish", "x", "push", "good", nil}, Child{"publish", "y", "push", "bad", nil})
			if r.Attempt == 1 && (errs[0] != nil || errs[1] == nil || errs[1].Error() != "bad: away" || !errors.Is(errs[1], errMoved)) {
				m.add(fmt.Sprint(errs))
			}
			return errors.Join(errs...)
		})
		e.Handle("push", "", func(ctx context.Context, r *Run) error {
			name, _, _ := strings.Cut(r.ID, "~")
			if err := say(r, m, "log in "+name); err != nil {
				return err
			}
			_, err := Step(r, "push", func(context.Context) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				if broken && name == "bad" {
					return 0, &named{"bad: away"}
				}
				m.add("pushed " + name)
				return 0, nil
			})
			return err
		})
		e.errors["moved"] = errMoved
		start(t, e)
		enqueue(t, e, "release", "r", "1")
		if s := ends(t, e, "r", Failed); s.Err.Error() != "bad: away" || !errors.Is(s.Err, errMoved) {
			t.Errorf("error %q", s.Err)
		}
		if c := must(e.Status(limit(t), "bad")); c.Parent != "r" || c.State != Failed {
			t.Errorf("child %+v", c)
		}
		for _, last := range []State{Failed, Done} {
			id := "r~2"
			if last == Done {
				mu.Lock()
				broken = false
				mu.Unlock()
				id = "r~3"
			}
			from, _, _ := strings.Cut(id, "~")
			if last == Done {
				from = "r~2"
			}
			got, err := e.Restart(limit(t), from)
			if err != nil || got != id {
				t.Fatalf("restart: %q, %v", got, err)
			}
			ends(t, e, id, last)
		}
		got := m.String()
		for _, once := range []string{"build", "log in good", "log in bad", "pushed good", "pushed bad"} {
			if strings.Count(got, once) != 1 {
				t.Errorf("%s is not done once: %s", once, got)
			}
		}
		if _, err := e.Status(limit(t), "good~2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a child that ended well was restarted: %v", err)
		}
		if c := must(e.Status(limit(t), "bad~3")); c.Parent != "r~3" || c.State != Done {
			t.Errorf("child %+v", c)
		}
	})
}

type named struct{ text string }

func (n *named) Error() string        { return n.text }
func (n *named) Is(target error) bool { return target == errMoved }

func TestCancelReachesChildren(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		inside := make(chan bool)
		e := node(t, url, "a", nil)
		e.Handle("release", "release", func(ctx context.Context, r *Run) error {
			errs := r.Children(Child{"publish", "x", "push", r.First + " 1", nil}, Child{"publish", "x", "push", r.First + " 2", nil})
			for _, err := range errs {
				if r.Attempt == 1 && !errors.Is(err, ErrCancelled) {
					m.add(fmt.Sprint("parent: ", err))
				}
			}
			Always(r, "bye", func(context.Context) (int, error) { m.add("bye"); return 0, nil })
			return errors.Join(errs...)
		})
		e.Handle("push", "", func(ctx context.Context, r *Run) error {
			_, err := Step(r, "push", func(ctx context.Context) (int, error) {
				m.add("push " + r.ID)
				if r.Attempt == 1 && r.First == "r 1" {
					close(inside)
					<-ctx.Done()
					m.add("ended")
				}
				return 0, ctx.Err()
			})
			return err
		})
		start(t, e)
		enqueue(t, e, "release", "r", "1")
		<-inside
		until(t, func() bool { _, err := e.Status(limit(t), "r 2"); return err == nil })
		if err := e.Cancel(limit(t), "r"); err != nil {
			t.Fatal(err)
		}
		ends(t, e, "r", Cancelled)
		ends(t, e, "r 1", Cancelled)
		ends(t, e, "r 2", Cancelled)
		if m.String() != "push r 1 ended bye" {
			t.Errorf("done: %s", m)
		}
		id, err := e.Restart(limit(t), "r")
		if err != nil {
			t.Fatal(err)
		}
		ends(t, e, id, Done)
		if got := m.String(); !strings.Contains(got, "push r 1~2") || !strings.Contains(got, "push r 2~2") {
			t.Errorf("done: %s", got)
		}
	})
}

func TestTwoParentsShareAChild(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", nil)
		e.Handle("release", "release", func(ctx context.Context, r *Run) error { return r.Child("publish", "x", "push", "shared", nil) })
		e.Handle("push", "", func(ctx context.Context, r *Run) error { return say(r, m, "push") })
		start(t, e)
		for i := range 5 {
			enqueue(t, e, "release", fmt.Sprint("r", i), "")
		}
		for i := range 5 {
			ends(t, e, fmt.Sprint("r", i), Done)
		}
		if m.String() != "push" {
			t.Errorf("done: %s", m)
		}
	})
}

func TestStopDoesNotWaitForChildren(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		inside := make(chan bool, 2)
		for try := range 2 {
			e := node(t, url, "a", nil)
			e.Handle("release", "release", func(ctx context.Context, r *Run) error { return r.Child("publish", "x", "push", "c", nil) })
			e.Handle("push", "", func(ctx context.Context, r *Run) error {
				_, err := Step(r, "push", func(ctx context.Context) (int, error) {
					m.add("push")
					if try == 0 {
						inside <- true
						<-ctx.Done()
					}
					return 0, ctx.Err()
				})
				return err
			})
			start(t, e)
			enqueue(t, e, "release", "r", "")
			if try == 0 {
				<-inside
				if err := e.Stop(0); err != nil {
					t.Fatal(err)
				}
				continue
			}
			ends(t, e, "r", Done)
		}
		if m.String() != "push push" {
			t.Errorf("done: %s", m)
		}
	})
}

func TestAJobWhoseStartWasLostIsStartedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", nil)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error { return say(r, m, "one") })
		enqueue(t, e, "k", "j", "")
		start(t, e)
		ends(t, e, "j", Done)
		// As if it had been taken, and its start had failed.
		enqueue(t, e, "k", "i", "")
		ends(t, e, "i", Done)
		if err := e.memo.remove(limit(t), []string{"i"}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.table.exec(limit(t), "UPDATE engine_jobs SET state = 'running', ended = 0, failure = '', node = 'a', run = ? WHERE id = 'i'", e.run); err != nil {
			t.Fatal(err)
		}
		ends(t, e, "i", Done)
		if m.String() != "one one one" {
			t.Errorf("done: %s", m)
		}
	})
}

func TestConnectionsThatBreakAreMadeAnew(t *testing.T) {
	url := storetest.Postgres(t)
	m := &marks{}
	e, other := node(t, url, "a", nil), node(t, url, "b", nil)
	e.Handle("k", "q", func(ctx context.Context, r *Run) error {
		for i := range 3 {
			_, err := Step(r, fmt.Sprint("step ", i), func(ctx context.Context) (int, error) {
				m.add(fmt.Sprint(i))
				for { // its own may be among those that the step before has broken
					_, err := other.table.exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
					if err == nil || ctx.Err() != nil {
						return i, err
					}
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	start(t, e)
	enqueue(t, e, "k", "j", "")
	var s Status
	until(t, func() (ok bool) {
		var err error
		s, err = other.Status(limit(t), "j")
		return err == nil && s.State.Ended()
	})
	if s.State != Done {
		t.Errorf("status %+v", s)
	}
	got := strings.Fields(m.String())
	if !slices.IsSorted(got) || !slices.Equal(slices.Compact(got), []string{"0", "1", "2"}) {
		t.Errorf("done: %s", got)
	}
}
