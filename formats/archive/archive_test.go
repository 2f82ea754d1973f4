package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

var (
	spec = &formats.Spec{Name: "hello", Version: "1.2.0-rc.1", Time: time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC)}
	arm  = formats.Platform{OS: "linux", Arch: "arm", Variant: "v7"}
)

func files() []formats.File {
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(bytes.Repeat([]byte("program\n"), 50_000))},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "/usr/bin/hello"},
		{Path: "/usr/share/hello/conf", Type: formats.Symlink, Target: "../../../etc/hello.conf"},
		{Path: "/usr/share/hello/host", Type: formats.Symlink, Target: "/etc/hostname"},
		{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o600, Content: formats.Bytes([]byte("greeting=hello\n"))},
		{Path: "/usr/share/doc/hello/grüße.txt", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes(nil)},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: fs.ModeDir | 0o750},
		{Path: "/var/log/hello.log", Type: formats.Ghost},
	}
}

func write(t *testing.T, name string, o Options, files []formats.File) []byte {
	t.Helper()
	a, err := New(name, o, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := a.Write(context.Background(), &b, spec, arm, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var all = []string{"tar.gz", "tar.zst", "tar.xz", "zip"}

func TestToolsUnpackWhatWasPacked(t *testing.T) {
	tools := map[string][][]string{
		"tar.gz":  {{"tar", "-xpf", "FILE"}, {"bsdtar", "-xpf", "FILE"}, {"busybox", "tar", "-xzpf", "FILE"}},
		"tar.zst": {{"tar", "--zstd", "-xpf", "FILE"}, {"bsdtar", "-xpf", "FILE"}},
		"tar.xz":  {{"tar", "-xpf", "FILE"}, {"bsdtar", "-xpf", "FILE"}, {"busybox", "tar", "-xJpf", "FILE"}},
		"zip":     {{"unzip", "-q", "FILE"}, {"bsdtar", "-xpf", "FILE"}, {"busybox", "unzip", "-q", "FILE"}},
	}
	top := "hello-1.2.0-rc.1-linux-armv7/"
	for _, name := range all {
		file := filepath.Join(t.TempDir(), "x."+name)
		if err := os.WriteFile(file, write(t, name, Options{}, files()), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, tool := range tools[name] {
			t.Run(name+" "+tool[0], func(t *testing.T) {
				if _, err := exec.LookPath(tool[0]); err != nil {
					t.Skipf("%s is not installed", tool[0])
				}
				dir := t.TempDir()
				cmd := exec.Command(tool[0], tool[1:]...)
				cmd.Args[len(cmd.Args)-1] = file
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
				if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
					t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
				}
				for _, f := range files() {
					at := filepath.Join(dir, top, flatten(f.Path))
					st, err := os.Lstat(at)
					if f.Type == formats.Ghost {
						if err == nil {
							t.Errorf("the ghost %s is there", f.Path)
						}
						continue
					}
					if err != nil {
						t.Error(err)
						continue
					}
					if f.Type == formats.Symlink {
						continue
					}
					// busybox's unzip knows no modes.
					if tool[0] != "busybox" && st.Mode().Perm() != f.Mode.Perm() {
						t.Errorf("%s has mode %o, want %o", f.Path, st.Mode().Perm(), f.Mode.Perm())
					}
					if f.IsRegular() {
						want, _ := formats.ReadAll(f.Content)
						if got, _ := os.ReadFile(at); !bytes.Equal(got, want) {
							t.Errorf("%s has other content", f.Path)
						}
						if !st.ModTime().Equal(spec.Time) && (tool[0] != "busybox" || name != "zip") { // which keeps no times
							t.Errorf("%s is of %s, want %s", f.Path, st.ModTime(), spec.Time)
						}
					}
				}
				for link, want := range map[string]string{"bin/hi": "hello", "share/hello/conf": "../../etc/hello.conf", "share/hello/host": "/etc/hostname"} {
					if got, _ := os.Readlink(filepath.Join(dir, top, link)); got != want {
						t.Errorf("%s points to %q, want %q", link, got, want)
					}
				}
			})
		}
	}
}

func TestDescribeReadsWhatIdentifySaid(t *testing.T) {
	no := false
	for _, name := range all {
		for _, o := range []Options{{}, {Wrap: &no}, {Layout: "tree"}, {Layout: "tree", Wrap: &no}} {
			a, err := New(name, o, formats.Env{})
			if err != nil {
				t.Fatal(err)
			}
			b := write(t, name, o, files())
			m, err := a.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Errorf("%s %+v: %v", name, o, err)
				continue
			}
			id, _ := a.Identify(spec, arm)
			if m.Format != name || m.Name != id.Name || m.Version != id.Version || m.Arch != id.Arch {
				t.Errorf("%s: %+v, want %+v", name, m, id)
			}
			if m.Get("os") != "linux" || m.Get("arch") != "arm" || m.Get("variant") != "v7" {
				t.Errorf("%s: fields %v", name, m.Fields)
			}
			want := []string{"/bin/hello", "/bin/hi", "/etc/hello.conf", "/share/doc/hello/grüße.txt", "/share/hello/conf", "/share/hello/host", "/var/lib/hello/"}
			if o.Layout == "tree" {
				want = []string{"/etc/hello.conf", "/usr/bin/hello", "/usr/bin/hi", "/usr/share/doc/hello/grüße.txt", "/usr/share/hello/conf", "/usr/share/hello/host", "/var/lib/hello/"}
			}
			if !reflect.DeepEqual(m.Files, want) {
				t.Errorf("%s %+v: files %q, want %q", name, o, m.Files, want)
			}
		}
	}
}

func TestFilenameNamesVersionAndPlatform(t *testing.T) {
	for _, c := range []struct {
		spec formats.Spec
		p    string
		want string
	}{
		{formats.Spec{Name: "hello", Version: "1.2.0"}, "darwin/arm64", "hello_1.2.0_darwin_arm64.zip"},
		{formats.Spec{Name: "hello", Version: "1.2.0", Release: "1"}, "linux/arm/v6", "hello_1.2.0_linux_armv6.zip"},
		{formats.Spec{Name: "hello", Version: "1.2.0+b", Release: "3"}, "windows/amd64", "hello_1.2.0+b-3_windows_amd64.zip"},
		{formats.Spec{Name: "hello", Version: "1.2.0"}, "all", "hello_1.2.0_linux_all.zip"},
	} {
		p, err := formats.ParsePlatform(c.p)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := New("zip", Options{}, formats.Env{})
		id, err := a.Identify(&c.spec, p)
		if err != nil || id.Filename != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.spec, id.Filename, err, c.want)
		}
	}
}

func TestWhatArchivesCannotBeCalledIsRefused(t *testing.T) {
	const allowed = ": up to 100 letters, digits and . + _ - are allowed, and a letter or digit first"
	a, _ := New("zip", Options{}, formats.Env{})
	for want, spec := range map[string]formats.Spec{
		`name "a b"` + allowed:                              {Name: "a b", Version: "1.2.0"},
		`name "../a"` + allowed:                             {Name: "../a", Version: "1.2.0"},
		`name "a\n"` + allowed:                              {Name: "a\n", Version: "1.2.0"},
		`name "` + strings.Repeat("a", 101) + `"` + allowed: {Name: strings.Repeat("a", 101), Version: "1.2.0"},
		`version "v1" does not start with a digit`:          {Name: "a", Version: "v1"},
		`release "/": version "1-/" has the character '/'; only letters, digits and . - + ~ _ are allowed`: {Name: "a", Version: "1", Release: "/"},
	} {
		if id, err := a.Identify(&spec, arm); fmt.Sprint(err) != want {
			t.Errorf("%+v: %q, %v; want %s", spec, id.Filename, err, want)
		}
	}
	if _, err := a.Identify(spec, formats.Platform{}); fmt.Sprint(err) != "an archive needs a platform: os/arch" {
		t.Errorf("without a platform: %v", err)
	}
	if _, err := New("rar", Options{}, formats.Env{}); fmt.Sprint(err) != `archive "rar" is unknown; there are tar.gz, tar.zst, tar.xz and zip` {
		t.Errorf("New: %v", err)
	}
	if _, err := Kinds()[0].New(section{Layout: "round"}, formats.Env{}); fmt.Sprint(err) != `layout "round" is unknown; write flat or tree` {
		t.Errorf("New: %v", err)
	}
}

// section is Options as the configuration would decode them.
type section Options

func (s section) Decode(v any) error {
	*v.(*Options) = Options(s)
	return nil
}

func TestContentThatIsNotAsLongAsItSaysIsRefused(t *testing.T) {
	for _, name := range all {
		for _, size := range []int64{0, 100, pack.Large} {
			for _, n := range []int64{max(0, size-1), size + 1} {
				if n == size {
					continue
				}
				lying := formats.Parts(formats.Ref{Size: size}, [][]byte{make([]byte, n)})
				a, _ := New(name, Options{}, formats.Env{})
				err := a.Write(context.Background(), &bytes.Buffer{}, spec, arm, []formats.File{{Path: "/usr/bin/hello", Type: formats.Regular, Content: lying}})
				if want := fmt.Sprintf("hello-1.2.0-rc.1-linux-armv7/bin/hello: content is %d bytes, was to be %d", n, size); fmt.Sprint(err) != want {
					t.Errorf("%s: %v, want %s", name, err, want)
				}
			}
		}
	}
}

func TestArchivesThatSayNothingOrTooMuchAreRefused(t *testing.T) {
	tarOf := func(name string) []byte { // without an end
		var b bytes.Buffer
		if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	gz := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err := z.Write(b); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	zipOf := func(name string) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		if _, err := z.Create(name); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	whole := write(t, "tar.gz", Options{}, files())
	sum := bytes.Clone(whole)
	sum[len(sum)-8]++
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"tar.gz", "not a tar.gz", nil},
		{"tar.gz", "not a tar.gz", write(t, "tar.xz", Options{}, nil)},
		{"tar.gz", "not a tar.gz: unexpected EOF", whole[:9]},
		{"tar.gz", "not a whole tar.gz: unexpected EOF", whole[:len(whole)/2]},
		{"tar.gz", "not a whole tar.gz: gzip: invalid checksum", sum},
		{"tar.gz", `entry "a\nb" has a control character in its name`, gz(tarOf("a\nb"))},
		{"tar.gz", `the archive does not say what it is of: it has no label, and its top folder "hello" is not name-version-os-arch`, gz(tarOf("hello/x"))},
		{"tar.gz", "the archive has more than 1048576 entries, or names of more than 67108864 bytes", bytes.Repeat(gz(tarOf(strings.Repeat("n", 1<<20-100))), 65)},
		{"zip", "zip: not a valid zip file", whole},
		{"zip", `entry "a\nb" has a control character in its name`, zipOf("a\nb")},
		{"zip", `the archive does not say what it is of: it has no label, and its top folder "" is not name-version-os-arch`, zipOf("x")},
	} {
		a, _ := New(c.name, Options{}, formats.Env{})
		if m, err := a.Describe(context.Background(), bytes.NewReader(c.b), int64(len(c.b))); fmt.Sprint(err) != c.want {
			t.Errorf("%d bytes as %s: %+v, %v; want %s", len(c.b), c.name, m, err, c.want)
		}
	}
}

func TestTopFolderOfOthersIsTakenApart(t *testing.T) {
	for top, want := range map[string]string{
		"hello-1.2.0-linux-amd64":           "name=hello version=1.2.0 os=linux arch=amd64",
		"hello_1.2.0_Linux_x86_64":          "name=hello version=1.2.0 os=linux arch=amd64",
		"my-tool-v2.0.0-rc.1-macos-aarch64": "name=my-tool version=2.0.0-rc.1 os=darwin arch=arm64",
		"k3-tool-1.0-linux-armv7":           "name=k3-tool version=1.0 os=linux arch=arm variant=v7",
		"hello":                             "",
		"hello-1.2.0":                       "",
		"hello-1.2.0-linux-vax":             "",
		"hello-linux-amd64":                 "",
		"hello-1.2.0-plan9-amd64":           "",
		"hello world-1.2.0-linux-amd64":     "",
	} {
		l, ok := parseTop(top)
		if got := l.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", top, got, ok, want)
		}
	}
}

func TestFilesThatWouldFallTogetherAreRefused(t *testing.T) {
	two := []formats.File{
		{Path: "/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(nil)},
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(nil)},
	}
	a, _ := New("tar.gz", Options{}, formats.Env{})
	err := a.Write(context.Background(), &bytes.Buffer{}, spec, arm, two)
	if want := `"/bin/hello" and "/usr/bin/hello" would both be "bin/hello" in the archive; set layout: tree`; fmt.Sprint(err) != want {
		t.Errorf("Write: %v, want %s", err, want)
	}
	if b := write(t, "tar.gz", Options{Layout: "tree"}, two); len(b) == 0 {
		t.Error("nothing was written")
	}
	dirs := []formats.File{{Path: "/bin", Type: formats.Dir, Mode: 0o755}, {Path: "/usr", Type: formats.Dir, Mode: 0o755}, {Path: "/usr/bin", Type: formats.Dir, Mode: 0o755}}
	write(t, "tar.gz", Options{}, dirs)
}

func TestZipSharesItsPiecesWithTarGz(t *testing.T) {
	dir := t.TempDir()
	scratch := formats.NewScratch(dir)
	big := []formats.File{{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(bytes.Repeat([]byte("program\n"), 50_000))}}
	for _, name := range []string{"tar.gz", "zip"} {
		a, _ := New(name, Options{}, formats.Env{Scratch: scratch})
		if err := a.Write(context.Background(), &bytes.Buffer{}, spec, arm, big); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d pieces are left, %v; want one", len(left), err)
	}
}

func TestLabelReadsBack(t *testing.T) {
	l := label{"hello", "1.2.0", arm}
	if got, ok := parseLabel(l.String()); !ok || got != l {
		t.Errorf("%q reads back as %+v", l, got)
	}
	for _, s := range []string{"", "name=hello", "name=a version=1 os=linux arch=amd64 more=1", "version=1 name=a os=linux arch=amd64", "name=../x version=1 os=linux arch=amd64", "3f786850e387550fdab836ed7e6dc881de23001b"} {
		if l, ok := parseLabel(s); ok {
			t.Errorf("%q was taken for %+v", s, l)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	small := files()[1:]
	for i, name := range all {
		a, _ := New(name, Options{}, formats.Env{})
		var b bytes.Buffer
		if err := a.Write(context.Background(), &b, spec, arm, small); err != nil {
			f.Fatal(err)
		}
		f.Add(i, b.Bytes())
	}
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		a, _ := New(all[uint(i)%uint(len(all))], Options{}, formats.Env{})
		m, err := a.Describe(context.Background(), bytes.NewReader(b), int64(len(b)))
		if err == nil && (m.Name == "" || m.Version == "" || !slices.IsSorted(m.Files)) {
			t.Errorf("%+v", m)
		}
	})
}

func TestEntriesAreSortedByTheirPlaceInTheArchive(t *testing.T) {
	entries, err := layOut([]formats.File{
		{Path: "/usr/bin/z", Type: formats.Symlink, Target: "x"},
		{Path: "/etc/y", Type: formats.Symlink, Target: "x"},
		{Path: "/usr/bin", Type: formats.Dir},
	}, "top/", true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.name)
	}
	if want := []string{"top/", "top/bin/", "top/bin/z", "top/etc/y"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
