package rpm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestFoldersOfThePackagesNameAreItsOwn(t *testing.T) {
	regular := func(p string) formats.File {
		return formats.File{Path: p, Type: formats.Regular, Mode: 0o644, Content: formats.Bytes(nil)}
	}
	files := []formats.File{
		regular("/usr/bin/hello"), regular("/usr/share/doc/hello/copyright"), regular("/usr/lib/hello/a/b/c"), regular("/usr/share/helloes/x"), regular("/etc/other/hello/x"),
		{Path: "/usr/lib/hello/a", Type: formats.Dir, Mode: 0o700},
	}
	var got []string
	for _, f := range ownFolders("hello", files)[len(files):] {
		got = append(got, f.Path)
	}
	if want := []string{"/usr/share/doc/hello", "/usr/lib/hello/a/b", "/usr/lib/hello"}; !slices.Equal(got, want) {
		t.Errorf("owned: %s, want %s", got, want)
	}
	// A package with the name of a shared folder has no claim on it.
	if got := ownFolders("bin", files); len(got) != len(files) {
		t.Errorf("bin owns %v", got[len(files):])
	}
}

func TestRemovalLeavesNoFolderOfThePackagesName(t *testing.T) {
	r := newRoot(t)
	f := newTestFormat(t, Options{}, nil)
	r.rpm("-i", "--nodeps", save(t, f, helloSpec(), amd64, []formats.File{
		{Path: "/usr/share/doc/hello/deep/copyright", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("x"))},
		{Path: "/usr/share/man/man1/hello.1", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("x"))},
	}))
	if out := r.rpm("-qd", "hello"); !strings.Contains(out, "/usr/share/doc/hello/deep/copyright\n") || !strings.Contains(out, "/usr/share/man/man1/hello.1\n") {
		t.Errorf("documentation is\n%s", out)
	}
	r.rpm("-e", "hello")
	if _, err := os.Lstat(filepath.Join(r.dir, "usr/share/doc/hello")); !os.IsNotExist(err) {
		t.Errorf("removal left /usr/share/doc/hello (%v)", err)
	}
}
