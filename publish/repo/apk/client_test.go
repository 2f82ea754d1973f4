package apk

import (
	"archive/tar"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// packageFile is a small apk: a member of .PKGINFO, cut before its end, and a
// member of one file. It is unsigned: the index vouches for it.
func packageFile(t *testing.T, name, version, arch string) ([]byte, *publish.Record) {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	content := []byte("#!/bin/sh\necho hello " + version + "\n")
	sum := sha1.Sum(content)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "usr/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "usr/bin/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "usr/bin/" + name, Mode: 0o755, Size: int64(len(content)), Format: tar.FormatPAX,
			PAXRecords: map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sum)}},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dataPiece, err := deflate(data.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	dataFile := wrap(dataPiece)

	fields := []formats.Field{
		{Key: "pkgname", Value: name}, {Key: "pkgver", Value: version}, {Key: "pkgdesc", Value: "Greets the world"},
		{Key: "url", Value: "https://example.org"}, {Key: "size", Value: fmt.Sprint(len(content))},
		{Key: "arch", Value: arch}, {Key: "license", Value: "MIT"}, {Key: "origin", Value: name},
		{Key: "datahash", Value: fmt.Sprintf("%x", sha256.Sum256(dataFile))},
	}
	var info strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&info, "%s = %s\n", f.Key, f.Value)
	}
	var control bytes.Buffer
	w = tar.NewWriter(&control)
	if err := entry(w, ".PKGINFO", int64(info.Len()), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(info.String())); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	controlPiece, err := deflate(control.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	controlFile := wrap(controlPiece)
	id := sha1.Sum(controlFile)
	fields = append(fields, formats.Field{Key: "checksum", Value: "Q1" + base64.StdEncoding.EncodeToString(id[:])})
	file := append(controlFile, dataFile...)
	return file, &publish.Record{
		Ref:  formats.Bytes(file).Ref(),
		Meta: formats.Meta{Format: "apk", Name: name, Version: version, Arch: arch, Fields: fields},
	}
}

func TestApkInstallsFromTheRepository(t *testing.T) {
	apk := tool(t, "apk")
	r := newRepo(t, Options{}, testEnv())
	tree, root, keys := t.TempDir(), t.TempDir(), t.TempDir()
	var pages [][]*publish.Record
	for _, p := range []struct{ name, version, arch string }{
		{"hello", "1.0.0_rc1-r0", "x86_64"}, {"hello", "1.0.0-r0", "x86_64"}, {"hello-doc", "1.0.0-r0", "noarch"},
	} {
		file, rec := packageFile(t, p.name, p.version, p.arch)
		places, err := r.Place(&rec.Meta, "stable")
		if err != nil {
			t.Fatal(err)
		}
		rec.Path = places[0].Path
		write(t, tree, rec.Path, file)
		pages = append(pages, []*publish.Record{rec})
	}
	index := finish(t, r, build(t, r, "stable/x86_64", append(pages, pagesOf(250, 100)...)...))
	write(t, tree, "apk/stable/x86_64/APKINDEX.tar.gz", index)
	write(t, keys, r.key.Name, r.key.Data)
	server := httptest.NewServer(http.FileServer(http.Dir(tree)))
	defer server.Close()
	write(t, root, "etc/apk/repositories", []byte(server.URL+"/apk/stable\n"))
	args := func(more ...string) []string {
		return append([]string{"--root", root, "--keys-dir", keys, "--arch", "x86_64", "--no-cache", "--no-progress"}, more...)
	}
	run(t, "/", apk, args("--initdb", "add", "hello", "hello-doc")...)
	if out := run(t, "/", apk, args("info", "-v")...); !strings.Contains(out, "hello-1.0.0-r0") || !strings.Contains(out, "hello-doc-1.0.0-r0") {
		t.Errorf("installed: %s", out)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/hello")); err != nil {
		t.Error(err)
	}
	if out := run(t, "/", apk, args("search", "-v", "pkg00249")...); !strings.Contains(out, "Greets the world") {
		t.Errorf("search found %q", out)
	}

	refused := func(name string, served []byte, keyName string) {
		t.Helper()
		write(t, tree, "apk/stable/x86_64/APKINDEX.tar.gz", served)
		keys := t.TempDir()
		write(t, keys, keyName, r.key.Data)
		root := t.TempDir()
		write(t, root, "etc/apk/repositories", []byte(server.URL+"/apk/stable\n"))
		out, err := exec.Command(apk, "--root", root, "--keys-dir", keys, "--arch", "x86_64", "--no-cache", "--initdb", "add", "hello").CombinedOutput()
		if err == nil {
			t.Errorf("%s was installed from: %s", name, out)
		}
	}
	flipped := bytes.Clone(index)
	flipped[len(flipped)-700] ^= 1
	refused("an index with a flipped bit", flipped, r.key.Name)
	refused("an index by a key of another name", index, "other.rsa.pub")
	env := testEnv()
	env.Key = ""
	refused("an unsigned index", finish(t, newRepo(t, Options{}, env), build(t, r, "stable/x86_64", pages...)), r.key.Name)
}
