package vault

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
)

// opened keeps keys that are open, for a time and up to a number: opening one
// takes some 100 ms.
type opened struct {
	keep time.Duration
	most int
	now  func() time.Time
	open func(Binding, []byte) (*keys.Key, error)

	mu  sync.Mutex
	all map[[sha256.Size]byte]*entry
}

type entry struct {
	ready chan struct{} // closed when key and err are set
	key   *keys.Key
	err   error
	since time.Time
	used  time.Time
}

// key opens a sealed key, or takes it from what is open. One key is opened once,
// however many ask at the same time.
func (o *opened) key(b Binding, blob []byte) (*keys.Key, error) {
	// The binding is part of the name: a key that is open for its own row is not
	// taken for another.
	h := sha256.New()
	for _, part := range []string{b.Scope, b.Name, b.Kind} {
		h.Write([]byte(part + "\x00"))
	}
	h.Write(blob)
	name := [sha256.Size]byte(h.Sum(nil))

	o.mu.Lock()
	now := o.now()
	o.expire(now)
	e := o.all[name]
	if e != nil {
		e.used = now
		o.mu.Unlock()
		<-e.ready
		return e.key, e.err
	}
	o.room()
	e = &entry{ready: make(chan struct{}), since: now, used: now}
	o.all[name] = e
	o.mu.Unlock()

	e.key, e.err = o.open(b, blob)
	close(e.ready)
	if e.err != nil {
		o.mu.Lock()
		if o.all[name] == e {
			delete(o.all, name)
		}
		o.mu.Unlock()
	}
	return e.key, e.err
}

// expire forgets what is open for too long.
func (o *opened) expire(now time.Time) {
	for name, e := range o.all {
		if now.Sub(e.since) >= o.keep {
			delete(o.all, name)
		}
	}
}

// room forgets what was used longest ago where one more would be too many.
func (o *opened) room() {
	for len(o.all) >= o.most {
		var oldest [sha256.Size]byte
		var found *entry
		for name, e := range o.all {
			if found == nil || e.used.Before(found.used) {
				oldest, found = name, e
			}
		}
		delete(o.all, oldest)
	}
}

// sweep forgets what is open for too long although nobody asks.
func (o *opened) sweep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire(o.now())
}
