package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// split takes a package apart at its gzip members, by trying where each ends: on
// purpose not as Describe does.
func split(t *testing.T, b []byte) (packed, plain [][]byte) {
	t.Helper()
	for len(b) > 0 {
		r := bytes.NewReader(b)
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		end := len(b) - r.Len()
		packed, plain, b = append(packed, b[:end]), append(plain, text), b[end:]
	}
	return packed, plain
}

func TestPackageIsThreeMembers(t *testing.T) {
	b := build(t, newFormat(t, "release"), hello("1.3.0-rc.1"), helloFiles())
	packed, plain := split(t, b)
	if len(packed) != 3 {
		t.Fatalf("%d gzip members, want 3", len(packed))
	}
	zero := make([]byte, 512)
	for i, part := range plain {
		if len(part)%512 != 0 {
			t.Errorf("part %d is not whole blocks", i)
		}
		if ends := bytes.HasSuffix(part, append(zero, zero...)); ends != (i == 2) {
			t.Errorf("part %d ends an archive: %v", i, ends)
		}
	}
	// As a whole it is one archive.
	whole := tar.NewReader(bytes.NewReader(slices.Concat(plain...)))
	var names []string
	for {
		h, err := whole.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Name == "hello.txt" || strings.HasPrefix(h.Name, "./") {
			t.Errorf("name %q", h.Name)
		}
	}
	long := "usr/share/hello/" + strings.Repeat("long-", 30) + "/"
	want := []string{".SIGN.RSA256." + keyName, ".PKGINFO", "etc/", "etc/hello/", "etc/hello/hello conf#1=é.txt", "usr/", "usr/bin/", "usr/bin/hello", "usr/bin/hi", "usr/bin/su-hello",
		"usr/share/", "usr/share/hello/", long, long + "empty", "var/", "var/lib/", "var/lib/hello/"}
	if !slices.Equal(names, want) {
		t.Errorf("entries %q\nwant %q", names, want)
	}
}

func TestChecksumsHoldWhenMadeAnew(t *testing.T) {
	b := build(t, newFormat(t, "release"), hello("1"), helloFiles())
	packed, plain := split(t, b)
	control := tar.NewReader(bytes.NewReader(plain[1]))
	if _, err := control.Next(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(control)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := pkginfo.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed[2])
	if last := fields[len(fields)-1]; last != (formats.Field{Key: "datahash", Value: hex.EncodeToString(sum[:])}) {
		t.Errorf("the last line is %v, want datahash %x", last, sum)
	}
	data := tar.NewReader(bytes.NewReader(plain[2]))
	for n := 0; ; n++ {
		h, err := data.Next()
		if errors.Is(err, io.EOF) {
			if n != 15 {
				t.Errorf("%d entries, want 15", n)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got, want := h.PAXRecords[checksumRecord], ""
		switch h.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(data)
			if err != nil {
				t.Fatal(err)
			}
			want = fmt.Sprintf("%x", sha1.Sum(content))
		case tar.TypeSymlink:
			want = fmt.Sprintf("%x", sha1.Sum([]byte(h.Linkname)))
		}
		if got != want {
			t.Errorf("%s: checksum %q, want %q", h.Name, got, want)
		}
	}
	m, err := newFormat(t, "").Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	id := sha1.Sum(packed[1])
	if got, want := m.Get("checksum"), "Q1"+base64.StdEncoding.EncodeToString(id[:]); got != want {
		t.Errorf("checksum %q, want %q", got, want)
	}
}

func TestOpensslVerifiesTheSignature(t *testing.T) {
	need(t, "openssl")
	dir := t.TempDir()
	packed, plain := split(t, build(t, newFormat(t, "release"), hello("1"), helloFiles()))
	r := tar.NewReader(bytes.NewReader(plain[0]))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	signature, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"sig": signature, "control": packed[1]} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "openssl", "dgst", "-sha256", "-verify", writeKey(t, dir), "-signature", filepath.Join(dir, "sig"), filepath.Join(dir, "control"))
}

func TestToolsReadThePackage(t *testing.T) {
	need(t, "gzip", "bsdtar")
	dir := t.TempDir()
	pkg := buildFile(t, newFormat(t, "release"), dir, hello("1"), helloFiles())
	gz := filepath.Join(dir, "x.gz")
	if err := os.Link(pkg, gz); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "gzip", "-t", gz)
	if out := mustRun(t, "bsdtar", "-xOf", pkg, "etc/hello/hello conf#1=é.txt"); out != "a = b\n" {
		t.Errorf("bsdtar reads %q", out)
	}
}

func TestWithoutAKeyThereIsNoSignature(t *testing.T) {
	packed, _ := split(t, build(t, newFormat(t, ""), hello("1"), nil))
	if len(packed) != 2 {
		t.Errorf("%d members, want 2", len(packed))
	}
	f := &Format{env: formats.Env{Key: "release"}}
	if err := f.Write(context.Background(), io.Discard, hello("1"), amd64, nil); err == nil || !strings.Contains(err.Error(), `"release"`) {
		t.Errorf("without keys: %v", err)
	}
	if err := newFormat(t, "other").Write(context.Background(), io.Discard, hello("1"), amd64, nil); err == nil {
		t.Error("an unknown key signed")
	}
}

func TestSameValuesGiveSameBytes(t *testing.T) {
	f := newFormat(t, "release")
	one := build(t, f, hello("1"), helloFiles())
	t.Setenv("TZ", "Asia/Tokyo")
	files := helloFiles()
	slices.Reverse(files)
	if two := build(t, f, hello("1"), files); !bytes.Equal(one, two) {
		t.Error("two runs gave different bytes")
	}
}

func TestDescribeReadsWhatWasWritten(t *testing.T) {
	for _, key := range []string{"", "release"} {
		f := newFormat(t, key)
		b := build(t, f, hello("1.3.0-rc.1"), helloFiles())
		m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Format != "apk" || m.Name != "hello" || m.Version != "1.3.0_rc1-r1" || m.Arch != "x86_64" || m.Get("pkgdesc") != "Says hello" || len(m.Files) != 15 || m.Files[0] != "/etc/" {
			t.Errorf("%+v", m)
		}
	}
}

func TestDamagedPackagesAreRefused(t *testing.T) {
	f := newFormat(t, "release")
	b := build(t, f, hello("1"), helloFiles())
	describe := func(b []byte) error {
		_, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		return err
	}
	packed, _ := split(t, b)
	other, _ := split(t, build(t, f, hello("1"), helloFiles()[1:]))
	for what, b := range map[string][]byte{
		"cut short":        b[:len(b)-1],
		"with a tail":      append(slices.Clone(b), 0),
		"of other files":   slices.Concat(packed[0], packed[1], other[2]),
		"without files":    slices.Concat(packed[0], packed[1]),
		"without control":  slices.Concat(packed[0], packed[2]),
		"signature alone":  packed[0],
		"empty":            nil,
		"not gzip":         []byte("hello"),
		"signed for ever ": bytes.Repeat(packed[0], 100),
	} {
		if err := describe(b); err == nil {
			t.Errorf("a package %s was read", what)
		}
	}
}

// TestForeignPackagesAreRead has the habits of other packagers: a comment,
// a description of two lines, no datahash, names with "./", a revision without
// release.
func TestForeignPackagesAreRead(t *testing.T) {
	member := func(end bool, entries ...[2]string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, e := range entries {
			if err := w.WriteHeader(&tar.Header{Name: e[0], Mode: 0o644, Size: int64(len(e[1]))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, e[1]); err != nil {
				t.Fatal(err)
			}
		}
		err := w.Flush()
		if end {
			err = w.Close()
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	info := "# Generated by nfpm\npkgname = foo\npkgver = 1.0_rc.1\narch = noarch\npkgdesc = one\n  two\nsize = 5\n"
	b := slices.Concat(
		member(false, [2]string{".SIGN.RSA.a.rsa.pub", "x"}, [2]string{".SIGN.RSA256.a.rsa.pub", "x"}),
		member(false, [2]string{".post-install", "#!/bin/sh\n"}, [2]string{".PKGINFO", info}),
		member(true, [2]string{"./usr/x", "hello"}, [2]string{".dummy", ""}))
	m, err := newFormat(t, "").Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil || m.Name != "foo" || m.Version != "1.0_rc.1" || m.Get("pkgdesc") != "one" || !slices.Equal(m.Files, []string{"/usr/x"}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestWordsAndNames(t *testing.T) {
	f := newFormat(t, "")
	for _, p := range formats.LinuxPlatforms() {
		id, err := f.Identify(hello("1.0"), p)
		if err != nil || id != (formats.Identity{Filename: "hello_1.0-r1_" + words[p.CPU()] + ".apk", Name: "hello", Version: "1.0-r1", Arch: words[p.CPU()]}) || id.Arch == "" {
			t.Errorf("Identify(%s) = %+v, %v", p, id, err)
		}
	}
	for _, p := range []formats.Platform{{OS: "darwin", Arch: "arm64"}, {OS: "linux", Arch: "mips"}} {
		if _, err := f.Identify(hello("1.0"), p); err == nil || !strings.Contains(err.Error(), p.String()) {
			t.Errorf("Identify(%s): %v", p, err)
		}
	}
}

func TestIdentifyRefusesWhatApkCannotSay(t *testing.T) {
	f := newFormat(t, "")
	for want, change := range map[string]func(s *formats.Spec){
		`depends "a | b"`:       func(s *formats.Spec) { s.Depends = []string{"a | b"} },
		`depends "(a or b)"`:    func(s *formats.Spec) { s.Depends = []string{"(a or b)"} },
		"overrides.apk.depends": func(s *formats.Spec) { s.Depends = []string{"a|b"} },
		`conflicts "a b"`:       func(s *formats.Spec) { s.Conflicts = []string{"a b"} },
		`depends "a@edge"`:      func(s *formats.Spec) { s.Depends = []string{"a@edge"} },
		`depends "a>=x"`:        func(s *formats.Spec) { s.Depends = []string{"a>=x"} },
		"one version":           func(s *formats.Spec) { s.Provides = []string{"a >= 1"} },
		`package name "-x"`:     func(s *formats.Spec) { s.Name = "-x" },
		`package name "a b"`:    func(s *formats.Spec) { s.Name = "a b" },
		"no name":               func(s *formats.Spec) { s.Name = "" },
		"pkgdesc":               func(s *formats.Spec) { s.Summary = "a\nb" },
		"url":                   func(s *formats.Spec) { s.Homepage = "https://x\npkgname = y" },
		"packager":              func(s *formats.Spec) { s.Maintainer = "a\x00" },
		"license":               func(s *formats.Spec) { s.License = "MIT\r" },
		`field "Filename"`:      func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field "DataHash"`:      func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "DataHash", Value: "x"}} },
		"field triggers":        func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "triggers", Value: "x\ny"}} },
		"Windows line ends":     func(s *formats.Spec) { s.Scripts.PreInstall = "#!/bin/sh\r\nx\r\n" },
		"NUL":                   func(s *formats.Spec) { s.Scripts.PostRemove = "\x7fELF\x00" },
		"262144 bytes":          func(s *formats.Spec) { s.Scripts.PostRemove = strings.Repeat("x\n", maxScript/2) },
		`service "a;b"`:         func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "a;b"}} },
		`release "1~x"`:         func(s *formats.Spec) { s.Release = "1~x" },
		"longer than 255":       func(s *formats.Spec) { s.Name = strings.Repeat("x", 250) },
		`the word "foo"`:        func(s *formats.Spec) { s.Version = "1.0.0-rc.1.foo" },
	} {
		s := hello("1.0")
		change(s)
		if _, err := f.Identify(s, amd64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestRelationsTakeApksForm(t *testing.T) {
	for entry, want := range map[string]string{
		"a": "a", "a >= 1.2-r1": "a>=1.2-r1", "a (<< 1.2)": "a<1.2", "a>=1.3.0-rc.1": "a>=1.3.0_rc1", "!b": "!b", "!b<2": "!b<2", "so:libc.musl-x86_64.so.1": "so:libc.musl-x86_64.so.1",
		"/bin/sh": "/bin/sh", "python3~3.12": "python3~3.12", "python3 =~ 3.12": "python3=~3.12", "cmd:x=1.0-r0": "cmd:x=1.0-r0",
	} {
		if got, err := depend("depends", entry); err != nil || got != want {
			t.Errorf("depend(%q) = %q, %v; want %q", entry, got, err, want)
		}
	}
	for entry, want := range map[string]string{"b": "!b", "!b": "!b", "b (<< 2)": "!b<2"} {
		if got, err := conflict("conflicts", entry); err != nil || got != want {
			t.Errorf("conflict(%q) = %q, %v; want %q", entry, got, err, want)
		}
	}
}

func TestPathsApkWouldDropAreRefused(t *testing.T) {
	for _, p := range []string{"/.hidden", "/.x/y", "/usr/a\tb"} {
		files := []formats.File{{Path: p, Type: formats.Regular, Content: formats.Bytes(nil)}}
		if err := newFormat(t, "").Write(context.Background(), io.Discard, hello("1"), amd64, files); err == nil {
			t.Errorf("path %q was written", p)
		}
	}
}

func TestScriptsAreCleanPosixShell(t *testing.T) {
	s := hello("1")
	s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
	s.Scripts = formats.Scripts{PreInstall: "echo hi", PostInstall: "#!/usr/bin/env python3\nprint('''\nDISTROPACK_END\n''')\n", PreRemove: "exit 3\n", PostUpgrade: "# nothing\n"}
	all, err := scripts(s)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.name)
		name := filepath.Join(t.TempDir(), m.name)
		if err := os.WriteFile(name, []byte(m.text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, check := range [][]string{{"shellcheck"}, {"dash", "-n"}, {"busybox", "sh", "-n"}, {"bash", "--posix", "-n"}} {
			need(t, check[0])
			if out, err := run(t, check[0], append(check[1:], name)...); err != nil {
				t.Errorf("%s: %s\n%s", check[0], out, m.text)
			}
		}
	}
	if want := []string{".pre-install", ".post-install", ".pre-upgrade", ".post-upgrade", ".pre-deinstall", ".post-deinstall"}; !slices.Equal(names, want) {
		t.Errorf("scripts %q, want %q", names, want)
	}
}

func TestScriptAloneStaysAsItIs(t *testing.T) {
	s := hello("1")
	s.Scripts = formats.Scripts{PostInstall: "#!/usr/bin/lua\nprint(1)\n", PreRemove: "echo bye", PostRemove: "# idle\n"}
	all, err := scripts(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := []script{{".post-install", "#!/usr/bin/lua\nprint(1)\n"}, {".post-upgrade", "#!/usr/bin/lua\nprint(1)\n"}, {".pre-deinstall", "#!/bin/sh\necho bye\n"}}; !slices.Equal(all, want) {
		t.Errorf("scripts %q, want %q", all, want)
	}
}

func FuzzDescribeNeverPanics(f *testing.F) {
	f.Add(build(f, newFormat(f, "release"), hello("1"), helloFiles()[1:]))
	f.Add(build(f, newFormat(f, ""), hello("1"), nil))
	format := newFormat(f, "")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := format.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err == nil && (m.Name == "" || m.Version == "") {
			t.Errorf("%+v", m)
		}
	})
}
