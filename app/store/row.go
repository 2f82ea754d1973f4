package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// querier runs queries in a database or a transaction.
type querier struct {
	db interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	dialect dialect
}

func (s *Store) read() querier { return querier{s.reader, s.dialect} }

// exec returns how many rows were written.
func (q querier) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := q.db.ExecContext(ctx, q.dialect.query(query), bind(args)...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// all returns the rows; columns gives the places to scan one into.
func all[T any](ctx context.Context, q querier, columns func(*T) []any, query string, args ...any) ([]*T, error) {
	rows, err := q.db.QueryContext(ctx, q.dialect.query(query), bind(args)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*T
	for rows.Next() {
		v := new(T)
		if err := rows.Scan(columns(v)...); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// one is all for a row that has to be there: else ErrNotFound.
func one[T any](ctx context.Context, q querier, columns func(*T) []any, query string, args ...any) (*T, error) {
	list, err := all(ctx, q, columns, query, args...)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNotFound
	}
	return list[0], nil
}

// value is a column on its own.
func value[T any](v *T) []any { return []any{v} }

// bind writes values as the columns hold them.
func bind(args []any) []any {
	args = slices.Clone(args)
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = text(v)
		case State:
			args[i] = string(v)
		case time.Time:
			args[i] = micros(v)
		case json.RawMessage:
			args[i] = blob(v)
		case []byte:
			args[i] = blob(v)
		}
	}
	return args
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func text(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "")
}

// micros is a time as a column: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// stored is a time as it will be read back.
func stored(t time.Time) time.Time { return fromMicros(micros(t)) }

// at scans a time.
func at(t *time.Time) sql.Scanner { return (*moment)(t) }

type moment time.Time

func (m *moment) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is %T, want int64", src)
	}
	*m = moment(fromMicros(n))
	return nil
}

// where collects the terms of a filter.
type where struct {
	terms []string
	args  []any
}

func (w *where) add(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// marks is n placeholders.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// bounded is a limit between 1 and most; 0 and less mean usual.
func bounded(n, usual, most int) int {
	if n <= 0 {
		return usual
	}
	return min(n, most)
}

// about says what an error is about; nil stays nil.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

var errAborted = errors.New("the writing function did not return")

// prefixed names the columns of a list as those of a table.
func prefixed(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}
