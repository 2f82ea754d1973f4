package arch

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/distropack/distropack/formats"
)

func TestSameValuesGiveSameBytes(t *testing.T) {
	f := newFormat(t, formats.NoSection)
	one := build(t, f, hello("1"), helloFiles())
	t.Setenv("TZ", "Asia/Tokyo")
	files := helloFiles()
	slices.Reverse(files)
	if two := build(t, f, hello("1"), files); !bytes.Equal(one, two) {
		t.Error("two runs gave different bytes")
	}
}

func TestDescribeReadsWhatWasWritten(t *testing.T) {
	for _, compression := range []string{"zstd", "gzip"} {
		f := newFormat(t, options{compression})
		b := build(t, f, hello("1.3.0-rc.1"), helloFiles())
		m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Format != "arch" || m.Name != "hello" || m.Version != "1.3.0rc.1-1" || m.Arch != "x86_64" || m.Get("backup") != "etc/hello/hello conf#1=é.txt" {
			t.Errorf("%+v", m)
		}
		long := "/usr/share/hello/" + strings.Repeat("long-", 30) + "/"
		want := []string{"/etc/", "/etc/hello/", "/etc/hello/hello conf#1=é.txt", "/usr/", "/usr/bin/", "/usr/bin/hello", "/usr/bin/hi", "/usr/bin/su-hello",
			"/usr/lib/", "/usr/lib/systemd/", "/usr/lib/systemd/system/", "/usr/lib/systemd/system/hello.service",
			"/usr/share/", "/usr/share/hello/", long, long + "empty", "/var/", "/var/lib/", "/var/lib/hello/"}
		if !slices.Equal(m.Files, want) {
			t.Errorf("files %q\nwant %q", m.Files, want)
		}
	}
}

func TestDescribeReadsXzAndPlainTar(t *testing.T) {
	need(t, "zstd", "xz")
	f := newFormat(t, formats.NoSection)
	dir := t.TempDir()
	zst := filepath.Join(dir, "x.tar.zst")
	noise := make([]byte, 200_000) // what xz stores as it is
	rand.NewChaCha8([32]byte{}).Read(noise)
	files := append(helloFiles(), formats.File{Path: "/usr/bin/noise", Type: formats.Regular, Content: formats.Bytes(noise)})
	if err := os.WriteFile(zst, build(t, f, hello("1"), files), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "zstd", "-dq", zst)
	mustRun(t, "xz", "-k", "-T2", "--block-size=100000", filepath.Join(dir, "x.tar"))
	for _, name := range []string{"x.tar", "x.tar.xz"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err != nil || m.Name != "hello" || len(m.Files) != 20 {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestDamagedPackagesAreRefused(t *testing.T) {
	names := func(n int, last string) []string { return append(slices.Repeat([]string{"x"}, n), last) }
	const info = "pkgname = foo\npkgver = 1-1\narch = any\n"
	good := plain(t, info, ".PKGINFO", "usr/x")
	var packed bytes.Buffer
	z, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(good); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	// Behind the stream's 12 bytes: the block header's length, flags, the filter's
	// id, the length of its properties and the dictionary's size; then chunks.
	damaged := func(at int, c byte) []byte {
		b := bytes.Clone(packed.Bytes())
		b[at] = c
		return b
	}
	member := func(name string) []byte { // gzip that others may follow
		whole := plain(t, info, name)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(whole[:len(whole)-1024]); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, c := range []struct {
		what, want string
		b          []byte
	}{
		{"empty", "the archive can't be read: 0 bytes are no package", nil},
		{"of four bytes", "the archive can't be read: 4 bytes are no package", good[:4]},
		{"cut short", "the archive can't be read: unexpected EOF", good[:300]},
		{"cut short in gzip", "the archive can't be read: unexpected EOF", member(".PKGINFO")[:40]},
		{"with a broken gzip header", "the archive can't be read: gzip: invalid header", []byte("\x1f\x8bnothing at all")},
		{"with a description in place 64", "<nil>", plain(t, info, names(63, ".PKGINFO")...)},
		{"with a description in place 65", "no .PKGINFO among the first 64 entries; this is no pacman package", plain(t, info, names(64, ".PKGINFO")...)},
		{"without a description", "no pkgname, pkgver or arch in .PKGINFO; this is no pacman package", plain(t, "", "usr/x")},
		{"without a version", "no pkgname, pkgver or arch in .PKGINFO; this is no pacman package", plain(t, "pkgname = foo\narch = any\n", ".PKGINFO")},
		{"of apk", ".PKGINFO has a datahash; this is an apk package", plain(t, info+"datahash = 00\n", ".PKGINFO")},
		{"with a path for a name", `package "../foo", version "1-1", architecture "any": not what pacman allows`, plain(t, strings.Replace(info, "foo", "../foo", 1), ".PKGINFO")},
		{"with an escape", `.PKGINFO: line 1: url "\x1b[31m" has a control character`, plain(t, "url = \x1b[31m\n", ".PKGINFO")},
		{"with long names", "the archive has more than 1048576 entries or 134217728 bytes of names", append(member(".PKGINFO"), bytes.Repeat(member(strings.Repeat("n", 1<<20-100)), 129)...)},
		{"as xz", "<nil>", packed.Bytes()},
		{"as xz with two filters", "the archive can't be read: the xz stream is damaged or has filters besides LZMA2", damaged(13, 1)},
		{"as xz with a delta filter", "the archive can't be read: the xz stream is damaged or has filters besides LZMA2", damaged(14, 3)},
		{"as xz with a broken chunk", "the archive can't be read: the xz stream is damaged or has filters besides LZMA2", damaged(12+4*(1+int(packed.Bytes()[12])), 0x7f)},
		{"as xz of much memory", "the archive can't be read: the xz stream asks for 4294967296 bytes of memory; 67108864 are allowed", damaged(16, 40)},
	} {
		_, err := newFormat(t, formats.NoSection).Describe(context.Background(), bytes.NewReader(c.b), int64(len(c.b)))
		if fmt.Sprint(err) != c.want {
			t.Errorf("a package %s: %v, want %s", c.what, err, c.want)
		}
	}
}

func TestXzThatWantsMuchMemoryIsRefused(t *testing.T) {
	need(t, "xz")
	name := filepath.Join(t.TempDir(), "x")
	for dict, asked := range map[string]string{"64MiB": "", "65MiB": "asks for 100663296 bytes", "1GiB": "asks for 1073741824 bytes"} {
		if err := os.WriteFile(name, make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		packed := mustRun(t, "xz", "-kc", "--block-size=1024", "--lzma2=preset=0,dict="+dict, name)
		_, err := newFormat(t, formats.NoSection).Describe(context.Background(), strings.NewReader(packed), int64(len(packed)))
		if asked == "" && strings.Contains(fmt.Sprint(err), "bytes of memory") || !strings.Contains(fmt.Sprint(err), asked) {
			t.Errorf("%s: %v", dict, err)
		}
	}
}

func TestBsdtarReadsMtree(t *testing.T) {
	need(t, "bsdtar")
	dir := t.TempDir()
	pkg := buildFile(t, newFormat(t, formats.NoSection), dir, hello("1"), helloFiles())
	mustRun(t, "bsdtar", "-xf", pkg, "-C", dir, ".MTREE")
	plain := mustRun(t, "bsdtar", "-tf", filepath.Join(dir, ".MTREE"))
	var want []string
	for name := range strings.Lines(mustRun(t, "bsdtar", "-tf", pkg)) {
		if name = strings.TrimSuffix(name, "\n"); name != ".MTREE" {
			want = append(want, "./"+strings.TrimSuffix(name, "/"))
		}
	}
	if got := strings.Split(strings.TrimSpace(plain), "\n"); !slices.Equal(got, want) {
		t.Errorf("bsdtar lists %q\nwant %q", got, want)
	}
}

func TestWordsAndNames(t *testing.T) {
	f := newFormat(t, formats.NoSection)
	for _, p := range formats.LinuxPlatforms() {
		id, err := f.Identify(hello("1.0"), p)
		if err != nil || id.Filename != "hello-1.0-1-"+words[p.CPU()]+".pkg.tar.zst" {
			t.Errorf("Identify(%s) = %+v, %v", p, id, err)
		}
	}
	for want, p := range map[string]formats.Platform{
		"platform darwin/arm64: arch packages are for linux only":  {OS: "darwin", Arch: "arm64"},
		"platform windows/amd64: arch packages are for linux only": {OS: "windows", Arch: "amd64"},
		"platform linux/mips: arch has no word for this CPU":       {OS: "linux", Arch: "mips"},
	} {
		if _, err := f.Identify(hello("1.0"), p); fmt.Sprint(err) != want {
			t.Errorf("Identify(%s): %v, want %s", p, err, want)
		}
	}
	if _, err := Kind().New(options{"lzma"}, formats.Env{}); fmt.Sprint(err) != `compression "lzma" is unknown to arch; use zstd or gzip` {
		t.Errorf("New: %v", err)
	}
	if suffix, scheme := f.Detached(); suffix != ".sig" || scheme != formats.OpenPGP {
		t.Error(suffix, scheme)
	}
}

func TestIdentifyRefusesWhatPacmanCannotSay(t *testing.T) {
	f := newFormat(t, formats.NoSection)
	const oneLine = " has a line break or control character; one line of text is allowed"
	for want, change := range map[string]func(s *formats.Spec){
		`depends "a | b" is a choice, which pacman can't express; name one package under overrides.arch.depends`:        func(s *formats.Spec) { s.Depends = []string{"a | b"} },
		`conflicts "(a or b)" is a choice, which pacman can't express; name one package under overrides.arch.conflicts`: func(s *formats.Spec) { s.Conflicts = []string{"(a or b)"} },
		`recommends "a | b" is a choice, which pacman can't express; name one package under overrides.arch.recommends`:  func(s *formats.Spec) { s.Recommends = []string{"a | b: for x"} },
		`conflicts "a b" is no relation pacman knows: write name or name>=version`:                                      func(s *formats.Spec) { s.Conflicts = []string{"a b"} },
		`depends "/bin/sh": "/bin/sh" is not a legal name for pacman; name a package under overrides.arch.depends`:      func(s *formats.Spec) { s.Depends = []string{"/bin/sh"} },
		`depends "a>=1%": version "1%" is not legal for pacman`:                                                         func(s *formats.Spec) { s.Depends = []string{"a>=1%"} },
		`depends "a>=~rc1": version "~rc1" does not start with a digit`:                                                 func(s *formats.Spec) { s.Depends = []string{"a>=~rc1"} },
		`provides "a >= 1": a package provides one version: write name=version`:                                         func(s *formats.Spec) { s.Provides = []string{"a >= 1"} },
		`package name "-x" is not legal for pacman: letters, digits and @ . _ + - are, and - or . can't be first`:       func(s *formats.Spec) { s.Name = "-x" },
		`package name "a b" is not legal for pacman: letters, digits and @ . _ + - are, and - or . can't be first`:      func(s *formats.Spec) { s.Name = "a b" },
		"the package has no name":                                                                func(s *formats.Spec) { s.Name = "" },
		`pkgdesc "a\nb"` + oneLine:                                                               func(s *formats.Spec) { s.Summary = "a\nb" },
		`url "https://x\npkgname = y"` + oneLine:                                                 func(s *formats.Spec) { s.Homepage = "https://x\npkgname = y" },
		`packager "a\x00"` + oneLine:                                                             func(s *formats.Spec) { s.Maintainer = "a\x00" },
		`license "MIT\r"` + oneLine:                                                              func(s *formats.Spec) { s.License = "MIT\r" },
		`field group "x\ny"` + oneLine:                                                           func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "group", Value: "x\ny"}} },
		`field "Filename" is written by the format itself; remove it`:                            func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field "size" is written by the format itself; remove it`:                                func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "size", Value: "x"}} },
		"the preinstall script has Windows line ends; save it with LF alone":                     func(s *formats.Spec) { s.Scripts.PreInstall = "#!/bin/sh\r\nx\r\n" },
		"the postremove script has a NUL byte; only text scripts can run":                        func(s *formats.Spec) { s.Scripts.PostRemove = "\x7fELF\x00" },
		"the preremove script is longer than 1048576 bytes; put it into the package and call it": func(s *formats.Spec) { s.Scripts.PreRemove = strings.Repeat("x\n", maxScript/2+1) },
		`service "a;b" is not a unit's name`:                                                     func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "a;b"}} },
		`service "--now" is not a unit's name`:                                                   func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "--now"}} },
		`release "1~x" is not a number: pacman's releases are 1, 2 or 1.1`:                       func(s *formats.Spec) { s.Release = "1~x" },
		`file name "` + strings.Repeat("x", 250) + `-1.0-1-x86_64.pkg.tar.zst" is longer than 250 bytes; shorten the name or version`: func(s *formats.Spec) { s.Name = strings.Repeat("x", 250) },
	} {
		s := hello("1.0")
		change(s)
		if _, err := f.Identify(s, amd64); fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestRelationsKeepPacmansVersions(t *testing.T) {
	for entry, want := range map[string]string{
		"a": "a", "a >= 1.2-1": "a>=1.2-1", "a (<< 1:2)": "a<1:2", "a>=1.3.0-rc.1": "a>=1.3.0rc.1", "libx.so=1-64": "libx.so=1-64", "a >= 1.0~rc1": "a>=1.0rc1",
	} {
		if got, err := depend("depends", entry); err != nil || got != want {
			t.Errorf("depend(%q) = %q, %v; want %q", entry, got, err, want)
		}
	}
}

func TestFilesFollowArchsLinks(t *testing.T) {
	x := formats.Bytes([]byte("x"))
	files := []formats.File{
		{Path: "/bin/a", Type: formats.Regular, Content: x}, {Path: "/lib", Type: formats.Dir, Mode: 0o700}, {Path: "/usr/lib", Type: formats.Dir, Mode: 0o755},
		{Path: "/usr/sbin/b", Type: formats.Regular, Content: x}, {Path: "/library/c", Type: formats.Regular, Content: x}, {Path: "/usr/lib64/d", Type: formats.Regular, Content: x},
	}
	got, err := placed(files)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range got {
		paths = append(paths, f.Path)
		if f.Path == "/usr/lib" && f.Mode.Perm() != 0o755 {
			t.Errorf("/usr/lib has the mode of /lib")
		}
	}
	if want := []string{"/library", "/library/c", "/usr", "/usr/bin", "/usr/bin/a", "/usr/bin/b", "/usr/lib", "/usr/lib/d"}; !slices.Equal(paths, want) {
		t.Errorf("placed at %q, want %q", paths, want)
	}
	for want, bad := range map[string][]string{
		`paths "/bin/a" and "/usr/bin/a" are one file on Arch`:                        {"/bin/a", "/usr/bin/a"},
		`paths "/bin/a" and "/sbin/a" are one file on Arch`:                           {"/bin/a", "/sbin/a"},
		`path "/usr/lib/a/b" is below "/usr/lib/a", which is a file`:                  {"/lib/a", "/usr/lib/a/b"},
		`path "/.PKGINFO": pacman takes files in / that start with a dot for its own`: {"/.PKGINFO"},
		`path "/.x/y": pacman takes files in / that start with a dot for its own`:     {"/.x/y"},
	} {
		var files []formats.File
		for _, p := range bad {
			files = append(files, formats.File{Path: p, Type: formats.Regular, Content: x})
		}
		if err := newFormat(t, formats.NoSection).Write(context.Background(), io.Discard, hello("1"), amd64, files); fmt.Sprint(err) != want {
			t.Errorf("Write of %q: %v, want %s", bad, err, want)
		}
	}
}

func TestScriptletIsCleanPosixShell(t *testing.T) {
	s := hello("1")
	s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
	s.Scripts = formats.Scripts{PreInstall: "echo hi", PostInstall: "#!/usr/bin/env python3\nprint('''\nDISTROPACK_END\n''')\n", PreRemove: "exit 3\n", PostUpgrade: "# nothing\n"}
	files := []formats.File{{Path: "/a b", Type: formats.Dir, Owner: "hello", Mode: 0o755 | os.ModeSetgid}}
	text, err := scriptlet(s, files)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "INSTALL")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, check := range [][]string{{"shellcheck", "-x"}, {"dash", "-n"}, {"busybox", "sh", "-n"}, {"bash", "--posix", "-n"}} {
		need(t, check[0])
		if out, err := run(t, check[0], append(check[1:], name)...); err != nil {
			t.Errorf("%s: %s\n%s", check[0], out, text)
		}
	}
	if n := bytes.Count(text, []byte("DISTROPACK_END_'")); n != 1 {
		t.Errorf("%d here-documents end in the longer word, want 1:\n%s", n, text)
	}
}

func TestNothingToDoMeansNoScriptlet(t *testing.T) {
	s := hello("1")
	s.Scripts.PostInstall = "#!/bin/sh\n\n# later\n"
	if text, err := scriptlet(s, helloFiles()); err != nil || text != nil {
		t.Errorf("scriptlet = %q, %v", text, err)
	}
}

func FuzzDescribeNeverPanics(f *testing.F) {
	spec := hello("1")
	for _, c := range []string{"zstd", "gzip"} {
		f.Add(build(f, newFormat(f, options{c}), spec, helloFiles()[1:]))
	}
	f.Add([]byte{0xfd, '7', 'z', 'X', 'Z', 0, 0, 4})
	format := newFormat(f, formats.NoSection)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := format.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err == nil && (m.Name == "" || m.Version == "") {
			t.Errorf("%+v", m)
		}
	})
}
