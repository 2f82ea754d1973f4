package verify

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

// sign signs a text with the key of the trees.
func sign(t testing.TB, text []byte, s formats.Scheme, at time.Time) []byte {
	t.Helper()
	k, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	f, err := keys.Of("hello", map[string]*keys.Key{"main": k}, at).Signer("main", s)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := f(context.Background(), bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// replaceAll changes a text, which has to have what is replaced.
func replace(t testing.TB, b []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("there is no %q in it", old)
	}
	return bytes.ReplaceAll(b, []byte(old), []byte(new))
}

// reindex changes stable's primary.xml and signs repomd.xml anew.
func reindex(t *testing.T, files map[string][]byte, edit func(primary []byte) []byte) {
	t.Helper()
	md := files["rpm/stable/repodata/repomd.xml"]
	m := regexp.MustCompile(`(?s)<data type="primary">.*?</data>`).Find(md)
	href := string(regexp.MustCompile(`href="([^"]+)"`).FindSubmatch(m)[1])
	plain, _, stop, err := unpacker(bytes.NewReader(files["rpm/stable/"+href]))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var text bytes.Buffer
	if _, err := text.ReadFrom(plain); err != nil {
		t.Fatal(err)
	}
	b := edit(text.Bytes())
	files["rpm/stable/repodata/primary.xml"] = b
	entry := fmt.Appendf(nil, `<data type="primary"><checksum type="sha256">%x</checksum><location href="repodata/primary.xml"/><size>%d</size></data>`, sha256.Sum256(b), len(b))
	md = bytes.Replace(md, m, entry, 1)
	files["rpm/stable/repodata/repomd.xml"] = md
	files["rpm/stable/repodata/repomd.xml.asc"] = sign(t, md, formats.OpenPGPArmor, later)
}

// relist changes the Packages of stable's amd64, which then has no other form, and
// signs Release anew.
func relist(t *testing.T, files map[string][]byte, edit func(packages []byte) []byte) {
	t.Helper()
	const index = "main/binary-amd64/Packages"
	b := edit(files["dists/stable/"+index])
	files["dists/stable/"+index] = b
	signRelease(t, files, "", fmt.Sprintf("SHA256:\n %x %d %s\n", sha256.Sum256(b), len(b), index))
}

// signRelease replaces what stable's Release lists.
func signRelease(t *testing.T, files map[string][]byte, fields, list string) {
	t.Helper()
	head, _, _ := strings.Cut(string(files["dists/stable/Release"]), "SHA256:\n")
	text := []byte(strings.Replace(head, "Acquire-By-Hash: yes\n", "", 1) + fields + list)
	files["dists/stable/Release"] = text
	files["dists/stable/Release.gpg"] = sign(t, text, formats.OpenPGPArmor, later)
	files["dists/stable/InRelease"] = sign(t, text, formats.OpenPGPClear, later)
}

// refeed changes the feed of stable's x86_64 and signs it anew.
func refeed(t *testing.T, files map[string][]byte, edit func(packages []byte) []byte) {
	t.Helper()
	const index = "opkg/stable/x86_64/Packages"
	b := edit(files[index])
	files[index] = b
	files[index+".gz"] = zipped(t, b)
	files[index+".sig"] = sign(t, b, formats.Usign, later)
	files[index+".asc"] = sign(t, b, formats.OpenPGPArmor, later)
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const (
	deb    = "pool/main/h/hello/hello_1.1.0-1_amd64.deb"
	rpm    = "rpm/stable/Packages/h/hello-1.1.0-1.x86_64.rpm"
	pkg    = "arch/x86_64/hello-1.1.0-1-x86_64.pkg.tar.zst"
	apk    = "apk/stable/x86_64/hello-1.1.0-r1.apk"
	ipk    = "opkg/stable/x86_64/hello_1.1.0-1_x86_64.ipk"
	tgz    = "downloads/hello/1.1.0/hello_1.1.0_linux_amd64.tar.gz"
	suite  = "dists/stable/"
	amd64  = "dists/stable/main/binary-amd64/"
	repod  = "rpm/stable/repodata/"
	db     = "arch/x86_64/hello"
	feed   = "opkg/stable/x86_64/"
	apkidx = "apk/stable/x86_64/APKINDEX.tar.gz"
	sums   = "downloads/SHA256SUMS"
)

// byHash is where a file lies by its digest.
func byHash(b []byte) string { return fmt.Sprintf("%sby-hash/SHA256/%x", amd64, sha256.Sum256(b)) }

// Each damage gives its own finding and no other.
func TestEachDamageHasItsFinding(t *testing.T) {
	type files = map[string][]byte
	flipAt := func(p string, at int) func(*testing.T, files, files) {
		return func(t *testing.T, f, _ files) { f[p] = flip(f[p], at) }
	}
	gone := func(p string) func(*testing.T, files, files) {
		return func(t *testing.T, f, _ files) {
			if f[p] == nil {
				t.Fatalf("there is no %s", p)
			}
			delete(f, p)
		}
	}
	cut := func(p string) func(*testing.T, files, files) {
		return func(t *testing.T, f, _ files) { f[p] = f[p][:len(f[p])-1] }
	}
	stale := func(paths ...string) func(*testing.T, files, files) {
		return func(t *testing.T, f, old files) {
			for _, p := range paths {
				if old[p] == nil || bytes.Equal(old[p], f[p]) {
					t.Fatalf("%s did not change", p)
				}
				f[p] = old[p]
			}
		}
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, f, old files)
		want   []string
	}{
		{"apt: a byte of a package", flipAt(deb, -1), []string{"error apt hash " + deb}},
		{"apt: the end of a package", cut(deb), []string{"error apt size " + deb}},
		{"apt: no package", gone(deb), []string{"error apt missing " + deb}},
		{"apt: a byte of InRelease's text", flipAt(suite+"InRelease", 90), []string{"error apt signature " + suite + "InRelease"}},
		{"apt: a byte of InRelease's signature", flipAt(suite+"InRelease", -120), []string{"error apt signature " + suite + "InRelease"}},
		{"apt: text before InRelease", func(t *testing.T, f, _ files) {
			f[suite+"InRelease"] = append([]byte("Date: x\n"), f[suite+"InRelease"]...)
		}, []string{"error apt signature " + suite + "InRelease"}},
		{"apt: a byte of Release", flipAt(suite+"Release", 10), []string{"error apt signature " + suite + "Release.gpg"}},
		{"apt: a byte of Release.gpg", flipAt(suite+"Release.gpg", -120), []string{"error apt signature " + suite + "Release.gpg"}},
		{"apt: an old Release with its signature", stale(suite+"Release", suite+"Release.gpg"), []string{"error apt torn " + suite + "Release"}},
		{"apt: an old Release", stale(suite + "Release"), []string{"error apt torn " + suite + "Release.gpg"}},
		{"apt: an old Release.gpg", stale(suite + "Release.gpg"), []string{"error apt torn " + suite + "Release.gpg"}},
		{"apt: no Release.gpg", gone(suite + "Release.gpg"), []string{"warning apt missing " + suite + "Release.gpg"}},
		{"apt: not signed", func(t *testing.T, f, _ files) {
			delete(f, suite+"Release.gpg")
			delete(f, suite+"InRelease")
		}, []string{"warning apt unsigned " + suite + "InRelease"}},
		{"apt: a byte of an index", flipAt(amd64+"Packages.gz", 30), []string{"error apt hash " + amd64 + "Packages.gz"}},
		{"apt: a byte of the plain index", flipAt(amd64+"Packages", 30), []string{"error apt hash " + amd64 + "Packages"}},
		{"apt: an old index", stale(amd64 + "Packages.gz"), []string{"warning apt torn " + amd64 + "Packages.gz"}},
		{"apt: no index", gone(amd64 + "Packages.zst"), []string{"error apt missing " + amd64 + "Packages.zst"}},
		{"apt: no index by hash", func(t *testing.T, f, _ files) { gone(byHash(f[amd64+"Packages.gz"]))(t, f, nil) },
			[]string{"error apt missing BYHASH"}},
		{"apt: a byte of an index by hash", func(t *testing.T, f, _ files) { flipAt(byHash(f[amd64+"Packages.gz"]), 30)(t, f, nil) },
			[]string{"error apt hash BYHASH"}},
		{"apt: a package twice", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte { return append(b, b...) })
		}, []string{"warning apt listed-twice " + amd64 + "Packages"}},
		{"apt: a package twice, in two forms", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte {
				return append(b, replace(t, bytes.Split(b, []byte("\n\n"))[0], "Filename: pool", "Filename: ./pool")...)
			})
		}, []string{"warning apt listed-twice " + amd64 + "Packages"}},
		{"apt: no digest", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte {
				return regexp.MustCompile(`SHA256: .*\n`).ReplaceAll(b, nil)
			})
		}, []string{"warning apt weak-hash " + amd64 + "Packages"}},

		{"dnf: a byte of a package", flipAt(rpm, -1), []string{"error dnf hash " + rpm}},
		{"dnf: no package", gone(rpm), []string{"error dnf missing " + rpm}},
		{"dnf: another digest in repomd.xml", func(t *testing.T, f, _ files) {
			p := repod + "repomd.xml"
			f[p] = flip(f[p], bytes.Index(f[p], []byte(`"sha256">`))+12)
		}, []string{"error dnf signature " + repod + "repomd.xml.asc"}},
		{"dnf: a byte of the signature", flipAt(repod+"repomd.xml.asc", -120), []string{"error dnf signature " + repod + "repomd.xml.asc"}},
		{"dnf: no signature", gone(repod + "repomd.xml.asc"), []string{"warning dnf unsigned " + repod + "repomd.xml"}},
		{"dnf: an old signature", stale(repod + "repomd.xml.asc"), []string{"error dnf torn " + repod + "repomd.xml.asc"}},
		{"dnf: an old repomd.xml", stale(repod + "repomd.xml"), []string{"error dnf torn " + repod + "repomd.xml.asc"}},
		{"dnf: all of it old", stale(repod+"repomd.xml", repod+"repomd.xml.asc"), nil},
		{"dnf: a wrong count", func(t *testing.T, f, _ files) {
			reindex(t, f, func(b []byte) []byte { return replace(t, b, `packages="4"`, `packages="5"`) })
		}, []string{"error dnf count " + repod + "primary.xml"}},
		{"dnf: a package twice", func(t *testing.T, f, _ files) {
			reindex(t, f, func(b []byte) []byte {
				b = replace(t, b, `packages="4"`, `packages="5"`)
				first := regexp.MustCompile(`(?s)<package .*?</package>\n`).Find(b)
				return replace(t, b, "</metadata>", string(first)+"</metadata>")
			})
		}, []string{"warning dnf listed-twice " + repod + "primary.xml", "error dnf count " + repod + "repomd.xml"}},
		{"dnf: a signed index over a package by nobody we know", func(t *testing.T, f, _ files) {
			at := bytes.Index(f[rpm], []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0})
			at += bytes.Index(f[rpm][at:], []byte{0x89, 1, 0xb3}) + 300 // in the signature of 3072 bits
			resign(t, f, rpm, flip(f[rpm], at))
		}, []string{"error dnf signature " + rpm, "error site hash " + rpm}},

		{"pacman: a byte of a package", flipAt(pkg, -1), []string{"error pacman hash " + pkg}},
		{"pacman: a byte of its signature", flipAt(pkg+".sig", -9), []string{"error pacman signature " + pkg + ".sig"}},
		{"pacman: the signature of another package", func(t *testing.T, f, _ files) {
			f[pkg+".sig"] = f["arch/x86_64/hello-data-1.1.0-1-x86_64.pkg.tar.zst.sig"]
		}, []string{"error pacman signature " + pkg + ".sig"}},
		{"pacman: no signature of a package", gone(pkg + ".sig"), []string{"error pacman missing " + pkg + ".sig"}},
		{"pacman: a byte of the database", flipAt(db+".db", 60), []string{"error pacman signature " + db + ".db.sig"}},
		{"pacman: a byte of its signature", flipAt(db+".db.sig", -9), []string{"error pacman signature " + db + ".db.sig"}},
		{"pacman: an old signature", stale(db + ".db.sig"), []string{"error pacman torn " + db + ".db.sig"}},
		{"pacman: an old database", stale(db + ".db"), []string{"error pacman torn " + db + ".db.sig"}},
		{"pacman: old lists of files", stale(db+".files", db+".files.sig"), []string{"warning pacman torn " + db + ".files"}},
		{"pacman: no lists of files", func(t *testing.T, f, _ files) {
			delete(f, db+".files")
			delete(f, db+".files.sig")
		}, []string{"warning pacman missing " + db + ".files"}},
		{"pacman: no signature of the database", gone(db + ".files.sig"), []string{"error pacman missing " + db + ".files.sig"}},

		{"apk: a byte of a package's files", flipAt(apk, -1), []string{"error apk hash " + apk}},
		{"apk: the end of a package", cut(apk), []string{"error apk size " + apk}},
		{"apk: no package", gone(apk), []string{"error apk missing " + apk}},
		{"apk: a byte of the index", flipAt(apkidx, -20), []string{"error apk signature " + apkidx}},
		{"apk: not signed", func(t *testing.T, f, _ files) {
			_, body, err := apkSignatures(f[apkidx])
			if err != nil {
				t.Fatal(err)
			}
			f[apkidx] = body
		}, []string{"warning apk unsigned " + apkidx}},
		{"apk: another package's control part", func(t *testing.T, f, _ files) {
			other := f["apk/beta/x86_64/hello-data-1.1.0-r1.apk"]
			f[apk] = append(bytes.Clone(other), make([]byte, max(0, len(f[apk])-len(other)))...)[:len(f[apk])]
		}, []string{"error apk hash " + apk}},

		{"opkg: a byte of a package", flipAt(ipk, -1), []string{"error opkg hash " + ipk}},
		{"opkg: no package", gone(ipk), []string{"error opkg missing " + ipk}},
		{"opkg: a byte of Packages", flipAt(feed+"Packages", 12), []string{"error opkg signature " + feed + "Packages.asc"}},
		{"opkg: a byte of usign's signature", flipAt(feed+"Packages.sig", -20), []string{"error opkg signature " + feed + "Packages.sig"}},
		{"opkg: a byte of OpenPGP's signature", flipAt(feed+"Packages.asc", -120), []string{"error opkg signature " + feed + "Packages.asc"}},
		{"opkg: a damaged Packages.gz", flipAt(feed+"Packages.gz", -6), []string{"error opkg index " + feed + "Packages.gz"}},
		{"opkg: an old Packages.gz", stale(feed + "Packages.gz"), []string{"error opkg hash " + feed + "Packages.gz"}},
		{"opkg: old signatures", stale(feed+"Packages.sig", feed+"Packages.asc"), []string{"error opkg torn " + feed + "Packages.asc"}},
		{"opkg: an old feed", stale(feed+"Packages", feed+"Packages.gz"), []string{"error opkg torn " + feed + "Packages.asc"}},
		{"opkg: no Packages.gz", gone(feed + "Packages.gz"), []string{"warning opkg missing " + feed + "Packages.gz"}},
		{"opkg: a package twice", func(t *testing.T, f, _ files) {
			refeed(t, f, func(b []byte) []byte { return append(b, b...) })
		}, []string{"warning opkg listed-twice " + feed + "Packages"}},

		{"brew: a byte of an archive", flipAt(tgz, -1), []string{"error brew hash " + tgz}},
		{"brew: another digest in a formula", func(t *testing.T, f, _ files) {
			p := "brew/Formula/hello.rb"
			f[p] = flip(f[p], bytes.Index(f[p], []byte(`sha256 "`))+9)
		}, []string{"error brew hash downloads/hello/1.1.0/hello_1.1.0_darwin_arm64.tar.gz"}},
		{"brew: no digest in a formula", func(t *testing.T, f, _ files) {
			p := "brew/Formula/hello.rb"
			f[p] = regexp.MustCompile(`(?m)^ *sha256 .*\n`).ReplaceAll(f[p], nil)
		}, []string{"error brew index brew/Formula/hello.rb"}},
		{"brew: no formula", gone("brew/Formula/hello.rb"), []string{"error brew missing brew/Formula/hello.rb"}},

		{"downloads: a byte of the list", flipAt(sums, 3), []string{"error downloads signature " + sums + ".asc"}},
		{"downloads: a byte of the signature", flipAt(sums+".asc", -120), []string{"error downloads signature " + sums + ".asc"}},
		{"downloads: an old signature", stale(sums + ".asc"), []string{"error downloads torn " + sums + ".asc"}},
		{"downloads: an old list", stale(sums), []string{"error downloads torn " + sums + ".asc"}},
		{"downloads: no signature", gone(sums + ".asc"), []string{"warning downloads unsigned " + sums}},

		{"site: no script", gone("install.sh"), []string{"error site missing install.sh"}},
		{"site: half a script", cut("install.sh"), []string{"error site index install.sh"}},
		{"site: a page in the script's place", func(t *testing.T, f, _ files) {
			f["install.sh"] = []byte("<!DOCTYPE html>\n")
		}, []string{"error site index install.sh"}},
		{"site: no key", gone("keys/hello.asc"), []string{"error  missing keys/hello.asc"}},
		{"site: half of install.json", cutHalf("install.json"), []string{"error site index install.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, old := generation(t, 1), generation(t, 0)
			want := append([]string{}, c.want...)
			for i, w := range want {
				want[i] = strings.Replace(w, "BYHASH", byHash(f[amd64+"Packages.gz"]), 1)
			}
			c.damage(t, f, old)
			expect(t, see(t, f, Options{Packages: Hashes}), want...)
		})
	}
	if !maps.EqualFunc(generation(t, 1), generation(t, 1), bytes.Equal) {
		t.Error("a test changed the tree of the others")
	}
}

// Without reading packages it is still seen that they are there, whole, and have
// their signatures beside them.
func TestSizesAreEnoughToFindWhatIsMissing(t *testing.T) {
	f := generation(t, 1)
	for _, p := range []string{deb, rpm, apk, ipk} {
		f[p] = f[p][:len(f[p])-1]
	}
	for _, p := range []string{tgz, pkg + ".sig"} {
		delete(f, p)
	}
	want := []string{"error apt size " + deb, "error dnf size " + rpm, "error apk size " + apk, "error opkg size " + ipk, "error brew missing " + tgz, "error pacman missing " + pkg + ".sig"}
	rep := see(t, f, Options{})
	expect(t, rep, want...)
	if rep.Bytes != 0 {
		t.Errorf("%d bytes of packages were read", rep.Bytes)
	}
	expect(t, see(t, f, Options{Packages: None}))
}

// A package that is whole in itself is still not the one that the index means.
func TestAnAPKIsKnownByItsControlPart(t *testing.T) {
	f := generation(t, 1)
	_, body, err := apkSignatures(f[apk])
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(body)
	z, err := stdgzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	if _, err := io.Copy(io.Discard, z); err != nil {
		t.Fatal(err)
	}
	control := fmt.Sprintf("%x", sha1.Sum(body[:len(body)-in.Len()]))
	if err := apkParts(bytes.NewReader(f[apk]), control); err != nil {
		t.Error(err)
	}
	other := f["apk/stable/x86_64/hello-1.0.0-r1.apk"]
	if err := apkParts(bytes.NewReader(other), control); err == nil || !strings.Contains(err.Error(), "the SHA-1 of its control part is") {
		t.Errorf("another version: %v", err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), f[apkidx][:100], zipped(t, []byte("x"))} {
		if err := apkParts(bytes.NewReader(bad), control); err == nil {
			t.Errorf("%.20q is a package", bad)
		}
	}
}

func cutHalf(p string) func(*testing.T, map[string][]byte, map[string][]byte) {
	return func(t *testing.T, f, _ map[string][]byte) { f[p] = f[p][:len(f[p])/2] }
}

// resign puts other bytes in a package's place and has dnf's index vouch for them.
func resign(t *testing.T, f map[string][]byte, p string, b []byte) {
	t.Helper()
	old := fmt.Sprintf("%x", sha256.Sum256(f[p]))
	f[p] = b
	reindex(t, f, func(primary []byte) []byte { return replace(t, primary, old, fmt.Sprintf("%x", sha256.Sum256(b))) })
}
