package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// Bounds of the task deliveries.
const (
	deliveryWindow  = 72 * time.Hour   // GitHub keeps deliveries, and redelivers, for three days
	deliverySettle  = 2 * time.Minute  // a younger one may still be on its way
	deliveryAtOnce  = 50               // redeliveries of one run
	deliveryTries   = 5                // of one delivery
	deliveryBackoff = 10 * time.Minute // after the first redelivery, doubled after each further one
	clockSlack      = time.Hour        // by which the clocks of GitHub and the store may differ
)

// deliveryState is what is remembered between two runs.
type deliveryState struct {
	Since time.Time        `json:"since"` // all that was delivered before is settled
	Asked map[string]asked `json:"asked"` // by GUID
}

// asked says that a redelivery was asked for.
type asked struct {
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
}

const deliverySetting = "reconcile/deliveries"

// attempts are GitHub's attempts to deliver one webhook.
type attempts struct {
	guid          string
	newest        int64 // the latest attempt's id
	first, latest time.Time
}

// Deliveries compares GitHub's list of deliveries with the inbox, and asks GitHub to
// send again what is not there, whatever GitHub thinks became of it: at most fifty a
// run, the oldest first, and none again while it may be on its way. After five times
// it is given up; the task tags finds what it was about.
func (l *Loop) Deliveries(ctx context.Context) error {
	app := l.o.GitHub()
	if app == nil {
		return nil
	}
	var s deliveryState
	if _, err := l.load(ctx, deliverySetting, &s); err != nil {
		return err
	}
	if s.Asked == nil {
		s.Asked = make(map[string]asked)
	}
	now := l.o.Now()
	since := later(s.Since, now.Add(-deliveryWindow))
	if keep := l.o.Clean.Deliveries; keep > 0 {
		since = later(since, now.Add(clockSlack-keep)) // of older ones it is not known whether they came
	}
	list, err := app.Deliveries(ctx, since)
	if err != nil {
		return err
	}
	known, err := l.received(ctx, since.Add(-clockSlack))
	if err != nil {
		return err
	}
	all := grouped(list)
	next := now.Add(-deliverySettle)
	sent := 0
	var errs []error
	for _, a := range all {
		if known[a.guid] {
			continue
		}
		tried := s.Asked[a.guid]
		if tried.Times >= deliveryTries {
			continue
		}
		if a.first.Before(next) {
			next = a.first
		}
		underWay := now.Sub(a.latest) < deliverySettle || tried.Times > 0 && now.Sub(tried.Last) < deliveryBackoff<<(tried.Times-1)
		if underWay || sent == deliveryAtOnce {
			continue
		}
		if _, err := l.o.Store.Delivery(ctx, a.guid); err == nil {
			continue // it came just now, or bears another time than GitHub's
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		// Before it is asked for: who ends in between does not ask twice.
		s.Asked[a.guid] = asked{tried.Times + 1, now}
		if err := l.save(ctx, deliverySetting, &s); err != nil {
			return err
		}
		sent++
		if err := app.Redeliver(ctx, a.newest); err != nil {
			errs = append(errs, err)
			if stops(err) || ctx.Err() != nil {
				break
			}
			if !github.Temporary(err) {
				s.Asked[a.guid] = asked{deliveryTries, now} // GitHub does not do it
			}
			continue
		}
		l.log.Info("asked GitHub to deliver again", "delivery", a.guid, "time", tried.Times+1)
		if tried.Times+1 == deliveryTries {
			l.log.Warn("a delivery that does not arrive is given up", "delivery", a.guid)
		}
	}
	listed := make(map[string]bool, len(all))
	for _, a := range all {
		listed[a.guid] = !known[a.guid]
	}
	maps.DeleteFunc(s.Asked, func(guid string, _ asked) bool { return !listed[guid] })
	s.Since = later(s.Since, next)
	return errors.Join(append(errs, l.save(ctx, deliverySetting, &s))...)
}

// stops reports whether further requests of the same caller would fail too.
func stops(err error) bool {
	var limit *github.Limit
	return errors.As(err, &limit) || errors.Is(err, github.ErrRefused) || errors.Is(err, github.ErrSuspended) || errors.Is(err, github.ErrNoInstallation)
}

// grouped are the deliveries by GUID, the oldest first.
func grouped(list []github.Delivery) []*attempts {
	by := make(map[string]*attempts)
	for _, d := range list {
		a := by[d.GUID]
		if a == nil {
			a = &attempts{guid: d.GUID, newest: d.ID, first: d.Delivered, latest: d.Delivered}
			by[d.GUID] = a
		}
		if d.Delivered.After(a.latest) {
			a.newest, a.latest = d.ID, d.Delivered
		}
		if d.Delivered.Before(a.first) {
			a.first = d.Delivered
		}
	}
	return slices.SortedFunc(maps.Values(by), func(a, b *attempts) int {
		if c := a.first.Compare(b.first); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.newest-b.newest)))
	})
}

// received are the GUIDs of what the inbox has got since then.
func (l *Loop) received(ctx context.Context, since time.Time) (map[string]bool, error) {
	known := make(map[string]bool)
	f := store.DeliveryFilter{Limit: 1000}
	for {
		page, err := l.o.Store.Deliveries(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if d.Received.Before(since) {
				return known, nil
			}
			known[d.GUID] = true
		}
		if len(page) < f.Limit {
			return known, nil
		}
		f.Before = page[len(page)-1].GUID
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
