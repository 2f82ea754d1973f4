package engine

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// loop starts what waits and watches over what runs here.
func (e *Engine) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	ok := true
	for {
		var err error
		tick := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			tick = true
			err = e.watch(ctx)
			wait := e.o.Poll
			if err != nil {
				wait *= 10 // the database is away
			}
			timer.Reset(wait)
		case <-e.wake:
		}
		if err == nil && (tick || e.idle()) {
			err = e.dispatch(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && ok {
			e.log.Error("jobs can't be looked after", "error", err)
		}
		ok = err == nil
	}
}

// startAgain is after how long a job that was taken and does not run is started again.
const startAgain = 5 * time.Second

// watch compares what the table says this process runs with what runs: jobs that were
// cancelled, that others have taken, and those whose start went wrong.
func (e *Engine) watch(ctx context.Context) error {
	e.mu.Lock()
	here := maps.Clone(e.runs)
	e.mu.Unlock()
	rows, err := e.table.jobs(ctx, "WHERE ended = 0 AND state = 'running' AND node = ? AND run = ?", e.o.Node, e.run)
	if err != nil {
		return err
	}
	mine := map[string]bool{}
	for _, j := range rows {
		mine[j.id] = true
		if r := here[j.id]; r != nil {
			if j.ended != goesOn {
				r.cancel(j.ended)
			}
			continue
		}
		e.mu.Lock()
		_, runs := e.runs[j.id]
		s := e.starting[j.id]
		again := !runs && (s == nil || time.Since(s.since) > startAgain) && !e.isStopping()
		if again {
			e.starting[j.id] = &starting{j, time.Now()}
		}
		e.mu.Unlock()
		if again {
			e.tasks.Go(func() { e.begin(j, false) })
		}
	}
	for id, r := range here {
		if !mine[id] {
			r.interrupt(errLost) // or it has just ended, and does not mind
		}
	}
	return nil
}

func (e *Engine) isStopping() bool { return e.stops.Err() != nil }

// idle says whether there may be something to start, as far as is known here: a queue
// has a worker that is free, or a job was cancelled.
func (e *Engine) idle() bool {
	used := e.used()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.goodbyes {
		e.goodbyes = false
		return true
	}
	for q := range e.queues {
		if q != "" && used[q] < e.o.Workers {
			return true
		}
	}
	return false
}

// dispatch takes as many waiting jobs as the limits allow and starts them.
func (e *Engine) dispatch(ctx context.Context) error {
	if e.isStopping() || len(e.kinds) == 0 {
		return nil
	}
	// Without a lock at first: mostly there is nothing.
	waiting, err := e.waiting(ctx, e.table.db)
	if err != nil {
		return err
	}
	used := e.used()
	if len(choose(waiting, nil, used, e.o.Workers, e.o.PerInstallation)) == 0 {
		return nil
	}
	type taken struct {
		job   *job
		fresh bool
	}
	var take []taken
	err = e.table.tx(ctx, func(tx *sql.Tx) error {
		if err := e.table.lock(ctx, tx); err != nil {
			return err
		}
		waiting, err := e.waiting(ctx, tx)
		if err != nil {
			return err
		}
		running, err := e.running(ctx, tx)
		if err != nil {
			return err
		}
		for _, c := range choose(waiting, running, used, e.o.Workers, e.o.PerInstallation) {
			row := tx.QueryRowContext(ctx, e.table.query(`UPDATE engine_jobs SET state = 'running', node = ?, run = ?, version = ?, starts = starts + 1,
				started = CASE WHEN started = 0 THEN ? ELSE started END WHERE id = ? AND state = 'waiting' RETURNING `+columns),
				e.o.Node, e.run, e.o.Version, e.now(), c.id)
			j, err := scan(row)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			take = append(take, taken{j, j.starts == 1})
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	for _, k := range take {
		e.starting[k.job.id] = &starting{k.job, time.Now()}
	}
	e.mu.Unlock()
	for _, k := range take {
		e.tasks.Go(func() { e.begin(k.job, k.fresh) })
	}
	return nil
}

// begin has DBOS start a job that was taken. If it can't, watch tries again.
func (e *Engine) begin(j *job, fresh bool) {
	err := e.memo.start(j.id, fresh)
	switch {
	case errors.Is(err, errClosed):
		e.mu.Lock()
		delete(e.starting, j.id)
		e.mu.Unlock()
		if _, err := e.table.finish(context.Background(), j, Failed, e.errors.failure(err), e.now()); err == nil {
			e.tell(j.id)
		}
	case err != nil && !e.isStopping():
		e.log.Warn("a job can't be started, and will be again", "job", j.id, "error", err)
	}
}

// used is how many workers of each queue are busy here.
func (e *Engine) used() map[string]int {
	used := map[string]int{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		used[r.job.queue]++
	}
	for _, s := range e.starting {
		used[s.job.queue]++
	}
	return used
}

// candidate is a job that waits.
type candidate struct {
	id, queue, group string
	exclusive        bool
	ended            bool // only says goodbye
	created          int64
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// waiting reads the first jobs of each group that this node can run now.
func (e *Engine) waiting(ctx context.Context, q querier) ([]candidate, error) {
	args := []any{e.now(), e.o.Version}
	for _, name := range slices.Sorted(maps.Keys(e.kinds)) {
		args = append(args, name)
	}
	args = append(args, max(e.o.Workers, e.o.PerInstallation))
	rows, err := q.QueryContext(ctx, e.table.query(`SELECT id, queue, grp, exclusive, ending, created FROM (
			SELECT id, queue, grp, exclusive, ending, created,
				ROW_NUMBER() OVER (PARTITION BY queue, grp ORDER BY CASE WHEN ending = 0 THEN 1 ELSE 0 END, created, id) AS place
			FROM engine_jobs WHERE ended = 0 AND state = 'waiting' AND (wake <= ? OR ending <> 0) AND version IN ('', ?)
				AND kind IN (?`+strings.Repeat(", ?", len(e.kinds)-1)+`)
		) AS waiting WHERE place <= ?`), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []candidate
	for rows.Next() {
		var c candidate
		var n ending
		if err := rows.Scan(&c.id, &c.queue, &c.group, &c.exclusive, &n, &c.created); err != nil {
			return nil, err
		}
		c.ended = n != goesOn
		all = append(all, c)
	}
	return all, rows.Err()
}

// place is what the limits count.
type place struct{ queue, group string }

// running counts what runs on all nodes.
func (e *Engine) running(ctx context.Context, q querier) (map[place]int, error) {
	rows, err := q.QueryContext(ctx, e.table.query(`SELECT queue, grp, COUNT(*) FROM engine_jobs WHERE ended = 0 AND state = 'running' GROUP BY queue, grp`))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[place]int{}
	for rows.Next() {
		var p place
		var n int
		if err := rows.Scan(&p.queue, &p.group, &n); err != nil {
			return nil, err
		}
		all[p] = n
	}
	return all, rows.Err()
}

// choose returns what to start: of each queue as many as there are workers, of which
// some are used, beginning with groups that run least and, among those, with what waits
// longest. A group has at most per at once, or one if it is exclusive. What only says
// goodbye needs no worker.
func choose(waiting []candidate, running map[place]int, used map[string]int, workers, per int) []candidate {
	var chosen []candidate
	running, used = maps.Clone(running), maps.Clone(used)
	if running == nil {
		running = map[place]int{}
	}
	rest := slices.Clone(waiting)
	slices.SortFunc(rest, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id)) })
	for len(rest) > 0 {
		best := -1
		for i, c := range rest {
			n := running[place{c.queue, c.group}]
			switch {
			case c.exclusive && n > 0:
				continue
			case c.ended:
			case used[c.queue] >= workers, c.group != "" && n >= per:
				continue
			}
			if best < 0 || n < running[place{rest[best].queue, rest[best].group}] {
				best = i
			}
		}
		if best < 0 {
			break
		}
		c := rest[best]
		rest = slices.Delete(rest, best, best+1)
		running[place{c.queue, c.group}]++
		used[c.queue]++
		chosen = append(chosen, c)
	}
	return chosen
}
