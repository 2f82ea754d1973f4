// Package source finds the files that go into packages: from the project's tree,
// from named slots that a folder, an archive, a release's assets, GoReleaser or a
// command fills.
//
// It reads through fs.FS, so that nothing outside the project can be named: not
// by "..", not by a symbolic link. Devices, sockets and pipes are refused.
package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

// Tree is a tree of files, each read and hashed once. It may be used concurrently.
type Tree struct {
	FS    fs.FS
	Name  string // for errors: "slot bin"; "" for the project
	Limit int64  // the largest file in bytes; 0 means no bound

	mu    sync.Mutex
	blobs map[string]*treeBlob
	held  int64 // bytes of small files in memory
}

// Files up to small bytes stay in memory, maxHeld of a tree in sum: opening twenty
// thousand of them again for each package takes longer than making it.
const (
	small   = 16 << 10
	maxHeld = 32 << 20
)

// Blob returns the content of a regular file.
func (t *Tree) Blob(name string) (formats.Blob, error) {
	b, _, err := t.file(name, false, nil)
	return b, err
}

// file returns a regular file's content and mode. isFile says that it is known to
// be one; m, where not nil, has its folder open.
func (t *Tree) file(name string, isFile bool, m *many) (formats.Blob, fs.FileMode, error) {
	t.mu.Lock()
	b, ok := t.blobs[name]
	if !ok {
		b = &treeBlob{fsys: t.FS, name: name}
		if t.blobs == nil {
			t.blobs = make(map[string]*treeBlob)
		}
		t.blobs[name] = b
	}
	t.mu.Unlock()
	b.once.Do(func() { b.err = b.read(t, isFile, m) })
	switch {
	case b.err != nil:
		return nil, 0, b.err
	case b.held != nil:
		return b.held, b.mode, nil
	}
	return b, b.mode, nil
}

// hold reports whether there is room for n bytes in memory, and takes it.
func (t *Tree) hold(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n > small || t.held+n > maxHeld {
		return false
	}
	t.held += n
	return true
}

type treeBlob struct {
	fsys fs.FS
	name string
	once sync.Once
	ref  formats.Ref
	mode fs.FileMode
	held formats.Blob // of a small file
	err  error
}

func (b *treeBlob) read(t *Tree, isFile bool, m *many) error {
	if m != nil {
		limit := int64(small)
		if t.Limit > 0 {
			limit = min(limit, t.Limit)
		}
		if content, mode, ok := m.read(path.Base(b.name), limit); ok && t.hold(int64(len(content))) {
			b.held, b.mode = formats.Bytes(content), mode
			return nil
		}
	}
	if !isFile { // before it is opened: a pipe would wait for its writer
		st, err := fs.Stat(b.fsys, b.name)
		if err != nil {
			return escape(err)
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("%s is a %s, not a file", b.name, kind(st.Mode()))
		}
	}
	f, err := b.fsys.Open(b.name)
	if err != nil {
		return escape(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is a %s, not a file", b.name, kind(st.Mode()))
	}
	if t.Limit > 0 && st.Size() > t.Limit {
		return fmt.Errorf("%s is %s; the limit is %s: raise limits.file, or leave it out", b.name, Sized(st.Size()), Sized(t.Limit))
	}
	b.mode = st.Mode()
	if t.hold(st.Size()) {
		content := make([]byte, st.Size())
		if _, err := io.ReadFull(f, content); err != nil {
			return fmt.Errorf("%s changed while it was read: %w", b.name, err)
		}
		b.held = formats.Bytes(content)
		return nil
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	b.ref = formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: n}
	return err
}

func (b *treeBlob) Ref() formats.Ref             { return b.ref }
func (b *treeBlob) Open() (io.ReadCloser, error) { return b.fsys.Open(b.name) }

// ReadFile reads a regular file of the project. Others are not opened: a pipe
// would never end. limit is the most bytes.
func ReadFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	st, err := fs.Stat(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is not in the project%w", name, notExist{})
	case err != nil:
		return nil, escape(err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is a %s, want a file", name, kind(st.Mode()))
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, escape(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", name, Sized(limit))
	}
	return b, err
}

// notExist is fs.ErrNotExist for code; people were told in words.
type notExist struct{}

func (notExist) Error() string        { return "" }
func (notExist) Is(target error) bool { return target == fs.ErrNotExist }

// Sized is n bytes as limits are written, for people: "95MB", "123 bytes".
func Sized(n int64) string {
	text := config.Bytes(n).String()
	if c := text[len(text)-1]; c >= '0' && c <= '9' {
		text += " bytes"
	}
	return text
}

// escape says in words what os.Root means.
func escape(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && strings.Contains(p.Err.Error(), "escapes") {
		return fmt.Errorf("%s leads outside the project: a symbolic link or .. in a path must stay inside it", p.Path)
	}
	return err
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeDevice != 0:
		return "device"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}

// Expand replaces {name} by values. An unknown name is an error.
func Expand(text string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			return "", fmt.Errorf("%q has a { without }", text)
		}
		v, ok := values[name]
		if !ok {
			return "", fmt.Errorf("unknown variable {%s}", name)
		}
		b.WriteString(v)
		text = after
	}
}

// Values are the variables of paths for one platform.
func Values(p formats.Platform, version, tag string) map[string]string {
	return map[string]string{"os": p.OS, "arch": p.Arch, "variant": p.Variant, "platform": strings.ReplaceAll(p.String(), "/", "_"), "cpu": p.CPU(), "version": version, "tag": tag}
}

// sub returns the folder dir of a tree.
func sub(t *Tree, dir, name string) (*Tree, error) {
	dir = path.Clean(dir)
	if !fs.ValidPath(dir) {
		return nil, fmt.Errorf("%q is not a folder of the project", dir)
	}
	st, err := fs.Stat(t.FS, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not in the project%w", dir, notExist{})
	}
	if err != nil {
		return nil, escape(err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s is a file, want a folder", dir)
	}
	fsys, err := fs.Sub(t.FS, dir)
	if err != nil {
		return nil, err
	}
	return &Tree{FS: fsys, Name: name, Limit: t.Limit}, nil
}

// Sub returns the folder dir of the tree.
func (t *Tree) Sub(dir string) (*Tree, error) { return sub(t, dir, t.Name) }
