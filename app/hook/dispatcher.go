package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/store"
)

// Queue is the inbox's other side; package store says what its methods promise.
type Queue interface {
	TakeDeliveries(ctx context.Context, node string, limit int, lease time.Duration) ([]*store.Delivery, error)
	SettleDelivery(ctx context.Context, guid string, state store.State, note string) error
}

var _ Queue = (*store.Store)(nil)

// Ignore is an error of a handler's that says why there is nothing to do: the delivery
// is settled as ignored, with this note.
type Ignore string

func (i Ignore) Error() string { return string(i) }

// Final is an error of a handler's that another try would only repeat: the delivery is
// settled as failed.
type Final struct{ Err error }

func (f Final) Error() string { return f.Err.Error() }

// Unwrap returns the error itself.
func (f Final) Unwrap() error { return f.Err }

// DispatcherOptions has no defaults for Queue, Node and Handle.
type DispatcherOptions struct {
	Queue Queue
	Node  string
	// Handle does what an event asks for; Ignored ones are not given to it. It is called
	// by several goroutines, for events of one repository too, in any order, and more than
	// once for the same delivery: so it does what may be done twice, and quickly. Nil
	// settles the delivery as done; Ignore and Final see there; on any other error, or a
	// panic, it is called again later.
	Handle func(ctx context.Context, e *event.Event, d *store.Delivery) error
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil drops it

	Workers int           // 0 means 8
	Poll    time.Duration // how often to look for what other nodes filed; 0 means 2 s
	Tries   int           // then a delivery has failed; 0 means 70: about an hour
	Delay   time.Duration // before the second try, doubled for each further; 0 means 1 s
	Lease   time.Duration // after it another node takes over; 0 means 2 min. A try gets 3/10 of it, a delay at most half
	Grace   time.Duration // for tries that run when Run is to end; 0 means 5 s
}

// Dispatcher hands what waits in the inbox to a function.
type Dispatcher struct {
	o     DispatcherOptions
	wake  chan struct{}
	ended chan outcome
}

// outcome is a settlement, made or still to be made.
type outcome struct {
	guid  string
	state store.State // "": it is settled
	note  string
	at    time.Time // not before
	until time.Time // afterwards others may have it
}

// NewDispatcher only prepares; Run works.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.Tries == 0 {
		o.Tries = 70
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Poll, 2 * time.Second}, {&o.Delay, time.Second}, {&o.Lease, 2 * time.Minute}, {&o.Grace, 5 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return &Dispatcher{o: o, wake: make(chan struct{}, 1), ended: make(chan outcome)}
}

// Wake makes Run look at once. It never waits, and may be called at any time.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends; tries that run then get the grace, and what was taken and
// not done waits again, for any node. At most Workers goroutines run at once, and none
// when Run returns. It must not run twice at the same time.
func (d *Dispatcher) Run(ctx context.Context) {
	// Handlers outlive ctx by the grace.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var (
		busy  int
		later []outcome // settlements to be made, few
		more  = true    // there may be some that wait
		away  bool      // the last look failed
	)
	poll := time.NewTicker(d.o.Poll)
	defer poll.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for ctx.Err() == nil {
		for len(later) > 0 && busy < d.o.Workers {
			i := earliest(later)
			if later[i].at.After(d.o.Now()) {
				break
			}
			x := later[i]
			later = append(later[:i], later[i+1:]...)
			busy++
			go func() { d.ended <- d.settle(x) }()
		}
		if free := d.o.Workers - busy; more && free > 0 {
			until := d.o.Now().Add(d.o.Lease)
			taken, err := d.take(ctx, free)
			if err != nil && !away && ctx.Err() == nil {
				d.o.Log.Error("deliveries can't be taken; trying on", "err", err)
			} else if err == nil && away {
				d.o.Log.Info("deliveries can be taken again")
			}
			away, more = err != nil, len(taken) == free
			for _, x := range taken {
				busy++
				go func() {
					result := d.try(work, x, until)
					if !result.at.After(d.o.Now()) {
						result = d.settle(result)
					}
					d.ended <- result
				}()
			}
		}
		if i := earliest(later); i >= 0 && busy < d.o.Workers {
			due.Reset(max(later[i].at.Sub(d.o.Now()), 0))
		} else {
			due.Stop()
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
			more = true
		case <-poll.C:
			more = true
		case <-due.C:
		case x := <-d.ended:
			busy--
			if x.state != "" {
				later = append(later, x)
			}
		}
	}
	grace := time.AfterFunc(d.o.Grace, stop)
	defer grace.Stop()
	for ; busy > 0; busy-- {
		if x := <-d.ended; x.state != "" {
			later = append(later, x)
		}
	}
	for _, x := range later {
		if d.settle(x).state != "" {
			return // the queue is away: it gives them out again when their leases end
		}
	}
}

// take is not broken off: what the queue has given and nobody got would wait for the
// end of its lease.
func (d *Dispatcher) take(ctx context.Context, limit int) ([]*store.Delivery, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.Grace)
	defer cancel()
	return d.o.Queue.TakeDeliveries(ctx, d.o.Node, limit, d.o.Lease)
}

func earliest(list []outcome) int {
	first := -1
	for i, x := range list {
		if first < 0 || x.at.Before(list[first].at) {
			first = i
		}
	}
	return first
}

// try handles one delivery and says what is to become of it.
func (d *Dispatcher) try(ctx context.Context, x *store.Delivery, until time.Time) outcome {
	log := d.o.Log.With("delivery", x.GUID, "event", x.Event, "action", x.Action, "installation", x.Installation, "repository", x.Repository)
	began := d.o.Now()
	result := outcome{guid: x.GUID, state: store.Done, until: until, at: began}
	var err error
	// Who redelivers what failed gives it one more try; past that, the process ended
	// in each of them.
	if x.Tries > 2*d.o.Tries {
		err = Final{errors.New("no try came to its end: DistroPack itself ends when it handles this")}
	} else {
		err = d.handle(ctx, x)
	}
	now := d.o.Now()
	var (
		ignore Ignore
		final  Final
	)
	switch {
	case err == nil:
		log.Info("delivery done", "took", now.Sub(began))
	case errors.As(err, &ignore):
		result.state, result.note = store.Ignored, clip(string(ignore), maxNote)
		log.Debug("delivery ignored", "why", string(ignore))
	case ctx.Err() != nil:
		result.state, result.note = store.Waiting, "interrupted, because the server stopped"
	case errors.As(err, &final):
		result.state, result.note = store.Failed, clip(err.Error(), maxNote)
		log.Error("delivery failed", "err", err)
	case x.Tries >= d.o.Tries:
		result.state, result.note = store.Failed, clip(fmt.Sprintf("given up after %d tries: %v", x.Tries, err), maxNote)
		log.Error("delivery failed for good", "tries", x.Tries, "err", err)
	default:
		result.state, result.note = store.Waiting, clip(fmt.Sprintf("try %d: %v", x.Tries, err), maxNote)
		result.at = now.Add(d.delay(x.Tries))
		log.Warn("delivery failed; it is tried again", "try", x.Tries, "at", result.at, "err", err)
	}
	return result
}

// maxNote bounds a note, in bytes: it is read by people.
const maxNote = 2000

// delay is at most half a lease, and so ends before it: a try takes 3/10.
func (d *Dispatcher) delay(tries int) time.Duration {
	delay := d.o.Delay
	for i := 1; i < tries && delay < d.o.Lease; i++ {
		delay *= 2
	}
	return min(delay, d.o.Lease/2)
}

func (d *Dispatcher) handle(ctx context.Context, x *store.Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.o.Log.Error("a handler of webhooks panicked", "delivery", x.GUID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("an error in DistroPack itself: %v", p)
		}
	}()
	e, err := event.Parse(x.Event, x.Body)
	if err != nil {
		return Final{err}
	}
	if e.Kind == event.Ignored {
		return Ignore(e.Note)
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Lease*3/10)
	defer cancel()
	return d.o.Handle(ctx, e, x)
}

// settle returns what is still to be made because the queue is away.
func (d *Dispatcher) settle(x outcome) outcome {
	now := d.o.Now()
	if x.state == store.Waiting && !now.Before(x.until) {
		return outcome{} // it is another node's by now
	}
	// Not the work's context: what was done is settled when all ends, too.
	ctx, cancel := context.WithTimeout(context.Background(), d.o.Grace)
	defer cancel()
	err := d.o.Queue.SettleDelivery(ctx, x.guid, x.state, x.note)
	switch {
	case err == nil:
		if x.state == store.Waiting {
			d.Wake()
		}
		return outcome{}
	case errors.Is(err, store.ErrNotFound): // cleaned away
		return outcome{}
	}
	d.o.Log.Error("delivery not settled; trying on", "delivery", x.guid, "state", x.state, "err", err)
	x.at = now.Add(d.o.Poll)
	return x
}
