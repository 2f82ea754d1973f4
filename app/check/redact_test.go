package check_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline/config"
)

const block = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nc2VjcmV0\n-----END PRIVATE KEY-----"

func TestSecretsAreTakenOut(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"token ghs_0123456789abcdefghij x", "token [secret] x"},
		{"ghs_1234_eyJhbGciOiJub25lIn0.secret-part.of_the-token", "[secret]"},
		{"(github_pat_11ABCDEFG0123456789_abcdef)", "([secret])"},
		{"ghs_short", "ghs_short"},
		{"proof eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOjF9.c2ln-_x.", "proof [secret]."},
		{"before\n" + block + "\nafter", "before\n[secret]\nafter"},
		{strings.ReplaceAll(block, "\n", `\n`) + `"}`, `[secret]"}`},
		{"x -----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\nno end", "x [secret]"},
		{"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: hello\n-----BEGIN PGP SIGNATURE-----\niQ\n-----END PGP SIGNATURE-----\n", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: hello\n[secret]\n"},
		{block + " and " + block, "[secret] and [secret]"},
		{"-----BEGIN a lower one-----", "-----BEGIN a lower one-----"},
		{"key LS0tLS1CRUdJTiBQR1AgUFJJVkFURSBLRVkgQkxPQ0stLS0tLQo= end", "key [secret] end"},
		{"AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "[secret]"},
		{"RWRCSwAAAABwYXNzd29yZCBpcyBub3QgaGVyZSBidXQgdGhlIGtleSBpcw==", "[secret]"},
		{"Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer [secret]"},
		{"basic dXNlcjpwYXNzd29yZA==", "basic [secret]"},
		{"a basic reason", "a basic reason"},
		{"https://user:pa@ss@host/x/y?X-Amz-Signature=abc&b#c and more", "https://[secret]@host/x/y?[secret] and more"},
		{"https://host?sig=1", "https://host?[secret]"},
		{`"/a/b?sig=1"`, `"/a/b?[secret]"`},
		{"postgres://u:p@db:5432/x", "postgres://[secret]@db:5432/x"},
		{"is it a/b? yes", "is it a/b? yes"},
		{"mail a@b.example, see https://host/a@b", "mail a@b.example, see https://host/a@b"},
		{"", ""},
	} {
		got := check.Redact(c.text)
		if got != c.want {
			t.Errorf("Redact(%q) = %q, want %q", c.text, got, c.want)
		}
		if twice := check.Redact(got); twice != got {
			t.Errorf("Redact(%q) = %q, want no change", got, twice)
		}
	}
}

func TestSecretsReachNoText(t *testing.T) {
	const token = "ghs_qwertzuiopasdfghjkl.yxcvbnm"
	r := release(store.Failed)
	r.Tag, r.Short, r.Detail, r.Trigger, r.Version = token, token, token, token, token
	l := leg("site", token, store.Failed, func(l *store.Leg) { l.Short, l.Detail, l.Kind = token, token+" ", token })
	rep := report()
	rep.Plan.Targets[0].Filename, rep.Plan.Sites[0].URL, rep.Sites[0].Removed[0].Name, rep.Plan.Release.Version = token, token, token, token
	rep.Warnings = []string{token}
	texts := text(check.ForRelease(check.Release{Release: r, Legs: []*store.Leg{l}, Report: rep, Warnings: []string{token}, Log: []store.LogLine{{Text: token}}, Now: noon}))
	r.State = store.Done
	texts += text(check.ForRelease(check.Release{Release: r, Install: []check.Install{{Title: token, Commands: []string{token}}}, Now: noon}))
	texts += text(check.ForPull(check.Pull{Report: rep, Warnings: []string{token}, Now: noon}))
	texts += text(check.ForPull(check.Pull{Err: &config.Error{File: "distropack.yml", Err: errors.New(token), Hint: token}, Now: noon}))
	if strings.Contains(texts, "qwertz") || strings.Count(texts, "[secret]") < 20 {
		t.Errorf("%s", texts)
	}
}

// A log comes line by line, and each program puts something before its lines.
func TestABlockIsTakenOutOfALogOfLines(t *testing.T) {
	for _, prefix := range []string{"", "12:00:01 key: "} {
		var r check.Redactor
		var all []string
		for _, line := range strings.Split("one\n"+block+"\ntwo ghs_0123456789abcdefghij\nthree", "\n") {
			all = append(all, r.Redact(prefix+line))
		}
		got := strings.Join(all, "\n")
		if strings.Contains(got, "MIIE") || strings.Contains(got, "0123456789") || !strings.Contains(got, "one") || !strings.Contains(got, "three") {
			t.Errorf("with %q: %s", prefix, got)
		}
	}
	// Who only speaks of a block is read on.
	var r check.Redactor
	r.Redact("it does not begin with -----BEGIN PGP PUBLIC KEY BLOCK-----")
	if got := r.Redact("so it is no key, said the program"); got != "so it is no key, said the program" {
		t.Errorf("%q", got)
	}
}
