package ipk_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/ipk"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func spec() *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: "1.3.0-rc.1", Epoch: "1", Time: time.Unix(1700000000, 0),
		Summary: "greets the world", Description: "It says hello.\n\nAnd goodbye.\n",
		Homepage: "https://example.com/hello", License: "MIT", Maintainer: "Ann Example <ann@example.com>",
		Relations: formats.Relations{
			Depends: []string{"libc", "a >= 1 | b < 2"}, PreDepends: []string{"p"}, Recommends: []string{"r"}, Suggests: []string{"s"},
			Conflicts: []string{"old_name < 1"}, Provides: []string{"greeter"}, Replaces: []string{"old_name"},
		},
		Fields:  []formats.Field{{Key: "CPE-ID", Value: "cpe:/a:hello"}},
		Scripts: formats.Scripts{PostInstall: "echo hi"},
	}
}

func tree() []formats.File {
	r := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, 700<<10)
	for i := range big {
		big[i] = byte(r.IntN(4))
	}
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(big)},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/etc/config/hello", Type: formats.Config, Mode: 0o600, Content: formats.Bytes([]byte("config\n"))},
		{Path: "/etc/keep", Type: formats.Keep, Mode: 0o644, Content: formats.Bytes([]byte("keep\n"))},
		{Path: "/var/ghost", Type: formats.Ghost},
		{Path: "/usr/share/" + strings.Repeat("long/", 40) + "ü", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes([]byte("x"))},
	}
}

func format(t *testing.T, o ipk.Options) *ipk.Ipk {
	t.Helper()
	k, err := ipk.New(o, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t *testing.T, k *ipk.Ipk, s *formats.Spec, files []formats.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := k.Write(context.Background(), &b, s, amd64, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(t *testing.T, dir, tool string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skip(tool + " is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const control = `Package: hello
Version: 1:1.3.0~rc.1-1
Pre-Depends: p
Depends: libc, a (>= 1) | b (<< 2)
Recommends: r
Suggests: s
Conflicts: old_name (<< 1)
Replaces: old_name
Provides: greeter
Section: utils
Priority: optional
Architecture: x86_64
Installed-Size: 716813
Maintainer: Ann Example <ann@example.com>
License: MIT
Homepage: https://example.com/hello
Source: hello
CPE-ID: cpe:/a:hello
Description: greets the world
 It says hello.
 .
 And goodbye.
`

// OpenWrt's opkg unpacks with code that comes from busybox.
func TestBusyboxUnpacksBothForms(t *testing.T) {
	for _, outer := range []string{"tar.gz", "ar"} {
		t.Run(outer, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "x.ipk"), write(t, format(t, ipk.Options{Outer: outer}), spec(), tree()), 0o644); err != nil {
				t.Fatal(err)
			}
			if outer == "ar" {
				unpack(t, dir, "ar", "x", "x.ipk")
			} else {
				unpack(t, dir, "busybox", "tar", "-xzf", "x.ipk", "./debian-binary", "./control.tar.gz", "./data.tar.gz")
			}
			for _, part := range []string{"control", "data"} {
				if err := os.Mkdir(filepath.Join(dir, part), 0o755); err != nil {
					t.Fatal(err)
				}
				unpack(t, dir, "busybox", "tar", "-C", part, "-xzf", part+".tar.gz")
			}
			if got := read(t, dir, "debian-binary"); got != "2.0\n" {
				t.Errorf("debian-binary is %q", got)
			}
			if got := read(t, dir, "control/control"); got != control {
				t.Errorf("control is\n%s\nwant\n%s", got, control)
			}
			if got := read(t, dir, "control/conffiles"); got != "/etc/config/hello\n/etc/keep\n" {
				t.Errorf("conffiles is %q", got)
			}
			if st, err := os.Stat(filepath.Join(dir, "control/postinst")); err != nil || st.Mode() != 0o755 {
				t.Errorf("postinst is %v, %v", st, err)
			}
			for _, f := range tree() {
				if !f.IsRegular() {
					continue
				}
				want, err := formats.ReadAll(f.Content)
				if err != nil {
					t.Fatal(err)
				}
				st, err := os.Stat(filepath.Join(dir, "data", f.Path))
				if err != nil || st.Mode() != f.Mode || read(t, dir, "data", f.Path) != string(want) {
					t.Errorf("%s differs: %v, %v", f.Path, st, err)
				}
			}
		})
	}
}

func TestDescribeReadsBothForms(t *testing.T) {
	for _, o := range []ipk.Options{{}, {Outer: "ar", Extension: "opk"}} {
		k := format(t, o)
		b := write(t, k, spec(), tree()[1:3])
		m, err := k.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Format != "ipk" || m.Name != "hello" || m.Version != "1:1.3.0~rc.1-1" || m.Arch != "x86_64" {
			t.Errorf("%+v", m)
		}
		if got := m.Get("Description"); got != "greets the world\nIt says hello.\n.\nAnd goodbye." {
			t.Errorf("Description is %q", got)
		}
		want := []string{"/etc/", "/etc/config/", "/etc/config/hello", "/usr/", "/usr/bin/", "/usr/bin/hi"}
		if !reflect.DeepEqual(m.Files, want) {
			t.Errorf("files are %q, want %q", m.Files, want)
		}
		if again := write(t, k, spec(), tree()[1:3]); !bytes.Equal(b, again) {
			t.Error("two runs gave different bytes")
		}
	}
}

func TestIdentifyUsesTheWordsOfOpenWrt(t *testing.T) {
	k := format(t, ipk.Options{Arch: map[string]string{"arm64": "aarch64_cortex-a53"}, Extension: "opk"})
	for platform, want := range map[string]string{
		"amd64": "hello_1.3.0~rc.1-1_x86_64.opk", "arm64": "hello_1.3.0~rc.1-1_aarch64_cortex-a53.opk", "noarch": "hello_1.3.0~rc.1-1_all.opk",
		"386": "hello_1.3.0~rc.1-1_i386_pentium4.opk", "arm/v7": "hello_1.3.0~rc.1-1_arm_cortex-a7_neon-vfpv4.opk",
	} {
		p, err := formats.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := k.Identify(spec(), p); err != nil || id.Filename != want {
			t.Errorf("Identify(%s) = %+v, %v; want %s", platform, id, err, want)
		}
	}
	seen := make(map[string]bool)
	for _, p := range formats.LinuxPlatforms() {
		id, err := k.Identify(spec(), p)
		if err != nil || seen[id.Filename] {
			t.Errorf("Identify(%s) = %+v, %v; two platforms share a name", p, id, err)
		}
		seen[id.Filename] = true
	}
}

func TestIdentifyRefusesWhatOpkgCannotSay(t *testing.T) {
	k := format(t, ipk.Options{})
	for want, change := range map[string]func(*formats.Spec){
		`name "" has 0 characters; a name takes 1 to 200`:                                         func(s *formats.Spec) { s.Name = "" },
		`name "a b" has the character ' '`:                                                        func(s *formats.Spec) { s.Name = "a b" },
		`Provides: "a = 1" has a version, which this field can't say`:                             func(s *formats.Spec) { s.Provides = []string{"a = 1"} },
		`Replaces: "a < 1" has a version, which this field can't say`:                             func(s *formats.Spec) { s.Replaces = []string{"a < 1"} },
		`Depends: "python3:any": name "python3:any"`:                                              func(s *formats.Spec) { s.Depends = []string{"python3:any"} },
		`Conflicts: "a | b" has alternatives`:                                                     func(s *formats.Spec) { s.Conflicts = []string{"a | b"} },
		`field MD5sum is written by DistroPack`:                                                   func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "MD5sum", Value: "x"}} },
		`license "a\nb" has the control character`:                                                func(s *formats.Spec) { s.License = "a\nb" },
		`description line "\x1b[0m" has the control character '\x1b'; it must be a line of plain`: func(s *formats.Spec) { s.Description = "\x1b[0m" },
	} {
		s := spec()
		change(s)
		if _, err := k.Identify(s, amd64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for want, o := range map[string]ipk.Options{
		`outer "zip" is unknown; write tar.gz or ar`:                                    {Outer: "zip"},
		`extension "deb" is unknown; write ipk or opk`:                                  {Extension: "deb"},
		`arch: platform "vax" is not of the form os/arch`:                               {Arch: map[string]string{"vax": "x"}},
		`arch: "a/b" is no architecture of opkg; letters, digits and _ - . are allowed`: {Arch: map[string]string{"arm64": "a/b"}},
	} {
		if _, err := ipk.New(o, formats.Env{}); err == nil || err.Error() != want {
			t.Errorf("New(%+v): %v, want %s", o, err, want)
		}
	}
	for want, p := range map[string]formats.Platform{
		"platform windows/amd64: an ipk is for linux only":  {OS: "windows", Arch: "amd64"},
		"platform linux/vax: opkg has no word for this CPU": {OS: "linux", Arch: "vax"},
	} {
		if id, err := k.Identify(spec(), p); err == nil || err.Error() != want {
			t.Errorf("Identify(%s) = %v, %v; want %s", p, id, err, want)
		}
	}
}

// outer makes an outer archive of members that are all empty.
func outer(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHostilePackagesAreRefused(t *testing.T) {
	k := format(t, ipk.Options{})
	good := write(t, format(t, ipk.Options{Outer: "ar"}), spec(), tree()[1:3])
	for _, c := range []struct {
		want string
		b    []byte
	}{
		{"the file is no ar archive", []byte("PK")},
		{"the ipk has no control.tar.gz or no data.tar.gz", outer(t, "debian-binary")},
		{"the ipk has no control.tar.gz or no data.tar.gz", []byte("!<arch>\n")},
		{"control.tar.gz: there is no file named control", outer(t, "control.tar.gz", "data.tar.gz")},
		{"the outer archive has more than 32 members", outer(t, strings.Fields(strings.Repeat("x ", 33))...)},
		{"the ipk has no control.tar.gz or no data.tar.gz", outer(t, strings.Fields(strings.Repeat("x ", 32))...)},
		{"the archive has a broken header at byte 8", bytes.Replace(good, []byte("`\n"), []byte("``"), 1)},
		{"the archive ends inside a member, at byte", good[:len(good)-8]},
	} {
		if m, err := k.Describe(context.Background(), bytes.NewReader(c.b), int64(len(c.b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Describe = %+v, %v; want %s", m, err, c.want)
		}
	}
}

func FuzzDescribeBreaksOnNothing(f *testing.F) {
	for _, outer := range []string{"tar.gz", "ar"} {
		k, err := ipk.New(ipk.Options{Outer: outer}, formats.Env{})
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if err := k.Write(context.Background(), &b, spec(), amd64, tree()[1:3]); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ipk.New(ipk.Options{}, formats.Env{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := k.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err == nil && (m.Name == "" || strings.Contains(m.Name+m.Version+m.Arch, "/")) {
			t.Errorf("a package was described as %+v", m)
		}
	})
}
