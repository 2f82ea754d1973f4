//go:build unix

package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

func TestManyFilesAreReadTogetherOrTheGeneralWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "p", "a", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "p", "a", name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("one", "first", 0o644)
	write("two", "second", 0o755)
	write("empty", "", 0o600)
	write("large", strings.Repeat("x", 101), 0o644)
	for name, target := range map[string]string{"link": "one", "out": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(dir, "p", "a", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "p", "a", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	below, err := fs.Sub(Folder(root), "p")
	if err != nil {
		t.Fatal(err)
	}
	m := below.(manyFS).openMany("a")
	defer m.close()
	held := make(map[string][]byte)
	for name, want := range map[string]string{"one": "first-rw-r--r--", "two": "second-rwxr-xr-x", "empty": "-rw-------", "large": "", "link": "", "out": "", "pipe": "", "sub": "", "none": ""} {
		content, mode, ok := m.read(name, 100)
		got := ""
		if ok {
			got = string(content) + mode.String()
			held[name] = content
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if string(held["one"])+string(held["two"]) != "firstsecond" {
		t.Error("contents share memory")
	}
	for _, outside := range []string{"..", "/etc", "a/../..", "p"} {
		if m := below.(manyFS).openMany(outside); m != nil {
			t.Errorf("%s was opened", outside)
		}
	}
	for _, name := range []string{"link", "out", "pipe"} {
		if err := os.Remove(filepath.Join(dir, "p", "a", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := fstest.TestFS(below, "a/one", "a/two"); err != nil {
		t.Error(err)
	}
}
