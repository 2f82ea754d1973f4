package keys

import (
	"bytes"
	"context"
	"crypto"
	_ "crypto/sha1" // one of the signatures that are refused
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/distropack/distropack/formats"
)

var (
	made = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// rsaKey is made once: 3072 bits take a second.
var rsaKey = sync.OnceValue(func() *Key {
	k, err := New("Hello Packages", "packages@example.org", made, nil, NewOptions{Bits: 3072})
	if err != nil {
		panic(err)
	}
	return k
})

var edKey = sync.OnceValue(func() *Key {
	k, err := New("Hello Edwards", "ed@example.org", made, nil, NewOptions{Bits: 3072, Ed25519: true, Expires: 2 * 365 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	return k
})

func ring(t *testing.T) *Keyring {
	t.Helper()
	return Of("hello", map[string]*Key{"main": rsaKey(), "also": edKey()}, now)
}

func sign(t *testing.T, r *Keyring, key string, s formats.Scheme, message string) []byte {
	t.Helper()
	f, err := r.Signer(key, s)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := f(context.Background(), strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func public(t *testing.T, r *Keyring, key string, s formats.Scheme) *formats.PublicKey {
	t.Helper()
	p, err := r.Public(key, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write puts b into a new file and returns its name.
func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func fails(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err == nil {
		t.Errorf("%s %s was happy:\n%s", name, strings.Join(args, " "), out)
	}
}

var allSchemes = []formats.Scheme{formats.OpenPGP, formats.OpenPGPArmor, formats.OpenPGPClear, formats.RSA256, formats.Usign}

func TestSignaturesAreTheSameBytesEveryTime(t *testing.T) {
	r := ring(t)
	again, err := Import(rsaKey().Line(), ImportOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r2 := Of("hello", map[string]*Key{"main": again, "also": edKey()}, now)
	for _, s := range allSchemes {
		for _, key := range []string{"main", "also", "main+also", "also+main"} {
			a, b := sign(t, r, key, s, "some text\n"), sign(t, r2, key, s, "some text\n")
			if !bytes.Equal(a, b) {
				t.Errorf("%s %s: two runs differ", key, s)
			}
			if c := sign(t, r, key, s, "other text\n"); bytes.Equal(a, c) {
				t.Errorf("%s %s: other text has the same signature", key, s)
			}
		}
	}
}

func TestSignersMayRunAtOnce(t *testing.T) {
	r := ring(t)
	for _, s := range allSchemes {
		f, err := r.Signer("main+also", s)
		if err != nil {
			t.Fatal(err)
		}
		want := sign(t, r, "main+also", s, "text")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if got, err := f(context.Background(), strings.NewReader("text")); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %v, equal %v", s, err, bytes.Equal(got, want))
				}
			})
		}
		wg.Wait()
	}
}

func TestSigningEndsWithContextAndReader(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("disk is gone")
	for _, s := range allSchemes {
		f, err := ring(t).Signer("main", s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f(ctx, strings.NewReader("text")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", s, err)
		}
		if _, err := f(context.Background(), io.MultiReader(strings.NewReader("x"), failing{broken})); !errors.Is(err, broken) {
			t.Errorf("%s: %v, want the reader's error", s, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestUsignSignsNoMoreThanItHolds(t *testing.T) {
	sign := rsaKey().usign.signer(8)
	if _, err := sign(context.Background(), strings.NewReader("12345678")); err != nil {
		t.Error(err)
	}
	if _, err := sign(context.Background(), strings.NewReader("123456789")); err == nil || err.Error() != "usign can't sign more than 8 bytes" {
		t.Errorf("9 bytes of 8: %v", err)
	}
}

func TestSignatureIsNeverOlderThanItsKey(t *testing.T) {
	r := ring(t).At(made.AddDate(-1, 0, 0))
	pub := public(t, r, "main", formats.OpenPGP)
	sig := sign(t, r, "main", formats.OpenPGP, "old release")
	if err := Verify(pub.Data, strings.NewReader("old release"), sig, made); err != nil {
		t.Error(err)
	}
}

func TestVerifyTakesOnlyGoodSignatures(t *testing.T) {
	r := ring(t)
	message := "state of the tree\n"
	main, also := public(t, r, "main", formats.OpenPGP), public(t, r, "also", formats.OpenPGP)
	both := public(t, r, "main+also", formats.OpenPGP)
	sig := sign(t, r, "main", formats.OpenPGP, message)
	block := func(clear []byte) []byte { return clear[bytes.Index(clear, []byte("-----BEGIN PGP SIGNATURE")):] }
	// by is a signature by rsaKey that s says more of.
	by := func(s packet.Signature) []byte {
		k := rsaKey().signing
		if s.CreationTime.IsZero() {
			s.CreationTime = now
		}
		s.PubKeyAlgo, s.IssuerKeyId = k.PubKeyAlgo, &k.KeyId
		h := s.Hash.New()
		io.WriteString(h, message)
		var b bytes.Buffer
		if err := errors.Join(s.Sign(h, k, signConfig(now)), s.Serialize(&b)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	day := uint32(24 * 60 * 60)
	short := packet.Signature{SigType: packet.SigTypeBinary, Hash: crypto.SHA512, SigLifetimeSecs: &day}
	early := packet.Signature{SigType: packet.SigTypeBinary, Hash: crypto.SHA512, CreationTime: made.Add(-time.Hour)}
	// Its one subpacket is the time.
	var nameless bytes.Buffer
	if err := (&packet.OpaquePacket{Tag: tagSignature, Contents: []byte{4, 0, 1, 10, 0, 6, 5, 2, 0x69, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}}).Serialize(&nameless); err != nil {
		t.Fatal(err)
	}
	revoked := fmt.Sprintf("key %016X is revoked", rsaKey().signing.KeyId)
	cases := []struct {
		name    string
		public  []byte
		message string
		sig     []byte
		at      time.Time
		want    string
	}{
		{"good", main.Data, message, sig, now, ""},
		{"binary certificate", main.Binary, message, sig, now, ""},
		{"armored signature", main.Data, message, sign(t, r, "main", formats.OpenPGPArmor, message), now, ""},
		{"one of both certificates", both.Data, message, sig, now, ""},
		{"both of both", both.Binary, message, sign(t, r, "main+also", formats.OpenPGP, message), now, ""},
		{"both, only the second is known", also.Data, message, sign(t, r, "main+also", formats.OpenPGP, message), now, ""},
		{"blocks one behind the other", append(bytes.Clone(also.Data), main.Data...), message, sig, now, ""},
		{"ten years later", main.Data, message, sig, now.AddDate(10, 0, 0), ""},
		{"key expired since", also.Data, message, sign(t, r, "also", formats.OpenPGP, message), now.AddDate(10, 0, 0), ""},
		{"key expired before", also.Data, message, sign(t, r.At(now.AddDate(5, 0, 0)), "also", formats.OpenPGP, message), now.AddDate(10, 0, 0), "could not sign then"},
		{"other key", also.Data, message, sig, now, "not trusted"},
		{"other text", main.Data, message + "x", sig, now, "was changed"},
		{"from the future", main.Data, message, sig, now.Add(-time.Hour), "from the future"},
		{"by a clock that is a little ahead", main.Data, message, sig, now.Add(-20 * time.Minute), ""},
		{"no signature", main.Data, message, nil, now, "no signature"},
		{"garbage", main.Data, message, []byte("garbage"), now, "not an OpenPGP signature"},
		{"no certificate", nil, message, sig, now, "no OpenPGP certificate"},
		{"kind for text", main.Data, message, block(sign(t, r, "main", formats.OpenPGPClear, message)), now, "the signature is of a kind or hash that is not accepted"},
		{"SHA-1", main.Data, message, by(packet.Signature{SigType: packet.SigTypeBinary, Hash: crypto.SHA1}), now, "the signature is of a kind or hash that is not accepted"},
		{"for a day, in time", main.Data, message, by(short), now.Add(time.Hour), ""},
		{"for a day, late", main.Data, message, by(short), now.AddDate(0, 0, 2), fmt.Sprintf("the signature by key %016X has expired", rsaKey().signing.KeyId)},
		{"nameless", main.Data, message, nameless.Bytes(), now, "the signature does not name its key"},
		{"key made later", main.Data, message, by(early), now, "could not sign then"},
		{"key revoked since", revokedAt(t, rsaKey(), now.Add(time.Hour)), message, sig, now.AddDate(0, 0, 1), revoked},
		{"key revoked before", revokedAt(t, rsaKey(), now.Add(-time.Hour)), message, sig, now, revoked},
		{"key revoked tomorrow", revokedAt(t, rsaKey(), now.AddDate(0, 0, 1)), message, sig, now, ""},
		{"armor damaged", main.Data, message, bytes.Replace(sign(t, r, "main", formats.OpenPGPArmor, message), []byte("\n\n"), []byte("\n\n!"), 1), now, "the signature's armor is damaged"},
		{"other armor", main.Data, message, main.Data, now, "it is not an OpenPGP signature"},
		{"too many", main.Data, message, bytes.Repeat(sig, 17), now, "there are more than 16 signatures"},
		{"too long", main.Data, message, make([]byte, maxSignature+1), now, "the signature is longer than 1048576 bytes"},
		{"certificate too long", make([]byte, maxSignature+1), message, sig, now, "the certificates are longer than 1048576 bytes"},
		{"certificate cut", main.Data[:30+bytes.IndexByte(main.Data, '\n')], message, sig, now, "the certificate can't be read"},
		{"certificate's head alone", main.Data[:bytes.IndexByte(main.Data, '\n')], message, sig, now, "the certificate's armor is damaged"},
		{"clear-signed", main.Data, message, sign(t, r, "main", formats.OpenPGPClear, message), now, "not an OpenPGP signature"},
	}
	for _, c := range cases {
		err := Verify(c.public, strings.NewReader(c.message), c.sig, c.at)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	flipped := bytes.Clone(sig)
	flipped[len(flipped)-9] ^= 1
	if Verify(main.Data, strings.NewReader(message), flipped, now) == nil {
		t.Error("a flipped signature was taken")
	}
}

// revokedAt returns the certificate of k with a revocation of that time.
func revokedAt(t *testing.T, k *Key, at time.Time) []byte {
	t.Helper()
	e := imports(t, k.Bundle().Reveal()).entity
	if err := e.RevokeKey(packet.KeyRetired, "", signConfig(at)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVerifyClearReturnsTheSignedText(t *testing.T) {
	r := ring(t)
	text := "Origin: hello\n- dashed\n\nFrom here  \nlast"
	want := "Origin: hello\n- dashed\n\nFrom here\nlast"
	for _, key := range []string{"main", "also", "main+also"} {
		clear := sign(t, r, key, formats.OpenPGPClear, text)
		got, err := VerifyClear(public(t, r, "main+also", formats.OpenPGP).Data, clear, now)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", key, got, err, want)
		}
		if _, err := VerifyClear(public(t, r, "main", formats.OpenPGP).Data, bytes.Replace(clear, []byte("hello"), []byte("jello"), 1), now); err == nil {
			t.Errorf("%s: changed text was taken", key)
		}
		for _, around := range [][]byte{append([]byte("before\n"), clear...), append(bytes.Clone(clear), "after\n"...)} {
			if _, err := VerifyClear(public(t, r, "main+also", formats.OpenPGP).Data, around, now); err == nil || err.Error() != "there is text outside the signed message" {
				t.Errorf("%s: unsigned text around it: %v", key, err)
			}
		}
		at := bytes.LastIndex(clear, []byte("\n\n")) + 2 // where the armor's text begins
		for want, message := range map[string][]byte{
			"it is not a clear-signed message": clear[:at],
			"the signature's armor is damaged": slices.Concat(clear[:at], []byte("!"), clear[at:]),
		} {
			if _, err := VerifyClear(public(t, r, "main+also", formats.OpenPGP).Data, message, now); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %q", key, err, want)
			}
		}
	}
}

func TestVerifierOfKeyring(t *testing.T) {
	r := ring(t)
	check, err := r.Verifier("main", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := check([]byte("x"), sign(t, r, "main", formats.OpenPGPArmor, "x")); err != nil {
		t.Error(err)
	}
	if check([]byte("x"), sign(t, r, "also", formats.OpenPGP, "x")) == nil {
		t.Error("a signature by another key was taken")
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	k := rsaKey()
	bundle := k.Bundle().Reveal()
	r := ring(t)
	s := NewSecret(bundle)
	nested := struct {
		A Secret
		b Secret
		c *Secret
		d []Secret
		e map[string]Secret
		f *Key
		g *Keyring
	}{s, s, &s, []Secret{s}, map[string]Secret{"k": s}, k, r}
	var texts []string
	for _, v := range []any{s, &s, k, *r, r, nested, &nested, []any{s, k, r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		j, _ := json.Marshal(v)
		texts = append(texts, log.String(), string(j))
	}
	if got := fmt.Sprintf("%#v", s); got != hidden {
		t.Errorf("a secret prints as %q", got)
	}
	// Errors of every way to read it wrongly.
	for i := range 200 {
		cut := bundle[:len(bundle)*i/200]
		for _, text := range []string{cut, "x" + cut, strings.ReplaceAll(cut, "\n", ""), strings.ReplaceAll(cut, "\n", "")[len(cut)/100:]} {
			if _, err := Import(NewSecret(text), ImportOptions{Now: now}); err != nil {
				texts = append(texts, err.Error())
			}
		}
	}
	raw := k.rsa.D.Bytes()
	for _, text := range texts {
		for _, line := range strings.Split(bundle, "\n") {
			if len(line) > 40 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "-----") && strings.Contains(text, line[:40]) {
				t.Fatalf("it says %.200q", text)
			}
		}
		if strings.Contains(text, fmt.Sprintf("%x", raw[:16])) || strings.Contains(text, k.rsa.D.String()[:20]) {
			t.Fatalf("it says %.200q", text)
		}
	}
}
