package event

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

func sign(secret, body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}

func TestVerify(t *testing.T) {
	// GitHub's own example: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
	const secret, hello = "It's a Secret to Everybody", "Hello, World!"
	const published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	old := hmac.New(sha1.New, []byte(secret))
	old.Write([]byte(hello))
	weak := hex.EncodeToString(old.Sum(nil))

	const (
		missing = "the header X-Hub-Signature-256 is missing: give the webhook a secret"
		shape   = "the header X-Hub-Signature-256 is not sha256= and 64 hex digits"
		wrong   = "the signature was not made with the App's webhook secret"
		unset   = "the App has no webhook secret to check signatures with"
	)
	for _, x := range []struct {
		about   string
		secrets []string
		body    string
		header  string
		want    string
	}{
		{"GitHub's example", []string{secret}, hello, published, ""},
		{"the new one of two", []string{"old", secret}, hello, published, ""},
		{"the old one of two", []string{secret, "new"}, hello, published, ""},
		{"an empty one beside it", []string{"", secret, ""}, hello, published, ""},
		{"an empty body", []string{secret}, "", sign(secret, ""), ""},
		{"another body", []string{secret}, hello + " ", published, wrong},
		{"another secret", []string{"old", "new"}, hello, published, wrong},
		{"a secret that begins alike", []string{secret + "\n"}, hello, published, wrong},
		{"a digit changed", []string{secret}, hello, strings.Replace(published, "757", "758", 1), wrong},
		{"an empty secret, and who knows", []string{""}, hello, sign("", hello), unset},
		{"no secret", nil, hello, sign("", hello), unset},
		{"no header", []string{secret}, hello, "", missing},
		{"SHA-1", []string{secret}, hello, "sha1=" + weak, shape},
		{"SHA-1 that calls itself otherwise", []string{secret}, hello, "sha256=" + weak, shape},
		{"no prefix", []string{secret}, hello, published[len("sha256="):], shape},
		{"cut short", []string{secret}, hello, published[:len(published)-2], shape},
		{"too long", []string{secret}, hello, published + "00", shape},
		{"not hex", []string{secret}, hello, "sha256=" + strings.Repeat("zz", 32), shape},
		{"only a prefix", []string{secret}, hello, "sha256=", shape},
	} {
		var secrets [][]byte
		for _, s := range x.secrets {
			secrets = append(secrets, []byte(s))
		}
		err := Verify(secrets, []byte(x.body), x.header)
		if got := text(err); got != x.want {
			t.Errorf("%s: got %q, want %q", x.about, got, x.want)
		}
		if early := text(CheckSignature(x.header)); early != x.want && x.want != wrong && x.want != unset || early != "" && early != x.want {
			t.Errorf("%s: the header alone: got %q, want what Verify says: %q", x.about, early, x.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func BenchmarkVerify(b *testing.B) {
	body := make([]byte, 20<<10)
	header := sign("new", string(body))
	secrets := [][]byte{[]byte("old"), []byte("new")}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := Verify(secrets, body, header); err != nil {
			b.Fatal(err)
		}
	}
}
