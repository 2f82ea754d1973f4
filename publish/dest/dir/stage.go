package dir

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// stage is a publish.Stage: a folder beside the tree, from which a commit takes
// files by link. Its files are on the disk when they are taken.
type stage struct {
	d   *Dir
	dir string

	mu    sync.Mutex
	files []*staged
	known map[formats.Ref]*staged
}

type staged struct {
	name string
	done chan struct{}
	err  error // after done
}

// abandoned is the age from which a stage belongs to a publish that died.
const abandoned = 24 * time.Hour

// Stage implements publish.Stager.
func (d *Dir) Stage(context.Context) publish.Stage {
	if d.ordered || d.knownOrdered() { // links may not reach the tree
		return nil
	}
	dir, err := os.MkdirTemp(d.side, "stage-")
	if err != nil {
		return nil
	}
	s := &stage{d: d, dir: dir, known: make(map[formats.Ref]*staged)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stages = append(d.stages, s)
	return s
}

// Put implements publish.Stage.
func (s *stage) Put(parts [][]byte) (is func(formats.Ref)) {
	f := &staged{done: make(chan struct{})}
	s.mu.Lock()
	f.name = filepath.Join(s.dir, strconv.Itoa(len(s.files)))
	s.files = append(s.files, f)
	s.mu.Unlock()
	sync := syncEach
	if s.d.noSync {
		sync = syncNone
	}
	go func() {
		defer close(f.done)
		f.err = writeFile(f.name, formats.Parts(formats.Ref{}, parts), sync)
	}()
	return func(ref formats.Ref) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[ref] = f
	}
}

// Close implements publish.Stage.
func (s *stage) Close() {
	s.d.mu.Lock()
	for i, other := range s.d.stages {
		if other == s {
			s.d.stages = append(s.d.stages[:i], s.d.stages[i+1:]...)
			break
		}
	}
	s.d.mu.Unlock()
	for _, f := range s.files {
		<-f.done
	}
	os.RemoveAll(s.dir)
}

// staged returns the file that a stage has stored for ref; "" if none has. It
// waits for one that is being stored.
func (d *Dir) staged(ref formats.Ref) string {
	d.mu.Lock()
	var found *staged
	for _, s := range d.stages {
		s.mu.Lock()
		if f := s.known[ref]; f != nil {
			found = f
		}
		s.mu.Unlock()
	}
	d.mu.Unlock()
	if found == nil {
		return ""
	}
	<-found.done
	if found.err != nil {
		return ""
	}
	return found.name
}

// removeAbandoned removes the stages of publishes that died.
func (d *Dir) removeAbandoned() {
	names, err := filepath.Glob(filepath.Join(d.side, "stage-*"))
	if err != nil {
		return
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil && time.Since(st.ModTime()) > abandoned {
			os.RemoveAll(name)
		}
	}
}
