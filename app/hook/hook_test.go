package hook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distropack/distropack/app/store"
)

const secret = "a-secret-of-the-webhook"

func secrets(context.Context) ([][]byte, error) {
	return [][]byte{[]byte("the-old-secret"), []byte(secret)}, nil
}

func sign(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}

// webhook is a request as GitHub makes it.
func webhook(event, guid, body string) *http.Request {
	r := httptest.NewRequest("POST", "/webhook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "GitHub-Hookshot/044aadd")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-Hub-Signature-256", sign(secret, []byte(body)))
	return r
}

func send(t *testing.T, h http.Handler, r *http.Request) (int, answer, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the answer is not JSON: %v %q", err, w.Body)
	}
	return w.Code, a, w.Header()
}

const guid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

func TestAWebhookIsFiledOnce(t *testing.T) {
	in, woken := newMemory(t), 0
	h := Handler(Options{Secrets: secrets, Inbox: in, Wake: func() { woken++ }})
	code, a, _ := send(t, h, webhook("push", guid, pushed))
	if code != 202 || a.State != "waiting" || a.Delivery != guid || woken != 1 {
		t.Errorf("got %d %+v, woken %d times", code, a, woken)
	}
	got := in.get(guid)
	if got.Event != "push" || got.Installation != 7 || got.Repository != 9 || got.State != store.Waiting || string(got.Body) != pushed || time.Since(got.Received) > time.Minute {
		t.Errorf("filed %+v", got)
	}
	code, a, _ = send(t, h, webhook("push", guid, pushed))
	if code != 200 || a.State != "known" || len(in.order) != 1 {
		t.Errorf("again: got %d %+v, %d rows", code, a, len(in.order))
	}
}

// Without the right secret nothing is filed, and the answer does not tell more.
func TestASignatureIsNeeded(t *testing.T) {
	weak := "sha1=" + strings.Repeat("ab", 20)
	for _, x := range []struct {
		about string
		set   func(r *http.Request)
		want  int
	}{
		{"signed with the old secret", func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("the-old-secret", []byte(pushed))) }, 202},
		{"missing", func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401},
		{"SHA-1 only", func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Hub-Signature", weak) }, 401},
		{"SHA-1 in its place", func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", weak) }, 401},
		{"by an empty secret", func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("", []byte(pushed))) }, 401},
		{"of another body", func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(secret, []byte(pushed+" "))) }, 401},
		{"not hex", func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("g", 64)) }, 401},
	} {
		in := newMemory(t)
		h := Handler(Options{Secrets: secrets, Inbox: in})
		r := webhook("push", guid, pushed)
		x.set(r)
		code, a, _ := send(t, h, r)
		if code != x.want || (code == 202) != (len(in.order) == 1) || (code == 202) != (a.Error == "") {
			t.Errorf("%s: got %d %+v and %d rows, want %d", x.about, code, a, len(in.order), x.want)
		}
	}
	for _, none := range [][][]byte{nil, {{}}, {nil, {}}} {
		in := newMemory(t)
		h := Handler(Options{Secrets: func(context.Context) ([][]byte, error) { return none, nil }, Inbox: in})
		r := webhook("push", guid, pushed)
		r.Header.Set("X-Hub-Signature-256", sign("", []byte(pushed)))
		if code, a, _ := send(t, h, r); code != 401 || len(in.order) != 0 {
			t.Errorf("with %d empty secrets: got %d %+v", len(none), code, a)
		}
	}
}

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// What cannot be a webhook is refused before its body is read.
func TestRefusedUnread(t *testing.T) {
	for _, x := range []struct {
		set  func(r *http.Request)
		want int
		text string
	}{
		{func(r *http.Request) { r.Method = "GET" }, 405, `webhooks are sent by POST, not "GET"`},
		{func(r *http.Request) { r.Method = strings.Repeat("X", 5000) }, 405, `webhooks are sent by POST, not "XXXXXXXXXXXXXXXXXXXX..."`},
		{func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, "the content type is not application/json: choose that in the webhook's settings"},
		{func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "the content type is not application/json"},
		{func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, "the header X-Hub-Signature-256 is missing"},
		{func(r *http.Request) { r.ContentLength = 25<<20 + 1 }, 413, "the body is larger than 26214400 bytes"},
	} {
		r := webhook("push", guid, pushed)
		r.Body = io.NopCloser(unread{t})
		x.set(r)
		code, a, header := send(t, Handler(Options{Secrets: secrets, Inbox: newMemory(t)}), r)
		if code != x.want || !strings.HasPrefix(a.Error, x.text) {
			t.Errorf("got %d %q, want %d %q", code, a.Error, x.want, x.text)
		}
		if (header.Get("Allow") == "POST") != (code == 405) {
			t.Errorf("%d with Allow: %q", code, header.Get("Allow"))
		}
	}
}

func TestWhatIsSignedAndNoWebhookIsRefused(t *testing.T) {
	for _, x := range []struct{ event, guid, body, want string }{
		{"push", "", pushed, "the header X-GitHub-Delivery is not an id of letters, digits and hyphens"},
		{"push", "../../x", pushed, "the header X-GitHub-Delivery is not an id"},
		{"push", "a\nb", pushed, "the header X-GitHub-Delivery is not an id"},
		{"push", strings.Repeat("a", 65), pushed, "the header X-GitHub-Delivery is not an id"},
		{"", guid, pushed, `event name "" is not one of GitHub's`},
		{"push;", guid, pushed, `event name "push;" is not one of GitHub's`},
		{"push", guid, "", "push event: the body is not a JSON object"},
		{"push", guid, "payload=%7B%7D", "push event: the body is not a JSON object"},
		{"push", guid, `{"ref":`, "push event: the body is broken JSON at byte 7"},
		{"star", guid, strings.Repeat(`{"a":`, 20_000), "exceeded max depth"},
	} {
		in := newMemory(t)
		code, a, _ := send(t, Handler(Options{Secrets: secrets, Inbox: in}), webhook(x.event, x.guid, x.body))
		if code != 400 || !strings.Contains(a.Error, x.want) || len(in.order) != 0 {
			t.Errorf("%q %q: got %d %q and %d rows, want 400 %q", x.event, x.guid, code, a.Error, len(in.order), x.want)
		}
	}
}

// What nobody will handle is filed as settled: people see it, and workers don't.
func TestWhatIsNotHandledIsFiledAsSettled(t *testing.T) {
	hostile := strings.Replace(pushed, "v1.0", "../v1", 1)
	for _, x := range []struct {
		event, body string
		state       store.State
		note        string
		kept        int
	}{
		{"push", strings.Replace(pushed, "tags", "heads", 1), store.Ignored, "what was pushed is not a tag", 0},
		{"star", `{"action":"created","repository":{"id":9},"installation":{"id":7}}`, store.Ignored, "DistroPack does not use this event", 0},
		{"push", hostile, store.Failed, `push event: tag "../v1" has dots where git allows none`, len(hostile)},
	} {
		in := newMemory(t)
		code, a, _ := send(t, Handler(Options{Secrets: secrets, Inbox: in}), webhook(x.event, guid, x.body))
		got := in.get(guid)
		if code != 202 || a.State != string(x.state) || a.Note != x.note {
			t.Errorf("%s: answered %d %+v", x.note, code, a)
		}
		if got.State != x.state || got.Note != x.note || len(got.Body) != x.kept || got.Body == nil || got.Installation != 7 || got.Repository != 9 {
			t.Errorf("%s: filed %+v", x.note, got)
		}
	}
}

// While anything of ours is away GitHub is asked to come again, and nothing is told of
// the reason but to the log.
func TestNotFiledMeansComeAgain(t *testing.T) {
	away := newMemory(t)
	away.set(true)
	locked := func(context.Context) ([][]byte, error) { return nil, errors.New("the vault is locked") }
	for about, o := range map[string]Options{
		"delivery " + guid + ": the database is away": {Secrets: secrets, Inbox: away},
		"webhook secrets: the vault is locked":        {Secrets: locked, Inbox: newMemory(t)},
		"too many webhooks are being read at once":    {Secrets: secrets, Inbox: newMemory(t), MaxMemory: 100},
	} {
		var log bytes.Buffer
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Wake = func() { t.Errorf("%s: woken for nothing", about) }
		h := Handler(o)
		code, a, header := send(t, h, webhook("push", guid, pushed))
		if code != 503 || header.Get("Retry-After") == "" || a.Error != "the delivery could not be filed; it may be sent again" {
			t.Errorf("%s: got %d %+v, Retry-After: %q", about, code, a, header.Get("Retry-After"))
		}
		if !strings.Contains(log.String(), about) {
			t.Errorf("%s: the log has %s", about, &log)
		}
		if held := h.(*handler).memory.Load(); held != 0 {
			t.Errorf("%s: %d bytes are still held", about, held)
		}
	}
}

// Bodies are bounded by what arrives, announced or not, and all of them together.
func TestBodiesAreBounded(t *testing.T) {
	const limit = 300_000
	pad := func(n int) string { return pushed + strings.Repeat(" ", n-len(pushed)) }
	for _, announced := range []bool{true, false} {
		for _, x := range []struct{ size, want int }{
			{len(pushed), 202}, {firstRead - 1, 202}, {firstRead, 202}, {firstRead + 1, 202}, {4 * firstRead, 202}, {4*firstRead + 1, 202},
			{limit - 1, 202}, {limit, 202}, {limit + 1, 413}, {10 * limit, 413},
		} {
			in := newMemory(t)
			h := Handler(Options{Secrets: secrets, Inbox: in, MaxBody: limit})
			r := webhook("push", guid, pad(x.size))
			if !announced {
				r.ContentLength = -1
			}
			code, a, _ := send(t, h, r)
			if code != x.want || code == 202 && len(in.get(guid).Body) != x.size {
				t.Errorf("%d bytes, announced %v: got %d %+v, filed %d", x.size, announced, code, a, len(in.get(guid).Body))
			}
			if code == 413 && a.Error != "the body is larger than 300000 bytes" {
				t.Errorf("got %q", a.Error)
			}
			if held := h.(*handler).memory.Load(); held != 0 {
				t.Errorf("%d bytes: %d are still held", x.size, held)
			}
		}
	}
	h := Handler(Options{Secrets: secrets, Inbox: newMemory(t)})
	r := webhook("push", guid, pushed)
	r.ContentLength += 10 // it ends early
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(pushed[:50]), broken{}))
	if code, a, _ := send(t, h, r); code != 400 || a.Error != "the body ended after 50 bytes" {
		t.Errorf("a body that ends early: %d %+v", code, a)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// pipes is a network without a network, so that its deadlines are the bubble's.
type pipes struct {
	conns chan net.Conn
	end   chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.end) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// Who announces much and sends little holds little, and not for long. Others are
// served meanwhile.
func TestSlowClientsHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Handler(Options{Secrets: secrets, Inbox: newMemory(t), MaxBody: 1 << 20, MaxMemory: 1 << 20})
		network := &pipes{conns: make(chan net.Conn), end: make(chan struct{})}
		server := &http.Server{Handler: h}
		go server.Serve(network)
		defer server.Close()
		began := time.Now()
		var slow []net.Conn
		for range 8 {
			c := network.dial()
			defer c.Close()
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: %s\r\nContent-Length: 1000000\r\n\r\n{", sign(secret, nil))
			slow = append(slow, c)
		}
		synctest.Wait()
		quick := network.dial()
		defer quick.Close()
		r := webhook("push", guid, pushed)
		go r.Write(quick)
		a, err := http.ReadResponse(bufio.NewReader(quick), r)
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != 202 || !time.Now().Equal(began) {
			t.Errorf("beside slow clients: %s after %v", a.Status, time.Since(began))
		}
		var group sync.WaitGroup
		for _, c := range slow {
			group.Go(func() {
				b, err := io.ReadAll(c) // for ever, if the handler had no deadline
				if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 400")) || !bytes.Contains(b, []byte("the body ended after 1 bytes")) {
					t.Errorf("a slow client got %q, %v", b, err)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("slow clients were kept for %v", took)
		}
		synctest.Wait()
		if held := h.(*handler).memory.Load(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
}

// stuck is an inbox whose database hangs.
type stuck struct{}

func (stuck) Receive(ctx context.Context, d *store.Delivery) (bool, error) {
	<-ctx.Done()
	return false, context.Cause(ctx)
}

// GitHub gives up after ten seconds, and is answered before.
func TestAHangingInboxIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		code, _, _ := send(t, Handler(Options{Secrets: secrets, Inbox: stuck{}}), webhook("push", guid, pushed))
		if took := time.Since(began); code != 503 || took > 9*time.Second {
			t.Errorf("got %d after %v", code, took)
		}
	})
}

// Whatever happens, neither bodies nor secrets get into the log or the answer.
func TestNothingSecretIsLogged(t *testing.T) {
	const private = "ghs_1234_abcdefghijklmnopqrstuvwxyz"
	var log bytes.Buffer
	in := newMemory(t)
	h := Handler(Options{Secrets: secrets, Inbox: in, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	body := strings.Replace(pushed, "{", `{"zen":"`+private+`",`, 1)
	var answers strings.Builder
	for i, set := range []func(r *http.Request){
		func(r *http.Request) {},
		func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("other", []byte(body))) },
		func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", private+"\n") },
		func(r *http.Request) { r.Header.Set("X-GitHub-Event", "star") },
		func(r *http.Request) { in.set(true) },
	} {
		r := webhook("push", fmt.Sprint("a-", i), body)
		set(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answers.WriteString(w.Body.String())
	}
	for _, s := range []string{private, "refs/tags", secret, "the-old-secret", sign(secret, []byte(body))[10:]} {
		if strings.Contains(log.String(), s) || strings.Contains(answers.String(), s) {
			t.Errorf("%q is in\n%s\n%s", s, &log, &answers)
		}
	}
	if strings.Count(log.String(), "\n") != 5 {
		t.Errorf("want a line for each request:\n%s", &log)
	}
}
