package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tamper changes files of a tree; globs are slash-separated and must match.
type tamper struct {
	globs  []string
	change func(t *testing.T, name string, b []byte) []byte
}

// flipBit turns a bit in the middle of a file.
func flipBit(t *testing.T, _ string, b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

// appendByte makes a file longer.
func appendByte(t *testing.T, _ string, b []byte) []byte { return append(b, '\n') }

// replaceText replaces a word by one as long.
func replaceText(old, new string) func(t *testing.T, name string, b []byte) []byte {
	return func(t *testing.T, name string, b []byte) []byte {
		t.Helper()
		if len(old) != len(new) || !bytes.Contains(b, []byte(old)) {
			t.Fatalf("%s has no %q to replace by %q", name, old, new)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
}

var armoredSignature = regexp.MustCompile(`(?s)(-----BEGIN PGP SIGNATURE-----\n(?:[^\n]+\n)*\n)(.*?)(=[A-Za-z0-9+/]{4}\n)?(-----END PGP SIGNATURE-----)`)

// flipSignature turns a bit of the signature's number. The armor stays whole: what
// was wrong with that would be refused before anything is checked.
func flipSignature(t *testing.T, name string, b []byte) []byte {
	t.Helper()
	m := armoredSignature.FindSubmatchIndex(b)
	if m == nil {
		t.Fatalf("%s has no armored signature:\n%s", name, b)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(b[m[4]:m[5]]), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-20] ^= 1
	var text bytes.Buffer
	text.Write(b[:m[4]])
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(raw)), 64) {
		text.Write(chunk)
		text.WriteByte('\n')
	}
	text.Write(b[m[8]:])
	return text.Bytes()
}

// apply changes a copy of the tree and returns it.
func (c tamper) apply(t *testing.T, tree string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "tree")
	if err := os.CopyFS(to, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	for _, g := range c.globs {
		names, err := filepath.Glob(filepath.Join(to, filepath.FromSlash(g)))
		if err != nil || len(names) == 0 {
			t.Fatalf("nothing matches %s: %v", g, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, c.change(t, name, b), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

// installs tries to take hello from a tree that a client trusts as p says.
func (r *debRoot) installs(t *testing.T, p *published, tree, options string) (out string, ok bool) {
	t.Helper()
	l := serveLogged(t, tree, nil)
	r.trust(t, p, "hello.sources", l.url)
	r.put(t, "/etc/apt/apt.conf.d/50once", "Acquire::Retries \"0\";\n") // it waits longer each time
	out, err := r.try("apt-get update --error-on=any " + options + " && apt-get -y install hello && hello")
	return out, err == nil
}

// refusesFrom checks that nothing gets in and that apt says why.
func (s *debianSuite) refusesFrom(t *testing.T, p *published, tree string, why []string) {
	t.Helper()
	r := s.open(t)
	out, ok := r.installs(t, p, tree, "")
	if ok {
		t.Fatalf("%s installs:\n%s", s.name, out)
	}
	if got := r.installed(t, "hello"); got != "" || r.has(t, "/usr/bin/hello") {
		t.Errorf("%s refuses, but hello %s is there:\n%s", s.name, got, out)
	}
	for _, w := range why {
		if strings.Contains(out, w) {
			return
		}
	}
	t.Errorf("%s refuses for another reason than %q:\n%s", s.name, why, out)
}

// takesFrom is the control.
func (s *debianSuite) takesFrom(t *testing.T, p *published, tree, options string) {
	t.Helper()
	if out, ok := s.open(t).installs(t, p, tree, options); !ok {
		t.Fatalf("%s does not install:\n%s", s.name, out)
	}
}

// What apt says of wrong content, and of a wrong signature: gpgv's words in
// bookworm, sqv's in trixie.
var (
	badHash      = []string{"Hash Sum mismatch", "File has unexpected size"}
	badSignature = []string{"BADSIG", "Bad signature", "Message has been manipulated"}
	otherSigner  = []string{"NO_PUBKEY", "Missing key"}
)

func TestAptRefusesChangedFiles(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	packages := []string{"dists/stable/main/binary-*/Packages*", "dists/stable/main/binary-*/by-hash/SHA256/*"}
	for _, c := range []struct {
		name string
		tamper
		why []string
	}{
		{"a bit of the package", tamper{[]string{"pool/main/h/hello/*.deb"}, flipBit}, badHash},
		{"a byte after the package", tamper{[]string{"pool/main/h/hello/*.deb"}, appendByte}, badHash},
		{"a bit of Packages in every form", tamper{packages, flipBit}, badHash},
		{"a byte after Packages in every form", tamper{packages, appendByte}, badHash},
		{"a word in InRelease", tamper{[]string{"dists/stable/InRelease"}, replaceText("Origin: Hello", "Origin: Hallo")}, badSignature},
		{"a digit of a hash in InRelease", tamper{[]string{"dists/stable/InRelease"}, replaceText("main/binary-amd64/Packages\n", "main/binary-amd65/Packages\n")}, badSignature},
		{"a bit of the signature in InRelease", tamper{[]string{"dists/stable/InRelease"}, flipSignature}, badSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := c.apply(t, p.dir)
			for _, s := range debianSuites {
				s.refusesFrom(t, p, bad, c.why)
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		same := tamper{[]string{"dists/stable/InRelease", "pool/main/h/hello/*.deb"}, func(_ *testing.T, _ string, b []byte) []byte { return b }}.apply(t, p.dir)
		for _, s := range debianSuites {
			s.takesFrom(t, p, same, "")
		}
	})
}

// Without InRelease apt takes Release and Release.gpg: they have to hold as well.
func TestAptChecksReleaseGpgWhereThereIsNoInRelease(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	old := filepath.Join(t.TempDir(), "tree")
	if err := os.CopyFS(old, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(old, "dists/stable/InRelease")); err != nil {
		t.Fatal(err)
	}
	text := tamper{[]string{"dists/stable/Release"}, replaceText("Origin: Hello", "Origin: Hallo")}.apply(t, old)
	signature := tamper{[]string{"dists/stable/Release.gpg"}, flipSignature}.apply(t, old)
	for _, s := range debianSuites {
		s.takesFrom(t, p, old, "")
		s.refusesFrom(t, p, text, badSignature)
		s.refusesFrom(t, p, signature, badSignature)
	}
}

func TestAptRefusesAnotherSigner(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	text, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	stranger := publishSample(t, aptOnly)
	if err := os.WriteFile(stranger.key, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stranger.release(t, "1.0.0")
	for _, s := range debianSuites {
		s.refusesFrom(t, p, stranger.dir, otherSigner)
		s.refusesFrom(t, stranger, p.dir, otherSigner)
		s.takesFrom(t, p, p.dir, "")
		s.takesFrom(t, stranger, stranger.dir, "")
	}
}

func TestAptRefusesAnExpiredIndex(t *testing.T) {
	hour := func(config string) string { return aptOnly(config) + "    apt: {valid-for: 1h}\n" }
	expired := publishSample(t, hour)
	expired.release(t, "1.0.0")
	fresh := publishSample(t, hour)
	must(t, []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(time.Now().Unix()-60, 10)}, "-C", fresh.project, "release", "--version", "1.0.0", "--key", fresh.key)
	for _, s := range debianSuites {
		s.refusesFrom(t, expired, expired.dir, []string{"is expired", "is not valid anymore", "not valid anymore"})
		s.takesFrom(t, expired, expired.dir, "-o Acquire::Check-Valid-Until=false")
		s.takesFrom(t, fresh, fresh.dir, "")
	}
}

func TestAptRefusesAnUnsignedRepositoryThatIsNotMarkedTrusted(t *testing.T) {
	p := publishSample(t, aptOnly)
	must(t, []string{"SOURCE_DATE_EPOCH=" + epochs["1.0.0"]}, "-C", p.project, "release", "--version", "1.0.0", "--unsigned")
	for _, s := range debianSuites {
		s.takesFrom(t, p, p.dir, "") // its .sources says Trusted: yes
	}
	name := filepath.Join(p.dir, "apt", "hello.sources")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("Trusted: yes\n")) {
		t.Fatalf("hello.sources of an unsigned repository:\n%s", b)
	}
	if err := os.WriteFile(name, bytes.Replace(b, []byte("Trusted: yes\n"), nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range debianSuites {
		s.refusesFrom(t, p, p.dir, []string{"is not signed"})
	}
}

// A client that trusts the key refuses the tree once its signatures are gone.
func TestAptRefusesARepositoryWhoseSignaturesAreGone(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	bare := filepath.Join(t.TempDir(), "tree")
	if err := os.CopyFS(bare, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"InRelease", "Release.gpg"} {
		if err := os.Remove(filepath.Join(bare, "dists/stable", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range debianSuites {
		s.refusesFrom(t, p, bare, []string{"is not signed"})
		s.takesFrom(t, p, p.dir, "")
	}
}
