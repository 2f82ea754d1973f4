package keys

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

func gpgHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run(t, "gpgconf", "--homedir", home, "--kill", "all")
		os.RemoveAll(home)
	})
	return home
}

// gpgKey makes a key with gpg and exports it.
func gpgKey(t *testing.T, algo, usage, passphrase string, more ...string) (secret, home string) {
	t.Helper()
	home = gpgHome(t)
	args := append([]string{"--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--faked-system-time", "20250601T000000"}, more...)
	run(t, "gpg", append(args, "--quick-gen-key", "Gpg Key <gpg@example.org>", algo, usage, "never")...)
	return export(t, home, passphrase, "--export-secret-keys"), home
}

func export(t *testing.T, home, passphrase, what string) string {
	t.Helper()
	return cutToBlock(run(t, "gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--armor", what))
}

// cutToBlock leaves out gpg's remarks.
func cutToBlock(s string) string { return s[strings.Index(s, "-----BEGIN"):] }

func imports(t *testing.T, text string) *Key {
	t.Helper()
	k, err := Import(NewSecret(text), ImportOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func refused(t *testing.T, name, text, pass, want string) {
	t.Helper()
	_, err := Import(NewSecret(text), ImportOptions{Now: now, Passphrase: NewSecret(pass)})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

func TestEveryFormOfAKeyIsTheSameKey(t *testing.T) {
	k := rsaKey()
	bundle := k.Bundle().Reveal()
	armor := string(armored("PGP PRIVATE KEY BLOCK", k.secret))
	b64 := base64.StdEncoding.EncodeToString
	forms := map[string]string{
		"bundle":             bundle,
		"line":               k.Line().Reveal(),
		"openpgp alone":      armor,
		"base64 of openpgp":  b64([]byte(armor)),
		"base64 of binary":   b64(k.secret),
		"wrapped base64":     strings.Join(strings.SplitAfter(b64([]byte(bundle)), "AA"), "\n"),
		"without padding":    strings.TrimRight(k.Line().Reveal(), "="),
		"CRLF":               strings.ReplaceAll(bundle, "\n", "\r\n"),
		"backslash n":        strings.ReplaceAll(bundle, "\n", `\n`),
		"spaces around":      "\n  " + bundle + "\n\n",
		"file":               write(t, "key", []byte(bundle)),
		"file of armor":      write(t, "key.asc", []byte(armor)),
		"file of binary":     write(t, "key.gpg", k.secret),
		"file of the line":   write(t, "key.b64", []byte(k.Line().Reveal()+"\n")),
		"base64 of the line": b64([]byte(k.Line().Reveal())),
	}
	for name, text := range forms {
		got, err := Import(NewSecret(text), ImportOptions{Now: now})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Bundle().Reveal() != bundle {
			t.Errorf("%s: another key", name)
		}
	}
	if ed := imports(t, edKey().Line().Reveal()); ed.Bundle().Reveal() != edKey().Bundle().Reveal() {
		t.Error("ed25519: another key")
	}
}

func TestGpgKeysServeEveryFormat(t *testing.T) {
	for _, algo := range []string{"rsa3072", "ed25519"} {
		_, home := gpgKey(t, algo, "sign", "")
		run(t, "gpg", "--homedir", home, "--batch", "--passphrase", "", "--faked-system-time", "20250602T000000", "--quick-add-uid", "gpg@example.org", "Second <second@example.org>")
		secret := export(t, home, "", "--export-secret-keys")
		k := imports(t, secret)
		r := Of("hello", map[string]*Key{"main": k}, now)
		keyring := write(t, "k.gpg", public(t, r, "main", formats.OpenPGP).Binary)
		message := write(t, "m", []byte("text\n"))
		run(t, "gpgv", "--keyring", keyring, write(t, "sig", sign(t, r, "main", formats.OpenPGP, "text\n")), message)
		usign := public(t, r, "main", formats.Usign)
		if again := imports(t, secret); again.usign.id() != usign.ID {
			t.Errorf("%s: the derived usign key is another one", algo)
		}
		if _, err := r.Signer("main", formats.RSA256); (err == nil) != (algo == "rsa3072") {
			t.Errorf("%s: RSA256: %v", algo, err)
		}
	}
}

func TestSigningSubkeyOfAnOfflinePrimarySigns(t *testing.T) {
	_, home := gpgKey(t, "rsa2048", "cert", "")
	fpr := strings.SplitN(strings.SplitN(run(t, "gpg", "--homedir", home, "--with-colons", "--list-keys"), "fpr:::::::::", 2)[1], ":", 2)[0]
	for _, usage := range []string{"sign", "encr"} {
		run(t, "gpg", "--homedir", home, "--batch", "--passphrase", "", "--faked-system-time", "20250602T000000", "--quick-add-key", fpr, "rsa3072", usage, "never")
	}
	k := imports(t, export(t, home, "", "--export-secret-subkeys"))
	if k.Fingerprint() != fpr {
		t.Errorf("fingerprint %s, want %s", k.Fingerprint(), fpr)
	}
	r := Of("hello", map[string]*Key{"main": k}, now)
	keyring := write(t, "k.gpg", public(t, r, "main", formats.OpenPGP).Binary)
	out := run(t, "gpgv", "--keyring", keyring, write(t, "sig", sign(t, r, "main", formats.OpenPGP, "x")), write(t, "m", []byte("x")))
	if !strings.Contains(out, "Good signature") {
		t.Error(out)
	}
	other := gpgHome(t)
	run(t, "gpg", "--homedir", other, "--batch", "--import", keyring)
	if list := run(t, "gpg", "--homedir", other, "--with-colons", "--list-keys"); strings.Count(list, "\nsub:") != 1 {
		t.Errorf("want the subkey that signs and no other:\n%s", list)
	}
	if again := imports(t, k.Line().Reveal()); again.Bundle().Reveal() != k.Bundle().Reveal() {
		t.Error("the bundle reads back as another key")
	}
}

func TestEncryptedKeyNeedsItsPassphrase(t *testing.T) {
	secret, _ := gpgKey(t, "rsa2048", "sign", "open sesame")
	refused(t, "none", secret, "", "is encrypted; give its passphrase")
	refused(t, "wrong", secret, "open barley", "does not open")
	k, err := Import(NewSecret(secret), ImportOptions{Now: now, Passphrase: NewSecret("open sesame")})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{k.Bundle().Reveal(), string(armored("PGP PRIVATE KEY BLOCK", k.secret))} {
		if imports(t, text).Bundle().Reveal() != k.Bundle().Reveal() {
			t.Error("decrypted it is another key")
		}
	}
	r, err := Open("hello", map[string]Secret{"main": NewSecret(secret), "also": {}}, Options{Now: now, Passphrases: map[string]Secret{"": NewSecret("open sesame")}})
	if err != nil || strings.Join(r.Names(), " ") != "main" {
		t.Errorf("%v, %v", r.Names(), err)
	}
}

func TestAPathThatCouldBeBase64IsAPath(t *testing.T) {
	k := rsaKey()
	dir := t.TempDir()
	name := filepath.Join(dir, strings.Repeat("k", 80+(80-len(dir)%4-1)%4)) // a multiple of 4 in all
	if _, ok := decodeBase64(name); !ok && !strings.ContainsAny(dir, "-_.") {
		t.Fatalf("%s is not base64", name)
	}
	if err := os.WriteFile(name, []byte(k.Bundle().Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := imports(t, name); got.Fingerprint() != k.Fingerprint() {
		t.Errorf("fingerprint %s, want %s", got.Fingerprint(), k.Fingerprint())
	}
}

func TestKeysClientsRefuseAreRefused(t *testing.T) {
	good := imports(t, rsaKey().Bundle().Reveal())
	cert := string(armored("PGP PUBLIC KEY BLOCK", good.public))
	refused(t, "public", cert, "", "public key only")
	refused(t, "public in base64", base64.StdEncoding.EncodeToString([]byte(cert)), "", "public key only")
	refused(t, "binary public", base64.StdEncoding.EncodeToString(good.public), "", "public key only")

	if _, err := Import(edKey().Line(), ImportOptions{Now: made.AddDate(2, 1, 0)}); err == nil || !strings.Contains(err.Error(), "expired on 2027-03-01") {
		t.Errorf("expired: %v", err)
	}
	if _, err := Import(edKey().Line(), ImportOptions{Now: made.AddDate(0, 0, -1)}); err == nil || !strings.Contains(err.Error(), "from the future") {
		t.Errorf("from the future: %v", err)
	}
	small, _ := gpgKey(t, "rsa1024", "sign", "")
	refused(t, "small", small, "", "1024 bits")
	dsa, _ := gpgKey(t, "dsa2048", "sign", "")
	refused(t, "dsa", dsa, "", "DSA")
	ecdsa, _ := gpgKey(t, "nistp256", "sign", "")
	refused(t, "ecdsa", ecdsa, "", "ECDSA")
	cant, _ := gpgKey(t, "rsa2048", "cert", "")
	refused(t, "cert only", cant, "", "can't sign")

	_, home := gpgKey(t, "rsa2048", "sign", "")
	revs, _ := filepath.Glob(filepath.Join(home, "openpgp-revocs.d", "*.rev"))
	if len(revs) != 1 {
		t.Fatalf("revocations: %v", revs)
	}
	rev, err := os.ReadFile(revs[0])
	if err != nil {
		t.Fatal(err)
	}
	run(t, "gpg", "--homedir", home, "--batch", "--import", write(t, "rev", []byte(strings.Replace(string(rev), ":-----BEGIN", "-----BEGIN", 1))))
	refused(t, "revoked", export(t, home, "", "--export-secret-keys"), "", "is revoked")
}

func TestTextThatIsNoKeyIsRefused(t *testing.T) {
	k := rsaKey()
	bundle := k.Bundle().Reveal()
	armor := string(armored("PGP PRIVATE KEY BLOCK", k.secret))
	usign := string(k.usign.secretFile())
	for name, c := range map[string][2]string{
		"empty":         {" \n", "is empty"},
		"words":         {"hello world", "neither armored text"},
		"no such file":  {"/no/such/file", "neither armored text"},
		"folder":        {t.TempDir(), "neither armored text"},
		"cut":           {armor[:len(armor)/2], "cut off"},
		"one line":      {strings.ReplaceAll(armor, "\n", " "), "lost its line breaks"},
		"damaged":       {strings.Replace(armor, "\n\n", "\n\n!!!!", 1), "OpenPGP"},
		"twice":         {armor + armor, "two OpenPGP keys"},
		"two usign":     {usign + usign, "two usign keys"},
		"usign public":  {string(k.usign.publicFile()), "public key"},
		"usign damaged": {strings.Replace(usign, "\nRWRCSw", "\nRWRCSx", 1), "usign"},
		"other block":   {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"},
		"encrypted pem": {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"},
		"not rsa":       {run(t, "openssl", "genpkey", "-algorithm", "ed25519"), "another kind than RSA"},
		"too long":      {strings.Repeat(bundle, 1+maxText/len(bundle)), "longer"},
	} {
		refused(t, name, c[0], "", c[1])
	}
}

func TestForeignPartsAreNotReplaced(t *testing.T) {
	dir := t.TempDir()
	pub, sec := filepath.Join(dir, "k.pub"), filepath.Join(dir, "k.sec")
	run(t, "signify-openbsd", "-G", "-n", "-p", pub, "-s", sec)
	secret, err := os.ReadFile(sec)
	if err != nil {
		t.Fatal(err)
	}
	pem := run(t, "openssl", "genrsa", "2048")
	armor := string(armored("PGP PRIVATE KEY BLOCK", rsaKey().secret))
	k := imports(t, armor+pem+string(secret))
	if k.rsa.N.BitLen() != 2048 || k.usign.id() == rsaKey().usign.id() {
		t.Error("a part was replaced")
	}
	if again := imports(t, k.Line().Reveal()); again.Bundle().Reveal() != k.Bundle().Reveal() {
		t.Error("the bundle reads back as another key")
	}
	// signify knows its own key again.
	message, sig := write(t, "m", []byte("x")), write(t, "m.sig", k.usign.sign([]byte("x")))
	run(t, "signify-openbsd", "-V", "-p", pub, "-x", sig, "-m", message)

	alone := imports(t, string(secret))
	r := Of("hello", map[string]*Key{"main": alone}, now)
	for _, s := range []formats.Scheme{formats.OpenPGP, formats.RSA256} {
		if _, err := r.Signer("main", s); err == nil || !strings.Contains(err.Error(), "has no") {
			t.Errorf("%s: %v", s, err)
		}
		if _, err := r.Public("main", s); err == nil {
			t.Errorf("%s: public key of nothing", s)
		}
	}
	sign(t, r, "main", formats.Usign, "x")
}

func TestKeyringSaysWhichKeyIsMissing(t *testing.T) {
	empty, err := Open("hello", nil, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r         *Keyring
		key, want string
	}{
		{empty, "main", "no signing key is set"},
		{ring(t), "other", "there are: also main"},
		{ring(t), "main+other", `no key "other"`},
		{ring(t), "main+main", "twice"},
		{ring(t), "", `no key ""`},
	} {
		if _, err := c.r.Signer(c.key, formats.OpenPGP); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.key, err, c.want)
		}
	}
	if _, err := ring(t).Signer("main", "x"); err == nil {
		t.Error("an unknown scheme was taken")
	}
}

func TestWarningsNameWhatWillBreak(t *testing.T) {
	for _, c := range []struct {
		k    *Key
		now  time.Time
		want string
	}{
		{rsaKey(), now, ""},
		{edKey(), now, "Ed25519: RHEL"},
		{edKey(), made.AddDate(2, 0, -30), "expires on 2027-03-01"},
	} {
		got := strings.Join(c.k.Warnings(c.now), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	weak, _ := gpgKey(t, "rsa2048", "sign", "", "--cert-digest-algo", "SHA1")
	got := strings.Join(imports(t, weak).Warnings(now), "\n")
	for _, want := range []string{"2048 bits", "SHA-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestNewRefusesWhatItCannotMake(t *testing.T) {
	for _, c := range []struct {
		name, email string
		o           NewOptions
		want        string
	}{
		{"", "a@b", NewOptions{}, "needs a name"},
		{"A", "a@b", NewOptions{Bits: 2048}, "3072"},
		{"A", "a@b", NewOptions{Expires: -1}, "can't expire"},
		{"A <x>", "a@b", NewOptions{Bits: 3072, Ed25519: true}, "user"},
	} {
		if _, err := New(c.name, c.email, made, nil, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c, err, c.want)
		}
	}
}

func FuzzImport(f *testing.F) {
	// Without RSA, which takes the fuzzer's instrumented code seconds to check.
	small := string(armored("PGP PRIVATE KEY BLOCK", edKey().secret)) + string(edKey().usign.secretFile())
	f.Add(small)
	f.Add(base64.StdEncoding.EncodeToString([]byte(small)))
	f.Add("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----")
	f.Add(usignComment + "\nRWRCSw")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 64 { // keeps file names out
			return
		}
		Import(NewSecret(text), ImportOptions{Now: now})
	})
}

func FuzzVerify(f *testing.F) {
	k := edKey()
	r := Of("hello", map[string]*Key{"main": k}, now)
	sig, _ := r.Signer("main", formats.OpenPGP)
	b, _ := sig(f.Context(), strings.NewReader("x"))
	f.Add(k.public, b)
	f.Fuzz(func(t *testing.T, public, sig []byte) {
		if Verify(public, strings.NewReader("y"), sig, now) == nil && string(public) == string(k.public) {
			t.Error("a signature of other text was taken")
		}
		VerifyClear(public, sig, now)
	})
}
