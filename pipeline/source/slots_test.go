package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

var (
	ctx   = context.Background()
	amd64 = formats.Platform{OS: "linux", Arch: "amd64"}
)

// write puts files into a new folder; names that end in / are folders.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// slots opens the slots of a project in dir.
func slots(t *testing.T, dir string, sources map[string]config.Source) *Slots {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Slots{Project: &Tree{FS: root.FS()}, Sources: sources, File: "distropack.yml", Dir: dir, Work: t.TempDir(),
		Release: Release{Version: "1.2.0", Tag: "v1.2.0", Commit: "abc", Time: 1000}}
}

func wants(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %q in it", err, text)
	}
}

func TestExpandReplacesWhatIsKnownAndNothingElse(t *testing.T) {
	values := Values(formats.Platform{OS: "linux", Arch: "arm", Variant: "v7"}, "1.2.0", "v1.2.0")
	for in, want := range map[string]string{
		"": "", "plain": "plain", "{os}/{arch}{variant}": "linux/armv7", "{platform}-{version}": "linux_arm_v7-1.2.0", "a}b": "a}b", "{tag}{tag}": "v1.2.0v1.2.0",
	} {
		if got, err := Expand(in, values); err != nil || got != want {
			t.Errorf("Expand(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	_, err := Expand("{cpuu}", values)
	wants(t, err, "unknown variable {cpuu}")
	_, err = Expand("dist/{os", values)
	wants(t, err, `"dist/{os" has a { without }`)
}

func TestASlotIsMissingUnlessItIsOptional(t *testing.T) {
	s := slots(t, write(t, map[string]string{"dist/linux_amd64/hello": "x", "file": "x"}), map[string]config.Source{
		"bin":   {Files: "dist/{os}_{arch}/", Pos: config.Pos{Line: 3, Col: 5}},
		"maybe": {Files: "none/", Optional: true},
		"none":  {Files: "none/"},
		"file":  {Files: "file"},
		"up":    {Files: "../"},
		"blank": {},
	})
	tree, err := s.Open(ctx, "bin", amd64)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(tree.FS, "hello"); err != nil || string(b) != "x" {
		t.Errorf("hello is %q, %v", b, err)
	}
	_, err = s.Open(ctx, "bin", formats.Platform{OS: "linux", Arch: "arm64"})
	if !errors.Is(err, ErrMissing) {
		t.Errorf("error %v, want ErrMissing", err)
	}
	wants(t, err, "distropack.yml:3:5: sources.bin: for linux/arm64: ")
	wants(t, err, "build first")
	if _, err := s.Open(ctx, "maybe", amd64); err != nil {
		t.Errorf("the optional slot: %v", err)
	}
	if _, err := s.Open(ctx, "none", amd64); !errors.Is(err, ErrMissing) {
		t.Errorf("error %v, want ErrMissing", err)
	}
	_, err = s.Open(ctx, "file", amd64)
	wants(t, err, "file is a file, want a folder")
	_, err = s.Open(ctx, "up", amd64)
	wants(t, err, `".." is not a folder of the project`)
	_, err = s.Open(ctx, "blank", amd64)
	wants(t, err, "sources.blank: for linux/amd64: the slot names no source")
	_, err = s.Open(ctx, "nowhere", amd64)
	wants(t, err, `there is no slot "nowhere" below sources`)
}

func TestCommandsGetThePlatformAndNoKey(t *testing.T) {
	s := slots(t, write(t, nil), map[string]config.Source{"bin": {Command: `env > "$OUT/env"`}})
	s.Environ = []string{"PATH=" + os.Getenv("PATH"), "DISTROPACK_KEY=secret1", "DISTROPACK_PASSPHRASE=secret2", "GITHUB_TOKEN=secret3", "GH_TOKEN=secret4",
		"AWS_SECRET_ACCESS_KEY=secret5", "AWS_SESSION_TOKEN=secret6", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=secret7", "GPG_PASSPHRASE=secret8", "ORDINARY=kept"}
	tree, err := s.Open(ctx, "bin", formats.Platform{OS: "linux", Arch: "arm", Variant: "v7"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(tree.FS, "env")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for _, want := range []string{"GOOS=linux", "GOARCH=arm", "GOARM=7", "PLATFORM=linux/arm/v7", "VERSION=1.2.0", "TAG=v1.2.0", "COMMIT=abc", "SOURCE_DATE_EPOCH=1000", "ORDINARY=kept"} {
		if !slices.Contains(lines, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	if strings.Contains(string(b), "secret") {
		t.Errorf("a secret reached the command:\n%s", b)
	}
}

func TestACommandsLastLinesAreInItsError(t *testing.T) {
	s := slots(t, write(t, nil), map[string]config.Source{"bin": {Command: `for i in $(seq 50); do echo "line $i"; done; exit 7`}})
	_, err := s.Open(ctx, "bin", amd64)
	wants(t, err, "exit status 7")
	wants(t, err, "line 50")
	if strings.Contains(err.Error(), "line 39") {
		t.Errorf("all lines are in the error: %v", err)
	}
	s.Dir = ""
	s.done = nil
	_, err = s.Open(ctx, "bin", amd64)
	wants(t, err, "commands are not run here")
}

func TestACancelledCommandEndsWithItsChildren(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("process groups are looked up in /proc")
	}
	s := slots(t, write(t, nil), map[string]config.Source{"bin": {Command: `sleep 1000 & echo $! > pid; echo ready > ready; wait`}})
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := s.Open(cctx, "bin", amd64)
		done <- err
	}()
	for {
		if _, err := os.Stat(filepath.Join(s.Dir, "ready")); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the command ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	b, err := os.ReadFile(filepath.Join(s.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	// Gone, or a zombie that nobody reaps in a container.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child lives on: %s", stat)
		}
	}
}

func TestGoReleasersListNamesBinariesByPlatform(t *testing.T) {
	files := map[string]string{
		"dist/artifacts.json": `[
			{"name":"hello","path":"dist/a/hello","goos":"linux","goarch":"amd64","type":"Binary"},
			{"name":"hello","path":"dist/b/hello","goos":"linux","goarch":"arm","goarm":"7","type":"Binary"},
			{"name":"hello_1.0_amd64.deb","path":"dist/hello.deb","goos":"linux","goarch":"amd64","type":"Linux Package"}]`,
		"dist/a/hello": "amd64", "dist/b/hello": "armv7", "bad.json": `[{"name":"x","path":"../../etc/passwd","goos":"linux","goarch":"amd64","type":"Binary"}]`, "junk.json": "{",
	}
	s := slots(t, write(t, files), map[string]config.Source{
		"bin": {GoReleaser: "dist/artifacts.json"}, "bad": {GoReleaser: "bad.json"}, "junk": {GoReleaser: "junk.json"}, "none": {GoReleaser: "none.json"},
	})
	for p, want := range map[formats.Platform]string{amd64: "amd64", {OS: "linux", Arch: "arm", Variant: "v7"}: "armv7"} {
		tree, err := s.Open(ctx, "bin", p)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := fs.ReadFile(tree.FS, "hello"); err != nil || string(b) != want {
			t.Errorf("hello for %s is %q, %v", p, b, err)
		}
		if _, err := fs.Stat(tree.FS, "hello_1.0_amd64.deb"); err == nil {
			t.Error("a package is offered as a binary")
		}
	}
	_, err := s.Open(ctx, "bin", formats.Platform{OS: "linux", Arch: "arm", Variant: "v6"})
	if !errors.Is(err, ErrMissing) {
		t.Errorf("error %v, want ErrMissing", err)
	}
	wants(t, err, "dist/artifacts.json lists no binary for linux/arm/v6")
	_, err = s.Open(ctx, "bad", amd64)
	wants(t, err, `path "../../etc/passwd" is not inside the project`)
	_, err = s.Open(ctx, "junk", amd64)
	wants(t, err, "junk.json: ")
	_, err = s.Open(ctx, "none", amd64)
	wants(t, err, "none.json is not in the project")
	wants(t, err, "run goreleaser first")
}

type member struct{ name, text, link string }

func tarball(t *testing.T, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o755, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		switch {
		case m.name == "pax_global_header":
			h = &tar.Header{Name: m.name, Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "abc"}}
		case m.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		case strings.HasSuffix(m.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipfile(t *testing.T, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAssetsAreUnpackedWithoutTheirTopFolder(t *testing.T) {
	s := slots(t, write(t, nil), map[string]config.Source{
		"top": {Assets: "top_{version}_{arch}.tar.gz"}, "flat": {Assets: "flat.zip"}, "git": {Assets: "git.tar.gz"}, "plain": {Assets: "tool-*"}, "none": {Assets: "none-*"}, "bad": {Assets: "[x"},
	})
	s.Assets = write(t, map[string]string{
		"top_1.2.0_amd64.tar.gz": tarball(t, member{name: "top-1.2.0/"}, member{name: "top-1.2.0/bin/hello", text: "x"}),
		"git.tar.gz":             tarball(t, member{name: "pax_global_header"}, member{name: "p/"}, member{name: "p/bin/hello", text: "x"}),
		"flat.zip":               zipfile(t, member{name: "bin/hello", text: "x"}, member{name: "README", text: "x"}),
		"tool-linux":             "x",
	})
	for slot, name := range map[string]string{"top": "bin/hello", "git": "bin/hello", "flat": "bin/hello", "plain": "tool-linux"} {
		tree, err := s.Open(ctx, slot, amd64)
		if err != nil {
			t.Errorf("slot %s: %v", slot, err)
			continue
		}
		if b, err := fs.ReadFile(tree.FS, name); err != nil || string(b) != "x" {
			t.Errorf("slot %s: %s is %q, %v", slot, name, b, err)
		}
	}
	_, err := s.Open(ctx, "none", amd64)
	wants(t, err, `no asset matches "none-*"; there are: flat.zip git.tar.gz tool-linux top_1.2.0_amd64.tar.gz`)
	_, err = s.Open(ctx, "bad", amd64)
	wants(t, err, `pattern "[x"`)
	s.Assets, s.done = "", nil
	_, err = s.Open(ctx, "none", amd64)
	wants(t, err, "no assets were given (give the folder with the assets: --assets DIR)")
}

func TestArchivesCannotLeadOutside(t *testing.T) {
	for name, content := range map[string]string{
		"up.tar.gz":       tarball(t, member{name: "a/../../evil", text: "x"}, member{name: "b", text: "x"}),
		"absolute.tar.gz": tarball(t, member{name: "/tmp/evil", text: "x"}, member{name: "b", text: "x"}),
		"up.zip":          zipfile(t, member{name: "../evil", text: "x"}, member{name: "b", text: "x"}),
		"absolute.zip":    zipfile(t, member{name: "/tmp/evil", text: "x"}, member{name: "b", text: "x"}),
	} {
		s := slots(t, write(t, nil), map[string]config.Source{"bin": {Assets: "*"}})
		s.Assets = write(t, map[string]string{name: content})
		_, err := s.Open(ctx, "bin", amd64)
		wants(t, err, "asset "+name+": ")
		wants(t, err, "leads outside")
		if found, _ := filepath.Glob(filepath.Join(s.Work, "evil")); len(found) > 0 {
			t.Errorf("%s wrote %v", name, found)
		}
	}
	// Links are left out, so that nothing is written through them.
	s := slots(t, write(t, nil), map[string]config.Source{"bin": {Assets: "*"}})
	outside := t.TempDir()
	s.Assets = write(t, map[string]string{"link.tar.gz": tarball(t, member{name: "out", link: outside}, member{name: "out/evil", text: "x"}, member{name: "b", text: "x"})})
	if _, err := s.Open(ctx, "bin", amd64); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "evil")); err == nil {
		t.Error("a link led outside")
	}
	// Damaged ones, and files above the limit, are errors.
	big := member{name: "b", text: strings.Repeat("x", 5000)}
	for name, c := range map[string]struct{ content, want string }{
		"cut.tar.gz": {tarball(t, big)[:60], "unexpected EOF"},
		"junk.zip":   {"PK", "zip: not a valid zip file"},
		"big.tar.gz": {tarball(t, big), "b is larger than 1kB: raise limits.file, or leave it out"},
		"big.zip":    {zipfile(t, big), "b is larger than 1kB: raise limits.file, or leave it out"},
	} {
		s := slots(t, write(t, nil), map[string]config.Source{"bin": {Assets: "*"}})
		s.Project.Limit = 1000
		s.Assets = write(t, map[string]string{name: c.content})
		_, err := s.Open(ctx, "bin", amd64)
		wants(t, err, "asset "+name+": "+c.want)
	}
}

func TestBlobsAreBoundedRegularFiles(t *testing.T) {
	tree := &Tree{FS: fstest.MapFS{"a": {Data: []byte("12345")}, "d/x": {}}, Limit: 4}
	_, err := tree.Blob("a")
	wants(t, err, "a is 5 bytes; the limit is 4 bytes: raise limits.file, or leave it out")
	_, err = tree.Blob("d")
	wants(t, err, "d is a folder, not a file")
	_, err = ReadFile(tree.FS, "a", 4)
	wants(t, err, "a is larger than 4 bytes")
	tree.Limit = 5
	tree = &Tree{FS: tree.FS, Limit: 5}
	b, err := tree.Blob("a")
	if err != nil || b.Ref() != formats.Bytes([]byte("12345")).Ref() {
		t.Errorf("Blob = %v, %v", b, err)
	}
}
