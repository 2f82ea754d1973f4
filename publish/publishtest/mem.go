// Package publishtest holds what tests of publishing share: a destination in
// memory that is stricter than any real one and can be made to fail, and the
// promises that every destination and every repository must keep.
package publishtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Mem is a tree in memory. It refuses what a Change must not do: two files with
// one path, content that is not what its Ref says, other content for a path that
// never changes.
type Mem struct {
	// OnCommit, if set, is called by each Commit that would succeed. apply says
	// whether the change is made, err what the publisher is told: both ways to
	// fail are {true, err} and {false, err}.
	OnCommit func() (apply bool, err error)
	// OnHead, if set, is called after each Head: for making readers meet.
	OnHead func()
	// Opened counts reads by path.
	Opened map[string]int

	mu    sync.Mutex
	n     int
	files map[string][]byte
	class map[string]publish.Class
}

var _ publish.Destination = (*Mem)(nil)

// Head implements publish.Destination.
func (m *Mem) Head(context.Context) (string, error) {
	m.mu.Lock()
	head := m.head()
	m.mu.Unlock()
	if m.OnHead != nil {
		m.OnHead()
	}
	return head, nil
}

func (m *Mem) head() string {
	if m.n == 0 {
		return ""
	}
	return fmt.Sprint(m.n)
}

// Open implements publish.Destination.
func (m *Mem) Open(_ context.Context, version, path string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Opened == nil {
		m.Opened = make(map[string]int)
	}
	m.Opened[path]++
	b, ok := m.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// Commit implements publish.Destination.
func (m *Mem) Commit(_ context.Context, base string, c *publish.Change) (string, error) {
	next := make(map[string][]byte)
	for _, f := range c.Put {
		if !fs.ValidPath(f.Path) {
			return "", fmt.Errorf("path %q is not valid", f.Path)
		}
		if _, ok := next[f.Path]; ok {
			return "", fmt.Errorf("%s is put twice", f.Path)
		}
		b, err := formats.ReadAll(f.Blob)
		if err != nil {
			return "", err
		}
		if got := (formats.Ref{SHA256: sha256.Sum256(b), Size: int64(len(b))}); got != f.Blob.Ref() {
			return "", fmt.Errorf("%s: content is %v, its Ref says %v", f.Path, got, f.Blob.Ref())
		}
		next[f.Path] = b
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if base != m.head() {
		return "", publish.ErrConflict
	}
	for _, f := range c.Put {
		if old, ok := m.files[f.Path]; ok && m.class[f.Path] == publish.Content && !bytes.Equal(old, next[f.Path]) {
			return "", fmt.Errorf("%s never changes, and was to", f.Path)
		}
		if slices.Contains(c.Delete, f.Path) {
			return "", fmt.Errorf("%s is put and deleted", f.Path)
		}
	}
	apply, err := true, error(nil)
	if m.OnCommit != nil {
		apply, err = m.OnCommit()
	}
	if apply {
		if m.files == nil {
			m.files, m.class = make(map[string][]byte), make(map[string]publish.Class)
		}
		for _, f := range c.Put {
			m.files[f.Path], m.class[f.Path] = next[f.Path], f.Class
		}
		for _, p := range c.Delete {
			delete(m.files, p)
		}
		m.n++
	}
	return m.head(), err
}

// Files returns a copy of the tree.
func (m *Mem) Files() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.files)
}

// Set changes a file from outside, as no publisher would.
func (m *Mem) Set(path string, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = b
}

// Read returns a file, or nil.
func (m *Mem) Read(path string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[path]
}

// ErrInjected is what injected faults answer.
var ErrInjected = errors.New("injected fault")

// Once makes the next Commit fail, with the change made or not.
func (m *Mem) Once(apply bool) {
	m.OnCommit = func() (bool, error) {
		m.OnCommit = nil
		return apply, ErrInjected
	}
}

// Failing is content that can't be read.
func Failing() formats.Blob { return failing{} }

type failing struct{}

func (failing) Ref() formats.Ref             { return formats.Ref{Size: 1} }
func (failing) Open() (io.ReadCloser, error) { return nil, ErrInjected }
