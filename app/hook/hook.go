// Package hook takes GitHub's webhooks: its handler checks the signature, files the
// delivery in the inbox and answers; its dispatcher hands what waits there to a
// function. Nothing is done before the answer but filing, since GitHub waits ten
// seconds and never sends again by itself. Bodies and secrets are not logged.
package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/store"
)

// Inbox files a delivery; after nil it is on the disk. fresh is false if its GUID is
// known.
type Inbox interface {
	Receive(ctx context.Context, d *store.Delivery) (fresh bool, err error)
}

var _ Inbox = (*store.Store)(nil)

// Options of a handler.
type Options struct {
	Secrets func(ctx context.Context) ([][]byte, error) // the webhook's: two while one replaces the other
	Inbox   Inbox
	Wake    func()           // called after each filing, such as Dispatcher.Wake; may be nil
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil drops it

	MaxBody   int64         // bytes; 0 means 25 MiB, the most that GitHub sends
	MaxMemory int64         // bytes of all bodies that are read at once; 0 means eight times MaxBody
	Timeout   time.Duration // for reading and filing; 0 means 8 s
}

type handler struct {
	Options
	memory atomic.Int64 // in use
}

// Handler answers POST, whatever the path:
//
//	202 filed                 200 known already
//	400 not a webhook         401 signature missing or wrong
//	405, 413, 415             503 with Retry-After: not filed, or not surely
//
// GitHub shows what is not 2xx as a failed delivery, which can be redelivered. So a
// body that is signed and refused for what it says is filed as failed and answered
// 202: sent again, it would say the same.
func Handler(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 25 << 20
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = 8 * o.MaxBody
	}
	if o.Timeout == 0 {
		o.Timeout = 8 * time.Second
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	return &handler{Options: o}
}

// answer is what GitHub shows beside the delivery.
type answer struct {
	Delivery string `json:"delivery,omitempty"`
	State    string `json:"state,omitempty"` // a state of package store, or "known"
	Note     string `json:"note,omitempty"`
	Error    string `json:"error,omitempty"`
}

// refusal is an error with the status to answer.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, err error) error { return &refusal{status, err} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.Now()
	ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
	defer cancel()
	status, a, err := h.take(ctx, w, r)
	var no *refusal
	switch {
	case errors.As(err, &no):
		status, a = no.status, answer{Error: err.Error()}
		h.Log.WarnContext(ctx, "webhook refused", "status", status, "from", r.RemoteAddr, "err", err)
	case err != nil:
		status = http.StatusServiceUnavailable
		h.Log.ErrorContext(ctx, "webhook not filed", "delivery", a.Delivery, "err", err)
		a = answer{Delivery: a.Delivery, Error: "the delivery could not be filed; it may be sent again"}
		w.Header().Set("Retry-After", "30")
	default:
		h.Log.DebugContext(ctx, "webhook", "delivery", a.Delivery, "status", status, "state", a.State, "took", h.Now().Sub(began))
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(a) // who is gone needs no answer
}

// take does all but answering.
func (h *handler) take(ctx context.Context, w http.ResponseWriter, r *http.Request) (status int, a answer, err error) {
	if r.Method != http.MethodPost {
		return 0, a, refuse(http.StatusMethodNotAllowed, fmt.Errorf("webhooks are sent by POST, not %q", clip(r.Method, 20)))
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return 0, a, refuse(http.StatusUnsupportedMediaType, errors.New("the content type is not application/json: choose that in the webhook's settings"))
	}
	// Whoever can't have the secret is not worth a body.
	signature := r.Header.Get("X-Hub-Signature-256")
	if err := event.CheckSignature(signature); err != nil {
		return 0, a, refuse(http.StatusUnauthorized, err)
	}
	body, done, err := h.body(w, r)
	defer done()
	if err != nil {
		return 0, a, err
	}
	secrets, err := h.Secrets(ctx)
	if err != nil {
		return 0, a, fmt.Errorf("webhook secrets: %w", err)
	}
	if err := event.Verify(secrets, body, signature); err != nil {
		return 0, a, refuse(http.StatusUnauthorized, err)
	}

	guid := r.Header.Get("X-GitHub-Delivery")
	if !isGUID(guid) {
		return 0, a, refuse(http.StatusBadRequest, errors.New("the header X-GitHub-Delivery is not an id of letters, digits and hyphens"))
	}
	a.Delivery = guid
	d, err := read(r.Header.Get("X-GitHub-Event"), body)
	if err != nil {
		return 0, a, refuse(http.StatusBadRequest, err)
	}
	d.GUID, d.Received = guid, h.Now()
	a.State, a.Note = string(d.State), d.Note
	fresh, err := h.Inbox.Receive(ctx, d)
	if err != nil {
		return 0, a, err
	}
	// A known one may have failed and wait again.
	h.Wake()
	if !fresh {
		a.State, a.Note = "known", ""
		return http.StatusOK, a, nil
	}
	return http.StatusAccepted, a, nil
}

// read makes a delivery of what is signed. It is an error if there is nothing that
// could be filed.
func read(name string, body []byte) (*store.Delivery, error) {
	e, err := event.Parse(name, body)
	if err != nil {
		h, broken := event.ReadHead(name, body)
		if broken != nil {
			return nil, broken
		}
		return &store.Delivery{Event: name, Action: h.Action, Installation: h.Installation, Repository: h.Repository,
			Body: body, State: store.Failed, Note: err.Error()}, nil
	}
	d := &store.Delivery{Event: name, Action: e.Action, Installation: e.Installation.ID, State: store.Waiting, Body: body}
	if e.Repository != nil {
		d.Repository = e.Repository.ID
	}
	if e.Kind == event.Ignored {
		// Most of all bodies, and nobody will read them.
		d.State, d.Note, d.Body = store.Ignored, e.Note, []byte{}
	}
	return d, nil
}

func isGUID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
