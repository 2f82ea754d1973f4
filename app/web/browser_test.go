package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web/browsertest"
)

// browse serves a world to a real browser. The address is fixed before the site is made,
// as it is in life.
func browse(t *testing.T) (*world, *browsertest.Browser) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "http://"+l.Addr().String())
	w.setup.url = w.url
	srv := &http.Server{Handler: w.site}
	srv.RegisterOnShutdown(w.site.Stop)
	over := make(chan struct{})
	go func() { defer close(over); srv.Serve(l) }()
	b := browsertest.Start(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("the server does not stop: %v", err)
		}
		<-over
	})
	b.Device(1200, 900, false)
	return w, b
}

// enter signs in by the pages.
func (w *world) enter(b *browsertest.Browser, login, path string) {
	w.t.Helper()
	w.hub.mu.Lock()
	w.hub.current = login
	w.hub.mu.Unlock()
	b.Open(w.url + path)
	if got := b.Text("h1"); got != "Authorize DistroPack as "+login+"?" {
		w.t.Fatalf("%s did not lead to signing in but to %q", path, got)
	}
	b.Follow("#authorize")
}

// flawless fails for what the browser or a reader would complain about.
func flawless(t *testing.T, w *world, b *browsertest.Browser) {
	t.Helper()
	for _, c := range b.Complaints() {
		t.Error(c)
	}
	for _, u := range b.Requests() {
		if !strings.HasPrefix(u, w.url+"/") && !strings.HasPrefix(u, w.hub.url+"/") {
			t.Errorf("a page asked for %s", u)
		}
	}
}

func TestSigningInInABrowser(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	w.release("v1.2.3", store.Done, nil)
	b.Open(w.url + "/")
	b.Shot("start")
	b.Follow(`a[href="/signin"].button`)
	b.Open(w.url + "/")
	w.enter(b, "rita", "/repositories/7")
	if got := b.Text("h1"); got != "acme/hello" {
		t.Errorf("after signing in the page is %q", got)
	}
	if got := b.Text(".who span"); got != "rita" {
		t.Errorf("signed in as %q", got)
	}
	var readable string
	if b.Eval(`document.cookie`, &readable); readable != "" {
		t.Errorf("scripts can read the cookie %q", readable)
	}
	b.Follow(`a[href^="/repositories/7/releases/"]`)
	if got := b.Text("h1"); got != "v1.2.3" {
		t.Errorf("the link of a release leads to %q", got)
	}
	b.Follow(".who button")
	if got := b.Text("h1"); got != "Push a tag, and it is published" {
		t.Errorf("after signing out the page is %q", got)
	}
	b.Open(w.url + "/repositories/7")
	if got := b.Text("h1"); !strings.HasPrefix(got, "Authorize") {
		t.Errorf("signed out, and sees %q", got)
	}
	flawless(t, w, b)
}

func TestSettingUpInABrowser(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	w.site.o.Admins = nil
	w.setup.app = nil
	link, err := w.site.SetupLink(t.Context())
	w.must(err)
	b.Open(link)
	b.Type("#organization", "acme")
	b.Follow(`form[action="/setup"] button`)
	if got := b.Text("main"); !strings.Contains(got, "for acme on GitHub") {
		t.Errorf("not for the organization: %s", got)
	}
	b.Shot("setup")
	// GitHub's page is a double that makes the App at once.
	b.Follow(`form[method="post"] button`)
	if got := b.Text("main"); !strings.Contains(got, "distropack-new belongs to this server") {
		t.Fatalf("after GitHub made the App: %s", got)
	}
	w.hub.mu.Lock()
	w.hub.current = "ada"
	w.hub.mu.Unlock()
	b.Follow(`a[href="/signin?next=/setup"]`)
	b.Follow("#authorize")
	b.Follow(`form[action="/setup/claim"] button`)
	if got := b.Text("h1"); got != "Administration" {
		t.Errorf("after the set-up the page is %q", got)
	}
	b.Shot("admin")
	flawless(t, w, b)
}

// leg is short for a leg that has just begun or ended.
func (w *world) leg(release, name, kind string, state store.State, n, m int, bytes int64) {
	w.t.Helper()
	l := &store.Leg{Release: release, Name: name, Kind: kind, State: state, N: n, M: m, Bytes: bytes}
	if state != store.Waiting {
		l.Started = w.clock().Add(-2 * time.Second)
	}
	if !open(state) {
		l.Ended = w.clock()
	}
	w.must(w.store.SetLeg(w.t.Context(), l))
}

func TestAReleaseGoesLive(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	w.mu.Lock()
	w.now = time.Now() // a browser has the real clock
	w.mu.Unlock()
	r := w.release("v1.2.3", store.Running, nil)
	w.enter(b, "mel", ReleasePath(r))
	if got := b.Text("#state"); !strings.Contains(got, "running") {
		t.Fatalf("state %q", got)
	}

	for i, name := range []string{"deb amd64", "deb arm64", "rpm x86_64", "apk x86_64", "pacman x86_64"} {
		w.leg(r.ID, name, "package", store.Running, i, 5, 0)
	}
	w.leg(r.ID, "packages.example.org", "site", store.Waiting, 0, 0, 0)
	w.say(r.ID, "reading distropack.yml at 4f1d3a0c5b", "packing bin/hello", "<img src=x onerror=\"document.title='owned'\"> \x1b[32mok\x1b[0m")
	b.Wait(`document.querySelectorAll('#legs tbody tr').length === 6`)
	b.Wait(`document.querySelectorAll('#log .line').length === 3`)
	if got := b.Text("#log"); !strings.Contains(got, `<img src=x onerror="document.title='owned'"> ok`) {
		t.Errorf("the log shows %q", got)
	}
	// What only time changes goes on by itself.
	var before string
	b.Eval(`document.querySelector('#legs [data-since]').textContent`, &before)
	b.Wait(fmt.Sprintf(`document.querySelector('#legs [data-since]').textContent !== %q`, before))
	b.Shot("release-running")

	w.leg(r.ID, "deb amd64", "package", store.Done, 5, 5, 4_200_000)
	b.Wait(`document.querySelector('#legs tbody tr').innerText.includes('4.2 MB')`)
	b.Follow(`#actions button`)
	if got := b.Text("main"); !strings.Contains(got, "It was asked to stop") {
		t.Errorf("after cancelling: %s", got)
	}
	if got := w.actions.noted(); len(got) != 1 || got[0] != "cancel mel "+r.ID {
		t.Errorf("done %q", got)
	}
	b.Wait(`document.querySelector('#legs tbody tr').innerText.includes('4.2 MB')`)
	b.Eval(`window.here = true`, nil) // a page that is loaded anew loses this
	_, err := w.store.UpdateRelease(t.Context(), r.ID, func(r *store.Release) error {
		r.State, r.Short, r.Detail, r.Ended = store.Failed, "packages.example.org refused the key", "PUT .distropack/state: 403 SignatureDoesNotMatch", w.clock()
		return nil
	})
	w.must(err)
	b.Wait(`document.querySelector('#state').innerText.includes('failed')`)
	b.Wait(`document.querySelector('#progress').innerText.includes('refused the key')`)
	b.Wait(`document.querySelector('#actions').innerText.includes('Run again')`)
	b.Wait(`document.title === 'v1.2.3: failed'`)
	var here bool
	if b.Eval(`window.here === true`, &here); !here {
		t.Error("the page was loaded anew instead of going live")
	}
	b.Click("#progress summary")
	if got := b.Text("#progress pre"); !strings.Contains(got, "SignatureDoesNotMatch") {
		t.Errorf("the technical detail is %q", got)
	}
	b.Shot("release-failed")
	flawless(t, w, b)
}

func TestALogOfTenMegabytesDoesNotSlowThePage(t *testing.T) {
	w, b := browse(t)
	r := w.release("v1.2.3", store.Running, nil)
	w.enter(b, "rita", ReleasePath(r))
	n := w.bigLog(r.ID)
	// Ten megabytes while it is open: the end arrives, and the page has not grown.
	b.Wait(fmt.Sprintf(`document.querySelector('#log .line:last-child').innerText.includes('%06d')`, n))
	for i := range 3 { // little by little too
		more := make([]string, 900)
		for j := range more {
			more[j] = fmt.Sprintf("more %d-%d", i, j)
		}
		w.say(r.ID, more...)
		b.Wait(fmt.Sprintf(`document.querySelector('#log .line:last-child').innerText.includes('more %d-899')`, i))
	}
	var lines int
	if b.Eval(`document.querySelectorAll('#log .line').length`, &lines); lines > 2000 || lines < 1000 {
		t.Errorf("the page keeps %d lines", lines)
	}
	var slow float64
	b.Eval(`new Promise(done => { const begun = performance.now(); requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun))); })`, &slow)
	var load, bytes float64
	b.Open(w.url + ReleasePath(r))
	b.Eval(`performance.getEntriesByType('navigation')[0].loadEventEnd`, &load)
	b.Eval(`performance.getEntriesByType('navigation')[0].decodedBodySize`, &bytes)
	t.Logf("with 10 MB of log: loaded in %.0f ms, %.0f kB, two frames in %.0f ms", load, bytes/1000, slow)
	if load > 3000 || slow > 1000 || bytes > 500_000 {
		t.Errorf("slow: loaded in %.0f ms, %.0f bytes, two frames in %.0f ms", load, bytes, slow)
	}
	w.say(r.ID, "and one more")
	b.Wait(`document.querySelector('#log .line:last-child').innerText.includes('and one more')`)
	flawless(t, w, b)
}

func TestAPageComesBackAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	r := w.release("v1.2.3", store.Running, nil)
	w.enter(b, "rita", ReleasePath(r))
	w.say(r.ID, "one")
	b.Wait(`document.querySelectorAll('#log .line').length === 1`)
	// As at a restart: the streams end, and it is asked for again.
	w.site.streams.Lock()
	stop := w.site.stop
	w.site.stopping, w.site.stop = context.WithCancel(context.Background())
	w.site.streams.Unlock()
	stop()
	b.Wait(`!document.querySelector('#lost').hidden`)
	w.say(r.ID, "two", "three")
	b.Wait(`document.querySelectorAll('#log .line').length === 3 && document.querySelector('#lost').hidden`)
	var numbers string
	if b.Eval(`[...document.querySelectorAll('#log .line > span')].map(e => e.textContent).join()`, &numbers); numbers != "one,two,three" {
		t.Errorf("the log is %s", numbers)
	}
}

func TestPagesArePleasantInABrowser(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	paths := w.fill("deb amd64: a sentence somewhat longer than a row, and 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
	names := map[string]string{"/": "home", "/admin": "", "/installations/42": "installation", "/repositories/7": "repository", "/repositories/7/keys": "keys", "/repositories/7/secrets": "secrets",
		"/repositories/7/tokens": "tokens", "/api": "api", "/installations/42/deliveries?state=failed": "deliveries", "/admin/deliveries/guid-2": "delivery"}
	for path := range paths {
		switch {
		case strings.Contains(path, "/releases/") && strings.Contains(path, "v1.2.3"):
			names[path] = "release"
		case strings.Contains(path, "/releases/") && strings.Contains(path, "v1.2.2"):
			names[path] = "release-decision"
		}
	}
	by := map[string][]string{}
	for path, login := range paths {
		if path != "/nothing" { // the browser complains about the status
			by[login] = append(by[login], path)
		}
	}
	for login, paths := range by {
		if login != "" {
			w.enter(b, login, "/signin")
		}
		for _, path := range paths {
			b.Open(w.url + path)
			for _, c := range []struct {
				width, height int
				dark          bool
				shot          string
			}{{1200, 900, false, "-desktop"}, {1200, 900, true, ""}, {320, 700, false, ""}, {390, 844, true, "-phone-dark"}} {
				b.Device(c.width, c.height, c.dark)
				if name := names[path]; name != "" && c.shot != "" {
					b.Shot(name + c.shot)
				}
				for _, f := range b.Flaws() {
					t.Errorf("%s, %d wide, dark %v: %s", path, c.width, c.dark, f)
				}
			}
		}
		if login != "" {
			b.Follow(".who button")
		}
	}
	flawless(t, w, b)
}

func TestPagesWorkWithoutScripts(t *testing.T) {
	t.Parallel()
	w, b := browse(t)
	r := w.release("v1.2.3", store.Running, nil)
	w.say(r.ID, "one")
	b.Scripts(false)
	w.enter(b, "mel", ReleasePath(r))
	if got := b.Text("main"); !strings.Contains(got, "Without scripts this page stands still") || !strings.Contains(got, "one") {
		t.Errorf("the page says %s", got)
	}
	w.say(r.ID, "two")
	b.Follow("main noscript a")
	if got := b.Text("#log"); !strings.Contains(got, "two") {
		t.Errorf("loaded anew the log is %q", got)
	}
	b.Follow("#actions button")
	if got := b.Text("main"); !strings.Contains(got, "It was asked to stop") {
		t.Errorf("after cancelling: %s", got)
	}
	done := w.release("v1.2.2", store.Done, nil)
	b.Open(w.url + ReleasePath(done))
	b.Click("#actions summary")
	b.Follow("#actions details button")
	if got := w.actions.noted(); len(got) != 2 || got[1] != "rollback mel "+done.ID {
		t.Errorf("done %q", got)
	}
	b.Open(w.url + "/repositories/7/secrets")
	b.Type("#name", "BUCKET_SECRET")
	b.Type("#value", "hunter2")
	b.Follow(`form[action$="/secrets/set"] button`)
	if got := b.Text("main"); !strings.Contains(got, "BUCKET_SECRET") || strings.Contains(got, "hunter2") {
		t.Errorf("the secrets are %s", got)
	}
	flawless(t, w, b)
}
