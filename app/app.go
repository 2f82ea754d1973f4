// Package app is the GitHub App as one server: webhooks in, releases out, pages for
// people. It assembles the packages below it and keeps them alive; what each does stands
// there.
//
// Three kinds of processes are the same program. The server (App.Run) has the database,
// GitHub's tokens and the network, and can open no signing key. The signer, one child,
// can open them and nothing else; it is asked over a socket pair. A packer, a child for
// each release, reads the stranger's project in a sandbox without keys and network.
//
// On SQLite one server runs on one folder. On Postgres any number of them do: each has
// a name of its own, says every few seconds that it lives, and takes over the work of
// those that no longer do.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/hook"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

// SignerCommand is the argument that makes the program the signer; the identity file
// follows it.
const SignerCommand = "app-signer"

// Options of an App. Dir, URL, Listener and Exe are needed.
type Options struct {
	Dir      string       // identities, scratch files, and the database where that is SQLite; made if missing
	Database string       // an address for store.Open, with its password; "" means app.db in Dir
	URL      string       // where people and GitHub reach the server, without a path
	Listener net.Listener // closed by Close
	Metrics  net.Listener // /metrics is there instead; nil: on Listener
	Exe      string       // the program, for its children

	API   string      // of GitHub; "" means github.com's
	Web   string      // GitHub's pages; "" means github.com
	Git   string      // where repositories are cloned from; "" means Web
	Given Credentials // the zero value: those that the set-up keeps

	Admins  []int64       // GitHub's ids of people who run the server, besides who set it up
	Node    string        // "" means main
	Version string        // of the program
	Sandbox string        // one of package sandbox's kinds; "": the one that works here
	Folders string        // releases publish sites with a dir below it, as OWNER/DIR; "" refuses those
	Workers int           // releases at once; 0 means 4
	Quota   Quota         // of each installation
	Grace   time.Duration // for what runs when it is told to stop; 0 means 5 s
	Beat    time.Duration // how often a node says that it lives; 0 means 10 s
	Log     *slog.Logger  // nil drops; give it a handler of NewLogger's, which hides secrets
	Private bool          // places may lie in private networks, and speak http
}

// Quota bounds what an installation may use; 0 is no bound.
type Quota struct {
	Jobs    int64 // releases an hour
	Minutes int64 // of packaging, a day
	Bytes   int64 // published, a day
}

// App is a server that is ready to Run. Its methods may be called concurrently.
type App struct {
	o        Options
	log      *slog.Logger
	lock     *lock
	store    *store.Store
	engine   *engine.Engine
	sealer   *vault.Sealer
	signer   *vault.Client
	creds    *credentials
	releases later
	inbox    *hook.Dispatcher
	site     *web.Site
	metrics  *metrics
	run      string // tells this process from an earlier one of the same node
	stopping atomic.Bool
	closers  []func() error
}

// nodeName is what a node may be called.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Mistake is an error of who starts the server: another try needs other options.
type Mistake struct{ Text string }

func (m *Mistake) Error() string { return m.Text }

func mistake(format string, a ...any) error { return &Mistake{fmt.Sprintf(format, a...)} }

// check fills in what is not set.
func (o *Options) check() error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Workers = cmp.Or(o.Workers, 4)
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	o.Beat = cmp.Or(o.Beat, 10*time.Second)
	o.Node = cmp.Or(o.Node, "main")
	if !nodeName.MatchString(o.Node) {
		return mistake("the name of a node has letters, digits, dots, hyphens and underscores, 63 at most, not %q", o.Node)
	}
	if err := o.Given.check(); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	o.Dir = dir
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(dir, "app.db")
	}
	if f := o.Folders; f != "" {
		if !filepath.IsAbs(f) || filepath.Clean(f) != f {
			return mistake("the folder %q that releases publish to has to be an absolute path", f)
		}
		if within(f, dir) || within(dir, f) {
			return mistake("releases can't publish to %s: the server's own data is in %s", f, dir)
		}
	}
	return nil
}

// within says whether path is folder, or below it.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// New opens all there is and starts the signer; Run does the work. An error is a
// *Mistake if other options would cure it. The caller closes the App, after Run too.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{metrics: newMetrics(), run: randomName()}
	if o.Listener != nil {
		a.closers = append(a.closers, o.Listener.Close)
	}
	if o.Metrics != nil {
		a.closers = append(a.closers, o.Metrics.Close)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := o.check(); err != nil {
		return nil, err
	}
	a.o, a.log = o, o.Log
	if a.o.Sandbox == "" {
		kind, err := sandbox.Probe(ctx)
		if err != nil {
			return nil, mistake("%v; or run without, where every project is trusted: --no-sandbox", err)
		}
		a.o.Sandbox = kind
	}
	if a.lock, err = lockFolder(o.Dir); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.lock.close)
	// What packers of a killed server have left there is nobody's.
	if err := os.RemoveAll(a.tempFolder()); err != nil {
		return nil, err
	}
	for _, dir := range []string{a.workFolder(), a.tempFolder()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if file, ok := databaseFile(o.Database); ok && filepath.Dir(file) != o.Dir {
		beside, err := lockFile(file+"-server", "the database "+file)
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, beside.close)
	}
	if a.store, err = store.Open(ctx, o.Database, store.Options{Log: a.log}); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.store.Close)
	if a.sealer, err = vault.OpenSealer(ServerIdentity(o.Dir)); err != nil {
		return nil, err
	}
	if a.signer, err = startSigner(ctx, o.Exe, o.Dir, a.store, a.log); err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	a.closers = append(a.closers, a.signer.Close)
	a.creds = &credentials{store: a.store, sealer: a.sealer, given: o.Given, api: o.API, web: o.Web, log: a.log, made: make(chan struct{}, 1)}
	if _, err := a.creds.current(ctx); err != nil && !errors.Is(err, errNoApp) {
		return nil, err
	}
	a.engine, err = engine.New(ctx, engine.Options{
		URL: o.Database, Node: a.o.Node, Version: jobsVersion, Log: a.log, Workers: a.o.Workers, Errors: check.Kinds(),
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { return a.engine.Stop(0) })
	a.inbox = hook.NewDispatcher(hook.DispatcherOptions{Queue: a.store, Node: a.o.Node, Handle: a.releases.Handle, Log: a.log})
	a.site, err = web.New(web.Options{
		Store: a.store, Log: a.log, URL: o.URL, GitHubURL: o.Web, Version: o.Version, Admins: o.Admins,
		Ready: a.ready, GitHub: &signIn{creds: a.creds, store: a.store, api: cmp.Or(o.API, "https://api.github.com")}, Setup: &setup{creds: a.creds, url: o.URL},
		Actions: &actions{later: &a.releases, store: a.store, wake: a.inbox.Wake},
		Keys:    &keys{store: a.store, signer: a.signer}, Secrets: &secrets{store: a.store, sealer: a.sealer},
	})
	return a, err
}

// Close gives back what New has opened. It may be called twice.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	a.closers = nil
	return errors.Join(errs...)
}

// SetupLink returns a link to set the server up with, for whoever started it; "" if
// there is nothing left to set up.
func (a *App) SetupLink(ctx context.Context) (string, error) { return a.site.SetupLink(ctx) }

// Sandbox is the kind of sandbox that packages are made in.
func (a *App) Sandbox() string { return a.o.Sandbox }

// errStopping is why a server that ends is not ready.
var errStopping = errors.New("the server is stopping")

// ready says whether work can be taken.
func (a *App) ready(ctx context.Context) error {
	if a.stopping.Load() {
		return errStopping
	}
	if _, err := a.engine.Counts(ctx); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}

// ServerIdentity is the file, below the data folder, that opens the server's own
// secrets.
func ServerIdentity(dir string) string { return filepath.Join(dir, "server.identity") }

// SignerIdentity is the file that opens signing keys; the server does not read it.
func SignerIdentity(dir string) string { return filepath.Join(dir, "signer.identity") }

// databaseFile is the file of a SQLite database.
func databaseFile(url string) (string, bool) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || path == ":memory:" {
		return "", false
	}
	abs, err := filepath.Abs(path)
	return abs, err == nil
}

// noDatabase keeps commands from making one where nobody's data is.
func noDatabase(file string) error {
	return mistake("there is no database %s: --dir is the folder that distropack app was given", file)
}
