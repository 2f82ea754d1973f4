package publishtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Destination checks every promise of publish.Destination. open returns a new,
// empty tree each time.
func Destination(t *testing.T, open func(t *testing.T) publish.Destination) {
	ctx := context.Background()
	change := func(files map[string]string, del ...string) *publish.Change {
		c := &publish.Change{Message: "test", Delete: del}
		for p, text := range files {
			class := publish.Content
			if p == publish.StatePath {
				class = publish.Pointer
			}
			c.Put = append(c.Put, publish.File{Path: p, Class: class, Blob: formats.Bytes([]byte(text))})
		}
		return c
	}
	commit := func(t *testing.T, d publish.Destination, base string, c *publish.Change) string {
		t.Helper()
		v, err := d.Commit(ctx, base, c)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := d.Head(ctx); err != nil || h != v {
			t.Fatalf("Head = %q, %v after Commit returned %q", h, err, v)
		}
		return v
	}
	read := func(t *testing.T, d publish.Destination, v, p string) string {
		t.Helper()
		r, err := d.Open(ctx, v, p)
		if errors.Is(err, fs.ErrNotExist) {
			return "(none)"
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	head := func(t *testing.T, d publish.Destination) string {
		t.Helper()
		v, err := d.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}

	t.Run("empty tree has no version and no files", func(t *testing.T) {
		d := open(t)
		if v, err := d.Head(ctx); v != "" || err != nil {
			t.Errorf("Head = %q, %v", v, err)
		}
		if got := read(t, d, "", publish.StatePath); got != "(none)" {
			t.Errorf("state = %q", got)
		}
	})
	t.Run("files come, change and go", func(t *testing.T) {
		d := open(t)
		v := commit(t, d, "", change(map[string]string{publish.StatePath: "1", "a/b/c": "abc", "x": "x1", "a/d": ""}))
		v = commit(t, d, v, change(map[string]string{publish.StatePath: "2", "x": "x2"}, "a/b/c", "never/was"))
		for p, want := range map[string]string{publish.StatePath: "2", "x": "x2", "a/b/c": "(none)", "a/d": "", "a": "(none)"} {
			if p == "a" {
				continue // a folder: whether it opens is the place's business
			}
			if got := read(t, d, v, p); got != want {
				t.Errorf("%s = %q, want %q", p, got, want)
			}
		}
		v = commit(t, d, v, change(map[string]string{publish.StatePath: "3", "a/b/c": "again"}, "x"))
		v = commit(t, d, v, change(map[string]string{publish.StatePath: "4"}))
		for p, want := range map[string]string{publish.StatePath: "4", "x": "(none)", "a/b/c": "again"} {
			if got := read(t, d, v, p); got != want {
				t.Errorf("%s = %q, want %q", p, got, want)
			}
		}
	})
	t.Run("a stale base is a conflict and changes nothing", func(t *testing.T) {
		d := open(t)
		v1 := commit(t, d, "", change(map[string]string{publish.StatePath: "1"}))
		if _, err := d.Commit(ctx, "", change(map[string]string{publish.StatePath: "other"})); !errors.Is(err, publish.ErrConflict) {
			t.Errorf("commit on the empty tree: %v, want a conflict", err)
		}
		v2 := commit(t, d, v1, change(map[string]string{publish.StatePath: "2"}))
		if _, err := d.Commit(ctx, v1, change(map[string]string{publish.StatePath: "3", "y": "y"})); !errors.Is(err, publish.ErrConflict) {
			t.Errorf("commit on the old version: %v, want a conflict", err)
		}
		if got := read(t, d, v2, publish.StatePath) + read(t, d, v2, "y"); got != "2(none)" {
			t.Errorf("after the conflict the tree has %q", got)
		}
	})
	t.Run("of many commits on one base one wins", func(t *testing.T) {
		d := open(t)
		base := commit(t, d, "", change(map[string]string{publish.StatePath: "0"}))
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		start := make(chan struct{})
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-start
				_, err := d.Commit(ctx, base, change(map[string]string{publish.StatePath: fmt.Sprint("s", i), fmt.Sprint("f", i): "f"}))
				if err != nil && !errors.Is(err, publish.ErrConflict) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			}()
		}
		close(start)
		wg.Wait()
		if won != 1 {
			t.Errorf("%d commits won", won)
		}
	})
	t.Run("content that is not what its Ref says is refused", func(t *testing.T) {
		d := open(t)
		v := commit(t, d, "", change(map[string]string{publish.StatePath: "1"}))
		c := change(map[string]string{publish.StatePath: "2"})
		c.Put = append(c.Put, publish.File{Path: "bad", Blob: liar{formats.Bytes([]byte("said")).Ref()}})
		if _, err := d.Commit(ctx, v, c); err == nil {
			t.Error("committed")
		}
		if got := read(t, d, v, publish.StatePath); got != "1" {
			t.Errorf("state = %q after the refusal", got)
		}
		commit(t, d, v, change(map[string]string{publish.StatePath: "2", "bad": "good"}))
	})
	t.Run("From only saves work", func(t *testing.T) {
		d := open(t)
		v := commit(t, d, "", change(map[string]string{publish.StatePath: "1", "pool/p": "bytes", "other": "bytez"}))
		c := change(map[string]string{publish.StatePath: "2"}, "pool/p")
		c.Put = append(c.Put,
			publish.File{Path: "moved/p", From: "pool/p", Blob: formats.Bytes([]byte("bytes"))},
			publish.File{Path: "wrong", From: "other", Blob: formats.Bytes([]byte("bytes"))},
			publish.File{Path: "absent", From: "nowhere", Blob: formats.Bytes([]byte("bytes"))})
		v = commit(t, d, v, c)
		for p, want := range map[string]string{"moved/p": "bytes", "wrong": "bytes", "absent": "bytes", "other": "bytez", "pool/p": "(none)"} {
			if got := read(t, d, v, p); got != want {
				t.Errorf("%s = %q, want %q", p, got, want)
			}
		}
	})
	t.Run("a cancelled commit is not half done", func(t *testing.T) {
		d := open(t)
		v := commit(t, d, "", change(map[string]string{publish.StatePath: "1"}))
		cctx, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := d.Commit(cctx, v, change(map[string]string{publish.StatePath: "2", "y": "y"})); err != nil {
			if got := read(t, d, v, publish.StatePath) + read(t, d, v, "y"); got != "1(none)" {
				t.Errorf("the tree has %q", got)
			}
			commit(t, d, v, change(map[string]string{publish.StatePath: "3", "y": "y"}))
		}
	})
	t.Run("paths outside the tree are refused", func(t *testing.T) {
		d := open(t)
		for _, p := range []string{"../x", "/x", "a/../../x", ""} {
			if _, err := d.Commit(ctx, "", change(map[string]string{publish.StatePath: "1", p: "x"})); err == nil {
				t.Errorf("%q was written", p)
			}
		}
	})
	release := func(t *testing.T, d publish.Destination, now int64, e publish.Edit, versions ...string) *publish.Result {
		t.Helper()
		for _, v := range versions {
			e.Add = append(e.Add, publish.Addition{Package: ToyPackage("a", v, "all"), Channels: []string{"stable"}})
		}
		res, err := publish.Publish(ctx, d, []publish.Repo{toyForPlaces()}, e, publish.Options{Time: now, Now: now, Grace: 100, Keep: publish.Keep{Versions: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	check := func(t *testing.T, d publish.Destination) {
		t.Helper()
		if err := publish.Check(ctx, d, []publish.Repo{toyForPlaces()}, nil, publish.CheckOptions{Deep: true}); err != nil {
			t.Error(err)
		}
	}
	t.Run("what is collected is gone and the tree is whole", func(t *testing.T) {
		d := open(t)
		for i, v := range []string{"1", "2", "3", "4"} {
			release(t, d, int64(1000+i), publish.Edit{}, v)
		}
		if got := read(t, d, head(t, d), "pool/a_1_all.toy"); got != "a 1 all" {
			t.Errorf("within the grace the package is %q", got)
		}
		if res := release(t, d, 1050, publish.Edit{Collect: true}); res.Changed {
			t.Errorf("within the grace %q went", res.Change.Delete)
		}
		res := release(t, d, 2000, publish.Edit{Collect: true})
		if !res.Changed || len(res.Change.Delete) == 0 {
			t.Fatal("nothing went after the grace")
		}
		for _, p := range res.Change.Delete {
			if got := read(t, d, res.Version, p); got != "(none)" {
				t.Errorf("%s is %q", p, got)
			}
		}
		if got := read(t, d, res.Version, "pool/a_1_all.toy"); got != "(none)" {
			t.Errorf("the package is %q", got)
		}
		check(t, d)
		if res := release(t, d, 9000, publish.Edit{Collect: true}); res.Changed {
			release(t, d, 9999, publish.Edit{Collect: true}) // the page of before
		}
		if res := release(t, d, 10200, publish.Edit{Collect: true}); res.Changed {
			t.Errorf("again %q went", res.Change.Delete)
		}
	})
	t.Run("an erased tree is gone and a new one can begin", func(t *testing.T) {
		d := open(t)
		release(t, d, 1000, publish.Edit{}, "1")
		v := release(t, d, 1001, publish.Edit{}, "2").Version
		now, held, err := publish.Holdings(ctx, d, nil)
		if err != nil || now != v {
			t.Fatalf("version %q, %v; want %q", now, err, v)
		}
		var paths []string
		for _, h := range held {
			if read(t, d, v, h.Path) == "(none)" {
				t.Errorf("%s is no file of the tree", h.Path)
			}
			paths = append(paths, h.Path)
		}
		if err := publish.Erase(ctx, d, "", "end", paths); !errors.Is(err, publish.ErrConflict) {
			t.Errorf("erasing another version: %v, want a conflict", err)
		}
		check(t, d)
		if err := publish.Erase(ctx, d, v, "end", paths); err != nil {
			t.Fatal(err)
		}
		v = head(t, d)
		for _, p := range paths {
			if got := read(t, d, v, p); got != "(none)" {
				t.Errorf("%s is still %q", p, got)
			}
		}
		if _, held, err := publish.Holdings(ctx, d, nil); len(held) > 0 || err != nil {
			t.Errorf("the tree still holds %v, %v", held, err)
		}
		release(t, d, 900, publish.Edit{}, "1")
		check(t, d)
	})
}

// toyForPlaces is a repository that places are tried with.
func toyForPlaces() *Toy {
	return &Toy{Label: "toys", Channels: []string{"stable"}, Forms: []publish.Form{publish.Plain, publish.Gzip}}
}

type liar struct{ ref formats.Ref }

func (l liar) Ref() formats.Ref { return l.ref }
func (l liar) Open() (io.ReadCloser, error) {
	return formats.Bytes([]byte("done")).Open()
}
