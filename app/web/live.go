package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/store"
)

const (
	// livePause is how often a page hears of changes at most.
	livePause = 250 * time.Millisecond
	// liveBeat is how long a connection is silent: proxies close those that seem dead.
	liveBeat = 15 * time.Second
	// liveLasts ends a stream, so that rights are checked again; browsers come back.
	liveLasts = 5 * time.Minute
	// liveLines is how many lines go out at once. Who is further behind than two of
	// those gets the end of the log, and is told.
	liveLines = 500
	// A person has few pages open, a server bounded memory.
	livePerSession = 8
	liveAtOnce     = 2000
)

// streams counts live pages.
type streams struct {
	sync.Mutex
	all int
	of  map[string]int // by session
}

func (s *streams) enter(session string) bool {
	s.Lock()
	defer s.Unlock()
	if s.of == nil {
		s.of = make(map[string]int)
	}
	if s.all >= liveAtOnce || s.of[session] >= livePerSession {
		return false
	}
	s.all++
	s.of[session]++
	return true
}

func (s *streams) leave(session string) {
	s.Lock()
	defer s.Unlock()
	s.all--
	if s.of[session]--; s.of[session] == 0 {
		delete(s.of, session)
	}
}

// stream writes server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// event sends one. Its data is JSON, which has no line breaks.
func (st *stream) event(id int64, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var b strings.Builder
	if id > 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", name, text)
	return st.send(b.String())
}

func (st *stream) send(text string) error {
	_ = st.rc.SetWriteDeadline(time.Now().Add(30 * time.Second)) // servers of tests may not know it
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.rc.Flush()
}

// events follows a release: "part" replaces a piece of the page, "log" brings lines,
// "gap" says that lines were left out, "end" that all is over.
func (s *Site) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	rel := v.releases[0]
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	key := hashed(v.session.ID)
	if !s.streams.enter(key) {
		return &problem{status: http.StatusTooManyRequests, text: "Too many pages are open that follow a release."}
	}
	defer s.streams.leave(key)
	ctx, cancel := context.WithTimeout(r.Context(), liveLasts)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()

	after := number(r.URL.Query().Get("after"))
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = number(id)
	}
	changed, unwatch := s.o.Store.Watch(ctx, rel.ID)
	defer unwatch()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx
	st := &stream{w, http.NewResponseController(w)}
	if st.send("retry: 2000\n\n") != nil {
		return nil
	}
	f := follower{s: s, v: v, id: rel.ID, after: after, sent: make(map[string]string)}
	for {
		over, err := f.round(ctx, st)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Error("live page ended", "request", v.id, "release", rel.ID, "err", err)
			}
			return nil // begun already; the browser asks again
		}
		if over {
			return nil
		}
		if !wait(ctx, livePause) {
			return nil
		}
		if f.behind {
			continue
		}
		beat := time.NewTimer(liveBeat)
		select {
		case <-ctx.Done():
			beat.Stop()
			return nil
		case <-changed:
		case <-beat.C:
			if st.send(":\n\n") != nil {
				return nil
			}
		}
		beat.Stop()
	}
}

// wait returns false if ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// follower is how far one page is.
type follower struct {
	s      *Site
	v      *visit
	id     string
	after  int64
	sent   map[string]string // pieces as they were sent last
	behind bool              // more lines are there already
}

// sinceText is how long something has been running, as time.html writes it.
var sinceText = regexp.MustCompile(`(data-since="[^"]*">)[^<]*`)

// parts are the pieces of the release's page that change, by their ids.
var parts = []string{"state", "progress", "legs", "actions"}

// round sends what is new, and says whether all is over.
func (f *follower) round(ctx context.Context, st *stream) (over bool, err error) {
	// The state first: a release that has ended writes no lines after that.
	rel, err := f.s.o.Store.Release(ctx, f.id)
	if err != nil {
		return false, err
	}
	if err := f.lines(ctx, st); err != nil {
		return false, err
	}
	view, err := f.s.newReleaseView(ctx, f.v, rel)
	if err != nil {
		return false, err
	}
	for _, name := range parts {
		html, err := f.s.part("release", name, view)
		if err != nil {
			return false, err
		}
		// What only time changes is counted by the script.
		same := sinceText.ReplaceAllString(html, "$1")
		if f.sent[name] == same {
			continue
		}
		if err := st.event(0, "part", map[string]string{"id": name, "html": html}); err != nil {
			return false, err
		}
		f.sent[name] = same
	}
	if open(rel.State) || f.behind {
		return false, nil
	}
	return true, st.event(0, "end", map[string]string{"state": view.State.Word, "title": view.Tag})
}

func (f *follower) lines(ctx context.Context, st *stream) error {
	lines, err := f.s.o.Store.Log(ctx, f.id, f.after, liveLines)
	if err != nil {
		return err
	}
	if f.behind = len(lines) == liveLines; f.behind {
		tail, err := f.s.o.Store.LogTail(ctx, f.id, liveLines)
		if err != nil {
			return err
		}
		if len(tail) > 0 && tail[0].Seq > lines[len(lines)-1].Seq+liveLines {
			if err := st.event(0, "gap", map[string]int64{"lines": tail[0].Seq - f.after - 1}); err != nil {
				return err
			}
			lines, f.behind = tail, false
		}
	}
	if len(lines) == 0 {
		return nil
	}
	f.after = lines[len(lines)-1].Seq
	return st.event(f.after, "log", newLogView(lines).Lines)
}

// watchAll signals when any of some releases changes, until stop.
func (s *Site) watchAll(ctx context.Context, rels []*store.Release) (<-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(ctx)
	any := make(chan struct{}, 1)
	var running sync.WaitGroup
	for _, rel := range rels {
		changed, unwatch := s.o.Store.Watch(ctx, rel.ID)
		running.Go(func() {
			defer unwatch()
			for {
				select {
				case <-ctx.Done():
					return
				case _, ok := <-changed:
					if !ok {
						return
					}
					select {
					case any <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	return any, func() { cancel(); running.Wait() }
}
