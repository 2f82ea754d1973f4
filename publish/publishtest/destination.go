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
}

type liar struct{ ref formats.Ref }

func (l liar) Ref() formats.Ref { return l.ref }
func (l liar) Open() (io.ReadCloser, error) {
	return formats.Bytes([]byte("done")).Open()
}
