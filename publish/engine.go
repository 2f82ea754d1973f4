package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Verify checks the signature of a message; it is given the state's JSON.
type Verify func(message, signature []byte) error

// Options says how to publish.
type Options struct {
	Time    int64 // Unix time of the release: indexes bear the later of it and the previous index's
	Now     int64 // Unix time by the wall clock, for the grace of retired files
	Message string
	Tries   int // how often a change is made anew after a conflict; 0 means 5

	Sign   formats.Signer // signs the state; nil leaves it unsigned
	Verify Verify         // checks the state before it is built on; nil takes any

	Keep       Keep
	Grace      int64 // seconds a file stays that nothing names any more
	AllowOlder bool  // take a version that is older than the newest one published
	Replace    bool  // take other bytes for a version that is published
	DryRun     bool  // make the change, but do not commit it

	// Site renders the files that no repository brings. Where SiteSettings is
	// what the state remembers and no package changed, it is not called.
	Site         func(ctx context.Context, v *View) ([]File, error)
	SiteSettings string
}

// Edit is what is to become of a tree: additions, then promotions, then removals.
type Edit struct {
	Add     []Addition
	Promote []Promotion
	Remove  []Selection
	Refresh bool // sign every root again
	Collect bool // write even where only retired files go
}

// Addition puts a package into channels.
type Addition struct {
	Package
	Channels []string
	Path     string // where the package lies in the tree already, for adoption; "" lets the repositories place it
}

// Selection names packages; an empty field selects all.
type Selection struct {
	Repo    string // a repository's name
	Channel string
	Name    string // the package's name, required
	Version string // upstream's, or the format's whole version
}

// Promotion lists selected packages of Selection.Channel in To as well.
type Promotion struct {
	Selection
	To string
}

// Result tells what a publish did.
type Result struct {
	Version string // of the tree
	Serial  int64
	Changed bool
	Tries   int

	Added     []Listed // what clients can install now and could not before
	Removed   []Listed
	Unchanged int // additions that were published already
	Change    *Change
	Bytes     int64 // of packages in the tree
}

// Listed is a package in a partition.
type Listed struct {
	Repo, Partition, Name, Version, Path string
	Size                                 int64
}

// OlderError says that something newer is published already.
type OlderError struct{ Repo, Partition, Name, Version, Newest string }

func (e *OlderError) Error() string {
	return fmt.Sprintf("%s %s is older than %s, which %s (%s) has: people who have that one would not get it; to publish it all the same use --allow-older, for a rebuild raise release", e.Name, e.Version, e.Newest, e.Repo, e.Partition)
}

// DiffersError says that a version is published with other content.
type DiffersError struct {
	Repo, Path  string
	Differences []string
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s: %s is already published with other content; clients keep what they know by this name: raise the version or the release, or use --replace\n  %s", e.Repo, e.Path, strings.Join(e.Differences, "\n  "))
}

// Publish makes edit on the tree in dst. It may be called concurrently, from
// several processes too: a conflict is answered by making the edit again on what
// the other one left. Publishing what is there already writes nothing. After an
// error other than a conflict the tree is what it was, or what it was to become;
// the same call again gives the same tree.
func Publish(ctx context.Context, dst Destination, repos []Repo, edit Edit, o Options) (*Result, error) {
	tries := o.Tries
	if tries == 0 {
		tries = 5
	}
	for n := 1; ; n++ {
		res, err := attempt(ctx, dst, repos, edit, o)
		if errors.Is(err, ErrConflict) && n < tries {
			continue
		}
		if res != nil {
			res.Tries = n
		}
		return res, err
	}
}

func attempt(ctx context.Context, dst Destination, repos []Repo, edit Edit, o Options) (*Result, error) {
	head, err := dst.Head(ctx)
	if err != nil {
		return nil, err
	}
	res, err := prepare(ctx, dst, head, repos, edit, o)
	if err != nil {
		// A place that keeps no old versions gives a mix where another publisher
		// was faster; what was read then means nothing.
		if now, e := dst.Head(ctx); e == nil && now != head {
			return nil, fmt.Errorf("%w (%w)", ErrConflict, err)
		}
		return nil, err
	}
	if !res.Changed || o.DryRun {
		return res, nil
	}
	res.Version, err = dst.Commit(ctx, head, res.Change)
	if err != nil {
		return nil, err
	}
	return res, nil
}

// prepare makes the change that edit is on a version.
func prepare(ctx context.Context, dst Destination, head string, repos []Repo, edit Edit, o Options) (*Result, error) {
	base, err := readState(ctx, dst, head, o.Verify)
	if err != nil {
		return nil, err
	}
	t := newTxn(dst, head, base, repos, o)
	if err := t.edit(ctx, edit); err != nil {
		return nil, err
	}
	return t.finish(ctx, edit)
}

// txn is one attempt at a change.
type txn struct {
	loader
	o    Options
	base *state // never nil
	at   int64

	repos   []*repoTxn
	content map[string]File // packages to put, by path
	gone    map[string]gone // packages that left a partition, by path
	bytes   int64
	res     Result
}

type gone struct {
	name string
	size int64
}

type repoTxn struct {
	Repo
	state    *repoState // of the base; nil where new
	settings formats.Digest
	redo     bool // settings changed
	parts    []*partition
}

func newTxn(dst Destination, head string, base *state, repos []Repo, o Options) *txn {
	t := &txn{loader: loader{dst, head}, o: o, content: make(map[string]File), gone: make(map[string]gone)}
	t.base = base
	if base == nil {
		t.base = &state{Format: stateFormat}
	}
	t.at = max(o.Time, t.base.Time)
	t.bytes = t.base.Bytes
	for _, r := range repos {
		rt := &repoTxn{Repo: r, state: t.base.repo(r.Name()), settings: sha256.Sum256([]byte(r.Settings()))}
		rt.redo = rt.state != nil && rt.state.Settings != rt.settings
		names := slices.Clone(r.Partitions())
		if rt.state != nil { // what another project's configuration listed stays
			for _, p := range rt.state.Partitions {
				names = append(names, p.Name)
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			var ps *partitionState
			if rt.state != nil {
				ps = rt.state.partition(name)
			}
			p := newPartition(name, ps)
			p.render = rt.redo
			rt.parts = append(rt.parts, p)
		}
		t.repos = append(t.repos, rt)
	}
	return t
}

func (r *repoTxn) part(name string) *partition {
	for _, p := range r.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (t *txn) edit(ctx context.Context, e Edit) error {
	var errs []error
	for _, a := range e.Add {
		placed := false
		for _, channel := range a.Channels {
			for _, r := range t.repos {
				ok, err := t.add(ctx, r, a, channel)
				if err != nil {
					errs = append(errs, err)
				}
				placed = placed || ok || err != nil
			}
		}
		if !placed {
			errs = append(errs, fmt.Errorf("%s %s (%s, %s): no repository serves it: add its platform or client, or leave it out", a.Meta.Name, a.Meta.Version, a.Meta.Format, a.Meta.Arch))
		}
	}
	for _, p := range e.Promote {
		if err := t.promote(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	for _, s := range e.Remove {
		if err := t.remove(ctx, s); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(once(errs)...); err != nil {
		return err
	}
	if err := t.torn(ctx, e); err != nil {
		return err
	}
	return t.fitBudget(ctx)
}

// once drops errors that say of a package in one index what another says of it in
// another: one version is older everywhere, or differs everywhere.
func once(errs []error) []error {
	seen := make(map[string]bool)
	return slices.DeleteFunc(errs, func(err error) bool {
		key := ""
		var older *OlderError
		if errors.As(err, &older) {
			key = fmt.Sprintf("%s %s", older.Name, older.Newest)
		}
		twice := key != "" && seen[key]
		seen[key] = true
		return twice
	})
}

// add lists a package in a repository; ok is false if it does not serve it.
func (t *txn) add(ctx context.Context, r *repoTxn, a Addition, channel string) (ok bool, err error) {
	places, err := r.Place(a.Meta, channel)
	if err != nil {
		return false, fmt.Errorf("repository %s: %w", r.Name(), err)
	}
	for _, place := range places {
		rec := &Record{Path: place.Path, Ref: a.Blob.Ref(), Project: a.Project, Version: a.Version, Added: t.o.Time, Meta: *a.Meta}
		if a.Path != "" && r.Name() == "apt" {
			rec.Path = a.Path
		}
		for _, b := range a.Beside {
			rec.Beside = append(rec.Beside, BesideRef{b.Suffix, b.Blob.Ref()})
		}
		isNew, err := t.list(ctx, r, place.Partition, rec)
		if err != nil {
			return true, err
		}
		if !isNew {
			continue
		}
		t.putContent(File{Path: rec.Path, Class: Content, Blob: a.Blob})
		for _, b := range a.Beside {
			t.putContent(File{Path: rec.Path + b.Suffix, Class: Content, Blob: b.Blob})
		}
	}
	return len(places) > 0, nil
}

func (t *txn) putContent(f File) { t.content[f.Path] = f }

// list puts a record into a partition; false if it is there already.
func (t *txn) list(ctx context.Context, r *repoTxn, part string, rec *Record) (bool, error) {
	p := r.part(part)
	if p == nil {
		return false, fmt.Errorf("repository %s: %s belongs to partition %s, which does not exist: add its platform", r.Name(), rec.Path, part)
	}
	subject := func(err error) error {
		return fmt.Errorf("repository %s: partition %s: %w", r.Name(), part, err)
	}
	named, err := p.named(ctx, &t.loader, rec.Meta.Name)
	if err != nil {
		return false, subject(err)
	}
	for _, old := range named {
		same := old.Meta.Version == rec.Meta.Version && old.Meta.Arch == rec.Meta.Arch && old.Meta.Format == rec.Meta.Format
		if old.Path != rec.Path && !same {
			continue
		}
		if old.Ref == rec.Ref {
			t.res.Unchanged++
			return false, nil
		}
		if !t.o.Replace {
			return false, &DiffersError{r.Name(), old.Path, Differences(&old.Meta, &rec.Meta, old.Ref, rec.Ref)}
		}
		if err := t.unlist(ctx, r, p, old); err != nil {
			return false, subject(err)
		}
	}
	if n := len(named); n > 0 && !t.o.AllowOlder && named[n-1].Meta.Version != rec.Meta.Version && r.Less(rec, named[n-1]) {
		return false, &OlderError{r.Name(), part, rec.Meta.Name, rec.Meta.Version, named[n-1].Meta.Version}
	}
	refs, err := t.contents(ctx, rec.Path, rec.Meta.Name)
	if err != nil {
		return false, subject(err)
	}
	if !slices.Contains(refs, rec.Ref) {
		t.bytes += rec.Ref.Size
	}
	delete(t.gone, rec.Path)
	if err := p.put(ctx, &t.loader, rec, r.Less); err != nil {
		return false, subject(err)
	}
	t.res.Added = append(t.res.Added, listed(r, p, rec))
	return true, t.retain(ctx, r, p, rec.Meta.Name)
}

func listed(r *repoTxn, p *partition, rec *Record) Listed {
	return Listed{r.Name(), p.name, rec.Meta.Name, rec.Meta.Version, rec.Path, rec.Ref.Size}
}

// unlist takes a record out of a partition.
func (t *txn) unlist(ctx context.Context, r *repoTxn, p *partition, rec *Record) error {
	if err := p.drop(ctx, &t.loader, rec.Meta.Name, rec.Path); err != nil {
		return err
	}
	t.res.Removed = append(t.res.Removed, listed(r, p, rec))
	refs, err := t.contents(ctx, rec.Path, rec.Meta.Name)
	if err != nil {
		return err
	}
	if !slices.Contains(refs, rec.Ref) {
		t.bytes -= rec.Ref.Size
	}
	if len(refs) > 0 { // as it is, or as it will be
		return nil
	}
	for _, path := range recordPaths(rec) {
		t.gone[path] = gone{rec.Meta.Name, rec.Ref.Size}
		delete(t.content, path)
	}
	return nil
}

// recordPaths lists the files of a record.
func recordPaths(rec *Record) []string {
	paths := []string{rec.Path}
	for _, b := range rec.Beside {
		paths = append(paths, rec.Path+b.Suffix)
	}
	return paths
}

// contents returns what partitions say a file holds, by the name it would be
// listed under; nil if none lists it. While a version is replaced, partition by
// partition, it is the old content and the new.
func (t *txn) contents(ctx context.Context, path, name string) ([]formats.Ref, error) {
	var refs []formats.Ref
	for _, r := range t.repos {
		for _, p := range r.parts {
			recs, err := p.named(ctx, &t.loader, name)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				if rec.Path == path && !slices.Contains(refs, rec.Ref) {
					refs = append(refs, rec.Ref)
				}
			}
		}
	}
	return refs, nil
}

// torn refuses to replace a file in some channels that others go on listing as it
// was: their clients would find other bytes than the index says.
func (t *txn) torn(ctx context.Context, e Edit) error {
	var errs []error
	for _, a := range e.Add {
		for _, r := range t.repos {
			for _, p := range r.parts {
				recs, err := p.named(ctx, &t.loader, a.Meta.Name)
				if err != nil {
					return err
				}
				for _, rec := range recs {
					if f, ok := t.content[rec.Path]; ok && f.Blob.Ref() != rec.Ref {
						errs = append(errs, fmt.Errorf("repository %s: partition %s lists %s too, with its old content: replace it in all channels at once", r.Name(), p.name, rec.Path))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}

// selected calls f for every record that s selects.
func (t *txn) selected(ctx context.Context, s Selection, f func(r *repoTxn, p *partition, rec *Record) error) error {
	found := false
	for _, r := range t.repos {
		if s.Repo != "" && s.Repo != r.Name() {
			continue
		}
		for _, p := range r.parts {
			recs, err := p.named(ctx, &t.loader, s.Name)
			if err != nil {
				return err
			}
			for _, rec := range recs {
				if s.Version != "" && s.Version != rec.Version && s.Version != rec.Meta.Version {
					continue
				}
				if s.Channel != "" {
					places, err := r.Place(&rec.Meta, s.Channel)
					if err != nil {
						return err
					}
					if !slices.ContainsFunc(places, func(pl Placement) bool { return pl.Partition == p.name }) {
						continue
					}
				}
				found = true
				if err := f(r, p, rec); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("no package %s is published: see what is with: distropack repo list", s)
	}
	return nil
}

func (s Selection) String() string {
	text := s.Name
	if s.Version != "" {
		text += " " + s.Version
	}
	if s.Channel != "" {
		text += " in channel " + s.Channel
	}
	if s.Repo != "" {
		text += " for " + s.Repo
	}
	return text
}

func (t *txn) remove(ctx context.Context, s Selection) error {
	return t.selected(ctx, s, func(r *repoTxn, p *partition, rec *Record) error { return t.unlist(ctx, r, p, rec) })
}

func (t *txn) promote(ctx context.Context, pr Promotion) error {
	return t.selected(ctx, pr.Selection, func(r *repoTxn, p *partition, rec *Record) error {
		places, err := r.Place(&rec.Meta, pr.To)
		if err != nil {
			return fmt.Errorf("repository %s: %w", r.Name(), err)
		}
		for _, place := range places {
			if place.Partition == p.name {
				continue
			}
			from, err := r.Place(&rec.Meta, pr.Channel)
			if err != nil {
				return err
			}
			// A package for all CPUs is in one partition per CPU: each promotes its own.
			if len(from) == len(places) && len(places) > 1 {
				i := slices.IndexFunc(from, func(pl Placement) bool { return pl.Partition == p.name })
				if i >= 0 && places[i].Partition != place.Partition {
					continue
				}
			}
			to := *rec
			to.Path = place.Path
			if len(from) > 0 && from[0].Path == place.Path {
				to.Path = rec.Path // the channels share their files
			}
			isNew, err := t.list(ctx, r, place.Partition, &to)
			if err != nil {
				return err
			}
			if !isNew || to.Path == rec.Path {
				continue
			}
			t.copyContent(ctx, rec.Path, to.Path, rec.Ref)
			for _, b := range rec.Beside {
				t.copyContent(ctx, rec.Path+b.Suffix, to.Path+b.Suffix, b.Ref)
			}
		}
		return nil
	})
}

// copyContent puts a file of the tree at a second path.
func (t *txn) copyContent(ctx context.Context, from, to string, ref formats.Ref) {
	if f, ok := t.content[from]; ok { // added by this same change
		f.Path = to
		t.putContent(f)
		return
	}
	t.putContent(File{Path: to, Class: Content, From: from, Blob: &treeBlob{ctx, t.dst, t.version, from, ref}})
}

// Differences says in words how two files of one name differ.
func Differences(old, new *formats.Meta, oldRef, newRef formats.Ref) []string {
	var d []string
	group := func(m *formats.Meta) map[string]string {
		g := make(map[string]string)
		for _, f := range m.Fields {
			if g[f.Key] != "" {
				g[f.Key] += ", "
			}
			g[f.Key] += f.Value
		}
		return g
	}
	a, b := group(old), group(new)
	keys := slices.Sorted(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if a[k] != b[k] {
			d = append(d, fmt.Sprintf("%s: was %q, is %q", k, clip(a[k]), clip(b[k])))
		}
	}
	for _, f := range old.Files {
		if _, ok := slices.BinarySearch(new.Files, f); !ok && !slices.Contains(new.Files, f) {
			d = append(d, "file gone: "+f)
		}
	}
	for _, f := range new.Files {
		if !slices.Contains(old.Files, f) {
			d = append(d, "file new: "+f)
		}
	}
	if len(d) == 0 {
		d = append(d, "same description and file list: the content of files differs")
	}
	d = append(d, fmt.Sprintf("published: %d bytes, SHA-256 %s", oldRef.Size, oldRef.SHA256), fmt.Sprintf("new:       %d bytes, SHA-256 %s", newRef.Size, newRef.SHA256))
	const most = 20
	if len(d) > most {
		d = append(d[:most:most], fmt.Sprintf("and %d more", len(d)-most))
	}
	return d
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
