package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/publishtest"
)

// Two publishes have read the same head before either commits: one is refused, and
// comes in when it is made again.
func TestOfTwoPublishesBothArrive(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "r")), first())
	var both sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	refused := 0
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		wg.Go(func() {
			b := open(t, options(s, "r"))
			head, err := b.Head(ctx)
			both.Done()
			both.Wait()
			for {
				if err != nil {
					t.Error(err)
					return
				}
				_, err = b.Commit(ctx, head, put(publish.StatePath, head+name, "pool/"+name, name, "top/"+name, name))
				if !errors.Is(err, publish.ErrConflict) {
					break
				}
				mu.Lock()
				refused++
				mu.Unlock()
				head, err = b.Head(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if refused != 1 {
		t.Errorf("%d commits were refused, want 1", refused)
	}
	got := tree(t, s, "r")
	for _, p := range []string{"pool/a", "pool/b", "top/a", "top/b"} {
		if got[p] != path.Base(p) {
			t.Errorf("%s is %q", p, got[p])
		}
	}
	stages := 0
	for p := range got {
		if strings.HasPrefix(p, commitsDir+"/") {
			stages++
		}
	}
	if stages != 1 {
		t.Errorf("%d stages are left, want that of the present state", stages)
	}
}

// Many publishers, each another package: none is lost, and the tree is one that
// checks.
func TestManyPublishersLoseNothing(t *testing.T) {
	s := buckettest.Serve(t)
	const n = 12
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			edit := toyEdit(publishtest.ToyPackage(fmt.Sprintf("p%d", i), "1", "a64"))
			if _, err := publish.Publish(ctx, open(t, options(s, "m")), []publish.Repo{toy()}, edit, publish.Options{Time: 1, Tries: 10 * n}); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	b := open(t, options(s, "m"))
	v, err := publish.Read(ctx, b, []publish.Repo{toy()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Serial != n || v.Count() != n {
		t.Errorf("%d changes and %d packages, want %d", v.Serial, v.Count(), n)
	}
	if err := publish.Check(ctx, b, []publish.Repo{toy()}, nil, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// A publisher stands still after its commit. Others finish it, and go on. When it
// wakes up, it brings back nothing of its own, and deletes nothing of theirs.
func TestWhoWakesUpLateBringsNothingBack(t *testing.T) {
	for name, third := range map[string]*publish.Change{
		"all is new":            generation("3", "only/first", "back again"),
		"pointers stay as were": put(publish.StatePath, "3", "only/first", "back again"),
	} {
		t.Run(name, func(t *testing.T) {
			s := buckettest.Serve(t)
			commit(t, open(t, options(s, "z")), first())
			asleep, wake := make(chan struct{}), make(chan struct{})
			var stopped atomic.Bool
			s.On(func(_ int, r *http.Request) buckettest.Fault {
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/index.html") {
					if stopped.CompareAndSwap(false, true) {
						close(asleep)
						<-wake
					}
				}
				return buckettest.Fault{}
			})
			slow := make(chan error)
			go func() {
				b := open(t, options(s, "z"))
				head, err := b.Head(ctx)
				if err == nil {
					_, err = b.Commit(ctx, head, second())
				}
				slow <- err
			}()
			<-asleep
			fast := open(t, options(s, "z"))
			if _, err := fast.Head(ctx); err != nil {
				t.Fatal(err)
			}
			if lookAt(t, s, "z") != 0 || string(s.Read(t, "z/index.html")) != "index.html of 2" {
				t.Error("the commit was not finished by who came next")
			}
			commit(t, fast, third)
			want := tree(t, s, "z")
			close(wake)
			if err := <-slow; err != nil {
				t.Error(err)
			}
			differ(t, tree(t, s, "z"), want)
		})
	}
}

// A job that is cancelled before the commit leaves the tree as it was; one that is
// cancelled after it ends its work.
func TestCancelledCommitIsNotHalfDone(t *testing.T) {
	s := buckettest.Serve(t)
	for at, want := range map[string]string{"/index/": "1", "/commits/": "1", "/.distropack/state": "2", "/index.html": "2", "/.distropack/bucket": "2"} {
		prefix := "c" + strings.ReplaceAll(at, "/", "-")
		s.On(nil)
		commit(t, open(t, options(s, prefix)), first())
		b := open(t, options(s, prefix))
		head, err := b.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(ctx)
		s.On(func(_ int, r *http.Request) buckettest.Fault {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, at) && !strings.Contains(r.URL.Path, "/.distropack/index/") {
				cancel()
				<-ctx.Done()
			}
			return buckettest.Fault{}
		})
		_, err = b.Commit(ctx, head, second())
		s.On(nil)
		if got := string(s.Read(t, prefix+"/"+publish.StatePath)); got != want {
			t.Errorf("cancelled at %s: the state is %q, want %q", at, got, want)
		}
		if lookAt(t, s, prefix) != 0 {
			t.Errorf("cancelled at %s: a signature is not of its file", at)
		}
		if want == "2" && (err != nil || string(s.Read(t, prefix+"/only/first")) != "" || string(s.Read(t, prefix+"/index.html")) != "index.html of 2") {
			t.Errorf("cancelled at %s: half done: %v", at, err)
		}
		if want == "1" && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		cancel()
	}
}

// In a folder with a signed file, nothing comes between a file and its signature,
// and such folders come last.
func TestSignaturesFollowTheirFiles(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "o")), first())
	s.On(nil)
	commit(t, open(t, options(s, "o")), second())
	var order []string
	for _, r := range s.Requests() {
		if p, ok := strings.CutPrefix(r, "PUT o/"); ok {
			order = append(order, p)
		}
	}
	at := func(p string) int {
		for i := len(order) - 1; i >= 0; i-- { // one that is there is refused first
			if order[i] == p {
				return i
			}
		}
		t.Fatalf("%s was not put: %q", p, order)
		return 0
	}
	state := at(publish.StatePath)
	for _, p := range []string{"pool/new-2", byDigest("2")} {
		if at(p) > state {
			t.Errorf("%s comes after the state", p)
		}
	}
	for _, p := range append(slices.Clone(pointers), "pool/rebuilt", ".distropack/index/list", "dists/main/Packages") {
		if at(p) < state {
			t.Errorf("%s comes before the state", p)
		}
		base, ok := signs(p)
		if !ok {
			continue
		}
		if at("index.html") > at(base) || at("dists/main/Packages") > at(base) || at("pool/rebuilt") > at("index.html") {
			t.Errorf("the order is %q", order)
		}
		for _, between := range order[at(base)+1 : at(p)] {
			if path.Dir(between) == path.Dir(p) {
				t.Errorf("%s comes between %s and %s", between, base, p)
			}
		}
	}
}
