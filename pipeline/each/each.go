// Package each does the same with many things at once, within bounds.
package each

import (
	"context"
	"runtime"
	"sync"
)

// Limits bounds what runs at once. The zero Limits are as many jobs as CPUs and
// any amount of memory.
type Limits struct {
	Jobs   int
	Memory int64 // sum of the weights of what runs at once; an item above it runs alone
}

// Do calls f for every item and returns results and errors in the order of the
// items. An item's failure does not stop the others, unless failFast; those that
// were not started have the error context.Canceled. All calls have ended when Do
// returns.
func Do[T, R any](ctx context.Context, l Limits, failFast bool, items []T, weight func(T) int64, f func(context.Context, T) (R, error)) ([]R, []error) {
	if l.Jobs <= 0 {
		l.Jobs = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results, errs := make([]R, len(items)), make([]error, len(items))
	var mu sync.Mutex
	free := sync.NewCond(&mu)
	running, used := 0, int64(0)
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		free.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for i, item := range items {
		w := int64(0)
		if weight != nil {
			w = weight(item)
		}
		mu.Lock()
		for ctx.Err() == nil && running > 0 && (running >= l.Jobs || l.Memory > 0 && used+w > l.Memory) {
			free.Wait()
		}
		if err := ctx.Err(); err != nil {
			mu.Unlock()
			errs[i] = err
			continue
		}
		running, used = running+1, used+w
		mu.Unlock()
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[i], errs[i] = f(ctx, item)
			mu.Lock()
			running, used = running-1, used-w
			free.Broadcast()
			mu.Unlock()
			if errs[i] != nil && failFast {
				cancel()
			}
		}()
	}
	wg.Wait()
	return results, errs
}
