package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

// Run is a job while it runs. Its methods, Step and Always are for the goroutine of
// Work alone, one after the other.
type Run struct {
	ID      string
	First   string // the id of the first attempt; ids of children are made of it, so that Restart finds them
	Kind    string
	Attempt int // from 1; counted by Restart
	Input   []byte

	e    *Engine
	job  *job
	dbos dbos.Context
	over chan struct{} // closed when it has left this process

	// hard ends when the job must leave this process; soft, below it, also when the
	// steps are no longer to be done.
	hard, soft context.Context
	endHard    context.CancelCauseFunc
	endSoft    context.CancelCauseFunc

	mu    sync.Mutex
	ended ending
	busy  string // the step that runs
	left  error  // why nothing is recorded any more
	wake  int64  // of a sleep it left for
}

// cancel ends the steps.
func (r *Run) cancel(n ending) {
	r.mu.Lock()
	if r.ended == goesOn {
		r.ended = n
	}
	r.mu.Unlock()
	r.endSoft(ErrCancelled)
}

// interrupt ends all steps, none of which is recorded.
func (r *Run) interrupt(why error) { r.endHard(why) }

// step is what runs, for people.
func (r *Run) step() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy
}

// leave returns err for Work to return.
func (r *Run) leave(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == nil {
		r.left = err
	}
	return r.left
}

// Step does f once and keeps what it returns: the value as JSON, of an error its text and
// which of the known errors it is. Called again, after the job was interrupted, it
// returns that without calling f. What it returns is what the JSON says the first time
// too, so that nothing can hang on what JSON does not keep. f may be called again if the
// process ends before its result is recorded.
//
// f's ctx ends when the job is cancelled, whose error is then ErrCancelled, and when
// Stop's time is over. A panic of f, not one of a goroutine that it starts, is an error
// that is ErrPanic; its stack is in the log only. What f knows to be worth another try it
// tries itself.
func Step[T any](r *Run, name string, f func(ctx context.Context) (T, error)) (T, error) {
	return step(r, name, ordinary, f)
}

// Always is Step for what has to be said at the end: it is done in a cancelled job too,
// and Cancel does not end its ctx.
func Always[T any](r *Run, name string, f func(ctx context.Context) (T, error)) (T, error) {
	return step(r, name, always, f)
}

// mode is how a step goes with the end of its job and of the engine.
type mode int

const (
	ordinary mode = iota
	always
	idle // is worth nothing when the engine stops
)

func step[T any](r *Run, name string, how mode, f func(ctx context.Context) (T, error)) (T, error) {
	var v, zero T
	out, err := r.record(name, how, func(ctx context.Context) (any, error) { return f(ctx) })
	if err == nil {
		err = r.e.errors.error(out.Failure)
	}
	if err != nil {
		return zero, err
	}
	if err := json.Unmarshal(out.Value, &v); err != nil {
		return zero, fmt.Errorf("step %q: what it returned can't be read back: %w", name, err)
	}
	return v, nil
}

// record returns what the step came to; the error is why that is not known.
func (r *Run) record(name string, how mode, f func(context.Context) (any, error)) (outcome, error) {
	if err := r.enter(name); err != nil {
		return outcome{}, err
	}
	defer r.exit()
	out, err := r.e.memo.step(r.dbos, name, func() outcome { return r.do(name, how, f) })
	switch {
	case err == nil:
		return out, nil
	case changed(err):
		return outcome{}, fmt.Errorf("step %q: the job was begun with other steps: %w", name, err)
	case errors.Is(err, ErrInterrupted):
		return outcome{}, r.leave(err)
	}
	// The database is away, or another node has recorded the step.
	r.e.log.Warn("a step can't be recorded, and its job will be gone on with", "job", r.ID, "step", name, "error", err)
	return outcome{}, r.leave(fmt.Errorf("step %q can't be recorded: %w", name, ErrInterrupted))
}

// enter refuses a step inside a step, and all once the job is to leave.
func (r *Run) enter(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy != "" {
		return fmt.Errorf("step %q: step %q runs, and a job has one at a time", name, r.busy)
	}
	if r.left == nil && r.hard.Err() != nil {
		r.left = context.Cause(r.hard)
	}
	if r.left == nil && r.e.isStopping() {
		r.left = errStopped
	}
	if r.left == nil {
		r.busy = name
	}
	return r.left
}

func (r *Run) exit() {
	r.mu.Lock()
	r.busy = ""
	r.mu.Unlock()
}

// gone returns why steps are no longer done.
func (r *Run) gone() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended.err()
}

// do calls f, and panics with leaving if what comes of it must not be recorded.
func (r *Run) do(name string, how mode, f func(context.Context) (any, error)) outcome {
	ctx := r.soft
	switch how {
	case always:
		ctx = r.hard
	case idle:
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(r.soft)
		defer context.AfterFunc(r.e.stops, func() { cancel(errStopped) })()
		defer cancel(nil)
	}
	if err := r.gone(); err != nil && how != always {
		return outcome{Failure: r.e.errors.failure(err)}
	}
	v, err := r.call(name, ctx, f)
	if r.hard.Err() != nil && (err != nil || context.Cause(r.hard) == errLost) {
		panic(leaving{context.Cause(r.hard)})
	}
	if how == idle && err != nil && context.Cause(ctx) == errStopped {
		panic(leaving{errStopped})
	}
	var part *partly
	if errors.As(err, &part) {
		v, err = part.value, part.error
	}
	out := outcome{Failure: r.e.errors.failure(err)}
	if err != nil && part == nil {
		if gone := r.gone(); gone != nil && how != always {
			if errors.Is(err, context.Canceled) {
				err = gone // "context canceled" tells people nothing
			}
			out.Failure = r.e.errors.failure(err, gone)
		}
		return out
	}
	if out.Value, err = json.Marshal(v); err != nil {
		return outcome{Failure: r.e.errors.failure(fmt.Errorf("step %q: what it returned is no JSON: %w", name, err))}
	}
	return out
}

// call makes a panic an error.
func (r *Run) call(name string, ctx context.Context, f func(context.Context) (any, error)) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			if l, ok := p.(leaving); ok {
				panic(l)
			}
			r.e.log.Error("panic", "job", r.ID, "step", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("step %q: %w: %v", name, ErrPanic, p)
		}
	}()
	return f(ctx)
}

// nap is the longest sleep that a job spends in its place.
const nap = 2 * time.Second

// Sleep waits for d since it was first called. For more than a moment the job leaves its
// place to others, in its partition too, and goes on, on any node, once that time has come
// and there is a place again. The error is ErrCancelled, or ErrInterrupted, to be returned at once.
func (r *Run) Sleep(d time.Duration) error {
	end, err := step(r, "sleep", ordinary, func(context.Context) (int64, error) { return r.e.o.Now().Add(d).UnixMicro(), nil })
	if err != nil {
		return err
	}
	// Whether it was cancelled is recorded too, as what follows hangs on it.
	_, err = step(r, "slept", idle, func(ctx context.Context) (struct{}, error) {
		rest := time.Duration(end-r.e.now()) * time.Microsecond
		if rest > nap {
			r.mu.Lock()
			r.wake = end
			r.mu.Unlock()
			panic(asleep)
		}
		t := time.NewTimer(rest)
		defer t.Stop()
		select {
		case <-t.C:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, context.Cause(ctx)
		}
	})
	return err
}

var (
	errAsleep = fmt.Errorf("asleep: %w", ErrInterrupted)
	asleep    = leaving{errAsleep}
)

// perform is what DBOS calls. Returning tells DBOS that the job has ended.
func (e *Engine) perform(d dbos.Context, id string) error {
	r := e.claim(d, id)
	if r == nil {
		// Not this process's to run: DBOS was told twice, or the job was taken away
		// since.
		if j, err := e.table.get(context.Background(), id); err == nil && j.state.Ended() {
			return nil
		}
		exit()
	}
	err := r.work()
	r.mu.Lock()
	left, wake := r.left, r.wake
	if left == nil && r.hard.Err() != nil {
		left = context.Cause(r.hard)
	}
	r.mu.Unlock()
	switch {
	case left == nil:
		left = e.finish(r, err)
	case left == errAsleep:
		mine, err := e.table.sleep(r.hard, r.job, wake)
		if err == nil && mine {
			err = e.memo.pause(id)
		}
		if err != nil || !mine {
			left = errLost // watch takes care if it was not lost
		}
	}
	e.release(r)
	switch left {
	case nil:
		return nil
	case errAsleep:
		return errAsleep // of a paused job, which DBOS leaves paused
	case errStopped:
		// Once DBOS stops it records nothing of a job whose error is a cancelled
		// context; any other error it may still take for the job's end.
		<-d.Done()
		return context.Canceled
	}
	exit()
	return nil
}

// exit leaves a goroutine of DBOS without an end of the job being recorded, as a return
// would do; its deferred functions set the job free to be started again.
func exit() { runtime.Goexit() }

// claim returns nil if this process has not taken the job.
func (e *Engine) claim(d dbos.Context, id string) *Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.starting[id]
	if s == nil || e.runs[id] != nil || e.isStopping() {
		return nil
	}
	delete(e.starting, id)
	r := &Run{ID: id, First: s.job.first, Kind: s.job.kind, Attempt: s.job.attempt, Input: s.job.input, e: e, job: s.job, dbos: d, over: make(chan struct{}), ended: s.job.ended}
	r.hard, r.endHard = context.WithCancelCause(context.Background())
	r.soft, r.endSoft = context.WithCancelCause(r.hard)
	if r.ended != goesOn {
		r.endSoft(ErrCancelled)
	}
	e.runs[id] = r
	return r
}

// release frees the job's place.
func (e *Engine) release(r *Run) {
	r.endHard(ErrInterrupted)
	e.mu.Lock()
	delete(e.runs, r.ID)
	e.mu.Unlock()
	close(r.over)
	e.nudge()
}

// work calls the job's function.
func (r *Run) work() (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.e.log.Error("panic", "job", r.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: %v", ErrPanic, p)
		}
	}()
	return r.e.kinds[r.Kind].work(r.soft, r)
}

// finish writes how the job ended, and returns why it could not.
func (e *Engine) finish(r *Run, err error) error {
	state := Done
	switch gone := r.gone(); {
	case err == nil:
	case errors.Is(gone, ErrCancelled):
		state = Cancelled
	default:
		state = Failed
	}
	f := e.errors.failure(err, r.gone())
	for {
		mine, err := e.table.finish(r.hard, r.job, state, f, e.now())
		if err == nil {
			if !mine {
				return errLost
			}
			e.tell(r.ID)
			return nil
		}
		if r.hard.Err() != nil {
			return context.Cause(r.hard)
		}
		e.log.Warn("the end of a job can't be written yet", "job", r.ID, "error", err)
		select {
		case <-time.After(e.o.Poll):
		case <-r.hard.Done():
		}
	}
}
