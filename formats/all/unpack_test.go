package all

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/formattest"
)

// unpack has the programs of others take a package apart: $1 is the file, the
// present folder takes the tree.
var unpack = map[string][]string{
	"deb":     {`dpkg-deb -x "$1" .`},
	"rpm":     {`rpm2cpio "$1" | bsdtar -xpf -`, `bsdtar -xpf "$1"`},
	"arch":    {`bsdtar -xpf "$1" --exclude '.*'`, `tar --zstd -xpf "$1" --exclude='./.*' --exclude='.[A-Z]*'`},
	"apk":     {`bsdtar -xpf "$1" --exclude '.*'`, `tar -xzpf "$1" --warning=no-unknown-keyword --exclude='.[a-zA-Z]*'`},
	"ipk":     {`tar -xzOf "$1" ./data.tar.gz | tar -xzpf -`, `bsdtar -xOf "$1" ./data.tar.gz | busybox tar -xzpf -`},
	"tar.gz":  {`tar -xpf "$1" --strip-components 1`},
	"tar.zst": {`tar --zstd -xpf "$1" --strip-components 1`},
	"tar.xz":  {`tar -xpf "$1" --strip-components 1`},
	"zip":     {`bsdtar -xpf "$1" --strip-components 1`},
}

func TestFilesComeOutAsTheyWentIn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("setuid bits and owners need root")
	}
	for _, kind := range kinds() {
		f, err := kind.New(nil, formats.Env{})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "package")
		writePackage(t, f, file)
		if len(unpack[kind.Name]) == 0 {
			t.Errorf("nothing unpacks a %s", kind.Name)
		}
		for _, script := range unpack[kind.Name] {
			t.Run(kind.Name+" "+strings.Fields(script)[0], func(t *testing.T) {
				for _, tool := range []string{"dpkg-deb", "rpm2cpio", "bsdtar", "busybox", "zstd"} {
					if _, err := exec.LookPath(tool); err != nil && strings.Contains(script, tool) {
						t.Skipf("%s is not installed", tool)
					}
				}
				dir := t.TempDir()
				cmd := exec.Command("bash", "-o", "pipefail", "-c", "umask 022; "+script, "-", file)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", script, err, out)
				}
				for _, want := range formattest.Files() {
					if got, err := look(filepath.Join(dir, want.Path), want); err != nil || got != "" {
						t.Errorf("%s: %s, %v", want.Path, got, err)
					}
				}
			})
		}
	}
}

func writePackage(t *testing.T, f formats.Format, file string) {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, formattest.Spec(), formats.Platform{OS: "linux", Arch: "amd64"}, formattest.Files()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// look says how a file on disk differs from what it was to be.
func look(name string, want formats.File) (string, error) {
	st, err := os.Lstat(name)
	if err != nil {
		return "", err
	}
	if want.Type == formats.Symlink {
		if target, err := os.Readlink(name); err != nil || target != want.Target {
			return "points to " + target, err
		}
		return "", nil
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeDir
	if got, want := st.Mode()&bits, want.Mode&bits; got != want {
		return "has the mode " + got.String(), nil
	}
	if !want.IsRegular() {
		return "", nil
	}
	if !st.ModTime().Equal(formattest.Spec().Time) {
		return "is of " + st.ModTime().UTC().String(), nil
	}
	content, err := formats.ReadAll(want.Content)
	if err != nil {
		return "", err
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
		return fmt.Sprintf("holds %q", got), err
	}
	return "", nil
}

func TestConfigurationIsMarked(t *testing.T) {
	scripts := map[string]string{
		"deb":  `dpkg-deb --ctrl-tarfile "$1" | tar -xOf - ./conffiles`,
		"rpm":  `rpm -qpc --nosignature "$1"`,
		"arch": `bsdtar -xOf "$1" .PKGINFO | sed -n 's,^backup = ,/,p'`,
		"ipk":  `tar -xzOf "$1" ./control.tar.gz | tar -xzOf - ./conffiles`,
	}
	for _, kind := range kinds() {
		script, ok := scripts[kind.Name]
		if !ok {
			continue // apk protects all of /etc; archives know no configuration
		}
		f, err := kind.New(nil, formats.Env{})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "package")
		writePackage(t, f, file)
		tool := strings.Fields(script)[0]
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
		out, err := exec.Command("bash", "-o", "pipefail", "-c", script, "-", file).CombinedOutput()
		got := strings.Fields(string(out))
		slices.Sort(got)
		if want := []string{"/etc/hello/keep.conf", "/etc/hello/main.conf"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", kind.Name, got, err, want)
		}
	}
}
