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
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestMain(m *testing.M) { os.Exit(publishtest.Main(m)) }

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
