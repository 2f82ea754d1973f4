package dir

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/distropack/distropack/publish"
)

// A directory that is a mount point can't change places with another: files are
// replaced one by one then, and the operator is told.
func TestMountPointsArePublishedInOrder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("can't mount: %v", err)
	}
	defer syscall.Unmount(root, 0)
	var said []string
	d, err := Open(root, Options{NoSync: true, Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, d, put(publish.StatePath, "1", "a", "1"))
	commit(t, d, put(publish.StatePath, "2", "a", "2", "b/c", "2"))
	check(t, root, "a", "2")
	check(t, root, "b/c", "2")
	if len(said) != 1 || !strings.Contains(said[0], "one by one") {
		t.Errorf("said %q", said)
	}
	// And a full disk is an error that leaves the state as it was.
	base, err := d.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(t.Context(), base, put("big", strings.Repeat("x", 4<<20), publish.StatePath, "3")); err == nil {
		t.Error("4 MiB fit into 1 MiB")
	}
	check(t, root, publish.StatePath, "2")
	if left, err := filepath.Glob(filepath.Join(root, ".*.part")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	commit(t, d, put(publish.StatePath, "4", "a", "4"))
	check(t, root, "a", "4")
}
