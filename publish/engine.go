package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
	Grace      int64 // seconds a file stays that nothing names any more; old indexes are bounded by generations, too
	AllowOlder bool  // take a version that is older than the newest one published
	Replace    bool  // take other bytes for a version that is published
	DryRun     bool  // make the change, but do not commit it

	// Pause is called before a change is made again after the n-th conflict, and may
	// wait: many publishers would otherwise meet again and again. nil does not wait.
	Pause func(ctx context.Context, n int) error
	// Approve is asked before a change is committed; its error ends the publish. nil
	// approves.
	Approve func(*Result) error

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
	Collect bool // write even where only retired files and leftovers of other publishes go
}

// Addition puts a package into channels.
type Addition struct {
	Package
	Channels []string
	Path     string // where the package lies in the tree already, for adoption; "" lets the repositories place it
	URL      string // where the package lies instead of the tree, for repositories that are Elsewhere; others do not list it
}

// Selection names packages; an empty field selects all.
type Selection struct {
	Repo    string // a repository's name
	Channel string
	Name    string // the package's name; required where Project is empty
	Project string // whose packages
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

	// Abandoned are files whose upload nobody went on with; Edit.Collect gave it up.
	Abandoned []string
	abandon   func(context.Context) error // does that; nil where there are none
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
	var lost []string
	for n := 1; ; n++ {
		res, err := attempt(ctx, dst, repos, edit, o, lost)
		if errors.Is(err, ErrConflict) && n < tries {
			lost = append(lost, litter(dst, res)...)
			if o.Pause != nil {
				if err := o.Pause(ctx, n); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		res.Tries = n
		return res, nil
	}
}

// litter lists what a change that was refused leaves in a place where content
// comes before the commit: indexes and pages, which nobody will name. Packages are
// part of the next try.
func litter(dst Destination, refused *Result) (paths []string) {
	if _, ok := dst.(Sweeper); !ok || refused == nil {
		return nil
	}
	for _, f := range refused.Change.Put {
		if f.Class == Index || strings.HasPrefix(f.Path, RecordsDir+"/") {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// attempt publishes once. Where the commit is refused, the result is what was to
// be.
func attempt(ctx context.Context, dst Destination, repos []Repo, edit Edit, o Options, lost []string) (*Result, error) {
	head, err := dst.Head(ctx)
	if err != nil {
		return nil, err
	}
	var early Stage
	if s, ok := dst.(Stager); ok && head != "" && !o.DryRun {
		if early = s.Stage(ctx); early != nil {
			defer early.Close()
		}
	}
	res, err := prepare(ctx, dst, head, early, repos, edit, o, lost)
	if err != nil {
		// A place that keeps no old versions gives a mix where another publisher
		// was faster; what was read then means nothing.
		if now, e := dst.Head(ctx); e == nil && now != head {
			return nil, fmt.Errorf("%w (%w)", ErrConflict, err)
		}
		return nil, err
	}
	if o.DryRun {
		return res, nil
	}
	if res.abandon != nil {
		if err := res.abandon(ctx); err != nil {
			return nil, err
		}
	}
	if !res.Changed {
		return res, nil
	}
	if o.Approve != nil {
		if err := o.Approve(res); err != nil {
			return nil, err
		}
	}
	res.Version, err = dst.Commit(ctx, head, res.Change)
	return res, err
}

// prepare makes the change that edit is on a version.
func prepare(ctx context.Context, dst Destination, head string, early Stage, repos []Repo, edit Edit, o Options, lost []string) (*Result, error) {
	base, err := readState(ctx, dst, head, o.Verify)
	if err != nil {
		return nil, err
	}
	t := newTxn(dst, head, base, repos, o)
	t.early, t.leftovers = early, lost
	if edit.Collect && base != nil {
		if err := t.sweep(ctx); err != nil {
			return nil, err
		}
	}
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

	early Stage // nil where the destination has none

	repos   []*repoTxn
	content map[string]File // packages to put, by path
	gone    map[string]bool // paths of packages that left their last partition
	bytes   int64
	res     Result

	leftovers []string // files of publishes that lost or died
}

type repoTxn struct {
	Repo
	state    *repoState // of the base; nil where new
	settings formats.Digest
	redo     bool // settings changed
	parts    []*partition
}

func newTxn(dst Destination, head string, base *state, repos []Repo, o Options) *txn {
	t := &txn{loader: loader{dst, head}, o: o, content: make(map[string]File), gone: make(map[string]bool)}
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
		if !placed && a.URL != "" {
			errs = append(errs, fmt.Errorf("%s %s (%s, %s): it lies elsewhere than in the tree, and clients of this format fetch packages from beside their index only", a.Meta.Name, a.Meta.Version, a.Meta.Format, a.Meta.Arch))
			continue
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

// once keeps one of the errors that say of every index that a version is older.
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
