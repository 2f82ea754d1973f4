package deb_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
)

// archive makes an ar archive of names and bodies in turn.
func archive(parts ...string) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", parts[i], 0, 0, 0, "100644", len(parts[i+1]), parts[i+1])
		if len(parts[i+1])%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// tarOf makes a tar archive of names and bodies in turn.
func tarOf(parts ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w.WriteHeader(&tar.Header{Name: parts[i], Typeflag: tar.TypeReg, Size: int64(len(parts[i+1])), Mode: 0o644})
		w.Write([]byte(parts[i+1]))
	}
	w.Close()
	return b.String()
}

const plain = "Package: a\nVersion: 1\nArchitecture: all\n"

func TestHostilePackagesAreRefused(t *testing.T) {
	d, err := deb.New(deb.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	good := archive("debian-binary", "2.0\n", "control.tar/", tarOf("control", plain), "_gpgorigin", "x", "data.tar", tarOf("./../../etc/x", ""))
	m, err := d.Describe(context.Background(), bytes.NewReader(good), int64(len(good)))
	if err != nil || len(m.Files) != 1 || m.Files[0] != "/etc/x" {
		t.Errorf("Describe = %+v, %v; want the path /etc/x", m, err)
	}
	control := func(text string) []byte {
		return archive("debian-binary", "2.0\n", "control.tar", tarOf("control", text), "data.tar", tarOf())
	}
	for want, b := range map[string][]byte{
		"no ar archive":                                  []byte("PK"),
		"does not start with debian-binary":              archive("x", "y"),
		`the deb has the unknown format version "3.0\n"`: archive("debian-binary", "3.0\n"),
		"no control.tar or no data.tar":                  archive("debian-binary", "2.0\n", "control.tar", tarOf("control", plain)),
		`the deb has the member "data.tar" out of place`: archive("debian-binary", "2.0\n", "data.tar", tarOf()),
		"ends inside a member, at byte":                  good[:len(good)-1500],
		"the archive ends inside a header, at byte 30":   good[:30],
		"the archive has a broken header at byte 8":      bytes.Replace(good, []byte("`\n"), []byte("``"), 1),
		"more than 32 members":                           archive(strings.Split(strings.Repeat("x\x01\x01", 40), "\x01")[:80]...),
		"control.tar: the control paragraph is empty":    control("\n"),
		"control.tar: line 3 begins a second paragraph":  control("Package: a\n\nPackage: b\n"),
		"no file named control":                          archive("debian-binary", "2.0\n", "control.tar", tarOf("x", plain), "data.tar", tarOf()),
		"names the package \"../a\"":                     control("Package: ../a\nVersion: 1\nArchitecture: all\n"),
		"names the architecture \"\"":                    control("Package: a\nVersion: 1\n"),
		"version \"1/2\" has the character":              control("Package: a\nVersion: 1/2\nArchitecture: all\n"),
		"the name \"/a\\nb\" has a control":              archive("debian-binary", "2.0\n", "control.tar", tarOf("control", plain), "data.tar", tarOf("a\nb", "")),
		"control file is 5000000 bytes":                  control(strings.Repeat("x", 5000000)),
		"compression is none of gzip, xz and":            archive("debian-binary", "2.0\n", "control.tar.bz2", "BZh91AY"),
	} {
		if m, err := d.Describe(context.Background(), bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Describe = %+v, %v; want %s", m, err, want)
		}
	}
}

func TestWriteRefusesBadFiles(t *testing.T) {
	d, err := deb.New(deb.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	bad := file("/x", "x")
	bad.Owner = "a b"
	for want, files := range map[string][]formats.File{
		`path "x" is not an absolute, clean path`:            {file("x", "")},
		`path "/../x" is not an absolute, clean path`:        {file("/../x", "")},
		`path "/a" is there twice`:                           {file("/a", ""), file("/a", "")},
		`path "/a/b" is below "/a", which is a file`:         {file("/a", ""), file("/a/b", "")},
		`/x: owner "a b" is not the name of a user or group`: {bad},
	} {
		var b bytes.Buffer
		if err := d.Write(context.Background(), &b, spec(), amd64, files); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("got %v, %d bytes; want %s", err, b.Len(), want)
		}
	}
}

func TestCancelEndsWriting(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	for _, compression := range []string{"gzip", "zstd", "none"} {
		d, err := deb.New(deb.Options{Compression: compression}, formats.Env{Scratch: formats.NewScratch(dir)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(ctx, &bytes.Buffer{}, spec(), amd64, big()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", compression, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d pieces are left, %v", len(left), err)
	}
}

func TestNothingButSharedPiecesIsLeft(t *testing.T) {
	dir := t.TempDir()
	for _, compression := range []string{"gzip", "zstd", "none"} {
		d, err := deb.New(deb.Options{Compression: compression}, formats.Env{Scratch: formats.NewScratch(dir)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(context.Background(), &bytes.Buffer{}, spec(), amd64, []formats.File{file("/x", "small")}); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d pieces are left, %v", len(left), err)
	}
}

func FuzzDescribeBreaksOnNothing(f *testing.F) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		d, err := deb.New(deb.Options{Compression: compression}, formats.Env{})
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.Write(context.Background(), &b, spec(), amd64, []formats.File{file("/x", "y")}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add(archive("debian-binary", "2.0\n", "control.tar", tarOf("control", plain), "data.tar", tarOf("a", "b")))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := deb.New(deb.Options{}, formats.Env{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err == nil && (m.Name == "" || strings.Contains(m.Name+m.Version+m.Arch, "/")) {
			t.Errorf("a package was described as %+v", m)
		}
	})
}
