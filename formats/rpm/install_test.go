package rpm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// Several zstd frames, and gzip with full flushes, come from files of pack.Large
// and from runs of a megabyte: helloFiles has both.
func TestEveryCompressionInstallsAndVerifies(t *testing.T) {
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip, pack.None} {
		t.Run(string(codec), func(t *testing.T) {
			r := newRoot(t)
			f := newTestFormat(t, Options{Compression: codec}, nil)
			r.rpm("-i", "--nodeps", save(t, f, helloSpec(), amd64, helloFiles()))
			// The ghost is not there, and that is no fault.
			if out, err := r.try("-V", "--nodeps", "hello"); err != nil || out != "" {
				t.Errorf("rpm -V: %v, %s", err, out)
			}
			if got := r.read("usr/share/hello/large"); got != string(noise(3<<20)) {
				t.Errorf("the large file came out as %d other bytes", len(got))
			}
			r.put("var/lib/hello/state", "what the program keeps")
			if err := os.Chmod(filepath.Join(r.dir, "var/lib/hello/state"), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := r.try("-V", "--nodeps", "hello"); err != nil || out != "" {
				t.Errorf("rpm -V with a ghost that has content: %v, %s", err, out)
			}
			r.put("usr/share/hello/large", "changed")
			if out, _ := r.try("-V", "--nodeps", "hello"); !strings.Contains(out, "S.5") || !strings.Contains(out, "/usr/share/hello/large") {
				t.Errorf("rpm -V of a changed file: %q", out)
			}
			r.rpm("-e", "hello")
			if entries, _ := os.ReadDir(filepath.Join(r.dir, "usr/share/hello")); len(entries) != 0 {
				t.Errorf("removal left %v", entries)
			}
		})
	}
}

func TestConfigurationSurvivesAnUpgrade(t *testing.T) {
	r := newRoot(t)
	f := newTestFormat(t, Options{}, nil)
	pkg := func(version, content string) string {
		return save(t, f, &formats.Spec{Name: "conf", Version: version, Time: released}, formats.All, []formats.File{
			{Path: "/etc/kept", Type: formats.Keep, Mode: 0o644, Content: formats.Bytes([]byte(content))},
			{Path: "/etc/replaced", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte(content))},
		})
	}
	r.rpm("-i", "--ignorearch", pkg("1", "one"))
	r.put("etc/kept", "mine")
	r.put("etc/replaced", "mine")
	r.rpm("-U", "--ignorearch", pkg("2", "two"))
	for name, want := range map[string]string{
		"etc/kept": "mine", "etc/kept.rpmnew": "two", "etc/replaced": "two", "etc/replaced.rpmsave": "mine",
	} {
		if got := r.read(name); got != want {
			t.Errorf("/%s holds %q, want %q", name, got, want)
		}
	}
}

// Sizes over 4 GiB change the form of header and payload; the form itself does
// not need a file of that size.
func TestFormForLargeFilesInstallsAndVerifies(t *testing.T) {
	r := newRoot(t)
	name := saveLarge(t, helloSpec(), helloFiles())
	if got := run(t, "rpm", "-qp", "--requires", name); !strings.Contains(got, "rpmlib(LargeFiles) <= 4.12.0-1") {
		t.Errorf("requires: %s", got)
	}
	r.rpm("-i", "--nodeps", name)
	if out, err := r.try("-V", "--nodeps", "hello"); err != nil || out != "" {
		t.Errorf("rpm -V: %v, %s", err, out)
	}
	if got := r.read("usr/bin/big"); got != string(noise(pack.Large+3)) {
		t.Errorf("the large file came out as %d other bytes", len(got))
	}
	if got := r.read("etc/hello.keep"); got != "b=2\n" {
		t.Errorf("/etc/hello.keep holds %q", got)
	}
}
