package store

import (
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

func TestTakingIsBoundedInBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := opened(t, url, Options{})
		s.takenBytes = 100
		for guid, size := range map[string]int{"a": 40, "b": 60, "c": 1, "d": 101, "e": 1} {
			received := time.Unix(int64(guid[0]), 0)
			if _, err := s.Receive(t.Context(), &Delivery{GUID: guid, Received: received, Body: make([]byte, size)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"ab", "c", "d", "e", ""} {
			list, err := s.TakeDeliveries(t.Context(), "n", 10, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, d := range list {
				got += d.GUID
			}
			if got != want {
				t.Errorf("took %q, want %q", got, want)
			}
		}
	})
}
