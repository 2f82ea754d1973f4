package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/distropack/distropack/formats"
)

// BenchmarkVerify looks at 2,000 packages of 200 KB, signed as by reprepro, whose
// files are in the page cache.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	content := make([]byte, 200<<10)
	random := rand.NewChaCha8([32]byte{1})
	var packages []byte
	for i := range 2000 {
		random.Read(content)
		p := fmt.Sprintf("pool/main/h/hello/hello%d_1.0-1_amd64.deb", i)
		writeFile(b, filepath.Join(dir, p), content)
		packages = fmt.Appendf(packages, "Package: hello%d\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: Ann Example <ann@example.org>\nDescription: A small package\n It stands for packages as they usually are.\nFilename: %s\nSize: %d\nSHA256: %x\n\n", i, p, len(content), sha256.Sum256(content))
	}
	writeFile(b, dir+"/dists/stable/main/binary-amd64/Packages", packages)
	text := fmt.Appendf(nil, "Date: Mon, 01 Jun 2026 00:00:00 UTC\nSHA256:\n %x %d main/binary-amd64/Packages\n", sha256.Sum256(packages), len(packages))
	writeFile(b, dir+"/dists/stable/InRelease", sign(b, text, formats.OpenPGPClear, now))
	writeFile(b, dir+"/keys/hello.asc", public(b, testKey, formats.OpenPGP).Data)
	tree := open(b, dir)
	b.SetBytes(2000 * int64(len(content)))
	for b.Loop() {
		rep, err := Run(context.Background(), Options{Fetch: tree, Packages: Hashes, Now: later})
		if err != nil || len(rep.Findings) > 0 || rep.Packages != 2000 {
			b.Fatal(err, rep)
		}
	}
}

// BenchmarkPrimary parses an index of 10,000 packages.
func BenchmarkPrimary(b *testing.B) {
	text := []byte(`<?xml version="1.0"?><metadata packages="10000">`)
	for i := range 10000 {
		text = fmt.Appendf(text, `<package type="rpm"><name>hello%d</name><arch>x86_64</arch><version epoch="0" ver="1.0" rel="1"/><checksum type="sha256" pkgid="YES">%064d</checksum><summary>A &amp; B</summary><description>%0500d</description><size package="5" installed="6" archive="7"/><location href="Packages/h/hello%[1]d.rpm"/><format><rpm:license>MIT</rpm:license><rpm:provides><rpm:entry name="hello" flags="EQ" epoch="0" ver="1.0" rel="1"/></rpm:provides><file>/usr/bin/hello</file></format></package>`, i, i, i)
	}
	text = append(text, "</metadata>"...)
	name := filepath.Join(b.TempDir(), "primary.xml")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		l := &rpmList{run: &run{Options: Options{MaxPackages: maxPackages}, log: &log{}}, t: &target{}, stated: -1, primary: true}
		if err := l.parse(f); err != nil || l.n != 10000 || len(l.items) != 10000 {
			b.Fatal(err, l.n)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
