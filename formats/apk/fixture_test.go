package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func hello(version string) *formats.Spec {
	return &formats.Spec{
		Name: "hello", Version: version, Time: time.Unix(1_700_000_000, 123),
		Summary: "Says hello", Description: "A longer text.\n", Homepage: "https://hello.example",
		License: "MIT", Maintainer: "Jane Doe <jane@hello.example>",
	}
}

func helloFiles() []formats.File {
	big := make([]byte, 700<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(r.Uint32() >> 28)
	}
	return []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(big)},
		{Path: "/usr/bin/hi", Type: formats.Symlink, Target: "hello"},
		{Path: "/etc/hello/hello conf#1=é.txt", Type: formats.Config, Mode: 0o640, Content: formats.Bytes([]byte("a = b\n"))},
		{Path: "/usr/bin/su-hello", Type: formats.Regular, Mode: 0o755 | os.ModeSetuid, Content: formats.Bytes([]byte("x"))},
		{Path: "/var/lib/hello", Type: formats.Dir, Mode: 0o750, Owner: "123", Group: "hello"},
		{Path: "/usr/share/hello/" + strings.Repeat("long-", 30) + "/empty", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes(nil)},
		{Path: "/var/log/hello.log", Type: formats.Ghost},
	}
}

// testKeys signs with one RSA key, made once for the tests.
type testKeys struct{ key *rsa.PrivateKey }

const keyName = "hello-1a2b3c4d.rsa.pub"

var newKeys = sync.OnceValue(func() testKeys {
	key, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		panic(err)
	}
	return testKeys{key}
})

func (k testKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	if key != "release" || s != formats.RSA256 {
		return nil, fmt.Errorf("no key %q for %s", key, s)
	}
	return func(_ context.Context, r io.Reader) ([]byte, error) {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return nil, err
		}
		return rsa.SignPKCS1v15(nil, k.key, crypto.SHA256, h.Sum(nil))
	}, nil
}

func (k testKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &formats.PublicKey{Name: keyName, Data: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
}

// writeKey puts the public half where clients look for it.
func writeKey(t testing.TB, dir string) string {
	t.Helper()
	public, err := newKeys().Public("release", formats.RSA256)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, keyName)
	if err := os.WriteFile(name, public.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func newFormat(t testing.TB, key string) *Format {
	t.Helper()
	f, err := Kind().New(formats.NoSection, formats.Env{Keys: newKeys(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*Format)
}

func build(t testing.TB, f *Format, spec *formats.Spec, files []formats.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, spec, amd64, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// buildFile writes a package under its own name into dir.
func buildFile(t testing.TB, f *Format, dir string, spec *formats.Spec, files []formats.File) string {
	t.Helper()
	id, err := f.Identify(spec, amd64)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, id.Filename)
	if err := os.WriteFile(name, build(t, f, spec, files), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// member is one gzip member of a package: a tar archive of entries, each a name and
// its content, with the blocks that end an archive or without.
func member(t testing.TB, end bool, entries ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e[0], Mode: 0o644, Size: int64(len(e[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e[1]); err != nil {
			t.Fatal(err)
		}
	}
	err := w.Flush()
	if end {
		err = w.Close()
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
}

// run returns what a program wrote to both outputs.
func run(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := run(t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}
