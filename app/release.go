package app

import (
	"cmp"
	"context"
	"path/filepath"
	"sync/atomic"

	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web"
)

// jobsVersion is that of the steps of package release: jobs that were begun under
// another one are not gone on with.
const jobsVersion = "1"

// newReleases makes what makes releases, for an engine that is not started yet.
func newReleases(a *App, hub *github.App) (*release.Releases, error) {
	return release.New(release.Options{
		Store: a.store, Engine: a.engine, GitHub: hub, Signer: a.signer, Sealer: a.sealer, Dir: a.workFolder(),
		Folders: a.o.Folders, Private: a.o.Private,
		URL: a.o.URL, Git: cmp.Or(a.o.Git, a.creds.webAddress()), API: a.o.API, Tool: "distropack " + a.o.Version,
		Packer: packer.Options{Exe: a.o.Exe, Kind: a.o.Sandbox, Temp: a.tempFolder()},
		Limits: release.Limits{ReleasesHour: a.o.Quota.Jobs, MinutesDay: a.o.Quota.Minutes, BytesDay: a.o.Quota.Bytes},
		Log:    a.log,
	})
}

func (a *App) workFolder() string { return filepath.Join(a.o.Dir, "work") }

// tempFolder is for /tmp of packers.
func (a *App) tempFolder() string { return filepath.Join(a.o.Dir, "tmp") }

// later is what makes releases, from the set-up of the GitHub App on. Until then nobody
// can sign in, and no webhook is believed.
type later struct {
	now atomic.Pointer[release.Releases]
}

var errLater error = &web.Refusal{Text: "The GitHub App is not set up yet, or the server has only just started: try again in a moment."}

func (l *later) Handle(ctx context.Context, e *event.Event, d *store.Delivery) error {
	return l.do(func(r *release.Releases) error { return r.Handle(ctx, e, d) })
}

func (l *later) Release(ctx context.Context, by string, repository int64, tag string, targets []string) (id string, err error) {
	err = l.do(func(r *release.Releases) error {
		id, err = r.Release(ctx, by, repository, tag, targets)
		return err
	})
	return id, err
}

func (l *later) Cancel(ctx context.Context, by, id string) error {
	return l.do(func(r *release.Releases) error { return r.Cancel(ctx, by, id) })
}

func (l *later) Restart(ctx context.Context, by, id string) error {
	return l.do(func(r *release.Releases) error { return r.Restart(ctx, by, id) })
}

func (l *later) Republish(ctx context.Context, by, id string) error {
	return l.do(func(r *release.Releases) error { return r.Republish(ctx, by, id) })
}

func (l *later) Rollback(ctx context.Context, by, id string) error {
	return l.do(func(r *release.Releases) error { return r.Rollback(ctx, by, id) })
}

func (l *later) do(f func(*release.Releases) error) error {
	r := l.now.Load()
	if r == nil {
		return errLater
	}
	return f(r)
}
