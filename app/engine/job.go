package engine

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// State of a job.
type State string

// A job that sleeps or was interrupted is waiting.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended says whether nothing will change any more.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Status of a job.
type Status struct {
	ID, Kind, Queue, Parent string
	Attempt                 int
	State                   State
	Cancel                  bool   // it was cancelled, and ends soon or has
	Node                    string // that runs it
	Err                     error  // of a job that failed or was cancelled; errors.Is works as in a step
	Created, Started, Ended time.Time
	Wake                    time.Time // it sleeps until then
}

func (e *Engine) status(j *job) Status {
	at := func(us int64) time.Time {
		if us == 0 {
			return time.Time{}
		}
		return time.UnixMicro(us)
	}
	s := Status{ID: j.id, Kind: j.kind, Queue: j.queue, Parent: j.parent, Attempt: j.attempt, State: j.state, Cancel: j.ended == cancelled, Node: j.node,
		Err: e.errors.error(j.failure), Created: at(j.created), Started: at(j.startedAt), Ended: at(j.endedAt)}
	if j.state == Waiting {
		s.Wake = at(j.wake)
	}
	return s
}

// Enqueue adds a job to the queue of its kind, once per id: if the id is known nothing
// happens. At most PerInstallation jobs of an installation run at once in a queue, and
// the one that runs least is served first; "" is none and has no such limit.
func (e *Engine) Enqueue(ctx context.Context, kind, id, installation string, input []byte) error {
	k, known := e.kinds[kind]
	if !known || id == "" {
		return fmt.Errorf("job %q: nobody handles jobs of kind %q, or it has no id", id, kind)
	}
	j := &job{id: id, kind: kind, queue: k.queue, first: id, attempt: 1, input: input, created: e.now()}
	if installation != "" {
		j.group = "installation " + installation
	}
	if _, err := e.table.insert(ctx, j); err != nil {
		return err
	}
	e.nudge()
	return nil
}

// Status returns ErrNotFound if there is no such job.
func (e *Engine) Status(ctx context.Context, id string) (Status, error) {
	j, err := e.table.get(ctx, id)
	if err != nil {
		return Status{}, err
	}
	return e.status(j), nil
}

// Steps are those that ended, in their order.
func (e *Engine) Steps(ctx context.Context, id string) ([]StepInfo, error) {
	if _, err := e.table.get(ctx, id); err != nil {
		return nil, err
	}
	return e.memo.steps(ctx, id, e.errors)
}

// Wait returns once the job has ended.
func (e *Engine) Wait(ctx context.Context, id string) (Status, error) {
	j, err := e.wait(ctx, id)
	if err != nil {
		return Status{}, err
	}
	return e.status(j), nil
}

// waiter is told of a job's end here; that on another node is seen by asking.
type waiter struct {
	n     int
	ended chan struct{}
}

func (e *Engine) wait(ctx context.Context, id string) (*job, error) {
	e.mu.Lock()
	w := e.waiters[id]
	if w == nil {
		w = &waiter{ended: make(chan struct{})}
		e.waiters[id] = w
	}
	w.n++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		if w.n--; w.n == 0 && e.waiters[id] == w {
			delete(e.waiters, id)
		}
		e.mu.Unlock()
	}()
	timer := time.NewTicker(e.o.Poll)
	defer timer.Stop()
	told := w.ended
	for {
		j, err := e.table.get(ctx, id)
		if err != nil || j.state.Ended() {
			return j, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-told:
			told = nil
		case <-timer.C:
		}
	}
}

// tell wakes those who wait for the end of a job.
func (e *Engine) tell(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.waiters[id]; w != nil {
		close(w.ended)
		delete(e.waiters, id)
	}
}

// Cancel ends a job: the ctx of the step that runs ends, at once here and within Poll on
// another node, all further ones are ErrCancelled, and Always still works. A job that
// waits is begun for that, ahead of all. Nothing happens to a job that has ended.
func (e *Engine) Cancel(ctx context.Context, id string) error {
	some, err := e.table.cancel(ctx, id)
	if err != nil {
		return fmt.Errorf("job %s: %w", id, err)
	}
	if !some {
		_, err := e.table.get(ctx, id)
		return err
	}
	e.cancelHere(id)
	return nil
}

// cancelHere does at once what watch would do, once the table says so.
func (e *Engine) cancelHere(id string) {
	e.mu.Lock()
	r := e.runs[id]
	e.goodbyes = true
	e.mu.Unlock()
	if r != nil {
		r.cancel(cancelled)
	}
	e.nudge()
}

// Restart begins a job that failed or was cancelled once more, under a new id, which is
// the first one with ~2, ~3 and so on. It keeps the steps before the first that failed;
// children that ended well are not repeated either. Restarting an attempt twice gives
// the same id.
func (e *Engine) Restart(ctx context.Context, id string) (newID string, err error) {
	j, err := e.table.get(ctx, id)
	if err != nil {
		return "", err
	}
	if j.state != Failed && j.state != Cancelled {
		return "", fmt.Errorf("job %s: it is %s, and only what failed or was cancelled can be restarted", id, j.state)
	}
	return e.restart(ctx, j, j.parent)
}

func (e *Engine) restart(ctx context.Context, old *job, parent string) (string, error) {
	newID := old.first + "~" + strconv.Itoa(old.attempt+1)
	steps, err := e.memo.steps(ctx, old.id, e.errors)
	if err != nil {
		return "", fmt.Errorf("job %s: %w", old.id, err)
	}
	keep := 0
	for keep < len(steps) && steps[keep].Err == nil {
		keep++
	}
	if err := e.memo.fork(ctx, old.id, newID, keep); err != nil {
		return "", fmt.Errorf("job %s: %w", newID, err)
	}
	j := &job{id: newID, kind: old.kind, queue: old.queue, group: old.group, exclusive: old.exclusive, parent: parent, first: old.first, attempt: old.attempt + 1,
		input: old.input, version: e.o.Version, starts: 1, created: e.now()}
	if _, err := e.table.insert(ctx, j); err != nil {
		return "", err
	}
	e.nudge()
	return newID, nil
}

// Recover has the jobs of a node that is dead wait for any node. If it lives after all,
// it loses them: its steps end within Poll and record nothing. Of several nodes that
// call it at once each job is found by one. A job whose node died too often while it ran
// is given up: its steps are ErrGivenUp from then on, and Always still works.
func (e *Engine) Recover(ctx context.Context, node string) error {
	if node == e.o.Node {
		return fmt.Errorf("node %s is this one, which lives", node)
	}
	n, err := e.recover(ctx, node)
	if err != nil {
		return fmt.Errorf("node %s: %w", node, err)
	}
	if n > 0 {
		e.log.Info("jobs of a dead node were taken over", "node", node, "jobs", n)
	}
	e.nudge()
	return nil
}

func (e *Engine) recover(ctx context.Context, node string) (int64, error) {
	n, err := e.table.recover(ctx, node)
	if err != nil {
		return 0, err
	}
	return n, e.memo.forget(ctx, node)
}

// Count is how many jobs of a queue wait and run, on all nodes.
type Count struct {
	Queue            string
	Waiting, Running int
}

// Counts are in the order of the queues' names; those without jobs are left out.
func (e *Engine) Counts(ctx context.Context) ([]Count, error) {
	rows, err := e.table.db.QueryContext(ctx, e.table.query(`SELECT queue, COALESCE(SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END), 0)
		FROM engine_jobs WHERE ended = 0 GROUP BY queue ORDER BY queue`))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Count
	for rows.Next() {
		var c Count
		if err := rows.Scan(&c.Queue, &c.Waiting, &c.Running); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// cleanAtOnce is how many jobs one transaction removes.
const cleanAtOnce = 200

// Clean forgets jobs that ended before a time, with their steps, and returns how many.
// Their ids are new to Enqueue then.
func (e *Engine) Clean(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		all, err := e.table.jobs(ctx, fmt.Sprintf("WHERE ended > 0 AND ended < ? ORDER BY ended LIMIT %d", cleanAtOnce), before.UnixMicro())
		if err != nil || len(all) == 0 {
			return n, err
		}
		var ids []string
		for _, j := range all {
			ids = append(ids, j.id)
		}
		// The steps first: without the job nobody would find them again.
		if err := e.memo.remove(ctx, ids); err != nil {
			return n, err
		}
		for _, id := range ids {
			if _, err := e.table.exec(ctx, "DELETE FROM engine_jobs WHERE id = ?", id); err != nil {
				return n, err
			}
			n++
		}
	}
}
