package release_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

// meanwhile waits until something happens on the server if an upload is under way;
// time passes only when nothing is.
func (h *host) meanwhile(ctx context.Context, d time.Duration) error {
	n, moved := h.Uploading()
	if n == 0 {
		return h.wait(ctx, d)
	}
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestSeveralAtOnceMakeOneRelease(t *testing.T) {
	want := clean(t)
	for round := range 20 {
		for _, immutable := range []bool{false, true} {
			h := newHost(t, githubtest.Options{})
			if immutable {
				h.repo.Immutable()
			}
			// All look before anybody makes a draft.
			const many = 4
			h.On(meet("GET /repos/acme/hello/releases", many))
			var wg sync.WaitGroup
			results := make([]*release.Result, many)
			for i := range many {
				wg.Go(func() {
					o := h.options()
					o.Jobs, o.Wait = 3, h.meanwhile
					var err error
					if results[i], err = open(t, o).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
						t.Errorf("round %d, program %d: %v", round, i, err)
					}
				})
			}
			wg.Wait()
			if got := h.state(); got != want {
				t.Fatalf("round %d: got\n%swant\n%s", round, got, want)
			}
			uploaded := 0
			for _, r := range results {
				if r != nil {
					uploaded += len(r.Uploaded)
				}
			}
			if uploaded != 3 {
				t.Errorf("round %d: %d uploads are claimed, want 3", round, uploaded)
			}
		}
	}
}

// meet lets the first n requests of a kind go on together.
func meet(kind string, n int) func(*http.Request) githubtest.Fault {
	var all sync.WaitGroup
	all.Add(n)
	var mu sync.Mutex
	seen := 0
	return func(r *http.Request) githubtest.Fault {
		if r.Method+" "+githubtest.Path(r) != kind {
			return githubtest.Fault{}
		}
		mu.Lock()
		seen++
		first := seen <= n
		mu.Unlock()
		if first {
			all.Done()
			all.Wait()
		}
		return githubtest.Fault{}
	}
}

func TestSeveralWithFilesOfTheirOwnShareARelease(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	var wg sync.WaitGroup
	var every []release.Asset
	for i := range 4 {
		mine := asset(fmt.Sprint("file", i), fmt.Sprint("content", i))
		every = append(every, mine)
		wg.Go(func() {
			o := h.options()
			o.Wait = h.meanwhile
			if _, err := open(t, o).Attach(ctx, h.rel(), []release.Asset{mine}, release.AttachOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.only(t)
	h.whole(t, every)
}

func TestAReleaseThatIsDeletedMeanwhileIsMadeAgain(t *testing.T) {
	want := clean(t)
	h := newHost(t, githubtest.Options{})
	var once sync.Once
	h.On(func(r *http.Request) githubtest.Fault {
		if githubtest.IsUpload(r) {
			once.Do(func() { h.repo.Remove(h.repo.Releases()[0].ID) })
		}
		return githubtest.Fault{}
	})
	if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := h.state(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestAReleaseThatIsPublishedMeanwhileIsImmutable(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	var once sync.Once
	h.On(func(r *http.Request) githubtest.Fault {
		if githubtest.IsUpload(r) {
			once.Do(func() {
				h.repo.Remove(h.repo.Releases()[0].ID)
				h.repo.Add(githubtest.Release{Tag: "v1", Immutable: true})
			})
		}
		return githubtest.Fault{}
	})
	_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	wantError(t, err, "immutable", "SHA256SUMS is missing")
}
