package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// migrations are numbered from 0001: NUMBER_NAME.sql, or one file for each database:
// NUMBER_NAME.sqlite.sql and NUMBER_NAME.postgres.sql. A released one never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

type migration struct {
	number int64
	name   string
	sql    string
}

// migrate brings the tables up to date, all or nothing. Others who open the same
// database at the same time wait.
func (s *Store) migrate(ctx context.Context, files fs.FS) error {
	steps, err := s.migrations(files)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, q querier) error {
		if err := s.dialect.lock(ctx, q, "migrate"); err != nil {
			return about(err, "database")
		}
		if s.dialect.postgres && s.dialect.schema != "public" {
			if _, err := q.exec(ctx, `CREATE SCHEMA IF NOT EXISTS "`+s.dialect.schema+`"`); err != nil {
				return about(err, "schema %s", s.dialect.schema)
			}
		}
		if _, err := q.exec(ctx, "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)"); err != nil {
			return about(err, "database")
		}
		have, err := one(ctx, q, value[int64], "SELECT COALESCE(MAX(number), 0) FROM migrations")
		if err != nil {
			return about(err, "database")
		}
		if known := int64(len(steps)); *have > known {
			return fmt.Errorf("the database has tables of version %d, this program knows versions up to %d: run the newer distropack, or restore the backup from before the update", *have, known)
		}
		for _, m := range steps[*have:] {
			if _, err := q.exec(ctx, m.sql); err != nil {
				return about(err, "migration %d (%s)", m.number, m.name)
			}
			if _, err := q.exec(ctx, "INSERT INTO migrations (number, name, applied) VALUES (?, ?, ?)", m.number, m.name, s.now()); err != nil {
				return about(err, "migration %d (%s)", m.number, m.name)
			}
			s.log.Info("database migrated", "version", m.number, "name", m.name)
		}
		return nil
	})
}

// migrations returns those of this database in order.
func (s *Store) migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var steps []migration
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".sql")
		base, only, _ := strings.Cut(base, ".")
		if only != "" && only != s.dialect.name() {
			continue
		}
		number, title, _ := strings.Cut(base, "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n != int64(len(steps)+1) {
			return nil, fmt.Errorf("migration %s: want number %04d", name, len(steps)+1)
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{n, title, s.dialect.tables(string(b))})
	}
	return steps, nil
}
