package store

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// dialect is what SQLite and Postgres do not have in common.
type dialect struct {
	postgres bool
	schema   string
}

// name is the part of a migration's file name.
func (d dialect) name() string {
	if d.postgres {
		return "postgres"
	}
	return "sqlite"
}

// query writes the placeholders: queries have ? and no other question mark.
func (d dialect) query(q string) string {
	if !d.postgres {
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

// tables writes the types of a migration, which are SQLite's.
func (d dialect) tables(q string) string {
	if !d.postgres {
		return q
	}
	return strings.ReplaceAll(q, " BLOB", " BYTEA")
}

// forUpdate ends a SELECT whose row is written next. Not FOR UPDATE, which would wait
// for whoever adds a row that refers to this one, such as a line of the log.
func (d dialect) forUpdate() string {
	if !d.postgres {
		return ""
	}
	return " FOR NO KEY UPDATE"
}

// lock makes the transactions that lock the same name follow each other. On SQLite
// all writes do anyway.
func (d dialect) lock(ctx context.Context, q querier, name string) error {
	if !d.postgres {
		return nil
	}
	h := fnv.New64a()
	h.Write([]byte("distropack " + d.schema + " " + name))
	_, err := q.exec(ctx, "SELECT pg_advisory_xact_lock(?)", int64(h.Sum64()))
	return err
}

// repeatable says whether a transaction failed only because of others at the same
// time: deadlock_detected, serialization_failure.
func (d dialect) repeatable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}
