package brew

import (
	"bytes"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// The formula follows the newest version, whatever order archives come in, and
// other channels stay as they are.
func TestFormulaFollowsReleases(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	var tree publishtest.Mem
	add := func(at int64, version, channel string, platforms ...string) {
		t.Helper()
		var edit publish.Edit
		for _, p := range platforms {
			rec := record("hello", version, p, "/bin/hello")
			edit.Add = append(edit.Add, publish.Addition{
				Package:  publish.Package{Blob: formats.Bytes([]byte(rec.Path)), Meta: &rec.Meta, Project: "hello", Version: version},
				Channels: []string{channel},
			})
		}
		if _, err := publish.Publish(t.Context(), &tree, []publish.Repo{r}, edit, publish.Options{Time: at, Now: at}); err != nil {
			t.Fatal(err)
		}
	}
	add(100, "1.0.0", "stable", "linux/amd64", "darwin/arm64", "linux/arm64", "darwin/amd64")
	add(200, "1.1.0-rc.1", "edge", "linux/amd64")
	add(300, "1.1.0", "stable", "linux/arm64", "linux/amd64")
	for path, want := range map[string]int{"brew/Formula/hello.rb": 2, "brew/Formula/hello-edge.rb": 0} {
		b := tree.Read(path)
		if got := bytes.Count(b, []byte("/1.1.0/")); len(b) == 0 || got != want {
			t.Errorf("%s names 1.1.0 %d times, want %d:\n%s", path, got, want, b)
		}
	}
	if tree.Read("downloads/hello/1.0.0/hello_1.0.0_darwin_arm64.tar.gz") == nil {
		t.Error("an archive is missing")
	}
}
