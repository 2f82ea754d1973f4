package github

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gauge is what is known of one caller's limits.
type gauge struct {
	mu     sync.Mutex
	closed time.Time // no requests before it
	rest   int
	reset  time.Time
	known  bool
}

func (g *gauge) left() (int, time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rest, g.reset, g.known
}

// open says whether a request may be sent, and if not, when.
func (g *gauge) open(now time.Time) (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed, !now.Before(g.closed)
}

func (g *gauge) close(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.closed) {
		g.closed = until
	}
}

// note reads what an answer says of the limits.
func (g *gauge) note(h http.Header, now time.Time) {
	rest, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest, g.known = rest, true
	if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		g.reset = ours(time.Unix(reset, 0), h, now)
	}
}

// ours is a time of the host's clock by our own.
func ours(theirs time.Time, h http.Header, now time.Time) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return theirs
	}
	return now.Add(theirs.Sub(date))
}

// limited says until when the host wants us to wait; false if that is not what the
// answer is about.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
func limited(res *http.Response, message string, now time.Time) (time.Time, bool) {
	h := res.Header
	none := h.Get("X-Ratelimit-Remaining") == "0"
	after, err := strconv.Atoi(h.Get("Retry-After"))
	hasAfter := err == nil
	secondary := strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection")
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
	case res.StatusCode == http.StatusForbidden && (none || secondary || hasAfter):
	default:
		return time.Time{}, false
	}
	if hasAfter {
		return now.Add(max(time.Second, time.Duration(after)*time.Second)), true
	}
	if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); none && err == nil {
		if until := ours(time.Unix(reset, 0), h, now); until.After(now) {
			return until, true
		}
		return now.Add(time.Second), true
	}
	return now.Add(time.Minute), true // what GitHub asks for where it names no time
}
