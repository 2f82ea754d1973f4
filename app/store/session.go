package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Session is somebody who is signed in.
type Session struct {
	ID      string // the cookie's value; the database holds its SHA-256 only
	User    int64
	Login   string
	Token   []byte // the user's GitHub token, sealed
	Expires time.Time
}

func (v *Session) columns() []any { return []any{&v.User, &v.Login, &v.Token, at(&v.Expires)} }

func hashed(id string) string {
	h := sha256.Sum256([]byte(id))
	return hex.EncodeToString(h[:])
}

// Errors of sessions don't name them: the id is a secret.

// SaveSession inserts or replaces the session with this ID.
func (s *Store) SaveSession(ctx context.Context, v *Session) error {
	if v.ID == "" {
		return errors.New("a session has no id")
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO sessions (id_hash, user_id, login, token, expires) VALUES ("+marks(5)+") ON CONFLICT (id_hash) DO UPDATE SET "+
			"user_id = excluded.user_id, login = excluded.login, token = excluded.token, expires = excluded.expires", hashed(v.ID), v.User, v.Login, v.Token, v.Expires)
		return err
	}), "session of %s", v.Login)
}

// Session returns ErrNotFound for an unknown ID and for a session that has expired.
func (s *Store) Session(ctx context.Context, id string) (*Session, error) {
	v, err := one(ctx, s.read(), (*Session).columns, "SELECT user_id, login, token, expires FROM sessions WHERE id_hash = ? AND expires > ?", hashed(id), s.now())
	if err != nil {
		return nil, about(err, "session")
	}
	v.ID = id
	return v, nil
}

// DeleteSession signs out; that there is no such session is no error.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "DELETE FROM sessions WHERE id_hash = ?", hashed(id))
		return err
	}), "session")
}
