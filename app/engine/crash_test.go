package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

// life is what a child process is told. The child is this very test, run again.
type life struct {
	URL, Job string
	Marks    string // file: a line for each thing that was done
	Kill     string // where SIGKILL ends the process, the first time it comes there
}

// points are the places of the job where a process may end, in their order.
var points = []string{
	"before fetch", "in fetch", "after fetch",
	"before sleep", "after sleep",
	"in push a", "after push a", "in push b",
	"before attach", "in attach", "after attach", "end",
}

func (l life) at(point string) {
	if l.Kill != point {
		return
	}
	f, err := os.OpenFile(l.Marks+".killed", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return // it was here before
	}
	f.Close()
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (l life) mark(s string) {
	f, err := os.OpenFile(l.Marks, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(s + "\n")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		panic(err)
	}
}

func (l life) step(r *Run, name string) error {
	l.at("before " + name)
	_, err := Step(r, name, func(context.Context) (string, error) {
		l.mark(name)
		l.at("in " + name)
		return name, nil
	})
	if err == nil {
		l.at("after " + name)
	}
	return err
}

// handle is a release in small: steps, a sleep, two children at once.
func (l life) handle(e *Engine) {
	e.Handle("release", "release", func(ctx context.Context, r *Run) error {
		if err := l.step(r, "fetch"); err != nil {
			return err
		}
		l.at("before sleep")
		if err := r.Sleep(10 * time.Millisecond); err != nil {
			return err
		}
		l.at("after sleep")
		for _, err := range r.Children(Child{"publish", "a", "push", r.ID + " a", []byte("push a")}, Child{"publish", "b", "push", r.ID + " b", []byte("push b")}) {
			if err != nil {
				return err
			}
		}
		if err := l.step(r, "attach"); err != nil {
			return err
		}
		l.at("end")
		return nil
	})
	e.Handle("push", "", func(ctx context.Context, r *Run) error { return l.step(r, string(r.Input)) })
}

func (l life) options() Options {
	return Options{URL: l.URL, Node: "a", Version: "1", Poll: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
}

// child is the main function of the child process: it does the job and ends.
func child(spec string) int {
	var l life
	if err := json.Unmarshal([]byte(spec), &l); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := New(ctx, l.options())
	if err != nil {
		panic(err)
	}
	l.handle(e)
	if err := e.Start(ctx); err != nil {
		panic(err)
	}
	if err := e.Enqueue(ctx, "release", l.Job, "1", nil); err != nil {
		panic(err)
	}
	s, err := e.Wait(ctx, l.Job)
	if err != nil || s.State != Done {
		fmt.Fprintf(os.Stderr, "%+v %v\n", s, err)
		return 1
	}
	if err := e.Stop(0); err != nil {
		panic(err)
	}
	return 0
}

// live runs a child process and says whether SIGKILL ended it.
func (l life) live(t *testing.T, binary string) (killed bool) {
	t.Helper()
	spec, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "ENGINE_TEST_CHILD="+string(spec))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if w := exit.Sys().(syscall.WaitStatus); w.Signaled() && w.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// check compares the marks with what should have been done: each step once, and that in
// which the process ended twice.
func (l life) check(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(l.Marks)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(strings.ReplaceAll(string(b), "push ", "push-"))
	slices.Sort(got)
	want := []string{"attach", "fetch", "push-a", "push-b"}
	if name, ok := strings.CutPrefix(l.Kill, "in "); ok {
		want = append(want, strings.ReplaceAll(name, " ", "-"))
		slices.Sort(want)
	}
	// The two pushes run at once: that which was under way beside the end of the process may
	// have been repeated too.
	if strings.Contains(l.Kill, " push ") {
		got = slices.Compact(got)
		want = slices.Compact(want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("done: %s, want %s", got, want)
	}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAKilledProcessGoesOnAfterItsRestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		for i, point := range points {
			l := life{url, fmt.Sprint("j", i), filepath.Join(t.TempDir(), "marks"), point}
			if !l.live(t, self(t)) {
				t.Errorf("%s: nobody was killed", point)
			}
			if l.live(t, self(t)) {
				t.Errorf("%s: killed twice", point)
			}
			l.check(t)
			if t.Failed() {
				t.Fatalf("killed at %q", point)
			}
		}
	})
}

func TestAnotherNodeFinishesWhatAKilledOneBegan(t *testing.T) {
	url := storetest.Postgres(t)
	for i, point := range points {
		t.Run(point, func(t *testing.T) {
			l := life{url, fmt.Sprint("j", i), filepath.Join(t.TempDir(), "marks"), point}
			b, c := node(t, l.URL, "b", nil), node(t, l.URL, "c", nil)
			l.handle(b)
			l.handle(c)
			if !l.live(t, self(t)) {
				t.Fatal("nobody was killed")
			}
			start(t, b)
			start(t, c)
			failed := make(chan error, 2)
			for _, e := range []*Engine{b, c} { // both see that a is gone
				go func() { failed <- e.Recover(limit(t), "a") }()
			}
			for range 2 {
				if err := <-failed; err != nil {
					t.Error(err)
				}
			}
			ends(t, b, l.Job, Done)
			l.check(t)
		})
	}
}

func TestAnotherBinaryOfTheSameVersionGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		// A byte after its end changes what the binary is, and not what it does.
		b, err := os.ReadFile(self(t))
		if err != nil {
			t.Fatal(err)
		}
		upgraded := filepath.Join(t.TempDir(), "upgraded")
		if err := os.WriteFile(upgraded, append(b, 0), 0o700); err != nil {
			t.Fatal(err)
		}
		l := life{url, "j", filepath.Join(t.TempDir(), "marks"), "in attach"}
		if !l.live(t, self(t)) {
			t.Fatal("nobody was killed")
		}
		// One of another version leaves begun jobs alone, and takes new ones.
		e := node(t, url, "a", func(o *Options) { o.Version = "2" })
		l.handle(e)
		start(t, e)
		if err := e.Enqueue(limit(t), "push", "new", "", []byte("new")); err != nil {
			t.Fatal(err)
		}
		ends(t, e, "new", Done)
		if s := must(e.Status(limit(t), "j")); s.State != Waiting {
			t.Errorf("a job of another version is %s", s.State)
		}
		if err := e.Stop(0); err != nil {
			t.Fatal(err)
		}
		if l.live(t, upgraded) {
			t.Fatal("killed twice")
		}
		marks, _ := os.ReadFile(l.Marks)
		if want := "fetch push a push b attach new attach"; strings.Join(strings.Fields(string(marks)), " ") != want &&
			strings.Join(strings.Fields(string(marks)), " ") != "fetch push b push a attach new attach" {
			t.Errorf("done: %s, want %s", marks, want)
		}
	})
}

func TestANodeThatLivesAfterAllLosesItsJobs(t *testing.T) {
	url := storetest.Postgres(t)
	m := &marks{}
	inside, lost := make(chan bool), make(chan bool)
	two := func(node string) func(ctx context.Context, r *Run) error {
		return func(ctx context.Context, r *Run) error {
			if err := say(r, m, "one"); err != nil {
				return err
			}
			v, err := Step(r, "two", func(ctx context.Context) (string, error) {
				select {
				case <-lost:
				default: // the first time, on a
					close(inside)
					<-ctx.Done()
					m.add("of " + node + ": " + context.Cause(ctx).Error())
					close(lost)
					return "of " + node, nil // it did what it was to do, too late
				}
				return "of b", nil
			})
			if err != nil {
				return err
			}
			return say(r, m, v)
		}
	}
	only := func(o *Options) { o.Workers = 1 }
	a := node(t, url, "a", only)
	a.Handle("k", "q", two("a"))
	busy, free := make(chan bool), make(chan bool)
	a.Handle("busy", "q", func(ctx context.Context, r *Run) error { close(busy); <-free; return nil })
	start(t, a)
	enqueue(t, a, "k", "j", "")
	<-inside
	b := node(t, url, "b", only)
	b.Handle("k", "q", two("b"))
	start(t, b)
	if err := b.Recover(limit(t), "b"); err == nil {
		t.Error("a node takes over from itself")
	}
	if err := b.Recover(limit(t), "a"); err != nil {
		t.Fatal(err)
	}
	ends(t, b, "j", Done)
	if got, want := m.String(), "one of a: "+errLost.Error()+" of b"; got != want {
		t.Errorf("done: %s, want %s", got, want)
	}
	// The node that was taken for dead works on.
	enqueue(t, a, "busy", "busy", "")
	<-busy
	close(free)
	ends(t, a, "busy", Done)
}

func TestAJobThatEndsItsProcessEachTimeIsGivenUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		m := &marks{}
		e := node(t, url, "a", nil)
		e.Handle("k", "q", func(ctx context.Context, r *Run) error {
			err := say(r, m, "boom")
			Always(r, "bye", func(context.Context) (int, error) { m.add("bye"); return 0, nil })
			return err
		})
		enqueue(t, e, "k", "j", "")
		for range maxCrashes {
			// What a process that was killed leaves behind.
			if _, err := e.table.exec(limit(t), "UPDATE engine_jobs SET state = 'running', node = 'dead', run = 'x', version = '1', starts = 1"); err != nil {
				t.Fatal(err)
			}
			if err := e.Recover(limit(t), "dead"); err != nil {
				t.Fatal(err)
			}
		}
		start(t, e)
		s := ends(t, e, "j", Failed)
		if !errors.Is(s.Err, ErrGivenUp) || !strings.Contains(s.Err.Error(), "30 times") || m.String() != "bye" {
			t.Errorf("%v, done: %s", s.Err, m)
		}
	})
}
