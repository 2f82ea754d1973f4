package engine

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// job is a row of the table.
type job struct {
	id, kind, queue string
	group           string // "" or what the limits count: installation or partition
	exclusive       bool   // one of the group at a time
	parent          string // the job that waits for it
	first           string // id of the first attempt
	attempt         int    // from 1
	input           []byte
	state           State
	ended           ending // a person cancelled it, or it was given up
	node, run       string // who runs it
	version         string // "" until it is begun
	starts, crashes int
	failure         *failure
	created, wake   int64 // µs since 1970; wake: not to be started before
	startedAt       int64
	endedAt         int64
}

// ending is why the steps of a job are no longer done.
type ending int

const (
	goesOn ending = iota
	cancelled
	givenUp
)

func (n ending) err() error {
	switch n {
	case cancelled:
		return ErrCancelled
	case givenUp:
		return fmt.Errorf("%w: the server ended %d times while this ran", ErrGivenUp, maxCrashes)
	}
	return nil
}

// maxCrashes bounds how often a job is begun again after its process ended: what ends
// the process each time would else end it forever.
const maxCrashes = 30

// table is engine_jobs.
type table struct {
	db       *sql.DB
	postgres bool
	prefix   string // of the table: its schema
	remove   func() // what to do once the database is closed
}

// query writes the placeholders and the schema: queries have ? and no other question
// mark.
func (t *table) query(q string) string {
	q = strings.ReplaceAll(q, "engine_jobs", t.prefix+"engine_jobs")
	if !t.postgres {
		return q
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(q, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		q = after
	}
}

// lock makes the transactions of all nodes that lock follow each other; on SQLite they
// do anyway.
func (t *table) lock(ctx context.Context, tx *sql.Tx) error {
	if !t.postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", t.lockKey())
	return err
}

func (t *table) lockKey() int64 {
	h := fnv.New64a()
	h.Write([]byte("distropack engine " + t.prefix))
	return int64(h.Sum64())
}

// create makes the table.
func (t *table) create(ctx context.Context) error {
	blob := "BLOB"
	if t.postgres {
		blob = "BYTEA"
	}
	return t.tx(ctx, func(tx *sql.Tx) error {
		if err := t.lock(ctx, tx); err != nil {
			return err
		}
		for _, q := range []string{
			`CREATE TABLE IF NOT EXISTS engine_jobs (
				id TEXT PRIMARY KEY, kind TEXT NOT NULL, queue TEXT NOT NULL, grp TEXT NOT NULL, exclusive INTEGER NOT NULL,
				parent TEXT NOT NULL, first TEXT NOT NULL, attempt INTEGER NOT NULL, input ` + blob + `,
				state TEXT NOT NULL, ending INTEGER NOT NULL, node TEXT NOT NULL, run TEXT NOT NULL, version TEXT NOT NULL,
				starts INTEGER NOT NULL, crashes INTEGER NOT NULL, failure TEXT NOT NULL,
				created BIGINT NOT NULL, wake BIGINT NOT NULL, started BIGINT NOT NULL, ended BIGINT NOT NULL)`,
			// What ended is most of the table; queries for the rest say ended = 0.
			`CREATE INDEX IF NOT EXISTS engine_jobs_open ON engine_jobs (state, queue, grp, created) WHERE ended = 0`,
			`CREATE INDEX IF NOT EXISTS engine_jobs_parent ON engine_jobs (parent) WHERE ended = 0`,
			`CREATE INDEX IF NOT EXISTS engine_jobs_ended ON engine_jobs (ended) WHERE ended > 0`,
			`CREATE UNIQUE INDEX IF NOT EXISTS engine_jobs_attempts ON engine_jobs (first, attempt)`,
		} {
			q = t.query(q)
			// An index has no schema of its own, and its name begins like the table's.
			q = strings.ReplaceAll(q, "NOT EXISTS "+t.prefix+"engine_jobs_", "NOT EXISTS engine_jobs_")
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *table) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// exec returns how many rows it changed.
func (t *table) exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := t.db.ExecContext(ctx, t.query(q), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

const columns = `id, kind, queue, grp, exclusive, parent, first, attempt, input, state, ending, node, run, version, starts, crashes, failure, created, wake, started, ended`

func scan(row interface{ Scan(...any) error }) (*job, error) {
	j := &job{}
	var fail string
	err := row.Scan(&j.id, &j.kind, &j.queue, &j.group, &j.exclusive, &j.parent, &j.first, &j.attempt, &j.input, &j.state, &j.ended, &j.node, &j.run,
		&j.version, &j.starts, &j.crashes, &fail, &j.created, &j.wake, &j.startedAt, &j.endedAt)
	if err != nil {
		return nil, err
	}
	if fail != "" {
		if err := json.Unmarshal([]byte(fail), &j.failure); err != nil {
			return nil, fmt.Errorf("job %s: its error: %w", j.id, err)
		}
	}
	return j, nil
}

// jobs reads rows; after is what follows FROM engine_jobs.
func (t *table) jobs(ctx context.Context, after string, args ...any) ([]*job, error) {
	rows, err := t.db.QueryContext(ctx, t.query("SELECT "+columns+" FROM engine_jobs "+after), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*job
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, rows.Err()
}

// get returns ErrNotFound if there is none.
func (t *table) get(ctx context.Context, id string) (*job, error) {
	all, err := t.jobs(ctx, "WHERE id = ?", id)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	return all[0], nil
}

// insert is false if the id is there already.
func (t *table) insert(ctx context.Context, j *job) (bool, error) {
	n, err := t.exec(ctx, `INSERT INTO engine_jobs (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, '', '', ?, ?, 0, '', ?, 0, 0, 0) ON CONFLICT DO NOTHING`,
		j.id, j.kind, j.queue, j.group, number(j.exclusive), j.parent, j.first, j.attempt, j.input, j.version, j.starts, j.created)
	if err != nil {
		return false, fmt.Errorf("job %s: %w", j.id, err)
	}
	return n == 1, nil
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// finish says whether the job was still of that run.
func (t *table) finish(ctx context.Context, j *job, state State, f *failure, now int64) (bool, error) {
	text := ""
	if f != nil {
		b, err := json.Marshal(f)
		if err != nil {
			return false, err
		}
		text = string(b)
	}
	n, err := t.exec(ctx, `UPDATE engine_jobs SET state = ?, failure = ?, ended = ? WHERE id = ? AND state = 'running' AND node = ? AND run = ?`,
		state, text, now, j.id, j.node, j.run)
	return n == 1, err
}

// sleep has the job wait until wake, and says whether it was still of that run.
func (t *table) sleep(ctx context.Context, j *job, wake int64) (bool, error) {
	n, err := t.exec(ctx, `UPDATE engine_jobs SET state = 'waiting', wake = ?, node = '', run = '' WHERE id = ? AND state = 'running' AND node = ? AND run = ?`,
		wake, j.id, j.node, j.run)
	return n == 1, err
}

// cancel says whether there was something to cancel.
func (t *table) cancel(ctx context.Context, id string) (bool, error) {
	n, err := t.exec(ctx, `UPDATE engine_jobs SET ending = ? WHERE id = ? AND state IN ('waiting', 'running') AND ending = 0`, cancelled, id)
	return n == 1, err
}

func (t *table) cancelChildren(ctx context.Context, parent string) error {
	_, err := t.exec(ctx, `UPDATE engine_jobs SET ending = ? WHERE ended = 0 AND parent = ? AND ending = 0`, cancelled, parent)
	return err
}

// release gives back what a run has taken, but for the jobs to keep.
func (t *table) release(ctx context.Context, node, run string, keep []string, now int64) error {
	q := `UPDATE engine_jobs SET state = 'waiting', node = '', run = '', wake = 0 WHERE ended = 0 AND state = 'running' AND node = ? AND run = ?`
	args := []any{node, run}
	if len(keep) > 0 {
		q += " AND id NOT IN (?" + strings.Repeat(", ?", len(keep)-1) + ")"
		for _, id := range keep {
			args = append(args, id)
		}
	}
	_, err := t.exec(ctx, q, args...)
	return err
}

// recover has all that a node runs wait for anyone. It is one statement: of two nodes
// that call it, one finds each job.
func (t *table) recover(ctx context.Context, node string) (int64, error) {
	return t.exec(ctx, `UPDATE engine_jobs SET state = 'waiting', node = '', run = '', wake = 0, crashes = crashes + 1,
		ending = CASE WHEN ending = 0 AND crashes + 1 >= ? THEN ? ELSE ending END
		WHERE ended = 0 AND state = 'running' AND node = ?`, maxCrashes, givenUp, node)
}

// stranded counts the jobs that were begun with other versions.
func (t *table) stranded(ctx context.Context, version string) (n int, versions string, err error) {
	rows, err := t.db.QueryContext(ctx, t.query(`SELECT version, COUNT(*) FROM engine_jobs WHERE ended = 0 AND state = 'waiting' AND version NOT IN ('', ?) GROUP BY version ORDER BY version`), version)
	if err != nil {
		return 0, "", err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		var count int
		if err := rows.Scan(&v, &count); err != nil {
			return 0, "", err
		}
		all, n = append(all, v), n+count
	}
	return n, strings.Join(all, ", "), rows.Err()
}

func (t *table) close() error {
	err := t.db.Close()
	if t.remove != nil {
		t.remove()
	}
	return err
}
