//go:build unix

package verify

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestADirectoryIsNeverLeft(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	f := generation(t, 1)
	if err := os.WriteFile(outside, f[deb], 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, dir, f)
	expect(t, see(t, nil, Options{Fetch: open(t, dir), Packages: Hashes}))

	name := filepath.Join(dir, filepath.FromSlash(deb))
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, name); err != nil {
		t.Fatal(err)
	}
	// The bytes would be right; that they are elsewhere is the finding.
	expect(t, see(t, nil, Options{Fetch: open(t, dir), Packages: Hashes}), "error apt unreachable "+deb)
	expect(t, see(t, nil, Options{Fetch: open(t, dir)}), "error apt unreachable "+deb)

	// A pipe would never end.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(name, 0o644); err != nil {
		t.Skip(err)
	}
	rep := see(t, nil, Options{Fetch: open(t, dir), Packages: Hashes})
	expect(t, rep, "error apt unreachable "+deb)
	if len(rep.Findings) == 1 && !strings.Contains(rep.Findings[0].Text, "not a regular file") {
		t.Error(rep.Findings)
	}
}
