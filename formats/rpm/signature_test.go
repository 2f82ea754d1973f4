package rpm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

// gpgKeys signs with gpg, whose clock stands still.
type gpgKeys struct {
	home string
	t    testing.TB
}

const gpgTime = "20260304T050607!"

func newGPGKeys(t testing.TB, algo string) gpgKeys {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	home, err := os.MkdirTemp("", "gpg") // sockets have short names only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	k := gpgKeys{home, t}
	k.gpg(nil, "--passphrase", "", "--quick-gen-key", "Test <test@example.com>", algo, "sign", "never")
	return k
}

func (k gpgKeys) gpg(in io.Reader, args ...string) []byte {
	k.t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", k.home, "--batch", "--faked-system-time", gpgTime}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &stderr
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

func (k gpgKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	if key != "main" || s != formats.OpenPGP {
		k.t.Errorf("Signer(%q, %q) was asked for", key, s)
	}
	return func(ctx context.Context, r io.Reader) ([]byte, error) {
		return k.gpg(r, "--detach-sign", "--digest-algo", "SHA512"), nil
	}, nil
}

func (k gpgKeys) Public(string, formats.Scheme) (*formats.PublicKey, error) {
	return nil, errors.New("not needed here")
}

// rpmkeys returns a function that runs rpmkeys on a database that knows the key.
func (k gpgKeys) rpmkeys(t testing.TB) func(args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	pub := filepath.Join(dir, "key.asc")
	if err := os.WriteFile(pub, k.gpg(nil, "--armor", "--export"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "rpmkeys", "--dbpath", dir, "--import", pub)
	return func(args ...string) (string, error) {
		return try(t, "rpmkeys", append([]string{"--dbpath", dir, "--define", "_pkgverify_level all"}, args...)...)
	}
}

func TestSignaturesSatisfyTheStrictestLevel(t *testing.T) {
	for _, algo := range []string{"rsa4096", "ed25519"} {
		t.Run(algo, func(t *testing.T) {
			keys := newGPGKeys(t, algo)
			rpmkeys := keys.rpmkeys(t)
			f := newTestFormat(t, Options{}, keys)
			name := save(t, f, helloSpec(), amd64, helloFiles())
			out, err := rpmkeys("--checksig", "-v", name)
			if err != nil || !strings.Contains(out, "Header V4 ") || strings.Count(out, ": OK") != 5 {
				t.Errorf("rpmkeys: %v, %s", err, out)
			}

			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := f.Describe(t.Context(), bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			damaged := filepath.Join(t.TempDir(), "damaged.rpm")
			for what, at := range map[string]int{"header": int(number(t, m, "headerend")) - 40, "payload": len(b) - 40} {
				b[at] ^= 1
				if err := os.WriteFile(damaged, b, 0o644); err != nil {
					t.Fatal(err)
				}
				b[at] ^= 1
				if out, err := rpmkeys("--checksig", damaged); err == nil {
					t.Errorf("a bit flip in the %s was not noticed: %s", what, out)
				}
			}
			unsigned := save(t, newTestFormat(t, Options{}, nil), helloSpec(), amd64, helloFiles())
			if out, err := rpmkeys("--checksig", unsigned); err == nil {
				t.Errorf("the strictest level takes an unsigned package: %s", out)
			}
			if again := write(t, f, helloSpec(), amd64, helloFiles()); !bytes.Equal(b, again) {
				t.Error("the same package signed twice gave other bytes")
			}
		})
	}
}

// fixedKeys has one signer for everything.
type fixedKeys formats.Signer

func (k fixedKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return formats.Signer(k), nil
}

func (k fixedKeys) Public(string, formats.Scheme) (*formats.PublicKey, error) {
	return nil, errors.New("not needed here")
}

func TestOutputOfNoSignerIsRefused(t *testing.T) {
	for _, sig := range []string{"", "x", "-----BEGIN PGP SIGNATURE-----", "\x88\x03\x03\x00\x01", "\xc2", "\xc2\xff\x00", "\x8b\x04\x00\x01", "\x89"} {
		f := newTestFormat(t, Options{}, fixedKeys(func(context.Context, io.Reader) ([]byte, error) { return []byte(sig), nil }))
		err := f.Write(t.Context(), &bytes.Buffer{}, helloSpec(), amd64, nil)
		if err == nil || err.Error() != "the signer's output is not a binary OpenPGP signature of version 4 or newer" {
			t.Errorf("signature %q: %v", sig, err)
		}
	}
	f := newTestFormat(t, Options{}, fixedKeys(func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("no agent") }))
	if err := f.Write(t.Context(), &bytes.Buffer{}, helloSpec(), amd64, nil); err == nil || err.Error() != "sign header: no agent" {
		t.Errorf("got %v", err)
	}
	for sig, want := range map[string]bool{"\x88\x03\x04\x00\x01": true, "\xc2\x03\x04\x00\x16": false, "\x89\x00\x03\x04\x00\x01": true, "\xc2\xc0\x00\x04\x00\x1b": false, "\xc2\xff\x00\x00\x00\x03\x06\x00\x01": true} {
		if got, err := isRSA([]byte(sig)); err != nil || got != want {
			t.Errorf("isRSA(%q) = %t, %v; want %t", sig, got, err, want)
		}
	}
}

func TestKeysThatAreMissingAreToldWhenTheFormatIsMade(t *testing.T) {
	if _, err := Kind().New(formats.NoSection, formats.Env{Key: "main"}); err == nil || err.Error() != `key "main": there are no keys to sign with` {
		t.Errorf("got %v", err)
	}
}
