package deb_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats/deb"
)

func TestAptReadsEveryCompression(t *testing.T) {
	program(t, "apt-ftparchive")
	for _, compression := range []string{"gzip", "zstd", "none"} {
		name := write(t, deb.Options{Compression: compression}, rich(), big()...)
		out := run(t, "apt-ftparchive", "-o", "APT::FTPArchive::AlwaysStat=false", "packages", filepath.Dir(name))
		if !strings.Contains(out, "Package: hello\n") || !strings.Contains(out, "Version: 2:1.3.0~rc.1-1\n") {
			t.Errorf("%s: apt-ftparchive says\n%s", compression, out)
		}
		out = run(t, "apt-ftparchive", "contents", filepath.Dir(name))
		if !strings.Contains(out, "opt/f8") {
			t.Errorf("%s: apt-ftparchive lists\n%s", compression, out)
		}
	}
}
