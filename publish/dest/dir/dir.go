// Package dir keeps a tree in a directory that any web server can serve.
//
// Readers see the tree before a publish or the tree after it, never a mix: the
// next tree is made beside the present one, and the two directories change places
// in one system call (renameat2(2) with RENAME_EXCHANGE). Unchanged files are hard
// links. The tree that was replaced is kept and brought up to date by the next
// publish, so that a publish costs what it changes, not what is there.
//
// Where the directories can't change places (a mount point, a file system or
// system without the call) files are replaced one by one, content before the
// indexes that name it and pointers last; Options.Log is told so.
//
// Beside DIR lies .DIR.distropack with the lock and the spare tree. It may be
// deleted while nothing publishes.
package dir

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Dir is a publish.Destination.
type Dir struct {
	root    string
	side    string // lock, spare tree, journal
	say     func(string)
	noSync  bool
	ordered bool

	mu     sync.Mutex
	stages []*stage
}

var (
	_ publish.Destination = (*Dir)(nil)
	_ publish.Stager      = (*Dir)(nil)
)

// Options of a Dir. The zero value is for production.
type Options struct {
	Say     func(string) // told what an operator should know; nil drops it
	NoSync  bool         // do not wait until files are on the disk: for trees that are thrown away
	Ordered bool         // never exchange directories: for tests of the other way
}

// Open returns the tree in root, which need not exist yet. Nothing is written.
func Open(root string, o Options) (*Dir, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if abs == string(filepath.Separator) {
		return nil, fmt.Errorf("directory %q can't hold a tree", root)
	}
	// A link to a directory is followed once, so that the directory is what is
	// exchanged.
	if to, err := filepath.EvalSymlinks(abs); err == nil {
		abs = to
	}
	if st, err := os.Stat(abs); err == nil && !st.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", root)
	}
	d := &Dir{root: abs, side: filepath.Join(filepath.Dir(abs), "."+filepath.Base(abs)+".distropack"), say: o.Say, noSync: o.NoSync, ordered: o.Ordered}
	if d.say == nil {
		d.say = func(string) {}
	}
	return d, nil
}

// Head implements publish.Destination: the digest of the state file.
func (d *Dir) Head(context.Context) (string, error) { return head(d.root) }

func head(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(publish.StatePath)))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return formats.Digest(sha256.Sum256(b)).String(), nil
}

// Open implements publish.Destination. It reads the present tree whatever the
// version: what a publish reads, it checks by digest.
func (d *Dir) Open(_ context.Context, _, path string) (io.ReadCloser, error) {
	if !fs.ValidPath(path) {
		return nil, fmt.Errorf("path %q: %w", path, fs.ErrInvalid)
	}
	return os.Open(filepath.Join(d.root, filepath.FromSlash(path)))
}

// journal remembers the last change, which the spare tree has not seen.
type journal struct {
	From   string   `json:"from"`
	To     string   `json:"to"`
	Put    []string `json:"put"`
	Delete []string `json:"delete"`
}

// Commit implements publish.Destination.
func (d *Dir) Commit(ctx context.Context, base string, c *publish.Change) (version string, err error) {
	if err := os.MkdirAll(d.side, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(d.side, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	now, err := head(d.root)
	if err != nil {
		return "", err
	}
	if now != base {
		return "", publish.ErrConflict
	}
	if d.ordered || d.knownOrdered() {
		return d.commitOrdered(ctx, c)
	}
	d.removeAbandoned()
	spare, err := d.prepare(ctx, base)
	if err != nil {
		return "", err
	}
	// From here on the spare is neither the old tree nor the new.
	dirty := filepath.Join(d.side, "dirty")
	if err := os.WriteFile(dirty, nil, 0o644); err != nil {
		return "", err
	}
	if err := d.apply(ctx, spare, c); err != nil {
		return "", err
	}
	version, err = head(spare)
	if err != nil {
		return "", err
	}
	j := journal{From: base, To: version, Delete: c.Delete}
	for _, f := range c.Put {
		j.Put = append(j.Put, f.Path)
	}
	if err := d.writeJournal(&j); err != nil {
		return "", err
	}
	switch err := exchange(spare, d.root); {
	case err == nil:
	case errors.Is(err, errors.ErrUnsupported) || isMountPoint(err):
		d.say(fmt.Sprintf("%s can't be exchanged at once (%v): files are replaced one by one, pointers last", d.root, err))
		// Not to be tried each time: across file systems the spare is a whole copy.
		if err := errors.Join(os.WriteFile(filepath.Join(d.side, "ordered"), nil, 0o644), os.RemoveAll(spare)); err != nil {
			return "", err
		}
		return d.commitOrdered(ctx, c)
	default:
		return "", err
	}
	// The exchange is the commit; what fails after it must not say otherwise.
	if err := os.Remove(dirty); err != nil {
		d.say(fmt.Sprintf("%v: the next publish copies the whole tree", err))
	}
	return version, nil
}

func (d *Dir) writeJournal(j *journal) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	name := filepath.Join(d.side, "last.json")
	if err := os.WriteFile(name+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// prepare makes the spare tree equal to the present one.
func (d *Dir) prepare(ctx context.Context, base string) (string, error) {
	spare := filepath.Join(d.side, "tree")
	if _, err := os.Stat(filepath.Join(d.side, "dirty")); errors.Is(err, fs.ErrNotExist) && base != "" {
		if ok, err := d.catchUp(ctx, spare, base); ok || err != nil {
			return spare, err
		}
	}
	if err := os.RemoveAll(spare); err != nil {
		return "", err
	}
	if err := os.MkdirAll(spare, 0o755); err != nil {
		return "", err
	}
	return spare, linkTree(ctx, d.root, spare)
}

// catchUp repeats the last change in the spare tree; false if that is not what it
// lacks.
func (d *Dir) catchUp(ctx context.Context, spare, base string) (bool, error) {
	b, err := os.ReadFile(filepath.Join(d.side, "last.json"))
	if err != nil {
		return false, nil
	}
	var j journal
	if json.Unmarshal(b, &j) != nil || j.To != base {
		return false, nil
	}
	if at, err := head(spare); err != nil || at != j.From || at == "" {
		return false, nil
	}
	if err := os.WriteFile(filepath.Join(d.side, "dirty"), nil, 0o644); err != nil {
		return false, err
	}
	for _, p := range j.Delete {
		if err := removeFile(spare, p); err != nil {
			return false, err
		}
	}
	err = parallel(ctx, j.Put, func(p string) error {
		return replaceByLink(filepath.Join(d.root, filepath.FromSlash(p)), filepath.Join(spare, filepath.FromSlash(p)))
	})
	if err != nil {
		return false, err
	}
	return true, d.adoptForeign(ctx, spare, append(j.Put, j.Delete...))
}

// adoptForeign takes over what others put into the top of the directory since
// the spare tree was current, and forgets what they took away.
func (d *Dir) adoptForeign(ctx context.Context, spare string, ours []string) error {
	mine := make(map[string]bool)
	for _, p := range ours {
		mine[p] = true
	}
	live, err := os.ReadDir(d.root)
	if err != nil {
		return err
	}
	for _, e := range live {
		from, to := filepath.Join(d.root, e.Name()), filepath.Join(spare, e.Name())
		a, err := os.Lstat(from)
		if err != nil {
			return err
		}
		b, err := os.Lstat(to)
		switch {
		case err == nil && (os.SameFile(a, b) || a.IsDir() && b.IsDir()) || mine[e.Name()]:
		case e.IsDir():
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			if err := linkTree(ctx, from, to); err != nil {
				return err
			}
		default:
			if err := replaceByLink(from, to); err != nil {
				return err
			}
		}
	}
	old, err := os.ReadDir(spare)
	if err != nil {
		return err
	}
	for _, e := range old {
		if !slices.ContainsFunc(live, func(l fs.DirEntry) bool { return l.Name() == e.Name() }) {
			if err := os.RemoveAll(filepath.Join(spare, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// knownOrdered reports whether an earlier publish found that the directories
// can't change places.
func (d *Dir) knownOrdered() bool {
	_, err := os.Stat(filepath.Join(d.side, "ordered"))
	return err == nil
}

// commitOrdered changes the present tree in place.
func (d *Dir) commitOrdered(ctx context.Context, c *publish.Change) (string, error) {
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return "", err
	}
	if err := d.apply(ctx, d.root, c); err != nil {
		return "", err
	}
	return head(d.root)
}
