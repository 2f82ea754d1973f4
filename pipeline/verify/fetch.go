package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// Fetcher reads a tree. Its methods may be called concurrently. Paths are
// fs.ValidPath; an error that is fs.ErrNotExist says that there is no such file,
// and not that the place can't be reached.
type Fetcher interface {
	// Open opens a file; the caller closes it.
	Open(ctx context.Context, path string) (*File, error)
	// Stat asks for a file without its content.
	Stat(ctx context.Context, path string) (*File, error)
}

// Lister is a Fetcher that knows all its files.
type Lister interface {
	Fetcher
	// List calls f for each file, folder by folder.
	List(ctx context.Context, f func(path string) error) error
}

// Outsider is a Fetcher that can read what lies outside the tree.
type Outsider interface {
	OpenURL(ctx context.Context, url string) (*File, error)
}

// File is a file of a tree.
type File struct {
	io.ReadCloser             // nil from Stat
	Size          int64       // -1: not known
	Header        http.Header // nil: not over HTTP
	Modified      time.Time   // zero: not known
}

// tree is a file system.
type tree struct{ fsys fs.FS }

var _ Lister = tree{}

// FS reads a tree from a file system, which must be safe for concurrent use.
func FS(fsys fs.FS) Fetcher { return tree{fsys} }

// Directory is a tree on disk.
type Directory struct {
	tree
	root *os.Root
}

var _ Lister = (*Directory)(nil)

// Dir reads a tree from a directory. Links that lead out of it are not followed,
// and what is no regular file is not read. The caller closes it.
func Dir(name string) (*Directory, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Directory{tree{rootFS{root}}, root}, nil
}

// Close gives the directory back.
func (d *Directory) Close() error { return d.root.Close() }

// rootFS opens without waiting, since opening a named pipe would wait for ever.
type rootFS struct{ *os.Root }

func (r rootFS) Open(name string) (fs.File, error) {
	f, err := r.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err // and no *os.File that is nil
	}
	return f, nil
}

func (r rootFS) Stat(name string) (fs.FileInfo, error) { return r.Root.Stat(name) }

func (t tree) Open(_ context.Context, name string) (*File, error) {
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = notRegular(name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{ReadCloser: f, Size: st.Size(), Modified: st.ModTime()}, nil
}

func (t tree) Stat(_ context.Context, name string) (*File, error) {
	st, err := fs.Stat(t.fsys, name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, notRegular(name)
	}
	return &File{Size: st.Size(), Modified: st.ModTime()}, nil
}

func notRegular(name string) error {
	return fmt.Errorf("%s is not a regular file", path.Base(name))
}

// List implements Lister. What DistroPack and Git keep for themselves is left out.
func (t tree) List(ctx context.Context, f func(string) error) error {
	return fs.WalkDir(t.fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && (name == ".distropack" || name == ".git"):
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		return f(name)
	})
}

// errTooLarge says that a file is longer than is read of it.
type errTooLarge struct{ limit int64 }

func (e errTooLarge) Error() string {
	return fmt.Sprintf("it is longer than %d bytes, which is as much as is read", e.limit)
}

// get reads a file that a repository's clients fetch first, up to limit bytes. For
// keys and signatures beside packages t is nil.
func (r *run) get(ctx context.Context, t *target, name string, limit int64) ([]byte, error) {
	f, err := r.Fetch.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := pointer
	if t == nil {
		c = other
	}
	r.headers(t, name, f, c)
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errTooLarge{limit}
	}
	return b, nil
}

// lost notes why a file can't be had.
func (r *run) lost(t *target, s Severity, name string, err error) {
	var large errTooLarge
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, fs.ErrNotExist):
		text := "it is not there"
		var status statusError
		if errors.As(err, &status) && status.code != http.StatusNotFound {
			text += ": " + status.Error()
		}
		r.add(t, s, name, "missing", "%s", text)
	case errors.As(err, &large):
		r.add(t, s, name, "too-large", "%v", err)
	default:
		r.add(t, s, name, "unreachable", "it can't be read: %v", plain(err))
	}
}

// plain takes the path off an error, since findings have it already.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// place makes the path that an index means; ok is false, and a finding is noted,
// if it leads out of the tree.
func (r *run) place(t *target, index, dir, name string) (full string, ok bool) {
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	full = path.Join(dir, name)
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsRune(name, '\\') || strings.Contains("/"+name+"/", "/../") || !fs.ValidPath(full) || strings.IndexFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0 {
		r.add(t, Error, index, "path", "it names %.200q, which is no path in the tree", name)
		return "", false
	}
	return full, true
}
