package app

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/store"
)

// How long things are kept after they ended.
var keep = store.CleanOptions{Deliveries: 30 * 24 * time.Hour, Logs: 90 * 24 * time.Hour, Releases: 365 * 24 * time.Hour}

// Run serves and works until ctx ends, which is no error. Then no connection is
// accepted any more, requests and steps that run get Options.Grace to end, and what does
// not is broken off: a restart, or another node, goes on with it. It is called once.
func (a *App) Run(ctx context.Context) error {
	if err := a.claim(ctx); err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var tasks sync.WaitGroup
	failed := make(chan error, 4)
	tasks.Go(func() {
		if err := a.work(work); err != nil {
			failed <- err
		}
	})
	tasks.Go(func() {
		if err := a.guardName(work); err != nil {
			failed <- err
		}
	})

	servers := []*http.Server{a.server(a.handler())}
	servers[0].RegisterOnShutdown(a.site.Stop)
	listeners := []net.Listener{a.o.Listener}
	if a.o.Metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("GET "+metricsPath, a.metricsHandler())
		servers, listeners = append(servers, a.server(mux)), append(listeners, a.o.Metrics)
	}
	for i, s := range servers {
		tasks.Go(func() {
			if err := s.Serve(newBounded(listeners[i], connections)); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	a.log.Info("serving", "url", a.o.URL, "listen", a.o.Listener.Addr().String(), "node", a.o.Node, "sandbox", a.o.Sandbox, "version", a.o.Version)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.stopping.Store(true)
	a.log.Info("stopping", "grace", a.o.Grace)
	stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.o.Grace)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(end) != nil {
			s.Close() // whoever is still there has had the time
		}
	}
	tasks.Wait()
	// A restart within the grace of others finds its name free.
	err = errors.Join(err, a.engine.Stop(a.o.Grace))
	forget, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if e := a.store.ForgetNode(forget, a.o.Node); e != nil {
		a.log.Warn("the node is still in the list of those that live", "err", e)
	}
	a.log.Info("stopped")
	return err
}

// work makes releases until ctx ends, from when there is a GitHub App on.
func (a *App) work(ctx context.Context) error {
	id, err := a.creds.wait(ctx)
	if err != nil {
		return nil // it is ctx's
	}
	r, err := newReleases(a, id.app)
	if err != nil {
		return err
	}
	a.releases.now.Store(r)
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { a.inbox.Run(ctx) })
	tasks.Go(func() { a.loop(r, id.app).Run(ctx) })
	tasks.Wait()
	return nil
}

// server has limits for all that comes before a handler. Handlers bound bodies
// themselves, and live pages set their own deadlines.
func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

func randomName() string { return rand.Text()[:16] }

// nameSetting holds which process has the name of this node.
func (a *App) nameSetting() string { return "node/" + a.o.Node }

// claim takes the node's name, from an earlier process too.
func (a *App) claim(ctx context.Context) error {
	return a.store.SetSetting(ctx, a.nameSetting(), []byte(a.run))
}

// guardName ends the server when another one takes its name: each would have the
// other's jobs run again.
func (a *App) guardName(ctx context.Context) error {
	t := time.NewTicker(a.o.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		has, err := a.store.Setting(ctx, a.nameSetting())
		if err == nil && string(has) != a.run {
			return mistake("another server has started as node %q on this database, so this one ends: give each a --node of its own", a.o.Node)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("can't see whether the node's name is taken", "err", err)
		}
	}
}

// loop is what repairs and cleans in the background.
func (a *App) loop(r *release.Releases, app *github.App) *reconcile.Loop {
	o := reconcile.Options{
		Store: a.store, Node: a.o.Node, Log: a.log, Clean: keep,
		GitHub: func() *github.App { return app }, Enqueue: r.Enqueue, Resign: r.Resign, Recover: a.engine.Recover,
		KeyPage: a.keyPage, Sweep: func(ctx context.Context) error { return a.sweep(ctx, r) },
	}
	o.Every.Beat = a.o.Beat
	return reconcile.New(o)
}

// sweep deletes what is old outside of the store: jobs that ended, and files of releases
// that ended elsewhere.
func (a *App) sweep(ctx context.Context, r *release.Releases) error {
	_, err := a.engine.Clean(ctx, time.Now().Add(-keep.Logs))
	return errors.Join(err, r.Sweep(ctx, scratchLasts))
}

// scratchLasts is longer than any release runs.
const scratchLasts = 3 * 24 * time.Hour

// keyPage is where people renew the keys of a scope, such as installation:42.
func (a *App) keyPage(scope string) string {
	return a.o.URL + "/" + strings.NewReplacer("installation:", "installations/", "repository:", "repositories/").Replace(scope) + "/keys"
}
