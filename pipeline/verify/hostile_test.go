package verify

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
)

// Whoever holds a key may still write an index that harms those who read it.
func TestHostileIndexesEndWithAFinding(t *testing.T) {
	type files = map[string][]byte
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, f files)
		want   []string
	}{
		{"apt: a path out of the tree", func(t *testing.T, f files) {
			relist(t, f, func(b []byte) []byte {
				return replace(t, b, "Filename: pool/main/h/hello/hello_1.1.0", "Filename: ../../etc/hello_1.1.0")
			})
		}, []string{"error apt path " + amd64 + `Packages: it names "../../etc/hello_1.1.0-1_amd64.deb", which is no path in the tree`}},
		{"apt: an absolute path", func(t *testing.T, f files) {
			relist(t, f, func(b []byte) []byte {
				return replace(t, b, "Filename: pool/main/h/hello/hello_1.1.0", "Filename: /etc/hello_1.1.0")
			})
		}, []string{"error apt path " + amd64 + "Packages"}},
		{"apt: an index out of the tree", func(t *testing.T, f files) {
			signRelease(t, f, "", fmt.Sprintf("SHA256:\n %064d 5 ../../../etc/passwd\n", 1))
		}, []string{"error apt path " + suite + `InRelease: it names "../../../etc/passwd", which is no path in the tree`}},
		{"apt: an endless line", func(t *testing.T, f files) {
			relist(t, f, func([]byte) []byte { return bytes.Repeat([]byte("x"), 1<<20) })
		}, []string{"error apt index " + amd64 + "Packages"}},
		{"apt: an index that unpacks to too much", func(t *testing.T, f files) {
			const index = "main/binary-amd64/Packages.gz"
			b := bomb(t, "Package: x\nDescription: ")
			f[suite+index] = b
			signRelease(t, f, "", fmt.Sprintf("SHA256:\n %x %d %s\n", sha256.Sum256(b), len(b), index))
		}, []string{"error apt too-large " + amd64 + "Packages.gz: after decompression it is longer than 8388608 bytes, which is as much as is read"}},
		{"apt: a size that is no number", func(t *testing.T, f files) {
			relist(t, f, func(b []byte) []byte { return replace(t, b, "\nSize: ", "\nSize: -") })
		}, []string{"error apt index " + amd64 + "Packages"}},
		{"dnf: a path out of the tree", func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte {
				return replace(t, b, "Packages/h/hello-1.1.0", "../../../etc/hello-1.1.0")
			})
		}, []string{"error dnf path " + repod + "primary.xml"}},
		{"dnf: XML without an end", func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte {
				return append(b[:bytes.Index(b, []byte("<package"))], bytes.Repeat([]byte("<a>"), 1<<20)...)
			})
		}, []string{"error dnf index " + repod + "primary.xml"}},
		{"dnf: a tag without an end", func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte {
				return append(b[:bytes.Index(b, []byte("<package"))], bytes.Repeat([]byte("<a "), 1<<20)...)
			})
		}, []string{"error dnf index " + repod + "primary.xml"}},
		{"dnf: entities that grow", func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte {
				return append([]byte(`<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>`), b...)
			})
		}, []string{"error dnf index " + repod + "primary.xml"}},
		{"dnf: an index that unpacks to too much", func(t *testing.T, f files) {
			reindex(t, f, func([]byte) []byte { return bomb(t, `<metadata packages="1"><!-- `) })
		}, []string{"error dnf index " + repod + "primary.xml"}},
		{"dnf: a window of 2 GB", func(t *testing.T, f files) {
			reindex(t, f, func([]byte) []byte {
				return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0} // a frame that asks for 2 GiB, RFC 8878 3.1.1.1.2
			})
		}, []string{"error dnf index " + repod + "primary.xml"}},
		{"pacman: a path out of the tree", func(t *testing.T, f files) {
			redatabase(t, f, "%FILENAME%\n../../etc/passwd\n\n%NAME%\nx\n\n%VERSION%\n1-1\n\n")
		}, []string{"error pacman path " + db + `.db: it names "../../etc/passwd", which is no path in the tree`}},
		{"pacman: an entry without a name", func(t *testing.T, f files) {
			redatabase(t, f, "%FILENAME%\nx.pkg.tar.zst\n\n%VERSION%\n1-1\n\n")
		}, []string{"error pacman index " + db + ".db", "error pacman index " + db + ".files"}},
		{"pacman: a database that unpacks to too much", func(t *testing.T, f files) {
			f[db+".db"] = bomb(t, tarHead(t, 1<<40))
			f[db+".db.sig"] = sign(t, f[db+".db"], formats.OpenPGP, later)
		}, []string{"error pacman too-large " + db + ".db"}},
		{"apk: an index that unpacks to too much", func(t *testing.T, f files) {
			f[apkidx] = bomb(t, tarHead(t, 1<<40))
		}, []string{"error apk too-large " + apkidx, "warning apk unsigned " + apkidx}},
		{"opkg: a path out of the tree", func(t *testing.T, f files) {
			refeed(t, f, func(b []byte) []byte {
				return replace(t, b, "Filename: hello_1.1.0", "Filename: ../../../etc/hello_1.1.0")
			})
		}, []string{"error opkg path " + feed + "Packages"}},
		{"downloads: a path out of the tree", func(t *testing.T, f files) {
			f[sums] = fmt.Appendf(f[sums], "%064d  ../../etc/passwd\n", 1)
			f[sums+".asc"] = sign(t, f[sums], formats.OpenPGPArmor, later)
		}, []string{"error downloads path " + sums}},
		{"brew: an address that is none", func(t *testing.T, f files) {
			f[rb] = replace(t, f[rb], `url "https://`, `url "file:///`)
		}, []string{"error brew index " + rb + ": it is no address of the form https://host/path"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := generation(t, 1)
			c.damage(t, f)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			rep := see(t, f, Options{Packages: Hashes, MaxIndex: 8 << 20})
			runtime.ReadMemStats(&after)
			expect(t, rep, c.want...)
			if n := after.TotalAlloc - before.TotalAlloc; n > 100<<20 {
				t.Errorf("it took %d MB of memory", n>>20)
			}
		})
	}
}

// A small file that holds half a gigabyte is read up to the limit, and no more is
// kept of it.
func TestIndexesAreReadUpTo512MB(t *testing.T) {
	f := generation(t, 1)
	const index = "main/binary-amd64/Packages.gz"
	b := sized(t, "Package: x\nDescription: ", 520)
	f[suite+index] = b
	signRelease(t, f, "", fmt.Sprintf("SHA256:\n %x %d %s\n", sha256.Sum256(b), len(b), index))
	rep := see(t, f, Options{Clients: []string{"apt:dists/stable"}})
	expect(t, rep, "error apt too-large "+amd64+"Packages.gz")
	if len(rep.Findings) == 1 && !strings.Contains(rep.Findings[0].Text, "longer than 536870912 bytes") {
		t.Error(rep.Findings)
	}
}

// bomb packs a head and 32 MB of blanks.
func bomb(t testing.TB, head string) []byte { return sized(t, head, 32) }

// sized packs a head and blanks.
func sized(t testing.TB, head string, megabytes int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for range megabytes {
		if _, err := w.Write(blanks); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tarHead is the head of a file that says how long it is.
func tarHead(t testing.TB, size int64) string {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: size, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestACancelledLookEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Fetch: FS(mapFS(generation(t, 1))), Now: later, Packages: Hashes, Progress: func(Event) { cancel() }}
	if _, err := Run(ctx, o); err != context.Canceled {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
