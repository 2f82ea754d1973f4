package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestDirKeepsThePromises(t *testing.T) {
	for name, ordered := range map[string]bool{"exchange": false, "ordered": true} {
		t.Run(name, func(t *testing.T) {
			publishtest.Destination(t, func(t *testing.T) publish.Destination {
				d, err := Open(filepath.Join(t.TempDir(), "tree"), Options{Ordered: ordered, NoSync: true})
				if err != nil {
					t.Fatal(err)
				}
				return d
			})
		})
	}
}

func put(files ...string) *publish.Change {
	c := &publish.Change{}
	for i := 0; i < len(files); i += 2 {
		c.Put = append(c.Put, publish.File{Path: files[i], Blob: formats.Bytes([]byte(files[i+1]))})
	}
	return c
}

func open(t *testing.T) (*Dir, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	d, err := Open(root, Options{NoSync: true, Say: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	return d, root
}

func commit(t *testing.T, d *Dir, c *publish.Change) {
	t.Helper()
	base, err := d.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(context.Background(), base, c); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, root, path, want string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if got := string(b); got != want && !(want == "(none)" && errors.Is(err, os.ErrNotExist)) {
		t.Errorf("%s = %q, %v; want %q", path, got, err, want)
	}
}

// A reader that holds the directory open sees one generation while a publish goes
// on, however many files it reads. (The replaced tree is changed by the publish
// after: who holds it for two publishes may see a mix.)
func TestReadersSeeOneGeneration(t *testing.T) {
	d, root := open(t)
	commit(t, d, put(publish.StatePath, "0", "a", "0", "b", "0"))
	var started, ended atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			s := string(rune('A'+i%26)) + string(rune('A'+i/26))
			started.Add(1)
			commit(t, d, put(publish.StatePath, s+"x", "a", s, "b", s))
			ended.Add(1)
		}
	}()
	reads, during := 0, 0
	for {
		before := ended.Load()
		h, err := os.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		a, err1 := h.ReadFile("a")
		runtime.Gosched()
		b, err2 := h.ReadFile("b")
		h.Close()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		after := started.Load()
		if after-before <= 1 {
			reads++
			during += int(after - before)
			if string(a) != string(b) {
				t.Fatalf("a is of %s and b of %s", a, b)
			}
		}
		select {
		case <-done:
			if reads < 20 || during == 0 {
				t.Errorf("%d reads, %d of them during a publish: too few to prove anything", reads, during)
			}
			return
		default:
		}
	}
}

// The deterministic half: a handle from before a publish has all of the old tree,
// one from after it all of the new.
func TestHandlesOutliveAPublish(t *testing.T) {
	d, root := open(t)
	commit(t, d, put(publish.StatePath, "0", "a", "0", "gone", "0"))
	for i := range 5 {
		old := string(rune('0' + i))
		next := string(rune('1' + i))
		h, err := os.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, d, put(publish.StatePath, next, "a", next))
		for _, p := range []string{"a", publish.StatePath} {
			if b, err := h.ReadFile(p); err != nil || string(b) != old {
				t.Errorf("through the old handle %s = %q, %v; want %q", p, b, err, old)
			}
		}
		h.Close()
		check(t, root, "a", next)
	}
}

func TestForeignFilesStay(t *testing.T) {
	d, root := open(t)
	commit(t, d, put(publish.StatePath, "1", "a", "1"))
	commit(t, d, put(publish.StatePath, "2", "a", "2"))
	if err := os.WriteFile(filepath.Join(root, "robots.txt"), []byte("v1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "own", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "own", "deep", "f"), []byte("f"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		commit(t, d, put(publish.StatePath, string(rune('a'+i))))
		check(t, root, "robots.txt", "v1")
		check(t, root, "own/deep/f", "f")
		check(t, root, "a", "2")
	}
	if err := os.Remove(filepath.Join(root, "robots.txt")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		commit(t, d, put(publish.StatePath, string(rune('p'+i))))
		check(t, root, "robots.txt", "(none)")
	}
}

// Wherever a publish dies, the next one gives the tree of a clean run.
func TestNextPublishRepairsAnInterruptedOne(t *testing.T) {
	side := func(root string) string { return filepath.Join(filepath.Dir(root), ".tree.distropack") }
	breaks := map[string]func(t *testing.T, d *Dir, root string){
		"spare half written": func(t *testing.T, d *Dir, root string) {
			c := put("b", "never", publish.StatePath, "never")
			c.Put = append(c.Put, publish.File{Path: "z", Class: publish.Pointer, Blob: publishtest.Failing()})
			base, _ := d.Head(context.Background())
			if _, err := d.Commit(context.Background(), base, c); err == nil {
				t.Fatal("committed")
			}
		},
		"died before the exchange": func(t *testing.T, d *Dir, root string) {
			if err := os.WriteFile(filepath.Join(side(root), "dirty"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			check(t, root, "a", "2")
			if err := os.WriteFile(filepath.Join(side(root), "tree", "stray"), []byte("stray"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"journal lost":  func(t *testing.T, d *Dir, root string) { os.Remove(filepath.Join(side(root), "last.json")) },
		"journal cut":   func(t *testing.T, d *Dir, root string) { os.Truncate(filepath.Join(side(root), "last.json"), 5) },
		"side dir lost": func(t *testing.T, d *Dir, root string) { os.RemoveAll(side(root)) },
	}
	for name, damage := range breaks {
		t.Run(name, func(t *testing.T) {
			d, root := open(t)
			commit(t, d, put(publish.StatePath, "1", "a", "1"))
			commit(t, d, put(publish.StatePath, "2", "a", "2", "c/d", "2"))
			damage(t, d, root)
			check(t, root, publish.StatePath, "2")
			check(t, root, "b", "(none)")
			for _, v := range []string{"3", "4", "5"} {
				commit(t, d, put(publish.StatePath, v, "b", v))
				for p, want := range map[string]string{"a": "2", "b": v, "c/d": "2", "z": "(none)", "stray": "(none)", publish.StatePath: v} {
					check(t, root, p, want)
				}
			}
		})
	}
}

// What a stage has stored is what the commit puts into the tree; what no commit
// takes goes, and so does what a publish left that died.
func TestStagedContentIsTakenByTheCommit(t *testing.T) {
	d, root := open(t)
	commit(t, d, put(publish.StatePath, "1"))
	side := filepath.Join(filepath.Dir(root), ".tree.distropack")
	dead := filepath.Join(side, "stage-dead")
	if err := os.Mkdir(dead, 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(dead, old, old); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	s := d.Stage(ctx)
	text := []byte("staged content")
	ref := formats.Bytes(text).Ref()
	s.Put([][]byte{text[:6], text[6:]})(ref)
	s.Put([][]byte{[]byte("never used")})(formats.Bytes([]byte("never used")).Ref())
	s.Put([][]byte{[]byte("never named")})
	before, err := os.Stat(d.staged(ref))
	if err != nil {
		t.Fatal(err)
	}
	c := put(publish.StatePath, "2", "b", "other")
	c.Put = append(c.Put, publish.File{Path: "a", Blob: formats.Bytes(text)})
	commit(t, d, c)
	s.Close()
	after, err := os.Stat(filepath.Join(root, "a"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the tree has another file than the stage, %v", err)
	}
	check(t, root, "a", string(text))
	check(t, root, "b", "other")
	if left, _ := filepath.Glob(filepath.Join(side, "stage-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	commit(t, d, put(publish.StatePath, "3"))
	check(t, root, "a", string(text))
	if name := d.staged(ref); name != "" {
		t.Errorf("after Close, %s is still taken", name)
	}
}

func TestAFileIsNoTree(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{name: name + " is not a directory", "/": `directory "/" can't hold a tree`} {
		if _, err := Open(root, Options{}); err == nil || err.Error() != want {
			t.Errorf("Open(%s): %v, want %q", root, err, want)
		}
	}
}

func TestALockThatStaysNamesItsFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(name, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFile(name, 2, time.Microsecond); err == nil || err.Error() != name+" was there for 2µs: if no other publish runs, remove it" {
		t.Errorf("got %v", err)
	}
	unlock()
	if unlock, err = lockFile(name, 1, 0); err != nil {
		t.Fatal(err)
	}
	unlock()
}
