package app

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/hook"
)

// metricsPath is where Prometheus reads.
const metricsPath = "/metrics"

// Handler answers all requests.
func (a *App) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(github.HookPath, a.webhooks(hook.Handler(hook.Options{Secrets: a.creds.secrets, Inbox: a.store, Wake: a.inbox.Wake, Log: a.log})))
	if a.o.Metrics == nil {
		mux.Handle("GET "+metricsPath, a.metricsHandler())
	}
	mux.Handle("/", a.pages(a.site))
	return mux
}

// webhooks names and counts deliveries. Pages have numbers of their own.
func (a *App) webhooks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:16]
		w.Header().Set("X-Request-Id", id)
		began := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		took := time.Since(began)
		outcome := "refused"
		switch rec.status {
		case http.StatusAccepted:
			outcome = "filed"
		case http.StatusOK:
			outcome = "known"
		case http.StatusServiceUnavailable:
			outcome = "failed"
		}
		a.metrics.webhook(outcome, took)
		a.log.Debug("webhook answered", "request", id, "delivery", word(r.Header.Get("X-GitHub-Delivery")), "event", word(r.Header.Get("X-GitHub-Event")), "status", rec.status, "dur", took)
	})
}

// word is a header as it may be logged before its sender is known.
func word(s string) string {
	s = s[:min(len(s), 64)]
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '?'
	}, s)
}

// formTime is how long a form may take to come. The server as a whole has no such limit:
// it would end live logs too.
const formTime = 30 * time.Second

func (a *App) pages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			c := http.NewResponseController(w)
			if c.SetReadDeadline(time.Now().Add(formTime)) == nil {
				// The server goes on reading, to learn if the client leaves.
				defer c.SetReadDeadline(time.Time{})
			}
		}
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		a.metrics.page(rec.status)
	})
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// connections bounds how many there are at once: each has memory. Live pages alone may
// be 2,000.
const connections = 4096

// bounded accepts no more than so many connections at once; others wait in the
// kernel's queue.
type bounded struct {
	net.Listener
	free chan struct{}
	done chan struct{}
	once sync.Once
}

func newBounded(l net.Listener, n int) net.Listener {
	return &bounded{Listener: l, free: make(chan struct{}, n), done: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &counted{Conn: c, end: sync.OnceFunc(func() { <-b.free })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

// counted gives its place back once.
type counted struct {
	net.Conn
	end func()
}

func (c *counted) Close() error {
	defer c.end()
	return c.Conn.Close()
}

// metricsHandler answers Prometheus.
func (a *App) metricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(a.measure(ctx)) // who is gone needs no answer
	})
}
