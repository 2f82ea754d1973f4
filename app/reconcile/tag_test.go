package reconcile_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/publish/githubtest"
)

// tags runs the task so often that each repository is visited.
func (w *world) tags(n int) {
	w.t.Helper()
	for range n {
		must(w.t, w.l.Tags(w.t.Context()))
		w.pass(time.Minute)
	}
}

func TestTagsThatNoWebhookToldOfAreEnqueuedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, i := w.installed("acme", "hello")
		r.Import(sha("aaaa"), noon.Add(-time.Hour), config)
		r.Tag("v0.1.0", sha("aaaa"))
		w.tags(1)
		equal(t, "older than the installation", w.handed(), "")

		r.Import(sha("bbbb"), noon.Add(-time.Hour), config)
		r.Import(sha("cccc"), noon, nil)
		r.PushTags(sha("bbbb"), "v1.2.0", "v1.10.0", "v1.9.0", "v1.9.1", "v1.11.0", "v1.100.0", "v1.2.0-rc1", "v1.02.1", "v2")
		r.PushTags(sha("cccc"), "w1", "w2", "w3", "w4") // without distropack.yml
		w.tags(1)
		equal(t, "after a push of many tags", w.handed(), "v1.2.0@bbbb, v1.2.0-rc1@bbbb, v1.02.1@bbbb, v1.9.0@bbbb, v1.9.1@bbbb, v1.10.0@bbbb, v1.11.0@bbbb, v1.100.0@bbbb, v2@bbbb")
		used := i.Usage()
		for range 3 {
			w.restart()
			w.tags(3)
		}
		equal(t, "later", w.handed(), "")
		now := i.Usage()
		if now.Requests != used.Requests || now.Free == used.Free {
			t.Errorf("nothing new cost %d requests, and %d were free", now.Requests-used.Requests, now.Free-used.Free)
		}

		r.Import(sha("dddd"), noon, config)
		r.Tag("v1.9.0", sha("dddd"))
		r.DeleteTag("v1.2.0")
		w.tags(1)
		equal(t, "after a tag was moved", w.handed(), "v1.9.0@dddd moved")
	})
}

// The App is installed, and before anybody looks, tags are pushed.
func TestTheFirstVisitTakesWhatIsYoungerThanTheInstallation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		r.Import(sha("aaaa"), noon.Add(-time.Hour), config)
		r.Import(sha("bbbb"), noon.Add(time.Minute), config)
		for n := range 30 {
			r.Tag(fmt.Sprintf("v0.%d.0", n), sha("aaaa"))
		}
		r.Annotated("v1.0.0", sha("bbbb"))
		r.Add(githubtest.Release{Tag: "v0.2.0"}) // no younger than the repository is here
		w.pass(2 * time.Minute)
		r.Add(githubtest.Release{Tag: "v0.1.0"}) // published now, of an old commit
		before := w.Count("GET /repos/acme/hello/git/ref/")
		w.tags(1)
		equal(t, "handed on", w.handed(), "v0.1.0@aaaa release, v1.0.0@bbbb")
		if n := w.Count("GET /repos/acme/hello/git/ref/") - before; n > 10 {
			t.Errorf("the age of %d tags was asked for", n)
		}
	})
}

func TestWhatIsKnownHereIsNotEnqueued(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, i := w.installed("acme", "hello")
		w.tags(1)
		r.Import(sha("aaaa"), noon, config)
		for _, name := range []string{"v1", "v2", "v3"} {
			r.Tag(name, sha("aaaa"))
		}
		row := func(tag string, state store.State) {
			_, err := w.s.CreateRelease(t.Context(), &store.Release{ID: fmt.Sprintf("rel:%d:%s:%s", r.ID(), tag, sha("aaaa")), Installation: i.ID, Repository: r.ID(), Tag: tag, Commit: sha("aaaa"), State: state, Ended: w.now()})
			must(t, err)
		}
		row("v1", store.Done)
		row("v2", store.Failed)
		w.tags(1)
		equal(t, "handed on", w.handed(), "v3@aaaa")
		row("v3", store.Running)
		// What failed may have waited for its release; what is done has not.
		for _, name := range []string{"v1", "v2", "v3"} {
			r.Add(githubtest.Release{Tag: name})
		}
		r.Add(githubtest.Release{Tag: "v4", Draft: true})
		w.tags(1)
		equal(t, "after releases", w.handed(), "v2@aaaa release")
		w.tags(2)
		equal(t, "later", w.handed(), "")
	})
}

func TestWhatCouldNotBeHandedOnIsHandedOnLater(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.tags(1)
		r.Import(sha("aaaa"), noon, config)
		r.PushTags(sha("aaaa"), "v1", "v2", "v3", "v4")
		w.refuse = errors.New("the database is away")
		if err := w.l.Tags(t.Context()); err == nil || !strings.Contains(err.Error(), "the database is away") {
			t.Errorf("%v", err)
		}
		w.refuse = nil
		w.pass(5 * time.Minute)
		w.tags(1)
		equal(t, "then", w.handed(), "v1@aaaa, v2@aaaa, v3@aaaa, v4@aaaa")

		// GitHub fails in the middle: what was handed on is not handed on again.
		r.PushTags(sha("aaaa"), "w1", "w2", "w3", "w4")
		var n atomic.Int32
		w.On(func(r *http.Request) githubtest.Fault {
			if strings.Contains(r.URL.Path, "/contents/") {
				if n.Add(1) > 2 {
					return githubtest.Broken(502, false)
				}
			}
			return githubtest.Fault{}
		})
		if err := w.l.Tags(t.Context()); err == nil {
			t.Error("no error")
		}
		w.On(nil)
		equal(t, "before", w.handed(), "w1@aaaa, w2@aaaa")
		w.pass(5 * time.Minute)
		w.tags(1)
		equal(t, "after", w.handed(), "w3@aaaa, w4@aaaa")
	})
}

func TestManyNewTagsAreHandedOnInSeveralVisitsEachOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, _ := w.installed("acme", "hello")
		w.tags(1)
		r.Import(sha("aaaa"), noon, config)
		var names []string
		for i := range 120 {
			names = append(names, fmt.Sprintf("v%03d", i))
		}
		r.PushTags(sha("aaaa"), names...)
		for visit, want := range []int{50, 50, 20, 0} {
			w.tags(1)
			got := strings.Count(w.handed(), "@")
			equal(t, fmt.Sprint("visit ", visit), got, want)
		}
	})
}

func TestALimitHoldsItsInstallationAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, i := w.installed("acme", "hello")
		b, _ := w.installed("octo", "world")
		other := w.Repo("acme", "other")
		i.Add(other)
		w.know(i, other)
		w.tags(1)
		for _, r := range []*githubtest.Repository{a, b} {
			r.Import(sha("aaaa"), noon, config)
			r.PushTags(sha("aaaa"), "v1", "v2", "v3", "v4")
		}
		w.limitOn("/repos/acme/", w.now().Add(20*time.Minute))
		for before := w.Count("GET /repos/acme/"); w.Count("GET /repos/acme/") == before; {
			w.tags(1)
		}
		w.On(nil)
		w.app = w.open() // which knows of no limit any more
		w.restart()
		asked := w.Count("GET /repos/acme/")
		w.tags(10)
		equal(t, "meanwhile", w.handed(), "v1@aaaa, v2@aaaa, v3@aaaa, v4@aaaa")
		equal(t, "requests while it holds", w.Count("GET /repos/acme/")-asked, 0)
		w.restart()
		w.tags(10)
		equal(t, "afterwards", w.handed(), "v1@aaaa, v2@aaaa, v3@aaaa, v4@aaaa")
	})
}

// Releases need requests too.
func TestSomeRequestsAreLeftToReleases(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	r, i := w.installed("acme", "hello")
	w.tags(1)
	// What the next answer says is left.
	w.On(func(*http.Request) githubtest.Fault {
		return githubtest.Fault{Done: true, Status: http.StatusNotModified, Header: http.Header{"X-Ratelimit-Remaining": {"900"}, "X-Ratelimit-Reset": {fmt.Sprint(w.now().Add(30 * time.Minute).Unix())}}}
	})
	w.app.Installation(i.ID).Tags(t.Context(), "acme", "hello", `"x"`)
	w.On(nil)
	if left, _, ok := w.app.Installation(i.ID).Left(); !ok || left != 900 {
		t.Fatalf("%d left, %v", left, ok)
	}
	r.Import(sha("aaaa"), noon, config)
	r.PushTags(sha("aaaa"), "v1", "v2", "v3", "v4")
	asked := w.Count("GET /repos/")
	w.tags(20)
	equal(t, "requests", w.Count("GET /repos/")-asked, 0)
	w.tags(12)
	equal(t, "afterwards", w.handed(), "v1@aaaa, v2@aaaa, v3@aaaa, v4@aaaa")
}

func TestAllRepositoriesAreVisitedOnceARoundAndInTurn(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	var repos []*githubtest.Repository
	for n := range 45 {
		repos = append(repos, w.Repo("acme", fmt.Sprintf("r%02d", n)))
	}
	i := w.double.Install("acme", repos...)
	w.know(i, repos...)
	w.tags(1) // all are new: visited at once
	first := w.Count("GET /repos/acme/")
	if first < 45*2 {
		t.Fatalf("%d requests at first", first)
	}
	most := 0
	for range 30 { // a round of 30 minutes
		before := w.Count("GET /repos/acme/")
		w.restart()
		w.tags(1)
		most = max(most, w.Count("GET /repos/acme/")-before)
	}
	if most > 3*2 {
		t.Errorf("up to %d requests in one run", most)
	}
	for _, r := range repos {
		if n := w.Count("GET /repos/acme/" + r.Name + "/tags"); n < 2 || n > 3 {
			t.Errorf("%s was visited %d times in a round", r.Name, n-1)
		}
	}
}

func TestSuspendedAndRemovedAreLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, i := w.installed("acme", "hello")
		r, _ := w.installed("octo", "world")
		must(t, w.s.SaveInstallation(t.Context(), &store.Installation{ID: i.ID, Account: "acme", Suspended: true}))
		row, err := w.s.Repository(t.Context(), r.ID())
		must(t, err)
		row.Removed = true
		must(t, w.s.SaveRepository(t.Context(), row))
		w.tags(3)
		equal(t, "requests", w.Count("GET /repos/"), 0)

		// GitHub knows of a suspension before we do.
		_, k := w.installed("late", "one")
		k.Suspend()
		w.tags(3)
		equal(t, "requests", w.Count("GET /repos/late/"), 0)
	})
}
