package formats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Scratch keeps pieces of packages on disk while packages are made, so that work
// that several packages share (compressing one program for four formats) is done
// once. It may be used concurrently. The directory is its owner's to remove.
type Scratch struct {
	dir string

	mu     sync.Mutex
	next   int
	pieces map[string]*piece
}

type piece struct {
	done chan struct{}
	name string
	size int64
	err  error
}

// NewScratch returns a Scratch that writes into dir, which must exist.
func NewScratch(dir string) *Scratch {
	return &Scratch{dir: dir, pieces: make(map[string]*piece)}
}

// Temp makes an empty file of its own.
func (s *Scratch) Temp() (*os.File, error) {
	s.mu.Lock()
	s.next++
	n := s.next
	s.mu.Unlock()
	return os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("piece-%d", n)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// Once returns the file that holds the piece named key and its length, making it
// with write if nobody has yet. Whoever asks while it is made waits. A failed
// piece is made again by the next who asks.
func (s *Scratch) Once(ctx context.Context, key string, write func(w io.Writer) error) (name string, size int64, err error) {
	for {
		s.mu.Lock()
		p, ok := s.pieces[key]
		if !ok {
			p = &piece{done: make(chan struct{})}
			s.pieces[key] = p
			s.mu.Unlock()
			p.name, p.size, p.err = s.write(write)
			if p.err != nil {
				s.mu.Lock()
				delete(s.pieces, key)
				s.mu.Unlock()
			}
			close(p.done)
			return p.name, p.size, p.err
		}
		s.mu.Unlock()
		select {
		case <-p.done:
		case <-ctx.Done():
			return "", 0, ctx.Err()
		}
		if p.err == nil {
			return p.name, p.size, nil
		}
	}
}

func (s *Scratch) write(write func(w io.Writer) error) (name string, size int64, err error) {
	f, err := s.Temp()
	if err != nil {
		return "", 0, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return "", 0, err
	}
	size, err = f.Seek(0, io.SeekCurrent)
	return f.Name(), size, err
}
