package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// open connects the table and DBOS to the same database.
func open(ctx context.Context, o Options, run string, perform performer) (*table, *memo, error) {
	scheme, rest, _ := strings.Cut(o.URL, ":")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, o, run, perform, rest)
	case "postgres", "postgresql":
		return openPostgres(ctx, o, run, perform)
	}
	// The address may hold a password, so it is not shown.
	return nil, nil, errors.New("the database's address is neither sqlite:/path/app.db nor postgres://user:password@host:port/database")
}

func openSQLite(ctx context.Context, o Options, run string, perform performer, path string) (*table, *memo, error) {
	t := &table{}
	if path == ":memory:" {
		// DBOS has several connections, and each would have a memory of its own.
		dir, err := os.MkdirTemp("", "engine")
		if err != nil {
			return nil, nil, err
		}
		t.remove = func() { os.RemoveAll(dir) }
		path = filepath.Join(dir, "app.db")
	}
	if path == "" || strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
		return nil, nil, fmt.Errorf("database %q: want sqlite:/path/app.db", o.URL)
	}
	path, err := filepath.Abs(strings.TrimSuffix(path, ".db") + "-engine.db")
	if err != nil {
		return nil, nil, err
	}
	if err := private(path); err != nil {
		return nil, nil, fmt.Errorf("database: %w", err)
	}
	fail := func(err error) (*table, *memo, error) {
		return nil, nil, errors.Join(fmt.Errorf("database %s: %w", path, err), t.close())
	}
	// What the table says must be on the disk before others build on it. A step that is
	// forgotten when the power fails is only done again.
	if t.db, err = sqlite(path, "synchronous(FULL)"); err != nil {
		return nil, nil, err
	}
	var mode string
	if err := t.db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return fail(err)
	}
	if mode != "wal" {
		return fail(fmt.Errorf("it can't have a write-ahead log (its journal mode stays %q): put it on a local disk", mode))
	}
	steps, err := sqlite(path, "synchronous(NORMAL)")
	if err != nil {
		return fail(err)
	}
	m, err := newMemo(ctx, o, run, perform, nil, steps)
	if err != nil {
		return fail(errors.Join(err, steps.Close()))
	}
	if err := t.create(ctx); err != nil {
		return fail(errors.Join(err, m.close(ctx)))
	}
	return t, m, nil
}

// sqlite opens the file with one connection. Each transaction of DBOS locks the file, and
// more of them would wait for each other in sleeps of SQLite's: 8 jobs at once were half
// as fast with four. DBOS asks for no second one while it has one.
func sqlite(path, synchronous string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", synchronous, "foreign_keys(1)", "journal_size_limit(16777216)",
		"cache_size(-1024)", // KiB; the rows are few and small
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// private makes an empty file that its owner alone can read: SQLite gives its other
// files the same mode.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func openPostgres(ctx context.Context, o Options, run string, perform performer) (*table, *memo, error) {
	if !schemaName.MatchString(o.Schema) {
		return nil, nil, fmt.Errorf("schema %q: want lower-case letters, digits and _", o.Schema)
	}
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// pgx repeats parts of the address, and a part may be the password.
		return nil, nil, errors.New("the database's address can't be read: want postgres://user:password@host:port/database, with special characters of the password as %XX")
	}
	if !strings.Contains(o.URL, "pool_max_conns=") {
		c.MaxConns = 10 // Postgres allows 100 by default, for all nodes together
	}
	c.MaxConns = max(c.MaxConns, 4) // one listens, and the start needs three
	c.MinConns = 0
	c.MaxConnIdleTime = time.Minute
	c.ConnConfig.RuntimeParams["application_name"] = "distropack engine"
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, nil, err
	}
	t := &table{db: stdlib.OpenDBFromPool(pool), postgres: true, prefix: pgx.Identifier{o.Schema}.Sanitize() + "."}
	fail := func(err error) (*table, *memo, error) {
		t.close()
		pool.Close()
		return nil, nil, fmt.Errorf("database: %w", err)
	}
	// DBOS makes its tables without a lock, and two nodes that start at once would make
	// them twice.
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return fail(err)
	}
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", t.lockKey()+1); err != nil {
		lock.Release()
		return fail(err)
	}
	m, err := newMemo(ctx, o, run, perform, pool, nil)
	if err == nil {
		if err = t.create(ctx); err != nil {
			err = errors.Join(err, m.close(ctx))
		}
	}
	// A connection that is closed has no locks, whatever became of the statement.
	lock.Conn().Close(context.WithoutCancel(ctx))
	lock.Release()
	if err != nil {
		return fail(err)
	}
	return t, m, nil
}
