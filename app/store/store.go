// Package store keeps what the App must not forget: who installed it, the inbox of
// webhooks, releases with their legs and logs, sealed keys, the publish log.
//
// It runs on SQLite (one process, or several on one machine) and on Postgres (many
// machines) with the same queries; dialect.go holds the differences. What a method
// has reported as done is on the disk: SQLite commits with synchronous=FULL, and
// writers that wait at the same time share one commit.
//
// Times are kept in microseconds and come back in UTC. Text is kept as valid UTF-8
// without NUL, which Postgres can't hold: invalid bytes become U+FFFD, NULs go.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Errors that code decides on.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrClosed   = errors.New("the store is closed")
)

// State is how far a delivery, a release or a leg is.
type State string

// The states. Waiting and Running are open, the others are ends.
const (
	Waiting        State = "waiting"
	Running        State = "running"
	Done           State = "done"
	Failed         State = "failed"
	Cancelled      State = "cancelled"
	ActionRequired State = "action_required" // a person has to decide
	Ignored        State = "ignored"
)

// Open says whether more is to come.
func (s State) Open() bool { return s == Waiting || s == Running }

// Options of a Store. The zero value is for production.
type Options struct {
	Log      *slog.Logger     // nil drops what an operator should know
	Now      func() time.Time // nil means time.Now
	Schema   string           // Postgres: the schema to use, made if it is missing; "" means "public"
	LogLimit int64            // bytes of one release's log; 0 means 16 MiB
}

// Store is safe for concurrent use. Several Stores, in one process or many, may be
// open on one database.
type Store struct {
	dialect  dialect
	reader   *sql.DB
	writer   *sql.DB // SQLite: one connection, used by commits alone; Postgres: the same as reader
	log      *slog.Logger
	clock    func() time.Time
	logLimit int64

	takenBytes int64 // of the bodies of one TakeDeliveries

	jobs    chan *job // to commits; SQLite only
	queue   *queue    // with other processes; SQLite in a file only
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup // commits
	watch   watchers
}

// Open opens the database at url and brings its tables up to date:
// "sqlite:/path/app.db" (made if it is missing, with its directory),
// "sqlite::memory:" (for tests: gone at Close; reads wait for writes) or
// "postgres://user:password@host:port/database". A database that a newer program has
// changed is refused. The caller closes the store.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	s := &Store{log: o.Log, clock: o.Now, logLimit: o.LogLimit, takenBytes: 64 << 20, closing: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.logLimit == 0 {
		s.logLimit = 16 << 20
	}
	if err := s.connect(ctx, url, o.Schema); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, migrations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for the writes under way; later ones get ErrClosed. It may be called twice.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		s.watch.close()
		s.running.Wait()
		err = s.disconnect()
	})
	return err
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var n int64
	if err := s.reader.QueryRowContext(ctx, "SELECT MAX(number) FROM migrations").Scan(&n); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

func (s *Store) now() time.Time { return stored(s.clock()) }
