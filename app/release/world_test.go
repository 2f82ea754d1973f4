package release_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/hook"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) > 1 {
		var err error
		switch os.Args[1] {
		case packer.Command:
			err = packer.Main(context.Background())
		case "app-signer":
			err = vault.RunSigner(context.Background(), os.Args[2])
		case "app-node":
			err = node(os.Args[2])
		default:
			os.Exit(m.Run())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world is a GitHub with an App that is installed on acme/hello, a git host with its
// files, and servers of the App.
type world struct {
	t      *testing.T
	hub    *githubtest.Server
	double *githubtest.App
	repo   *githubtest.Repository
	in     *githubtest.Installation
	git    *gittest.Server // acme/hello
	host   *httptest.Server
	pages  *httptest.Server
	url    string // of the database
	dir    string
	store  *store.Store
	app    *server

	mu    sync.Mutex
	hosts map[string]*url.URL // repositories of the git host
	wait  func(*http.Request) // before a request to it; nil: none
}

var signingKey = sync.OnceValues(func() (*keys.Key, error) {
	return keys.New("Acme packages", "acme@example.org", time.Now().Add(-24*time.Hour).UTC().Truncate(time.Second), nil, keys.NewOptions{Ed25519: true, Bits: 3072, Expires: 10000 * time.Hour})
})

// config is the distropack.yml of acme/hello.
const config = `version: 1
project: hello
description: Says hello
homepage: https://hello.example.org
license: MIT
maintainer: Ann <ann@example.org>
packages:
  - formats: [deb, rpm, arch, apk, tar.gz]
    contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
publish:
  - site: public
    url: PAGES
    git: {url: "GIT/acme/hello.git"}
github: {}
`

func newWorld(t *testing.T, database string, o githubtest.Options) *world {
	t.Helper()
	publishtest.Need(t, "git")
	w := &world{t: t, url: database, dir: t.TempDir(), hosts: map[string]*url.URL{}}
	w.hub = githubtest.New(t, o)
	w.double = w.hub.NewApp("Distro Pack")
	w.repo = w.hub.Repo("acme", "hello")
	w.git = gittest.Serve(t, gittest.Options{})
	gittest.Git(t, w.git.Dir, "symbolic-ref", "HEAD", "refs/heads/main")
	w.host = httptest.NewServer(http.HandlerFunc(w.serveGit))
	t.Cleanup(w.host.Close)
	w.pages = httptest.NewServer(http.HandlerFunc(w.servePages))
	t.Cleanup(w.pages.Close)
	return w
}

// serveGit is a host with several repositories.
func (w *world) serveGit(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	wait := w.wait
	w.mu.Unlock()
	if wait != nil {
		wait(r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for prefix, to := range w.hosts {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix+"/"); ok {
			w.mu.Unlock()
			defer w.mu.Lock()
			proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.Path, p.Out.URL.RawPath = to.Scheme, to.Host, to.Path+"/"+rest, ""
			}}
			proxy.ServeHTTP(rw, r)
			return
		}
	}
	http.NotFound(rw, r)
}

// servePages is GitHub Pages without a cache.
func (w *world) servePages(rw http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	cmd := exec.Command("git", "show", "gh-pages:"+name)
	cmd.Dir = w.git.Dir
	b, err := cmd.Output()
	if err != nil {
		http.NotFound(rw, r)
		return
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		rw.Header().Set("Content-Type", t)
	} else {
		rw.Header().Set("Content-Type", "application/octet-stream")
	}
	http.ServeContent(rw, r, "", time.Time{}, strings.NewReader(string(b)))
}

// text fills in addresses.
func (w *world) text(s string) string {
	return strings.NewReplacer("PAGES", w.pages.URL, "GIT", w.host.URL).Replace(s)
}

// commit adds a commit to the git host and to GitHub, and returns its hash.
func (w *world) commit(files map[string]string) string {
	w.t.Helper()
	at := time.Now().Add(-time.Hour)
	from := ""
	if tip := w.git.Tip(w.t, "main"); tip != "" {
		from = "from " + tip + "\n"
	}
	gittest.Import(w.t, w.git.Dir, func(out io.Writer) {
		fmt.Fprintf(out, "commit refs/heads/main\ncommitter Ann <ann@example.org> %d +0000\ndata 4\nwork\n%sdeleteall\n", at.Unix(), from)
		for name, text := range files {
			fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
	})
	sha := w.git.Tip(w.t, "main")
	w.repo.Import(sha, at, files)
	return sha
}

// project is a commit with files that package well.
func (w *world) project(says string) string {
	return w.commit(map[string]string{"distropack.yml": w.text(config), "hello.sh": "#!/bin/sh\necho " + says + "\n"})
}

// tag tags a commit on the git host and on GitHub, which sends its webhooks.
func (w *world) tag(name, commit string) {
	w.t.Helper()
	gittest.Git(w.t, w.git.Dir, "tag", "-f", name, commit)
	w.repo.PushTag(name, commit)
}

// server is a process of the App.
type server struct {
	*release.Releases
	engine *engine.Engine
	store  *store.Store
	signer *vault.Client
	hook   *httptest.Server
	stop   func()
}

// nodeOptions are what a process needs to know; they are told to children as JSON.
type nodeOptions struct {
	URL, Dir, Node string
	App            int64
	Key            []byte // PEM
	Secret         string
	API, Git       string
	Limits         release.Limits
	Kind           string
	Recover        string // a dead node whose work is taken over
}

func (w *world) nodeOptions() nodeOptions {
	return nodeOptions{URL: w.url, Dir: w.dir, Node: "a", App: w.double.ID, Secret: w.double.WebhookSecret, API: strings.TrimSuffix(w.hub.URL, "/"), Git: w.host.URL,
		Limits: release.Limits{Quiet: time.Millisecond, Look: 50 * time.Millisecond, Pause: 20 * time.Millisecond, Assets: time.Second, Probe: time.Second, Check: time.Hour}}
}

// begin starts the App's server, installs the App and gives it a key.
func (w *world) begin(change ...func(*nodeOptions, *release.Options)) *server {
	w.t.Helper()
	u, _ := url.Parse(w.git.URL)
	w.mu.Lock()
	w.hosts["/acme/hello.git"] = u
	w.mu.Unlock()
	s, err := serve(w.t.Context(), w.nodeOptions(), w.double, func(o *release.Options) {
		for _, f := range change {
			f(nil, o)
		}
	}, slog.New(slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelInfo})))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.stop)
	w.store, w.app = s.store, s
	if w.in == nil {
		w.double.Hook(s.hook.URL + github.HookPath)
		w.in = w.double.Install("acme", w.repo)
		w.importKey(s.signer)
	}
	return s
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// importKey gives the installation a key, as making one takes seconds.
func (w *world) importKey(c *vault.Client) {
	w.t.Helper()
	k, err := signingKey()
	if err != nil {
		w.t.Fatal(err)
	}
	b := vault.Binding{Scope: vault.InstallationScope(w.in.ID), Name: "main", Kind: vault.KindKey}
	m, err := c.ImportKey(w.t.Context(), b, k.Bundle(), keys.Secret{})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.PutSealed(w.t.Context(), &store.Sealed{Scope: b.Scope, Name: b.Name, Kind: b.Kind, Public: m.Public.JSON(), Blob: m.Blob}); err != nil {
		w.t.Fatal(err)
	}
}

// secret gives the repository a secret.
func (w *world) secret(name, text string) {
	w.t.Helper()
	sealer, err := vault.OpenSealer(filepath.Join(w.dir, "server.age"))
	if err != nil {
		w.t.Fatal(err)
	}
	b := vault.Binding{Scope: vault.RepositoryScope(w.repo.ID()), Name: name, Kind: vault.KindSecret}
	blob, err := sealer.Seal(b, []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.PutSealed(w.t.Context(), &store.Sealed{Scope: b.Scope, Name: name, Kind: b.Kind, Blob: blob}); err != nil {
		w.t.Fatal(err)
	}
}

// serve starts a process of the App within this one.
func serve(ctx context.Context, n nodeOptions, double *githubtest.App, change func(*release.Options), log *slog.Logger) (s *server, err error) {
	s = &server{}
	var closers []func()
	s.stop = sync.OnceFunc(func() {
		for i := range closers {
			closers[len(closers)-1-i]()
		}
	})
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	o := github.Options{ID: n.App, API: n.API, Web: strings.TrimSuffix(n.API, "/api/v3"), Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if double != nil {
		o.Key = double.Key
	} else if o.Key, err = github.ParseKey(n.Key); err != nil {
		return nil, err
	}
	app, err := github.New(o)
	if err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, n.URL, store.Options{}); err != nil {
		return nil, err
	}
	closers = append(closers, func() { s.store.Close() })
	if s.engine, err = engine.New(ctx, engine.Options{URL: n.URL, Node: n.Node, Version: "1", Errors: check.Kinds(), Poll: 20 * time.Millisecond, Log: log}); err != nil {
		return nil, err
	}
	closers = append(closers, func() {
		if err := s.engine.Stop(0); err != nil {
			log.Error(err.Error())
		}
	})
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if s.signer, err = vault.StartSigner(ctx, exe, []string{"app-signer", filepath.Join(n.Dir, "signer.age")}, vault.ClientOptions{}); err != nil {
		return nil, err
	}
	closers = append(closers, func() { s.signer.Close() })
	sealer, err := vault.OpenSealer(filepath.Join(n.Dir, "server.age"))
	if err != nil {
		return nil, err
	}
	ro := release.Options{Store: s.store, Engine: s.engine, GitHub: app, Signer: s.signer, Sealer: sealer, Dir: filepath.Join(n.Dir, "work-"+n.Node),
		Private: true, URL: "https://app.example.org", Git: n.Git, API: n.API, Tool: "distropack test", Limits: n.Limits, Log: log, Packer: packer.Options{Kind: n.Kind}}
	if change != nil {
		change(&ro)
	}
	if s.Releases, err = release.New(ro); err != nil {
		return nil, err
	}
	if err := s.engine.Start(ctx); err != nil {
		return nil, err
	}
	d := hook.NewDispatcher(hook.DispatcherOptions{Queue: s.store, Node: n.Node, Handle: s.Handle, Log: log, Poll: 50 * time.Millisecond, Delay: 20 * time.Millisecond, Lease: 3 * time.Second})
	running, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { d.Run(running) })
	closers = append(closers, func() { end(); all.Wait() })
	s.hook = httptest.NewServer(hook.Handler(hook.Options{Secrets: func(context.Context) ([][]byte, error) { return [][]byte{[]byte(n.Secret)}, nil }, Inbox: s.store, Wake: d.Wake, Log: log}))
	closers = append(closers, s.hook.Close)
	return s, nil
}

// ended waits until the release of a tag at a commit has ended.
func (w *world) ended(tag, commit string) *store.Release {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	id := fmt.Sprintf("rel:%d:%s:%s", w.repo.ID(), tag, commit)
	changes, stop := w.store.Watch(ctx, id)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := w.store.Release(w.t.Context(), id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			w.t.Fatal(err)
		}
		if err == nil && !r.State.Open() {
			return r
		}
		select {
		case <-changes:
		case <-tick.C:
		case <-ctx.Done():
			w.dump(id)
			st, err := w.app.engine.Status(w.t.Context(), id)
			w.t.Logf("its job is %+v, %v", st, err)
			if steps, err := w.app.engine.Steps(w.t.Context(), id); err == nil {
				for _, s := range steps {
					w.t.Logf("step %s %s %v", s.Name, s.Result, s.Err)
				}
			}
			w.t.Fatalf("the release of %s does not end: %+v", tag, r)
		}
	}
}

// dump shows what is known of a release.
func (w *world) dump(id string) {
	ctx := context.Background()
	if r, err := w.store.Release(ctx, id); err == nil {
		w.t.Logf("%s is %s at %q: %s\n%s", r.ID, r.State, r.Step, r.Short, r.Detail)
	}
	legs, _ := w.store.Legs(ctx, id)
	for _, l := range legs {
		w.t.Logf("leg %s %s: %s %s %s", l.Kind, l.Name, l.State, l.Short, l.Detail)
	}
	lines, _ := w.store.Log(ctx, id, 0, 0)
	for _, l := range lines {
		w.t.Logf("%s [%s] %s", l.At.Format("15:04:05.000"), l.Leg, l.Text)
	}
}

// check waits for the newest check run of a commit to be completed.
func (w *world) check(commit string) githubtest.CheckRun {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var last githubtest.CheckRun
		for _, c := range w.repo.Checks() {
			if c.HeadSHA == commit {
				last = c
			}
		}
		if last.Status == "completed" {
			return last
		}
		if time.Now().After(end) {
			w.t.Fatalf("the check run of %s is not completed: %+v", commit, last)
		}
	}
}
