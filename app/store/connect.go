package store

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
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

func (s *Store) connect(ctx context.Context, address, schema string) error {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return s.connectSQLite(ctx, rest)
	case "postgres", "postgresql":
		return s.connectPostgres(address, schema)
	}
	// The address may hold a password, so it is not shown.
	return errors.New("the database's address is neither sqlite:/path/app.db nor postgres://user:password@host:port/database")
}

// busy is how long SQLite waits for other processes that write: half of what GitHub
// waits for the answer to a webhook.
const busy = 5 * time.Second

// readers of a SQLite database at once: enough for a page while a log is followed;
// each connection has up to 2 MB of cache.
const readers = 4

func (s *Store) connectSQLite(ctx context.Context, path string) (err error) {
	defer func() { err = about(err, "database sqlite:%s", path) }()
	file := "file::memory:"
	inFile := path != ":memory:"
	if inFile {
		if path == "" || strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
			return errors.New("want sqlite:/path/app.db")
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		if err := create(path); err != nil {
			return err
		}
		file = (&url.URL{Scheme: "file", Path: path}).String()
	}
	const pragmas = "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=journal_size_limit(67108864)"
	file = fmt.Sprintf("%s?_pragma=busy_timeout(%d)", file, busy.Milliseconds()) + pragmas // busy_timeout first: the others may have to wait
	if s.writer, err = sql.Open("sqlite", file+"&_txlock=immediate"); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	s.reader = s.writer
	defer func() {
		if err != nil {
			err = errors.Join(err, s.disconnect())
		}
	}()
	var mode string
	if err := s.writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if inFile {
		if mode != "wal" {
			return fmt.Errorf("it can't have a write-ahead log, the journal mode stays %q: put it on a local disk", mode)
		}
		reader, err := sql.Open("sqlite", file+"&_pragma=query_only(1)")
		if err != nil {
			return err
		}
		reader.SetMaxOpenConns(readers)
		reader.SetMaxIdleConns(readers)
		s.reader = reader
		if s.queue, err = openQueue(path); err != nil {
			return err
		}
	}
	s.jobs = make(chan *job)
	s.running.Go(s.commits)
	return nil
}

// disconnect closes what connect has opened.
func (s *Store) disconnect() error {
	err := s.writer.Close()
	if s.reader != s.writer {
		err = errors.Join(err, s.reader.Close())
	}
	if s.queue != nil {
		err = errors.Join(err, s.queue.close())
	}
	return err
}

// create makes an empty file that its owner alone can read: SQLite gives its other
// files the same mode.
func create(path string) error {
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

func (s *Store) connectPostgres(address, schema string) error {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		// pgx repeats parts of the address, and a part may be the password.
		return errors.New("the database's address can't be read: want postgres://user:password@host:port/database, with special characters of the password as %XX")
	}
	if schema == "" {
		schema = "public"
	}
	if !schemaName.MatchString(schema) {
		return fmt.Errorf("schema %q: want lower-case letters, digits and _", schema)
	}
	c.RuntimeParams["search_path"] = `"` + schema + `"`
	c.RuntimeParams["application_name"] = "distropack"
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	s.dialect = dialect{postgres: true, schema: schema}
	s.writer = stdlib.OpenDB(*c)
	s.reader = s.writer
	// Postgres allows 100 connections by default, for all nodes together.
	s.writer.SetMaxOpenConns(16)
	s.writer.SetMaxIdleConns(8)
	s.writer.SetConnMaxIdleTime(5 * time.Minute)
	return nil
}
