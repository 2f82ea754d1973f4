package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/distropack/distropack/app/store"
)

// problem is an answer other than what was asked for.
type problem struct {
	status   int
	text     string // for people
	err      error  // for the log; may be nil
	link     string // where to go on; "" means the page before, or the top
	linkText string
	signIn   bool // people are sent to sign in instead
}

func (p *problem) Error() string {
	if p.err != nil {
		return p.text + " (" + p.err.Error() + ")"
	}
	return p.text
}

func (p *problem) Unwrap() error { return p.err }

func notFound() error {
	return &problem{status: http.StatusNotFound, text: "There is no such page, or you may not see it."}
}

func forbidden(text string) error { return &problem{status: http.StatusForbidden, text: text} }

func bad(text string, err error) error {
	return &problem{status: http.StatusBadRequest, text: text, err: err}
}

func signInFirst() error {
	return &problem{status: http.StatusUnauthorized, text: "Sign in first.", signIn: true}
}

// explain makes a problem of any error.
func explain(err error) *problem {
	var p *problem
	var refusal *Refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &problem{status: http.StatusRequestEntityTooLarge, text: "That is larger than 256 KiB.", err: err}
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return &problem{status: http.StatusUnprocessableEntity, text: refusal.Text}
	case errors.Is(err, ErrUnauthorized):
		return signInFirst().(*problem)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, ErrNotVisible):
		return notFound().(*problem)
	}
	return &problem{status: http.StatusInternalServerError, text: "Something went wrong on this server. It was noted under the number below.", err: err}
}

// fail answers with a problem: a page, or JSON for programs.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody is there any more
	}
	p := explain(err)
	if p.err != nil {
		level := slog.LevelInfo
		if p.status >= 500 {
			level = slog.LevelError
		}
		s.o.Log.Log(r.Context(), level, "request failed", "request", v.id, "path", r.URL.Path, "status", p.status, "err", p.err)
	}
	if p.status == http.StatusServiceUnavailable || p.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "30")
	}
	if v.program {
		if p.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="DistroPack"`)
		}
		writeJSON(w, p.status, apiError{Error: apiProblem{Status: p.status, Message: p.text, Request: v.id}})
		return
	}
	if p.signIn {
		if v.session != nil { // GitHub does not know the user's token any more
			s.setCookie(w, "session", "", -1)
			if err := s.end(r.Context(), v.session); err != nil {
				s.o.Log.Error("session was not ended", "request", v.id, "err", err)
			}
		}
		if r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			next := r.URL.Path
			if r.URL.RawQuery != "" {
				next = r.URL.RequestURI()
			}
			http.Redirect(w, r, "/signin?next="+url.QueryEscape(next), http.StatusSeeOther)
			return
		}
		p.link, p.linkText = "/signin", "Sign in with GitHub"
	}
	if p.link == "" {
		p.link, p.linkText = "/", "Go to the start"
	}
	s.render(w, r, v, p.status, "problem", &page{Title: problemTitle(p.status), Data: p.view(v)})
}

type problemView struct {
	Status         int
	Text           string
	Link, LinkText string
	Request        string
}

func (p *problem) view(v *visit) problemView {
	return problemView{p.status, p.text, p.link, p.linkText, v.id}
}

func problemTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusUnauthorized:
		return "Not signed in"
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return "That did not work"
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "Not now"
	}
	return "Something went wrong"
}

type apiError struct {
	Error apiProblem `json:"error"`
}

type apiProblem struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Request string `json:"request"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // whoever asked has gone
}
