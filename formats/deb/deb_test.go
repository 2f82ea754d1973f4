package deb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
)

func TestIdentifyMapsVersionsAndPlatforms(t *testing.T) {
	d, err := deb.New(deb.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ version, epoch, release, platform, want, full string }{
		{"1.3.0", "", "", "amd64", "hello_1.3.0-1_amd64.deb", "1.3.0-1"},
		{"1.3.0-rc.1+build.5", "", "2", "arm64", "hello_1.3.0~rc.1+build.5-2_arm64.deb", "1.3.0~rc.1+build.5-2"},
		{"1.3.0", "1", "", "arm/v6", "hello_1.3.0-1_armhf.deb", "1:1.3.0-1"},
		{"1.3.0", "00", "", "arm/v7", "hello_1.3.0-1_armhf.deb", "1.3.0-1"},
		{"2024-01-02", "", "", "386", "hello_2024-01-02-1_i386.deb", "2024-01-02-1"},
		{"1_2", "", "", "ppc64le", "hello_1.2-1_ppc64el.deb", "1.2-1"},
		{"1", "", "", "riscv64", "hello_1-1_riscv64.deb", "1-1"},
		{"1", "", "", "s390x", "hello_1-1_s390x.deb", "1-1"},
		{"1", "", "", "loong64", "hello_1-1_loong64.deb", "1-1"},
		{"1", "", "", "noarch", "hello_1-1_all.deb", "1-1"},
	} {
		s := spec()
		s.Version, s.Epoch, s.Release = c.version, c.epoch, c.release
		p, err := formats.ParsePlatform(c.platform)
		if err != nil {
			t.Fatal(err)
		}
		id, err := d.Identify(s, p)
		if err != nil || id.Filename != c.want || id.Version != c.full || id.Name != "hello" {
			t.Errorf("Identify(%s %s %s) = %+v, %v; want %s %s", c.version, c.epoch, c.release, id, err, c.want, c.full)
		}
	}
}

func TestIdentifyRefusesWhatDebianCannotSay(t *testing.T) {
	d, err := deb.New(deb.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 201)
	for want, change := range map[string]func(*formats.Spec){
		`name "Hello" has the character 'H'`:                                                         func(s *formats.Spec) { s.Name = "Hello" },
		`name "" has 0 characters; a name takes 1 to 200`:                                            func(s *formats.Spec) { s.Name = "" },
		`name "` + long + `" has 201 characters; a name takes 1 to 200`:                              func(s *formats.Spec) { s.Name = long },
		`name "a" is too short; Debian wants two`:                                                    func(s *formats.Spec) { s.Name = "a" },
		`name "../x" has the character '.'`:                                                          func(s *formats.Spec) { s.Name = "../x" },
		`source: name "My Project"`:                                                                  func(s *formats.Spec) { s.Source = "My Project" },
		`version "v1" does not start`:                                                                func(s *formats.Spec) { s.Version = "v1" },
		`version "1/2" has the character '/'`:                                                        func(s *formats.Spec) { s.Version = "1/2" },
		`release "1-1" has the character '-'`:                                                        func(s *formats.Spec) { s.Release = "1-1" },
		`epoch "x" is not a number`:                                                                  func(s *formats.Spec) { s.Epoch = "x" },
		`summary "a\nDepends: evil" has the control character '\n'; it must be a line of plain text`: func(s *formats.Spec) { s.Summary = "a\nDepends: evil" },
		`the summary is empty`:                                                                       func(s *formats.Spec) { s.Summary = " " },
		`the maintainer is empty`:                                                                    func(s *formats.Spec) { s.Maintainer = "" },
		`maintainer "a\rb" has the control`:                                                          func(s *formats.Spec) { s.Maintainer = "a\rb" },
		`homepage "x\ny" has the control`:                                                            func(s *formats.Spec) { s.Homepage = "x\ny" },
		`Depends: "(a or b)" is no relation`:                                                         func(s *formats.Spec) { s.Depends = []string{"(a or b)"} },
		`Depends: "a, b" has a comma; make it two entries`:                                           func(s *formats.Spec) { s.Depends = []string{"a, b"} },
		`Depends: "a:Any": "Any" is no architecture; write any or Debian's word`:                     func(s *formats.Spec) { s.Depends = []string{"a:Any"} },
		`Depends: "libA": name "libA" has the char`:                                                  func(s *formats.Spec) { s.Depends = []string{"libA"} },
		`Depends: "a >= 1_2": version "1_2"`:                                                         func(s *formats.Spec) { s.Depends = []string{"a >= 1_2"} },
		`Conflicts: "a | b" has alternatives, which this field can't say; name one package`:          func(s *formats.Spec) { s.Conflicts = []string{"a | b"} },
		`Provides: "a >= 1": >= is not allowed`:                                                      func(s *formats.Spec) { s.Provides = []string{"a >= 1"} },
		`field Filename is written by DistroPack or by the repository; take it out of fields`:        func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field sha256 is written`:                                                                    func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "sha256", Value: "x"}} },
		`field Depends is written`:                                                                   func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Depends", Value: "x"}} },
		`field X has blanks at the end of a line`:                                                    func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "a \nb"}} },
		"field X is not UTF-8":                                                                       func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "\xff"}} },
		"field X has a control character":                                                            func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "a\rb"}} },
		`Depends: "a >= x:1": version "x:1": the epoch before the colon is not a number`:             func(s *formats.Spec) { s.Depends = []string{"a >= x:1"} },
		`Depends: "a >= ~1": version "~1" does not start with a digit or letter, or has more than 256 characters`: func(s *formats.Spec) { s.Depends = []string{"a >= ~1"} },
		`field X starts with blanks`:                   func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "\ta"}} },
		`field X has an empty line; write a dot on it`: func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "a\n\nPackage: b"}} },
		`field X is there twice`:                       func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "X", Value: "a"}, {Key: "X", Value: "a"}} },
		`"a:b" is no name of a field`:                  func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "a:b", Value: "x"}} },
		`service "-f" is not the name`:                 func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "-f"}} },
		`service "a b.service" is not the name`:        func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "a b.service"}} },
		`postrm: a script has Windows line ends`:       func(s *formats.Spec) { s.Scripts.PostRemove = "#!/bin/sh\r\ntrue\r\n" },
		`preinst: a script starts with "#!python3", which names no program by its whole path`: func(s *formats.Spec) { s.Scripts.PreInstall = "#!python3\n" },
		`postinst: a script has a null byte`:                                                  func(s *formats.Spec) { s.Scripts.PostUpgrade = "\x00" },
		`postinst: a script is 1048577 bytes; at most 1`:                                      func(s *formats.Spec) { s.Scripts.PostInstall = strings.Repeat("#", 1<<20+1) },
	} {
		s := spec()
		change(s)
		if _, err := d.Identify(s, amd64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for want, p := range map[string]formats.Platform{
		"platform windows/amd64: a deb is for linux only":     {OS: "windows", Arch: "amd64"},
		"platform darwin/all: a deb is for linux only":        {OS: "darwin", Arch: "all"},
		"platform linux/vax: Debian has no word for this CPU": {OS: "linux", Arch: "vax"},
	} {
		if id, err := d.Identify(spec(), p); err == nil || err.Error() != want {
			t.Errorf("Identify(%s) = %v, %v; want %s", p, id, err, want)
		}
	}
}

func TestUnknownCompressionIsRefused(t *testing.T) {
	const want = `compression "xz" is unknown; write gzip, zstd or none`
	if _, err := deb.New(deb.Options{Compression: "xz"}, formats.Env{}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func rich() *formats.Spec {
	s := spec()
	s.Version, s.Epoch, s.Source, s.Essential = "1.3.0-rc.1", "2", "hello-suite", true
	s.Relations = formats.Relations{
		Depends: []string{"libc6 >= 2.36", "a | b (<< 2)", "python3:any", "c<3", "d > 1:4-1"}, PreDepends: []string{"dpkg >= 1.15"},
		Recommends: []string{"r"}, Suggests: []string{"s"}, Conflicts: []string{"old < 1"}, Provides: []string{"greeter", "greeter-api = 2"}, Replaces: []string{"old < 1"},
	}
	s.Fields = []formats.Field{{Key: "Multi-Arch", Value: "foreign"}, {Key: "Breaks", Value: "old (<< 1)"}}
	s.Scripts.PostInstall = "true"
	s.Changelog = []formats.Change{
		{Version: "Unreleased", Lines: []string{"no"}},
		{Version: "1.3.0-rc.1", Time: time.Unix(1700000000, 0), Lines: []string{strings.Repeat("many words ", 20), "line\nbreak"}},
		{Version: "1.2.0", Time: time.Unix(1690000000, 0), Maintainer: "Bob <b@example.com>"},
	}
	return s
}

func TestDescribeReadsWhatWasWritten(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		name := write(t, deb.Options{Compression: compression}, rich(), file("/usr/share/a b/ü", "x"), file("/etc/x", "y"))
		m := describe(t, name)
		if m.Format != "deb" || m.Name != "hello" || m.Version != "2:1.3.0~rc.1-1" || m.Arch != "amd64" {
			t.Errorf("%s: %+v", compression, m)
		}
		want := []formats.Field{
			{Key: "Package", Value: "hello"}, {Key: "Source", Value: "hello-suite"}, {Key: "Version", Value: "2:1.3.0~rc.1-1"},
			{Key: "Architecture", Value: "amd64"}, {Key: "Maintainer", Value: "Ann Example <ann@example.com>"}, {Key: "Installed-Size", Value: "11"},
			{Key: "Pre-Depends", Value: "dpkg (>= 1.15)"}, {Key: "Depends", Value: "libc6 (>= 2.36), a | b (<< 2), python3:any, c (<< 3), d (>> 1:4-1)"},
			{Key: "Recommends", Value: "r"}, {Key: "Suggests", Value: "s"}, {Key: "Conflicts", Value: "old (<< 1)"}, {Key: "Replaces", Value: "old (<< 1)"},
			{Key: "Provides", Value: "greeter, greeter-api (= 2)"}, {Key: "Section", Value: "utils"}, {Key: "Priority", Value: "optional"},
			{Key: "Essential", Value: "yes"}, {Key: "Homepage", Value: "https://example.com/hello"}, {Key: "Multi-Arch", Value: "foreign"},
			{Key: "Breaks", Value: "old (<< 1)"}, {Key: "Description", Value: "greets the world\nIt says hello.\n.\n  verbatim\nAnd goodbye."},
		}
		if !reflect.DeepEqual(m.Fields, want) {
			t.Errorf("%s: fields %q\nwant %q", compression, m.Fields, want)
		}
		files := []string{
			"/etc/", "/etc/x", "/usr/", "/usr/share/", "/usr/share/a b/", "/usr/share/a b/ü", "/usr/share/doc/",
			"/usr/share/doc/hello/", "/usr/share/doc/hello/changelog.Debian.gz", "/usr/share/doc/hello/copyright",
		}
		if !reflect.DeepEqual(m.Files, files) {
			t.Errorf("%s: files %q\nwant %q", compression, m.Files, files)
		}
	}
}

func describe(t *testing.T, name string) *formats.Meta {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := deb.New(deb.Options{}, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSumsLeaveConfigurationOut(t *testing.T) {
	program(t, "dpkg-deb")
	s := spec()
	s.License = ""
	name := write(t, deb.Options{}, s, file("/usr/b", "hello\n"), formats.File{Path: "/etc/c", Type: formats.Config, Content: formats.Bytes(nil)})
	if out := run(t, "dpkg-deb", "-I", name, "md5sums"); out != "b1946ac92492d2347c6235b4d2611184  usr/b\n" {
		t.Errorf("md5sums is %q", out)
	}
	if out := run(t, "dpkg-deb", "-I", name, "conffiles"); out != "/etc/c\n" {
		t.Errorf("conffiles is %q", out)
	}
}

func TestDpkgDebReadsTheSameFields(t *testing.T) {
	program(t, "dpkg-deb")
	name := write(t, deb.Options{}, rich())
	var b strings.Builder
	for _, f := range describe(t, name).Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Key, strings.ReplaceAll(f.Value, "\n", "\n "))
	}
	if out := run(t, "dpkg-deb", "-f", name); out != b.String() {
		t.Errorf("dpkg-deb -f:\n%s\nwant\n%s", out, b.String())
	}
}

func TestPackagesOfDpkgDebAreDescribed(t *testing.T) {
	program(t, "dpkg-deb")
	dir := t.TempDir()
	for name, body := range map[string]string{
		"DEBIAN/control": "Package: other\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n long\n", "usr/bin/x": "x",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, z := range []string{"gzip", "xz", "zstd", "none"} {
		for _, uniform := range []string{"--uniform-compression", "--no-uniform-compression"} {
			name := filepath.Join(t.TempDir(), "x.deb")
			run(t, "dpkg-deb", "-Z"+z, uniform, "--root-owner-group", "-b", dir, name)
			m := describe(t, name)
			if m.Name != "other" || m.Arch != "all" || m.Get("Description") != "x\nlong" || strings.Join(m.Files, " ") != "/usr/ /usr/bin/ /usr/bin/x" {
				t.Errorf("%s: %+v", z, m)
			}
		}
	}
}

func TestInstalledSizeIsThatOfDpkgGencontrol(t *testing.T) {
	program(t, "dpkg-gencontrol")
	s := spec()
	name := write(t, deb.Options{}, s, file("/usr/share/hello/a", strings.Repeat("x", 1025)), file("/usr/share/hello/empty", ""),
		formats.File{Path: "/usr/share/hello/l", Type: formats.Symlink, Target: "a"})
	dir := t.TempDir()
	run(t, "dpkg-deb", "-x", name, filepath.Join(dir, "tree"))
	for path, body := range map[string]string{
		"debian/control":   "Source: hello\nMaintainer: x <x@y>\n\nPackage: hello\nArchitecture: amd64\nDescription: x\n",
		"debian/changelog": "hello (1.2.0-1) unstable; urgency=medium\n\n  * x\n\n -- x <x@y>  Tue, 14 Nov 2023 22:13:20 +0000\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("dpkg-gencontrol", "-Ptree", "-O", "-fdebian/files")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nInstalled-Size: " + describe(t, name).Get("Installed-Size") + "\n"; !strings.Contains(string(out), want) {
		t.Errorf("dpkg-gencontrol says\n%s\nwant %s", out, want)
	}
}

// big is content that is compressed as several pieces and runs.
func big() []formats.File {
	r := rand.New(rand.NewPCG(1, 2))
	body := func(n int) formats.Blob {
		b := make([]byte, n)
		for i := 0; i+8 <= n; i += 8 {
			binary.LittleEndian.PutUint64(b[i:], r.Uint64()&0x0f0f0f0f0f0f0f0f)
		}
		return formats.Bytes(b)
	}
	var files []formats.File
	for i, n := range []int{100, 300 << 10, 1 << 20, 7, 2<<20 + 5, 200 << 10, 200 << 10, 255 << 10, 400 << 10} {
		files = append(files, formats.File{Path: fmt.Sprintf("/opt/f%d", i), Type: formats.Regular, Mode: 0o644, Content: body(n)})
	}
	return files
}

func TestDpkgTakesDataInPieces(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			r := newRoot(t)
			files := big()
			name := write(t, deb.Options{Compression: compression}, spec(), files...)
			dir := t.TempDir()
			run(t, "dpkg-deb", "-x", name, dir)
			r.do("-i", name)
			if out := r.do("--verify", "hello"); out != "" {
				t.Errorf("dpkg --verify: %s", out)
			}
			for _, f := range files {
				want, err := formats.ReadAll(f.Content)
				if err != nil {
					t.Fatal(err)
				}
				extracted, err := os.ReadFile(filepath.Join(dir, f.Path))
				if err != nil || !bytes.Equal(extracted, want) || r.read(f.Path) != string(want) {
					t.Errorf("%s differs, %v", f.Path, err)
				}
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(b, []byte{0x28, 0xb5, 0x2f, 0xfd}); compression == "zstd" && n != 1 {
				t.Errorf("data.tar.zst has %d frames; dpkg reads only the first", n)
			}
			// The empty stored block of a full flush.
			if n := bytes.Count(b, []byte{0, 0, 0xff, 0xff}); compression == "gzip" && n < 5 {
				t.Errorf("data.tar.gz is made of %d pieces, which proves nothing", n)
			}
		})
	}
}

func TestTwoRunsGiveTheSameBytes(t *testing.T) {
	scratch := formats.NewScratch(t.TempDir())
	var first []byte
	for i := range 3 {
		env := formats.Env{}
		if i > 0 {
			env.Scratch = scratch // shared pieces must not show
		}
		d, err := deb.New(deb.Options{}, env)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.Write(context.Background(), &b, rich(), amd64, big()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		}
		if !bytes.Equal(first, b.Bytes()) {
			t.Errorf("run %d gave other bytes", i)
		}
	}
}

func TestLintianFindsNoErrors(t *testing.T) {
	program(t, "lintian")
	if testing.Short() {
		t.Skip("lintian takes seconds")
	}
	s := rich()
	s.Essential, s.Scripts = false, formats.Scripts{PostInstall: "echo hi\n", PreRemove: "#!/usr/bin/perl\nprint 1;\n"}
	s.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
	s.Relations = formats.Relations{Depends: []string{"libc6 >= 2.36", "default-mta | mail-transport-agent"}}
	s.License = "GPL-3.0-or-later AND LGPL-2.1-only"
	name := write(t, deb.Options{}, s,
		file("/usr/lib/systemd/system/hello.service", "[Unit]\nDocumentation=man:hello(1)\n[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n"),
		formats.File{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("x\n"))})
	cmd := exec.Command("lintian", "--allow-root", "--no-cfg", "--fail-on", "error", name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
	t.Logf("lintian:\n%s", out)
}

func TestDocumentsOfThePackageStay(t *testing.T) {
	s := rich()
	m := describe(t, write(t, deb.Options{}, s, formats.File{Path: "/usr/share/doc/hello", Type: formats.Symlink, Target: "other"}))
	if got := strings.Join(m.Files, " "); strings.Contains(got, "copyright") {
		t.Errorf("a document is below a symlink: %s", got)
	}
	program(t, "dpkg-deb")
	name := write(t, deb.Options{}, s, file("/usr/share/doc/hello/copyright", "mine"))
	dir := t.TempDir()
	run(t, "dpkg-deb", "-x", name, dir)
	if b, err := os.ReadFile(dir + "/usr/share/doc/hello/copyright"); err != nil || string(b) != "mine" {
		t.Errorf("copyright is %q, %v", b, err)
	}
}
