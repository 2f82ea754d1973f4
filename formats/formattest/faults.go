package formattest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

func contextEnds(t *testing.T, s *suite) {
	f := s.format(t, nil)
	whole := write(t, f, Spec(), linux, Files())
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Write(gone, &bytes.Buffer{}, Spec(), linux, large()); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v, want context.Canceled", err)
	}
	if _, err := f.Describe(gone, bytes.NewReader(whole), int64(len(whole))); !errors.Is(err, context.Canceled) {
		t.Errorf("Describe: %v, want context.Canceled", err)
	}

	// Cancelled while the content is read.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	content := random(pack.Large*4, 3)
	late := blob{formats.Bytes(content).Ref(), func() (io.Reader, error) {
		cancel()
		return bytes.NewReader(content), nil
	}}
	files := append(Files(), formats.File{Path: "/usr/lib/hello/late", Type: formats.Regular, Mode: 0o644, Content: late})
	if err := f.Write(ctx, &bytes.Buffer{}, Spec(), linux, files); !errors.Is(err, context.Canceled) {
		t.Errorf("Write, cancelled on the way: %v, want context.Canceled", err)
	}
}

func writerFails(t *testing.T, s *suite) {
	f := s.format(t, formats.NewScratch(t.TempDir()))
	size := len(write(t, f, Spec(), linux, large()))
	for _, left := range []int{0, 1, 100, size / 2, size - 1} {
		if err := f.Write(context.Background(), &failingWriter{left}, Spec(), linux, large()); !errors.Is(err, errDisk) {
			t.Errorf("after %d of %d bytes: %v, want the writer's error", left, size, err)
		}
	}
	if err := f.Write(context.Background(), &failingWriter{size}, Spec(), linux, large()); err != nil {
		t.Errorf("with just enough room: %v", err)
	}
}

func brokenContent(t *testing.T, s *suite) {
	for _, size := range []int{100, pack.Large + 100} {
		content := random(size, 2)
		ref := formats.Bytes(content).Ref()
		for _, c := range []struct {
			name string
			open func() (io.Reader, error)
			is   error
		}{
			{"can't be opened", func() (io.Reader, error) { return nil, errDisk }, errDisk},
			{"breaks off with an error", func() (io.Reader, error) {
				return io.MultiReader(bytes.NewReader(content[:50]), failingReader{errDisk}), nil
			}, errDisk},
			{"is too short", func() (io.Reader, error) { return bytes.NewReader(content[:size-1]), nil }, nil},
			{"is empty", func() (io.Reader, error) { return bytes.NewReader(nil), nil }, nil},
			{"is too long", func() (io.Reader, error) {
				return io.MultiReader(bytes.NewReader(content), bytes.NewReader([]byte("x"))), nil
			}, nil},
		} {
			for _, kind := range []formats.FileType{formats.Regular, formats.Config} {
				f := s.format(t, nil)
				files := append(Files(), formats.File{Path: "/etc/hello/broken", Type: kind, Mode: 0o644, Content: blob{ref, c.open}})
				err := f.Write(context.Background(), &bytes.Buffer{}, Spec(), linux, files)
				if err == nil || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("a %s of %d bytes that %s: %v", kind, size, c.name, err)
				}
			}
		}
	}
}

func illegal(t *testing.T, s *suite) {
	f := s.format(t, nil)
	refused := func(what string, spec *formats.Spec, files []formats.File) {
		t.Helper()
		if _, err := f.Identify(spec, linux); err != nil {
			return
		}
		if err := f.Write(context.Background(), &bytes.Buffer{}, spec, linux, files); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	for _, name := range []string{"", " ", "a b", "a\nb", "../a", "a/b", "ünï", "-a", ".a", "a\x00b", "a:b", "a$b"} {
		spec := Spec()
		spec.Name = name
		if _, err := f.Identify(spec, linux); err == nil {
			t.Errorf("Identify took the name %q", name)
		}
		if err := f.Write(context.Background(), &bytes.Buffer{}, spec, linux, nil); err == nil {
			t.Errorf("Write took the name %q", name)
		}
	}
	for _, version := range []string{"", "v1", "1 2", "1\n2", "1/2", "1:2", "../1"} {
		spec := Spec()
		spec.Version = version
		if _, err := f.Identify(spec, linux); err == nil {
			t.Errorf("Identify took the version %q", version)
		}
	}
	for _, release := range []string{"a b", "1\n2", "../1", "1/2"} {
		spec := Spec()
		spec.Release = release
		if _, err := f.Identify(spec, linux); err == nil {
			t.Errorf("Identify took the release %q", release)
		}
	}
	if _, err := f.Identify(Spec(), formats.Platform{}); err == nil {
		t.Error("Identify took no platform")
	}
	x := formats.Bytes([]byte("x"))
	for what, files := range map[string][]formats.File{
		"a relative path":         {{Path: "usr/bin/x", Type: formats.Regular, Content: x}},
		"an unclean path":         {{Path: "/usr/../etc/x", Type: formats.Regular, Content: x}},
		"the root":                {{Path: "/", Type: formats.Dir}},
		"a newline in a path":     {{Path: "/usr/a\nb", Type: formats.Regular, Content: x}},
		"a path twice":            {{Path: "/usr/x", Type: formats.Regular, Content: x}, {Path: "/usr/x", Type: formats.Config, Content: x}},
		"a file without content":  {{Path: "/usr/x", Type: formats.Regular}},
		"a link without target":   {{Path: "/usr/x", Type: formats.Symlink}},
		"a file below a file":     {{Path: "/usr/x", Type: formats.Regular, Content: x}, {Path: "/usr/x/y", Type: formats.Regular, Content: x}},
		"a type that is not one":  {{Path: "/usr/x", Type: "socket", Content: x}},
		"a file without any type": {{Path: "/usr/x", Content: x}},
	} {
		refused(what, Spec(), files)
	}
}

func damaged(t *testing.T, s *suite) {
	f := s.format(t, nil)
	whole := write(t, f, Spec(), linux, Files())
	want := describe(t, f, whole)
	try := func(what string, b []byte, must bool) {
		t.Helper()
		m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		switch {
		case err == nil && must:
			t.Errorf("%s: Describe says it is %s %s", what, m.Name, m.Version)
		case err == nil && m == nil:
			t.Errorf("%s: Describe says nothing at all", what)
		}
	}
	try("an empty file", nil, true)
	try("zeros", make([]byte, 4096), true)
	try("noise", random(4096, 7), true)
	try("text", bytes.Repeat([]byte("hello\n"), 1000), true)
	for _, n := range []int{1, 2, 8, 16, 32, 64} {
		try("its first bytes", whole[:n], true)
		try("its first bytes and noise", append(bytes.Clone(whole[:n]), random(4096, 9)...), true)
	}
	for i := 1; i < 64; i++ {
		cut := whole[:len(whole)*i/64]
		m, err := f.Describe(context.Background(), bytes.NewReader(cut), int64(len(cut)))
		if err == nil && (m.Name != want.Name || m.Version != want.Version) {
			t.Errorf("cut at %d it is %s %s", len(cut), m.Name, m.Version)
		}
	}
	for i := range 512 {
		flipped := bytes.Clone(whole)
		flipped[i*len(whole)/512] ^= 1 << (i % 8)
		try("a flipped bit", flipped, false)
	}
	if _, err := f.Describe(context.Background(), failingReader{errDisk}, int64(len(whole))); err == nil {
		t.Error("Describe of a file that can't be read has no error")
	}
}

// Apart tests that no kind takes the files of another for its own. alike names
// the pairs, reader first, whose files can't be told apart by what is in them.
func Apart(t *testing.T, kinds []formats.Kind, alike ...[2]string) {
	packages := make([][]byte, len(kinds))
	for i, kind := range kinds {
		packages[i] = write(t, (&suite{kind: kind}).format(t, nil), Spec(), linux, Files())
	}
	for i, kind := range kinds {
		for j, b := range packages {
			f := (&suite{kind: kind}).format(t, nil)
			m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
			if slices.Contains(alike, [2]string{kind.Name, kinds[j].Name}) {
				continue
			}
			if (err == nil) != (i == j) {
				t.Errorf("%s describes a %s: %+v, %v", kind.Name, kinds[j].Name, m, err)
			}
		}
	}
}
