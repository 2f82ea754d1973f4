package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Child is a job that another waits for.
type Child struct {
	Queue     string
	Partition string // one at a time of a queue's partition, on all nodes; "": no such limit
	Kind, ID  string
	Input     []byte
}

// Child adds a job and waits for its end, whose error it returns. A job of that id that
// is there already is waited for; one that ended badly before this attempt of the parent
// is restarted. If the parent is cancelled the child is too.
func (r *Run) Child(queue, partition, kind, id string, input []byte) error {
	return r.Children(Child{queue, partition, kind, id, input})[0]
}

// Children is Child for several at once. The errors are in their order; if the parent is
// cancelled or interrupted, all are that.
func (r *Run) Children(children ...Child) []error {
	errs := make([]error, len(children))
	ids := make([]string, len(children))
	for i, c := range children {
		ids[i] = c.ID
		if _, known := r.e.kinds[c.Kind]; !known {
			errs[i] = fmt.Errorf("child %s: nobody handles jobs of kind %q", c.ID, c.Kind)
		} else if c.Queue == r.job.queue {
			errs[i] = fmt.Errorf("child %s: its parent has a place in the queue %q and could have the last: it needs another queue", c.ID, c.Queue)
		}
	}
	if errors.Join(errs...) != nil {
		return errs
	}
	r.e.mu.Lock()
	for _, c := range children {
		r.e.queues[c.Queue] = true
	}
	r.e.mu.Unlock()
	out, err := r.record("wait for "+strings.Join(ids, ", "), idle, func(ctx context.Context) (any, error) { return r.children(ctx, children) })
	ends := make([]*failure, len(children))
	if err == nil && out.Value != nil {
		err = json.Unmarshal(out.Value, &ends)
	} else if err == nil {
		err = r.e.errors.error(out.Failure)
	}
	for i := range errs {
		errs[i] = err
		if err == nil && i < len(ends) {
			errs[i] = r.e.errors.error(ends[i])
		}
	}
	return errs
}

// partly is the error of a step that failed and has a value too.
type partly struct {
	value any
	error
}

// children returns how each of them ended.
func (r *Run) children(ctx context.Context, children []Child) (any, error) {
	ids := make([]string, len(children))
	ends := make([]*failure, len(children))
	err := r.each(ctx, children, func(i int) (err error) {
		ids[i], err = r.e.child(ctx, r.ID, children[i])
		return err
	})
	if err == nil {
		err = r.each(ctx, children, func(i int) error {
			j, err := r.e.wait(ctx, ids[i])
			if err == nil {
				ends[i] = j.failure
			}
			return err
		})
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrCancelled) {
			r.cancelChildren()
		}
		return nil, context.Cause(ctx)
	}
	for i, f := range ends {
		if f != nil {
			return nil, &partly{ends, fmt.Errorf("%s: %w", children[i].ID, r.e.errors.error(f))}
		}
	}
	return ends, nil
}

// each repeats f for a child until it works or ctx ends, so an error says that ctx has.
func (r *Run) each(ctx context.Context, children []Child, f func(i int) error) error {
	for i, c := range children {
		for {
			err := f(i)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
			r.e.log.Warn("a child can't be looked after yet", "job", r.ID, "child", c.ID, "error", err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(r.e.o.Poll):
			}
		}
	}
	return nil
}

// cancelChildren cancels those that this attempt added, and waits for those that run to
// notice.
func (r *Run) cancelChildren() {
	// All at once: where one of a partition ends the next would begin.
	if err := r.e.table.cancelChildren(r.hard, r.ID); err != nil {
		r.e.log.Warn("children can't be cancelled", "job", r.ID, "error", err)
		return
	}
	children, err := r.e.table.jobs(r.hard, "WHERE ended = 0 AND parent = ?", r.ID)
	if err != nil {
		r.e.log.Warn("children can't be looked after", "job", r.ID, "error", err)
	}
	for _, j := range children {
		r.e.cancelHere(j.id)
	}
	for _, j := range children {
		if j.state == Running {
			r.e.wait(r.hard, j.id)
		}
	}
}

// latest returns the last attempt, or nil.
func (e *Engine) latest(ctx context.Context, first string) (*job, error) {
	all, err := e.table.jobs(ctx, "WHERE first = ? ORDER BY attempt DESC LIMIT 1", first)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// child makes sure that there is a job of that id to wait for, and returns its id or
// that of the attempt.
func (e *Engine) child(ctx context.Context, parent string, c Child) (string, error) {
	for {
		j, err := e.latest(ctx, c.ID)
		if err != nil {
			return "", err
		}
		if j == nil {
			j := &job{id: c.ID, kind: c.Kind, queue: c.Queue, parent: parent, first: c.ID, attempt: 1, input: c.Input, created: e.now()}
			if c.Partition != "" {
				j.group, j.exclusive = "partition "+c.Partition, true
			}
			if _, err := e.table.insert(ctx, j); err != nil {
				return "", err
			}
			e.nudge()
			return c.ID, nil
		}
		switch {
		case j.parent == parent || j.state == Done || !j.state.Ended() && j.ended == goesOn:
			return j.id, nil
		case j.state.Ended():
			return e.restart(ctx, j, parent)
		}
		// It was cancelled with an earlier parent, and is about to end.
		if _, err := e.wait(ctx, j.id); err != nil {
			return "", err
		}
	}
}
