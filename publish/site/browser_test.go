package site

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var shots = flag.String("shots", "", "write screenshots of the sample to this folder")

// browser is a Chromium spoken to by the DevTools protocol over its pipe: JSON
// messages, each ended by a zero byte.
type browser struct {
	t       *testing.T
	w       *os.File
	answers chan message
	session string
	id      int

	mu     sync.Mutex
	events []message
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: Chromium's children write there a little longer than it lives.
	dir, err := os.MkdirTemp("", "site-browser")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+dir, "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{inR, outW}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	b := &browser{t: t, w: inW, answers: make(chan message, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(b.answers)
		r := bufio.NewReader(outR)
		for {
			line, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(line[:len(line)-1], &m) != nil {
				return
			}
			if m.ID != 0 {
				b.answers <- m
				continue
			}
			b.mu.Lock()
			b.events = append(b.events, m)
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		inW.Close()
		outR.Close()
		<-done
		for range 20 {
			if os.RemoveAll(dir) == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Log", "Runtime"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call waits for the answer.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.id++
	if params == nil {
		params = map[string]any{}
	}
	m := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.w.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	select {
	case a, ok := <-b.answers:
		if !ok || a.ID != b.id || a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-time.After(10 * time.Second):
		b.t.Fatalf("%s: no answer in 10 s", method)
	}
}

// seen returns the parameters of all events of a kind so far.
func (b *browser) seen(method string) (all []json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Method == method {
			all = append(all, e.Params)
		}
	}
	return all
}

// open waits until the page and all it asks for is loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	before := len(b.seen("Page.loadEventFired"))
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for range 300 {
		if len(b.seen("Page.loadEventFired")) > before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("%s was not loaded in 6 s", url)
}

// eval runs an expression in the page and decodes its JSON into v.
func (b *browser) eval(expression string, v any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.Result.Value, v); err != nil {
		b.t.Fatalf("%s = %s: %v", expression, r.Result.Value, err)
	}
}

func (b *browser) click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

func (b *browser) device(width, height int, dark bool) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// contrasts lists texts whose contrast is below 4.5:1, WCAG 2.2's level AA, with
// every tab and fold open.
const contrasts = `(() => {
  document.querySelectorAll('details').forEach(d => d.open = true);
  document.querySelectorAll('.panels > *').forEach(p => p.style.display = 'block');
  document.querySelectorAll('.copy').forEach(c => c.hidden = false);
  const color = s => { const n = (s.match(/[\d.]+/g) || []).map(Number); return n.length < 3 ? null : {c: n.slice(0, 3), a: n.length > 3 ? n[3] : 1} };
  const lum = c => { const f = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2] };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const s = getComputedStyle(e);
      const g = s.backgroundImage.match(/rgba?\([^)]*\)/);
      if (g) return color(g[0]).c;
      const c = color(s.backgroundColor);
      if (c && c.a === 1) return c.c;
    }
    return [255, 255, 255];
  };
  const bad = []; let n = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') || !e.checkVisibility() || ![...e.childNodes].some(c => c.nodeType === 3 && c.data.trim())) continue;
    if (['SCRIPT', 'STYLE'].includes(e.tagName) || e.closest('.unseen, .skip')) continue;
    const a = lum(color(getComputedStyle(e).color).c), b = lum(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    n++;
    if (ratio < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
  }
  return {n, bad};
})()`

func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	files := render(t, sample())
	var mu sync.Mutex
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		b, ok := files[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, r.URL.Path, time.Time{}, strings.NewReader(string(b)))
	}))
	defer srv.Close()
	b := startBrowser(t)
	shown := `[...document.querySelectorAll('.clients > .panels > section')].filter(e => e.checkVisibility()).map(e => e.querySelector('h3').textContent)`
	var got []string

	for _, name := range []string{"/index.html", "/packages/hello/index.html", "/packages/hello-compat/index.html"} {
		for _, dark := range []bool{false, true} {
			b.device(1280, 900, dark)
			b.open(srv.URL + name)
			var c struct {
				N   int
				Bad []string
			}
			b.eval(contrasts, &c)
			if len(c.Bad) > 0 || c.N < 50 {
				t.Errorf("%s, dark %v: of %d texts these have too little contrast:\n%s", name, dark, c.N, strings.Join(c.Bad, "\n"))
			}
		}
		for _, width := range []int{320, 390, 768} {
			b.device(width, 800, false)
			b.open(srv.URL + name)
			var wide int
			b.eval(`document.documentElement.scrollWidth`, &wide)
			if wide > width {
				t.Errorf("%s is %d pixels wide on a screen of %d", name, wide, width)
			}
		}
	}

	b.device(1280, 900, false)
	b.open(srv.URL + "/index.html")
	b.click("label[for=dnf-1-2]")
	if b.eval(shown, &got); !slices.Equal(got, []string{"Fedora, RHEL and derivatives"}) {
		t.Errorf("a click on dnf shows %q", got)
	}
	b.eval(`document.getElementById('dnf-1-2').focus()`, nil)
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "ArrowDown", "code": "ArrowDown", "windowsVirtualKeyCode": 40}, nil)
	}
	if b.eval(shown, &got); !slices.Equal(got, []string{"openSUSE and SLE"}) {
		t.Errorf("arrow down from dnf shows %q", got)
	}
	b.click("label[for=channel-2]")
	if b.eval(shown, &got); len(got) != 1 {
		t.Errorf("channel beta shows %q", got)
	}
	var text string
	b.eval(`(() => { navigator.clipboard.writeText = t => { window.copied = t; return Promise.resolve() } })()`, nil)
	b.click(".oneline .copy")
	if b.eval(`window.copied + '|' + document.querySelector('.oneline .copy').textContent`, &text); text != "curl -fsSL "+sampleURL+"/install.sh | sh|Copied" {
		t.Errorf("the copy button gave %q", text)
	}
	b.open(srv.URL + "/index.html?#pacman")
	if b.eval(shown, &got); !slices.Equal(got, []string{"Arch Linux and derivatives"}) {
		t.Errorf("#pacman shows %q", got)
	}
	var unnamed []string
	b.eval(`[...document.querySelectorAll('button, a, input')].filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels && e.labels.length)).map(e => e.outerHTML)`, &unnamed)
	if len(unnamed) > 0 {
		t.Errorf("controls without a name: %q", unnamed)
	}

	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(srv.URL + "/index.html?x")
	b.click("label[for=apk-1-5]")
	if b.eval(shown, &got); !slices.Equal(got, []string{"Alpine Linux"}) {
		t.Errorf("without scripts a click on apk shows %q", got)
	}
	if b.eval(`[...document.querySelectorAll('.copy')].filter(e => e.checkVisibility()).map(e => e.textContent)`, &got); len(got) > 0 {
		t.Errorf("without scripts there are %d buttons that do nothing", len(got))
	}
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)

	for _, kind := range []string{"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"} {
		for _, e := range b.seen(kind) {
			t.Errorf("%s: %s", kind, e)
		}
	}
	for _, e := range b.seen("Network.requestWillBeSent") {
		var r struct{ Request struct{ URL string } }
		if err := json.Unmarshal(e, &r); err != nil {
			t.Fatal(err)
		}
		if u := r.Request.URL; !strings.HasPrefix(u, srv.URL+"/") && !strings.HasPrefix(u, "data:") {
			t.Errorf("the page asked for %s", u)
		}
	}
	mu.Lock()
	for _, p := range asked {
		if !strings.HasSuffix(p, ".html") {
			t.Errorf("the page asked for %s", p)
		}
	}
	mu.Unlock()

	if *shots != "" {
		for _, s := range []struct {
			name, page    string
			width, height int
			dark          bool
		}{
			{"install-page", "/index.html", 1200, 1480, false}, {"dark", "/index.html", 1200, 3300, true},
			{"desktop", "/index.html", 1200, 3300, false}, {"phone", "/index.html", 390, 5600, false}, {"package", "/packages/hello/index.html", 1200, 2600, false},
		} {
			b.device(s.width, s.height, s.dark)
			b.open(srv.URL + s.page)
			var shot struct{ Data string }
			b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
			png, err := base64.StdEncoding.DecodeString(shot.Data)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*shots, s.name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
