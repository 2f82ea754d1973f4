package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/publish/githubtest"
)

// TestMain makes the test binary the signer and the packer, as the program is.
func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) > 1 {
		var err error
		switch os.Args[1] {
		case SignerCommand:
			err = vault.RunSigner(context.Background(), os.Args[2])
		case packer.Command:
			err = packer.Main(context.Background())
		default:
			os.Exit(m.Run())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			syscall.Exit(1)
		}
		syscall.Exit(0)
	}
	os.Exit(m.Run())
}

// world is a GitHub with an App, and a folder for servers of it.
type world struct {
	t      *testing.T
	hub    *githubtest.Server
	double *githubtest.App
	repo   *githubtest.Repository
	in     *githubtest.Installation
	dir    string
	log    *buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, hub: githubtest.New(t, githubtest.Options{}), dir: t.TempDir(), log: &buffer{}}
	w.double = w.hub.NewApp("Distro Pack")
	w.repo = w.hub.Repo("acme", "hello")
	w.in = w.double.Install("acme", w.repo)
	return w
}

// given are the App's credentials.
func (w *world) given() Credentials {
	return Credentials{
		ID: w.double.ID, Key: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(w.double.Key)})),
		WebhookSecret: w.double.WebhookSecret, ClientID: w.double.ClientID, ClientSecret: w.double.ClientSecret,
	}
}

func (w *world) options() Options {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	return Options{
		Dir: w.dir, URL: "http://" + l.Addr().String(), Listener: l, Exe: exe, Sandbox: sandbox.None, Version: "1.2.3", Grace: 3 * time.Second, Private: true,
		API: strings.TrimSuffix(w.hub.URL, "/"), Web: strings.TrimSuffix(w.hub.URL, "/api/v3/"), Log: NewLogger(w.log, false, slog.LevelDebug),
	}
}

// running is a server that runs until the test, or stop, ends it.
type running struct {
	*App
	t    *testing.T
	url  string
	stop func() error // returns what Run and Close did
	done chan struct{}
}

// start starts a server on the world's folder with its credentials, but for what change
// changes.
func (w *world) start(change ...func(*Options)) *running {
	w.t.Helper()
	o := w.options()
	o.Given = w.given()
	for _, f := range change {
		f(&o)
	}
	a, err := New(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{App: a, t: w.t, url: o.URL, done: make(chan struct{})}
	var ran error
	go func() {
		defer close(r.done)
		ran = a.Run(ctx)
	}()
	r.stop = sync.OnceValue(func() error {
		cancel()
		<-r.done
		return errors.Join(ran, a.Close())
	})
	until(w.t, "the server serves", func() bool {
		select {
		case <-r.done:
			w.t.Fatalf("the server ended at once: %v", r.stop())
		default:
		}
		resp, err := client.Get(o.URL + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	w.t.Cleanup(func() {
		if err := r.stop(); err != nil && !w.t.Failed() {
			w.t.Logf("the server ended with: %v", err)
		}
	})
	return r
}

// end stops a server, which must go well.
func (r *running) end() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Errorf("the server ended with: %v", err)
	}
}

// client gives up, so that a test does not hang.
var client = &http.Client{Timeout: 20 * time.Second}

// get returns an answer and its body.
func (r *running) get(path string) (int, string) {
	r.t.Helper()
	resp, err := client.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// browser keeps cookies.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

// until waits for what happens by itself.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, w *world, database string)) {
	storetest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t)
		if strings.HasPrefix(url, "sqlite:") {
			url = "" // in the world's folder
		}
		f(t, w, url)
	})
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ping is a webhook that did not arrive.
func (w *world) ping() githubtest.Delivery {
	w.t.Helper()
	w.double.Hook("http://127.0.0.1:1/hook")
	w.double.Ping()
	if err := w.hub.Settle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	all := w.double.Deliveries()
	return all[len(all)-1]
}
