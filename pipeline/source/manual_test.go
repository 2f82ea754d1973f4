package source

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestManualPagesAreCompressedWhereDistributionsDo(t *testing.T) {
	page := formats.Bytes([]byte(".TH HELLO 1\n"))
	files := []formats.File{
		{Path: "/usr/share/man/man1/hello.1", Type: formats.Doc, Content: page},
		{Path: "/usr/share/man/de/man1/hello.1", Type: formats.Regular, Content: page},
		{Path: "/usr/share/man/man1/hi.1", Type: formats.Symlink, Target: "hello.1"},
		{Path: "/usr/share/man/man1/done.1.gz", Type: formats.Regular, Content: page},
		{Path: "/usr/share/doc/hello/notes.1", Type: formats.Regular, Content: page},
	}
	for format, want := range map[string][]string{
		"deb": {"/usr/share/man/man1/hello.1.gz", "/usr/share/man/de/man1/hello.1.gz", "/usr/share/man/man1/hi.1.gz", "/usr/share/man/man1/done.1.gz", "/usr/share/doc/hello/notes.1"},
		"ipk": {"/usr/share/man/man1/hello.1", "/usr/share/man/de/man1/hello.1", "/usr/share/man/man1/hi.1", "/usr/share/man/man1/done.1.gz", "/usr/share/doc/hello/notes.1"},
	} {
		got, err := manuals(format, files)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range got {
			if f.Path != want[i] {
				t.Errorf("%s: %s, want %s", format, f.Path, want[i])
			}
		}
		if format != "deb" {
			continue
		}
		if got[2].Target != "hello.1.gz" {
			t.Errorf("the link points to %s", got[2].Target)
		}
		b, err := formats.ReadAll(got[0].Content)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b[4:8], make([]byte, 4)) {
			t.Errorf("the gzip header bears a time: %x", b[:10])
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || string(text) != ".TH HELLO 1\n" {
			t.Errorf("%q, %v", text, err)
		}
	}
	if files[0].Path != "/usr/share/man/man1/hello.1" {
		t.Error("the argument was changed")
	}
}
