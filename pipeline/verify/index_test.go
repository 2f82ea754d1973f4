package verify

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Signed indexes that no client can take, or not as they are meant.
func TestASignedIndexThatIsWrongIsFound(t *testing.T) {
	type files = map[string][]byte
	lists := func(list string) func(*testing.T, files) { // in Release
		return func(t *testing.T, f files) { signRelease(t, f, "", list) }
	}
	sub := func(pattern, by string) func([]byte) []byte { // the first only
		return func(b []byte) []byte {
			at := regexp.MustCompile(pattern).FindIndex(b)
			if at == nil {
				t.Fatalf("there is no %q in it", pattern)
			}
			return bytes.Join([][]byte{b[:at[0]], b[at[1]:]}, []byte(by))
		}
	}
	inPackages := func(pattern, by string) func(*testing.T, files) {
		return func(t *testing.T, f files) { relist(t, f, sub(pattern, by)) }
	}
	inMD := func(pattern, by string) func(*testing.T, files) {
		return func(t *testing.T, f files) { remd(t, f, sub(pattern, by)) }
	}
	inPrimary := func(pattern, by string) func(*testing.T, files) {
		return func(t *testing.T, f files) { reindex(t, f, sub(pattern, by)) }
	}
	desc := func(more string) func(*testing.T, files) { // of pacman
		return func(t *testing.T, f files) {
			redatabase(t, f, "%FILENAME%\nx.pkg.tar.zst\n\n%NAME%\nx\n\n%VERSION%\n1-1\n\n"+more)
		}
	}
	formula := func(pattern, by string) func(*testing.T, files) {
		return func(t *testing.T, f files) { f[rb] = sub(pattern, by)(f[rb]) }
	}
	const (
		apt, dnf, pacman, opkg = "apt:dists/stable", "dnf:rpm/stable", "pacman:arch/x86_64/hello", "opkg:opkg/stable/x86_64"
		release, primary       = "error apt index " + suite + "Release: ", "error dnf index " + repod + "primary.xml: it can't be read: "
		packages, md, pacmanDB = "error apt index " + amd64 + "Packages: it can't be read: ", "error dnf index " + repod + "repomd.xml: ", "error pacman index " + db
	)
	zeros := strings.Repeat("0", 64)
	for _, c := range []struct {
		name, client string
		damage       func(t *testing.T, f files)
		want         []string
	}{
		{"no suite", "apt:dists/nightly", func(*testing.T, files) {}, []string{"error apt missing dists/nightly/InRelease: neither InRelease nor Release is there"}},
		{"a line that lists nothing", apt, lists("SHA256:\n abc x\n"), []string{release + "it can't be read: line 12 is not a digest, a size and a path"}},
		{"two sizes of a file", apt, lists("SHA256:\n " + zeros + " 1 a/Packages\n " + zeros + " 2 a/Packages\n"), []string{release + `it can't be read: line 13: "a/Packages" has two sizes`}},
		{"a size in words", apt, lists("SHA256:\n " + zeros + " one a/Packages\n"), []string{release + `it can't be read: line 12: size "one" is not a number`}},
		{"half a digest", apt, lists("SHA256:\n abcd 1 a/Packages\n"), []string{release + `it can't be read: line 12: sha256 "abcd" is not 64 hexadecimal digits`}},
		{"a line without a field", apt, lists("nonsense\n"), []string{release + `it can't be read: line 11 is no field: "nonsense"`}},
		{"a date in words", apt, lists("Date: yesterday\n"), []string{release + `it can't be read: line 11: date "yesterday" is not of the form Mon, 02 Jan 2006`}},
		{"no date", apt, func(t *testing.T, f files) {
			f[suite+"Release"] = []byte("Suite: stable\n")
			signRelease(t, f, "", "SHA256:\n")
		}, []string{"warning apt index " + suite + "InRelease: it has no Date: apt can't tell a newer one from an older one"}},
		{"MD5 alone", apt, func(t *testing.T, f files) {
			b := f[amd64+"Packages"]
			signRelease(t, f, "", fmt.Sprintf("MD5Sum:\n %x %d main/binary-amd64/Packages\n", md5.Sum(b), len(b)))
		}, []string{"warning apt weak-hash " + amd64 + "Packages: Release lists it by MD5 only: apt does not take that for proof"}},
		{"a package without a version", apt, inPackages(`Version: .*\n`, ""), []string{packages + `package "hello" version "" has no Version`}},
		{"a line that is no field", apt, inPackages(`Version: `, ""), []string{packages + `line 2 is no field: "1.`}},
		{"a package's size in words", apt, inPackages(`\nSize: .*`, "\nSize: one"), []string{packages + `package "hello": size "one" is not a number`}},
		{"a package twice, with different content", apt, func(t *testing.T, f files) {
			relist(t, f, func(b []byte) []byte { return append(b, sub(`SHA256: .*`, "SHA256: "+zeros)(b)...) })
		}, []string{"error apt listed-twice " + amd64 + "Packages: twice, with different content: which one a client takes is left to chance", "warning apt listed-twice " + amd64 + "Packages: it lists hello"}},
		{"too many packages", apt, func(*testing.T, files) {}, []string{"error apt index " + amd64 + "Packages.gz: it can't be read: it lists more than 3 packages", "error apt index " + amd64 + "Packages.zst: it lists more than 3 packages", "error apt index " + amd64 + "Packages: it lists more than 3 packages"}},

		{"as many packages as are read", apt, func(*testing.T, files) {}, nil},

		{"a repomd.xml that is cut off", dnf, func(t *testing.T, f files) {
			remd(t, f, func(b []byte) []byte { return b[:len(b)/2] })
		}, []string{md + "it can't be read: XML syntax error on line"}},
		{"an index without a checksum", dnf, inMD(`(?s)<checksum .*?</checksum>`, ""), []string{md + `its entry "primary" has no checksum`}},
		{"an index's size in words", dnf, inMD(`<size>\d+`, "<size>one"), []string{md + `its entry "primary" can't be read: size "one" is not a number`}},
		{"a digest by a stranger", dnf, inMD(`type="sha256"`, `type="crc"`), []string{md + `its entry "primary" can't be read: digests by "crc" are not known`}},
		{"no primary", dnf, inMD(`type="primary"`, `type="secondary"`), []string{md + "it names no index primary"}},
		{"an index elsewhere", dnf, inMD(`<location href`, `<location xml:base="https://example.org/" href`), []string{"note dnf outside " + repod + `repomd.xml: its entry "primary" lies outside the tree and was not looked at`}},
		{"SHA-1 alone", dnf, func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte { return b })
			remd(t, f, sub(`type="sha256">`+fmt.Sprintf("%x", sha256.Sum256(f[repod+"primary.xml"])), fmt.Sprintf(`type="sha">%x`, sha1.Sum(f[repod+"primary.xml"]))))
		}, []string{"warning dnf weak-hash " + repod + "primary.xml: repomd.xml lists it by SHA: clients do not take that for proof"}},
		{"a count in words", dnf, inPrimary(`packages="4"`, `packages="four"`), []string{primary + `its root says "four" packages, which is not a number`}},
		{"a package without a digest", dnf, inPrimary(`(?s)<checksum .*?</checksum>`, ""), []string{primary + `package "hello": it has no checksum`}},
		{"a package without a name", dnf, inPrimary(`<name>.*?</name>`, ""), []string{primary + `package "": it has no name`}},
		{"an rpm without a version", dnf, inPrimary(` ver=`, ` vers=`), []string{primary + `package "hello": it has no version`}},
		{"a package without a place", dnf, inPrimary(`<location `, `<somewhere `), []string{primary + `package "hello": it has no location`}},
		{"a package at no address", dnf, inPrimary(`<location `, `<location xml:base="file:///srv?token=secret" `), []string{primary + `package "hello": "file:///srv" lies outside the tree, at no address of the form https://host/path`}},
		{"a package's weak digest", dnf, inPrimary(`type="sha256" pkgid="YES">\w{64}`, `type="sha1">`+zeros[:40]), []string{"warning dnf weak-hash " + repod + "primary.xml: package hello has no digest better than SHA1"}},
		{"an xz stream for large machines", dnf, func(t *testing.T, f files) {
			reindex(t, f, func([]byte) []byte {
				// Header, CRC, and a block of LZMA2 with a dictionary of 4 GiB - 1.
				return []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x28\x00\x00\x00\x00\x00\x00\x00")
			})
		}, []string{primary + "its xz stream asks for more memory than 128 MiB"}},
		{"as many rpms as are read", dnf, func(*testing.T, files) {}, nil},
		{"too many rpms", dnf, func(t *testing.T, f files) {
			reindex(t, f, func(b []byte) []byte { return b })
			remd(t, f, sub(`(?s)<data type="filelists">.*</data>`, ""))
		}, []string{primary + "it lists more than 3 packages"}},

		{"no digest but MD5", pacman, desc("%MD5SUM%\n" + zeros[:32] + "\n"), []string{"warning pacman weak-hash " + db + ".db: package x has no SHA-256"}},
		{"a size in words in desc", pacman, desc("%CSIZE%\none\n"), []string{pacmanDB + `.db: it can't be read: "x-1-1/desc": %CSIZE% "one" is not a number`, pacmanDB + ".files"}},
		{"a file that .db lacks", pacman, func(t *testing.T, f files) {
			x, y := "%FILENAME%\nx.pkg.tar.zst\n\n%NAME%\nx\n\n%VERSION%\n1-1\n\n", "%FILENAME%\ny.pkg.tar.zst\n\n%NAME%\ny\n\n%VERSION%\n1-1\n\n"
			rebase(t, f, ".db", x)
			rebase(t, f, ".files", x, y)
		}, []string{"warning pacman torn " + db + ".files: it has y 1-1, which .db lacks: the two are of two publishes"}},
		{"an unsigned database", pacman, func(_ *testing.T, f files) { delete(f, db+".db.sig") },
			[]string{"note pacman unsigned " + db + ".db: the database is not signed: a mirror can serve an old one, or leave packages out"}},
		{"too many entries", pacman, func(t *testing.T, f files) {
			x := "%FILENAME%\nx.pkg.tar.zst\n\n%NAME%\nx\n\n%VERSION%\n1-1\n\n"
			redatabase(t, f, x, x, x, x)
		}, []string{pacmanDB + ".db: it can't be read: it lists more than 3 packages", pacmanDB + ".files: it lists more than 3 packages"}},

		{"a tar without an index", "apk", func(t *testing.T, f files) { f[apkidx] = tarball(t, "DESCRIPTION", "x") },
			[]string{"warning apk unsigned " + apkidx, "error apk index " + apkidx + ": it can't be read: there is no APKINDEX in it"}},
		{"signatures without an end", "apk", func(t *testing.T, f files) {
			f[apkidx] = bytes.Repeat(tarball(t, ".SIGN.RSA256.x.rsa.pub", "x"), 20)
		}, []string{"error apk index " + apkidx + ": it can't be read: it has more than 16 signatures"}},

		{"an unsigned feed", opkg, func(_ *testing.T, f files) {
			delete(f, feed+"Packages.sig")
			delete(f, feed+"Packages.asc")
		}, []string{"warning opkg unsigned " + feed + "Packages: the feed is not signed: opkg with check_signature refuses it"}},
		{"a usign signature of the last publish", opkg, func(t *testing.T, f files) {
			f[feed+"Packages.sig"] = generation(t, 0)[feed+"Packages.sig"]
		}, []string{"error opkg signature " + feed + "Packages.sig: is wrong: the text was changed, or a cache serves it and Packages of two publishes"}},
		{"a feed with a line that is no field", opkg, func(t *testing.T, f files) { refeed(t, f, sub(`Version: `, "")) },
			[]string{"error opkg index " + feed + `Packages: it can't be read: line 2 is no field: "1.`}},

		{"a line with one blank", "downloads", func(t *testing.T, f files) {
			f[sums] = sub(`  `, " ")(f[sums])
			f[sums+".asc"] = sign(t, f[sums], "openpgp-armor", later)
		}, []string{"error downloads index " + sums + ": it can't be read: line 1 is not a digest, two blanks and a path"}},

		{"a digest of nothing", "brew", formula(`url ".*"`, ""), []string{"error brew index " + rb + ": it has a sha256 without a url before it"}},
		{"two addresses", "brew", formula(`sha256 ".*"`, `url "https://ann:secret@example.org/x?token=secret"`), []string{"error brew index " + rb + `: it names "https://example.org/x" without a sha256`}},
		{"nothing to download", "brew", func(_ *testing.T, f files) { f[rb] = []byte("class Hello < Formula\nend\n") }, []string{"error brew index " + rb + ": it names nothing to download"}},
		{"half a digest in a formula", "brew", formula(`(?s)url .*?sha256 ".*?"`, `url "https://ann:secret@example.org/x?token=secret"`+"\n"+`sha256 "abcd"`), []string{"error brew index " + rb + `: "https://example.org/x": sha256 "abcd" is not 64 hexadecimal digits`}},

		{"an install.json of later", "site", func(t *testing.T, f files) {
			f[sitePath] = sub(`"version": 1`, `"version": 2`)(f[sitePath])
		}, []string{"error site index install.json: it can't be read: version 2; this program reads version 1"}},
		{"a key elsewhere", "site", func(t *testing.T, f files) {
			f[sitePath] = replace(t, f[sitePath], address+"/keys/hello.asc", "https://example.com/hello.asc")
		}, []string{"error site path install.json: lies outside of " + `"` + address + `"`}},
		{"another key under its name", "site", func(t *testing.T, f files) {
			other := public(t, otherKey, "openpgp").Data
			f["keys/hello.asc"], f["keys/hello.gpg"], f[repod+"repomd.xml.key"], f["rpm/beta/repodata/repomd.xml.key"] = other, other, other, other
		}, []string{"error site no-key keys/hello.asc: that install.json says it does"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := generation(t, 1)
			c.damage(t, f)
			o := Options{Packages: None, Clients: []string{c.client}}
			switch {
			case strings.HasPrefix(c.name, "too many"):
				o.MaxPackages = 3
			case strings.HasPrefix(c.name, "as many"):
				o.MaxPackages = 4
			}
			rep := see(t, f, o)
			expect(t, rep, c.want...)
			for _, f := range rep.Findings {
				if strings.Contains(f.Text, "secret") {
					t.Errorf("a secret is told: %s", f)
				}
			}
		})
	}
}
