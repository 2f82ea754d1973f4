package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/publishtest"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

var testKey = sync.OnceValues(func() (keys.Secret, error) {
	k, err := keys.New("Test", "test@example.org", now.AddDate(-1, 0, 0), nil, keys.NewOptions{Bits: 3072})
	if err != nil {
		return keys.Secret{}, err
	}
	return k.Bundle(), nil
})

const smallConfig = `version: 1
project: hello
description: Greets
maintainer: Ann Example <ann@example.org>
license: MIT
channels:
  stable: {tags: "v*"}
  beta: {tags: "v*", prereleases: true}
platforms: [linux/amd64, darwin/arm64]
packages:
  - contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
publish:
  - site: public
    url: https://example.org/hello
    keep: {versions: 1, grace: 1s}
`

// small is a project with every format and repository, and a release of it into
// dst.
func small(t *testing.T, version string, at time.Time, dst publish.Destination) (pipeline.Env, pipeline.Job) {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	env := pipeline.Env{
		Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Now: at, Key: key, Tool: "test",
		Lookup: func(string) (string, bool) { return "", false },
		Open:   func(string) (publish.Destination, error) { return dst, nil },
	}
	job := pipeline.Job{
		Files:  fstest.MapFS{"distropack.yml": {Data: []byte(smallConfig)}, "hello.sh": {Data: []byte("#!/bin/sh\necho " + version + "\n"), Mode: 0o755}},
		Config: "distropack.yml", Out: t.TempDir(), Release: pipeline.Release{Version: version, Time: at},
	}
	return env, job
}

// releases are what a tree is made of; with one version kept, later ones retire
// and delete files of earlier ones.
var releases = []struct {
	version string
	at      time.Time
}{{"1.0.0", now}, {"1.1.0-rc.1", now.Add(time.Hour)}, {"1.1.0", now.Add(48 * time.Hour)}, {"1.2.0", now.Add(96 * time.Hour)}}

func release(t *testing.T, i int, dst publish.Destination) error {
	t.Helper()
	env, job := small(t, releases[i].version, releases[i].at, dst)
	_, err := pipeline.Run(context.Background(), env, job)
	return err
}

// broken is a destination whose next Commit fails.
type broken struct {
	publish.Destination
	commit func(ctx context.Context, base string, c *publish.Change) (string, error) // nil: as it should be
}

func (b *broken) Commit(ctx context.Context, base string, c *publish.Change) (string, error) {
	if f := b.commit; f != nil {
		b.commit = nil
		return f(ctx, base, c)
	}
	return b.Destination.Commit(ctx, base, c)
}

// place is a tree and a way to read all of it.
type place struct {
	dst   publish.Destination
	files func() map[string][]byte
}

var places = map[string]func(t *testing.T) place{
	"memory": func(*testing.T) place {
		m := new(publishtest.Mem)
		return place{m, m.Files}
	},
	"directory":          func(t *testing.T) place { return directory(t, false) },
	"directory in place": func(t *testing.T) place { return directory(t, true) },
}

func directory(t *testing.T, ordered bool) place {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	d, err := dir.Open(root, dir.Options{NoSync: true, Ordered: ordered})
	if err != nil {
		t.Fatal(err)
	}
	return directoryOf(t, d, root)
}

func directoryOf(t *testing.T, d publish.Destination, root string) place {
	return place{d, func() map[string][]byte {
		files := make(map[string][]byte)
		err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(rel)], err = os.ReadFile(name)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return files
	}}
}

// differences names files that are not the same in both trees.
func differences(got, want map[string][]byte) string {
	var b strings.Builder
	for name, w := range want {
		if g, ok := got[name]; !ok {
			fmt.Fprintf(&b, "%s is missing\n", name)
		} else if !bytes.Equal(g, w) {
			fmt.Fprintf(&b, "%s differs\n", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			fmt.Fprintf(&b, "%s is too many\n", name)
		}
	}
	return b.String()
}

// clean is the tree after every release, undisturbed.
func clean(t *testing.T, open func(t *testing.T) place) []map[string][]byte {
	t.Helper()
	p := open(t)
	var trees []map[string][]byte
	for i := range releases {
		if err := release(t, i, p.dst); err != nil {
			t.Fatal(err)
		}
		trees = append(trees, p.files())
	}
	return trees
}

// TestAReleaseThatFailedIsRepairedByTheNext makes the commit of each release fail,
// done and not done. The same release again must leave what a clean run leaves.
func TestAReleaseThatFailedIsRepairedByTheNext(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			want := clean(t, open)
			for _, done := range []bool{false, true} {
				p := open(t)
				b := &broken{Destination: p.dst}
				for i := range releases {
					before := p.files()
					b.commit = func(ctx context.Context, base string, c *publish.Change) (string, error) {
						if done {
							if _, err := p.dst.Commit(ctx, base, c); err != nil {
								t.Error(err)
							}
						}
						return "", publishtest.ErrInjected
					}
					if err := release(t, i, b); !errors.Is(err, publishtest.ErrInjected) {
						t.Fatalf("release %s: %v, want the injected fault", releases[i].version, err)
					}
					if !done {
						if d := differences(p.files(), before); d != "" {
							t.Errorf("release %s failed and changed the tree:\n%s", releases[i].version, d)
						}
					}
					if err := release(t, i, b); err != nil {
						t.Fatalf("release %s again: %v", releases[i].version, err)
					}
					if d := differences(p.files(), want[i]); d != "" {
						t.Errorf("release %s after a fault (done: %v) is not what a clean run leaves:\n%s", releases[i].version, done, d)
					}
				}
			}
		})
	}
}

// TestAWriteThatFailedIsRepairedByTheNext makes every single write of a commit
// fail, both before it was done and right after: the tree stays as it was where
// directories are exchanged, and the same release again leaves what a clean run
// leaves anywhere.
func TestAWriteThatFailedIsRepairedByTheNext(t *testing.T) {
	for _, name := range []string{"directory", "directory in place"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ordered := name == "directory in place"
			want := clean(t, places[name])
			last := len(releases) - 2
			before := t.TempDir() // the tree and what is beside it
			dst, err := dir.Open(filepath.Join(before, "tree"), dir.Options{NoSync: true, Ordered: ordered})
			if err != nil {
				t.Fatal(err)
			}
			b := &broken{Destination: dst}
			for i := range last {
				if err := release(t, i, b); err != nil {
					t.Fatal(err)
				}
			}
			var change publish.Change // what the last release makes of it
			base := ""
			b.commit = func(_ context.Context, on string, c *publish.Change) (string, error) {
				base, change = on, *c
				for i, f := range c.Put { // packages lie in the folder of this run
					text, err := formats.ReadAll(f.Blob)
					if err != nil {
						return "", err
					}
					change.Put[i].Blob = formats.Bytes(text)
				}
				return "", publishtest.ErrInjected
			}
			if err := release(t, last, b); !errors.Is(err, publishtest.ErrInjected) {
				t.Fatal(err)
			}
			failed := 0
			for n := range change.Put {
				for _, done := range []bool{false, true} {
					at := t.TempDir()
					if err := os.CopyFS(at, os.DirFS(before)); err != nil {
						t.Fatal(err)
					}
					dst, err := dir.Open(filepath.Join(at, "tree"), dir.Options{NoSync: true, Ordered: ordered})
					if err != nil {
						t.Fatal(err)
					}
					p := directoryOf(t, dst, filepath.Join(at, "tree"))
					ctx, cancel := context.WithCancelCause(context.Background())
					faulty := change
					faulty.Put = slices.Clone(change.Put)
					ref := faulty.Put[n].Blob.Ref()
					for j, f := range faulty.Put { // of equal files one is written
						if f.Blob.Ref() == ref {
							faulty.Put[j].From = ""
							faulty.Put[j].Blob = unreadable{f.Blob}
							if done {
								faulty.Put[j].Blob = lastWords{f.Blob, func() { cancel(publishtest.ErrInjected) }}
							}
						}
					}
					_, err = dst.Commit(ctx, base, &faulty)
					cancel(nil)
					switch {
					case errors.Is(err, publishtest.ErrInjected):
						failed++
						if d := differences(p.files(), want[last-1]); d != "" && !ordered {
							t.Errorf("write %d failed (done: %v) and the tree changed:\n%s", n, done, d)
						}
					case err != nil || !done: // a process may die after its last write: then all is there
						t.Fatalf("write %d of %d (done: %v): %v, want the injected fault", n, len(change.Put), done, err)
					}
					if err := release(t, last, dst); err != nil {
						t.Fatalf("write %d (done: %v): again: %v", n, done, err)
					}
					if d := differences(p.files(), want[last]); d != "" {
						t.Errorf("after a fault at write %d of %s (done: %v) the tree is not what a clean run leaves:\n%s", n, change.Put[n].Path, done, d)
					}
				}
			}
			t.Logf("%d writes, %d faults", len(change.Put), failed)
			if failed < len(change.Put)+len(change.Put)/2 {
				t.Errorf("only %d faults in %d writes", failed, len(change.Put))
			}
		})
	}
}

type unreadable struct{ formats.Blob }

func (unreadable) Open() (io.ReadCloser, error) { return nil, publishtest.ErrInjected }

// lastWords is content after whose last byte the program dies.
type lastWords struct {
	formats.Blob
	die func()
}

func (b lastWords) Open() (io.ReadCloser, error) {
	r, err := b.Blob.Open()
	return dying{r, b.die}, err
}

type dying struct {
	io.ReadCloser
	die func()
}

func (d dying) Close() error {
	d.die()
	return d.ReadCloser.Close()
}
