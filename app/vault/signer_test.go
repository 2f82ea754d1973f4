//go:build unix

package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "app-signer":
			if err := RunSigner(context.Background(), os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				syscall.Exit(1)
			}
			syscall.Exit(0)
		case "app-packer":
			pack(os.Args[2:])
			syscall.Exit(0)
		}
	}
	os.Exit(m.Run())
}

var (
	at   = time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	made = sync.OnceValues(func() ([]*keys.Key, error) {
		var all []*keys.Key
		for _, name := range []string{"Hello", "Old hello"} {
			k, err := keys.New(name, "hello@example.org", at.Add(-time.Hour), nil, keys.NewOptions{Ed25519: true, Bits: 3072, Expires: 1000 * time.Hour})
			if err != nil {
				return nil, err
			}
			all = append(all, k)
		}
		return all, nil
	})
)

func testKeys(t testing.TB) []*keys.Key {
	t.Helper()
	all, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// start starts a signer process.
func start(t testing.TB, o ClientOptions) *Client {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := StartSigner(t.Context(), exe, []string{"app-signer", filepath.Join(t.TempDir(), "identity")}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

var repository = Repository{ID: 7, Installation: 42, Release: "rel:7:v1", Project: "hello", At: at}

// sealed imports the test keys: one of the installation, one of the repository.
func sealed(t testing.TB, c *Client) []KeyRef {
	t.Helper()
	refs := []KeyRef{{Key: "main", Binding: Binding{InstallationScope(42), "main", KindKey}}, {Key: "also", Binding: Binding{RepositoryScope(7), "also", KindKey}}}
	for i, k := range testKeys(t) {
		m, err := c.ImportKey(t.Context(), refs[i].Binding, k.Bundle(), keys.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		refs[i].Blob = m.Blob
	}
	return refs
}

func ring(t testing.TB, c *Client) pipeline.Keyring {
	t.Helper()
	r, err := c.Keyring(t.Context(), repository, sealed(t, c)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSign(t testing.TB, k formats.Keys, key string, s formats.Scheme, message []byte) []byte {
	t.Helper()
	sign, err := k.Signer(key, s)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sign(t.Context(), bytes.NewReader(message))
	if err != nil {
		t.Fatalf("%s by %s: %v", s, key, err)
	}
	return sig
}

// gzipped begins as what apk reads does, and is longer than a piece.
var gzipped = append([]byte{0x1f, 0x8b, 8}, bytes.Repeat([]byte("content\n- of a package \n"), 20_000)...)

func TestTheSignerSignsAsTheKeysThemselvesDo(t *testing.T) {
	c := start(t, ClientOptions{})
	remote := ring(t, c)
	local := keys.Of("hello", map[string]*keys.Key{"main": testKeys(t)[0], "also": testKeys(t)[1]}, at)
	for _, key := range []string{"main", "also", "main+also", "also+main"} {
		for _, s := range schemes {
			for _, message := range [][]byte{gzipped, gzipped[:2]} {
				if got, want := mustSign(t, remote, key, s, message), mustSign(t, local, key, s, message); !bytes.Equal(got, want) {
					t.Errorf("%s by %s over %d bytes differs:\n%.300q\n%.300q", s, key, len(message), got, want)
				}
			}
			got, err := remote.Public(key, s)
			want, err2 := local.Public(key, s)
			if err != nil || err2 != nil || got.Name != want.Name || got.ID != want.ID || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Binary, want.Binary) {
				t.Errorf("Public(%s, %s) = %v, %v", key, s, got, err)
			}
		}
	}
	verify, err := remote.Verifier("main+also", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sig := mustSign(t, remote, "also", formats.OpenPGP, []byte("state"))
	if err := verify([]byte("state"), sig); err != nil {
		t.Error(err)
	}
	if err := verify([]byte("other"), sig); err == nil {
		t.Error("a signature of another message was taken")
	}
	for _, key := range []string{"", "other", "main+main"} {
		if _, err := remote.Signer(key, formats.OpenPGP); err == nil {
			t.Errorf("Signer(%q) found something", key)
		}
	}
	if _, err := remote.Signer("main", "pem"); err == nil {
		t.Error("an unknown scheme was found")
	}
	sign, err := remote.Signer("main", formats.OpenPGPClear)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign(t.Context(), io.LimitReader(zeros{}, maxClear+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a text that is too long: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAKeyOfAnotherRepositoryIsRefused(t *testing.T) {
	c := start(t, ClientOptions{})
	refs := sealed(t, c)
	of := func(id, installation int64) Repository {
		r := repository
		r.ID, r.Installation = id, installation
		return r
	}
	moved := func(r KeyRef, b Binding) KeyRef { r.Binding = b; return r }
	for _, test := range []struct {
		name string
		r    Repository
		refs []KeyRef
		want string
	}{
		{"other repository's key", of(8, 42), refs[1:], "can't sign for repository 8"},
		{"other installation's key", of(7, 43), refs[:1], "can't sign for repository 7 of installation 43"},
		{"no installation", of(7, 0), refs[:1], "can't sign"},
		{"copied to another row", of(8, 42), []KeyRef{moved(refs[1], Binding{RepositoryScope(8), "also", KindKey})}, "belongs to key also of repository:7"},
		{"copied to another installation", of(7, 43), []KeyRef{moved(refs[0], Binding{InstallationScope(43), "main", KindKey})}, "belongs to"},
		{"another name", of(7, 42), []KeyRef{moved(refs[0], Binding{InstallationScope(42), "new", KindKey})}, "belongs to"},
		{"a secret", of(7, 42), []KeyRef{moved(refs[0], Binding{InstallationScope(42), "main", KindSecret})}, "signing keys only"},
		{"the app's scope", of(7, 42), []KeyRef{moved(refs[0], Binding{AppScope, "main", KindKey})}, "can't sign"},
		{"no repository", of(0, 42), refs[:1], "needs the number"},
		{"no keys", of(7, 42), nil, "0 keys"},
		{"too many keys", of(7, 42), make([]KeyRef, maxKeys+1), "keys"},
		{"twice", of(7, 42), []KeyRef{refs[0], refs[0]}, "two keys"},
		{"the future", func() Repository { r := repository; r.At = time.Now().Add(48 * time.Hour); return r }(), refs, "future"},
	} {
		if _, err := c.Keyring(t.Context(), test.r, test.refs...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	_, err := c.Keyring(t.Context(), of(8, 42), moved(refs[1], Binding{RepositoryScope(8), "also", KindKey}))
	if !errors.Is(err, ErrSealed) {
		t.Errorf("a moved blob: %v, want ErrSealed", err)
	}
	// Each signature is checked, not only the first look: a ring made by hand.
	forged := &keyring{link: c.link, public: ring(t, c).(*keyring).public, ask: request{Repository: of(8, 42), Keys: refs[1:]}}
	sign, err := forged.Signer("also", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign(t.Context(), strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "can't sign for repository 8") {
		t.Errorf("a signature for another repository: %v", err)
	}
}

func TestAnOpenPGPCertificationCantBeHadAsAnApkSignature(t *testing.T) {
	remote := ring(t, start(t, ClientOptions{}))
	sign, err := remote.Signer("main", formats.RSA256)
	if err != nil {
		t.Fatal(err)
	}
	// What an OpenPGP key or user ID signature hashes begins with 0x99 and a length.
	for _, message := range []string{"\x99\x02\x0d\x04key", "", "\x1f", "#!/bin/sh"} {
		if sig, err := sign(t.Context(), strings.NewReader(message)); err == nil {
			t.Errorf("%q was signed: %x", message, sig[:4])
		}
	}
}

func TestEachSignatureIsLoggedBeforeItIsGivenOut(t *testing.T) {
	var got []Signature
	var refuse error
	c := start(t, ClientOptions{Signed: func(_ context.Context, s Signature) error { got = append(got, s); return refuse }})
	remote := ring(t, c)
	mustSign(t, remote, "main", formats.RSA256, gzipped)
	want := Signature{Repository: 7, Installation: 42, Release: "rel:7:v1", Key: "main", Scheme: "rsa256", Digest: fmt.Sprintf("%x", sha256.Sum256(gzipped)), Size: int64(len(gzipped))}
	if len(got) == 1 {
		want.Fingerprint = got[0].Fingerprint
	}
	if pub, _ := remote.Public("main", formats.RSA256); len(got) != 1 || got[0] != want || pub.ID != got[0].Fingerprint {
		t.Errorf("logged %+v, want %+v", got, want)
	}
	refuse = errors.New("the database is away")
	sign, err := remote.Signer("main", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := sign(t.Context(), strings.NewReader("x")); !errors.Is(err, refuse) || sig != nil {
		t.Errorf("a signature that can't be logged: %q, %v", sig, err)
	}
}

func TestTheSignerComesBack(t *testing.T) {
	c := start(t, ClientOptions{})
	remote := ring(t, c)
	want := mustSign(t, remote, "main", formats.OpenPGP, gzipped)
	kill := func() {
		t.Helper()
		ch, _, err := c.process.running()
		if err != nil || ch == nil {
			t.Fatalf("no signer runs: %v", err)
		}
		if err := ch.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ch.ended
	}
	kill()
	if got := mustSign(t, remote, "main", formats.OpenPGP, gzipped); !bytes.Equal(got, want) {
		t.Error("after a restart the signature is another")
	}

	// In the midst of a message: what can be read again is signed, the rest is said.
	sign, err := remote.Signer("main", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	half := &killing{Reader: bytes.NewReader(gzipped), kill: kill}
	if got, err := sign(t.Context(), half); err != nil || !bytes.Equal(got, want) {
		t.Errorf("killed while it signed: %v", err)
	}
	half = &killing{Reader: bytes.NewReader(gzipped), kill: kill}
	if _, err := sign(t.Context(), struct{ io.Reader }{half}); !errors.Is(err, ErrSignerGone) {
		t.Errorf("killed while it signed a stream: %v, want ErrSignerGone", err)
	}
	if got := mustSign(t, remote, "main", formats.OpenPGP, gzipped); !bytes.Equal(got, want) {
		t.Error("after that the signature is another")
	}
}

// killing kills once, after its first piece.
type killing struct {
	*bytes.Reader
	kill func()
	did  bool
}

func (k *killing) Read(b []byte) (int, error) {
	if k.Reader.Len() < len(gzipped) && !k.did {
		k.did = true
		k.kill()
	}
	return k.Reader.Read(b[:min(len(b), 1000)])
}

func TestASignerThatCantStartSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte("AGE-SECRET-KEY-1OOPS"), 0o644); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = StartSigner(t.Context(), exe, []string{"app-signer", file}, ClientOptions{})
	if !errors.Is(err, ErrSignerGone) || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "OOPS") {
		t.Errorf("StartSigner = %v, want what the signer said", err)
	}
	if _, err := StartSigner(t.Context(), "/not/there", nil, ClientOptions{}); !errors.Is(err, ErrSignerGone) {
		t.Errorf("StartSigner without a program = %v", err)
	}
	c := start(t, ClientOptions{})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keyring(t.Context(), repository); !errors.Is(err, ErrSignerGone) {
		t.Errorf("Keyring after Close = %v", err)
	}
}

func TestTheSignersProcessIsGuarded(t *testing.T) {
	t.Setenv("DISTROPACK_TEST_SECRET", "hunter2")
	c := start(t, ClientOptions{})
	ch, _, err := c.process.running()
	if err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d/", ch.cmd.Process.Pid)
	if _, err := os.Stat(proc); err != nil {
		t.Skip("there is no /proc")
	}
	if b, err := os.ReadFile(proc + "environ"); err == nil && len(b) > 0 {
		t.Errorf("it has an environment: %q", b)
	} else if err != nil && os.Getuid() == 0 {
		t.Error(err)
	}
	if os.Getuid() != 0 {
		if f, err := os.Open(proc + "mem"); err == nil {
			f.Close()
			t.Error("its memory can be opened")
		}
	}
	limits, _ := os.ReadFile(proc + "limits")
	var core string
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max core file size") {
			core = strings.Join(strings.Fields(line)[4:6], " ")
		}
	}
	if core != "0 0" {
		t.Errorf("core files of %q are possible", core)
	}
	status, _ := os.ReadFile(proc + "status")
	if !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Error("it can get new rights")
	}
	// The sockets and standard streams, and nothing of the server's.
	links, _ := filepath.Glob(proc + "fd/*")
	for _, l := range links {
		if to, _ := os.Readlink(l); strings.HasPrefix(to, "/") && to != "/dev/null" && !strings.HasPrefix(to, "/sys/fs/cgroup/") { // which Go reads itself
			t.Errorf("it has %s open", to)
		}
	}
}

func TestKeysAreMadeImportedAndExported(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	c := start(t, ClientOptions{Log: func(line string) { mu.Lock(); logged = append(logged, line); mu.Unlock() }})
	b := Binding{InstallationScope(42), "main", KindKey}
	m, err := c.NewKey(t.Context(), b, NewOptions{Name: "Hello releases", Email: "hello@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	p := m.Public
	if p.User != "Hello releases <hello@example.org>" || len(p.Fingerprint) != 40 || p.RSA == "" || p.Usign == "" || len(p.Warnings) != 0 ||
		!strings.HasPrefix(p.Certificate, "-----BEGIN PGP PUBLIC KEY BLOCK") || p.Expires.Before(time.Now().Add(DefaultLifetime-24*time.Hour)) {
		t.Errorf("Public = %+v", p)
	}
	if back, err := ParsePublic(p.JSON()); err != nil || back.Fingerprint != p.Fingerprint || !back.Expires.Equal(p.Expires) {
		t.Errorf("ParsePublic = %+v, %v", back, err)
	}
	if bytes.Contains(p.JSON(), []byte("PRIVATE")) {
		t.Error("the public half holds the private one")
	}
	if again, err := c.PublicKey(t.Context(), b, m.Blob); err != nil || again.Fingerprint != p.Fingerprint {
		t.Errorf("PublicKey = %+v, %v", again, err)
	}

	// For a passphrase, and back into another row.
	pass := keys.NewSecret("correct horse battery staple")
	backup, err := c.ExportKey(t.Context(), b, m.Blob, ExportOptions{Passphrase: pass})
	if err != nil || bytes.Contains(backup, []byte("PRIVATE")) {
		t.Fatalf("ExportKey = %.60q, %v", backup, err)
	}
	other := Binding{RepositoryScope(9), "main", KindKey}
	restored, err := c.ImportKey(t.Context(), other, keys.NewSecret(string(backup)), pass)
	if err != nil || restored.Public.Fingerprint != p.Fingerprint || restored.Public.Usign != p.Usign {
		t.Errorf("ImportKey of the backup = %+v, %v", restored, err)
	}
	if _, err := c.ImportKey(t.Context(), other, keys.NewSecret(string(backup)), keys.NewSecret("wrong wrong wrong")); err == nil {
		t.Error("a wrong passphrase opened the backup")
	}

	// For a recipient.
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	backup, err = c.ExportKey(t.Context(), b, m.Blob, ExportOptions{Recipient: id.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(agearmor.NewReader(bytes.NewReader(backup)), id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := keys.Import(keys.NewSecret(string(text)), keys.ImportOptions{Now: time.Now()}); err != nil || k.Fingerprint() != p.Fingerprint {
		t.Errorf("the backup holds %v, %v", k, err)
	}
	for _, o := range []ExportOptions{{}, {Passphrase: keys.NewSecret("short")}, {Recipient: "age1oops"}, {Recipient: "age1oops", Passphrase: pass}} {
		if out, err := c.ExportKey(t.Context(), b, m.Blob, o); err == nil {
			t.Errorf("ExportKey(%+v) = %.20q", o, out)
		}
	}
	if _, err := c.ExportKey(t.Context(), other, m.Blob, ExportOptions{Passphrase: pass}); !errors.Is(err, ErrSealed) {
		t.Errorf("ExportKey from another row = %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(logged) > 0 {
		t.Errorf("the signer printed %q", logged)
	}
}

func TestImportRefusesWhatIsNoKey(t *testing.T) {
	c := start(t, ClientOptions{})
	b := Binding{InstallationScope(42), "main", KindKey}
	bundle := testKeys(t)[0].Bundle()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(bundle.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "text": "hunter2 hunter2", "a file of the server's": file, "that, with a break": file + "\n", "a file's name with literal breaks": `\n` + file,
		"cut off": bundle.Reveal()[:300],
	} {
		m, err := c.ImportKey(t.Context(), b, keys.NewSecret(text), keys.Secret{})
		if err == nil {
			t.Errorf("%s was imported: %+v", name, m.Public)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
	for name, text := range map[string]string{"bundle": bundle.Reveal(), "one line": testKeys(t)[0].Line().Reveal(), "literal breaks": strings.ReplaceAll(bundle.Reveal(), "\n", `\n`)} {
		m, err := c.ImportKey(t.Context(), b, keys.NewSecret(text), keys.Secret{})
		if err != nil || m.Public.Fingerprint != testKeys(t)[0].Fingerprint() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.ImportKey(t.Context(), Binding{AppScope, "webhook", KindSecret}, bundle, keys.Secret{}); err == nil {
		t.Error("a key was sealed as a secret")
	}
}

func TestKeysAreSealedAgainByTheSigner(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "identity")
	c, err := StartSigner(t.Context(), exe, []string{"app-signer", file}, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref := sealed(t, c)[0]
	if err := Rotate(file); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c, err = StartSigner(t.Context(), exe, []string{"app-signer", file}, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	again, changed, err := c.ResealKey(t.Context(), ref.Binding, ref.Blob)
	if err != nil || !changed {
		t.Fatalf("ResealKey = %t, %v", changed, err)
	}
	if _, changed, err := c.ResealKey(t.Context(), ref.Binding, again); err != nil || changed {
		t.Errorf("ResealKey twice = %t, %v", changed, err)
	}
	// The server's own identity does not open it.
	server := open(t, filepath.Join(dir, "server"))
	if _, err := server.Open(ref.Binding, again); !errors.Is(err, ErrSealed) {
		t.Errorf("the server opens a signing key: %v", err)
	}
}

func TestOpenKeysAreKeptForATimeAndUpToANumber(t *testing.T) {
	now := time.Unix(1e9, 0)
	var opens int
	o := &opened{keep: time.Minute, most: 2, now: func() time.Time { return now }, all: make(map[[32]byte]*entry)}
	o.open = func(b Binding, _ []byte) (*keys.Key, error) {
		opens++
		if b.Name == "bad" {
			return nil, errors.New("bad")
		}
		return &keys.Key{}, nil
	}
	get := func(name string, want int) {
		t.Helper()
		now = now.Add(time.Second)
		o.key(Binding{AppScope, name, KindKey}, []byte("blob"))
		if opens != want || len(o.all) > 2 {
			t.Errorf("after %s: %d were opened, %d are open; want %d and at most 2", name, opens, len(o.all), want)
		}
	}
	get("a", 1)
	get("a", 1)
	get("b", 2) // the same blob in another row is another key
	get("a", 2)
	get("c", 3) // b goes
	get("a", 3)
	get("b", 4)
	get("bad", 5)
	get("bad", 6)
	now = now.Add(time.Minute)
	o.sweep()
	if len(o.all) != 0 {
		t.Errorf("%d are open after their time", len(o.all))
	}
	get("a", 7)
}

// inProcess serves a signer within the test.
func inProcess(t *testing.T, o Options) (*net.UnixConn, func() error) {
	t.Helper()
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fromFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- ServeSigner(t.Context(), conn, o); conn.Close() }()
	return ours, func() error { ours.Close(); return <-ended }
}

func TestBadRequestsDoNotHarmTheSigner(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "identity"))
	control, stop := inProcess(t, Options{Sealer: s, Idle: 100 * time.Millisecond})
	talk := func(raw string) (string, error) {
		t.Helper()
		ours, theirs, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		if err := send(control, theirs); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		io.WriteString(ours, raw)
		ours.SetReadDeadline(time.Now().Add(30 * time.Second))
		var r response
		err = readJSON(ours, maxResponse, &r)
		return r.Error, err
	}
	frame := func(json string) string {
		return string([]byte{0, 0, byte(len(json) >> 8), byte(len(json))}) + json
	}
	for name, c := range map[string]struct{ raw, want string }{
		"silence":             {"", "nothing came"},
		"half a length":       {"\x00\x00", "nothing came"},
		"a frame too long":    {"\xff\xff\xff\xff", "a frame of 4294967295 bytes"},
		"no JSON":             {frame("{hunter2"), "can't be read"},
		"unknown":             {frame(`{"op":"dump"}`), `does not know "dump"`},
		"no blob":             {frame(`{"op":"reseal","binding":{"scope":"app","name":"x","kind":"key"},"blob":""}`), "no sealed record"},
		"sign without keys":   {frame(`{"op":"sign","repository":{"id":7,"at":"2020-01-01T00:00:00Z"},"scheme":"openpgp"}`), "0 keys"},
		"a clear-signed time": {frame(`{"op":"sign","repository":{"id":7}}`), "needs the number"},
	} {
		if got, err := talk(c.raw); err != nil || !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	// Bytes without a connection, and what is no socket.
	control.Write([]byte("xyz"))
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := send(control, f); err != nil {
		t.Fatal(err)
	}
	// Several at once: all but one are closed by the kernel.
	a, b, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	control.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(b.Fd()), int(b.Fd()), int(b.Fd())), nil)
	b.Close()
	if got, err := talk(frame(`{"op":"ping"}`)); err != nil || got != "" {
		t.Errorf("after bad requests ping = %q, %v", got, err)
	}
	a.Close()
	if err := stop(); err != nil {
		t.Errorf("ServeSigner = %v", err)
	}

	// A mistake in the signer costs the request, not the signer.
	control, stop = inProcess(t, Options{})
	if got, err := talk(frame(`{"op":"reseal","binding":{"scope":"app","name":"x","kind":"key"},"blob":"ZHB2MWFhYWFhYWFhYWFh"}`)); err != nil || !strings.Contains(got, "made a mistake") {
		t.Errorf("a panic: %q, %v", got, err)
	}
	if got, err := talk(frame(`{"op":"ping"}`)); err != nil || got != "" {
		t.Errorf("after a panic ping = %q, %v", got, err)
	}
	if err := stop(); err != nil {
		t.Errorf("ServeSigner = %v", err)
	}
}

func TestHalfAMessageIsNotSigned(t *testing.T) {
	remote := ring(t, start(t, ClientOptions{Signed: func(context.Context, Signature) error { t.Error("half a message was signed"); return nil }}))
	sign, err := remote.Signer("main", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is gone")
	if _, err := sign(t.Context(), io.MultiReader(bytes.NewReader(gzipped), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a message that can't be read: %v", err)
	}
	for _, raw := range []string{"", "\x00\x00", "\x00\x00\x00\x05hell", "\x00\x00\x00\x05hello", "\xff\xff\xff\xffhello"} {
		if b, err := io.ReadAll(&pieces{r: strings.NewReader(raw)}); err == nil {
			t.Errorf("pieces %q = %q without an end", raw, b)
		}
	}
}

func TestAnEndedContextEndsTheRequest(t *testing.T) {
	remote := ring(t, start(t, ClientOptions{}))
	sign, err := remote.Signer("main", formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	n := 0
	_, err = sign(ctx, readerFunc(func(b []byte) (int, error) {
		if n++; n == 1000 {
			cancel(why)
		}
		return len(b), nil
	}))
	if !errors.Is(err, why) {
		t.Errorf("sign = %v after %d pieces, want why the context ended", err, n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestManySignAtOnce(t *testing.T) {
	remote := ring(t, start(t, ClientOptions{}))
	want := mustSign(t, remote, "main", formats.OpenPGP, gzipped)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			sign, err := remote.Signer("main", formats.OpenPGP)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := sign(t.Context(), bytes.NewReader(gzipped)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	all.Wait()
}

// BenchmarkSign compares a package of 64 MiB signed here and by the signer.
func BenchmarkSign(b *testing.B) {
	message := make([]byte, 64<<20)
	for name, k := range map[string]formats.Keys{
		"here":   keys.Of("hello", map[string]*keys.Key{"main": testKeys(b)[0]}, at),
		"signer": ring(b, start(b, ClientOptions{})),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				mustSign(b, k, "main", formats.OpenPGP, message)
			}
		})
	}
}
