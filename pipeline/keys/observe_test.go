package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

var observed = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// observedKey is made a year before observed and ends a year after.
func observedKey(t *testing.T, o NewOptions) *Keyring {
	t.Helper()
	if o.Bits == 0 {
		o.Bits = 3072
	}
	o.Expires = 2 * 365 * 24 * time.Hour
	k, err := New("Test", "test@example.org", observed.AddDate(-1, 0, 0), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return Of("hello", map[string]*Key{"main": k}, observed)
}

func signed(t *testing.T, r *Keyring, text string, s formats.Scheme) []byte {
	t.Helper()
	f, err := r.Signer("main", s)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := f(context.Background(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func publicOf(t *testing.T, r *Keyring, s formats.Scheme) *formats.PublicKey {
	t.Helper()
	p, err := r.Public("main", s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestARingTellsWhoSigned(t *testing.T) {
	ours, other := observedKey(t, NewOptions{}), observedKey(t, NewOptions{Ed25519: true})
	a, b := publicOf(t, ours, formats.OpenPGP), publicOf(t, other, formats.OpenPGP)
	ring, err := OpenRing(observed, a.Data, b.Binary, a.Binary)
	if err != nil {
		t.Fatal(err)
	}
	certs := ring.Certificates()
	if len(certs) != 2 || certs[0].Fingerprint != a.ID || certs[0].Algorithm != "RSA" || certs[0].Bits != 3072 || certs[1].Algorithm != "Ed25519" || certs[0].User != "Test <test@example.org>" {
		t.Errorf("%+v", certs)
	}
	if want := observed.AddDate(-1, 0, 0).Add(2 * 365 * 24 * time.Hour); !certs[0].Expires.Equal(want) || certs[0].Revoked || certs[0].WeakHash {
		t.Errorf("%+v, want an end at %s", certs[0], want)
	}
	for _, k := range []struct {
		ring *Keyring
		id   string
	}{{ours, a.ID}, {other, b.ID}} {
		for _, s := range []formats.Scheme{formats.OpenPGP, formats.OpenPGPArmor} {
			c, err := ring.Check(signed(t, k.ring, "text", s))
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("te"))
			c.Write([]byte("xt"))
			for range 2 { // the second time is not over the first
				if by, err := c.Good(observed); err != nil || by.Fingerprint != k.id || !by.At.Equal(observed) {
					t.Errorf("%+v %v, want %s", by, err, k.id)
				}
			}
		}
		clear := signed(t, k.ring, "text\n", formats.OpenPGPClear)
		text, by, err := ring.Clear(clear, observed)
		if err != nil || string(bytes.TrimSpace(text)) != "text" || by.Fingerprint != k.id {
			t.Errorf("%q %+v %v", text, by, err)
		}
		if text, err := ClearText(clear); err != nil || string(bytes.TrimSpace(text)) != "text" {
			t.Errorf("%q %v", text, err)
		}
		if _, _, err := ring.Clear(bytes.Replace(clear, []byte("text"), []byte("test"), 1), observed); err == nil || !strings.Contains(err.Error(), "the text was changed") {
			t.Errorf("a changed text: %v", err)
		}
	}
	only := ring.Only(func(c Certificate) bool { return c.Fingerprint == b.ID })
	c, err := only.Check(signed(t, ours, "", formats.OpenPGP))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Good(observed); err == nil || !strings.Contains(err.Error(), "not trusted here") {
		t.Errorf("a key that was left out: %v", err)
	}
	if none := only.Only(func(Certificate) bool { return false }); !none.Empty() || only.Empty() {
		t.Error("Empty is wrong")
	}
}

// Of each signature every bit of the number is changed, in steps: none of them may
// pass for a signature over another text.
func TestGenuineTellsOtherTextsFromDamage(t *testing.T) {
	ours, other := observedKey(t, NewOptions{}), observedKey(t, NewOptions{Ed25519: true})
	ring, err := OpenRing(observed, publicOf(t, ours, formats.OpenPGP).Binary, publicOf(t, other, formats.OpenPGP).Binary)
	if err != nil {
		t.Fatal(err)
	}
	genuine := func(sig []byte, now time.Time) (bool, bool) {
		c, err := ring.Check(sig)
		if err != nil {
			return false, true
		}
		c.Write([]byte("not that text"))
		if _, err := c.Good(now); err == nil {
			t.Fatal("it is taken for good")
		}
		_, ok, known := c.Genuine(now)
		return ok, known
	}
	sig := signed(t, ours, "that text", formats.OpenPGP)
	if ok, known := genuine(sig, observed); !ok || !known {
		t.Error("a signature over another text is not known for one")
	}
	if ok, _ := genuine(sig, observed.Add(-time.Hour)); ok {
		t.Error("one from the future is")
	}
	for i := len(sig) - 384; i < len(sig); i += 7 {
		bad := slices.Clone(sig)
		bad[i] ^= 1 << (i % 8)
		if ok, _ := genuine(bad, observed); ok {
			t.Errorf("byte %d changed: it passes for genuine", i)
		}
	}
	if ok, known := genuine(signed(t, other, "that text", formats.OpenPGP), observed); ok || known {
		t.Error("Ed25519 can't be known without its text")
	}
}

func TestKeysOfAPKAndOPKGAreReadBack(t *testing.T) {
	ours, other := observedKey(t, NewOptions{}), observedKey(t, NewOptions{})
	rsaFile, usignFile := publicOf(t, ours, formats.RSA256), publicOf(t, ours, formats.Usign)
	k, err := OpenRSA(rsaFile.Data)
	if err != nil || k.ID != rsaFile.ID || k.Bits != 3072 {
		t.Fatalf("%+v %v", k, err)
	}
	sum := sha256.Sum256([]byte("text"))
	if err := k.Verify(crypto.SHA256, sum[:], signed(t, ours, "text", formats.RSA256)); err != nil {
		t.Error(err)
	}
	if err := k.Verify(crypto.SHA256, sum[:], signed(t, other, "text", formats.RSA256)); err == nil {
		t.Error("another key's signature is taken")
	}
	u, err := OpenUsign(usignFile.Data)
	if err != nil || u.ID != usignFile.ID {
		t.Fatalf("%+v %v", u, err)
	}
	sig := signed(t, ours, "text", formats.Usign)
	if id, err := UsignSigner(sig); err != nil || id != u.ID {
		t.Error(id, err)
	}
	if err := u.Verify([]byte("text"), sig); err != nil {
		t.Error(err)
	}
	if err := u.Verify([]byte("test"), sig); err == nil || !strings.Contains(err.Error(), "the text was changed") {
		t.Errorf("a changed text: %v", err)
	}
	if err := u.Verify([]byte("text"), signed(t, other, "text", formats.Usign)); err == nil || !strings.Contains(err.Error(), "not by") {
		t.Errorf("another key: %v", err)
	}
	noPEM, noComment, noEd := "it is not a PEM file", `it does not begin with "untrusted comment:"`, "its second line is not the base64 of 42 bytes of Ed25519"
	for _, bad := range []struct {
		file       []byte
		rsa, usign string
	}{
		{nil, noPEM, noComment},
		{[]byte("x"), noPEM, noComment},
		{rsaFile.Data[:40], noPEM, noComment},
		{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "it is not an RSA public key", noComment},
		{usignFile.Data[:60], noPEM, noEd},
		{sig, noPEM, noEd},
	} {
		if _, err := OpenRSA(bad.file); err == nil || err.Error() != bad.rsa {
			t.Errorf("%q as an RSA key: %v, want %q", bad.file, err, bad.rsa)
		}
		if _, err := OpenUsign(bad.file); err == nil || !strings.Contains(err.Error(), "it is not a usign public key: "+bad.usign) {
			t.Errorf("%q as a usign key: %v, want %q", bad.file, err, bad.usign)
		}
		if _, err := OpenRing(observed, bad.file); err == nil || err.Error() != "there is no OpenPGP certificate to check with" {
			t.Errorf("%q as a certificate: %v", bad.file, err)
		}
	}
	for _, bad := range [][]byte{nil, usignFile.Data, rsaFile.Data} {
		if err := u.Verify([]byte("text"), bad); err == nil || !strings.Contains(err.Error(), "it is not a usign signature: it") {
			t.Errorf("%q as a signature: %v", bad, err)
		}
	}
	if _, err := ClearText(sig); err == nil || err.Error() != "it is not a clear-signed message" {
		t.Errorf("the text of a usign signature: %v", err)
	}
}
