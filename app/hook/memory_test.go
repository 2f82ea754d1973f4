package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

var errAway = errors.New("the database is away")

// memory is an inbox that keeps the store's promises, and is away on demand. It fails
// the test if a delivery is settled by who does not have it.
type memory struct {
	t     testing.TB
	mu    sync.Mutex
	order []string
	rows  map[string]*row
	away  bool
	looks int // calls of TakeDeliveries
}

type row struct {
	store.Delivery
	due time.Time // as in the store: when it may be taken
}

func newMemory(t testing.TB) *memory { return &memory{t: t, rows: map[string]*row{}} }

func (m *memory) Receive(ctx context.Context, d *store.Delivery) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return false, fmt.Errorf("delivery %s: %w", d.GUID, errAway)
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if old := m.rows[d.GUID]; old != nil {
		if old.State == store.Failed {
			old.State, old.due = store.Waiting, time.Now()
		}
		return false, nil
	}
	m.rows[d.GUID] = &row{Delivery: *d, due: time.Now()}
	m.order = append(m.order, d.GUID)
	return true, nil
}

func (m *memory) TakeDeliveries(ctx context.Context, node string, limit int, lease time.Duration) (taken []*store.Delivery, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	if m.away {
		return nil, errAway
	}
	for _, guid := range m.order {
		r := m.rows[guid]
		if len(taken) == limit || r.State != store.Waiting && r.State != store.Running || r.due.After(time.Now()) {
			continue
		}
		r.State, r.due = store.Running, time.Now().Add(lease)
		r.Tries++
		d := r.Delivery
		taken = append(taken, &d)
	}
	return taken, nil
}

func (m *memory) SettleDelivery(ctx context.Context, guid string, state store.State, note string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errAway
	}
	r := m.rows[guid]
	if r == nil {
		return fmt.Errorf("delivery %s: %w", guid, store.ErrNotFound)
	}
	if r.State != store.Running {
		m.t.Errorf("delivery %s is settled as %s, and was %s", guid, state, r.State)
	}
	r.State, r.Note, r.due = state, note, time.Now()
	return nil
}

func (m *memory) set(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) get(guid string) store.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[guid]; r != nil {
		return r.Delivery
	}
	return store.Delivery{}
}

func (m *memory) looked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks
}

// file puts waiting deliveries of a tag push into an inbox.
func file(t testing.TB, in Inbox, guids ...string) {
	t.Helper()
	for _, guid := range guids {
		d := &store.Delivery{GUID: guid, Event: "push", Installation: 7, Repository: 9, State: store.Waiting, Body: []byte(pushed)}
		if fresh, err := in.Receive(t.Context(), d); !fresh || err != nil {
			t.Fatalf("Receive(%s) = %v, %v", guid, fresh, err)
		}
	}
}

const pushed = `{"ref":"refs/tags/v1.0","created":true,"after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",
	"head_commit":{"id":"6113728f27ae82c7b1a177c8d03f9e96e0adf246"},"installation":{"id":7},"sender":{"id":4,"login":"ann"},
	"repository":{"id":9,"name":"hello","full_name":"ann/hello","private":false,"owner":{"id":3,"login":"ann"},"default_branch":"main"}}`
