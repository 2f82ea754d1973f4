package release

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/store"
)

// The kinds of legs.
const (
	legFetch   = "fetch"
	legAssets  = "assets"
	legPackage = "package"
	legAttach  = "attach"
	legSite    = "site"
	legProbe   = "probe"
)

// recorder writes legs and lines of the log, not more often than people can read.
// It may be used concurrently.
type recorder struct {
	j    *job
	ctx  context.Context
	stop context.CancelFunc
	end_ sync.WaitGroup

	mu    sync.Mutex
	legs  []*store.Leg // in the order in which they were begun
	dirty map[*store.Leg]bool
	lines []store.LogLine
	red   check.Redactor
}

// flushEvery is how often a recorder writes.
const flushEvery = 250 * time.Millisecond

// maxLines is how many lines are kept between two writes; more are dropped, and
// counted.
const maxLines = 5000

// record begins to record a step; close writes what is left. ctx may end before.
func (j *job) record(ctx context.Context) *recorder {
	r := &recorder{j: j, dirty: map[*store.Leg]bool{}}
	// What happened before a cancel is to be seen as well.
	r.ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.end_.Go(func() {
		t := time.NewTicker(flushEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				r.flush()
				r.j.tellNow(ctx, r.j.in.Release)
			case <-r.ctx.Done():
				return
			}
		}
	})
	return r
}

func (r *recorder) close() {
	r.stop()
	r.end_.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 5*time.Second)
	defer cancel()
	r.ctx = ctx
	r.flush()
}

func (r *recorder) flush() {
	r.mu.Lock()
	lines := r.lines
	r.lines = nil
	var legs []store.Leg
	for _, l := range r.legs {
		if r.dirty[l] {
			legs = append(legs, *l)
		}
	}
	clear(r.dirty)
	r.mu.Unlock()
	for i := range legs {
		if err := r.j.Store.SetLeg(r.ctx, &legs[i]); err != nil && r.ctx.Err() == nil {
			r.j.log.Warn("a part of a release can't be written", "release", r.j.in.Release, "leg", legs[i].Name, "err", err)
		}
	}
	if len(lines) > 0 {
		if err := r.j.Store.AppendLog(r.ctx, r.j.in.Release, lines); err != nil && r.ctx.Err() == nil {
			r.j.log.Warn("lines can't be added to a release's log", "release", r.j.in.Release, "err", err)
		}
	}
}

// leg finds a leg or begins it.
func (r *recorder) leg(kind, name string) *store.Leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.legs, func(l *store.Leg) bool { return l.Name == name }); i >= 0 {
		return r.legs[i]
	}
	l := &store.Leg{Release: r.j.in.Release, Name: name, Kind: kind, State: store.Waiting}
	r.legs = append(r.legs, l)
	r.dirty[l] = true
	return l
}

// set changes a leg.
func (r *recorder) set(l *store.Leg, f func(*store.Leg)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(l)
	r.dirty[l] = true
}

func (r *recorder) begin(kind, name string) *store.Leg {
	l := r.leg(kind, name)
	r.set(l, func(l *store.Leg) {
		l.State, l.Started, l.Ended, l.Short, l.Detail = store.Running, r.j.Now(), time.Time{}, "", ""
	})
	return l
}

func (r *recorder) end(l *store.Leg, err error) {
	short, detail := check.Explain(err)
	r.set(l, func(l *store.Leg) {
		l.State, l.Ended, l.Short, l.Detail = store.Done, r.j.Now(), short, detail
		if err != nil {
			l.State = store.Failed
		}
	})
}

// say adds a line.
func (r *recorder) say(leg, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == maxLines {
		text = "… some lines are left out here, since they came too fast"
	}
	if len(r.lines) > maxLines {
		return
	}
	r.lines = append(r.lines, store.LogLine{At: r.j.Now(), Leg: leg, Text: r.red.Redact(text)})
}
