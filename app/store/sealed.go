package store

import (
	"context"
	"time"
)

// Sealed is a secret or a key that only the signer can open.
type Sealed struct {
	Scope   string // "app", "installation:42", "repository:7"
	Name    string // unique within the scope
	Kind    string // "secret" or "key"
	Public  []byte // JSON: fingerprint, ids, expiry, public halves
	Blob    []byte
	Created time.Time
	Expires time.Time // zero: never
}

const sealedColumns = "scope, name, kind, public, created, expires"

func (v *Sealed) columns() []any {
	return []any{&v.Scope, &v.Name, &v.Kind, &v.Public, at(&v.Created), at(&v.Expires)}
}

func (v *Sealed) columnsAndBlob() []any { return append(v.columns(), &v.Blob) }

// PutSealed inserts or replaces the one with this scope and name. A zero Created means now.
func (s *Store) PutSealed(ctx context.Context, v *Sealed) error {
	created := v.Created
	if created.IsZero() {
		created = s.now()
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO sealed ("+sealedColumns+", sealed) VALUES ("+marks(7)+") ON CONFLICT (scope, name) DO UPDATE SET "+
			"kind = excluded.kind, public = excluded.public, created = excluded.created, expires = excluded.expires, sealed = excluded.sealed",
			v.Scope, v.Name, v.Kind, v.Public, created, v.Expires, v.Blob)
		return err
	}), "%s: %s", v.Scope, v.Name)
}

// Sealed returns one with its blob, or ErrNotFound.
func (s *Store) Sealed(ctx context.Context, scope, name string) (*Sealed, error) {
	v, err := one(ctx, s.read(), (*Sealed).columnsAndBlob, "SELECT "+sealedColumns+", sealed FROM sealed WHERE scope = ? AND name = ?", scope, name)
	return v, about(err, "%s: %s", scope, name)
}

// ListSealed returns those of a scope by name, or all ("") by scope and name, without
// blobs.
func (s *Store) ListSealed(ctx context.Context, scope string) ([]*Sealed, error) {
	var w where
	if scope != "" {
		w.add("scope = ?", scope)
	}
	list, err := all(ctx, s.read(), (*Sealed).columns, "SELECT "+sealedColumns+" FROM sealed"+w.String()+" ORDER BY scope, name", w.args...)
	return list, about(err, "%s", scope)
}

// DeleteSealed removes one; that there is none is no error.
func (s *Store) DeleteSealed(ctx context.Context, scope, name string) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "DELETE FROM sealed WHERE scope = ? AND name = ?", scope, name)
		return err
	}), "%s: %s", scope, name)
}
