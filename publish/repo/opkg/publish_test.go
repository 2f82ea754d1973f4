package opkg

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func addition(name, version, arch string, channels ...string) publish.Addition {
	rec := record(name, version, arch)
	return publish.Addition{
		Package:  publish.Package{Blob: formats.Bytes([]byte(name + version)), Meta: &rec.Meta, Project: "hello", Version: version},
		Channels: channels,
	}
}

// Releases one after the other give the very index that one release of all gives.
func TestManyReleasesGiveTheIndexOfOne(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	add := func(tree *publishtest.Mem, at int64, all ...publish.Addition) {
		t.Helper()
		if _, err := publish.Publish(t.Context(), tree, []publish.Repo{r}, publish.Edit{Add: all}, publish.Options{Time: at, Now: at}); err != nil {
			t.Fatal(err)
		}
	}
	var first []publish.Addition
	for i := range 600 {
		first = append(first, addition(fmt.Sprintf("pkg%04d", i), "1.0-1", "x86_64", "stable"))
	}
	second := []publish.Addition{addition("pkg0300", "1.1-1", "x86_64", "stable"), addition("doc", "1", "all", "stable")}
	var slow, fast publishtest.Mem
	add(&slow, 100, first...)
	add(&slow, 200, second...)
	add(&fast, 200, append(first, second...)...)
	for _, name := range []string{"Packages", "Packages.gz", "Packages.sig", "Packages.asc"} {
		for _, arch := range []string{"x86_64", "aarch64_generic"} {
			path := "opkg/stable/" + arch + "/" + name
			if a, b := slow.Read(path), fast.Read(path); !bytes.Equal(a, b) || len(a) == 0 {
				t.Errorf("%s: %d and %d bytes, not the same", path, len(a), len(b))
			}
		}
	}
	if got := bytes.Count(slow.Read("opkg/stable/x86_64/Packages"), []byte("Package: ")); got != 602 {
		t.Errorf("%d packages, want 602", got)
	}
	if b := slow.Read("opkg/edge/x86_64/Packages"); b == nil || len(b) != 0 {
		t.Errorf("the feed of a channel without packages is %q", b)
	}
}
