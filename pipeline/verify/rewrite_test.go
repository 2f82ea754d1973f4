package verify

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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

// replace changes a text, which has to have what is replaced.
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
	remd(t, files, func(md []byte) []byte {
		return bytes.Replace(md, m, fmt.Appendf(nil, `<data type="primary"><checksum type="sha256">%x</checksum><location href="repodata/primary.xml"/><size>%d</size></data>`, sha256.Sum256(b), len(b)), 1)
	})
}

// remd changes stable's repomd.xml and signs it anew.
func remd(t *testing.T, files map[string][]byte, edit func(md []byte) []byte) {
	t.Helper()
	const name = "rpm/stable/repodata/repomd.xml"
	files[name] = edit(files[name])
	files[name+".asc"] = sign(t, files[name], formats.OpenPGPArmor, later)
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

// resign puts other bytes in a package's place and has dnf's index vouch for them.
func resign(t *testing.T, f map[string][]byte, p string, b []byte) {
	t.Helper()
	old := f[p]
	f[p] = b
	reindex(t, f, func(primary []byte) []byte {
		before, after, ok := bytes.Cut(primary, fmt.Appendf(nil, "%x", sha256.Sum256(old)))
		if !ok {
			t.Fatalf("primary does not list %s", p)
		}
		after = bytes.Replace(after, fmt.Appendf(nil, `package="%d"`, len(old)), fmt.Appendf(nil, `package="%d"`, len(b)), 1)
		return fmt.Appendf(nil, "%s%x%s", before, sha256.Sum256(b), after)
	})
}

// tarball is a tar.gz of files, which are named and filled in turns.
func tarball(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped(t, b.Bytes())
}

// redatabase replaces stable's databases of pacman by ones with these entries.
func redatabase(t testing.TB, f map[string][]byte, descs ...string) {
	t.Helper()
	for _, suffix := range []string{".db", ".files"} {
		rebase(t, f, suffix, descs...)
	}
}

// rebase replaces one of stable's two databases.
func rebase(t testing.TB, f map[string][]byte, suffix string, descs ...string) {
	t.Helper()
	var files []string
	for i, d := range descs {
		files = append(files, fmt.Sprintf("x-%d-1/desc", i+1), d)
	}
	f[db+suffix] = tarball(t, files...)
	f[db+suffix+".sig"] = sign(t, f[db+suffix], formats.OpenPGP, later)
}
