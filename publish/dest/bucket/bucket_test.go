package bucket

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/publishtest"
)

var ctx = context.Background()

// options are for a tree of its own in the server's bucket.
func options(s *buckettest.Server, prefix string) Options {
	return Options{
		Bucket: s.Bucket, Prefix: prefix, Region: s.Region, Endpoint: s.Endpoint, PathStyle: true,
		AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), maxDelay: time.Millisecond,
	}
}

func open(t testing.TB, o Options) *Bucket {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// heard collects what a Bucket says.
type heard struct {
	mu   sync.Mutex
	said []string
}

func (h *heard) say(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, s)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.said, "\n")
}

// put is a change: paths and texts by turns. Paths below "top" are pointers.
func put(files ...string) *publish.Change {
	c := &publish.Change{Message: "test"}
	for i := 0; i < len(files); i += 2 {
		f := publish.File{Path: files[i], Blob: formats.Bytes([]byte(files[i+1]))}
		if strings.HasPrefix(f.Path, "top/") || f.Path == publish.StatePath {
			f.Class = publish.Pointer
		}
		c.Put = append(c.Put, f)
	}
	return c
}

func commit(t testing.TB, b *Bucket, c *publish.Change) string {
	t.Helper()
	base, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.Commit(ctx, base, c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBucketKeepsThePromises(t *testing.T) {
	s := buckettest.Serve(t)
	n := 0
	publishtest.Destination(t, func(t *testing.T) publish.Destination {
		n++
		return open(t, options(s, fmt.Sprintf("p%d/arch", n)))
	})
}

func TestStoreWithoutConditionsIsUsedAlone(t *testing.T) {
	s := buckettest.Serve(t)
	s.On(func(int, *http.Request) buckettest.Fault {
		return buckettest.Fault{Ignore: []string{"If-Match", "If-None-Match"}}
	})
	n := 0
	publishtest.Destination(t, func(t *testing.T) publish.Destination {
		n++
		var h heard
		o := options(s, fmt.Sprint(n))
		o.Say = h.say
		b := open(t, o)
		if err := b.Probe(ctx); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.String(), "only one publish runs at a time") {
			t.Errorf("it said %q", h.String())
		}
		return b
	})
}
