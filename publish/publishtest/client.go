package publishtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

// Need skips a test where a program is not installed; in CI, which installs all of
// them, it fails.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", p)
			}
			t.Skipf("%s is not installed", p)
		}
	}
}

// Tool runs a program in a clean environment and returns what it says.
func Tool(t testing.TB, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// MustRun is Tool for what must not fail.
func MustRun(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	out, err := Tool(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// GPGKeys signs with gpg; "hello" and "other" are a key each.
type GPGKeys struct{ home string }

var _ formats.Keys = GPGKeys{}

var keysUsed bool

var gpg = sync.OnceValues(func() (GPGKeys, error) {
	keysUsed = true
	home, err := os.MkdirTemp("/tmp", "dp") // an agent's socket has to have a short path
	if err != nil {
		return GPGKeys{}, err
	}
	for _, name := range []string{"hello", "other"} {
		out, err := exec.Command("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-gen-key", name+" <"+name+"@example.org>", "rsa3072", "sign", "never").CombinedOutput()
		if err != nil {
			return GPGKeys{}, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return GPGKeys{home}, nil
})

// Main runs the tests of a package and removes the keys they used; TestMain ends
// with its code.
func Main(m *testing.M) int {
	code := m.Run()
	if keysUsed {
		k, _ := gpg()
		exec.Command("gpgconf", "--homedir", k.home, "--kill", "all").Run()
		os.RemoveAll(k.home)
	}
	return code
}

// GPG returns the keys, made once per test run.
func GPG(t testing.TB) GPGKeys {
	t.Helper()
	Need(t, "gpg")
	k, err := gpg()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Signer implements formats.Keys.
func (k GPGKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	args := []string{"--homedir", k.home, "--batch", "--digest-algo", "SHA512", "-u", key + "@example.org", "--detach-sign"}
	if s == formats.OpenPGPArmor {
		args = append(args, "--armor")
	}
	return func(ctx context.Context, r io.Reader) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "gpg", args...)
		cmd.Stdin = r
		return cmd.Output()
	}, nil
}

// Public implements formats.Keys.
func (k GPGKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	armored, err := exec.Command("gpg", "--homedir", k.home, "--armor", "--export", key+"@example.org").Output()
	if err != nil {
		return nil, err
	}
	list, err := exec.Command("gpg", "--homedir", k.home, "--with-colons", "--list-keys", key+"@example.org").Output()
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(list), "\nfpr:::::::::")
	return &formats.PublicKey{Name: key + ".asc", ID: rest[:40], Data: armored}, nil
}
