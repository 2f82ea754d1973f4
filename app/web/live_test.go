package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

// listener reads server-sent events.
type listener struct {
	t      *testing.T
	events chan sse
	resp   *http.Response
}

type sse struct{ id, name, data string }

// listen opens a stream as a person; it ends with the test.
func (w *world) listen(srv *httptest.Server, login, path string, change ...func(*http.Request)) *listener {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
	w.must(err)
	cookie, _ := w.signIn(login)
	r.AddCookie(cookie)
	for _, f := range change {
		f(r)
	}
	resp, err := srv.Client().Do(r)
	w.must(err)
	l := &listener{t: w.t, events: make(chan sse, 1000), resp: resp}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer close(l.events)
		in := bufio.NewScanner(resp.Body)
		in.Buffer(nil, 1<<20)
		var e sse
		for in.Scan() {
			key, value, _ := strings.Cut(in.Text(), ": ")
			switch key {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					l.events <- e
				}
				e = sse{}
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); resp.Body.Close(); <-over })
	return l
}

// next waits for an event that holds what it says.
func (l *listener) next(name, holds string) sse {
	l.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-l.events:
			if !ok {
				l.t.Fatalf("the stream ended before %s with %q", name, holds)
			}
			if e.name == name && strings.Contains(e.data, holds) {
				return e
			}
		case <-limit:
			l.t.Fatalf("no %s with %q in 10 s", name, holds)
		}
	}
}

func (w *world) say(release string, lines ...string) {
	w.t.Helper()
	var all []store.LogLine
	for _, text := range lines {
		all = append(all, store.LogLine{At: w.clock(), Leg: "deb", Text: text})
	}
	w.must(w.store.AppendLog(w.t.Context(), release, all))
}

func TestLivePageHearsOfAllThatChanges(t *testing.T) {
	w := newWorld(t, "")
	srv := httptest.NewServer(w.site)
	t.Cleanup(srv.Close)
	r := w.release("v1.2.3", store.Running, nil)
	w.say(r.ID, "one", "two")
	l := w.listen(srv, "rita", releasePath(r, "events"))
	if got := l.resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %s", got)
	}
	if e := l.next("log", "two"); e.id != "2" {
		t.Errorf("the id of the last line is %q", e.id)
	}
	l.next("part", `"id":"legs"`)
	w.say(r.ID, "three \x1b[31mred\x1b[0m <script>alert(1)</script>")
	e := l.next("log", "three")
	var lines []logLine
	if err := json.Unmarshal([]byte(e.data), &lines); err != nil || len(lines) != 1 || lines[0].Text != "three red <script>alert(1)</script>" || lines[0].N != 3 {
		t.Errorf("lines %+v, %v", lines, err)
	}
	w.must(w.store.SetLeg(t.Context(), &store.Leg{Release: r.ID, Name: "deb <b>", Kind: "package", State: store.Running, Started: w.clock()}))
	if e := l.next("part", "deb "); strings.Contains(e.data, "<b>") || !strings.Contains(e.data, `"id":"legs"`) {
		t.Errorf("the leg came as %s", e.data)
	}
	_, err := w.store.UpdateRelease(t.Context(), r.ID, func(r *store.Release) error {
		r.State, r.Short, r.Ended = store.Failed, "it broke", w.clock()
		return nil
	})
	w.must(err)
	l.next("part", "it broke")
	l.next("end", "failed")
	if _, ok := <-l.events; ok {
		t.Error("something comes after the end")
	}
	// Somebody comes back: only what they lack.
	again := w.listen(srv, "rita", releasePath(r, "events")+"?after=1", func(r *http.Request) { r.Header.Set("Last-Event-ID", "2") })
	if e := again.next("log", ""); e.id != "3" || strings.Contains(e.data, "two") {
		t.Errorf("after line 2 came %+v", e)
	}
	again.next("end", "failed")
}

func TestReadersDoNotGetTheButtonsOfOthersInAStream(t *testing.T) {
	w := newWorld(t, "")
	srv := httptest.NewServer(w.site)
	t.Cleanup(srv.Close)
	r := w.release("v1", store.Failed, nil)
	mels := w.listen(srv, "mel", releasePath(r, "events"))
	mels.next("part", "/restart/")
	ritas := w.listen(srv, "rita", releasePath(r, "events"))
	for e := range ritas.events {
		if strings.Contains(e.data, "restart") {
			t.Errorf("rita got %s", e.data)
		}
	}
}

func TestWhoIsFarBehindGetsTheEndOfTheLog(t *testing.T) {
	w := newWorld(t, "")
	srv := httptest.NewServer(w.site)
	t.Cleanup(srv.Close)
	r := w.release("v1", store.Running, nil)
	var lines []string
	for i := range 3*liveLines + 7 {
		lines = append(lines, "line "+itoa(i+1))
	}
	w.say(r.ID, lines...)
	l := w.listen(srv, "rita", releasePath(r, "events")+"?after=5")
	if e := l.next("gap", ""); e.data != fmt.Sprintf(`{"lines":%d}`, 2*liveLines+7-5) {
		t.Errorf("the gap is %s", e.data)
	}
	if e := l.next("log", ""); !strings.Contains(e.data, `"line 1507"`) || strings.Contains(e.data, `"line 1007"`) {
		t.Errorf("after the gap come not the last %d lines", liveLines)
	}
	// Who is a little behind gets all, in pieces.
	l = w.listen(srv, "rita", releasePath(r, "events")+"?after=807")
	n := 0
	for n < 700 {
		var got []logLine
		if err := json.Unmarshal([]byte(l.next("log", "").data), &got); err != nil {
			t.Fatal(err)
		}
		for _, line := range got {
			if n++; line.N != int64(807+n) {
				t.Fatalf("line %d came as number %d", line.N, n)
			}
		}
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	w := newWorld(t, "")
	srv := httptest.NewServer(w.site)
	t.Cleanup(srv.Close)
	r := w.release("v1", store.Running, nil)
	l := w.listen(srv, "rita", releasePath(r, "events"))
	l.next("part", "")
	answered := make(chan int, 1)
	token := w.token("repository:7", time.Time{}, "read")
	go func() {
		answered <- w.api("GET", "/api/v1/status?wait=60&id="+r.ID, token, "").Code
	}()
	w.until(func() bool { return w.site.streams.has("token " + hashed(token)) })
	w.site.Stop()
	select {
	case code := <-answered:
		if code != http.StatusOK {
			t.Errorf("the waiting answer: %d", code)
		}
	case <-time.After(10 * time.Second):
		t.Error("an answer is still held back")
	}
	limit := time.After(10 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-l.events:
		case <-limit:
			t.Fatal("the stream goes on")
		}
	}
}

// until waits until something is so.
func (w *world) until(is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("not so in 10 s")
		}
	}
}

func (s *streams) has(key string) bool {
	s.Lock()
	defer s.Unlock()
	return s.of[key] > 0
}

func TestStreamsOfOnePersonAreBounded(t *testing.T) {
	var s streams
	for range livePerSession {
		if !s.enter("a") {
			t.Fatal("refused too early")
		}
	}
	if s.enter("a") || !s.enter("b") {
		t.Error("the bound is not one session's")
	}
	s.leave("a")
	if !s.enter("a") {
		t.Error("a place that was left stays taken")
	}
	for i := range liveAtOnce {
		s.enter(itoa(i))
	}
	if s.enter("last") || s.all != liveAtOnce {
		t.Errorf("%d streams at once", s.all)
	}
}

func TestALogOfTenMegabytesComesInPieces(t *testing.T) {
	w := newWorld(t, "")
	r := w.release("v1", store.Done, nil)
	n := w.bigLog(r.ID)
	page := w.get(ReleasePath(r), "rita")
	if len(page) > 500<<10 || strings.Count(page, `class="line"`) != tailLines {
		t.Errorf("the page has %d bytes and %d lines", len(page), strings.Count(page, `class="line"`))
	}
	whole := w.get(releasePath(r, "log"), "rita")
	if !strings.Contains(whole, fmt.Sprintf("Lines %d to %d of %d", n-pageLines+1, n, n)) {
		t.Error("the log does not begin at its end")
	}
	// From the first page to the last, every line once.
	seen, path := 0, releasePath(r, "log")+"?after=0"
	for path != "" {
		page := w.get(path, "rita")
		seen += strings.Count(page, `class="line"`)
		path = linkOf(page, "Later")
	}
	if seen != n {
		t.Errorf("the pages have %d lines, want %d", seen, n)
	}
	page = w.get(releasePath(r, "log")+"?after=2500", "rita")
	if got := linkOf(page, "Earlier"); got != releasePath(r, "log")+"?after=1500" {
		t.Errorf("earlier than 2501 leads to %s", got)
	}
	text := w.get(releasePath(r, "log.txt"), "rita")
	if got := strings.Count(text, "\n"); got != n || len(text) < 10<<20 {
		t.Errorf("the text has %d lines and %d bytes", got, len(text))
	}
}

// linkOf returns where a link leads; "" if there is none.
func linkOf(page, text string) string {
	before, _, ok := strings.Cut(page, `">`+text+"</a>")
	if !ok {
		return ""
	}
	return before[strings.LastIndex(before, `href="`)+len(`href="`):]
}

// bigLog writes 10 MB of lines and returns how many.
func (w *world) bigLog(release string) int {
	w.t.Helper()
	const n = 20_000
	filler := strings.Repeat("x", 518)
	var lines []store.LogLine
	for i := range n {
		lines = append(lines, store.LogLine{At: w.clock(), Leg: "deb", Text: fmt.Sprintf("%06d %s", i+1, filler)})
		if len(lines) == 2_000 {
			w.must(w.store.AppendLog(w.t.Context(), release, lines))
			lines = lines[:0]
		}
	}
	return n
}
