package each

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestResultsKeepTheOrderAndErrorsTheirPlace(t *testing.T) {
	bad := errors.New("odd")
	got, errs := Do(context.Background(), Limits{Jobs: 3}, false, []int{0, 1, 2, 3, 4}, nil, func(_ context.Context, i int) (int, error) {
		if i%2 == 1 {
			return 0, bad
		}
		return i * i, nil
	})
	for i := range got {
		if i%2 == 1 && errs[i] != bad || i%2 == 0 && (errs[i] != nil || got[i] != i*i) {
			t.Errorf("item %d: %d, %v", i, got[i], errs[i])
		}
	}
}

func TestLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, weight, heaviest atomic.Int64
		items := []int64{5, 5, 5, 20, 1, 1, 1, 1}
		Do(context.Background(), Limits{Jobs: 3, Memory: 10}, false, items, func(w int64) int64 { return w }, func(_ context.Context, w int64) (int, error) {
			most.Store(max(most.Load(), now.Add(1)))
			if sum := weight.Add(w); sum > heaviest.Load() {
				heaviest.Store(sum)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			weight.Add(-w)
			return 0, nil
		})
		if most.Load() != 3 {
			t.Errorf("%d at once, want 3", most.Load())
		}
		if heaviest.Load() != 20 {
			t.Errorf("weight %d at once, want 20: the heavy one alone", heaviest.Load())
		}
	})
}

func TestFailFastStopsTheRest(t *testing.T) {
	ran := 0
	_, errs := Do(context.Background(), Limits{Jobs: 1}, true, []int{0, 1, 2}, nil, func(context.Context, int) (int, error) {
		ran++
		return 0, errors.New("no")
	})
	if ran != 1 || !errors.Is(errs[2], context.Canceled) {
		t.Errorf("%d ran, the last has %v", ran, errs[2])
	}
}

func TestCancelledContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, errs := Do(ctx, Limits{}, false, []int{1}, nil, func(context.Context, int) (int, error) {
		t.Error("started")
		return 0, nil
	})
	if !errors.Is(errs[0], context.Canceled) {
		t.Errorf("got %v", errs[0])
	}
}
