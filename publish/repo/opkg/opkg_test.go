package opkg

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/ipk"
	"github.com/distropack/distropack/publish"
)

// testKeys signs as usign does, and for OpenPGP says what it was to sign.
type testKeys struct{}

var edKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func keyNumber() []byte {
	sum := sha256.Sum256(edKey.Public().(ed25519.PublicKey))
	return sum[:8]
}

func signifyFile(comment string, body ...[]byte) []byte {
	return []byte("untrusted comment: " + comment + "\n" + base64.StdEncoding.EncodeToString(bytes.Join(body, nil)) + "\n")
}

func (testKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	if key != "k" {
		return nil, fmt.Errorf("no key %q", key)
	}
	return func(ctx context.Context, r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if s == formats.Usign {
			return signifyFile("signed by key", []byte("Ed"), keyNumber(), ed25519.Sign(edKey, b)), nil
		}
		return fmt.Appendf(nil, "%s of %x\n", s, sha256.Sum256(b)), nil
	}, nil
}

func (testKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	if key != "k" {
		return nil, fmt.Errorf("no key %q", key)
	}
	if s == formats.Usign {
		id := fmt.Sprintf("%x", keyNumber())
		return &formats.PublicKey{Name: id, ID: id, Data: signifyFile("key", []byte("Ed"), keyNumber(), edKey.Public().(ed25519.PublicKey))}, nil
	}
	return &formats.PublicKey{Name: "hello.asc", ID: "ABCD", Data: []byte("certificate\n")}, nil
}

func testEnv() publish.RepoEnv {
	return publish.RepoEnv{
		Name: "hello", Title: "Hello", URL: "https://example.org/p", Channels: []string{"stable", "edge"},
		Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, {OS: "darwin", Arch: "arm64"}},
		Keys:      testKeys{}, Key: "k",
	}
}

func newRepo(t testing.TB, o Options, env publish.RepoEnv) *Repo {
	t.Helper()
	r, err := New(o, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func record(name, version, arch string) *publish.Record {
	return &publish.Record{
		Path: "opkg/stable/x86_64/" + name + "_" + version + "_" + arch + ".ipk",
		Ref:  formats.Bytes([]byte(name + version)).Ref(),
		Meta: formats.Meta{
			Format: "ipk", Name: name, Version: version, Arch: arch,
			Fields: []formats.Field{
				{Key: "Package", Value: name}, {Key: "Version", Value: version}, {Key: "Depends", Value: "libc, libfoo (>= 1.2)"},
				{Key: "Section", Value: "utils"}, {Key: "Architecture", Value: arch}, {Key: "Installed-Size", Value: "12345"},
				{Key: "Maintainer", Value: "Ann Example <ann@example.org>"}, {Key: "License", Value: "MIT"},
				{Key: "Description", Value: "Greets the world\nat length\n.\nand politely"},
			},
		},
	}
}

// build is what the engine does, in short.
func build(t testing.TB, r *Repo, partition string, pages ...[]*publish.Record) publish.Built {
	t.Helper()
	s := r.Streams(partition)[0]
	var plain []byte
	for _, recs := range pages {
		text, err := s.Page(recs)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, text...)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := publish.Built{Partition: partition, Changed: true}
	for form, bytes := range map[publish.Form][]byte{publish.Plain: plain, publish.Gzip: packed.Bytes()} {
		b.Indexes = append(b.Indexes, publish.IndexFile{Stream: s.Name, Form: form, Plain: formats.Bytes(plain).Ref(), Blob: formats.Bytes(bytes)})
	}
	return b
}

// finish returns the files of a feed by base name.
func finish(t testing.TB, r *Repo, b publish.Built) map[string][]byte {
	t.Helper()
	out, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, At: 1700000000, Serial: 1, Partitions: []publish.Built{b}})
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, f := range out.Files {
		name, ok := strings.CutPrefix(f.Path, "opkg/"+b.Partition+"/")
		if !ok || f.Class != publish.Pointer {
			t.Errorf("file %s of class %d", f.Path, f.Class)
		}
		if files[name], err = formats.ReadAll(f.Blob); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestFeedsAreWhatTheFormatWrites(t *testing.T) {
	env := testEnv()
	env.Platforms = formats.LinuxPlatforms()
	r := newRepo(t, Options{}, env)
	format, err := ipk.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range formats.LinuxPlatforms() {
		id, err := format.Identify(&formats.Spec{Name: "hello", Version: "1.2.0", Summary: "Greets", Maintainer: "A <a@b.c>", Epoch: "2"}, p)
		if err != nil {
			t.Fatal(err)
		}
		places, err := r.Place(&formats.Meta{Format: "ipk", Name: id.Name, Version: id.Version, Arch: id.Arch}, "stable")
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if p == formats.All {
			want = len(formats.LinuxPlatforms()) - 1
		}
		if len(places) != want {
			t.Errorf("%s (%s) is in %d feeds, want %d", p, id.Arch, len(places), want)
			continue
		}
		if got := filepath.Base(places[0].Path); got != id.Filename {
			t.Errorf("%s lies at %s, is called %s", p, got, id.Filename)
		}
	}
}

func TestPackagesOfEveryCPULieInEachFeed(t *testing.T) {
	r := newRepo(t, Options{Arches: map[string][]string{"arm64": {"aarch64_generic", "aarch64_cortex-a53"}}, Extension: "opk"}, testEnv())
	want := []string{"stable/x86_64", "stable/aarch64_generic", "stable/aarch64_cortex-a53", "edge/x86_64", "edge/aarch64_generic", "edge/aarch64_cortex-a53"}
	if got := r.Partitions(); !slices.Equal(got, want) {
		t.Errorf("Partitions() = %q, want %q", got, want)
	}
	for arch, want := range map[string][]string{
		"all":                want[:3],
		"x86_64":             want[:1],
		"aarch64_cortex-a53": want[2:3],
		"mips_24kc":          nil,
	} {
		places, err := r.Place(&record("hello", "1:1.2.0-1", arch).Meta, "stable")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range places {
			got = append(got, p.Partition)
			if want := "opkg/" + p.Partition + "/hello_1.2.0-1_" + arch + ".opk"; p.Path != want {
				t.Errorf("path %q, want %q", p.Path, want)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: feeds %q, want %q", arch, got, want)
		}
	}
	for _, c := range []struct{ name, version, arch, channel, want string }{
		{"../x", "1", "all", "stable", `package "../x" version "1" for "all" can't be a file name`},
		{"x", "1/2", "all", "stable", `package "x" version "1/2" for "all" can't be a file name`},
		{"x", "1", "a/b", "stable", `package "x" version "1" for "a/b" can't be a file name`},
		{"x", "1", "all", "nightly", `channel "nightly" is not published here (channels: stable edge)`},
	} {
		if _, err := r.Place(&formats.Meta{Format: "ipk", Name: c.name, Version: c.version, Arch: c.arch}, c.channel); err == nil || err.Error() != c.want {
			t.Errorf("Place(%q %q %q): %v, want %s", c.name, c.version, c.arch, err, c.want)
		}
	}
}

func TestOrderIsByNameThenByVersion(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	recs := []*publish.Record{record("b", "1", "all"), record("a", "1.10-1", "all"), record("a", "1.10~rc.1-1", "all"), record("a", "1.9-1", "all")}
	slices.SortFunc(recs, func(a, b *publish.Record) int {
		if r.Less(a, b) {
			return -1
		}
		return 1
	})
	var got []string
	for _, rec := range recs {
		got = append(got, rec.Meta.Name+" "+rec.Meta.Version)
	}
	if s, want := strings.Join(got, ", "), "a 1.9-1, a 1.10~rc.1-1, a 1.10-1, b 1"; s != want {
		t.Errorf("order %s, want %s", s, want)
	}
}

func TestEmptyFeedsAreIndexesToo(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	files := finish(t, r, build(t, r, "stable/x86_64"))
	if got := slices.Sorted(mapKeys(files)); !slices.Equal(got, []string{"Packages", "Packages.asc", "Packages.gz", "Packages.sig"}) {
		t.Errorf("files %q", got)
	}
	if len(files["Packages"]) != 0 {
		t.Errorf("Packages is %q", files["Packages"])
	}
}

func mapKeys(m map[string][]byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestUnsignedFeedsHaveNoSignatures(t *testing.T) {
	env := testEnv()
	env.Key = ""
	r := newRepo(t, Options{}, env)
	if got := slices.Sorted(mapKeys(finish(t, r, build(t, r, "stable/x86_64")))); !slices.Equal(got, []string{"Packages", "Packages.gz"}) {
		t.Errorf("files %q", got)
	}
}

func TestSignaturesAreOverTheUncompressedIndex(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	files := finish(t, r, build(t, r, "stable/x86_64", []*publish.Record{record("hello", "1", "x86_64")}, []*publish.Record{record("world", "1", "x86_64")}))
	if got, want := string(files["Packages.asc"]), fmt.Sprintf("openpgp-armor of %x\n", sha256.Sum256(files["Packages"])); got != want {
		t.Errorf("Packages.asc is %q, want %q", got, want)
	}
	z, err := gzip.NewReader(bytes.NewReader(files["Packages.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, files["Packages"]) {
		t.Errorf("Packages.gz holds something else: %v", err)
	}

	signify, err := exec.LookPath("signify-openbsd")
	if err != nil {
		t.Skip("signify-openbsd is not installed")
	}
	dir := t.TempDir()
	verify := func() error {
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "key.pub"), r.usign.key.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(signify, "-V", "-p", "key.pub", "-m", "Packages", "-x", "Packages.sig")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	files["Packages"][3] ^= 1
	if verify() == nil {
		t.Error("a flipped bit was accepted")
	}
}

func TestSettingsNameTheKeys(t *testing.T) {
	env := testEnv()
	signed := newRepo(t, Options{}, env).Settings()
	env.Key = ""
	if plain := newRepo(t, Options{}, env).Settings(); plain == signed || !strings.Contains(signed, fmt.Sprintf("%x", keyNumber())) {
		t.Errorf("settings %q and %q", signed, plain)
	}
}

// goneKeys can't sign: the agent is gone.
type goneKeys struct{ testKeys }

func (goneKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("the agent is gone") }, nil
}

func TestSigningErrorsAreReported(t *testing.T) {
	env := testEnv()
	env.Keys = goneKeys{}
	r := newRepo(t, Options{}, env)
	const want = "partition stable/x86_64: sign Packages.sig: the agent is gone"
	if _, err := r.Finish(t.Context(), &publish.RootInput{Root: "stable/x86_64", Partitions: []publish.Built{build(t, r, "stable/x86_64")}}); err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
}

// misnamed are testKeys whose usign key has another file name.
type misnamed struct{ testKeys }

func (k misnamed) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	p, err := k.testKeys.Public(key, s)
	if err == nil && s == formats.Usign {
		p.Name = "hello.pub"
	}
	return p, err
}

func TestBadOptionsAreRefused(t *testing.T) {
	arches := func(words map[string][]string) func(*Options, *publish.RepoEnv) {
		return func(o *Options, _ *publish.RepoEnv) { o.Arches = words }
	}
	for want, change := range map[string]func(*Options, *publish.RepoEnv){
		`arches: platform "linux/vax"`:                                 arches(map[string][]string{"linux/vax": {"vax"}}),
		`arches: platform "amd64" has no word: list at least one`:      arches(map[string][]string{"amd64": {}}),
		`"aarch64_generic" stands for linux/amd64 and for linux/arm64`: arches(map[string][]string{"amd64": {"aarch64_generic"}}),
		`arches: platform "linux/amd64" is there twice`:                arches(map[string][]string{"amd64": {"a"}, "linux/amd64": {"b"}}),
		`"../x" is no name of a CPU`:                                   arches(map[string][]string{"amd64": {"../x"}}),
		`"all" is no name of a CPU`:                                    arches(map[string][]string{"amd64": {"all"}}),
		`extension "deb" is neither ipk nor opk`:                       func(o *Options, _ *publish.RepoEnv) { o.Extension = "deb" },
		`channel "a/b" can't be a directory: use lower-case letters`:   func(_ *Options, e *publish.RepoEnv) { e.Channels = []string{"a/b"} },
		`no key "other"`: func(_ *Options, e *publish.RepoEnv) { e.Key = "other" },
		`key "k" is not there: no keys were opened`:                                       func(_ *Options, e *publish.RepoEnv) { e.Keys = nil },
		`key file name "hello.pub" is not the 16 digits opkg looks for in /etc/opkg/keys`: func(_ *Options, e *publish.RepoEnv) { e.Keys = misnamed{} },
	} {
		o, env := Options{}, testEnv()
		change(&o, &env)
		if _, err := New(o, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
}

func TestFinishNeedsTheIndexOfAPartition(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	b := build(t, r, "stable/x86_64")
	b.Indexes = slices.DeleteFunc(b.Indexes, func(x publish.IndexFile) bool { return x.Form == publish.Gzip })
	const want = `partition stable/x86_64 has no index Packages in form "gz"`
	if _, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, Partitions: []publish.Built{b}}); err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
}
