package apk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/distropack/distropack/formats"
	apkformat "github.com/distropack/distropack/formats/apk"
	"github.com/distropack/distropack/publish"
)

// testKeys signs by one RSA key for the name "k".
type testKeys struct{}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func (testKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	if key != "k" || s != formats.RSA256 {
		return nil, fmt.Errorf("no key %q for %s", key, s)
	}
	return func(ctx context.Context, r io.Reader) ([]byte, error) {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return nil, err
		}
		return rsa.SignPKCS1v15(nil, rsaKey(), crypto.SHA256, h.Sum(nil))
	}, nil
}

func (testKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	if key != "k" || s != formats.RSA256 {
		return nil, fmt.Errorf("no key %q for %s", key, s)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%x", sha256.Sum256(der))[:16]
	return &formats.PublicKey{
		Name: "hello-" + id[:8] + ".rsa.pub", ID: id,
		Data: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	}, nil
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
	sum := sha1.Sum([]byte(name + version))
	return &publish.Record{
		Path: "apk/stable/x86_64/" + name + "-" + version + ".apk",
		Ref:  formats.Bytes([]byte(name + version)).Ref(),
		Meta: formats.Meta{
			Format: "apk", Name: name, Version: version, Arch: arch,
			Fields: []formats.Field{
				{Key: "pkgname", Value: name}, {Key: "pkgver", Value: version}, {Key: "pkgdesc", Value: "Greets the world"},
				{Key: "url", Value: "https://example.org"}, {Key: "builddate", Value: "1700000000"},
				{Key: "packager", Value: "Ann Example <ann@example.org>"}, {Key: "size", Value: "12345"},
				{Key: "arch", Value: arch}, {Key: "origin", Value: "hello"}, {Key: "license", Value: "MIT"},
				{Key: "depend", Value: "musl>=1.2"}, {Key: "depend", Value: "!goodbye"},
				{Key: "provides", Value: "cmd:" + name + "=" + version},
				{Key: "checksum", Value: "Q1" + base64.StdEncoding.EncodeToString(sum[:])},
			},
		},
	}
}

// build is what the engine does: each page compressed on its own, joined into one
// gzip member.
func build(t testing.TB, r *Repo, partition string, pages ...[]*publish.Record) publish.Built {
	t.Helper()
	s := r.Streams(partition)[0]
	var plain []byte
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	n := 0
	for _, recs := range pages {
		text, err := s.Page(recs)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, 6)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		plain, out, n = append(plain, text...), append(out, b.Bytes()...), n+len(recs)
	}
	out = append(out, 3, 0)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(plain))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(plain)))
	return publish.Built{
		Partition: partition, Records: n, Changed: true,
		Indexes: []publish.IndexFile{{Stream: s.Name, Form: publish.Gzip, Plain: formats.Bytes(plain).Ref(), Blob: formats.Bytes(out)}},
	}
}

// finish returns the bytes of APKINDEX.tar.gz.
func finish(t testing.TB, r *Repo, b publish.Built) []byte {
	t.Helper()
	out, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, At: 1700000000, Serial: 1, Partitions: []publish.Built{b}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Files {
		if f.Path == "apk/"+b.Partition+"/APKINDEX.tar.gz" {
			index, err := formats.ReadAll(f.Blob)
			if err != nil {
				t.Fatal(err)
			}
			return index
		}
	}
	t.Fatal("no APKINDEX.tar.gz")
	return nil
}

func TestNoarchLiesInTheDirectoryOfEveryCPU(t *testing.T) {
	r := newRepo(t, Options{Arches: map[string][]string{"linux/arm64": {"aarch64", "aarch64_cortex-a53"}}}, testEnv())
	want := []string{"stable/x86_64", "stable/aarch64", "stable/aarch64_cortex-a53", "edge/x86_64", "edge/aarch64", "edge/aarch64_cortex-a53"}
	if got := r.Partitions(); !slices.Equal(got, want) {
		t.Errorf("Partitions() = %q, want %q", got, want)
	}
	for _, c := range []struct {
		arch string
		want []string
	}{
		{"noarch", want[:3]},
		{"x86_64", want[:1]},
		{"aarch64", want[1:3]},
		{"s390x", nil},
	} {
		places, err := r.Place(&record("hello-doc", "1.2.0-r0", c.arch).Meta, "stable")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range places {
			got = append(got, p.Partition)
			if want := "apk/" + p.Partition + "/hello-doc-1.2.0-r0.apk"; p.Path != want {
				t.Errorf("%s: path %q, want %q", c.arch, p.Path, want)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: partitions %q, want %q", c.arch, got, c.want)
		}
	}
}

func TestDirectoriesAreWhatTheFormatWrites(t *testing.T) {
	env := testEnv()
	env.Platforms = formats.LinuxPlatforms()
	r := newRepo(t, Options{}, env)
	format, err := apkformat.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range formats.LinuxPlatforms() {
		id, err := format.Identify(&formats.Spec{Name: "hello", Version: "1.2.0-rc.1", Summary: "Greets", Maintainer: "A <a@b.c>"}, p)
		if err != nil {
			t.Fatal(err)
		}
		places, err := r.Place(&formats.Meta{Format: "apk", Name: id.Name, Version: id.Version, Arch: id.Arch}, "stable")
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if p == formats.All {
			want = len(formats.LinuxPlatforms()) - 1
		}
		if len(places) != want {
			t.Errorf("%s (%s) is in %d indexes, want %d", p, id.Arch, len(places), want)
			continue
		}
		// apk asks for this name, whatever the file was called where it was made.
		if got, want := path.Base(places[0].Path), id.Name+"-"+id.Version+".apk"; got != want {
			t.Errorf("%s lies at %s, apk asks for %s", p, got, want)
		}
	}
}

func TestPlaceRefusesWhatIsNoFileName(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, c := range []struct{ name, version, channel, want string }{
		{"../x", "1-r0", "stable", `package "../x" version "1-r0" can't be a file name`},
		{"x", "1/2", "stable", `package "x" version "1/2" can't be a file name`},
		{"", "1-r0", "stable", `package "" version "1-r0" can't be a file name`},
		{"x", "1-r0", "nightly", `channel "nightly" is not published here (channels: stable edge)`},
	} {
		if _, err := r.Place(&formats.Meta{Format: "apk", Name: c.name, Version: c.version, Arch: "x86_64"}, c.channel); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Place(%q %q): %v, want %s", c.name, c.version, err, c.want)
		}
	}
	if p, err := r.Place(&formats.Meta{Format: "deb", Name: "x"}, "stable"); p != nil || err != nil {
		t.Errorf("Place(deb) = %v, %v", p, err)
	}
}

func TestOrderIsByNameThenByVersion(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	var got []string
	recs := []*publish.Record{
		record("b", "1.0-r0", "x86_64"), record("a", "1.10.0-r0", "x86_64"), record("a", "1.9.0-r1", "x86_64"),
		record("a", "1.10.0_rc1-r0", "x86_64"), record("a", "1.9.0-r0", "x86_64"),
	}
	slices.SortFunc(recs, func(a, b *publish.Record) int {
		if r.Less(a, b) {
			return -1
		}
		return 1
	})
	for _, rec := range recs {
		got = append(got, rec.Meta.Name+" "+rec.Meta.Version)
	}
	want := "a 1.9.0-r0, a 1.9.0-r1, a 1.10.0_rc1-r0, a 1.10.0-r0, b 1.0-r0"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("order %s, want %s", s, want)
	}
}

func TestSettingsNameTheKey(t *testing.T) {
	env := testEnv()
	signed := newRepo(t, Options{}, env).Settings()
	env.Key = ""
	plain := newRepo(t, Options{}, env).Settings()
	pub, err := testKeys{}.Public("k", formats.RSA256)
	if err != nil {
		t.Fatal(err)
	}
	if signed == plain || !strings.Contains(signed, pub.ID) {
		t.Errorf("settings %q and %q", signed, plain)
	}
}

// misnamed are testKeys whose public half has another file name.
type misnamed struct{ testKeys }

func (k misnamed) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	p, err := k.testKeys.Public(key, s)
	if err == nil {
		p.Name = "a b/c.pub"
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
		`arches: "aarch64" stands for linux/amd64 and for linux/arm64`: arches(map[string][]string{"amd64": {"aarch64"}}),
		`arches: platform "linux/amd64" is there twice`:                arches(map[string][]string{"amd64": {"a"}, "linux/amd64": {"b"}}),
		`"../x" is no name of a CPU`:                                   arches(map[string][]string{"amd64": {"../x"}}),
		`"noarch" is no name of a CPU`:                                 arches(map[string][]string{"amd64": {"noarch"}}),
		`channel "a/b" can't be a directory: use lower-case letters`:   func(_ *Options, e *publish.RepoEnv) { e.Channels = []string{"a/b"} },
		`no key "other"`: func(_ *Options, e *publish.RepoEnv) { e.Key = "other" },
		`key "k" is not there: no keys were opened`:                                           func(_ *Options, e *publish.RepoEnv) { e.Keys = nil },
		`key file name "a b/c.pub" can't stand in /etc/apk/keys: name the project by letters`: func(_ *Options, e *publish.RepoEnv) { e.Keys = misnamed{} },
	} {
		o, env := Options{}, testEnv()
		change(&o, &env)
		if _, err := New(o, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
}

func TestFinishNeedsTheIndexOfAPartition(t *testing.T) {
	const want = "partition stable/x86_64 has no index APKINDEX"
	in := &publish.RootInput{Root: "stable/x86_64", Partitions: []publish.Built{{Partition: "stable/x86_64"}}}
	if _, err := newRepo(t, Options{}, testEnv()).Finish(t.Context(), in); err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
}

func TestFinishReturnsTheEnginesOwnCopy(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	b := build(t, r, "stable/x86_64", []*publish.Record{record("hello", "1.2.0-r0", "x86_64")})
	out, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, Partitions: []publish.Built{b}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Files {
		if f.Partition == b.Partition && f.Stream == "APKINDEX" && f.Form == publish.Gzip && f.Offset == 0 {
			if f.Blob.Ref() != b.Indexes[0].Blob.Ref() || f.Class != publish.Index {
				t.Errorf("the copy is %v of class %v", f.Blob.Ref(), f.Class)
			}
			return
		}
	}
	t.Error("no file holds the index as the engine made it")
}

func TestSigningErrorsAreReported(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	r.sign = func(context.Context, io.Reader) ([]byte, error) { return nil, fmt.Errorf("the agent is gone") }
	b := build(t, r, "stable/x86_64")
	_, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, Partitions: []publish.Built{b}})
	if want := "partition stable/x86_64: sign APKINDEX: the agent is gone"; err == nil || err.Error() != want {
		t.Errorf("Finish: %v, want %s", err, want)
	}
}
