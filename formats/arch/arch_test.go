package arch

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

func TestXzThatWantsMuchMemoryIsRefused(t *testing.T) {
	need(t, "xz")
	name := filepath.Join(t.TempDir(), "x")
	for dict, want := range map[string]bool{"64MiB": false, "65MiB": true, "1GiB": true} {
		if err := os.WriteFile(name, make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		packed := mustRun(t, "xz", "-kc", "--block-size=1024", "--lzma2=preset=0,dict="+dict, name)
		_, err := newFormat(t, formats.NoSection).Describe(context.Background(), strings.NewReader(packed), int64(len(packed)))
		if got := err != nil && strings.Contains(err.Error(), "bytes of memory"); got != want {
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
	for _, p := range []formats.Platform{{OS: "darwin", Arch: "arm64"}, {OS: "windows", Arch: "amd64"}, {OS: "linux", Arch: "mips"}} {
		if _, err := f.Identify(hello("1.0"), p); err == nil || !strings.Contains(err.Error(), p.String()) {
			t.Errorf("Identify(%s): %v", p, err)
		}
	}
	if suffix, scheme := f.Detached(); suffix != ".sig" || scheme != formats.OpenPGP {
		t.Error(suffix, scheme)
	}
}

func TestIdentifyRefusesWhatPacmanCannotSay(t *testing.T) {
	f := newFormat(t, formats.NoSection)
	for want, change := range map[string]func(s *formats.Spec){
		`depends "a | b"`:        func(s *formats.Spec) { s.Depends = []string{"a | b"} },
		`depends "(a or b)"`:     func(s *formats.Spec) { s.Depends = []string{"(a or b)"} },
		"overrides.arch.depends": func(s *formats.Spec) { s.Depends = []string{"a|b"} },
		`conflicts "a b"`:        func(s *formats.Spec) { s.Conflicts = []string{"a b"} },
		`recommends "a | b"`:     func(s *formats.Spec) { s.Recommends = []string{"a | b"} },
		`"/bin/sh"`:              func(s *formats.Spec) { s.Depends = []string{"/bin/sh"} },
		"one version":            func(s *formats.Spec) { s.Provides = []string{"a >= 1"} },
		`package name "-x"`:      func(s *formats.Spec) { s.Name = "-x" },
		`package name "a b"`:     func(s *formats.Spec) { s.Name = "a b" },
		"no name":                func(s *formats.Spec) { s.Name = "" },
		"pkgdesc":                func(s *formats.Spec) { s.Summary = "a\nb" },
		"url":                    func(s *formats.Spec) { s.Homepage = "https://x\npkgname = y" },
		"packager":               func(s *formats.Spec) { s.Maintainer = "a\x00" },
		"license":                func(s *formats.Spec) { s.License = "MIT\r" },
		`field "Filename"`:       func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field "size"`:           func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "size", Value: "x"}} },
		"field group":            func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "group", Value: "x\ny"}} },
		"Windows line ends":      func(s *formats.Spec) { s.Scripts.PreInstall = "#!/bin/sh\r\nx\r\n" },
		"NUL":                    func(s *formats.Spec) { s.Scripts.PostRemove = "\x7fELF\x00" },
		`service "a;b"`:          func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "a;b"}} },
		`service "--now"`:        func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "--now"}} },
		`release "1~x"`:          func(s *formats.Spec) { s.Release = "1~x" },
		"longer than 250":        func(s *formats.Spec) { s.Name = strings.Repeat("x", 250) },
		`depends "a>=1%"`:        func(s *formats.Spec) { s.Depends = []string{"a>=1%"} },
	} {
		s := hello("1.0")
		change(s)
		if _, err := f.Identify(s, amd64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
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
	for _, bad := range [][]string{{"/bin/a", "/usr/bin/a"}, {"/bin/a", "/sbin/a"}, {"/.PKGINFO"}, {"/.x/y"}} {
		var files []formats.File
		for _, p := range bad {
			files = append(files, formats.File{Path: p, Type: formats.Regular, Content: x})
		}
		if got, err := placed(files); err == nil {
			t.Errorf("placed(%q) = %v, want an error", bad, got)
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
