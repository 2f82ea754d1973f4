package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
)

// world is what a step of a release has at hand: the files of the commit, their
// configuration, variables and keys.
type world struct {
	s       *Releases
	release *store.Release
	repo    *store.Repository
	facts   facts
	text    []byte
	project *config.Project
	vars    *variables
	keys    []string // names of the keys there are
	ring    pipeline.Keyring
	root    *os.Root
	say     func(string)
	event   func(pipeline.Event)
}

// bare is a world without files, configuration and keys.
func (j *job) bare(ctx context.Context, f facts) (*world, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return nil, err
	}
	repo, err := j.repository(ctx, r.Repository)
	if err != nil {
		return nil, err
	}
	return &world{s: j.Releases, release: r, repo: repo, facts: f, say: func(text string) { j.say(ctx, "", text) }}, nil
}

// world makes sure that the files are here. The caller closes it.
func (j *job) world(ctx context.Context, f facts) (*world, error) {
	w, err := j.bare(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := j.haveTree(ctx, w); err != nil {
		return nil, err
	}
	if w.root, err = os.OpenRoot(w.tree()); err != nil {
		return nil, err
	}
	if err := w.read(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) read(ctx context.Context) (err error) {
	if w.text, err = readConfig(w.root); err != nil {
		return err
	}
	if w.vars, err = w.s.variables(ctx, w.repo); err != nil {
		return err
	}
	if w.project, err = w.s.parse(w.text, w.vars.lookup); err != nil {
		return err
	}
	at := w.facts.Time
	if now := w.s.Now(); at.After(now) { // as the pipeline does
		at = now
	}
	w.ring, w.keys, err = w.s.keyring(ctx, w.repo, w.release.ID, w.project.Project, at)
	return err
}

func (w *world) close() error { return w.root.Close() }

func (w *world) dir() string  { return w.s.folder(w.release.ID) }
func (w *world) tree() string { return filepath.Join(w.dir(), "tree") }
func (w *world) out() string  { return filepath.Join(w.dir(), "out") }

// env is what the pipeline may use in the server.
func (w *world) env(ctx context.Context) pipeline.Env {
	s := w.s
	return pipeline.Env{
		Formats: s.Formats, Repos: s.Repos, Lookup: w.vars.lookup, Open: w.openFolder, HTTP: s.HTTP, Token: w.token,
		Pause: pause, Now: s.Now(), Clock: s.Now, Keys: w.ring, Tool: s.Tool, Progress: w.event,
	}
}

// task is the release as the pipeline takes it.
func (w *world) task() pipeline.Job {
	return pipeline.Job{
		Files: source.Folder(w.root), Dir: w.tree(), Config: check.Config, Out: w.out(), Resume: true, Packed: true,
		Release:    pipeline.Release{Tag: w.release.Tag, Commit: w.release.Commit, Time: w.facts.Time},
		Repository: w.repo.Owner + "/" + w.repo.Name, SiteDirs: w.folders(), Replace: w.facts.Replace, NotLatest: w.facts.NotLatest,
		Rotating: slices.Contains(w.keys, "also"),
	}
}

// token may write to the repository of the release.
func (w *world) token(ctx context.Context) (string, error) {
	token, _, err := w.s.client(w.repo).Token(ctx, w.repo.ID, map[string]string{"contents": "write"})
	return token, err
}

// folders is where the account's trees are on this server: by the account's name,
// since people read it in addresses. Who gets a name that was free can't go on with
// another's tree: its state is signed.
func (w *world) folders() string {
	if w.s.Folders == "" {
		return w.tree() // never written to: see openFolder
	}
	return filepath.Join(w.s.Folders, strings.ToLower(w.repo.Owner))
}

func (w *world) openFolder(name string) (publish.Destination, error) {
	base := w.folders()
	rel, err := filepath.Rel(base, name)
	if w.s.Folders == "" || err != nil || !filepath.IsLocal(rel) || rel == "." {
		return nil, fmt.Errorf("%w: the App publishes to no folder of the server but those its operator allows", pipeline.ErrUsage)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, err
	}
	return dir.Open(name, dir.Options{Say: w.say})
}

// pause waits between two attempts to publish to a tree that others publish to.
func pause(ctx context.Context, n int) error {
	d := time.Duration(float64(min(50*time.Millisecond<<min(n, 7), 5*time.Second)) * (0.5 + rand.Float64()))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refOf is a sealed key as the signer takes it.
func refOf(name string, v *store.Sealed) vault.KeyRef {
	return vault.KeyRef{Key: name, Binding: vault.Binding{Scope: v.Scope, Name: v.Name, Kind: vault.KindKey}, Blob: v.Blob}
}
