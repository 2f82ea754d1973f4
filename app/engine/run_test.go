package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

func TestCancelEndsAStepOnAnotherNode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		inside := make(chan bool)
		e := node(t, url, "a", func(o *Options) { o.Poll = 0 }) // as it is by default
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			say(r, m, "one")
			_, err := Step(r, "long", func(ctx context.Context) (int, error) {
				close(inside)
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), ErrCancelled) {
					m.add("cause: " + context.Cause(ctx).Error())
				}
				return 0, fmt.Errorf("upload: %w", ctx.Err())
			})
			if !errors.Is(err, ErrCancelled) {
				m.add("step: " + err.Error())
			}
			if err := say(r, m, "after"); !errors.Is(err, ErrCancelled) {
				m.add("after was done")
			}
			if _, err := Always(r, "bye", func(ctx context.Context) (int, error) { m.add("bye"); return 0, ctx.Err() }); err != nil {
				m.add("always: " + err.Error())
			}
			return err
		})
		start(t, e)
		enqueue(t, e, "k", "j", "")
		<-inside
		begin := time.Now()
		if err := node(t, url, "b", nil).Cancel(limit(t), "j"); err != nil {
			t.Fatal(err)
		}
		s := ends(t, e, "j", Cancelled)
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("it took %s", d)
		}
		if !errors.Is(s.Err, ErrCancelled) || s.Err.Error() != "cancelled" || !s.Cancel {
			t.Errorf("status %+v", s)
		}
		if m.String() != "one bye" {
			t.Errorf("done: %s", m)
		}
	})
}

func TestAJobThatWaitsIsCancelledAheadOfAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", func(o *Options) { o.Workers = 1 })
		inside, goOn := make(chan bool), make(chan bool)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			err := say(r, m, r.ID)
			if r.ID == "busy" {
				close(inside)
				<-goOn
				return err
			}
			Always(r, "bye", func(context.Context) (int, error) { m.add("bye " + r.ID); return 0, nil })
			return err
		})
		start(t, e)
		enqueue(t, e, "k", "busy", "1")
		<-inside
		enqueue(t, e, "k", "next", "2")
		enqueue(t, e, "k", "j", "1")
		if err := e.Cancel(limit(t), "j"); err != nil {
			t.Fatal(err)
		}
		ends(t, e, "j", Cancelled)
		if m.String() != "busy bye j" {
			t.Errorf("done: %s", m)
		}
		close(goOn)
		ends(t, e, "next", Done)
	})
}

func TestStopLetsStepsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		handle := func(e *Engine, inside, goOn chan bool) {
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				for i := range 3 {
					_, err := Step(r, fmt.Sprint("step ", i), func(ctx context.Context) (int, error) {
						m.add(fmt.Sprint(i))
						if i == 1 && inside != nil {
							close(inside)
							<-goOn
						}
						return i, ctx.Err()
					})
					if err != nil {
						if !errors.Is(err, ErrInterrupted) {
							m.add(err.Error())
						}
						return err
					}
				}
				return nil
			})
		}
		e := node(t, url, "a", nil)
		inside, goOn := make(chan bool), make(chan bool)
		handle(e, inside, goOn)
		start(t, e)
		enqueue(t, e, "k", "j", "")
		<-inside
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := e.Stop(time.Minute); err != nil {
				t.Error(err)
			}
		})
		<-e.stops.Done()
		close(goOn)
		wg.Wait()
		if m.String() != "0 1" {
			t.Errorf("done before the stop: %s", m)
		}
		other := node(t, url, "b", nil) // a job that was given back is anyone's
		handle(other, nil, nil)
		start(t, other)
		if s := ends(t, other, "j", Done); m.String() != "0 1 2" || s.Err != nil {
			t.Errorf("done: %s, %v", m, s.Err)
		}
	})
}

func TestStopInterruptsStepsThatGoOnTooLong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		const jobs = 8
		done := map[string]*marks{}
		for i := range jobs {
			done[fmt.Sprint("j", i)] = &marks{}
		}
		inside := make(chan bool)
		for try := range 2 {
			e := node(t, url, "a", nil)
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				m := done[r.ID]
				if err := say(r, m, "one"); err != nil {
					return err
				}
				_, err := Step(r, "long", func(ctx context.Context) (int, error) {
					m.add("long")
					if try == 0 {
						inside <- true
						<-ctx.Done()
					}
					return 0, ctx.Err()
				})
				if err == nil {
					err = say(r, m, "two")
				}
				return err
			})
			start(t, e)
			for id := range done {
				enqueue(t, e, "k", id, "")
			}
			if try == 0 {
				for range jobs {
					<-inside
				}
				if err := e.Stop(10 * time.Millisecond); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for id, m := range done {
				ends(t, e, id, Done)
				if m.String() != "one long long two" {
					t.Errorf("done: %s", m)
				}
			}
		}
	})
}

func TestStopNamesAStepThatDoesNotEnd(t *testing.T) {
	e := node(t, storetest.SQLite(t), "a", nil)
	e.grace = 10 * time.Millisecond
	inside, goOn := make(chan bool), make(chan bool)
	e.Handle("k", "q", func(ctx context.Context, r *Run) error {
		_, err := Step(r, "deaf", func(ctx context.Context) (int, error) { close(inside); <-goOn; return 0, nil })
		return err
	})
	start(t, e)
	enqueue(t, e, "k", "j", "")
	<-inside
	if err := e.Stop(0); err == nil || !strings.Contains(err.Error(), "j (deaf)") {
		t.Errorf("stop: %v", err)
	}
	close(goOn)
}

func TestSleepLeavesItsPlaceAndLastsOverARestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		var begin time.Time
		one := func(o *Options) { o.Workers = 1 }
		handle := func(e *Engine) {
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				if err := say(r, m, "one"); err != nil {
					return err
				}
				if err := r.Sleep(4 * time.Second); err != nil {
					return err
				}
				return say(r, m, fmt.Sprintf("two after %ds", int(time.Since(begin)/time.Second)))
			})
			e.Handle("other", "q", func(ctx context.Context, r *Run) error { return say(r, m, "other") })
			start(t, e)
		}
		e := node(t, url, "a", one)
		handle(e)
		begin = time.Now()
		enqueue(t, e, "k", "j", "")
		enqueue(t, e, "other", "o", "") // waits for the only worker
		ends(t, e, "o", Done)
		if s := must(e.Status(limit(t), "j")); s.State != Waiting || s.Wake.IsZero() {
			t.Errorf("status %+v", s)
		}
		if err := e.Stop(0); err != nil {
			t.Fatal(err)
		}
		e = node(t, url, "a", one)
		handle(e)
		s := ends(t, e, "j", Done)
		if d := s.Ended.Sub(begin); d < 4*time.Second || m.String() != "one other two after 4s" && m.String() != "one other two after 5s" {
			t.Errorf("done after %s: %s", d, m)
		}
		short := node(t, url, "c", nil)
		short.Handle("short", "short", func(ctx context.Context, r *Run) error { return r.Sleep(10 * time.Millisecond) })
		start(t, short)
		enqueue(t, short, "short", "s", "")
		ends(t, short, "s", Done)
	})
}

func TestASleeperIsCancelled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		for _, d := range []time.Duration{time.Hour, time.Second + nap/3} {
			m := &marks{}
			e := node(t, url, fmt.Sprint("a", d), nil)
			asleep := make(chan bool)
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				say(r, m, "one")
				if m.String() == "one" && r.ended == goesOn {
					close(asleep)
				}
				err := r.Sleep(d)
				Always(r, "bye", func(context.Context) (int, error) { m.add("bye"); return 0, nil })
				return err
			})
			start(t, e)
			id := fmt.Sprint("j", d)
			enqueue(t, e, "k", id, "")
			<-asleep
			if d == time.Hour {
				until(t, func() bool { return must(e.Status(limit(t), id)).State == Waiting })
			}
			begin := time.Now()
			if err := e.Cancel(limit(t), id); err != nil {
				t.Fatal(err)
			}
			if s := ends(t, e, id, Cancelled); s.Err.Error() != "cancelled" || m.String() != "one bye" {
				t.Errorf("%s: %v, done: %s", d, s.Err, m)
			}
			if took := time.Since(begin); took > 8*time.Second {
				t.Errorf("%s: it took %s", d, took)
			}
			if err := e.Stop(0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// until asks until it is so.
func until(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never was so")
		}
	}
}

func TestRestartKeepsStepsThatEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		var mu sync.Mutex
		broken := true
		e := node(t, url, "a", nil)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			if err := say(r, m, "one"); err != nil {
				return err
			}
			_, err := Step(r, "two", func(context.Context) (int, error) {
				m.add("two")
				mu.Lock()
				defer mu.Unlock()
				if broken {
					return 0, errors.New("away")
				}
				return 2, nil
			})
			if err != nil {
				Always(r, "sorry", func(context.Context) (int, error) { m.add("sorry"); return 0, nil })
				return err
			}
			return say(r, m, fmt.Sprint("three of ", r.Attempt))
		})
		start(t, e)
		enqueue(t, e, "k", "j", "7")
		ends(t, e, "j", Failed)
		again, err := e.Restart(limit(t), "j")
		if err != nil || again != "j~2" {
			t.Fatalf("%q, %v", again, err)
		}
		ends(t, e, again, Failed)
		mu.Lock()
		broken = false
		mu.Unlock()
		// Two people press the button.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if id, err := e.Restart(limit(t), again); err != nil || id != "j~3" {
					t.Errorf("%q, %v", id, err)
				}
			})
		}
		wg.Wait()
		s := ends(t, e, "j~3", Done)
		if m.String() != "one two sorry two sorry two three of 3" || s.Attempt != 3 {
			t.Errorf("done: %s", m)
		}
		if _, err := e.Restart(limit(t), "j~3"); err == nil {
			t.Error("what is done was restarted")
		}
		if _, err := e.Restart(limit(t), "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

func TestACancelledJobIsRestarted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", nil)
		inside := make(chan bool)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			say(r, m, "one")
			_, err := Step(r, "two", func(ctx context.Context) (int, error) {
				m.add("two")
				if r.Attempt == 1 {
					close(inside)
					<-ctx.Done()
				}
				return 0, ctx.Err()
			})
			return err
		})
		start(t, e)
		enqueue(t, e, "k", "j", "7")
		<-inside
		if err := e.Cancel(limit(t), "j"); err != nil {
			t.Fatal(err)
		}
		ends(t, e, "j", Cancelled)
		id, err := e.Restart(limit(t), "j")
		if err != nil {
			t.Fatal(err)
		}
		ends(t, e, id, Done)
		if m.String() != "one two two" {
			t.Errorf("done: %s", m)
		}
	})
}
