package web

import (
	"context"
	"net/http"
	"time"
)

// healthz says that the process answers.
func (s *Site) healthz(w http.ResponseWriter, r *http.Request, v *visit) error {
	return plain(w, http.StatusOK, "ok\n")
}

// readyz says whether work can be taken. Why not is for the log: anybody may ask.
func (s *Site) readyz(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	err := s.o.Store.Ping(ctx)
	if err != nil {
		s.o.Log.Error("not ready: database", "err", err)
		return plain(w, http.StatusServiceUnavailable, "the database does not answer\n")
	}
	if s.o.Ready != nil {
		if err := s.o.Ready(ctx); err != nil {
			s.o.Log.Error("not ready", "err", err)
			return plain(w, http.StatusServiceUnavailable, "not ready\n")
		}
	}
	return plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write([]byte(text))
	_ = err // whoever asked has gone
	return nil
}
