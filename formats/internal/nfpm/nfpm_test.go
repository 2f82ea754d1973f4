package nfpm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

func spec() *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: "1.2.0-rc.1", Release: "2", Time: time.Unix(1_770_000_000, 0),
		Summary: "Greets", Description: "At length.\n", License: "MIT", Maintainer: "A <a@example.org>", Section: "utils", Priority: "optional",
		Relations: formats.Relations{Depends: []string{"libc6 >= 2.31"}},
		Scripts:   formats.Scripts{PostInstall: "#!/bin/sh\ntrue\n"},
	}
}

func list() []formats.File {
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755 | os.ModeSetuid, Content: formats.Bytes([]byte("x"))},
		{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o640, Content: formats.Bytes([]byte("y"))},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: os.ModeDir | 0o700},
		{Path: "/var/log/hello.log", Type: formats.Ghost},
	}
}

var arm = formats.Platform{OS: "linux", Arch: "arm", Variant: "v7"}

func TestTwoRunsGiveTheSameBytesAndLeaveTheirArguments(t *testing.T) {
	for format := range words {
		s, l := spec(), list()
		var runs [2]bytes.Buffer
		for i := range runs {
			t.Setenv("TMPDIR", t.TempDir())
			if err := Write(context.Background(), &runs[i], format, s, arm, l, nil); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
				t.Errorf("%s left %v", format, left)
			}
		}
		if !bytes.Equal(runs[0].Bytes(), runs[1].Bytes()) {
			t.Errorf("%s: two runs differ", format)
		}
		if !reflect.DeepEqual(s, spec()) || !reflect.DeepEqual(l, list()) {
			t.Errorf("%s changed its arguments", format)
		}
	}
}

func TestDpkgReadsTheValues(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	file := filepath.Join(t.TempDir(), "x.deb")
	var b bytes.Buffer
	if err := Write(context.Background(), &b, "deb", spec(), arm, list(), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dpkg-deb", "-I", file).CombinedOutput()
	for _, want := range []string{"Version: 1.2.0~rc.1-2\n", "Architecture: armhf\n", "Depends: libc6 (>= 2.31)\n", "Description: Greets\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing, %v:\n%s", want, err, out)
		}
	}
	out, err = exec.Command("dpkg-deb", "-c", file).CombinedOutput()
	if !strings.Contains(string(out), "-rwsr-xr-x") || strings.Contains(string(out), "hello.log") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestErrorsComeBack(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for format := range words {
		if err := Write(ctx, &bytes.Buffer{}, format, spec(), arm, list(), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", format, err)
		}
	}
	content := func(b formats.Blob) []formats.File {
		return []formats.File{{Path: "/a", Type: formats.Regular, Content: b}}
	}
	for _, c := range []struct {
		want, format string
		on           formats.Platform
		files        []formats.File
	}{
		{`nfpm writes no "msi"`, "msi", arm, nil},
		{"nfpm writes deb packages for linux only, not for darwin/arm64", "deb", formats.Platform{OS: "darwin", Arch: "arm64"}, nil},
		{"/a: /dev/null changed while it was used: 0 bytes, was 7", "deb", arm, content(formats.KnownFile("/dev/null", formats.Ref{Size: 7}))},
		{"/a: content is 5 bytes, was to be 7", "deb", arm, content(formats.Parts(formats.Ref{Size: 7}, [][]byte{[]byte("short")}))},
	} {
		if err := Write(context.Background(), &bytes.Buffer{}, c.format, spec(), c.on, c.files, nil); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
