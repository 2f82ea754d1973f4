package dir

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

func TestEqualFilesOfAChangeAreOne(t *testing.T) {
	d, root := open(t)
	c := put(publish.StatePath, "1", "pool/a", "same", "downloads/a", "same", "by-hash/x", "index", "other", "other")
	c.Put = append(c.Put, publish.File{Path: "Packages", Class: publish.Pointer, Blob: formats.Bytes([]byte("index"))})
	commit(t, d, c)
	stat := func(p string) os.FileInfo {
		st, err := os.Stat(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	for _, pair := range [][2]string{{"pool/a", "downloads/a"}, {"by-hash/x", "Packages"}} {
		if !os.SameFile(stat(pair[0]), stat(pair[1])) {
			t.Errorf("%s and %s were written twice", pair[0], pair[1])
		}
	}
	// The next publish replaces one of them, not the other.
	commit(t, d, put(publish.StatePath, "2", "downloads/a", "new"))
	check(t, root, "pool/a", "same")
	check(t, root, "downloads/a", "new")
}

func TestManyFilesArriveAsFewDo(t *testing.T) {
	d, root := open(t)
	d.noSync = false
	files := []string{publish.StatePath, "1"}
	for i := range 3 * syncAll {
		files = append(files, filepath.Join("d", string(rune('a'+i%7)), string(rune('A'+i))), strings.Repeat("x", i))
	}
	commit(t, d, put(files...))
	for i := 2; i < len(files); i += 2 {
		check(t, root, files[i], files[i+1])
	}
}

func TestAFileThatChangedSinceItWasHashedIsRefused(t *testing.T) {
	d, root := open(t)
	commit(t, d, put(publish.StatePath, "1"))
	name := filepath.Join(t.TempDir(), "package")
	if err := os.WriteFile(name, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := put(publish.StatePath, "2")
	c.Put = append(c.Put, publish.File{Path: "package", Blob: formats.KnownFile(name, formats.Bytes([]byte("old")).Ref())})
	base, err := d.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(context.Background(), base, c); err == nil || !strings.Contains(err.Error(), "changed while it was published") {
		t.Errorf("Commit: %v, want a word on the change", err)
	}
	check(t, root, publish.StatePath, "1")
}
