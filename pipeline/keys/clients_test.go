package keys

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func TestGpgvChecksDetachedAndClear(t *testing.T) {
	r := ring(t)
	text := "Origin: hello\nSuite: stable\n\n- a line\n"
	message := write(t, "Release", []byte(text))
	other := write(t, "Other", []byte(text+"x"))
	for _, key := range []string{"main", "also", "main+also"} {
		keyring := write(t, "k.gpg", public(t, r, key, formats.OpenPGP).Binary)
		for _, s := range []formats.Scheme{formats.OpenPGP, formats.OpenPGPArmor} {
			sig := write(t, "Release.gpg", sign(t, r, key, s, text))
			out := run(t, "gpgv", "--keyring", keyring, sig, message)
			if want := strings.Count(key, "+") + 1; strings.Count(out, "Good signature") != want {
				t.Errorf("%s %s: want %d good signatures:\n%s", key, s, want, out)
			}
			fails(t, "gpgv", "--keyring", keyring, sig, other)
		}
		clear := write(t, "InRelease", sign(t, r, key, formats.OpenPGPClear, text))
		got := filepath.Join(t.TempDir(), "out")
		run(t, "gpgv", "--keyring", keyring, "--output", got, clear)
		if b, _ := os.ReadFile(got); string(b) != text {
			t.Errorf("%s: gpgv read %q, want %q", key, b, text)
		}
	}
}

func TestGpgImportsTheArmoredFiles(t *testing.T) {
	r := ring(t)
	home := gpgHome(t)
	run(t, "gpg", "--homedir", home, "--batch", "--import", write(t, "both.asc", public(t, r, "main+also", formats.OpenPGP).Data))
	list := run(t, "gpg", "--homedir", home, "--with-colons", "--list-keys")
	for _, k := range []*Key{rsaKey(), edKey()} {
		if !strings.Contains(list, "fpr:::::::::"+k.Fingerprint()+":") || !strings.Contains(list, k.User()) {
			t.Errorf("%s (%s) is not in\n%s", k.Fingerprint(), k.User(), list)
		}
	}
	if strings.Contains(list, "\nsub:") {
		t.Errorf("there are subkeys:\n%s", list)
	}
	// The bundle is for gpg too.
	run(t, "gpg", "--homedir", home, "--batch", "--import", write(t, "bundle", []byte(rsaKey().Bundle().Reveal())))
	if list := run(t, "gpg", "--homedir", home, "--with-colons", "--list-secret-keys"); !strings.Contains(list, rsaKey().Fingerprint()) {
		t.Errorf("the secret key is not in\n%s", list)
	}
}

func TestRpmImportsTheCertificate(t *testing.T) {
	r := ring(t)
	for key, want := range map[string]int{"main": 1, "also": 1, "main+also": 2} {
		db := t.TempDir()
		run(t, "rpm", "--dbpath", db, "--initdb")
		run(t, "rpmkeys", "--dbpath", db, "--import", write(t, "k.asc", public(t, r, key, formats.OpenPGP).Data))
		out := run(t, "rpm", "--dbpath", db, "-qa", "gpg-pubkey*")
		if strings.Count(out, "gpg-pubkey") != want {
			t.Errorf("%s: rpm knows\n%swant %d keys", key, out, want)
		}
	}
}

func TestOpensslChecksRSA256(t *testing.T) {
	r := ring(t)
	message := write(t, "m", []byte("index"))
	for _, key := range []string{"main", "also", "main+also"} {
		pub := public(t, r, key, formats.RSA256)
		if ok := strings.HasPrefix(pub.Name, "hello-"+pub.ID[:8]) && strings.HasSuffix(pub.Name, ".rsa.pub"); !ok {
			t.Errorf("name %q, id %q", pub.Name, pub.ID)
		}
		file, sig := write(t, pub.Name, pub.Data), write(t, "sig", sign(t, r, key, formats.RSA256, "index"))
		run(t, "openssl", "dgst", "-sha256", "-verify", file, "-signature", sig, message)
		fails(t, "openssl", "dgst", "-sha256", "-verify", file, "-signature", sig, file)
	}
}

func TestOpensslReadsTheBundle(t *testing.T) {
	bundle := write(t, "bundle", []byte(rsaKey().Bundle().Reveal()))
	out := run(t, "openssl", "pkey", "-in", bundle, "-pubout")
	if want := public(t, ring(t), "main", formats.RSA256).Data; out != string(want) {
		t.Errorf("openssl says\n%swant\n%s", out, want)
	}
}

func TestSignifyChecksUsign(t *testing.T) {
	r := ring(t)
	message := write(t, "Packages", []byte("Package: hello\n"))
	for _, key := range []string{"main", "also"} {
		pub := public(t, r, key, formats.Usign)
		if len(pub.Name) != 16 || pub.ID != pub.Name {
			t.Errorf("name %q, id %q", pub.Name, pub.ID)
		}
		file, sig := write(t, pub.Name, pub.Data), write(t, "Packages.sig", sign(t, r, key, formats.Usign, "Package: hello\n"))
		run(t, "signify-openbsd", "-V", "-p", file, "-x", sig, "-m", message)
		fails(t, "signify-openbsd", "-V", "-p", file, "-x", sig, "-m", file)
	}
}

func TestSignifySignsWithOurSecretFile(t *testing.T) {
	k := rsaKey()
	secret, message := write(t, "k.sec", k.usign.secretFile()), write(t, "m", []byte("text"))
	out := filepath.Join(t.TempDir(), "m.sig")
	run(t, "signify-openbsd", "-S", "-s", secret, "-m", message, "-x", out)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := k.usign.sign([]byte("text"))
	if _, g, _ := bytes.Cut(got, []byte("\n")); !bytes.HasSuffix(want, g) {
		t.Errorf("signify wrote\n%swant\n%s", got, want)
	}
}
