package bucket

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/publishtest"
)

// erase ends the tree, as distropack repo delete does.
func erase(t *testing.T, b *Bucket) {
	t.Helper()
	head, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found, err := b.Leftovers(ctx, 0, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.Erase(ctx, b, head, "the end", found.Files); err != nil {
		t.Fatal(err)
	}
}

// foreign puts what another tool would.
func foreign(t *testing.T, s *buckettest.Server, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := s.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader("foreign")}); err != nil {
			t.Fatal(err)
		}
	}
}

func begun(t *testing.T, s *buckettest.Server, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := s.Client().CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
}

func release(t *testing.T, b *Bucket, now int64, e publish.Edit) (*publish.Result, error) {
	t.Helper()
	return publish.Publish(ctx, b, []publish.Repo{toy()}, e, publish.Options{Time: now, Now: now, Grace: 3600})
}

func hello(version string) publish.Edit {
	return toyEdit(publishtest.ToyPackage("hello", version, "a64"))
}

// What publishes left that died, goes with gc after the grace, and with it
// nothing that the tree needs, that others put there, or that lies elsewhere.
func TestLeftoversGoAndNothingElseDoes(t *testing.T) {
	s := buckettest.Serve(t)
	o := options(s, "p/tree")
	o.Tries = 1
	b := open(t, o)
	for i, v := range []string{"1", "2", "3"} { // with files that are retired and stay
		if _, err := release(t, b, int64(100+i), hello(v)); err != nil {
			t.Fatal(err)
		}
	}
	foreign(t, s, "p/tree/pool/by-hand.deb", "p/tree/backup/x", "p/tree/index-of-mine.html", "p/tree-old/pool/x", "p/other")
	for _, near := range []string{"p/tree2", "p", "p/tree/sub/tree"} {
		if _, err := release(t, open(t, options(s, near)), 100, hello("9")); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, open(t, options(s, "p/tree/no-toys")), put(publish.StatePath, "1", "pool/x", "x"))
	whole := s.Objects(t, "")

	// One dies before its commit, with files, a stage, and a large file half sent.
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		return buckettest.Fault{Drop: r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, publish.StatePath) || r.Method == http.MethodDelete}
	})
	if _, err := release(t, b, 110, hello("4")); err == nil {
		t.Fatal("the publish did not die")
	}
	s.On(nil)
	begun(t, s, "p/tree/pool/big.deb", "p/tree/disk/image.iso", "p/tree/sub/tree/pool/big.deb", "p/tree2/pool/big.deb", "p/tree/top.iso")
	var left []string
	for key := range s.Objects(t, "") {
		if _, was := whole[key]; !was {
			left = append(left, strings.TrimPrefix(key, "p/tree/"))
		}
	}
	slices.Sort(left)
	if len(left) < 5 || !slices.ContainsFunc(left, isStage) || !slices.Contains(left, "pool/hello_4_a64.toy") {
		t.Fatalf("the dead publish left %q", left)
	}

	collect := func(dry bool) *publish.Result {
		t.Helper()
		res, err := publish.Publish(ctx, open(t, o), []publish.Repo{toy()}, publish.Edit{Collect: true}, publish.Options{Time: 120, Now: 120, Grace: 3600, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := collect(false); res.Changed || len(res.Abandoned) > 0 {
		t.Errorf("within the grace %v and %q went", res.Change, res.Abandoned)
	}
	s.Age(t, 2*time.Hour)
	res := collect(true)
	if res.Change == nil || !slices.Equal(res.Change.Delete, left) || !slices.Equal(res.Abandoned, []string{"pool/big.deb"}) {
		t.Fatalf("%+v would go, want %q", res, left)
	}
	if now := s.Objects(t, ""); len(now) != len(whole)+len(left) || len(uploads(t, s)) != 5 {
		t.Errorf("a dry run left %d objects, want %d", len(now), len(whole)+len(left))
	}
	collect(false)
	after := s.Objects(t, "")
	for key, text := range whole {
		if own := strings.HasPrefix(key, "p/tree/"+publish.PrivateDir+"/"); !own && after[key] != text {
			t.Errorf("%s is %q, was %q", key, after[key], text)
		}
	}
	for _, p := range left {
		if _, is := after["p/tree/"+p]; is {
			t.Errorf("%s is left", p)
		}
	}
	if got, want := uploads(t, s), []string{"p/tree/disk/image.iso", "p/tree/sub/tree/pool/big.deb", "p/tree/top.iso", "p/tree2/pool/big.deb"}; !slices.Equal(got, want) {
		t.Errorf("uploads %q are left, want %q", got, want)
	}
	if err := publish.Check(ctx, b, []publish.Repo{toy()}, nil, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
	if res := collect(false); res.Changed {
		t.Errorf("again %q went", res.Change.Delete)
	}
}

// A publish begins to use what gc is about to delete: one of the two is refused,
// and the tree is whole.
func TestSweepingUnderAPublishTearsNothing(t *testing.T) {
	for _, first := range []string{"gc", "publish"} {
		s := buckettest.Serve(t)
		b := open(t, options(s, "g"))
		if _, err := release(t, b, 100, hello("1")); err != nil {
			t.Fatal(err)
		}
		dead := options(s, "g")
		dead.Tries = 1
		s.On(func(_ int, r *http.Request) buckettest.Fault {
			return buckettest.Fault{Drop: r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, publish.StatePath)}
		})
		if _, err := release(t, open(t, dead), 110, hello("2")); err == nil {
			t.Fatal("the publish did not die")
		}
		s.Age(t, 2*time.Hour)
		// Both are before their commits; then one goes on, and when it is done the
		// other.
		asleep, wake := make(chan struct{}), make(chan struct{})
		var stopped atomic.Bool
		s.On(func(_ int, r *http.Request) buckettest.Fault {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, publish.StatePath) && stopped.CompareAndSwap(false, true) {
				close(asleep)
				<-wake
			}
			return buckettest.Fault{}
		})
		gc := func() error {
			_, err := release(t, open(t, options(s, "g")), 120, publish.Edit{Collect: true})
			return err
		}
		pub := func() error { _, err := release(t, open(t, options(s, "g")), 120, hello("2")); return err }
		if first == "publish" {
			gc, pub = pub, gc
		}
		slow := make(chan error)
		go func() { slow <- pub() }()
		select {
		case <-asleep:
		case err := <-slow:
			t.Fatalf("%s first: the other did not come to its commit: %v", first, err)
		}
		if err := gc(); err != nil {
			t.Error(err)
		}
		close(wake)
		if err := <-slow; err != nil {
			t.Error(err)
		}
		if err := publish.Check(ctx, open(t, options(s, "g")), []publish.Repo{toy()}, nil, publish.CheckOptions{Deep: true}); err != nil {
			t.Errorf("%s first: %v", first, err)
		}
		if got := tree(t, s, "g"); got["pool/hello_2_a64.toy"] != "hello 2 a64" {
			t.Errorf("%s first: the package is %q", first, got["pool/hello_2_a64.toy"])
		}
	}
}

// Who lost the race takes away what it had put, once it is in.
func TestLostRacesLeaveNothing(t *testing.T) {
	s := buckettest.Serve(t)
	if _, err := release(t, open(t, options(s, "l")), 100, hello("1")); err != nil {
		t.Fatal(err)
	}
	asleep, wake := make(chan struct{}), make(chan struct{})
	var stopped atomic.Bool
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, publish.StatePath) && stopped.CompareAndSwap(false, true) {
			close(asleep)
			<-wake
		}
		return buckettest.Fault{}
	})
	slow := make(chan error)
	go func() {
		_, err := release(t, open(t, options(s, "l")), 120, toyEdit(publishtest.ToyPackage("slow", "1", "a64")))
		slow <- err
	}()
	select {
	case <-asleep:
	case err := <-slow:
		t.Fatalf("it did not come to its commit: %v", err)
	}
	if _, err := release(t, open(t, options(s, "l")), 110, toyEdit(publishtest.ToyPackage("fast", "1", "a64"))); err != nil {
		t.Error(err)
	}
	close(wake)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	b := open(t, options(s, "l"))
	_, held, err := publish.Holdings(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{memoryPath: true, probePath: true}
	for _, h := range held {
		named[h.Path] = true
	}
	for p := range tree(t, s, "l") {
		if !named[p] && !isStage(p) {
			t.Errorf("%s is left", p)
		}
	}
	if err := publish.Check(ctx, b, []publish.Repo{toy()}, nil, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// The end of a tree: what is the tree's goes, even after a death in the middle.
func TestErasedTreesLeaveOthersAlone(t *testing.T) {
	s := buckettest.Serve(t)
	foreign(t, s, "p/tree/CNAME", "p/tree/pool/by-hand.deb", "p/tree-old/pool/x")
	if _, err := release(t, open(t, options(s, "p/tree/sub")), 100, hello("9")); err != nil {
		t.Fatal(err)
	}
	begun(t, s, "p/tree/sub/pool/big", "p/tree/image.iso")
	want := s.Objects(t, "")
	b := open(t, options(s, "p/tree"))
	if _, err := release(t, b, 100, hello("1")); err != nil {
		t.Fatal(err)
	}
	begun(t, s, "p/tree/pool/big")
	head, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.Erase(ctx, b, "another", "", nil); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("with another version: %v", err)
	}
	_, held, err := publish.Holdings(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, h := range held {
		files = append(files, h.Path)
	}
	// It dies once the state is gone.
	o := options(s, "p/tree")
	o.Tries = 1
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		return buckettest.Fault{Drop: r.URL.Query().Has("delete")}
	})
	if err := publish.Erase(ctx, open(t, o), head, "", files); err == nil || !strings.Contains(err.Error(), "not all is deleted yet, run it again") {
		t.Errorf("cut off: %v", err)
	}
	s.On(nil)
	if got := s.Read(t, "p/tree/"+publish.StatePath); got != nil {
		t.Errorf("the state is still there: %q", got)
	}
	erase(t, open(t, options(s, "p/tree")))
	if got := s.Objects(t, ""); !maps.Equal(got, want) {
		t.Errorf("left are %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	if got, want := uploads(t, s), []string{"p/tree/image.iso", "p/tree/sub/pool/big"}; !slices.Equal(got, want) {
		t.Errorf("uploads %q are left, want %q", got, want)
	}
	if _, err := release(t, open(t, options(s, "p/tree")), 200, hello("1")); err != nil {
		t.Error(err)
	}
}

// Someone publishes while the tree is erased: it is theirs now.
func TestErasingStopsWhereAPublishBegins(t *testing.T) {
	s := buckettest.Serve(t)
	b := open(t, options(s, "e"))
	if _, err := release(t, b, 100, hello("1")); err != nil {
		t.Fatal(err)
	}
	var began atomic.Bool
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == http.MethodHead && string(s.Read(t, "e/"+publish.StatePath)) == "" && began.CompareAndSwap(false, true) {
			if _, err := release(t, open(t, options(s, "e")), 200, hello("2")); err != nil {
				t.Error(err)
			}
		}
		return buckettest.Fault{}
	})
	head, _ := b.Head(ctx)
	if err := publish.Erase(ctx, b, head, "", []string{"pool/hello_1_a64.toy"}); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("erased: %v", err)
	}
	if !began.Load() {
		t.Error("nobody published meanwhile")
	}
	if err := publish.Check(ctx, open(t, options(s, "e")), []publish.Repo{toy()}, nil, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// A store that forbids to list uploads, or can't, still has its files swept.
func TestUploadsThatCannotBeListedAreLeft(t *testing.T) {
	s := buckettest.Serve(t)
	var h heard
	o := options(s, "u")
	o.Say = h.say
	b := open(t, o)
	if _, err := release(t, b, 100, hello("1")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault buckettest.Fault
		want  string
	}{
		{buckettest.Fault{Status: 501, Code: "NotImplemented", Message: "no"}, ""},
		{buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "no"}, "list unfinished uploads: no permission"},
	} {
		s.On(func(_ int, r *http.Request) buckettest.Fault {
			if r.URL.Query().Has("uploads") {
				return c.fault
			}
			return buckettest.Fault{}
		})
		found, err := b.Leftovers(ctx, 0, func(string) bool { return false })
		if err != nil || len(found.Files) == 0 || !strings.Contains(h.String(), c.want) {
			t.Errorf("%d: %v, %v; it said %q", c.fault.Status, found, err, h.String())
		}
	}
}
