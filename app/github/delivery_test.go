package github_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestDeliveriesAreListedAndRepeated(t *testing.T) {
	w := newWorld(t, githubtest.Options{PageSize: 3})
	status := 200
	var got []string
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got = append(got, r.Header.Get("X-GitHub-Event")+" "+r.Header.Get("X-GitHub-Delivery"))
		rw.WriteHeader(status)
	}))
	defer hook.Close()
	w.double.Hook(hook.URL)
	first := w.repo.Commit("first")
	w.repo.PushTag("old", first)
	w.pass(time.Hour)
	since := w.now()
	w.repo.PushTag("v1", first)
	status = 503
	w.repo.PushTag("v2", first)
	status = 200
	w.double.Lose(func(d githubtest.Delivery) githubtest.Loss {
		return map[string]githubtest.Loss{"push": githubtest.Fails, "create": githubtest.Vanishes}[d.Event]
	})
	w.repo.PushTag("v3", first)
	w.double.Lose(nil)
	list, err := w.app.Deliveries(t.Context(), since)
	if err != nil || len(list) != 5 {
		t.Fatalf("got %+v, %v", list, err)
	}
	var failed []github.Delivery
	for i, d := range list {
		if i > 0 && d.ID >= list[i-1].ID || d.Installation != w.in.ID || d.Repository != w.repo.ID() || d.Redelivery {
			t.Errorf("%d: got %+v", i, d)
		}
		if !d.OK() {
			failed = append(failed, d)
		}
	}
	if len(failed) != 3 {
		t.Fatalf("failed: %+v", failed)
	}
	if all, err := w.app.Deliveries(t.Context(), time.Time{}); err != nil || len(all) != 7 {
		t.Errorf("got %d, %v", len(all), err)
	}
	got = nil
	for _, d := range failed {
		if err := w.app.Redeliver(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last := got[len(got)-1]; last != d.Event+" "+d.GUID {
			t.Errorf("got %s, want %s", last, d.GUID)
		}
	}
	list, err = w.app.Deliveries(t.Context(), since)
	if err != nil || len(list) != 8 || !list[0].OK() || !list[0].Redelivery || list[0].GUID != failed[2].GUID {
		t.Errorf("got %+v, %v", list, err)
	}
	w.is(w.app.Redeliver(t.Context(), 3), github.ErrNotFound)
	w.pass(4 * 24 * time.Hour)
	w.is(w.app.Redeliver(t.Context(), failed[0].ID), github.ErrNotFound)
}
