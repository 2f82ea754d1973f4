package release_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/publish/githubtest"
)

// Running a release again that is done finds all of it done.
func TestADoneReleaseAgainChangesNothing(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	w.want(w.ended("v1.0.0", commit), store.Done)
	tip := w.git.Tip(t, "gh-pages")
	log, err := w.store.PublishLog(t.Context(), w.repo.ID(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	uploads := w.hub.Count("POST /repos/acme/hello/releases")
	w.repo.Rerun(w.check(commit).ID)
	id := fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit)
	w.until("it ran again", func() bool {
		r, err := w.store.Release(t.Context(), id)
		return err == nil && r.Attempt == 2 && !r.State.Open()
	})
	w.want(w.ended("v1.0.0", commit), store.Done)
	if now := w.git.Tip(t, "gh-pages"); now != tip {
		t.Errorf("the branch was at %s and is at %s", tip, now)
	}
	w.releaseOf("v1.0.0")
	if n := w.hub.Count("POST /repos/acme/hello/releases") - uploads; n != 0 {
		t.Errorf("%d files were uploaded again", n)
	}
	again, err := w.store.PublishLog(t.Context(), w.repo.ID(), 0, 0)
	if err != nil || len(again) != len(log) {
		t.Errorf("the publish log had %d entries and has %d, %v", len(log), len(again), err)
	}
	if c := w.check(commit); c.Conclusion != "success" || !strings.HasSuffix(c.ExternalID, "#2") {
		t.Errorf("the check run is %+v", c)
	}
	// The same button twice, as GitHub may deliver it.
	w.repo.Rerun(w.check(commit).ID)
	w.repo.Rerun(w.check(commit).ID)
	w.until("it ran again", func() bool {
		r, err := w.store.Release(t.Context(), id)
		return err == nil && r.Attempt >= 3 && !r.State.Open()
	})
}

// Buttons are there while the job behind them still says goodbye: pressed then, they
// are not lost.
func TestAButtonPressedAtOnceIsNotLost(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	s := w.begin()
	free := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(free) }) })
	w.hub.On(func(r *http.Request) githubtest.Fault {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/check-runs/") {
			<-free
		}
		return githubtest.Fault{}
	})
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	r := w.ended("v1.0.0", commit)
	w.want(r, store.Done)
	if err := s.Restart(t.Context(), "ann", r.ID); err == nil || !strings.Contains(err.Error(), "is about to end") {
		t.Errorf("Restart while the job ends = %v", err)
	}
	once.Do(func() { close(free) })
	if err := s.Restart(t.Context(), "ann", r.ID); err != nil {
		t.Error(err)
	}
	w.until("it ran again", func() bool {
		r, err := w.store.Release(t.Context(), r.ID)
		return err == nil && r.Attempt == 2 && r.State == store.Done
	})
}

func TestActionsSayWhatIsNotPossible(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	s := w.begin()
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	r := w.ended("v1.0.0", commit)
	w.want(r, store.Done)
	for want, err := range map[string]error{
		"There is no tag \"v9\" in acme/hello":        second(s.Release(t.Context(), "ann", w.repo.ID(), "v9", nil)),
		"The App is not installed on this repository": second(s.Release(t.Context(), "ann", 4711, "v1.0.0", nil)),
		"there is nothing to replace":                 s.Republish(t.Context(), "ann", r.ID),
		"is the only version": func() error {
			if err := s.Rollback(t.Context(), "ann", r.ID); err != nil {
				return err
			}
			w.until("it says so", func() bool {
				x, err := w.store.Release(t.Context(), r.ID)
				return err == nil && x.State == store.Done && strings.Contains(string(x.Report), "could not be rolled back")
			})
			x, err := w.store.Release(t.Context(), r.ID)
			return errors.Join(err, &release.Refusal{Text: string(x.Report)})
		}(),
	} {
		var refusal *release.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a refusal with %q", err, want)
		}
	}
	w.good("1.0.0") // it was not withdrawn
	if id, err := s.Release(t.Context(), "ann", w.repo.ID(), "v1.0.0", nil); err != nil || id != r.ID {
		t.Errorf("Release of what is there = %q, %v", id, err)
	}
}

func second[T any](_ T, err error) error { return err }

// Indexes that end are signed again in time.
func TestASiteIsSignedAgain(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	s := w.begin()
	commit := w.commit(map[string]string{"distropack.yml": w.text(strings.Replace(config, "    git:", "    apt: {valid-for: 2h}\n    git:", 1)), "hello.sh": "#!/bin/sh\n"})
	w.tag("v1.0.0", commit)
	w.want(w.ended("v1.0.0", commit), store.Done)
	note, err := w.store.Setting(t.Context(), fmt.Sprintf("reconcile/sites/%d/0", w.repo.ID()))
	if err != nil || !strings.Contains(string(note), `"validFor":7200000000000`) {
		t.Fatalf("the site is noted as %s, %v", note, err)
	}
	tip, before := w.git.Tip(t, "gh-pages"), w.git.Show(t, "gh-pages", "dists/stable/InRelease")
	if err := s.Resign(t.Context(), reconcile.Site{Installation: w.in.ID, Repository: w.repo.ID(), Name: "public"}); err != nil {
		t.Fatal(err)
	}
	if w.git.Tip(t, "gh-pages") == tip || w.git.Show(t, "gh-pages", "dists/stable/InRelease") == before {
		t.Error("nothing was signed again")
	}
	w.good("1.0.0")
	if err := s.Resign(t.Context(), reconcile.Site{Installation: w.in.ID, Repository: w.repo.ID(), Name: "other"}); !errors.Is(err, reconcile.ErrGone) {
		t.Errorf("a site that nobody knows: %v", err)
	}
}
