package store_test

import (
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// changes are all that watchers are told of.
func changes(t *testing.T, s *store.Store) map[string]func() {
	ctx := t.Context()
	return map[string]func(){
		"a leg":   func() { must(t, s.SetLeg(ctx, &store.Leg{Release: "r", Name: "a"})) },
		"a line":  func() { must(t, s.AppendLog(ctx, "r", []store.LogLine{{Text: "a"}})) },
		"a state": func() { _, err := s.UpdateRelease(ctx, "r", func(*store.Release) error { return nil }); must(t, err) },
	}
}

func TestOwnChangesAreSignalledAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		signal, stop := s.Watch(t.Context(), "r")
		if signalled(signal) {
			t.Error("a signal without a change")
		}
		release(t, s, &store.Release{ID: "r"})
		if !signalled(signal) {
			t.Error("no signal that the release is there")
		}
		other, stopOther := s.Watch(t.Context(), "other")
		defer stopOther()
		for what, change := range changes(t, s) {
			change()
			change()
			if !signalled(signal) {
				t.Errorf("no signal of %s", what)
			}
			if signalled(signal) {
				t.Errorf("two signals of %s, want one", what)
			}
		}
		if signalled(other) {
			t.Error("a signal of another release")
		}
		stop()
		stop()
		for _, change := range changes(t, s) {
			change()
		}
		if signalled(signal) {
			t.Error("a signal after the end")
		}
	})
}

func TestChangesOfOthersAreSignalledWithinASecond(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		mine, theirs := open(t, url, store.Options{}), open(t, url, store.Options{})
		release(t, mine, &store.Release{ID: "r"})
		signal, stop := mine.Watch(t.Context(), "r")
		defer stop()
		for what, change := range changes(t, theirs) {
			change()
			began := time.Now()
			select {
			case <-signal:
				t.Logf("%s was seen after %v", what, time.Since(began))
			case <-time.After(10 * time.Second): // a busy machine; the log says what it took
				t.Errorf("no signal of %s", what)
			}
		}
		// A watch that begins after all others have ended is served as well.
		stop()
		signal, stop = mine.Watch(t.Context(), "r")
		defer stop()
		changes(t, theirs)["a leg"]()
		select {
		case <-signal:
		case <-time.After(10 * time.Second):
			t.Error("no signal for the second watch")
		}
	})
}
