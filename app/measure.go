package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/store"
)

// measureLasts is how long what the database said is said again.
const measureLasts = 5 * time.Second

// Bounds of what is looked at for a measurement.
const (
	countedRows = 1000
	endedRows   = 50 // they bring their reports along
	countedApps = 20
)

// measure renders all metrics. What can't be asked is left out, and said in one of them.
func (a *App) measure(ctx context.Context) []byte {
	var b bytes.Buffer
	build := family{name: "build_info", kind: "gauge", help: "The program."}
	build.add(1, "version", a.o.Version, "node", a.o.Node)
	families := append([]family{build}, a.metrics.counted()...)
	families = append(families, a.process()...)
	families = append(families, a.asked(ctx)...)
	for i := range families {
		families[i].write(&b)
	}
	return b.Bytes()
}

// process is what the kernel and the runtime know.
func (a *App) process() []family {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	gauge := func(name, help string, v float64) family {
		f := family{name: name, kind: "gauge", help: help}
		f.add(v)
		return f
	}
	list := []family{
		gauge("start_time_seconds", "When the process began, in seconds since 1970.", float64(a.metrics.began.Unix())),
		gauge("goroutines", "Goroutines.", float64(runtime.NumGoroutine())),
		gauge("heap_bytes", "Memory in use by the program's own objects.", float64(mem.HeapAlloc)),
	}
	if rss, ok := resident("/proc/self/statm"); ok {
		list = append(list, gauge("resident_bytes", "Memory of the process.", rss))
	}
	return list
}

// resident reads the second number of a statm file, which counts pages.
func resident(name string) (float64, bool) {
	text, err := os.ReadFile(name)
	f := strings.Fields(string(text))
	if err != nil || len(f) < 2 {
		return 0, false
	}
	n, err := strconv.ParseFloat(f[1], 64)
	return n * float64(os.Getpagesize()), err == nil
}

// asked is what the database says: the same on all nodes.
func (a *App) asked(ctx context.Context) []family {
	m := a.metrics
	m.mu.Lock()
	defer m.mu.Unlock() // one asks, the others wait for what it gets
	if time.Since(m.measured) < measureLasts {
		return m.gauges
	}
	up := family{name: "database_up", kind: "gauge", help: "1 if the database answered."}
	list, err := a.ask(ctx)
	if err != nil {
		a.log.Warn("not everything could be measured", "err", err)
		up.add(0)
		return append(list, up) // and ask again at the next scrape
	}
	up.add(1)
	m.measured, m.gauges = time.Now(), append(list, up)
	return m.gauges
}

func (a *App) ask(ctx context.Context) (list []family, err error) {
	jobs := family{name: "jobs", kind: "gauge", help: "Jobs of a queue, on all nodes."}
	counts, err := a.engine.Counts(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		jobs.add(float64(c.Waiting), "queue", c.Queue, "state", string(engine.Waiting))
		jobs.add(float64(c.Running), "queue", c.Queue, "state", string(engine.Running))
	}
	inbox := family{name: "deliveries", kind: "gauge", help: "Webhooks that were filed, by state; 1000 means as many or more."}
	for _, state := range []store.State{store.Waiting, store.Running, store.Failed} {
		rows, err := a.store.Deliveries(ctx, store.DeliveryFilter{State: state, Limit: countedRows})
		if err != nil {
			return nil, err
		}
		inbox.add(float64(len(rows)), "state", string(state))
	}
	releases := family{name: "releases", kind: "gauge", help: "Releases by state: all that are open, 1000 meaning as many or more, and of the newest 50 that ended."}
	for _, state := range []store.State{store.Waiting, store.Running} {
		rows, err := a.store.Releases(ctx, store.ReleaseFilter{States: []store.State{state}, Limit: countedRows})
		if err != nil {
			return nil, err
		}
		releases.add(float64(len(rows)), "state", string(state))
	}
	ends := []store.State{store.ActionRequired, store.Cancelled, store.Done, store.Failed, store.Ignored}
	ended, err := a.store.Releases(ctx, store.ReleaseFilter{States: ends, Limit: endedRows})
	if err != nil {
		return nil, err
	}
	byState := make(map[store.State]int)
	var took []float64
	for _, r := range ended {
		byState[r.State]++
		if r.State == store.Done && !r.Started.IsZero() {
			took = append(took, r.Ended.Sub(r.Started).Seconds())
		}
	}
	for _, state := range ends {
		releases.add(float64(byState[state]), "state", string(state))
	}
	slices.Sort(took)
	times := family{name: "release_seconds", kind: "gauge", help: "Time that the releases took that are done, of the newest 50 that ended."}
	for _, q := range []float64{0.5, 0.9, 1} {
		times.add(quantile(took, q), "quantile", strconv.FormatFloat(q, 'g', -1, 64))
	}
	limits, err := a.requestsLeft(ctx)
	return []family{jobs, inbox, releases, times, limits}, err
}

// requestsLeft is GitHub's limit, of the installations that are closest to it.
func (a *App) requestsLeft(ctx context.Context) (family, error) {
	f := family{name: "github_requests_left", kind: "gauge", help: "Requests that GitHub still takes in this hour, of the 20 installations with the fewest; as this process heard of it."}
	id, err := a.creds.current(ctx)
	if errors.Is(err, errNoApp) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	all, err := a.store.Installations(ctx)
	if err != nil {
		return f, err
	}
	for _, in := range all {
		if in.Removed {
			continue
		}
		if left, _, ok := id.app.Installation(in.ID).Left(); ok {
			f.add(float64(left), "installation", strconv.FormatInt(in.ID, 10))
		}
	}
	slices.SortStableFunc(f.samples, func(a, b sample) int { return int(a.value - b.value) })
	f.samples = f.samples[:min(len(f.samples), countedApps)]
	return f, nil
}
