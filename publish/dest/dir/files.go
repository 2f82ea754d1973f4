package dir

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// apply makes a change in a tree. No file is written in place: it may be a hard
// link to one that is being read.
func (d *Dir) apply(ctx context.Context, root string, c *publish.Change) error {
	put := slices.Clone(c.Put)
	slices.SortStableFunc(put, func(a, b publish.File) int { return cmp.Compare(a.Class, b.Class) })
	for _, f := range put {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.put(root, f); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	for _, p := range c.Delete {
		if err := removeFile(root, p); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) put(root string, f publish.File) error {
	if !fs.ValidPath(f.Path) {
		return fs.ErrInvalid
	}
	to := filepath.Join(root, filepath.FromSlash(f.Path))
	ref := f.Blob.Ref()
	if f.From != "" {
		from := filepath.Join(root, filepath.FromSlash(f.From))
		if st, err := os.Stat(from); err == nil && st.Size() == ref.Size && sameContent(from, ref) {
			return replaceByLink(from, to)
		}
	}
	return d.write(to, f.Blob)
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

func (d *Dir) write(name string, blob formats.Blob) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := temp(name)
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	r, err := blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	if err == nil && !d.noSync {
		err = w.Sync()
	}
	if err := errors.Join(err, w.Chmod(0o644), w.Close()); err != nil {
		return err
	}
	if got := (formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: n}); got != blob.Ref() {
		return fmt.Errorf("the content changed while it was published: it is %d bytes with SHA-256 %s, was %d with %s", got.Size, got.SHA256, blob.Ref().Size, blob.Ref().SHA256)
	}
	return os.Rename(part, name)
}

// replaceByLink makes to a hard link to from, atomically; a symbolic link is
// copied as one.
func replaceByLink(from, to string) error {
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
