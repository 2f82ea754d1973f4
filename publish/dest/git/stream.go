package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// stream is a conversation with a program that runs for it: through ssh or here.
type stream struct {
	ctx  context.Context
	in   *packets
	out  io.WriteCloser
	said *bounded // the program's standard error
	here bool     // the program runs on this machine, without a key
	wait func() error
	stop func() bool // ends the watch over ctx

	asked bool
	once  sync.Once
	err   error
}

func (s *stream) advert(branch string) (*advert, error) { return readAdvert(s.in, branch) }

func (s *stream) ask(request func(io.Writer) error) (*packets, error) {
	s.asked = true
	err := request(s.out)
	if e := s.out.Close(); err == nil && e != nil && !errors.Is(e, io.EOF) {
		err = e
	}
	if err != nil {
		var failed *writeError
		if !errors.As(err, &failed) { // not the connection, but what was to be sent
			return nil, err
		}
		// Who closes the connection has said why, or will.
		if _, _, e := s.in.next(); e != nil && e != io.EOF && !errors.Is(e, errEnded) {
			return nil, e
		}
		return nil, err
	}
	return s.in, nil
}

// explain waits for the program's end: its last words are on standard error.
func (s *stream) explain(err error) error {
	if err == nil {
		return nil
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	var failed *writeError
	if !errors.Is(err, errEnded) && !errors.As(err, &failed) {
		return err
	}
	ended := s.Close()
	words := printable(s.said.String(), 300)
	lower := strings.ToLower(words)
	missing := strings.Contains(lower, "not appear to be a git repository") || strings.Contains(lower, "repository not found") || strings.Contains(lower, "does not exist") ||
		strings.Contains(lower, "not a git repository") || strings.Contains(lower, "no such repository") || strings.Contains(lower, "could not be found")
	denied := strings.Contains(lower, "denied") || strings.Contains(lower, "read only") || strings.Contains(lower, "read-only")
	switch {
	case missing && s.here:
		return fmt.Errorf("there is no such repository on this machine: correct the path; git says %q", words)
	case missing:
		return fmt.Errorf("there is no such repository, or this key may not see it: the host says %q", words)
	case denied && s.here:
		return fmt.Errorf("this user may not do that with the repository: give access to its files; git says %q", words)
	case denied:
		return fmt.Errorf("the host does not allow that: give the key permission to write; it says %q", words)
	case words != "":
		return fmt.Errorf("%w: the host says %q", err, words)
	case ended != nil:
		return fmt.Errorf("%w (%w)", err, ended)
	}
	return err
}

// Close ends the conversation and the program.
func (s *stream) Close() error {
	s.once.Do(func() {
		if !s.asked {
			io.WriteString(s.out, "0000") // nothing is wanted: that is no mishap to log
		}
		s.out.Close()
		s.err = s.wait()
		s.stop()
	})
	return s.err
}

// writeError is a connection that takes no more.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// pipeWriter marks the errors of a connection.
type pipeWriter struct{ io.WriteCloser }

func (w pipeWriter) Write(b []byte) (int, error) {
	n, err := w.WriteCloser.Write(b)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// bounded keeps the first bytes written to it.
type bounded struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Write(p[:min(len(p), maxWords-b.b.Len())])
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
