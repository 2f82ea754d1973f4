package store

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// poll is how often the database is asked for what others changed, while somebody watches.
const poll = 400 * time.Millisecond

// Watch signals when the state, the legs or the log of a release change: changes by this
// Store at once, changes by others within a second. Signals that nobody has taken become
// one. Watch first, then read: no change is missed. It ends with ctx or the function
// that is returned; the channel is never closed.
func (s *Store) Watch(ctx context.Context, release string) (<-chan struct{}, func()) {
	w := &watcher{signal: make(chan struct{}, 1)}
	versions, err := s.versions(ctx, []string{release})
	if w.seen = versions[release]; err != nil {
		w.seen = -1 // the first poll signals
	}
	s.watch.add(release, w, s.poll)
	var once sync.Once
	stop := func() { once.Do(func() { s.watch.remove(release, w) }) }
	unhook := context.AfterFunc(ctx, stop)
	return w.signal, func() { unhook(); stop() }
}

type watcher struct {
	signal chan struct{}
	seen   int64 // version of the last change it knows of
}

// watchers are those who watch, by release. The zero value has none.
type watchers struct {
	mu      sync.Mutex
	of      map[string]map[*watcher]bool
	stop    context.CancelFunc // ends the poll; nil while nobody watches
	polling sync.WaitGroup
	closed  bool
}

// add runs poll while anybody watches.
func (ws *watchers) add(release string, w *watcher, poll func(context.Context)) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return
	}
	if ws.of == nil {
		ws.of = map[string]map[*watcher]bool{}
	}
	if ws.of[release] == nil {
		ws.of[release] = map[*watcher]bool{}
	}
	ws.of[release][w] = true
	if ws.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		ws.stop = stop
		ws.polling.Go(func() { poll(ctx) })
	}
}

func (ws *watchers) remove(release string, w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.of[release], w)
	if len(ws.of[release]) == 0 {
		delete(ws.of, release)
	}
	if len(ws.of) == 0 && ws.stop != nil {
		ws.stop()
		ws.stop = nil
	}
}

func (ws *watchers) close() {
	ws.mu.Lock()
	ws.closed, ws.of = true, nil
	if ws.stop != nil {
		ws.stop()
		ws.stop = nil
	}
	ws.mu.Unlock()
	ws.polling.Wait()
}

func (ws *watchers) changed(release string, version int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.of[release] {
		if version > w.seen {
			w.seen = version
			select {
			case w.signal <- struct{}{}:
			default:
			}
		}
	}
}

func (ws *watchers) releases() []string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.Sorted(maps.Keys(ws.of))
}

// poll asks for the versions of the watched releases until ctx ends.
func (s *Store) poll(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		versions, err := s.versions(ctx, s.watch.releases())
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("changes of releases can't be seen", "error", err)
		}
		failing = err != nil
		for release, version := range versions {
			s.watch.changed(release, version)
		}
	}
}

// versions returns how often each release has changed; unknown ones are absent.
func (s *Store) versions(ctx context.Context, releases []string) (map[string]int64, error) {
	versions := map[string]int64{}
	for ids := range slices.Chunk(releases, 500) {
		var args []any
		for _, id := range ids {
			args = append(args, id)
		}
		type row struct {
			release string
			version int64
		}
		rows, err := all(ctx, s.read(), func(r *row) []any { return []any{&r.release, &r.version} }, "SELECT release, version FROM progress WHERE release IN ("+marks(len(args))+")", args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			versions[r.release] = r.version
		}
	}
	return versions, nil
}
