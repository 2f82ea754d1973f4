package nfpm_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/formats/formattest"
	"github.com/distropack/distropack/formats/internal/nfpm"
)

// differ are the fields that are not nFPM's, each with the reason.
var differ = map[string]string{
	"deb Installed-Size": "the changelog we ship, and directories count",
	"ipk Architecture":   "nFPM writes Debian's words, OpenWrt has its own",
	"ipk Vendor":         "opkg knows no such field",
	"ipk Installed-Size": "opkg counts bytes",
	"rpm description":    "nFPM repeats the summary in it",
	"rpm archivesize":    "nFPM counts the contents without the archive's headers",
	"rpm headerstart":    "signatures differ",
	"rpm headerend":      "headers differ",
	"arch pkgdesc":       "nFPM takes the whole description, which pacman shows on one line",
	"apk datahash":       "archives differ",
	"apk checksum":       "control files differ",
}

// more are fields to which we add: nFPM's values must all be among ours.
var more = map[string]string{
	"rpm provides": "the name with its CPU, as rpmbuild has it",
	"rpm requires": "rpmlib features and the scripts' interpreter, as rpmbuild has it",
	"apk depend":   "conflicts, which apk spells !name",
}

func TestMetadataAgreesWithNFPM(t *testing.T) {
	for _, kind := range all.Kinds() {
		if kind.AnyOS {
			continue // nFPM writes no archives
		}
		t.Run(kind.Name, func(t *testing.T) {
			f, err := kind.New(formats.NoSection, formats.Env{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, {OS: "linux", Arch: "arm", Variant: "v7"}, formats.All} {
				for _, version := range []string{"1.2.0", "1.3.0-rc.1"} {
					if version != "1.2.0" && (kind.Name == "arch" || kind.Name == "apk") {
						// nFPM leaves the pre-release out for pacman, and writes
						// 1.3.0_rc.1 for apk, which is no version there.
						continue
					}
					spec := formattest.Spec()
					spec.Version = version
					compare(t, f, spec, p)
				}
			}
		})
	}
}

func compare(t *testing.T, f formats.Format, spec *formats.Spec, p formats.Platform) {
	t.Helper()
	ctx := context.Background()
	var a, b bytes.Buffer
	if err := f.Write(ctx, &a, spec, p, formattest.Files()); err != nil {
		t.Fatal(err)
	}
	if err := nfpm.Write(ctx, &b, f.Name(), spec, p, formattest.Files(), nil); err != nil {
		t.Fatal(err)
	}
	own, err := f.Describe(ctx, bytes.NewReader(a.Bytes()), int64(a.Len()))
	if err != nil {
		t.Fatal(err)
	}
	peer, err := f.Describe(ctx, bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatalf("%s by nFPM: %v", f.Name(), err)
	}
	if own.Name != peer.Name || own.Version != peer.Version || own.Arch != peer.Arch && f.Name() != "ipk" {
		t.Errorf("%s %s: we say %s %s %s, nFPM %s %s %s", spec.Version, p, own.Name, own.Version, own.Arch, peer.Name, peer.Version, peer.Arch)
	}
	for _, field := range peer.Fields {
		key := f.Name() + " " + field.Key
		x, y := own.All(field.Key), peer.All(field.Key)
		slices.Sort(x)
		slices.Sort(y)
		if more[key] != "" {
			x = slices.DeleteFunc(x, func(s string) bool { return !slices.Contains(y, s) })
		}
		if differ[key] == "" && !slices.Equal(x, y) {
			t.Errorf("%s %s: %s: we say %q, nFPM %q", spec.Version, p, field.Key, x, y)
		}
	}
	leaves := func(files []string) (all []string) {
		for _, name := range files {
			if !strings.HasSuffix(name, "/") && !strings.HasPrefix(name, "/usr/share/doc/") {
				all = append(all, name)
			}
		}
		return all
	}
	if x, y := leaves(own.Files), leaves(peer.Files); !slices.Equal(x, y) {
		t.Errorf("%s: our files are\n%q, nFPM's\n%q", f.Name(), x, y)
	}
}
