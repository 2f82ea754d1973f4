package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/distropack/distropack/app/store"
)

// Backup copies what a server needs to come back into the new folder out, while it runs
// or not, and returns the files. Of SQLite that is a consistent copy of both databases; a
// Postgres has tools of its own, so only the identities are copied. Whoever has all of
// the folder has the keys.
func Backup(ctx context.Context, dir, database, out string) (files []string, err error) {
	if database == "" {
		database = "sqlite:" + filepath.Join(dir, "app.db")
	}
	if file, ok := databaseFile(database); ok && !exists(file) {
		return nil, noDatabase(file)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, mistake("%s is there already: a backup is never replaced; name a new folder", out)
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(out) // half a backup would pass for one
		}
	}()
	if file, ok := databaseFile(database); ok {
		// The engine's first: a release without a job is seen and begun again, a job without
		// its release can't be.
		for _, from := range []string{strings.TrimSuffix(file, ".db") + "-engine.db", file} {
			to := filepath.Join(out, filepath.Base(from))
			if err := copyDatabase(ctx, from, to); err != nil {
				return nil, fmt.Errorf("backup of %s: %w", from, err)
			}
			files = append(files, to)
		}
		if err := readable(ctx, "sqlite:"+filepath.Join(out, filepath.Base(file))); err != nil {
			return nil, err
		}
	}
	for _, from := range []string{ServerIdentity(dir), SignerIdentity(dir)} {
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		to := filepath.Join(out, filepath.Base(from))
		if err := os.WriteFile(to, b, 0o600); err != nil {
			return nil, err
		}
		files = append(files, to)
	}
	return files, nil
}

// copyDatabase has SQLite write a copy as of one moment. The driver is the one that
// package store registers.
func copyDatabase(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite writes into an empty file, and keeps its mode
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+escapePath(from)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// escapePath is a path in one of SQLite's file addresses.
func escapePath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// readable opens a copy as a server would.
func readable(ctx context.Context, url string) error {
	s, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		return err
	}
	_, _, err = s.VerifyPublishLog(ctx)
	err = errors.Join(err, s.Close())
	file, _ := databaseFile(url)
	for _, name := range []string{"-wal", "-shm", "-next", "-hold"} {
		if e := os.Remove(file + name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
