package dir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// writers is how many files are written at once: they wait for the disk, and one
// journal commit serves all that wait.
const writers = 8

// syncAll is the number of files from which one syncfs(2) for the file system is
// less work for the disk than an fsync(2) for each.
const syncAll = 64

// apply makes a change in a tree. No file is written in place: it may be a hard
// link to one that is being read. Files of one class are all there before the
// first of the next, and the state comes after all else: where files are replaced
// one by one, it is what says that the rest is done.
func (d *Dir) apply(ctx context.Context, root string, c *publish.Change) error {
	byClass := make(map[publish.Class][]publish.File)
	var state []publish.File
	for _, f := range c.Put {
		if f.Path == publish.StatePath {
			state = append(state, f)
			continue
		}
		byClass[f.Class] = append(byClass[f.Class], f)
	}
	written := make(map[formats.Ref]string) // where content is already
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		if err := d.putAll(ctx, root, byClass[class], written); err != nil {
			return err
		}
	}
	for _, p := range c.Delete {
		if err := removeFile(root, p); err != nil {
			return err
		}
	}
	return d.putAll(ctx, root, state, written)
}

// putAll puts files, in any order. Content that several have, or that written
// knows, is written once and linked.
func (d *Dir) putAll(ctx context.Context, root string, files []publish.File, written map[formats.Ref]string) error {
	var first, again []publish.File
	for _, f := range files {
		if !fs.ValidPath(f.Path) {
			return fmt.Errorf("write %s: %w", f.Path, fs.ErrInvalid)
		}
		ref := f.Blob.Ref()
		if _, ok := written[ref]; ok {
			again = append(again, f)
			continue
		}
		written[ref] = f.Path
		first = append(first, f)
	}
	sync := syncEach
	if d.noSync {
		sync = syncNone
	} else if len(first) > syncAll && syncTree(root) == nil {
		sync = syncTogether
	}
	err := parallel(ctx, first, func(f publish.File) error {
		if err := d.put(root, f, sync); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if sync == syncTogether {
		if err := syncTree(root); err != nil {
			return fmt.Errorf("wait for the disk of %s: %w", d.root, err)
		}
	}
	return parallel(ctx, again, func(f publish.File) error {
		from := filepath.Join(root, filepath.FromSlash(written[f.Blob.Ref()]))
		if err := replaceByLink(from, filepath.Join(root, filepath.FromSlash(f.Path))); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		return nil
	})
}

// parallel calls f for all files, some at once, until one fails.
func parallel[T any](ctx context.Context, files []T, f func(T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(writers, len(files)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				if err := f(files[i]); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// How a file reaches the disk.
type syncing int

const (
	syncEach     syncing = iota // before it has its name
	syncTogether                // with the others, before the next class
	syncNone                    // when the system sees fit
)

func (d *Dir) put(root string, f publish.File, sync syncing) error {
	to := filepath.Join(root, filepath.FromSlash(f.Path))
	ref := f.Blob.Ref()
	if f.From != "" {
		from := filepath.Join(root, filepath.FromSlash(f.From))
		if st, err := os.Stat(from); err == nil && st.Size() == ref.Size && sameContent(from, ref) {
			return replaceByLink(from, to)
		}
	}
	if name := d.staged(ref); name != "" {
		if err := replaceByLink(name, to); err == nil {
			return nil
		}
	}
	return write(to, f.Blob, sync)
}

// sameContent guards against a file of the tree that was changed from outside.
func sameContent(name string, ref formats.Ref) bool {
	b, err := formats.FileBlob(name)
	return err == nil && b.Ref() == ref
}

// temp is the suffix of files that are being written; the name starts with a dot
// so that servers hide it.
func temp(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")
}

func write(name string, blob formats.Blob, sync syncing) error {
	part := temp(name)
	if err := writeFile(part, blob, sync); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// writeFile writes a file in place; after an error there is none.
func writeFile(part string, blob formats.Blob, sync syncing) (err error) {
	w, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
			return err
		}
		w, err = os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	err = copyTo(w, blob)
	if err == nil && sync == syncEach {
		err = w.Sync()
	}
	return errors.Join(err, w.Chmod(0o644), w.Close())
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// copyTo writes content and checks that it is what its Ref says: a file may have
// changed since it was hashed.
func copyTo(w io.Writer, blob formats.Blob) error {
	if parts, ok := formats.Held(blob); ok {
		for _, b := range parts {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
	r, err := blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	buffer := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buffer)
	h := sha256.New()
	// Without their own ways of copying, which would take buffers of their own.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, h)}, struct{ io.Reader }{r}, buffer[:])
	if err != nil {
		return err
	}
	if got := (formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: n}); got != blob.Ref() {
		return fmt.Errorf("the content changed while it was published: it is %d bytes with SHA-256 %s, was %d with %s", got.Size, got.SHA256, blob.Ref().Size, blob.Ref().SHA256)
	}
	return nil
}

// replaceByLink makes to a hard link to from, atomically; a symbolic link is
// copied as one.
func replaceByLink(from, to string) error {
	if os.Link(from, to) == nil { // nothing was there
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	part := temp(to)
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := linkOrCopy(from, part); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	// Two names of one file: rename(2) does nothing then, and leaves the first.
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	// File systems without hard links, or a link count at its limit.
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// linkTree makes to a copy of from, which may not exist, out of hard links.
func linkTree(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir():
			st, err := e.Info()
			if err != nil {
				return err
			}
			if err := os.Mkdir(b, st.Mode().Perm()); err != nil {
				return err
			}
			if err := linkTree(ctx, a, b); err != nil {
				return err
			}
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(a)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, b); err != nil {
				return err
			}
		case e.Type().IsRegular():
			if err := linkOrCopy(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeFile removes a file and the directories that it leaves empty.
func removeFile(root, p string) error {
	if !fs.ValidPath(p) {
		return fmt.Errorf("remove %s: %w", p, fs.ErrInvalid)
	}
	if err := os.Remove(filepath.Join(root, filepath.FromSlash(p))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if os.Remove(filepath.Join(root, filepath.FromSlash(d))) != nil {
			break // not empty, or gone
		}
	}
	return nil
}
