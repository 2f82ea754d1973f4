// Package formattest holds the tests that every package format must pass,
// whatever it writes: what formats.Format promises, and what the pipeline relies
// on beyond that.
package formattest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

// linux is the platform most tests write for.
var linux = formats.Platform{OS: "linux", Arch: "amd64"}

// Format tests a kind. keys may be nil; otherwise packages are also written
// signed with the key "main". Paths must come back from Describe as they went in,
// so an archive is given here with its layout as a tree.
func Format(t *testing.T, kind formats.Kind, keys formats.Keys) {
	s := &suite{kind: kind, keys: keys}
	for _, c := range []struct {
		claim string
		test  func(*testing.T, *suite)
	}{
		{"the same values give the same bytes", sameBytes},
		{"signing keeps the bytes the same", sameSigned},
		{"describe says what identify said", describeAgrees},
		{"names and platforms make different files", differentNames},
		{"files come back", filesComeBack},
		{"an empty package is a package", emptyPackage},
		{"a thousand files and large ones fit", manyFiles},
		{"arguments are left alone", argumentsStay},
		{"many may write at once", concurrent},
		{"context ends it", contextEnds},
		{"a writer's error comes back", writerFails},
		{"broken content is an error", brokenContent},
		{"illegal values are refused", illegal},
		{"no value becomes a field of its own", noInjection},
		{"damaged files do no harm", damaged},
	} {
		t.Run(c.claim, func(t *testing.T) { c.test(t, s) })
	}
}

type suite struct {
	kind formats.Kind
	keys formats.Keys
}

// format makes the format afresh; scratch may be nil.
func (s *suite) format(t *testing.T, scratch *formats.Scratch) formats.Format {
	t.Helper()
	f, err := s.kind.New(formats.NoSection, formats.Env{Scratch: scratch})
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != s.kind.Name {
		t.Errorf("Name() = %q, the kind says %q", f.Name(), s.kind.Name)
	}
	return f
}

// Spec returns a spec that every format can carry.
func Spec() *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: "1.2.0", Release: "2",
		Time:    time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC),
		Summary: "Greets people", Description: "It greets people at length.\n\nAnd politely.\n",
		Homepage: "https://example.org/hello", License: "MIT", Maintainer: "A. Maintainer <a@example.org>",
		Vendor: "Example", Section: "utils", Priority: "optional",
		Relations: formats.Relations{Depends: []string{"libgreet >= 1.2", "base"}, Conflicts: []string{"goodbye"}, Provides: []string{"greeter"}},
		Scripts:   formats.Scripts{PostInstall: "#!/bin/sh\nset -e\ntrue\n", PreRemove: "#!/bin/sh\ntrue\n"},
		Changelog: []formats.Change{{Version: "1.2.0", Time: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Maintainer: "A. Maintainer <a@example.org>", Lines: []string{"Greets better."}}},
	}
}

// Files returns one file of each type that every format takes.
func Files() []formats.File {
	text := func(s string) formats.Blob { return formats.Bytes([]byte(s)) }
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: text("#!/bin/sh\necho hello\n")},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/usr/lib/hello/setuid", Type: formats.Regular, Mode: 0o755 | fs.ModeSetuid, Content: text("s")},
		{Path: "/etc/hello/main.conf", Type: formats.Config, Mode: 0o640, Content: text("greeting=hello\n")},
		{Path: "/etc/hello/keep.conf", Type: formats.Keep, Mode: 0o644, Content: text("")},
		{Path: "/usr/share/doc/hello/README", Type: formats.Doc, Mode: 0o644, Content: text("Read me\n")},
		{Path: "/usr/share/hello/with space é", Type: formats.Regular, Mode: 0o644, Content: text("x")},
		{Path: "/usr/share/hello/" + strings.Repeat("long/", 40) + strings.Repeat("n", 120), Type: formats.Regular, Mode: 0o644, Content: text("long")},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: fs.ModeDir | 0o750},
		{Path: "/usr/share/hello/same", Type: formats.Regular, Mode: 0o644, Content: text("x")},
	}
}

// write writes a package or ends the test.
func write(t *testing.T, f formats.Format, spec *formats.Spec, p formats.Platform, files []formats.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, spec, p, files); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return b.Bytes()
}

func describe(t *testing.T, f formats.Format, b []byte) *formats.Meta {
	t.Helper()
	m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	return m
}

// random is the same noise every time; zstd and gzip can't shrink it.
func random(n int, seed uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

var errDisk = errors.New("the disk is gone")

// failingWriter takes left bytes.
type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		n := w.left
		w.left = 0
		return n, errDisk
	}
	w.left -= len(b)
	return len(b), nil
}

// blob says one thing of itself and gives another.
type blob struct {
	ref  formats.Ref
	open func() (io.Reader, error)
}

func (b blob) Ref() formats.Ref { return b.ref }

func (b blob) Open() (io.ReadCloser, error) {
	r, err := b.open()
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error)          { return 0, r.err }
func (r failingReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

func describeFiles(files []formats.File) []string {
	var want []string
	for _, f := range files {
		if f.Type == formats.Dir {
			f.Path += "/"
		}
		if f.Type != formats.Ghost {
			want = append(want, f.Path)
		}
	}
	slices.Sort(want)
	return want
}

func missing(have, want []string) (lost []string) {
	for _, w := range want {
		if _, found := slices.BinarySearch(have, w); !found {
			lost = append(lost, w)
		}
	}
	return lost
}

func thousand() []formats.File {
	var files []formats.File
	for i := range 1000 {
		files = append(files, formats.File{
			Path: fmt.Sprintf("/usr/share/hello/%02d/file-%d", i%37, i), Type: formats.Regular, Mode: 0o644,
			Content: formats.Bytes(fmt.Appendf(nil, "file %d\n", i)),
		})
	}
	return files
}
