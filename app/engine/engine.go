// Package engine runs jobs that outlive the process: a job is a function whose finished
// steps are never repeated, on SQLite inside one process or on Postgres with many nodes.
//
// Two things are kept. The table of jobs (engine_jobs) says what waits, what runs, and
// on which node; it alone decides who may run a job, so a job has one runner at a time.
// DBOS (https://github.com/dbos-inc/dbos-transact-golang) keeps what each step
// returned; nothing but this package imports it. A job that is run again, after a crash
// or a sleep, calls its function from the start, and steps that are recorded return what
// they returned then.
//
// A step may have happened although it is not recorded: the process may end in between.
// So each step must be right to repeat. What runs between the steps must do the same
// each time: no clock, no randomness, no reading of the world.
//
// What is refused: two steps of a job at once, a child in the queue of its parent, which
// could wait for its own place, and steps of another order than those recorded.
package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of an Engine.
type Options struct {
	// URL is store's: sqlite:/path/app.db, sqlite::memory: or postgres://… On SQLite
	// the engine has a file of its own beside it, /path/app-engine.db: steps must not
	// wait for webhooks nor webhooks for steps. A backup takes both.
	URL    string
	Schema string // of Postgres; "" means engine

	// Node names this process among all that use the database; a restarted process
	// should have the same name, and goes on with what it was doing.
	Node string
	// Version is that of the jobs' steps. A job that was begun is only gone on with
	// under the same version, so it changes when steps of begun jobs would no longer
	// fit, and not with each build.
	Version string

	Log             *slog.Logger     // nil: nothing is logged
	Workers         int              // jobs of a queue at once on this node; 0 means 8
	PerInstallation int              // jobs of an installation at once in a queue on all nodes; 0 means half of Workers
	Poll            time.Duration    // how often the database is asked what other nodes did; 0 means 500 ms
	Errors          map[string]error // errors that errors.Is shall find in a step's error that was read back, by a name that stays
	Now             func() time.Time // nil means time.Now
}

// Work is what a job does. ctx ends when the job is cancelled or taken from this node;
// an error of a Step that is ErrInterrupted is to be returned at once. The error it
// returns is the job's.
type Work func(ctx context.Context, r *Run) error

// kind is what Handle was given.
type kind struct {
	queue string
	work  Work
}

// Engine is safe for concurrent use.
type Engine struct {
	o      Options
	run    string // tells this process from earlier ones of the same node
	log    *slog.Logger
	kinds  map[string]kind
	table  *table
	memo   *memo
	errors sentinels

	wake     chan struct{}   // capacity 1: there may be something to start
	stops    context.Context // ends with Stop
	endStops context.CancelFunc
	stop     sync.Once
	grace    time.Duration
	loopEnd  func()         // and waits until it has
	tasks    sync.WaitGroup // what the loop starts

	mu       sync.Mutex
	started  bool
	runs     map[string]*Run      // what runs here
	starting map[string]*starting // what was taken and does not run yet
	waiters  map[string]*waiter
	queues   map[string]bool // that are known here
	goodbyes bool            // a job was cancelled that may wait
}

// starting is a job on its way from the table to its function.
type starting struct {
	job   *job
	since time.Time
}

// New opens the database and makes what is missing in it. Jobs are run from Start on;
// until then they can be added and looked at.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Node == "" || o.Version == "" {
		return nil, errors.New("engine: it needs a name of its node and a version of its jobs")
	}
	o.Workers = cmp.Or(o.Workers, 8)
	o.PerInstallation = cmp.Or(o.PerInstallation, max(1, o.Workers/2))
	o.Poll = cmp.Or(o.Poll, 500*time.Millisecond)
	o.Schema = cmp.Or(o.Schema, "engine")
	if o.Workers < 0 || o.PerInstallation < 0 || o.Poll < 0 {
		return nil, fmt.Errorf("engine: %d workers, %d per installation, %s: want nothing below 0", o.Workers, o.PerInstallation, o.Poll)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{
		o: o, run: rand.Text()[:10], log: o.Log, kinds: map[string]kind{}, errors: newSentinels(o.Errors),
		wake: make(chan struct{}, 1), grace: stopGrace,
		runs: map[string]*Run{}, starting: map[string]*starting{}, waiters: map[string]*waiter{}, queues: map[string]bool{},
	}
	e.stops, e.endStops = context.WithCancel(context.Background())
	var err error
	if e.table, e.memo, err = open(ctx, o, e.run, e.perform); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return e, nil
}

// Handle says how jobs of a kind are done, and in which queue they wait. To be called
// before Start.
func (e *Engine) Handle(name, queue string, w Work) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, there := e.kinds[name]; there || e.started {
		panic("engine: kind " + name + " is handled twice, or after Start") // a mistake in the program, found at its first start
	}
	e.kinds[name] = kind{queue, w}
	e.queues[queue] = true
}

// Start runs jobs, those first that this node was running when it ended, until Stop. ctx
// is for the start alone.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	already := e.started
	e.started = true
	e.mu.Unlock()
	if already {
		return errors.New("engine: it is started already")
	}
	if _, err := e.recover(ctx, e.o.Node); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := e.memo.launch(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if n, versions, err := e.table.stranded(ctx, e.o.Version); err == nil && n > 0 {
		e.log.Warn("jobs wait for a node with the version they were begun with", "jobs", n, "versions", versions, "version", e.o.Version)
	}
	loop, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	e.loopEnd = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		e.loop(loop)
	}()
	return nil
}

// stopGrace is how long steps may take to end once they were interrupted.
const stopGrace = 5 * time.Second

// Stop takes no more jobs, lets steps that run go on for at most timeout, interrupts
// those that run then, and closes the database. Jobs that have not ended wait for any
// node, this one after its restart too; only the interrupted step is repeated. The error
// names steps that did not end though they were interrupted.
func (e *Engine) Stop(timeout time.Duration) (err error) {
	e.stop.Do(func() { err = e.shutdown(timeout) })
	return err
}

func (e *Engine) shutdown(timeout time.Duration) error {
	e.mu.Lock() // so that claim sees either this, or Stop what was claimed
	e.endStops()
	e.mu.Unlock()
	left := e.drain(timeout)
	for _, r := range left {
		r.interrupt(errStopped)
	}
	var stuck []string
	var keep []string
	for _, r := range e.drain(e.grace) {
		stuck = append(stuck, fmt.Sprintf("%s (%s)", r.ID, r.step()))
		keep = append(keep, r.ID)
	}
	if e.loopEnd != nil {
		e.loopEnd()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	err := e.table.release(ctx, e.o.Node, e.run, keep, e.now())
	err = errors.Join(err, e.memo.close(ctx))
	e.tasks.Wait()
	err = errors.Join(err, e.table.close())
	if len(stuck) > 0 {
		slices.Sort(stuck)
		err = errors.Join(err, fmt.Errorf("engine: steps still run that were told to end: %s", strings.Join(stuck, ", ")))
	}
	return err
}

// drain waits until nothing runs here, at most for d, and returns what still does.
func (e *Engine) drain(d time.Duration) []*Run {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		e.mu.Lock()
		var runs []*Run
		for _, r := range e.runs {
			runs = append(runs, r)
		}
		e.mu.Unlock()
		if len(runs) == 0 {
			return nil
		}
		select {
		case <-runs[0].over:
		case <-end.C:
			return runs
		}
	}
}

func (e *Engine) now() int64 { return e.o.Now().UnixMicro() }

// nudge has the loop look at once.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
