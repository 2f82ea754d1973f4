package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv("ENGINE_TEST_CHILD"); spec != "" {
		os.Exit(child(spec))
	}
	os.Exit(m.Run())
}

// limit bounds what should not take long.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// node makes an engine that is stopped after the test.
func node(t testing.TB, url, name string, change func(*Options)) *Engine {
	t.Helper()
	o := Options{URL: url, Node: name, Version: "1", Poll: 20 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	e, err := New(limit(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(0); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
	})
	return e
}

func start(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Start(limit(t)); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t testing.TB, e *Engine, kind, id, installation string) {
	t.Helper()
	if err := e.Enqueue(limit(t), kind, id, installation, []byte("input of "+id)); err != nil {
		t.Fatal(err)
	}
}

func ends(t testing.TB, e *Engine, id string, want State) Status {
	t.Helper()
	s, err := e.Wait(limit(t), id)
	if err != nil {
		t.Fatal(err)
	}
	if s.State != want {
		t.Fatalf("%s is %s (%v), want %s", id, s.State, s.Err, want)
	}
	return s
}

// marks counts what happened.
type marks struct {
	mu  sync.Mutex
	all []string
}

func (m *marks) add(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, s)
}

func (m *marks) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.all, " ")
}

// say is a step that leaves a mark.
func say(r *Run, m *marks, name string) error {
	_, err := Step(r, name, func(context.Context) (string, error) {
		m.add(name)
		return name, nil
	})
	return err
}

func TestStepsAreDoneOnceAndRead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		e := node(t, url, "a", nil)
		type result struct {
			Name   string
			hidden int
		}
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			v, err := Step(r, "one", func(context.Context) (result, error) { return result{string(r.Input), 7}, nil })
			if err != nil {
				return err
			}
			if v.Name != "input of j" || v.hidden != 0 {
				return fmt.Errorf("step returned %+v, which is not what is kept", v)
			}
			_, err = Step(r, "two", func(context.Context) (any, error) { return nil, errors.New("no \x00such\xff thing") })
			return fmt.Errorf("wrapped: %w", err)
		})
		start(t, e)
		enqueue(t, e, "k", "j", "1")
		s := ends(t, e, "j", Failed)
		if got, want := s.Err.Error(), "wrapped: no \x00such� thing"; got != want {
			t.Errorf("error %q, want %q", got, want)
		}
		steps, err := e.Steps(limit(t), "j")
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) != 2 || steps[0].Name != "one" || string(steps[0].Result) != `{"Name":"input of j"}` || steps[0].Err != nil ||
			steps[1].Name != "two" || steps[1].Err.Error() != "no \x00such� thing" || steps[1].Result != nil || steps[1].Ended.IsZero() {
			t.Errorf("steps %+v", steps)
		}
		if s.Created.IsZero() || s.Started.Before(s.Created) || s.Ended.Before(s.Started) || s.Queue != "q" || s.Attempt != 1 {
			t.Errorf("status %+v", s)
		}
		if _, err := e.Status(limit(t), "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("status of no job: %v", err)
		}
		if err := e.Cancel(limit(t), "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("cancel of no job: %v", err)
		}
		if err := e.Cancel(limit(t), "j"); err != nil {
			t.Errorf("cancel of a job that ended: %v", err)
		}
	})
}

var errMoved = errors.New("the tag has moved")

func TestKindsOfErrorsSurviveTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		known := func(o *Options) { o.Errors = map[string]error{"moved": errMoved} }
		e := node(t, url, "a", known)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			_, err := Step(r, "one", func(context.Context) (int, error) { return 0, fmt.Errorf("v1: %w", errMoved) })
			if !errors.Is(err, errMoved) || err.Error() != "v1: the tag has moved" {
				return fmt.Errorf("step returned %q", err)
			}
			return err
		})
		start(t, e)
		enqueue(t, e, "k", "j", "")
		if s := ends(t, e, "j", Failed); !errors.Is(s.Err, errMoved) || errors.Is(s.Err, ErrCancelled) {
			t.Errorf("the job's error is %q", s.Err)
		}
		steps, err := node(t, url, "b", known).Steps(limit(t), "j")
		if err != nil || len(steps) != 1 || !errors.Is(steps[0].Err, errMoved) {
			t.Errorf("steps %+v, %v", steps, err)
		}
	})
}

func TestAPanicIsAnError(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		var log lockedBuffer
		e := node(t, url, "a", func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		e.Handle("step", "q", func(ctx context.Context, r *Run) error {
			_, err := Step(r, "one", func(context.Context) (int, error) { panic("in a step") })
			return err
		})
		e.Handle("work", "q", func(ctx context.Context, r *Run) error { panic("between the steps") })
		start(t, e)
		enqueue(t, e, "step", "s", "")
		enqueue(t, e, "work", "w", "")
		s, w := ends(t, e, "s", Failed), ends(t, e, "w", Failed)
		if !errors.Is(s.Err, ErrPanic) || s.Err.Error() != `step "one": panic: in a step` {
			t.Errorf("error %q", s.Err)
		}
		if !errors.Is(w.Err, ErrPanic) || w.Err.Error() != "panic: between the steps" {
			t.Errorf("error %q", w.Err)
		}
		if strings.Count(log.String(), "engine_test.go") < 2 || strings.Contains(s.Err.Error()+w.Err.Error(), "goroutine") {
			t.Errorf("the stack is not in the log:\n%s", log.String())
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAJobHasOneStepAtATime(t *testing.T) {
	e := node(t, storetest.SQLite(t), "a", nil)
	e.Handle("k", "q", func(ctx context.Context, r *Run) error {
		_, err := Step(r, "outer", func(context.Context) (int, error) {
			_, err := Step(r, "inner", func(context.Context) (int, error) { return 0, nil })
			return 0, err
		})
		return err
	})
	e.Handle("parent", "q", func(ctx context.Context, r *Run) error { return r.Child("q", "", "k", "c", nil) })
	start(t, e)
	enqueue(t, e, "k", "j", "")
	if s := ends(t, e, "j", Failed); !strings.Contains(s.Err.Error(), `step "inner": step "outer" runs`) {
		t.Errorf("error %q", s.Err)
	}
	enqueue(t, e, "parent", "p", "")
	if s := ends(t, e, "p", Failed); !strings.Contains(s.Err.Error(), "needs another queue") {
		t.Errorf("error %q", s.Err)
	}
	if err := e.Enqueue(limit(t), "unknown", "u", "", nil); err == nil {
		t.Error("a kind that nobody handles is taken")
	}
}

func TestStepsThatAreOthersThanThoseRecordedAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		first := node(t, url, "a", nil)
		inside := make(chan bool)
		first.Handle("k", "q", func(ctx context.Context, r *Run) error {
			say(r, m, "one")
			_, err := Step(r, "long", func(ctx context.Context) (int, error) { close(inside); <-ctx.Done(); return 0, ctx.Err() })
			return err
		})
		start(t, first)
		enqueue(t, first, "k", "j", "")
		<-inside
		if err := first.Stop(0); err != nil {
			t.Fatal(err)
		}
		second := node(t, url, "a", nil)
		second.Handle("k", "q", func(ctx context.Context, r *Run) error { return say(r, m, "other") })
		start(t, second)
		if s := ends(t, second, "j", Failed); !strings.Contains(s.Err.Error(), "begun with other steps") {
			t.Errorf("error %q", s.Err)
		}
		if m.String() != "one" {
			t.Errorf("steps %s", m)
		}
	})
}

func TestKnownIDsAreDoneOnceFromTwoNodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		var nodes []*Engine
		for _, name := range []string{"a", "b"} {
			e := node(t, url, name, nil)
			e.Handle("k", "q", func(ctx context.Context, r *Run) error { return say(r, m, r.ID) })
			start(t, e)
			nodes = append(nodes, e)
		}
		const jobs = 20
		var wg sync.WaitGroup
		var want []string
		for i := range jobs {
			id := fmt.Sprintf("j%02d", i)
			want = append(want, id)
			for _, e := range nodes {
				wg.Go(func() { enqueue(t, e, "k", id, "1") })
			}
		}
		wg.Wait()
		for i, id := range want {
			ends(t, nodes[i%2], id, Done)
		}
		got := strings.Fields(m.String())
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("done: %s", got)
		}
		enqueue(t, nodes[0], "k", "j00", "1")
		if s := ends(t, nodes[0], "j00", Done); s.Attempt != 1 || len(strings.Fields(m.String())) != jobs {
			t.Errorf("a job that ended is done again: %s", m)
		}
	})
}

func TestNamesInTheEnvironmentAreRefused(t *testing.T) {
	t.Setenv("DBOS__APPVERSION", "2")
	if e, err := New(limit(t), Options{URL: storetest.SQLite(t), Node: "a", Version: "1"}); err == nil || !strings.Contains(err.Error(), "DBOS__APPVERSION") {
		t.Errorf("engine %v, %v", e, err)
	}
}

func TestAddressesAreNotRepeated(t *testing.T) {
	for _, url := range []string{"postgres://me:secret@[::1/x", "mysql://me:secret@host/", "sqlite://host/app.db", "sqlite:"} {
		_, err := New(limit(t), Options{URL: url, Node: "a", Version: "1"})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := New(limit(t), Options{URL: storetest.SQLite(t), Node: "a"}); err == nil {
		t.Error("no version is needed")
	}
}

func TestMemoryIsADatabaseOfItsOwn(t *testing.T) {
	m := &marks{}
	for _, name := range []string{"a", "b"} {
		e := node(t, "sqlite::memory:", name, nil)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error { return say(r, m, name) })
		start(t, e)
		enqueue(t, e, "k", "j", "")
		ends(t, e, "j", Done)
	}
	if m.String() != "a b" {
		t.Errorf("done: %s", m)
	}
}

func TestCleanForgetsWhatEndedLongAgo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", nil)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			if err := say(r, m, r.ID); err != nil || r.ID != "open" {
				return err
			}
			<-ctx.Done()
			return ErrInterrupted
		})
		start(t, e)
		for _, id := range []string{"open", "old", "new"} {
			enqueue(t, e, "k", id, "")
			if id == "open" {
				continue
			}
			ends(t, e, id, Done)
		}
		n, err := e.Clean(limit(t), must(e.Status(limit(t), "new")).Ended)
		if err != nil || n != 1 {
			t.Errorf("%d jobs, %v", n, err)
		}
		if _, err := e.Status(limit(t), "old"); !errors.Is(err, ErrNotFound) {
			t.Errorf("old: %v", err)
		}
		if steps, err := e.memo.steps(limit(t), "old", nil); err != nil || len(steps) != 0 {
			t.Errorf("old: %d steps, %v", len(steps), err)
		}
		if steps, err := e.Steps(limit(t), "new"); err != nil || len(steps) != 1 {
			t.Errorf("new: %d steps, %v", len(steps), err)
		}
		enqueue(t, e, "k", "old", "")
		ends(t, e, "old", Done)
		all, err := e.Counts(limit(t))
		if err != nil || !slices.Equal(all, []Count{{"q", 0, 1}}) {
			t.Errorf("counts %v, %v", all, err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestFailuresComeBackAsTheyWere(t *testing.T) {
	s := newSentinels(map[string]error{"moved": errMoved})
	for _, err := range []error{errors.New("plain"), fmt.Errorf("tag: %w", errMoved), errors.Join(ErrCancelled, errMoved), errors.New(strings.Repeat("ä", textLimit))} {
		b, _ := json.Marshal(s.failure(err))
		f := &failure{}
		if err := json.Unmarshal(b, f); err != nil {
			t.Fatal(err)
		}
		got := s.error(f)
		for _, is := range []error{ErrCancelled, errMoved, ErrPanic} {
			if errors.Is(got, is) != errors.Is(err, is) {
				t.Errorf("%.40q is %v: %v", err, is, errors.Is(got, is))
			}
		}
		if len(err.Error()) < textLimit && got.Error() != err.Error() || len(got.Error()) > textLimit+10 {
			t.Errorf("%.40q came back as %.40q", err, got)
		}
	}
	if s.failure(nil) != nil || s.error(nil) != nil {
		t.Error("nothing became an error")
	}
}
