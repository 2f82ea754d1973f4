package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/testdata/sample"
)

// TestReleasesInTwoEnvironmentsAreTheSameBytes releases the sample twice, in
// processes that differ in all that must not matter: folder, time zone, umask,
// number of CPUs, language, temporary folder, home. Packages and tree must be
// equal to the byte, and so must a second release on top of the first.
func TestReleasesInTwoEnvironmentsAreTheSameBytes(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("go, which builds the sample, is not installed")
	}
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := program(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	environments := []struct {
		folder, umask string
		env           []string
	}{
		{"a", "022", []string{"TZ=UTC", "GOMAXPROCS=1", "LANG=C", "LC_ALL=C", "USER=root"}},
		{"a much longer folder/with a space/b", "077", []string{"TZ=Pacific/Auckland", "GOMAXPROCS=2", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "USER=nobody", "HOSTNAME=elsewhere"}},
	}
	var trees [2]map[string]string
	for i, e := range environments {
		project := filepath.Join(t.TempDir(), e.folder)
		if err := os.MkdirAll(project, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := sample.Write(project); err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{"1.0.0", "1.1.0-rc.1", "1.1.0"} {
			// umask is the shell's to set.
			cmd := exec.Command("/bin/sh", "-c", `umask "$1"; shift; exec "$@"`, "sh", e.umask, bin, "-C", project, "release", "--version", version, "--key", key)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "GOCACHE=" + filepath.Join(cache, "go-build"),
				"SOURCE_DATE_EPOCH=" + epochs[version]}, e.env...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("release %s in %s: %v\n%s", version, e.folder, err, out)
			}
		}
		trees[i] = digests(t, filepath.Join(project, "dist"))
	}
	if n := len(trees[0]); n < 100 {
		t.Errorf("only %d files were made", n)
	}
	for name, digest := range trees[0] {
		switch other, ok := trees[1][name]; {
		case !ok:
			t.Errorf("%s was made in the first environment only", name)
		case other != digest:
			t.Errorf("%s is %s, and %s in the other environment", name, digest, other)
		}
	}
	for name := range trees[1] {
		if _, ok := trees[0][name]; !ok {
			t.Errorf("%s was made in the second environment only", name)
		}
	}
}

// digests describes every published file of a folder: mode and content. What a
// destination keeps for itself beside the tree is not published, nor are logs.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != dir && (base == "logs" || strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".distropack") && base != ".distropack") {
				return fs.SkipDir
			}
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		all[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
