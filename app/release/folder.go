package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distropack/distropack/app/checkout"
	"github.com/distropack/distropack/app/store"
)

// A release has a folder of its own below Options.Dir:
//
//	tree, tree.ok       the files of the commit
//	assets, assets.ok   files of the GitHub release
//	out, out.ok         the packages and their journal
//	site-NAME           links to the packages, for one child
//
// What has its .ok file is whole. Anything else is thrown away and made again.

// folder is the work folder of a release.
func (s *Releases) folder(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(s.Dir, hex.EncodeToString(sum[:12]))
}

// lock has one at a time of this process make files of a release.
func (s *Releases) lock(id string) func() {
	s.mu.Lock()
	m := s.folders[id]
	if m == nil {
		m = new(sync.Mutex)
		s.folders[id] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// clear removes the work folder of a release that has ended.
func (s *Releases) clear(id string) error {
	defer s.lock(id)()
	err := os.RemoveAll(s.folder(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.folders, id)
	delete(s.told, id)
	return err
}

// Sweep removes work folders that were not touched for so long: of releases that
// ended on another node. For reconcile.Options.Sweep.
func (s *Releases) Sweep(ctx context.Context, older time.Duration) error {
	all, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	open, err := s.Store.Releases(ctx, store.ReleaseFilter{States: []store.State{store.Waiting, store.Running}, Limit: 1000})
	if err != nil {
		return err
	}
	keep := make(map[string]bool)
	for _, r := range open {
		keep[filepath.Base(s.folder(r.ID))] = true
	}
	var errs []error
	for _, e := range all {
		st, err := e.Info()
		if err != nil || keep[e.Name()] || s.Now().Sub(st.ModTime()) < older {
			continue
		}
		errs = append(errs, os.RemoveAll(filepath.Join(s.Dir, e.Name())))
	}
	return errors.Join(errs...)
}

// whole reports whether a part of a work folder is whole, and reads what was noted.
func whole(part string, v any) bool {
	b, err := os.ReadFile(part + ".ok")
	return err == nil && json.Unmarshal(b, v) == nil
}

// fresh makes an empty folder for a part.
func fresh(part string) error {
	if err := errors.Join(os.RemoveAll(part+".ok"), os.RemoveAll(part)); err != nil {
		return err
	}
	return os.MkdirAll(part, 0o700)
}

// done notes that a part is whole. Its files need not be on the disk: after the
// power failed a release begins its files anew, since what is there is compared.
func done(part string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(part+".part", b, 0o600); err != nil {
		return err
	}
	return os.Rename(part+".part", part+".ok")
}

// fetch brings the files of the commit here.
func (j *job) fetch(ctx context.Context) (struct{}, error) {
	rec := j.record(ctx)
	defer rec.close()
	leg := rec.begin(legFetch, "the files of the commit")
	w, err := j.bare(ctx, facts{})
	if err == nil {
		err = j.haveTree(ctx, w)
	}
	rec.end(leg, err)
	return struct{}{}, err
}

// haveTree makes sure that the files of the commit are here.
func (j *job) haveTree(ctx context.Context, w *world) error {
	defer j.lock(w.release.ID)()
	var commit string
	if whole(w.tree(), &commit) && commit == w.release.Commit {
		return nil
	}
	if err := fresh(w.tree()); err != nil {
		return err
	}
	work, err := os.MkdirTemp(w.dir(), "objects-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	token, _, err := j.client(w.repo).Token(ctx, w.repo.ID, map[string]string{"contents": "read"})
	if err != nil {
		return err
	}
	o := checkout.Options{
		URL: fmt.Sprintf("%s/%s/%s.git", j.Git, w.repo.Owner, w.repo.Name), Token: func() string { return token }, Tag: w.release.Tag, Commit: w.release.Commit,
		Submodules: true, Limits: checkout.Limits{Bytes: j.Limits.Tree}, Say: w.say,
	}
	if j.run == nil || j.run.Kind == kindRollback { // whatever became of the tag
		o.Tag = ""
	}
	began := j.Now()
	if err := checkout.Fetch(ctx, o, w.tree(), work); err != nil {
		return err
	}
	w.say(fmt.Sprintf("the files of %.10s were fetched in %s", w.release.Commit, j.Now().Sub(began).Round(10*time.Millisecond)))
	return done(w.tree(), w.release.Commit)
}
