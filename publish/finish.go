package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// finish renders what changed and returns the change of the tree.
func (t *txn) finish(ctx context.Context, e Edit) (*Result, error) {
	next := &state{Format: stateFormat, Serial: t.base.Serial + 1, Time: t.at, Bytes: t.bytes}
	c := &Change{Message: t.o.Message}
	changed := false
	for _, r := range t.repos {
		rs, did, err := t.finishRepo(ctx, r, e.Refresh, next.Serial, c)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", r.Name(), err)
		}
		next.Repositories = append(next.Repositories, rs)
		changed = changed || did
	}
	for _, r := range t.base.Repositories { // repositories this configuration does not know stay
		if next.repo(r.Name) == nil {
			next.Repositories = append(next.Repositories, r)
		}
	}
	slices.SortFunc(next.Repositories, func(a, b *repoState) int { return strings.Compare(a.Name, b.Name) })

	next.SiteSettings, next.Site = t.base.SiteSettings, t.base.Site
	settings := formats.Digest(sha256.Sum256([]byte(t.o.SiteSettings)))
	if t.o.Site != nil && (changed || settings != t.base.SiteSettings) {
		files, err := t.o.Site(ctx, &View{t: t, Serial: next.Serial, Time: t.at})
		if err != nil {
			return nil, fmt.Errorf("install page: %w", err)
		}
		next.SiteSettings, next.Site = settings, nil
		for _, f := range files {
			next.Site = append(next.Site, &fileState{Path: f.Path, Class: f.Class, Ref: f.Blob.Ref()})
			c.Put = append(c.Put, f)
		}
		slices.SortFunc(next.Site, func(a, b *fileState) int { return strings.Compare(a.Path, b.Path) })
		changed = true
	}
	res := t.res
	res.Serial, res.Version, res.Bytes = t.base.Serial, t.version, t.bytes
	if !changed && !(e.Collect && t.collectable()) {
		return &res, nil
	}
	for _, path := range slices.Sorted(maps.Keys(t.content)) {
		c.Put = append(c.Put, t.content[path])
	}
	if err := t.settle(c, next); err != nil {
		return nil, err
	}
	if err := next.check(); err != nil {
		return nil, fmt.Errorf("nobody could read the tree again (do two repositories write one file?): %w", err)
	}
	text, err := next.render(ctx, t.o.Sign)
	if err != nil {
		return nil, err
	}
	c.Put = append(c.Put, File{Path: StatePath, Class: Pointer, Blob: formats.Bytes(text)})
	slices.SortStableFunc(c.Put, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), boolCompare(a.Path == StatePath, b.Path == StatePath), strings.Compare(a.Path, b.Path))
	})
	res.Changed, res.Serial, res.Change = true, next.Serial, c
	return &res, nil
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// finishRepo renders the changed partitions and roots of a repository.
func (t *txn) finishRepo(ctx context.Context, r *repoTxn, refresh bool, serial int64, c *Change) (*repoState, bool, error) {
	b := &builder{loader: t.loader, repo: r.Repo, base: r.state, early: t.early}
	out := &repoState{Name: r.Name(), Settings: r.settings}
	dirty := make(map[string]bool)
	builts := make(map[string][]Built)
	var roots []string
	changed := r.state == nil || r.redo
	for _, p := range r.parts {
		root := r.Root(p.name)
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
		if !p.changed && !p.render {
			out.Partitions = append(out.Partitions, p.base)
			built, err := t.unchanged(ctx, r, p)
			if err != nil {
				return nil, false, err
			}
			builts[root] = append(builts[root], built)
			continue
		}
		if err := p.recut(ctx, &t.loader); err != nil {
			return nil, false, fmt.Errorf("partition %s: %w", p.name, err)
		}
		built, err := b.build(ctx, p)
		if err != nil {
			return nil, false, fmt.Errorf("partition %s: %w", p.name, err)
		}
		out.Partitions = append(out.Partitions, built.state)
		c.Put = append(c.Put, built.pages...)
		builts[root] = append(builts[root], built.Built)
		dirty[root] = true
	}
	for _, name := range roots {
		if !dirty[name] && !refresh {
			if old := r.state.root(name); old != nil {
				out.Roots = append(out.Roots, old)
				continue
			}
		}
		done, err := r.Finish(ctx, &RootInput{Root: name, At: t.at, Serial: serial, Partitions: builts[name]})
		if err != nil {
			return nil, false, fmt.Errorf("root %s: %w", name, err)
		}
		root := &rootState{Name: name, Keep: done.Keep}
		for _, f := range done.Files {
			root.Files = append(root.Files, &fileState{f.Path, f.Class, f.Blob.Ref(), f.Partition, f.Stream, f.Form, f.Offset})
			c.Put = append(c.Put, File{Path: f.Path, Class: f.Class, Blob: f.Blob})
		}
		slices.SortFunc(root.Files, func(a, b *fileState) int { return strings.Compare(a.Path, b.Path) })
		out.Roots = append(out.Roots, root)
		changed = true
	}
	return out, changed, nil
}

// unchanged describes a partition that is as the base has it.
func (t *txn) unchanged(ctx context.Context, r *repoTxn, p *partition) (Built, error) {
	built := Built{Partition: p.name, Records: p.base.records()}
	root := r.state.root(r.Root(p.name))
	if root == nil {
		return built, nil
	}
	for _, s := range p.base.Streams {
		for _, form := range s.Forms {
			var blob formats.Blob = missing(form.Ref)
			for _, f := range root.Files {
				if f.Partition == p.name && f.Stream == s.Name && f.Form == form.Form && f.Offset == 0 {
					blob = &treeBlob{ctx, t.dst, t.version, f.Path, f.Ref}
				}
			}
			built.Indexes = append(built.Indexes, IndexFile{Stream: s.Name, Form: form.Form, Plain: s.Plain, Blob: blob})
		}
	}
	return built, nil
}

// settle drops what the base has already from c.Put, refuses two files for one
// path, and decides on retired files.
func (t *txn) settle(c *Change, next *state) error {
	have := make(map[string]formats.Ref)
	where := make(map[formats.Ref]string)
	for _, f := range t.base.files() {
		have[f.Path], where[f.Ref] = f.Ref, f.Path
	}
	for _, f := range t.base.Retired {
		delete(have, f.Path)
	}
	put := make(map[string]formats.Ref)
	kept := c.Put[:0]
	for _, f := range c.Put {
		if !fs.ValidPath(f.Path) || f.Path == "." {
			return fmt.Errorf("path %q can't be part of a tree", f.Path)
		}
		ref := f.Blob.Ref()
		if other, ok := put[f.Path]; ok {
			if other != ref {
				return fmt.Errorf("%s: two files of the release have this path: name one differently", f.Path)
			}
			continue
		}
		put[f.Path] = ref
		if have[f.Path] == ref {
			continue
		}
		if f.From == "" {
			f.From = where[ref]
		}
		kept = append(kept, f)
	}
	c.Put = kept

	live := make(map[string]bool)
	for _, f := range next.files() {
		live[f.Path] = true
	}
	for path := range put {
		live[path] = true
	}
	keep := make(map[string]int)
	for _, r := range t.base.Repositories {
		for _, root := range r.Roots {
			for _, f := range root.Files {
				keep[f.Path] = root.Keep
			}
		}
	}
	for _, f := range t.base.Retired {
		switch {
		case live[f.Path]:
		case t.expired(f):
			c.Delete = append(c.Delete, f.Path)
		default:
			next.Retired = append(next.Retired, f)
		}
		live[f.Path] = true // not to be retired again
	}
	retire := func(path string, keep int) {
		if !live[path] {
			live[path] = true
			next.Retired = append(next.Retired, &retiredFile{Path: path, Serial: next.Serial, Time: t.at, Keep: keep})
		}
	}
	for _, f := range t.base.files() {
		retire(f.Path, keep[f.Path])
	}
	for path := range t.gone {
		retire(path, 0)
	}
	for _, path := range t.leftovers {
		if !live[path] { // which has what the base names, too
			c.Delete = append(c.Delete, path)
		}
	}
	slices.SortFunc(next.Retired, func(a, b *retiredFile) int {
		return cmp.Or(cmp.Compare(a.Serial, b.Serial), strings.Compare(a.Path, b.Path))
	})
	slices.Sort(c.Delete)
	c.Delete = slices.Compact(c.Delete)
	return nil
}

// A tree that is published to all the time would hold thousands of old indexes
// within one grace. More generations than mostGenerations are kept for shortGrace
// seconds only: a client that is in the middle of an update, or was given an
// InRelease by a cache, is done by then.
const (
	mostGenerations = 100
	shortGrace      = 3600
)

// expired reports whether a retired file goes with the change that is being made.
// A file of keep generations goes with the first change after them.
func (t *txn) expired(f *retiredFile) bool {
	generations, age := t.base.Serial+1-f.Serial, t.o.Now-f.Time
	if generations < int64(f.Keep) {
		return false
	}
	// Who knows an old index from a mirror or yesterday's update fetches packages
	// by it: they stay for the grace however many generations there are.
	bounded := f.Keep > 0 || strings.HasPrefix(f.Path, RecordsDir+"/")
	return age >= t.o.Grace || bounded && generations >= mostGenerations && age >= shortGrace
}

func (t *txn) collectable() bool {
	return len(t.leftovers) > 0 || slices.ContainsFunc(t.base.Retired, t.expired)
}

// sweep looks for what publishes left that lost or died.
func (t *txn) sweep(ctx context.Context) error {
	s, ok := t.dst.(Sweeper)
	if !ok {
		return nil
	}
	held, err := t.base.holdings(ctx, &t.loader)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(held))
	for _, h := range held {
		known[h.Path] = true
	}
	found, err := s.Leftovers(ctx, time.Duration(t.o.Grace)*time.Second, func(p string) bool { return known[p] })
	if err != nil {
		return err
	}
	t.leftovers = slices.Concat(t.leftovers, found.Files)
	t.res.Abandoned, t.res.abandon = found.Uploads, found.GiveUp
	return nil
}

// files lists all files a state names but the packages: indexes, pages, site.
func (s *state) files() []*fileState {
	var all []*fileState
	for _, r := range s.Repositories {
		for _, p := range r.Partitions {
			for _, pg := range p.Pages {
				all = append(all, &fileState{Path: recordsPath(pg.Ref.SHA256), Ref: pg.Ref})
			}
		}
		for _, root := range r.Roots {
			all = append(all, root.Files...)
		}
	}
	return append(all, s.Site...)
}

// missing is the blob of a file that is known by digest alone: a signature
// precedes it in the file that holds it, or no file does.
func missing(ref formats.Ref) formats.Blob { return missingBlob{ref} }
