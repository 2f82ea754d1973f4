package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delivery is one webhook.
type Delivery struct {
	GUID         string // X-GitHub-Delivery; a redelivery bears the same
	Event        string
	Action       string
	Installation int64 // 0: none
	Repository   int64 // 0: none
	Received     time.Time
	Body         []byte
	State        State
	Note         string // why it was ignored or failed, for people
	Tries        int    // how often it was taken
}

const deliveryColumns = "guid, event, action, installation, repository, received, state, note, tries"

func (d *Delivery) columns() []any {
	return []any{&d.GUID, &d.Event, &d.Action, &d.Installation, &d.Repository, at(&d.Received), &d.State, &d.Note, &d.Tries}
}

func (d *Delivery) columnsAndBody() []any { return append(d.columns(), &d.Body) }

// Receive keeps a delivery; after nil it is on the disk. fresh is false if its GUID is
// known: then nothing changes, but a failed one waits again (GitHub redelivers with the
// same GUID). An empty State means Waiting; an end, such as Ignored, is kept for the list
// only. A zero Received means now.
func (s *Store) Receive(ctx context.Context, d *Delivery) (fresh bool, err error) {
	if d.GUID == "" {
		return false, errors.New("a delivery has no GUID")
	}
	now := s.now()
	received, state := d.Received, d.State
	if received.IsZero() {
		received = now
	}
	var due any // NULL
	switch state {
	case "", Waiting:
		state, due = Waiting, now
	case Running:
		return false, fmt.Errorf("delivery %s: it can't be received as %s", d.GUID, state)
	}
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, "INSERT INTO deliveries (guid, event, action, installation, repository, received, size, state, note, tries, node, due) "+
			"VALUES ("+marks(9)+", 0, '', ?) ON CONFLICT (guid) DO NOTHING",
			d.GUID, d.Event, d.Action, d.Installation, d.Repository, received, len(d.Body), state, d.Note, due)
		if err != nil {
			return err
		}
		if fresh = n == 1; fresh {
			_, err = q.exec(ctx, "INSERT INTO bodies (guid, body) VALUES (?, ?)", d.GUID, d.Body)
			return err
		}
		_, err = q.exec(ctx, "UPDATE deliveries SET state = 'waiting', note = '', due = ? WHERE guid = ? AND state = 'failed'", now, d.GUID)
		return err
	})
	return fresh && err == nil, about(err, "delivery %s", d.GUID)
}

// SettleDelivery ends a delivery: Done, Ignored, Failed, or Waiting to have it taken
// again. A node whose lease ran out may be late: Failed does not replace Done or Ignored.
// It returns ErrNotFound for an unknown GUID.
func (s *Store) SettleDelivery(ctx context.Context, guid string, state State, note string) error {
	var due any
	switch state {
	case Waiting:
		due = s.now()
	case Running, "":
		return fmt.Errorf("delivery %s: it can't be settled as %q", guid, state)
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		set := "UPDATE deliveries SET state = ?, note = ?, node = '', due = ? WHERE guid = ?"
		if state == Failed {
			set += " AND state NOT IN ('done', 'ignored')"
		}
		n, err := q.exec(ctx, set, state, note, due, guid)
		if err != nil || n == 1 {
			return err
		}
		_, err = one(ctx, q, value[string], "SELECT guid FROM deliveries WHERE guid = ?", guid)
		return err
	}), "delivery %s", guid)
}

// Delivery returns one with its body, or ErrNotFound.
func (s *Store) Delivery(ctx context.Context, guid string) (*Delivery, error) {
	d, err := one(ctx, s.read(), (*Delivery).columnsAndBody, "SELECT "+prefixed("d", deliveryColumns)+", b.body FROM deliveries d JOIN bodies b ON b.guid = d.guid WHERE d.guid = ?", guid)
	return d, about(err, "delivery %s", guid)
}

// DeliveryFilter says which deliveries to list; a zero field takes all.
type DeliveryFilter struct {
	Installation int64
	Repository   int64
	State        State
	Before       string // GUID of the last one seen: older ones follow; none if it is unknown
	Limit        int    // 0 means 100; at most 1000
}

// Deliveries lists the newest first, without bodies.
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter) ([]*Delivery, error) {
	var w where
	if f.Installation != 0 {
		w.add("installation = ?", f.Installation)
	}
	if f.Repository != 0 {
		w.add("repository = ?", f.Repository)
	}
	if f.State != "" {
		w.add("state = ?", f.State)
	}
	if f.Before != "" {
		w.add("(received, guid) < (SELECT b.received, b.guid FROM deliveries b WHERE b.guid = ?)", f.Before)
	}
	w.args = append(w.args, bounded(f.Limit, 100, 1000))
	list, err := all(ctx, s.read(), (*Delivery).columns, "SELECT "+deliveryColumns+" FROM deliveries"+w.String()+" ORDER BY received DESC, guid DESC LIMIT ?", w.args...)
	return list, about(err, "deliveries")
}
