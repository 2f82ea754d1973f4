// Package reconcile repairs what events alone would miss. On each node a Loop runs
// tasks at their intervals, and of all nodes one at a time runs a task:
//
//	deliveries  asks GitHub to send webhooks again that did not arrive
//	accounts    compares installations and their repositories with GitHub's lists
//	tags        finds tags and releases that no event told of
//	keys        warns before signing keys expire
//	sites       has indexes signed again before their Valid-Until
//	clean       deletes what is old
//	nodes       hands over what dead nodes were doing
//
// Every task may run twice, or end in the middle: what it finds is handed on by ids
// that are known when they come again, and what it remembers is kept in the store's
// settings, below "reconcile/".
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// Options of a Loop. Store, Node and the functions from GitHub to Resign have no
// defaults.
type Options struct {
	Store *store.Store
	Node  string // names this process among all nodes

	// GitHub returns the App; nil as long as it is not made: tasks that need it wait.
	GitHub func() *github.App
	// Enqueue has a tag released. It is called again for what is known already after a
	// crash, and from several nodes one after the other.
	Enqueue func(ctx context.Context, t Trigger) error
	// Recover takes over what a dead node was doing: engine.Recover.
	Recover func(ctx context.Context, node string) error
	// Resign signs a site's indexes again and has Published called. ErrGone says that
	// the site is no more.
	Resign func(ctx context.Context, s Site) error

	Warn    func(ctx context.Context, w Warning) error // that a key expires; nil opens or comments an issue
	KeyPage func(scope string) string                  // where people renew a key, for the issue; nil says nothing
	Sweep   func(ctx context.Context) error            // deletes what is old elsewhere: spools, the engine's jobs; nil for nothing
	Clean   store.CleanOptions

	Every Intervals
	Now   func() time.Time                                 // nil means time.Now; the same clock as the store's
	Wait  func(ctx context.Context, d time.Duration) error // returns early when ctx ends; nil waits by the clock
	Rand  func() float64                                   // in [0,1), spreads the nodes' turns; nil: random
	Log   *slog.Logger                                     // nil drops
}

// Intervals say how often tasks run; 0 is the default.
type Intervals struct {
	Beat       time.Duration // 15 s; a node that is silent for four of them is dead
	Nodes      time.Duration // 20 s
	Deliveries time.Duration // 5 min
	Accounts   time.Duration // 6 h
	Tags       time.Duration // 1 min: a share of the repositories each time
	Round      time.Duration // 30 min: all repositories
	Keys       time.Duration // 12 h
	Sites      time.Duration // 5 min; Valid-Until is an hour at least
	Clean      time.Duration // 6 h
}

// Loop runs the tasks. Its methods may be called concurrently, but each task's own
// method by one goroutine of all nodes at a time: Run sees to that.
type Loop struct {
	o    Options
	log  *slog.Logger
	seen map[int64]bool // repositories that the task tags has visited at least once
}

// New only prepares; Run works.
func New(o Options) *Loop {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Every.Beat, 15 * time.Second}, {&o.Every.Nodes, 20 * time.Second}, {&o.Every.Deliveries, 5 * time.Minute}, {&o.Every.Accounts, 6 * time.Hour}, {&o.Every.Tags, time.Minute},
		{&o.Every.Round, 30 * time.Minute}, {&o.Every.Keys, 12 * time.Hour}, {&o.Every.Sites, 5 * time.Minute}, {&o.Every.Clean, 6 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	l := &Loop{o: o, log: o.Log, seen: make(map[int64]bool)}
	if l.o.Warn == nil {
		l.o.Warn = l.issue
	}
	return l
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// task is one kind of work.
type task struct {
	name  string
	every time.Duration
	lasts time.Duration // the lease; the work is stopped a little before
	run   func(ctx context.Context) error
}

func (l *Loop) tasks() []task {
	e := l.o.Every
	return []task{
		{"nodes", e.Nodes, time.Minute, l.Nodes},
		{"deliveries", e.Deliveries, 5 * time.Minute, l.Deliveries},
		{"accounts", e.Accounts, 30 * time.Minute, l.Accounts},
		{"tags", e.Tags, 10 * time.Minute, l.Tags},
		{"keys", e.Keys, 10 * time.Minute, l.Keys},
		{"sites", e.Sites, 30 * time.Minute, l.Sites},
		{"clean", e.Clean, time.Hour, l.Clean},
	}
}

// Run works until ctx ends; no task runs any more when it returns. One goroutine per
// task, so that a long one does not keep the others.
func (l *Loop) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			if err := l.o.Store.Beat(ctx, l.o.Node); err != nil && ctx.Err() == nil {
				l.log.Error("this node can't say that it lives; others may take over what it does", "err", err)
			}
			if l.o.Wait(ctx, l.o.Every.Beat) != nil {
				return
			}
		}
	})
	for _, t := range l.tasks() {
		all.Go(func() {
			next := time.Duration(float64(min(t.every, time.Minute)) * l.o.Rand())
			for l.o.Wait(ctx, next) == nil {
				next = l.turn(ctx, t)
			}
		})
	}
	all.Wait()
}

// turn runs a task if it is due and no other node runs it, and says when to look
// again.
func (l *Loop) turn(ctx context.Context, t task) time.Duration {
	log := l.log.With("task", t.name)
	taken, until, err := l.o.Store.TakeLease(ctx, "reconcile "+t.name, l.o.Node, t.lasts)
	if err != nil {
		if ctx.Err() == nil {
			log.Error("no turn; trying on", "err", err)
		}
		return min(t.every, time.Minute)
	}
	if !taken {
		return max(time.Second, until.Sub(l.o.Now())) + time.Duration(float64(t.every)/10*l.o.Rand())
	}
	work, stop := context.WithTimeout(ctx, t.lasts*9/10)
	err = guarded(work, t.run)
	stop()
	next := l.jitter(t.every)
	var limit *github.Limit
	switch {
	case ctx.Err() != nil:
		next = 0 // another node may begin
	case errors.As(err, &limit):
		next = max(next, limit.Until.Sub(l.o.Now())+time.Duration(float64(time.Minute)*l.o.Rand()))
		log.Info("waits for GitHub", "err", err, "next", next)
	case err != nil:
		log.Warn("not all was done", "err", err, "next", next)
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := l.o.Store.EndLease(end, "reconcile "+t.name, l.o.Node, l.o.Now().Add(next)); err != nil {
		log.Error("the turn is not ended; it ends by itself", "err", err)
	}
	return next
}

// jitter keeps nodes and tasks from meeting at each turn.
func (l *Loop) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*l.o.Rand()))
}

// guarded makes an error of a panic: the loop goes on.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("an error in DistroPack itself: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// load reads a setting into v; false if there is none.
func (l *Loop) load(ctx context.Context, name string, v any) (bool, error) {
	return load(ctx, l.o.Store, name, v)
}

func load(ctx context.Context, s *store.Store, name string, v any) (bool, error) {
	b, err := s.Setting(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("setting %s: %w", name, err)
	}
	return true, nil
}

func (l *Loop) save(ctx context.Context, name string, v any) error {
	return save(ctx, l.o.Store, name, v)
}

func save(ctx context.Context, s *store.Store, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return s.SetSetting(ctx, name, b)
}

// Clean deletes what is old.
func (l *Loop) Clean(ctx context.Context) error {
	n, err := l.o.Store.Clean(ctx, l.o.Clean)
	if n > 0 {
		l.log.Info("deleted what is old", "rows", n)
	}
	if l.o.Sweep != nil {
		err = errors.Join(err, l.o.Sweep(ctx))
	}
	return err
}

// Nodes hands over what nodes did that have been silent for four beats.
func (l *Loop) Nodes(ctx context.Context) error {
	dead, err := l.o.Store.StaleNodes(ctx, 4*l.o.Every.Beat)
	if err != nil {
		return err
	}
	var errs []error
	for _, node := range dead {
		if node == l.o.Node {
			continue
		}
		if err := l.o.Recover(ctx, node); err != nil {
			errs = append(errs, fmt.Errorf("node %s is silent: %w", node, err))
			continue
		}
		l.log.Warn("a silent node's work was taken over", "node", node)
		// It says that it lives with its next beat, if it does.
		errs = append(errs, l.o.Store.ForgetNode(ctx, node))
	}
	return errors.Join(errs...)
}
