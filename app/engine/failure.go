package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Errors that callers decide on; errors.Is finds them in what was read back too.
var (
	ErrNotFound    = errors.New("there is no such job")
	ErrCancelled   = errors.New("cancelled")
	ErrInterrupted = errors.New("interrupted: the job goes on later") // by Stop, a sleep, or a node that took over
	ErrPanic       = errors.New("panic")
	ErrGivenUp     = errors.New("given up")
)

// Why a step is interrupted, as the cause of its context.
var (
	errStopped = fmt.Errorf("the engine stops: %w", ErrInterrupted)
	errLost    = fmt.Errorf("another node has taken the job: %w", ErrInterrupted)
)

// failure is an error as the database keeps it.
type failure struct {
	Text  string   `json:"text"`
	Kinds []string `json:"kinds,omitempty"` // names of the errors it is
}

// textLimit bounds the text of an error, in bytes.
const textLimit = 16 << 10

// sentinels are the errors that are recognized, by name.
type sentinels map[string]error

func newSentinels(more map[string]error) sentinels {
	s := sentinels{"cancelled": ErrCancelled, "panic": ErrPanic, "given up": ErrGivenUp}
	maps.Copy(s, more)
	return s
}

// failure returns nil for nil.
func (s sentinels) failure(err error, also ...error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: strings.ToValidUTF8(err.Error(), "�")}
	if len(f.Text) > textLimit {
		f.Text = strings.ToValidUTF8(f.Text[:textLimit], "") + " …"
	}
	all := errors.Join(append(also, err)...)
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if errors.Is(all, s[name]) {
			f.Kinds = append(f.Kinds, name)
		}
	}
	return f
}

// error returns nil for nil.
func (s sentinels) error(f *failure) error {
	if f == nil {
		return nil
	}
	e := &restored{text: f.Text}
	for _, name := range f.Kinds {
		if is, known := s[name]; known {
			e.is = append(e.is, is)
		}
	}
	return e
}

// restored is an error that was read back.
type restored struct {
	text string
	is   []error
}

func (e *restored) Error() string   { return e.text }
func (e *restored) Unwrap() []error { return e.is }
