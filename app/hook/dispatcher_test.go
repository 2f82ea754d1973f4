package hook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/store"
)

// start runs a dispatcher until the test, or the function it returns, ends it.
func start(t *testing.T, o DispatcherOptions) (*Dispatcher, func()) {
	t.Helper()
	d := NewDispatcher(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return d, stop
}

func TestWhatAHandlerSaysIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "done", "ignored", "final", "wrapped")
		for guid, body := range map[string]string{
			"hostile": strings.Replace(pushed, "v1.0", "a b", 1),
			"branch":  strings.Replace(pushed, "tags", "heads", 1),
		} {
			d := &store.Delivery{GUID: guid, Event: "push", State: store.Waiting, Body: []byte(body)}
			if _, err := in.Receive(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var called []string
		start(t, DispatcherOptions{Queue: in, Node: "a", Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			called = append(called, d.GUID)
			if e.Kind != event.TagPushed || e.Tag != "v1.0" || e.Repository.ID != 9 {
				t.Errorf("%s: got %+v", d.GUID, e)
			}
			switch d.GUID {
			case "ignored":
				return Ignore("the repository has no distropack.yml")
			case "final":
				return Final{errors.New("no such release")}
			case "wrapped":
				return fmt.Errorf("x: %w", Final{errors.New("y")})
			}
			return nil
		}})
		synctest.Wait()
		for guid, want := range map[string]struct {
			state store.State
			note  string
		}{
			"done":    {store.Done, ""},
			"ignored": {store.Ignored, "the repository has no distropack.yml"},
			"final":   {store.Failed, "no such release"},
			"wrapped": {store.Failed, "x: y"},
			"hostile": {store.Failed, `push event: tag "a b" has the character U+0020, which a name may not have`},
			"branch":  {store.Ignored, "what was pushed is not a tag"},
		} {
			if got := in.get(guid); got.State != want.state || got.Note != want.note || got.Tries != 1 {
				t.Errorf("%s is %s %q after %d tries, want %s %q", guid, got.State, got.Note, got.Tries, want.state, want.note)
			}
		}
		if len(called) != 4 {
			t.Errorf("the handler was called for %q", called)
		}
	})
}

// A failing delivery is tried again after delays that double, and given up in words;
// others don't wait for it. Redelivered it has another chance.
func TestDelaysGrowAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "bad")
		began := time.Now()
		var tries []time.Duration
		heals := false
		d, _ := start(t, DispatcherOptions{Queue: in, Node: "a", Workers: 1, Tries: 9, Poll: time.Hour, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			if d.GUID != "bad" {
				return nil
			}
			if tries = append(tries, time.Since(began)); heals {
				return nil
			}
			return errors.New("no answer\xff " + strings.Repeat("x", 5000))
		}})
		synctest.Wait()
		file(t, in, "good")
		d.Wake()
		synctest.Wait()
		if got := in.get("good"); got.State != store.Done {
			t.Errorf("beside a failing one, another is %s", got.State)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		var want []time.Duration
		for _, s := range []int{0, 1, 3, 7, 15, 31, 63, 123, 183} { // half a lease is 60 s
			want = append(want, time.Duration(s)*time.Second)
		}
		if !reflect.DeepEqual(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
		got := in.get("bad")
		if got.State != store.Failed || !strings.HasPrefix(got.Note, "given up after 9 tries: no answer? xxx") || len(got.Note) > maxNote+10 {
			t.Errorf("it is %s with the note %.60q of %d bytes", got.State, got.Note, len(got.Note))
		}

		heals = true
		if fresh, err := in.Receive(t.Context(), &store.Delivery{GUID: "bad"}); fresh || err != nil {
			t.Fatal(fresh, err)
		}
		d.Wake()
		synctest.Wait()
		if got := in.get("bad"); got.State != store.Done {
			t.Errorf("redelivered it is %s %q", got.State, got.Note)
		}
	})
}

// A panic is a failed try. One that takes the process with it is not tried for ever.
func TestPanicsAndDeathsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "panic", "death")
		in.rows["death"].Tries = 6
		start(t, DispatcherOptions{Queue: in, Node: "a", Tries: 3, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			if d.GUID == "death" {
				t.Error("tried again what ended the process 6 times")
			}
			panic("a nil map")
		}})
		time.Sleep(time.Hour)
		synctest.Wait()
		for guid, want := range map[string]string{
			"panic": "given up after 3 tries: an error in DistroPack itself: a nil map",
			"death": "no try came to its end: DistroPack itself ends when it handles this",
		} {
			if got := in.get(guid); got.State != store.Failed || got.Note != want {
				t.Errorf("%s is %s %q, want failed %q", guid, got.State, got.Note, want)
			}
		}
	})
}

// What this process filed is handled at once, what another did at the next look.
func TestWakingAndPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		d, _ := start(t, DispatcherOptions{Queue: in, Node: "a", Handle: func(context.Context, *event.Event, *store.Delivery) error { return nil }})
		h := Handler(Options{Secrets: secrets, Inbox: in, Wake: d.Wake})
		time.Sleep(time.Second)
		synctest.Wait()
		before := time.Now()
		if code, a, _ := send(t, h, webhook("push", guid, pushed)); code != 202 {
			t.Fatal(code, a)
		}
		synctest.Wait()
		if got := in.get(guid); got.State != store.Done || !time.Now().Equal(before) {
			t.Errorf("%s after %v", got.State, time.Since(before))
		}
		file(t, in, "others")
		synctest.Wait()
		if got := in.get("others"); got.State != store.Waiting {
			t.Errorf("%s before a look", got.State)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := in.get("others"); got.State != store.Done {
			t.Errorf("%s after a look", got.State)
		}
		looks := in.looked()
		time.Sleep(time.Minute)
		if n := in.looked() - looks; n > 31 {
			t.Errorf("%d looks in an idle minute", n)
		}
	})
}

// No more run at once than there are workers, and a slow one does not hold the others up.
func TestWorkersAreBoundedAndIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "slow")
		for i := range 50 {
			file(t, in, fmt.Sprint("quick-", i))
		}
		var now, most atomic.Int64
		start(t, DispatcherOptions{Queue: in, Node: "a", Workers: 4, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if d.GUID == "slow" {
				time.Sleep(30 * time.Second)
				return nil
			}
			time.Sleep(time.Second)
			return nil
		}})
		time.Sleep(17*time.Second + time.Millisecond) // 50 in threes
		synctest.Wait()
		for i := range 50 {
			if got := in.get(fmt.Sprint("quick-", i)); got.State != store.Done {
				t.Errorf("%s is %s", got.GUID, got.State)
			}
		}
		if got := in.get("slow"); got.State != store.Running {
			t.Errorf("the slow one is %s", got.State)
		}
		if most.Load() != 4 {
			t.Errorf("%d at once, want 4", most.Load())
		}
	})
}

// Stopping takes nothing new, lets what runs end, breaks off what does not, and gives
// back what waits for its next try.
func TestStopGivesBackWhatIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "fails", "ends", "hangs")
		d, stop := start(t, DispatcherOptions{Queue: in, Node: "a", Workers: 8, Poll: time.Hour, Delay: 30 * time.Second, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			switch d.GUID {
			case "fails":
				return errors.New("not now")
			case "ends":
				time.Sleep(3 * time.Second)
				return ctx.Err()
			case "hangs":
				<-ctx.Done()
				return ctx.Err()
			}
			t.Errorf("%s is handled", d.GUID)
			return nil
		}})
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("stopped after %v, want the grace of 5 s", took)
		}
		file(t, in, "late")
		d.Wake()
		synctest.Wait()
		for guid, want := range map[string]struct {
			state store.State
			note  string
		}{
			"fails": {store.Waiting, "try 1: not now"},
			"ends":  {store.Done, ""},
			"hangs": {store.Waiting, "interrupted, because the server stopped"},
			"late":  {store.Waiting, ""},
		} {
			if got := in.get(guid); got.State != want.state || got.Note != want.note {
				t.Errorf("%s is %s %q, want %s %q", guid, got.State, got.Note, want.state, want.note)
			}
		}
	})
}

// A try has a time, so that it ends before its lease does and no two nodes have one
// delivery at once; a handler that keeps on all the same does not undo another's work.
func TestALeaseIsKeptTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "obeys", "deaf")
		var mu sync.Mutex
		holders := map[string]int{}
		handle := func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			mu.Lock()
			holders[d.GUID]++
			if n := holders[d.GUID]; n > 1 && d.GUID == "obeys" {
				t.Errorf("%d have %s at once", n, d.GUID)
			}
			mu.Unlock()
			defer func() {
				mu.Lock()
				holders[d.GUID]--
				mu.Unlock()
			}()
			if d.GUID == "deaf" {
				if d.Tries == 1 {
					time.Sleep(3 * time.Minute)
					return errors.New("too late")
				}
				return nil
			}
			if d.Tries > 3 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		for _, node := range []string{"a", "b"} {
			start(t, DispatcherOptions{Queue: in, Node: node, Handle: handle})
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := in.get("obeys"); got.State != store.Done || got.Tries != 4 {
			t.Errorf("obeys is %s after %d tries", got.State, got.Tries)
		}
		if got := in.get("deaf"); got.State != store.Done || got.Tries != 2 {
			t.Errorf("deaf is %s after %d tries", got.State, got.Tries)
		}
	})
}

// While the database is away nothing is lost and nothing is done twice: an outcome is
// kept and settled when it is back.
func TestTheQueueComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "a")
		calls := map[string]int{}
		start(t, DispatcherOptions{Queue: in, Node: "a", Workers: 1, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			calls[d.GUID]++
			if d.GUID == "a" {
				in.set(true)
			}
			return nil
		}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := in.get("a"); got.State != store.Running {
			t.Errorf("a is %s", got.State)
		}
		in.set(false)
		file(t, in, "b")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for _, guid := range []string{"a", "b"} {
			if got := in.get(guid); got.State != store.Done || calls[guid] != 1 {
				t.Errorf("%s is %s after %d calls", guid, got.State, calls[guid])
			}
		}
	})
}

// What is cleaned away while it is handled is forgotten.
func TestADeliveryMayBeGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newMemory(t)
		file(t, in, "a")
		start(t, DispatcherOptions{Queue: in, Node: "a", Workers: 1, Handle: func(ctx context.Context, e *event.Event, d *store.Delivery) error {
			if d.GUID == "a" {
				in.mu.Lock()
				defer in.mu.Unlock()
				delete(in.rows, "a")
				in.order = nil
			}
			return nil
		}})
		synctest.Wait()
		file(t, in, "b")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := in.get("b"); got.State != store.Done {
			t.Errorf("the next one is %q: the only worker did not come back", got.State)
		}
	})
}
