package git

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/distropack/distropack/formats"
)

const (
	maxKept    = 16 << 20  // a larger file is not kept, but fetched anew
	maxKeptAll = 256 << 20 // all that are kept
)

// scratch keeps files that were read, on the disk: they are asked for again, and
// deltas are made from them. It may be used concurrently.
type scratch struct {
	dir string

	mu     sync.Mutex
	f      *os.File
	remove func() error
	end    int64
	have   map[id]span
}

type span struct{ off, size int64 }

// temp makes a file without a name or, where a system knows none, one that remove
// deletes. remove closes it.
func (s *scratch) temp() (f *os.File, remove func() error, err error) {
	if f, err = os.CreateTemp(s.dir, "distropack-git-"); err != nil {
		return nil, nil, err
	}
	name := f.Name()
	if os.Remove(name) == nil {
		return f, f.Close, nil
	}
	return f, func() error { return errors.Join(f.Close(), os.Remove(name)) }, nil
}

// reserve finds room for a file; nil where it is not to be kept.
func (s *scratch) reserve(size int64) (io.WriterAt, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > maxKept || s.end+size > maxKeptAll {
		return nil, 0, nil
	}
	if s.f == nil {
		var err error
		if s.f, s.remove, err = s.temp(); err != nil {
			return nil, 0, err
		}
		s.have = make(map[id]span)
	}
	off := s.end
	s.end += size
	return s.f, off, nil
}

// get returns a file that was kept; nil if it was not.
func (s *scratch) get(object id) *io.SectionReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.have[object]
	if !ok {
		return nil
	}
	return io.NewSectionReader(s.f, at.off, at.size)
}

// save reads the content of object, which is to have that id, and returns it
// readable. Smaller files are kept.
func (s *scratch) save(object id, size int64, body io.Reader) (io.ReadCloser, formats.Ref, error) {
	f, off, err := s.reserve(size)
	if err != nil {
		return nil, formats.Ref{}, err
	}
	remove := func() error { return nil }
	kept := f != nil
	var all io.ReaderAt
	if kept {
		all = s.f
	} else {
		var own *os.File
		if own, remove, err = s.temp(); err != nil {
			return nil, formats.Ref{}, err
		}
		f, all = own, own
	}
	name, digest := newHash(blobKind, size), sha256.New()
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(f, off), name, digest), body)
	if err == nil && (n != size || id(name.Sum(nil)) != object) {
		err = fmt.Errorf("the host sent other content for object %s", object)
	}
	if err != nil {
		return nil, formats.Ref{}, errors.Join(err, remove())
	}
	if kept {
		s.mu.Lock()
		s.have[object] = span{off, size}
		s.mu.Unlock()
	}
	return &closer{io.NewSectionReader(all, off, size), remove}, formats.Ref{SHA256: formats.Digest(digest.Sum(nil)), Size: size}, nil
}

func (s *scratch) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have = nil
	if s.f == nil {
		return nil
	}
	s.f = nil
	return s.remove()
}

// closer is a reader with a way to end it.
type closer struct {
	io.Reader
	close func() error
}

func (c *closer) Close() error { return c.close() }
