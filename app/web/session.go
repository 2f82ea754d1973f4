package web

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/distropack/distropack/app/store"
)

// sessionLasts is how long somebody stays signed in. GitHub's own tokens for users of
// an App last as long, so that there is nothing to refresh.
const sessionLasts = 8 * time.Hour

// session is somebody who is signed in.
type session struct {
	*store.Session
	token string // the user's on GitHub
	form  string // what each form of this session carries
}

// The database holds the SHA-256 of a session's id, and the user's token under a key
// that is made from the id: who reads the database can neither sign in nor speak for
// anybody.
func sessionKey(id, use string, n int) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(id), nil, "distropack "+use, n)
}

func sessionCipher(id string) (cipher.AEAD, error) {
	key, err := sessionKey(id, "user token", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// random returns a new secret of 256 bits, fit for addresses and cookies.
func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// begin signs somebody in and returns the new session's id.
func (s *Site) begin(ctx context.Context, u *User, t UserToken) (string, error) {
	id := random()
	aead, err := sessionCipher(id)
	if err != nil {
		return "", err
	}
	expires := s.o.Now().Add(sessionLasts)
	if !t.Expires.IsZero() && t.Expires.Before(expires) {
		expires = t.Expires
	}
	return id, s.o.Store.SaveSession(ctx, &store.Session{
		ID: id, User: u.ID, Login: u.Login, Token: aead.Seal(nil, nil, []byte(t.Token), nil), Expires: expires,
	})
}

// current is the session of a request; nil if there is none, or not any more.
func (s *Site) current(r *http.Request) (*session, error) {
	c, err := r.Cookie(s.cookieName("session"))
	if err != nil || c.Value == "" {
		return nil, nil
	}
	kept, err := s.o.Store.Session(r.Context(), c.Value)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !s.o.Now().Before(kept.Expires) {
		return nil, nil
	}
	kept.ID = c.Value
	aead, err := sessionCipher(c.Value)
	if err != nil {
		return nil, err
	}
	token, err := aead.Open(nil, nil, kept.Token, nil)
	if err != nil {
		return nil, fmt.Errorf("token of the session of %s: %w", kept.Login, err)
	}
	key, err := sessionKey(c.Value, "form", 18)
	if err != nil {
		return nil, err
	}
	return &session{Session: kept, token: string(token), form: base64.RawURLEncoding.EncodeToString(key)}, nil
}

// end signs out.
func (s *Site) end(ctx context.Context, se *session) error {
	s.views.drop(se)
	return s.o.Store.DeleteSession(ctx, se.ID)
}

// cookieName: a name with __Host- is taken from this very host over https only.
func (s *Site) cookieName(name string) string {
	if s.secure {
		return "__Host-distropack-" + name
	}
	return "distropack-" + name
}

// setCookie keeps a value for so many seconds; less than 0 forgets it. Lax, since people
// come from GitHub by links.
func (s *Site) setCookie(w http.ResponseWriter, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: seconds, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
