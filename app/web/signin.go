package web

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
)

// signInLasts is how long somebody may take on GitHub's page, in seconds.
const signInLasts = 600

// signIn sends a browser to GitHub. What comes back must match the cookie, so that
// nobody can be signed in as somebody else by a link.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request, v *visit) error {
	app, err := s.o.Setup.App(r.Context())
	if err != nil {
		return err
	}
	if app == nil {
		return &problem{status: http.StatusServiceUnavailable, text: "This server is not set up yet. Open the link that it printed when it started."}
	}
	secret := random()
	verifier, err := pkce(secret)
	if err != nil {
		return err
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(local(r.URL.Query().Get("next"))))
	s.setCookie(w, "sign-in", secret+"."+next, signInLasts)
	http.Redirect(w, r, s.o.GitHub.AuthorizeURL(s.o.URL+"/signin/github", hashed(secret), verifier), http.StatusSeeOther)
	return nil
}

// pkce makes the verifier (RFC 7636) of the cookie, so that a code is of use only in
// the browser that began.
func pkce(secret string) (string, error) {
	key, err := sessionKey(secret, "verifier", 32)
	return base64.RawURLEncoding.EncodeToString(key), err
}

// local is a way within this site, or the top of it.
func local(next string) string {
	if len(next) > 2000 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }) {
		return "/"
	}
	return next
}

func (s *Site) signInCallback(w http.ResponseWriter, r *http.Request, v *visit) error {
	again := func(text string, err error) error {
		return &problem{status: http.StatusBadRequest, text: text, err: err, link: "/signin", linkText: "Sign in with GitHub"}
	}
	c, err := r.Cookie(s.cookieName("sign-in"))
	s.setCookie(w, "sign-in", "", -1)
	if err != nil {
		return again("This sign-in was begun in another browser, or more than ten minutes ago. Begin again.", nil)
	}
	secret, next, _ := strings.Cut(c.Value, ".")
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(hashed(secret))) != 1 {
		return again("What GitHub sent back does not belong to a sign-in that you began here. Begin again.", nil)
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return again("GitHub did not sign you in.", nil)
	}
	ctx := r.Context()
	verifier, err := pkce(secret)
	if err != nil {
		return err
	}
	t, err := s.o.GitHub.Exchange(ctx, q.Get("code"), s.o.URL+"/signin/github", verifier)
	if err != nil {
		return again("GitHub did not accept the sign-in. Begin again.", err)
	}
	u, err := s.o.GitHub.User(ctx, t.Token)
	if err != nil {
		return away(err)
	}
	if old, err := s.current(r); err == nil && old != nil {
		if err := s.end(ctx, old); err != nil {
			return err
		}
	}
	id, err := s.begin(ctx, u, t)
	if err != nil {
		return err
	}
	s.setCookie(w, "session", id, int(sessionLasts.Seconds()))
	way, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil {
		way = nil
	}
	http.Redirect(w, r, local(string(way)), http.StatusSeeOther)
	return nil
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request, v *visit) error {
	s.setCookie(w, "session", "", -1)
	if err := s.end(r.Context(), v.session); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// installed is where GitHub sends people who have just installed the App.
func (s *Site) installed(w http.ResponseWriter, r *http.Request, v *visit) error {
	s.views.drop(v.session) // they see more than a minute ago
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
