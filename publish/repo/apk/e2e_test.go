package apk

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	apkformat "github.com/distropack/distropack/formats/apk"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// What formats/apk writes and describes, the engine lists and apk installs: a
// release, and an upgrade to the next.
func TestApkUpgradesToWhatTheFormatWrites(t *testing.T) {
	apk := tool(t, "apk")
	r := newRepo(t, Options{}, testEnv())
	format, err := apkformat.Kind().New(formats.NoSection, formats.Env{Keys: testKeys{}, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	var tree publishtest.Mem
	release := func(version string, at int64) string {
		t.Helper()
		spec := &formats.Spec{
			Name: "hello", Version: version, Time: time.Unix(at, 0), Summary: "Greets the world", License: "MIT",
			Maintainer: "Ann Example <ann@example.org>", Homepage: "https://example.org",
		}
		files := []formats.File{{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\necho " + version + "\n"))}}
		var b bytes.Buffer
		if err := format.Write(t.Context(), &b, spec, formats.Platform{OS: "linux", Arch: "amd64"}, files); err != nil {
			t.Fatal(err)
		}
		m, err := format.Describe(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		add := publish.Addition{Package: publish.Package{Blob: formats.Bytes(b.Bytes()), Meta: m, Version: version}, Channels: []string{"stable"}}
		if _, err := publish.Publish(t.Context(), &tree, []publish.Repo{r}, publish.Edit{Add: []publish.Addition{add}}, publish.Options{Time: at, Now: at}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, b := range tree.Files() {
			if strings.HasPrefix(name, "apk/") {
				write(t, dir, name, b)
			}
		}
		return dir
	}
	root, keys := t.TempDir(), t.TempDir()
	write(t, keys, r.key.Name, r.key.Data)
	for i, version := range []string{"1.0.0-rc.1", "1.0.0", "1.10.0"} {
		dir := release(version, int64(1700000000+i))
		write(t, root, "etc/apk/repositories", []byte(dir+"/apk/stable\n"))
		args := []string{"--root", root, "--keys-dir", keys, "--arch", "x86_64", "--no-cache", "--no-progress", "add", "--upgrade", "hello"}
		if i == 0 {
			args = append([]string{"--initdb"}, args...)
		}
		run(t, "/", apk, args...)
		if got := read(t, root, "usr/bin/hello"); got != "#!/bin/sh\necho "+version+"\n" {
			t.Errorf("%s: installed %q", version, got)
		}
	}
}
