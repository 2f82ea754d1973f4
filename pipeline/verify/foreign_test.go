package verify

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/publishtest"
)

// gpgSign signs a file with gpg beside it.
func gpgSign(t testing.TB, name, suffix string, s formats.Scheme) {
	t.Helper()
	sign, err := publishtest.GPG(t).Signer("hello", s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sign(context.Background(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+suffix, sig, 0o644); err != nil {
		t.Fatal(err)
	}
}

func gpgKey(t testing.TB) []Key {
	t.Helper()
	p, err := publishtest.GPG(t).Public("hello", formats.OpenPGPArmor)
	if err != nil {
		t.Fatal(err)
	}
	return []Key{{p.Name, p.Data}}
}

// lookAt looks at a directory that another tool made, today.
func lookAt(t *testing.T, dir string, keys []Key) *Report {
	t.Helper()
	return see(t, nil, Options{Fetch: open(t, dir), Keys: keys, Packages: Hashes, Now: time.Now()})
}

func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func damage(t testing.TB, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, flip(b, -1), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestATreeOfReprepro(t *testing.T) {
	publishtest.Need(t, "reprepro", "gpg")
	dir, in := t.TempDir(), t.TempDir()
	writeFile(t, dir+"/conf/distributions", []byte("Codename: bookworm\nSuite: stable\nComponents: main\nArchitectures: amd64 arm64\nDebIndices: Packages Release . .gz .xz\n"))
	for p, b := range generation(t, 1) {
		if strings.HasSuffix(p, "1.1.0-1_amd64.deb") {
			name := filepath.Join(in, filepath.Base(p))
			writeFile(t, name, b)
			publishtest.MustRun(t, nil, "reprepro", "-b", dir, "-S", "utils", "-P", "optional", "includedeb", "bookworm", name)
		}
	}
	release := dir + "/dists/bookworm/Release"
	rep := lookAt(t, dir, nil)
	expect(t, rep, "warning apt unsigned dists/bookworm/InRelease")
	gpgSign(t, release, ".gpg", formats.OpenPGPArmor)
	rep = lookAt(t, dir, gpgKey(t))
	expect(t, rep)
	if len(rep.Clients) != 1 || rep.Clients[0].Packages != 2 || !rep.Clients[0].Signed || rep.Packages != 2 {
		t.Errorf("%+v", rep)
	}
	damage(t, dir+"/pool/main/h/hello/hello_1.1.0-1_amd64.deb")
	expect(t, lookAt(t, dir, gpgKey(t)), "error apt hash pool/main/h/hello/hello_1.1.0-1_amd64.deb")
}

func TestAFlatTreeOfAptFtparchive(t *testing.T) {
	publishtest.Need(t, "apt-ftparchive", "gpg")
	dir := t.TempDir()
	writeFile(t, dir+"/hello.deb", generation(t, 1)[deb])
	out := func(name string, args ...string) {
		t.Helper()
		writeFile(t, filepath.Join(dir, name), []byte(publishtest.MustRun(t, nil, "env", append([]string{"-C", dir, "apt-ftparchive", "-q"}, args...)...)))
	}
	out("Packages", "packages", ".")
	out("../Release", "release", ".")
	if err := os.Rename(filepath.Join(dir, "../Release"), dir+"/Release"); err != nil {
		t.Fatal(err)
	}
	gpgSign(t, dir+"/Release", ".gpg", formats.OpenPGPArmor)
	rep := lookAt(t, dir, gpgKey(t))
	expect(t, rep)
	if len(rep.Clients) != 1 || rep.Clients[0].Path != "." || rep.Packages != 1 {
		t.Errorf("%+v", rep)
	}
	damage(t, dir+"/hello.deb")
	expect(t, lookAt(t, dir, gpgKey(t)), "error apt hash hello.deb")
}

func TestATreeOfCreaterepo(t *testing.T) {
	publishtest.Need(t, "createrepo_c", "gpg")
	for _, o := range [][]string{nil, {"--compress-type", "xz", "--general-compress-type", "xz"}, {"--checksum", "sha512"}} {
		dir := t.TempDir()
		for p, b := range generation(t, 1) {
			if rel, ok := strings.CutPrefix(p, "rpm/stable/Packages/"); ok {
				writeFile(t, filepath.Join(dir, rel), b)
			}
		}
		publishtest.MustRun(t, nil, "createrepo_c", append(append([]string{"--quiet"}, o...), dir)...)
		expect(t, lookAt(t, dir, nil), "warning dnf unsigned repodata/repomd.xml")
		gpgSign(t, dir+"/repodata/repomd.xml", ".asc", formats.OpenPGPArmor)
		// The packages are signed by another key than the index.
		both := append(gpgKey(t), Key{"hello.asc", public(t, testKey, formats.OpenPGP).Data})
		rep := lookAt(t, dir, both)
		expect(t, rep)
		if len(rep.Clients) != 1 || rep.Clients[0].Packages != 4 || !rep.Clients[0].Signed {
			t.Errorf("%+v", rep)
		}
		if t.Failed() {
			t.Logf("options %v", o)
		}
		rep = lookAt(t, dir, gpgKey(t))
		if len(rep.Findings) != 4 || slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Code != "signature" }) {
			t.Errorf("packages by a key that is not trusted: %v", rep.Findings)
		}
		damage(t, dir+"/h/hello-1.1.0-1.x86_64.rpm")
		expect(t, lookAt(t, dir, both), "error dnf hash h/hello-1.1.0-1.x86_64.rpm")
	}
}

func TestATreeOfRepoAdd(t *testing.T) {
	publishtest.Need(t, "repo-add", "gpg")
	dir := t.TempDir()
	var names []string
	for p, b := range generation(t, 1) {
		if strings.HasPrefix(p, "arch/x86_64/") && strings.HasSuffix(p, "1.1.0-1-x86_64.pkg.tar.zst") {
			names = append(names, filepath.Join(dir, filepath.Base(p)))
			writeFile(t, names[len(names)-1], b)
		}
	}
	publishtest.MustRun(t, nil, "repo-add", append([]string{"-q", dir + "/hello.db.tar.gz"}, names...)...)
	expect(t, lookAt(t, dir, nil), "note pacman unsigned hello", "note pacman unsigned hello.db")
	for _, n := range append(names, dir+"/hello.db", dir+"/hello.files") {
		gpgSign(t, n, ".sig", formats.OpenPGP)
	}
	rep := lookAt(t, dir, gpgKey(t))
	expect(t, rep)
	if len(rep.Clients) != 1 || rep.Clients[0].Packages != 2 || !rep.Clients[0].Signed {
		t.Errorf("%+v", rep)
	}
	damage(t, dir+"/hello-1.1.0-1-x86_64.pkg.tar.zst")
	expect(t, lookAt(t, dir, gpgKey(t)), "error pacman hash hello-1.1.0-1-x86_64.pkg.tar.zst")
}
