package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// write runs f in a transaction and returns once it is on the disk. What f writes is
// kept if it returns nil, and undone otherwise. f may be called again after it failed
// for others' sake, and its context is not cancelled by the caller's on SQLite.
func (s *Store) write(ctx context.Context, f func(ctx context.Context, q querier) error) error {
	if s.jobs != nil {
		return s.join(ctx, f)
	}
	for try := 1; ; try++ {
		err := s.transaction(ctx, f)
		if err == nil || try == 5 || !s.dialect.repeatable(err) {
			return err
		}
	}
}

func (s *Store) transaction(ctx context.Context, f func(ctx context.Context, q querier) error) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after Commit
	if err := f(ctx, querier{tx, s.dialect}); err != nil {
		return err
	}
	return tx.Commit()
}

// SQLite waits for the disk at each commit. So the writers that wait at the same time
// share a transaction: a goroutine owns it and hands it from one to the next, each
// within a savepoint. Every f runs on the goroutine of its caller.

// job is a writer that waits.
type job struct {
	turn   chan *sql.Tx // the transaction, for as long as f runs; closed if there is none
	result chan error   // of f
	end    chan error   // of the whole
}

// together bounds what shares a commit: the first waits for the last.
const (
	togetherCount = 500
	togetherTime  = 20 * time.Millisecond
)

func (s *Store) join(ctx context.Context, f func(ctx context.Context, q querier) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{turn: make(chan *sql.Tx, 1), result: make(chan error, 1), end: make(chan error, 1)}
	select {
	case s.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	if tx, ok := <-j.turn; ok {
		func() {
			err := errAborted // stays if f panics
			defer func() { j.result <- err }()
			// An interrupted statement would undo the others' writes too.
			err = f(context.WithoutCancel(ctx), querier{tx, s.dialect})
		}()
	}
	return <-j.end
}

// commits runs jobs until the store closes.
func (s *Store) commits() {
	for {
		select {
		case j := <-s.jobs:
			s.commit(j)
		case <-s.closing:
			return
		}
	}
}

// commit runs first, and whoever comes while it does, in one transaction.
func (s *Store) commit(first *job) {
	tx, err := s.begin()
	if err != nil {
		close(first.turn)
		first.end <- err
		return
	}
	var kept []*job
	began := time.Now()
	for j := first; j != nil && err == nil; {
		var failed error
		if failed, err = s.turn(tx, j); failed != nil {
			j.end <- failed
		} else {
			kept = append(kept, j)
		}
		j = nil
		if err == nil && len(kept) < togetherCount && time.Since(began) < togetherTime {
			select {
			case j = <-s.jobs:
			default:
			}
		}
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		tx.Rollback() // no error of its own: the transaction may have ended by itself
	}
	if s.queue != nil {
		s.queue.leave()
	}
	for _, j := range kept {
		j.end <- err
	}
}

func (s *Store) begin() (*sql.Tx, error) {
	if s.queue != nil {
		if err := s.queue.enter(busy); err != nil {
			return nil, err
		}
	}
	tx, err := s.writer.BeginTx(context.Background(), nil)
	if err != nil && s.queue != nil {
		s.queue.leave()
	}
	return tx, err
}

// turn runs one job. failed is its own error; err is one that ends the transaction.
func (s *Store) turn(tx *sql.Tx, j *job) (failed, err error) {
	if _, err := tx.Exec("SAVEPOINT job"); err != nil {
		close(j.turn)
		return err, err
	}
	j.turn <- tx
	if failed = <-j.result; failed != nil {
		if _, err := tx.Exec("ROLLBACK TO job"); err != nil {
			// A full disk, for one, has undone the whole transaction.
			return failed, fmt.Errorf("a write at the same time: %w", failed)
		}
	}
	if _, err := tx.Exec("RELEASE job"); err != nil {
		return err, err
	}
	return failed, nil
}
