package web

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/publish/publishtest"
)

// fill gives every page something to show; text stands in all places where somebody
// else's text may stand.
func (w *world) fill(text string) (paths map[string]string) {
	w.t.Helper()
	ctx := w.t.Context()
	r := w.release("v1.2.3", store.Failed, func(r *store.Release) {
		r.Short, r.Detail, r.Version, r.Trigger, r.Step = text, text+"\n"+text, text, text, text
	})
	running := w.release("v2.0.0-rc1", store.Running, func(r *store.Release) { r.Step, r.Trigger = text, text })
	decide := w.release("v1.2.2", store.ActionRequired, func(r *store.Release) { r.Short, r.Detail = text, text })
	done := w.release("release/1.2.1", store.Done, nil)
	for i, state := range []store.State{store.Done, store.Running, store.Failed, store.Waiting} {
		for _, id := range []string{r.ID, running.ID} {
			l := &store.Leg{Release: id, Name: text + itoa(i), Kind: text, State: state, Short: text, Detail: text, N: i, M: 4, Bytes: 12_345_678}
			if state != store.Waiting {
				l.Started = w.clock()
			}
			if !open(state) {
				l.Ended = w.clock().Add(time.Second)
			}
			w.must(w.store.SetLeg(ctx, l))
		}
	}
	for _, id := range []string{r.ID, running.ID} {
		w.must(w.store.AppendLog(ctx, id, []store.LogLine{{At: w.clock(), Leg: text, Text: text}, {At: w.clock(), Text: strings.Repeat(text, 200)}}))
	}
	_, err := w.store.Receive(ctx, &store.Delivery{GUID: "guid-2", Event: text, Action: text, Installation: 42, Body: []byte(`{"a": ` + fmt.Sprintf("%q", text) + `}` + text)})
	w.must(err)
	w.must(w.store.SettleDelivery(ctx, "guid-2", store.Failed, text))
	w.keys.list = []Key{{
		Name: text, User: text, State: text, Fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567", Created: w.clock(), Expires: w.clock().Add(12 * 24 * time.Hour),
		Parts: []KeyPart{{text, text, text, text + "\n" + text}}, Warnings: []string{text},
	}}
	w.secrets.values["repository:7 BUCKET_SECRET"] = "never shown"
	w.secrets.values["repository:7 "+text] = "never shown"
	w.must(w.store.CreateToken(ctx, &store.Token{Name: text, Hash: "h", Scope: "repository:7", Actions: []string{"read"}, By: text, Expires: w.clock().Add(-time.Hour)}))
	return map[string]string{
		"/": "ada", "/api": "", "/nothing": "ada", "/admin": "root", "/admin/deliveries": "root", "/admin/deliveries/guid-2": "root",
		"/installations/42": "ada", "/installations/42/keys": "ada", "/installations/42/secrets": "ada", "/installations/42/tokens": "ada", "/installations/42/deliveries?state=failed": "ada",
		"/repositories/7": "ada", "/repositories/7?done=cancel": "rita", "/repositories/7/keys": "mel", "/repositories/7/secrets": "mel", "/repositories/7/tokens": "mel",
		ReleasePath(r): "mel", ReleasePath(running): "mel", ReleasePath(decide): "mel", ReleasePath(done): "mel", releasePath(r, "log"): "rita", releasePath(r, "log") + "?after=1": "rita",
	}
}

func TestPagesAreValidHTML(t *testing.T) {
	publishtest.Need(t, "tidy")
	w := newWorld(t, "")
	pages := map[string]string{}
	for path, login := range w.fill("deb amd64") {
		pages[path] = w.do("GET", path, login, nil).Body.String()
	}
	pages["/ of nobody"] = w.get("/", "")
	pages["a refusal"] = w.do("POST", "/repositories/7/release", "mel", nil).Body.String()
	pages["a new token"] = w.do("POST", "/repositories/7/tokens/new", "mel", url.Values{"name": {"x"}, "action": {"read"}, "days": {"30"}}).Body.String()
	w.hub.sees["rita"] = nil
	pages["/ of somebody without repositories"] = w.get("/", "rita")
	w.site.o.Admins = nil
	link, err := w.site.SetupLink(t.Context())
	w.must(err)
	_, token, _ := strings.Cut(link, "token=")
	setup := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: w.site.cookieName("setup"), Value: token}) }
	pages["set-up with an App"] = w.do("GET", "/setup", "ada", nil, setup).Body.String()
	w.setup.app = nil
	pages["set-up"] = w.do("GET", "/setup", "", nil, setup).Body.String()
	pages["/ before the set-up"] = w.get("/", "")
	for name, page := range pages {
		if !strings.HasPrefix(page, "<!DOCTYPE html>") {
			t.Errorf("%s is no page:\n%.200s", name, page)
		}
		cmd := exec.Command("tidy", "-q", "-e", "--show-info", "no")
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if seen[m[1]] {
				t.Errorf("%s has the id %s twice", name, m[1])
			}
			seen[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`(?i) (on[a-z]+|style)=|<style|javascript:|<script>`).FindAllString(page, -1) {
			t.Errorf("%s has %q, which the policy forbids", name, m)
		}
	}
}

// Text of strangers is text, for browsers and for readers.
func TestTextIsTextOnEveryPage(t *testing.T) {
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`{{.}}\x1b[31mred\x1b]0;title\x07\u202eevil"
	w := newWorld(t, "")
	ctx := t.Context()
	paths := w.fill(evil)
	w.must(w.store.SaveInstallation(ctx, &store.Installation{ID: 42, Account: evil, AccountID: 100, AccountType: "Organization"}))
	w.must(w.store.SaveRepository(ctx, &store.Repository{ID: 7, Installation: 42, Owner: evil, Name: evil, DefaultBranch: evil}))
	for login, list := range w.hub.sees {
		for i := range list {
			list[i].Owner, list[i].Name = evil, evil
		}
		w.hub.sees[login] = list
	}
	tag := `v1"><script>alert(3)</script>&x=javascript:alert`
	r := w.release(tag, store.Failed, func(r *store.Release) { r.Commit = `"><script>alert(4)</script>`; r.ID = releaseID(7, r.Tag, r.Commit) })
	paths[ReleasePath(r)], paths[releasePath(r, "log")] = "mel", "mel"
	shown := 0
	for path, login := range paths {
		rec := w.do("GET", path, login, nil)
		page := rec.Body.String()
		if rec.Code >= 400 && path != "/nothing" {
			t.Fatalf("%s: %d", path, rec.Code)
		}
		shown += strings.Count(page, "alert(1)")
		for _, bad := range []string{"<script>", "<img src=x", "\x1b", "\u202e", "\x07"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		for _, attr := range []string{"onerror=", "javascript:"} {
			for _, tag := range regexp.MustCompile(`<[a-z][^>]*>`).FindAllString(page, -1) {
				// An escaped quote keeps it within the attribute where it is text.
				if strings.Contains(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(tag, ""), attr) || strings.Contains(tag, `href="javascript:`) {
					t.Errorf("%s has the tag %s", path, tag)
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("the text stands only %d times on all pages: this test looks at too little", shown)
	}
	text := w.get(releasePath(r, "log.txt"), "mel") + w.get("/repositories/7/log.txt/"+commitID+"/v1.2.3", "mel")
	if strings.ContainsAny(text, "\x1b\x07\u202e") {
		t.Errorf("the log as text has %q", text)
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	w := newWorld(t, "")
	paths := w.fill("x")
	paths["/assets/none"], paths["/healthz"], paths["/api/v1/status"] = "", "", ""
	paths[w.site.pages.names["live.js"]] = ""
	for path, login := range paths {
		h := w.do("GET", path, login, nil).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": policy(""), "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		cache := "no-store"
		if strings.HasPrefix(path, "/assets/live") {
			cache = "public, max-age=31536000, immutable"
		}
		if got := h.Get("Cache-Control"); got != cache {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(policy(""), want) || strings.Contains(policy(""), "unsafe") {
			t.Errorf("the policy lacks %s", want)
		}
	}
}

func TestAPanicIsAPageWithANumber(t *testing.T) {
	w := newWorld(t, "")
	h, err := w.site.routes([]route{{"GET /boom", anyone, nothing, func(*Site, http.ResponseWriter, *http.Request, *visit) error { panic("secret detail") }}})
	w.must(err)
	w.site.handler = h
	rec := w.do("GET", "/boom", "", nil)
	if id := rec.Header().Get("X-Request-Id"); rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), id) || strings.Contains(rec.Body.String(), "secret detail") || !strings.Contains(w.log.String(), id) {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	w := newWorld(t, "")
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "Store, GitHub, Setup, Actions, Keys, Secrets") {
		t.Errorf("no options: %v", err)
	}
	for _, bad := range []string{"", "packages.example.org", "ftp://x", "https://x/path", "https://x?y", "https://u@x", "https://"} {
		o := w.site.o
		o.URL = bad
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("URL %q: %v", bad, err)
		}
	}
}
