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
	"github.com/distropack/distropack/formats/internal/pack"
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
	for want, env := range map[string]formats.Env{
		`key "release": there are no keys to sign with`: {Key: "release"},
		`no key "other" for rsa256`:                     {Key: "other", Keys: newKeys()},
		`key "release": its file name "a/b.rsa.pub" can't stand in a package; letters, digits and . _ + - @ can`: {Key: "release", Keys: namedKeys{newKeys(), "a/b.rsa.pub"}},
	} {
		f := &Format{env: env}
		if err := f.Write(context.Background(), io.Discard, hello("1"), amd64, nil); fmt.Sprint(err) != want {
			t.Errorf("Write: %v, want %s", err, want)
		}
	}
}

// namedKeys are keys whose public halves lie in a file called name.
type namedKeys struct {
	formats.Keys
	name string
}

func (k namedKeys) Public(string, formats.Scheme) (*formats.PublicKey, error) {
	return &formats.PublicKey{Name: k.name}, nil
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
	packed, plain := split(t, b)
	other, _ := split(t, build(t, f, hello("1"), helloFiles()[1:]))
	info := func(text string) []byte { return member(t, false, [2]string{".PKGINFO", text}) }
	good := info("pkgname = foo\npkgver = 1\narch = noarch\n")
	hash := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	half := slices.Clone(packed[2])
	half[len(half)-8]++ // of the checksum that ends it
	var noTar bytes.Buffer
	z := gzip.NewWriter(&noTar)
	if _, err := z.Write(bytes.Repeat([]byte("x"), 512)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, want string
		b          []byte
	}{
		{"empty", "a part is missing; the package is cut short", nil},
		{"of a signature alone", "a part is missing; the package is cut short", packed[0]},
		{"without files", "a part is missing; the package is cut short", slices.Concat(packed[0], packed[1])},
		{"not gzip", "a part is not gzip: gzip: invalid header", []byte("hello world")},
		{"not compressed", "a part is not gzip: gzip: invalid header", plain[0]},
		{"cut short at its end", "a part can't be read to its end: unexpected EOF", b[:len(b)-1]},
		{"cut short in its files", "the files can't be read: unexpected EOF", b[:len(b)-len(packed[2])/2]},
		{"with another checksum", "a part can't be read to its end: gzip: invalid checksum", slices.Concat(packed[0], packed[1], half)},
		{"with a tail", "something follows the files; apk refuses such packages", append(slices.Clone(b), 0)},
		{"of other files", "the files hash to " + hash(other[2]) + `, but datahash is "` + hash(packed[2]) + `"`, slices.Concat(packed[0], packed[1], other[2])},
		{"without control", "files come before .PKGINFO; this is no apk package", slices.Concat(packed[0], packed[2])},
		{"of signatures", "no .PKGINFO in the first 16 parts; this is no apk package", bytes.Repeat(packed[0], 100)},
		{"whose control is no tar", "the control part can't be read: archive/tar: invalid tar header", noTar.Bytes()},
		{"whose data is no tar", "the files can't be read: archive/tar: invalid tar header", slices.Concat(good, noTar.Bytes())},
		{"with a long control part", "a part is longer than 16777216 bytes", member(t, false, [2]string{".post-install", strings.Repeat("\n", maxControl)})},
		{"without a description", ".PKGINFO is empty", info("# nothing\n")},
		{"with an escape", `.PKGINFO: line 2: url "\x1b[31m" has a control character`, info("pkgname = foo\nurl = \x1b[31m\n")},
		{"without a version", `package "foo", version "", architecture "noarch": not what apk allows`, info("pkgname = foo\narch = noarch\n")},
		{"with a path for a name", `package "../foo", version "1", architecture "noarch": not what apk allows`, info("pkgname = ../foo\npkgver = 1\narch = noarch\n")},
		{"with a checksum", ".PKGINFO has a checksum of its own", info("pkgname = foo\npkgver = 1\narch = noarch\nchecksum = Q1x\n")},
	} {
		if m, err := f.Describe(context.Background(), bytes.NewReader(c.b), int64(len(c.b))); fmt.Sprint(err) != c.want {
			t.Errorf("a package %s: %+v, %v; want %s", c.what, m, err, c.want)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	var entry bytes.Buffer
	if err := tar.NewWriter(&entry).WriteHeader(&tar.Header{Name: strings.Repeat("n", 1<<20-100)}); err != nil {
		t.Fatal(err)
	}
	p, err := pack.New(context.Background(), pack.Gzip, formats.NewScratch(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for range 129 { // compressed once
		if err := p.Blob(formats.Bytes(entry.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	d, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := bytes.NewBuffer(member(t, false, [2]string{".PKGINFO", "pkgname = foo\npkgver = 1\narch = noarch\n"}))
	if _, err := d.WriteTo(b); err != nil {
		t.Fatal(err)
	}
	_, err = newFormat(t, "").Describe(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()))
	if want := "more than 1048576 files or 134217728 bytes of names"; fmt.Sprint(err) != want {
		t.Errorf("Describe: %v, want %s", err, want)
	}
}

// TestForeignPackagesAreRead has the habits of other packagers: a comment,
// a description of two lines, no datahash, names with "./", a revision without
// release.
func TestForeignPackagesAreRead(t *testing.T) {
	info := "# Generated by nfpm\npkgname = foo\npkgver = 1.0_rc.1\narch = noarch\npkgdesc = one\n  two\nsize = 5\n"
	b := slices.Concat(
		member(t, false, [2]string{".SIGN.RSA.a.rsa.pub", "x"}, [2]string{".SIGN.RSA256.a.rsa.pub", "x"}),
		member(t, false, [2]string{".post-install", "#!/bin/sh\n"}, [2]string{".PKGINFO", info}),
		member(t, true, [2]string{"./usr/x", "hello"}, [2]string{".dummy", ""}))
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
	for want, p := range map[string]formats.Platform{
		"platform darwin/arm64: apk packages are for linux only": {OS: "darwin", Arch: "arm64"},
		"platform linux/mips: apk has no word for this CPU":      {OS: "linux", Arch: "mips"},
	} {
		if _, err := f.Identify(hello("1.0"), p); fmt.Sprint(err) != want {
			t.Errorf("Identify(%s): %v, want %s", p, err, want)
		}
	}
}

func TestIdentifyRefusesWhatApkCannotSay(t *testing.T) {
	f := newFormat(t, "")
	for want, change := range map[string]func(s *formats.Spec){
		`depends "a | b" is a choice, which apk can't express; name one package, or something that all of them provide, under overrides.apk.depends`:        func(s *formats.Spec) { s.Depends = []string{"a | b"} },
		`conflicts "(a or b)" is a choice, which apk can't express; name one package, or something that all of them provide, under overrides.apk.conflicts`: func(s *formats.Spec) { s.Conflicts = []string{"(a or b)"} },
		`conflicts "a b" is no relation apk knows: write name or name>=version`:                                                                             func(s *formats.Spec) { s.Conflicts = []string{"a b"} },
		`depends "a@edge": "a@edge" is not a legal name for apk; name a package under overrides.apk.depends`:                                                func(s *formats.Spec) { s.Depends = []string{"a@edge"} },
		`predepends "a>=x": version "x" does not start with a digit`:                                                                                        func(s *formats.Spec) { s.PreDepends = []string{"a>=x"} },
		`provides "a >= 1": a package provides one version: write name=version`:                                                                             func(s *formats.Spec) { s.Provides = []string{"a >= 1"} },
		`provides "!a": a package provides one version: write name=version`:                                                                                 func(s *formats.Spec) { s.Provides = []string{"!a"} },
		`package name "-x" is not legal for apk: letters, digits and . _ + - are, and - . or + can't be first`:                                              func(s *formats.Spec) { s.Name = "-x" },
		`package name "a b" is not legal for apk: letters, digits and . _ + - are, and - . or + can't be first`:                                             func(s *formats.Spec) { s.Name = "a b" },
		"the package has no name": func(s *formats.Spec) { s.Name = "" },
		`pkgdesc "a\nb" has a line break or control character; one line of text is allowed`:                                                  func(s *formats.Spec) { s.Summary = "a\nb" },
		`url "https://x\npkgname = y" has a line break or control character; one line of text is allowed`:                                    func(s *formats.Spec) { s.Homepage = "https://x\npkgname = y" },
		`packager "a\x00" has a line break or control character; one line of text is allowed`:                                                func(s *formats.Spec) { s.Maintainer = "a\x00" },
		`license "MIT\r" has a line break or control character; one line of text is allowed`:                                                 func(s *formats.Spec) { s.License = "MIT\r" },
		`field "Filename" is written by the format itself; remove it`:                                                                        func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field "DataHash" is written by the format itself; remove it`:                                                                        func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "DataHash", Value: "x"}} },
		`field triggers "x\ny" has a line break or control character; one line of text is allowed`:                                           func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "triggers", Value: "x\ny"}} },
		"the preinstall script has Windows line ends; save it with LF alone":                                                                 func(s *formats.Spec) { s.Scripts.PreInstall = "#!/bin/sh\r\nx\r\n" },
		"the postremove script has a NUL byte; only text scripts can run":                                                                    func(s *formats.Spec) { s.Scripts.PostRemove = "\x7fELF\x00" },
		"the postremove script is longer than the 262144 bytes apk allows; put it into the package and call it":                              func(s *formats.Spec) { s.Scripts.PostRemove = strings.Repeat("x\n", maxScript/2) },
		`service "a;b" is not a unit's name`:                                                                                                 func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "a;b"}} },
		`release "1~x" is not a number: write 0, 1 or 2, which apk calls r0, r1 and r2`:                                                      func(s *formats.Spec) { s.Release = "1~x" },
		`file name "` + strings.Repeat("x", 250) + `_1.0-r1_x86_64.apk" is longer than 255 bytes; shorten the name or version`:               func(s *formats.Spec) { s.Name = strings.Repeat("x", 250) },
		`version "1.0.0-rc.1.foo": pre-release "rc.1.foo" has the word "foo" behind others, which apk can't order; use one word and numbers`: func(s *formats.Spec) { s.Version = "1.0.0-rc.1.foo" },
	} {
		s := hello("1.0")
		change(s)
		if _, err := f.Identify(s, amd64); fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
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
	for p, want := range map[string]string{
		"/.hidden":  `path "/.hidden": apk takes files in / that start with a dot for its own`,
		"/.x/y":     `path "/.x/y": apk takes files in / that start with a dot for its own`,
		"/usr/a\tb": `path "/usr/a\tb" has a control character; apk leaves such files out`,
	} {
		files := []formats.File{{Path: p, Type: formats.Regular, Content: formats.Bytes(nil)}}
		if err := newFormat(t, "").Write(context.Background(), io.Discard, hello("1"), amd64, files); fmt.Sprint(err) != want {
			t.Errorf("path %q: %v, want %s", p, err, want)
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
