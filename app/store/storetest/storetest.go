//go:build unix

// Package storetest runs a test on both databases: SQLite in a new file, and a new
// database of a real Postgres. One server is started per test process, when it is
// first asked for; it ends with the process, however that ends.
package storetest

import (
	"path/filepath"
	"testing"
)

// Each runs f as subtests "sqlite" and "postgres". The url is for store.Open and for
// nobody else. Where Postgres is not installed that subtest is skipped, and fails if
// CI is set.
func Each(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite returns the url of a database that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "app.db")
}
