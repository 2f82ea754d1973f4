package apk

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

// Releases one after the other give the very index that one release of all gives:
// whatever was taken over from before.
func TestManyReleasesGiveTheIndexOfOne(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	add := func(tree *publishtest.Mem, at int64, all ...publish.Addition) {
		t.Helper()
		if _, err := publish.Publish(t.Context(), tree, []publish.Repo{r}, publish.Edit{Add: all}, publish.Options{Time: at, Now: at}); err != nil {
			t.Fatal(err)
		}
	}
	var first, second, third []publish.Addition
	for i := range 600 {
		first = append(first, addition(fmt.Sprintf("pkg%04d", i), "1.0-r0", "x86_64", "stable"))
	}
	second = append(second, addition("pkg0300", "1.1-r0", "x86_64", "stable"))
	third = append(third, addition("hello-doc", "1.0-r0", "noarch", "stable"))

	var slow, fast publishtest.Mem
	add(&slow, 100, first...)
	add(&slow, 200, second...)
	add(&slow, 300, third...)
	add(&fast, 300, append(append(first, second...), third...)...)
	for _, arch := range []string{"x86_64", "aarch64"} {
		path := "apk/stable/" + arch + "/APKINDEX.tar.gz"
		if a, b := slow.Read(path), fast.Read(path); !bytes.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s: %d and %d bytes, not the same", path, len(a), len(b))
		}
		_, plain := members(t, slow.Read(path))
		if want := map[string]int{"x86_64": 602, "aarch64": 1}[arch]; bytes.Count(plain[1], []byte("\nP:")) != want {
			t.Errorf("%s has %d packages, want %d", path, bytes.Count(plain[1], []byte("\nP:")), want)
		}
	}
	if slow.Read("apk/edge/x86_64/APKINDEX.tar.gz") == nil {
		t.Error("a channel without packages has no index")
	}
	before := slow.Read(publish.StatePath)
	add(&slow, 400, third...)
	if !bytes.Equal(before, slow.Read(publish.StatePath)) {
		t.Error("publishing again changed the tree")
	}
	if _, err := publish.Publish(t.Context(), &slow, []publish.Repo{r}, publish.Edit{Refresh: true}, publish.Options{Time: 500, Now: 500}); err != nil {
		t.Errorf("signing again: %v", err)
	}
	if _, plain := members(t, slow.Read("apk/stable/x86_64/APKINDEX.tar.gz")); bytes.Count(plain[1], []byte("\nP:")) != 602 {
		t.Error("signing again lost packages")
	}
}
