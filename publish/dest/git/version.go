package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
)

// version is a commit of the branch and its folders.
type version struct {
	commit id
	root   id
	text   []byte // of the commit
	trees  trees
}

// keptVersions is how many versions are remembered: the one being published on,
// its successor, and one for who is late.
const keptVersions = 3

func (g *Git) known(commit id) *version {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.versions {
		if v.commit == commit {
			return v
		}
	}
	return nil
}

func (g *Git) remember(v *version) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, have := range g.versions {
		if have.commit == v.commit {
			return
		}
	}
	g.versions = append([]*version{v}, g.versions[:min(len(g.versions), keptVersions-1)]...)
}

// load returns a version, which is fetched if it is not known. One fetch at a
// time: who waits finds it done.
func (g *Git) load(ctx context.Context, name string) (*version, error) {
	commit, err := parseID(name)
	if err != nil {
		return nil, err
	}
	if v := g.known(commit); v != nil {
		return v, nil
	}
	select {
	case g.loading <- struct{}{}:
		defer func() { <-g.loading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if v := g.known(commit); v != nil {
		return v, nil
	}
	var last *version
	g.mu.Lock()
	full := g.full
	if len(g.versions) > 0 {
		last = g.versions[0]
	}
	g.mu.Unlock()
	if !full {
		if ok, err := g.offers(ctx, "filter"); err != nil {
			return nil, err
		} else if ok {
			return g.fetchFolders(ctx, commit, last)
		}
		g.goFull("it can't leave files out of what it sends (uploadpack.allowFilter)")
	}
	return g.fetchAll(ctx, commit)
}

// fetchFolders fetches commit and trees without files: only what last lacks, if
// the host can do that.
func (g *Git) fetchFolders(ctx context.Context, commit id, last *version) (*version, error) {
	w := wanted{object: commit, folder: true}
	var base *version
	if last != nil && g.speaks2() {
		w.have, base = last.commit, last
	}
	v, err := g.fetchVersion(ctx, w, base)
	if err != nil && !w.have.isZero() && ctx.Err() == nil {
		w.have = id{}
		v, err = g.fetchVersion(ctx, w, nil)
	}
	return v, err
}

func (g *Git) fetchVersion(ctx context.Context, w wanted, base *version) (v *version, err error) {
	err = g.fetch(ctx, w, func(r io.Reader) error {
		f, err := readFolders(r, base)
		if err != nil {
			return err
		}
		v, err = g.assemble(w.object, f, base)
		return err
	})
	if err != nil {
		return nil, err
	}
	g.remember(v)
	return v, nil
}

// assemble makes a version of what was fetched and what was here.
func (g *Git) assemble(commit id, f *folders, base *version) (*version, error) {
	text, ok := f.commits[commit]
	if !ok {
		return nil, fmt.Errorf("the host left out commit %s", commit)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	hash, ok := strings.CutPrefix(line, "tree ")
	if !ok {
		return nil, fmt.Errorf("commit %s is damaged", commit)
	}
	root, err := parseID(hash)
	if err != nil {
		return nil, err
	}
	v := &version{commit, root, text, make(trees)}
	all := f.trees
	if base != nil {
		all = maps.Clone(base.trees)
		maps.Copy(all, f.trees)
	}
	missing, ok, err := all.keep(v.trees, root, g.folder)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("the host left out folder %s of the branch", missing)
	}
	return v, nil
}

// goFull says once that everything has to be fetched.
func (g *Git) goFull(why string) {
	g.mu.Lock()
	was := g.full
	g.full = true
	g.mu.Unlock()
	if !was {
		g.say(fmt.Sprintf("%s: the host sends whole branches only, since %s: each publish fetches all that is in it", g.URL(), why))
	}
}

// fetchAll fetches a version with all its files into a pack on the disk.
func (g *Git) fetchAll(ctx context.Context, commit id) (v *version, err error) {
	g.mu.Lock()
	last := g.whole
	g.mu.Unlock()
	w := wanted{object: commit, full: true}
	var base *version
	if last != nil && g.speaks2() {
		w.have, base = last.commit, last
	}
	v, err = g.fetchWhole(ctx, w, base)
	if err != nil && !w.have.isZero() && ctx.Err() == nil {
		w.have = id{}
		v, err = g.fetchWhole(ctx, w, nil)
	}
	return v, err
}

func (g *Git) fetchWhole(ctx context.Context, w wanted, base *version) (v *version, err error) {
	var pack *packFile
	var remove func() error
	err = g.fetch(ctx, w, func(r io.Reader) error {
		var earlier []*packFile
		if base != nil {
			g.mu.Lock()
			earlier = g.packs
			g.mu.Unlock()
		}
		f, drop, err := g.scratch.temp()
		if err != nil {
			return err
		}
		var content *folders
		if pack, content, err = savePack(r, f, earlier, g.scratch.temp); err == nil {
			v, err = g.assemble(w.object, content, base)
		}
		if err != nil {
			return errors.Join(err, drop())
		}
		remove = drop
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.packs, g.removals = append(g.packs, pack), append(g.removals, remove)
	g.whole = v
	g.mu.Unlock()
	g.remember(v)
	return v, nil
}

// offers tells what the host can do.
func (g *Git) offers(ctx context.Context, feature string) (ok bool, err error) {
	err = again(ctx, func() error {
		t, a, err := g.begin(ctx)
		if err != nil {
			return err
		}
		ok = a.offers(feature)
		return t.Close()
	})
	return ok, err
}

// speaks2 tells whether the host speaks version 2 of the protocol.
func (g *Git) speaks2() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.offer != nil
}

// open reads a file of a version.
func (g *Git) open(ctx context.Context, v *version, p string) (io.ReadCloser, error) {
	e, ok, err := v.trees.lookup(v.root, path.Join(g.folder, p))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	if !e.isFile() {
		return nil, &fs.PathError{Op: "open", Path: p, Err: errors.New("is not a file in the branch, but a folder, a link or a module")}
	}
	if r := g.scratch.get(e.id); r != nil {
		return io.NopCloser(r), nil
	}
	if r, ok, err := g.fromPacks(e.id); ok || err != nil {
		return r, err
	}
	g.mu.Lock()
	ask := !g.noSingle
	g.mu.Unlock()
	if ask {
		r, err := g.fetchFile(ctx, e.id)
		if !errors.Is(err, errGone) {
			return r, err
		}
		g.mu.Lock()
		g.noSingle = true
		g.mu.Unlock()
	}
	return g.openWhole(ctx, v.commit, e.id)
}

// fetchFile asks for one file by its id.
func (g *Git) fetchFile(ctx context.Context, object id) (r io.ReadCloser, err error) {
	err = g.fetch(ctx, wanted{object: object}, func(pack io.Reader) error {
		s, err := scanPack(pack)
		if err != nil {
			return err
		}
		o, err := s.next()
		if err != nil {
			return err
		}
		if o == nil || o.kind != blobKind {
			return fmt.Errorf("the host sent something else for object %s", object)
		}
		got, ref, err := g.scratch.save(object, o.size, o.body)
		if err != nil {
			return err
		}
		for o != nil && err == nil { // the checksum, at the end
			if o, err = s.next(); o != nil && err == nil {
				_, err = io.Copy(io.Discard, o.body)
			}
		}
		if err != nil {
			return errors.Join(err, got.Close())
		}
		g.learn(object, ref)
		r = got
		return nil
	})
	return r, err
}

// openWhole reads a file on a host that gives whole branches only.
func (g *Git) openWhole(ctx context.Context, commit, object id) (io.ReadCloser, error) {
	g.goFull("it gives no file by its id (uploadpack.allowAnySHA1InWant)")
	select {
	case g.loading <- struct{}{}:
		defer func() { <-g.loading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if r, ok, err := g.fromPacks(object); ok || err != nil { // somebody else was first
		return r, err
	}
	if _, err := g.fetchAll(ctx, commit); err != nil {
		return nil, err
	}
	r, ok, err := g.fromPacks(object)
	if err == nil && !ok {
		err = fmt.Errorf("the host left out file %s of the branch", object)
	}
	return r, err
}

func (g *Git) fromPacks(object id) (r io.ReadCloser, ok bool, err error) {
	g.mu.Lock()
	packs := g.packs
	g.mu.Unlock()
	for _, p := range packs {
		o, ok, err := p.open(object)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			continue
		}
		if o.kind != blobKind {
			return nil, false, errors.Join(errPack, o.Close())
		}
		// Through the scratch file, which checks it and is what deltas are made from.
		r, ref, err := g.scratch.save(object, o.size, o)
		if err := errors.Join(err, o.Close()); err != nil {
			return nil, false, err
		}
		g.learn(object, ref)
		return r, true, nil
	}
	return nil, false, nil
}

// maxLearned bounds what is remembered of contents.
const maxLearned = 50_000

// learn remembers the id of a content that was seen.
func (g *Git) learn(object id, ref formats.Ref) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ids) < maxLearned {
		g.ids[ref] = object
	}
}

func (g *Git) learned(ref formats.Ref) (id, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	object, ok := g.ids[ref]
	return object, ok
}
