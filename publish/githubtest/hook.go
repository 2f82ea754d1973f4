package githubtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Delivery is an attempt to deliver a webhook.
type Delivery struct {
	ID                       int64
	GUID, Event, Action      string
	Installation, Repository int64
	Body                     []byte
	Delivered                time.Time
	Redelivery               bool
	Status                   string // GitHub's words
	StatusCode               int    // of the answer
}

// Loss is what becomes of a delivery.
type Loss int

// What may become of a delivery.
const (
	Arrives  Loss = iota
	Fails         // it is not sent, and listed as failed
	Vanishes      // it is not sent, and listed nowhere
)

type delivery struct {
	Delivery
	app *App
}

// Hook sets where the App's webhooks go; "" sends none: they vanish.
func (a *App) Hook(url string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.hook = url
}

// Ping sends the webhook that GitHub sends when a webhook is set up.
func (a *App) Ping() {
	a.s.mu.Lock()
	d := &delivery{app: a, Delivery: Delivery{ID: a.s.nextID(), Event: "ping"}}
	d.GUID = guid(itoa(d.ID))
	stamp := a.s.now().Format(time.RFC3339)
	d.Body = a.s.payload("ping", "", map[string]any{"zen": "Keep it logically awesome.", "hook_id": a.ID + 1, "hook": map[string]any{
		"type": "App", "id": a.ID + 1, "name": "web", "active": true, "events": a.events, "app_id": a.ID, "created_at": stamp, "updated_at": stamp,
		"config": map[string]any{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": a.hook}, "deliveries_url": a.s.URL + "app/hook/deliveries",
	}})
	a.s.mu.Unlock()
	a.s.deliver(d)
}

// Hold keeps webhooks back from now on, or sends them at once again. Those held
// are returned by Held and sent by Send.
func (a *App) Hold(yes bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.held = yes
}

// Held returns the webhooks that were kept back so far, oldest first, and forgets
// them.
func (a *App) Held() []Delivery {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	var all []Delivery
	for _, d := range a.pending {
		all = append(all, d.Delivery)
	}
	a.pending = nil
	return all
}

// Send sends a webhook that was held, or sends one again as it is, and returns the
// status of the answer; 0 if none came.
func (a *App) Send(d Delivery) int {
	a.s.mu.Lock()
	x := &delivery{d, a}
	x.ID = a.s.nextID()
	a.s.mu.Unlock()
	return a.s.deliver(x)
}

// Lose sets what becomes of deliveries, redeliveries too; nil: all arrive. f must
// not use the Server.
func (a *App) Lose(f func(Delivery) Loss) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.loss = f
}

// Deliveries returns all attempts so far, oldest first.
func (a *App) Deliveries() []Delivery {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	var all []Delivery
	for _, d := range a.deliveries {
		all = append(all, d.Delivery)
	}
	return all
}

// Settle returns when no webhook is under way any more.
func (s *Server) Settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		n, moved := s.sending, s.moved
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// hears reports whether the App gets an event.
func (a *App) hears(event string) bool {
	return event == "installation" || event == "installation_repositories" || slices.Contains(a.events, event)
}

// fire makes the webhook of something that happened to an installation.
func (i *Installation) fire(event, action string, more map[string]any) []*delivery {
	body := map[string]any{"installation": i.json(), "sender": i.s.user(i.Account)}
	for k, v := range more {
		body[k] = v
	}
	return i.App.fire(event, action, i, nil, body)
}

// fire makes the webhooks of something that happened in the repository: one for
// each installation that has it.
func (r *Repository) fire(event, action, sender string, more map[string]any) []*delivery {
	var all []*delivery
	for _, a := range r.s.apps {
		for _, i := range a.installed {
			if !i.covers(r) || !i.suspended.IsZero() {
				continue
			}
			body := map[string]any{"repository": r.about(), "sender": r.s.user(sender), "installation": map[string]any{"id": i.ID, "node_id": node("I", i.ID)}}
			for k, v := range more {
				body[k] = v
			}
			all = append(all, a.fire(event, action, i, r, body)...)
		}
	}
	return all
}

func (a *App) fire(event, action string, i *Installation, r *Repository, body map[string]any) []*delivery {
	if !a.hears(event) {
		return nil
	}
	d := &delivery{app: a, Delivery: Delivery{ID: a.s.nextID(), Event: event, Action: action, Installation: i.ID}}
	d.GUID = guid(fmt.Sprint(d.ID))
	if action != "" {
		body["action"] = action
	}
	if r != nil {
		d.Repository = r.id
	}
	d.Body = a.s.payload(event, action, body)
	if a.held {
		a.pending = append(a.pending, d)
		return nil
	}
	return []*delivery{d}
}

func guid(seed string) string {
	h := hash("guid", seed)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// payload completes a webhook's body and checks it against GitHub's description.
func (s *Server) payload(event, action string, body map[string]any) []byte {
	name := "webhook-" + strings.ReplaceAll(event, "_", "-")
	if action != "" {
		name += "-" + strings.ReplaceAll(action, "_", "-")
	}
	ref := s.desc.doc.Components.Schemas[name]
	if ref == nil {
		s.t.Errorf("webhook %s: the double's part of GitHub's description does not have it", name)
		return nil
	}
	b, err := json.Marshal(s.filled(ref.Value, body))
	if err != nil {
		s.t.Errorf("webhook %s: %v", name, err)
		return nil
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		s.t.Errorf("webhook %s: %v", name, err)
	}
	if err := errors.Join(ref.Value.VisitJSON(v), checkURLs(b)); err != nil {
		s.t.Errorf("webhook %s: %v", name, err)
	}
	return b
}

// send sends webhooks one after the other. The lock is not held.
func (s *Server) send(all []*delivery) {
	for _, d := range all {
		s.deliver(d)
	}
}

// later sends webhooks of something that a request brought about. The lock is held.
func (s *Server) later(all []*delivery) {
	if len(all) == 0 {
		return
	}
	s.sending++
	go func() {
		s.send(all)
		s.mu.Lock()
		s.sending--
		s.mu.Unlock()
		s.ended()
	}()
}

// patience is how long GitHub waits for an answer.
const patience = 10 * time.Second

// deliver sends a webhook, notes what came of it and returns the answer's status.
func (s *Server) deliver(d *delivery) int {
	s.mu.Lock()
	to, loss := d.app.hook, d.app.loss
	d.Delivered = s.now()
	s.mu.Unlock()
	what := Arrives
	if loss != nil {
		what = loss(d.Delivery)
	}
	if to == "" || what == Vanishes {
		return 0
	}
	code := 0
	d.Status, d.StatusCode = "failed to connect to host", http.StatusBadGateway
	if what == Arrives {
		code = s.post(to, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.app.deliveries = append(d.app.deliveries, d)
	return code
}

func (s *Server) post(to string, d *delivery) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(d.Body))
	if err != nil {
		s.t.Errorf("webhook to %q: %v", to, err)
		return 0
	}
	d.app.sign(req, d)
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := hc.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			d.Status, d.StatusCode = "timed out", http.StatusGatewayTimeout
		}
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	d.Status, d.StatusCode = "OK", res.StatusCode
	if res.StatusCode >= 300 {
		d.Status = fmt.Sprintf("Invalid HTTP Response: %d", res.StatusCode)
	}
	return res.StatusCode
}

// sign sets the headers of a webhook.
func (a *App) sign(req *http.Request, d *delivery) {
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/"+hash("agent")[:7])
	h.Set("X-GitHub-Delivery", d.GUID)
	h.Set("X-GitHub-Event", d.Event)
	h.Set("X-GitHub-Hook-ID", fmt.Sprint(a.ID+1))
	h.Set("X-GitHub-Hook-Installation-Target-ID", fmt.Sprint(a.ID))
	h.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	one, two := hmac.New(sha1.New, []byte(a.WebhookSecret)), hmac.New(sha256.New, []byte(a.WebhookSecret))
	one.Write(d.Body)
	two.Write(d.Body)
	h.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(one.Sum(nil)))
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(two.Sum(nil)))
}

// Signed makes the request that would deliver a webhook to a URL, for tests that
// send it themselves.
func (a *App) Signed(url string, d Delivery) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	a.sign(req, &delivery{d, a})
	return req, nil
}
