//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// queue lets the Stores that have one SQLite file open write by turns. SQLite asks again
// and again, up to 100 ms apart, whether it may write; a busy process leaves gaps of
// microseconds, so another one would miss them until it gives up.
//
// Whoever wants to write takes next, then hold, and gives next back. So the one that
// has just written can't take hold again before the one that waits with next.
type queue struct{ next, hold *os.File }

func openQueue(database string) (*queue, error) {
	next, err := os.OpenFile(database+"-next", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	hold, err := os.OpenFile(database+"-hold", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return &queue{next, hold}, nil
}

// enter waits for the turn. A process that is stopped while it writes would be waited
// for for ever, so it ends with an error after patience.
func (q *queue) enter(patience time.Duration) error {
	end := time.Now().Add(patience)
	if err := flock(q.next, end); err != nil {
		return err
	}
	defer unlock(q.next)
	return flock(q.hold, end)
}

func (q *queue) leave() { unlock(q.hold) }

// close gives back what the queue has.
func (q *queue) close() error { return errors.Join(q.next.Close(), q.hold.Close()) }

func flock(f *os.File, end time.Time) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		if time.Now().After(end) {
			return errors.New("another process has been writing to the database for too long")
		}
		time.Sleep(300 * time.Microsecond)
	}
}

// unlock can't fail: the lock is there.
func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
