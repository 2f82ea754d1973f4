package verify

import (
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"testing"
)

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
	rb     = "brew/Formula/hello.rb"
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
		{"apt: a byte of a package", flipAt(deb, -1), []string{"error apt hash " + deb + ": its SHA256 is "}},
		{"apt: the end of a package", cut(deb), []string{"error apt size " + deb + ": bytes, its index says "}},
		{"apt: no package", gone(deb), []string{"error apt missing " + deb + ": it is not there"}},
		{"apt: a byte of InRelease's text", flipAt(suite+"InRelease", 90), []string{"error apt signature " + suite + "InRelease: the text was changed"}},
		{"apt: a byte of InRelease's signature", flipAt(suite+"InRelease", -120), []string{"error apt signature " + suite + "InRelease"}},
		{"apt: text before InRelease", func(t *testing.T, f, _ files) {
			f[suite+"InRelease"] = append([]byte("Date: x\n"), f[suite+"InRelease"]...)
		}, []string{"error apt signature " + suite + "InRelease"}},
		{"apt: a byte of Release", flipAt(suite+"Release", 10), []string{"error apt signature " + suite + "Release.gpg"}},
		{"apt: a byte of Release.gpg", flipAt(suite+"Release.gpg", -120), []string{"error apt signature " + suite + "Release.gpg"}},
		{"apt: an old Release with its signature", stale(suite+"Release", suite+"Release.gpg"), []string{"error apt torn " + suite + "Release: it is not the text of InRelease: the two are of two publishes"}},
		{"apt: an old Release", stale(suite + "Release"), []string{"error apt torn " + suite + "Release.gpg: it is a signature of our key, but of another Release than the one here"}},
		{"apt: an old Release.gpg", stale(suite + "Release.gpg"), []string{"error apt torn " + suite + "Release.gpg"}},
		{"apt: no Release.gpg", gone(suite + "Release.gpg"), []string{"warning apt missing " + suite + "Release.gpg: Release is there without its signature: clients that do not read InRelease refuse it"}},
		{"apt: not signed", func(t *testing.T, f, _ files) {
			delete(f, suite+"Release.gpg")
			delete(f, suite+"InRelease")
		}, []string{"warning apt unsigned " + suite + "InRelease: the suite is not signed: apt refuses it unless told to trust it"}},
		{"apt: a byte of an index", flipAt(amd64+"Packages.gz", 30), []string{"error apt hash " + amd64 + "Packages.gz"}},
		{"apt: a byte of the plain index", flipAt(amd64+"Packages", 30), []string{"error apt hash " + amd64 + "Packages"}},
		{"apt: an old index", stale(amd64 + "Packages.gz"), []string{"warning apt torn " + amd64 + "Packages.gz: it is of another publish than InRelease: a cache or mirror serves both at once"}},
		{"apt: no index", gone(amd64 + "Packages.zst"), []string{"error apt missing " + amd64 + "Packages.zst"}},
		{"apt: no index by hash", func(t *testing.T, f, _ files) { gone(byHash(f[amd64+"Packages.gz"]))(t, f, nil) },
			[]string{"error apt missing BYHASH"}},
		{"apt: a byte of an index by hash", func(t *testing.T, f, _ files) { flipAt(byHash(f[amd64+"Packages.gz"]), 30)(t, f, nil) },
			[]string{"error apt hash BYHASH"}},
		{"apt: a package twice", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte { return append(b, b...) })
		}, []string{"warning apt listed-twice " + amd64 + "Packages: it lists hello 1.1.0-1 amd64 twice"}},
		{"apt: a package twice, in two forms", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte {
				return append(b, replace(t, bytes.Split(b, []byte("\n\n"))[0], "Filename: pool", "Filename: ./pool")...)
			})
		}, []string{"warning apt listed-twice " + amd64 + "Packages"}},
		{"apt: no digest", func(t *testing.T, f, _ files) {
			relist(t, f, func(b []byte) []byte {
				return regexp.MustCompile(`SHA256: .*\n`).ReplaceAll(b, nil)
			})
		}, []string{"warning apt weak-hash " + amd64 + "Packages: package hello has no SHA-256: clients refuse it, or can't tell a forged one"}},

		{"dnf: a byte of a package", flipAt(rpm, -1), []string{"error dnf hash " + rpm}},
		{"dnf: no package", gone(rpm), []string{"error dnf missing " + rpm}},
		{"dnf: another digest in repomd.xml", func(t *testing.T, f, _ files) {
			p := repod + "repomd.xml"
			f[p] = flip(f[p], bytes.Index(f[p], []byte(`"sha256">`))+12)
		}, []string{"error dnf signature " + repod + "repomd.xml.asc"}},
		{"dnf: a byte of the signature", flipAt(repod+"repomd.xml.asc", -120), []string{"error dnf signature " + repod + "repomd.xml.asc"}},
		{"dnf: no signature", gone(repod + "repomd.xml.asc"), []string{"warning dnf unsigned " + repod + "repomd.xml: there is no repomd.xml.asc: clients with repo_gpgcheck=1 refuse the repository"}},
		{"dnf: an old signature", stale(repod + "repomd.xml.asc"), []string{"error dnf torn " + repod + "repomd.xml.asc: but of another repomd.xml than the one here"}},
		{"dnf: an old repomd.xml", stale(repod + "repomd.xml"), []string{"error dnf torn " + repod + "repomd.xml.asc"}},
		{"dnf: all of it old", stale(repod+"repomd.xml", repod+"repomd.xml.asc"), nil},
		{"dnf: a wrong count", func(t *testing.T, f, _ files) {
			reindex(t, f, func(b []byte) []byte { return replace(t, b, `packages="4"`, `packages="5"`) })
		}, []string{"error dnf count " + repod + "primary.xml: it says it has 5 packages, there are 4"}},
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
		{"dnf: a package without a signature among others", func(t *testing.T, f, _ files) {
			delete(f, sitePath) // which lists it, too
			resign(t, f, rpm, unsigned(t)["rpm/stable/Packages/h/hello-1.0.0-1.x86_64.rpm"])
		}, []string{"error dnf unsigned " + rpm + ": it bears no signature, though other packages do: clients with gpgcheck=1 refuse it"}},
		{"dnf: a file that is no package", func(t *testing.T, f, _ files) {
			delete(f, sitePath)
			resign(t, f, rpm, bytes.Repeat([]byte("x"), len(f[rpm])))
		}, []string{"error dnf index " + rpm + ": it is as its index says, but no rpm package"}},

		{"pacman: a byte of a package", flipAt(pkg, -1), []string{"error pacman hash " + pkg}},
		{"pacman: a byte of its signature", flipAt(pkg+".sig", -9), []string{"error pacman signature " + pkg + ".sig"}},
		{"pacman: the signature of another package", func(t *testing.T, f, _ files) {
			f[pkg+".sig"] = f["arch/x86_64/hello-data-1.1.0-1-x86_64.pkg.tar.zst.sig"]
		}, []string{"error pacman signature " + pkg + ".sig: the text was changed"}},
		{"pacman: no signature of a package", gone(pkg + ".sig"), []string{"error pacman missing " + pkg + ".sig: it is not there, though other packages have a signature: clients refuse the package"}},
		{"pacman: a byte of the database", flipAt(db+".db", 60), []string{"error pacman signature " + db + ".db.sig"}},
		{"pacman: a byte of its signature", flipAt(db+".db.sig", -9), []string{"error pacman signature " + db + ".db.sig"}},
		{"pacman: an old signature", stale(db + ".db.sig"), []string{"error pacman torn " + db + ".db.sig"}},
		{"pacman: an old database", stale(db + ".db"), []string{"error pacman torn " + db + ".db.sig"}},
		{"pacman: no package is signed", func(_ *testing.T, f, _ files) {
			maps.DeleteFunc(f, func(p string, _ []byte) bool { return strings.HasSuffix(p, ".pkg.tar.zst.sig") })
		}, []string{"warning pacman unsigned arch/x86_64/hello: none of its 2 packages is signed, though the index is: clients with SigLevel = Required refuse them", "warning pacman unsigned arch/x86_64/hello-beta"}},
		{"pacman: old lists of files", stale(db+".files", db+".files.sig"), []string{"warning pacman torn " + db + ".files: it lacks hello 1.1.0-1, which .db has: the two are of two publishes"}},
		{"pacman: no lists of files", func(t *testing.T, f, _ files) {
			delete(f, db+".files")
			delete(f, db+".files.sig")
		}, []string{"warning pacman missing " + db + ".files: it is not there: pacman -Fy fails"}},
		{"pacman: no signature of the database", gone(db + ".files.sig"), []string{"error pacman missing " + db + ".files.sig: it is not there, though .db has one"}},

		{"apk: a byte of a package's files", flipAt(apk, -1), []string{"error apk hash " + apk + ": the SHA-256 of its files is "}},
		{"apk: the end of a package", cut(apk), []string{"error apk size " + apk}},
		{"apk: no package", gone(apk), []string{"error apk missing " + apk}},
		{"apk: a byte of the index", flipAt(apkidx, -20), []string{"error apk signature " + apkidx + ": the text was changed"}},
		{"apk: not signed", func(t *testing.T, f, _ files) {
			_, body, err := apkSignatures(f[apkidx])
			if err != nil {
				t.Fatal(err)
			}
			f[apkidx] = body
		}, []string{"warning apk unsigned " + apkidx + ": the index is not signed: apk refuses it without --allow-untrusted"}},
		{"apk: a file that is no package", func(_ *testing.T, f, _ files) { f[apk] = bytes.Repeat([]byte("x"), len(f[apk])) },
			[]string{"error apk hash " + apk + ": it is no apk package: gzip: invalid header"}},
		{"apk: a gzip stream that is no package", func(t *testing.T, f, _ files) {
			f[apk] = append(zipped(t, bytes.Repeat([]byte("x"), 1024)), make([]byte, len(f[apk]))...)[:len(f[apk])]
		}, []string{"error apk hash " + apk + ": it is no apk package: archive/tar: invalid tar header"}},
		{"apk: another package's control part", func(t *testing.T, f, _ files) {
			other := f["apk/beta/x86_64/hello-data-1.1.0-r1.apk"]
			f[apk] = append(bytes.Clone(other), make([]byte, max(0, len(f[apk])-len(other)))...)[:len(f[apk])]
		}, []string{"error apk hash " + apk + ": the SHA-1 of its control part is "}},

		{"opkg: a byte of a package", flipAt(ipk, -1), []string{"error opkg hash " + ipk}},
		{"opkg: no package", gone(ipk), []string{"error opkg missing " + ipk}},
		{"opkg: a byte of Packages", flipAt(feed+"Packages", 12), []string{"error opkg signature " + feed + "Packages.asc"}},
		{"opkg: a byte of usign's signature", func(t *testing.T, f, _ files) {
			b := bytes.Clone(f[feed+"Packages.sig"])
			if at := len(b) - 20; b[at] != 'A' { // a letter of base64, as before
				b[at] = 'A'
			} else {
				b[at] = 'B'
			}
			f[feed+"Packages.sig"] = b
		}, []string{"error opkg signature " + feed + "Packages.sig: is wrong: the text was changed, or a cache serves it and Packages of two publishes"}},
		{"opkg: a byte of OpenPGP's signature", flipAt(feed+"Packages.asc", -120), []string{"error opkg signature " + feed + "Packages.asc"}},
		{"opkg: a damaged Packages.gz", flipAt(feed+"Packages.gz", -6), []string{"error opkg index " + feed + "Packages.gz"}},
		{"opkg: an old Packages.gz", stale(feed + "Packages.gz"), []string{"error opkg hash " + feed + "Packages.gz: it does not hold what Packages is: what a client sees depends on which one it fetches"}},
		{"opkg: old signatures", stale(feed+"Packages.sig", feed+"Packages.asc"), []string{"error opkg torn " + feed + "Packages.asc"}},
		{"opkg: an old feed", stale(feed+"Packages", feed+"Packages.gz"), []string{"error opkg torn " + feed + "Packages.asc"}},
		{"opkg: no Packages.gz", gone(feed + "Packages.gz"), []string{"warning opkg missing " + feed + "Packages.gz: feeds are usually added as src/gz, which asks for it"}},
		{"opkg: a package twice", func(t *testing.T, f, _ files) {
			refeed(t, f, func(b []byte) []byte { return append(b, b...) })
		}, []string{"warning opkg listed-twice " + feed + "Packages"}},

		{"brew: a byte of an archive", flipAt(tgz, -1), []string{"error brew hash " + tgz}},
		{"brew: another digest in a formula", func(t *testing.T, f, _ files) {
			f[rb] = flip(f[rb], bytes.Index(f[rb], []byte(`sha256 "`))+9)
		}, []string{"error brew hash downloads/hello/1.1.0/hello_1.1.0_darwin_arm64.tar.gz"}},
		{"brew: no digest in a formula", func(t *testing.T, f, _ files) {
			f[rb] = regexp.MustCompile(`(?m)^ *sha256 .*\n`).ReplaceAll(f[rb], nil)
		}, []string{"error brew index brew/Formula/hello.rb: it names \"https://example.org/hello/downloads/hello/1.1.0/hello_1.1.0_darwin_arm64.tar.gz\" without a sha256"}},
		{"brew: no formula", gone(rb), []string{"error brew missing " + rb}},

		{"downloads: a byte of the list", flipAt(sums, 3), []string{"error downloads signature " + sums + ".asc"}},
		{"downloads: a byte of the signature", flipAt(sums+".asc", -120), []string{"error downloads signature " + sums + ".asc"}},
		{"downloads: an old signature", stale(sums + ".asc"), []string{"error downloads torn " + sums + ".asc"}},
		{"downloads: an old list", stale(sums), []string{"error downloads torn " + sums + ".asc"}},
		{"downloads: no signature", gone(sums + ".asc"), []string{"warning downloads unsigned " + sums + ": it is not signed: whoever can change the files can change it"}},

		{"site: no script", gone("install.sh"), []string{"error site missing install.sh"}},
		{"site: half a script", cut("install.sh"), []string{"error site index install.sh: it does not begin as a script or is cut off"}},
		{"site: a page in the script's place", func(t *testing.T, f, _ files) {
			f["install.sh"] = []byte("<!DOCTYPE html>\n")
		}, []string{"error site index install.sh: it does not begin as a script or is cut off"}},
		{"site: no key", gone("keys/hello.asc"), []string{"error  missing keys/hello.asc"}},
		{"site: half of install.json", cutHalf("install.json"), []string{"error site index install.json: it can't be read: unexpected end of JSON input"}},
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
		if err := apkParts(bytes.NewReader(bad), control); err == nil || !strings.HasPrefix(err.Error(), "it is no apk package: ") {
			t.Errorf("%.20q is a package: %v", bad, err)
		}
	}
}

func cutHalf(p string) func(*testing.T, map[string][]byte, map[string][]byte) {
	return func(t *testing.T, f, _ map[string][]byte) { f[p] = f[p][:len(f[p])/2] }
}
