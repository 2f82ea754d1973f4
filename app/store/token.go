package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Token lets a program use the API.
type Token struct {
	Name     string // unique within the scope
	Hash     string // of the token, made by the caller; unique
	Scope    string
	Actions  []string
	Created  time.Time
	LastUsed time.Time // exact to a minute; zero: never
	Expires  time.Time // zero: never
	By       string    // who made it
}

const tokenColumns = "scope, name, hash, actions, created, last_used, expires, made_by"

func (t *Token) columns() []any {
	return []any{&t.Scope, &t.Name, &t.Hash, (*actions)(&t.Actions), at(&t.Created), at(&t.LastUsed), at(&t.Expires), &t.By}
}

// actions scans a JSON list.
type actions []string

func (a *actions) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("actions are %T, want JSON", src)
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// CreateToken returns ErrExists if the scope has a token of this name, or another token
// this hash. A zero Created means now.
func (s *Store) CreateToken(ctx context.Context, t *Token) error {
	list, err := json.Marshal(t.Actions)
	if err != nil {
		return err
	}
	created := t.Created
	if created.IsZero() {
		created = s.now()
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, "INSERT INTO tokens ("+tokenColumns+") VALUES ("+marks(8)+") ON CONFLICT DO NOTHING", t.Scope, t.Name, t.Hash, list, created, t.LastUsed, t.Expires, t.By)
		if err == nil && n == 0 {
			err = ErrExists
		}
		return err
	}), "%s: token %s", t.Scope, t.Name)
}

// TokenByHash returns ErrNotFound for an unknown token and for one that has expired. It
// notes the use, at most once a minute.
func (s *Store) TokenByHash(ctx context.Context, hash string) (*Token, error) {
	now := s.now()
	t, err := one(ctx, s.read(), (*Token).columns, "SELECT "+tokenColumns+" FROM tokens WHERE hash = ? AND (expires = 0 OR expires > ?)", hash, now)
	if err != nil {
		return nil, about(err, "token")
	}
	if now.Sub(t.LastUsed) < time.Minute {
		return t, nil
	}
	t.LastUsed = now
	if err := s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "UPDATE tokens SET last_used = ? WHERE hash = ? AND last_used <= ?", now, hash, now.Add(-time.Minute))
		return err
	}); err != nil {
		s.log.Warn("the use of a token is not noted", "scope", t.Scope, "token", t.Name, "error", err)
	}
	return t, nil
}

// Tokens returns those of a scope, or all (""), by scope and name, expired ones too.
func (s *Store) Tokens(ctx context.Context, scope string) ([]*Token, error) {
	var w where
	if scope != "" {
		w.add("scope = ?", scope)
	}
	list, err := all(ctx, s.read(), (*Token).columns, "SELECT "+tokenColumns+" FROM tokens"+w.String()+" ORDER BY scope, name", w.args...)
	return list, about(err, "%s: tokens", scope)
}

// DeleteToken removes a token; that there is none is no error.
func (s *Store) DeleteToken(ctx context.Context, scope, name string) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "DELETE FROM tokens WHERE scope = ? AND name = ?", scope, name)
		return err
	}), "%s: token %s", scope, name)
}
