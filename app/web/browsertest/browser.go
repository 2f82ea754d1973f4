// Package browsertest drives a real Chromium over the DevTools protocol, for tests of
// pages: it loads, clicks, looks, and tells of everything that the browser complains
// about. A browser without Chromium installed skips its test, and fails it in CI.
package browsertest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a page may take. The machines of tests are slow, and shared.
const patience = 20 * time.Second

// Browser is one page of a Chromium that ends with its test. It is for one goroutine.
type Browser struct {
	t       testing.TB
	w       *os.File
	answers chan message
	session string
	id      int
	width   int // of the screen

	mu     sync.Mutex
	events []message
}

// message is one of the protocol's: JSON over a pipe, each ended by a zero byte.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Start runs a Chromium with an empty page on a screen of 1200 by 900.
func Start(t testing.TB) *Browser {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	toR, toW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromR, fromW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: Chromium's children write there a little longer than it lives.
	dir, err := os.MkdirTemp("", "browsertest")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+dir, "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{toR, fromW}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toR.Close()
	fromW.Close()
	b := &Browser{t: t, w: toW, answers: make(chan message, 16)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer close(b.answers)
		b.read(fromR)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		toW.Close()
		fromR.Close()
		<-over
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
	b.Device(1200, 900, false)
	return b
}

func (b *Browser) read(from *os.File) {
	r := bufio.NewReader(from)
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
}

// call waits for the answer.
func (b *Browser) call(method string, params map[string]any, result any) {
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
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer in %s", method, patience)
	}
}

// seen returns the parameters of all events of a kind so far.
func (b *Browser) seen(method string) (all []json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Method == method {
			all = append(all, e.Params)
		}
	}
	return all
}

// Open loads a page and all that it asks for.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.loads(url, func() { b.call("Page.navigate", map[string]any{"url": url}, nil) })
}

// Follow clicks on what leads to another page, and waits for that.
func (b *Browser) Follow(selector string) {
	b.t.Helper()
	b.loads(selector, func() { b.Click(selector) })
}

func (b *Browser) loads(what string, f func()) {
	b.t.Helper()
	before := len(b.seen("Page.loadEventFired"))
	f()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if len(b.seen("Page.loadEventFired")) > before {
			return
		}
	}
	b.t.Fatalf("%s: nothing was loaded in %s", what, patience)
}

// Eval runs an expression in the page, waits if it is a promise, and decodes its value
// as JSON into v, which may be nil.
func (b *Browser) Eval(expression string, v any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%.200s: %s", expression, r.ExceptionDetails)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.Result.Value, v); err != nil {
		b.t.Fatalf("%.200s = %s: %v", expression, r.Result.Value, err)
	}
}

// Wait waits until an expression is true; what can't be evaluated yet is not.
func (b *Browser) Wait(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var is bool
		if b.Eval("(() => { try { return !!("+expression+") } catch { return false } })()", &is); is {
			return
		}
	}
	b.t.Fatalf("not in %s: %s\n%s", patience, expression, b.Text("body"))
}

// Text is what a reader sees of an element.
func (b *Browser) Text(selector string) (text string) {
	b.t.Helper()
	b.Eval(fmt.Sprintf(`(document.querySelector(%q) || {}).innerText || ""`, selector), &text)
	return text
}

// Click presses the mouse's button in the middle of an element.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.Eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// Type writes into a field.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	b.Eval(fmt.Sprintf(`document.querySelector(%q).focus()`, selector), nil)
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// Device sets the size of the screen, below 600 that of a phone, and the scheme.
func (b *Browser) Device(width, height int, dark bool) {
	b.t.Helper()
	b.width = width
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Scripts says whether pages that are opened from now on may run any.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Shot keeps a picture of the page: in the folder that SHOTS names, or else among the
// test's artifacts (go test -artifacts).
func (b *Browser) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	}
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Complaints are errors of scripts, what the console says, and what a policy stopped;
// not the browser's recommendations.
func (b *Browser) Complaints() (all []string) {
	for _, kind := range []string{"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"} {
		for _, e := range b.seen(kind) {
			if strings.Contains(string(e), `"level":"verbose"`) {
				continue
			}
			all = append(all, kind+": "+string(e))
		}
	}
	return all
}

// Requests are the addresses that were asked for, but for data: ones.
func (b *Browser) Requests() (all []string) {
	b.t.Helper()
	for _, e := range b.seen("Network.requestWillBeSent") {
		var r struct{ Request struct{ URL string } }
		if err := json.Unmarshal(e, &r); err != nil {
			b.t.Fatal(err)
		}
		if !strings.HasPrefix(r.Request.URL, "data:") {
			all = append(all, r.Request.URL)
		}
	}
	return all
}
