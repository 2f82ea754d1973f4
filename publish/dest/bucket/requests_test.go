package bucket

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/publishtest"
)

func toy() publish.Repo {
	return &guarded{Toy: &publishtest.Toy{Label: "toys", Channels: []string{"stable"}, Forms: []publish.Form{publish.Plain, publish.Gzip}}}
}

// guarded is a Toy whose count of pages is guarded: large trees are rendered side
// by side.
type guarded struct {
	*publishtest.Toy
	mu sync.Mutex
}

func (g *guarded) Streams(partition string) []publish.Stream {
	all := g.Toy.Streams(partition)
	for i, s := range all {
		all[i].Page = func(recs []*publish.Record) ([]byte, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return s.Page(recs)
		}
	}
	return all
}

func toyEdit(ps ...publish.Package) publish.Edit {
	var e publish.Edit
	for _, p := range ps {
		e.Add = append(e.Add, publish.Addition{Package: p, Channels: []string{"stable"}})
	}
	return e
}

// A tree of 10,000 that another tool copied into the bucket, without the packages,
// which a publish must not look at.
func bigTree(t *testing.T, s *buckettest.Server, prefix string) {
	t.Helper()
	m := new(publishtest.Mem)
	var ps []publish.Package
	for i := range 10000 {
		ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%05d", i), "1", "a64"))
	}
	if _, err := publish.Publish(ctx, m, []publish.Repo{toy()}, toyEdit(ps...), publish.Options{Time: 1}); err != nil {
		t.Fatal(err)
	}
	c := s.Client()
	for p, text := range m.Files() {
		if strings.HasPrefix(p, "pool/") {
			continue
		}
		key := prefix + "/" + p
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader(string(text))}); err != nil {
			t.Fatal(err)
		}
	}
}

// Requests that change no object are few: state, memory, the page, the old index
// in each form; all deletions are one request.
func TestPublishOfOneAsksFewThings(t *testing.T) {
	s := buckettest.Serve(t)
	bigTree(t, s, "big")
	steady := 0
	for i := range int64(6) {
		s.On(nil)
		b := open(t, options(s, "big"))
		res, err := publish.Publish(ctx, b, []publish.Repo{toy()}, toyEdit(publishtest.ToyPackage("new", fmt.Sprint(i), "a64")),
			publish.Options{Time: 10 + i, Now: 10 + i, Keep: publish.Keep{Versions: 1}})
		if err != nil {
			t.Fatal(err)
		}
		reqs := s.Requests()
		if len(res.Change.Delete) == 0 {
			continue
		}
		steady++
		puts := 0
		for _, r := range reqs {
			if strings.HasPrefix(r, "PUT ") {
				puts++
			}
		}
		if want := len(res.Change.Put) + 2; puts != want {
			t.Errorf("%d objects put, want %d: those of the change, the stage and the memory", puts, want)
		}
		deleted := len(res.Change.Delete) + 1 // and the stage of the publish before
		t.Logf("%d requests for %d objects put and %d deleted", len(reqs), puts, deleted)
		if len(reqs) > puts+deleted+4 {
			t.Errorf("%d requests for %d objects put and %d deleted:\n%s", len(reqs), puts, deleted, strings.Join(reqs, "\n"))
		}
		if len(reqs)-puts > 6 {
			t.Errorf("%d requests put no object, want 6", len(reqs)-puts)
		}
	}
	if steady < 3 {
		t.Errorf("only %d publishes deleted anything", steady)
	}
}

// What is published already costs two reads and what the engine reads of records.
func TestPublishOfNothingNewWritesNothing(t *testing.T) {
	s := buckettest.Serve(t)
	edit := toyEdit(publishtest.ToyPackage("hello", "1", "a64"))
	for i := range 2 {
		s.On(nil)
		if _, err := publish.Publish(ctx, open(t, options(s, "n")), []publish.Repo{toy()}, edit, publish.Options{Time: 1}); err != nil {
			t.Fatal(err)
		}
		if reqs := s.Requests(); i == 1 && (len(reqs) != 3 || strings.Contains(strings.Join(reqs, ""), "PUT")) {
			t.Errorf("requests: %q", reqs)
		}
	}
}
