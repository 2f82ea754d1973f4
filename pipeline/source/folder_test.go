package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestFoldersReadAsTheirRootDoes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"top", "a/one", "a/two", "a/b/deep", "c/one"} {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"a/up": "../c/one", "a/out": "../../etc/passwd", "a/abs": "/etc/passwd", "d": "a", "e": "/etc"} {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	fsys := Folder(root)
	for range 2 { // once with and once without an open folder
		for _, name := range []string{"top", "a/one", "a/two", "a/b/deep", "c/one", "a/up", "a/out", "a/abs", "d/one", "e/passwd", "a/../top", "../top", "a/none", "none/x", "a", "", "/top", "a/one/"} {
			want, werr := fs.ReadFile(root.FS(), name)
			got, gerr := fs.ReadFile(fsys, name)
			if string(got) != string(want) || (gerr == nil) != (werr == nil) || reason(gerr) != reason(werr) {
				t.Errorf("%q: %q, %v; the root says %q, %v", name, got, gerr, want, werr)
			}
		}
	}
	for _, name := range []string{"a/up", "a/out", "a/abs", "d", "e"} {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := fstest.TestFS(fsys, "top", "a/one", "a/b/deep", "c/one"); err != nil {
		t.Error(err)
	}
}

// reason is an error without the operation and the path it names.
func reason(err error) string {
	var p *fs.PathError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Err.Error()
	}
	return err.Error()
}
