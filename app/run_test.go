package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/app/web"
)

// A webhook with the right signature is filed, and all others are not.
func TestWebhooks(t *testing.T) {
	each(t, func(t *testing.T, w *world, database string) {
		r := w.start(func(o *Options) {
			o.Database = database
			o.Given.WebhookSecret = "the next one\n" + w.double.WebhookSecret // while it is changed
		})
		ping := w.ping()
		for _, c := range []struct {
			name   string
			change func(*http.Request)
			status int
		}{
			{"first", func(*http.Request) {}, 202},
			{"again", func(*http.Request) {}, 200},
			{"wrong", func(q *http.Request) { q.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)) }, 401},
			{"missing", func(q *http.Request) { q.Header.Del("X-Hub-Signature-256") }, 401},
			{"SHA-1", func(q *http.Request) {
				q.Header.Del("X-Hub-Signature-256")
				q.Header.Set("X-Hub-Signature", "sha1="+strings.Repeat("0", 40))
			}, 401},
			{"read", func(q *http.Request) { q.Method = "GET" }, 405},
		} {
			q, err := w.double.Signed(r.url+"/hook", ping)
			if err != nil {
				t.Fatal(err)
			}
			c.change(q)
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s: %s, want %d; request %q", c.name, resp.Status, c.status, resp.Header.Get("X-Request-Id"))
			}
		}
		until(t, "the ping is settled", func() bool {
			d, err := r.store.Delivery(t.Context(), ping.GUID)
			return err == nil && !d.State.Open()
		})
		code, text := r.get("/metrics")
		checkMetrics(t, text)
		for _, want := range []string{`webhooks_total{outcome="filed"} 1`, `{outcome="known"} 1`, `{outcome="refused"} 4`, "distropack_webhook_seconds_count 6", `deliveries{state="waiting"} 0`, "distropack_database_up 1", `version="1.2.3",node="main"`} {
			if code != 200 || !strings.Contains(text, want+"\n") && !strings.Contains(text, want+"}") {
				t.Errorf("%q is not in the metrics, %d\n%s", want, code, text)
			}
		}
		for _, secret := range []string{w.double.WebhookSecret, w.double.ClientSecret, "the next one"} {
			if strings.Contains(text+w.log.String(), secret) {
				t.Errorf("%q is in the metrics or the log", secret)
			}
		}
	})
}

// While the database is away nothing is accepted, all of it is said, and it passes by
// itself.
func TestTheDatabaseGoesAway(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	r.store.Close()
	if code, text := r.get("/readyz"); code != 503 || text != "the database does not answer\n" {
		t.Errorf("readyz: %d %q", code, text)
	}
	if code, _ := r.get("/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	if _, text := r.get("/metrics"); !strings.Contains(text, "distropack_database_up 0\n") {
		t.Errorf("metrics:\n%s", text)
	}
	w.double.Hook(r.url + "/hook")
	w.double.Ping()
	if err := w.hub.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := w.double.Deliveries()
	if got := all[len(all)-1].StatusCode; got != 503 {
		t.Errorf("a webhook: %d", got)
	}
	if _, text := r.get("/metrics"); !strings.Contains(text, `webhooks_total{outcome="failed"} 1`) {
		t.Errorf("metrics:\n%s", text)
	}
}

// Numbers have a place of their own where somebody wants that.
func TestMetricsElsewhere(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(func(o *Options) { o.Metrics = l })
	if code, _ := r.get("/metrics"); code != 404 {
		t.Errorf("at the pages: %d", code)
	}
	resp, err := http.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(b), "distropack_build_info") {
		t.Errorf("%s, %v\n%s", resp.Status, err, b)
	}
	for _, path := range []string{"/", "/hook", "/healthz"} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("%s there: %s", path, resp.Status)
		}
	}
}

// A request that is under way when the server is told to stop is answered, new
// connections are not, and one that never ends does not keep the server.
func TestStoppingLetsRequestsEnd(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	halfway := func() net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		// The rest of the body is still to come.
		fmt.Fprintf(c, "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Hub-Signature-256: sha256=%064d\r\n\r\n{", 0)
		return c
	}
	ends, hangs := halfway(), halfway()
	until(t, "the requests are under way", func() bool { return strings.Contains(w.log.String(), "serving") })
	r.get("/healthz") // comes after the two
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	until(t, "no more connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	fmt.Fprint(ends, "}")
	answer, err := io.ReadAll(ends)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401") {
		t.Errorf("the request that went on got %q, %v", answer, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < r.o.Grace || took > r.o.Grace+5*time.Second {
		t.Errorf("stopped after %v, with a grace of %v", took, r.o.Grace)
	}
	hangs.SetReadDeadline(time.Now().Add(time.Second))
	if b, err := io.ReadAll(hangs); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("who never ends is still there: %q, %v", b, err)
	}
}

// Who follows a release does not keep the server from stopping.
func TestStoppingEndsLivePages(t *testing.T) {
	w := newWorld(t)
	r := w.start(func(o *Options) { o.Grace = time.Minute })
	ctx := t.Context()
	if err := r.store.SaveInstallation(ctx, &store.Installation{ID: w.in.ID, Account: "acme", AccountID: 1, AccountType: "Organization"}); err != nil {
		t.Fatal(err)
	}
	if err := r.store.SaveRepository(ctx, &store.Repository{ID: w.repo.ID(), Installation: w.in.ID, Owner: "acme", Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	commit := strings.Repeat("a", 40)
	if _, err := r.store.CreateRelease(ctx, &store.Release{ID: fmt.Sprintf("rel:%d:v1:%s", w.repo.ID(), commit), Installation: w.in.ID, Repository: w.repo.ID(), Tag: "v1", Commit: commit}); err != nil {
		t.Fatal(err)
	}
	w.hub.Person("ada").May("pull", w.repo)
	w.hub.SignIn("ada")
	w.double.Callbacks(r.url + "/signin/github")
	c := browser(t)
	visit(t, c, r.url+"/signin")
	resp, err := c.Get(fmt.Sprintf("%s/repositories/%d/events/%s/v1", r.url, w.repo.ID(), commit))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 7)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "retry: " {
		t.Fatalf("the stream begins with %q, %v", first, err)
	}
	began := time.Now()
	r.end()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("stopped after %v", took)
	}
}

// Two servers with one name on a database would restart each other's jobs for ever.
func TestANodesNameIsTaken(t *testing.T) {
	database := storetest.Postgres(t)
	w := newWorld(t)
	with := func(o *Options) {
		o.Database, o.Node, o.Beat = database, "one", 50*time.Millisecond
	}
	first := w.start(with)
	until(t, "the first serves", func() bool { code, _ := first.get("/readyz"); return code == 200 })
	elsewhere := func(o *Options) {
		o.Dir = t.TempDir()
		copyFile(t, ServerIdentity(w.dir), ServerIdentity(o.Dir))
	}
	second := w.start(with, elsewhere)
	<-first.done
	var m *Mistake
	if err := first.stop(); !errors.As(err, &m) || !strings.Contains(err.Error(), `another server has started as node "one" on this database, so this one ends: give each a --node of its own`) {
		t.Errorf("the first ended with %v", err)
	}
	third := w.start(with, elsewhere, func(o *Options) { o.Node = "two" })
	for _, r := range []*running{second, third} {
		if code, text := r.get("/readyz"); code != 200 {
			t.Errorf("%s: %d %s", r.o.Node, code, text)
		}
	}
	second.end()
	third.end()
}

// What was filed and not handled is handled after the restart.
func TestARestartGoesOn(t *testing.T) {
	each(t, func(t *testing.T, w *world, database string) {
		with := func(o *Options) { o.Database = database }
		s, err := store.Open(t.Context(), firstOf(database, "sqlite:"+filepath.Join(w.dir, "app.db")), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := w.ping()
		if _, err := s.Receive(t.Context(), &store.Delivery{GUID: d.GUID, Event: d.Event, Body: d.Body}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r := w.start(with)
		until(t, "what was left is handled", func() bool {
			d, err := r.store.Delivery(t.Context(), d.GUID)
			return err == nil && !d.State.Open()
		})
		// By somebody's hand once more.
		a := &actions{later: &r.releases, store: r.store, wake: r.inbox.Wake}
		if err := a.Redeliver(t.Context(), "ada", d.GUID); err != nil {
			t.Fatal(err)
		}
		until(t, "it is handled again", func() bool {
			d, err := r.store.Delivery(t.Context(), d.GUID)
			return err == nil && !d.State.Open() && d.Tries == 2
		})
		r.end()
	})
}

// What can't be handled again is refused in words.
func TestRedeliveriesThatAreRefused(t *testing.T) {
	s, err := store.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := &actions{later: new(later), store: s, wake: func() { t.Error("woken") }}
	for guid, state := range map[string]store.State{"open": store.Waiting, "empty": store.Ignored} {
		if _, err := s.Receive(t.Context(), &store.Delivery{GUID: guid, Event: "ping", State: state, Body: []byte{}}); err != nil {
			t.Fatal(err)
		}
	}
	for guid, want := range map[string]string{
		"gone": "This delivery is not there any more.", "open": "This delivery is being handled already.",
		"empty": "This delivery was ignored, and its content was not kept: have GitHub send it again.",
	} {
		refused(t, a.Redeliver(t.Context(), "ada", guid), want)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Before the App is set up nothing can be asked for.
func TestNothingIsReleasedBeforeTheSetUp(t *testing.T) {
	w := newWorld(t)
	r := w.start(func(o *Options) { o.Given = Credentials{} })
	var a web.Actions = &actions{later: &r.releases, store: r.store, wake: r.inbox.Wake}
	ctx := context.Background()
	_, err := a.Release(ctx, "ada", 7, "v1", nil)
	refused(t, err, "The GitHub App is not set up yet")
	for _, f := range []func(context.Context, string, string) error{a.Cancel, a.Restart, a.Republish, a.Rollback} {
		refused(t, f(ctx, "ada", "rel:7:v1:x"), "The GitHub App is not set up yet")
	}
	refused(t, r.releases.Handle(ctx, nil, nil), "The GitHub App is not set up yet")
}

// Scratch files of a process that was killed go, those of running releases stay.
func TestOldScratchFilesAreSwept(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	for name, age := range map[string]time.Duration{"old": 4 * 24 * time.Hour, "new": time.Hour} {
		dir := filepath.Join(r.workFolder(), name)
		if err := os.MkdirAll(filepath.Join(dir, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "work has begun", func() bool { return r.releases.now.Load() != nil })
	if err := r.sweep(t.Context(), r.releases.now.Load()); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(r.workFolder(), "old")) || !exists(filepath.Join(r.workFolder(), "new")) {
		t.Error("the wrong one was deleted")
	}
	for scope, want := range map[string]string{"installation:42": "/installations/42/keys", "repository:7": "/repositories/7/keys"} {
		if got := r.keyPage(scope); got != r.url+want {
			t.Errorf("the keys of %s are at %s", scope, got)
		}
	}
}
