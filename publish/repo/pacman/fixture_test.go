package pacman

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// need skips a test where a program is not installed.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// tool runs a program in a clean environment and returns what it says.
func tool(t testing.TB, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	out, err := tool(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// gpgKeys signs with gpg; each name is a key of its own.
type gpgKeys struct{ home string }

var keysUsed bool

var gpg = sync.OnceValues(func() (gpgKeys, error) {
	keysUsed = true
	home, err := os.MkdirTemp("/tmp", "dp") // an agent's socket has to have a short path
	if err != nil {
		return gpgKeys{}, err
	}
	for _, name := range []string{"hello", "other"} {
		out, err := exec.Command("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-gen-key", name+" <"+name+"@example.org>", "rsa3072", "sign", "never").CombinedOutput()
		if err != nil {
			return gpgKeys{}, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return gpgKeys{home}, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if keysUsed {
		k, _ := gpg()
		exec.Command("gpgconf", "--homedir", k.home, "--kill", "all").Run()
		os.RemoveAll(k.home)
	}
	os.Exit(code)
}

func realKeys(t testing.TB) gpgKeys {
	t.Helper()
	need(t, "gpg")
	k, err := gpg()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k gpgKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
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

func (k gpgKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
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

// plainKeys are fast and always the same; no client would take them.
type plainKeys struct{}

func (plainKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	return func(_ context.Context, r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(r)
		return fmt.Appendf(nil, "signature by %s (%s) of %s\n", key, s, formats.Bytes(b).Ref().SHA256), err
	}, nil
}

func (plainKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	return &formats.PublicKey{Name: key + ".asc", ID: strings.Repeat("A1", 20), Data: []byte("certificate of " + key + "\n")}, nil
}

type section func(v any) error

func (s section) Decode(v any) error { return s(v) }

func options(o Options) formats.Section {
	return section(func(v any) error { *v.(*Options) = o; return nil })
}

// newRepo fills what a test leaves out of env.
func newRepo(t testing.TB, o Options, env publish.RepoEnv) *Repo {
	t.Helper()
	env.Name = cmp.Or(env.Name, "hello")
	env.Title = cmp.Or(env.Title, "Hello")
	if env.Channels == nil {
		env.Channels = []string{"stable", "beta"}
	}
	if env.Platforms == nil {
		env.Platforms = []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}}
	}
	r, err := New(options(o), env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// release is the time of packages and indexes in tests.
const release = 1750000000

// build makes a package with formats/arch, with its signature beside it where
// there is a key.
func build(t testing.TB, keys formats.Keys, key string, spec formats.Spec, p formats.Platform, files ...formats.File) publish.Package {
	t.Helper()
	f, err := arch.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	spec.Time = time.Unix(release, 0)
	spec.Maintainer = cmp.Or(spec.Maintainer, "Ann <ann@example.org>")
	spec.Summary = cmp.Or(spec.Summary, "Greets")
	spec.License = cmp.Or(spec.License, "MIT")
	var b bytes.Buffer
	if err := f.Write(context.Background(), &b, &spec, p, files); err != nil {
		t.Fatal(err)
	}
	m, err := f.Describe(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	pkg := publish.Package{Blob: formats.Bytes(b.Bytes()), Meta: m, Version: spec.Version}
	if key == "" {
		return pkg
	}
	sign, err := keys.Signer(key, formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sign(context.Background(), bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	pkg.Beside = []publish.Beside{{Suffix: ".sig", Blob: formats.Bytes(sig)}}
	return pkg
}

func file(path, content string) formats.File {
	return formats.File{Path: path, Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte(content))}
}

// put publishes packages into a tree, at a time.
func put(t testing.TB, tree *publishtest.Mem, r *Repo, at int64, channel string, pkgs ...publish.Package) *publish.Result {
	t.Helper()
	var e publish.Edit
	for _, p := range pkgs {
		e.Add = append(e.Add, publish.Addition{Package: p, Channels: []string{channel}})
	}
	res, err := publish.Publish(context.Background(), tree, []publish.Repo{r}, e, publish.Options{Time: at, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// treeOf returns a tree with the files.
func treeOf(t testing.TB, files map[string][]byte) *publishtest.Mem {
	t.Helper()
	tree, c := &publishtest.Mem{}, &publish.Change{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		c.Put = append(c.Put, publish.File{Path: path, Class: publish.Pointer, Blob: formats.Bytes(files[path])})
	}
	if _, err := tree.Commit(context.Background(), "", c); err != nil {
		t.Fatal(err)
	}
	return tree
}

// serve serves a tree, and the files of guides.
func serve(t testing.TB, tree *publishtest.Mem) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, ok := tree.Files()[strings.TrimPrefix(req.URL.Path, "/")]
		if !ok {
			http.NotFound(w, req)
			return
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	return s
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
