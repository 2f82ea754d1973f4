package keys

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

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

	if _, err := Import(edKey().Line(), ImportOptions{Now: made.AddDate(2, 1, 0)}); err == nil || !strings.Contains(err.Error(), "expired on 2027-03-01; extend it: gpg --quick-set-expire "+edKey().Fingerprint()+" 2y") {
		t.Errorf("expired: %v", err)
	}
	if _, err := Import(edKey().Line(), ImportOptions{Now: made.AddDate(0, 0, -1)}); err == nil || !strings.Contains(err.Error(), "from the future") {
		t.Errorf("from the future: %v", err)
	}
	small, _ := gpgKey(t, "rsa1024", "sign", "")
	refused(t, "small", small, "", "is RSA with 1024 bits; clients refuse less than 2048, make 4096")
	dsa, _ := gpgKey(t, "dsa2048", "sign", "")
	refused(t, "dsa", dsa, "", "is DSA, which clients refuse; make RSA with 4096 bits")
	ecdsa, _ := gpgKey(t, "nistp256", "sign", "")
	refused(t, "ecdsa", ecdsa, "", "is ECDSA, whose signatures are never the same twice; make RSA with 4096 bits")
	cant, _ := gpgKey(t, "rsa2048", "cert", "")
	refused(t, "cert only", cant, "", "can't sign: neither the key nor a subkey that is alive has the sign flag")

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

// made by go-crypto, for what gpg has no option.
func entity(t *testing.T, c packet.Config) *openpgp.Entity {
	t.Helper()
	c.Time = func() time.Time { return made }
	e, err := openpgp.NewEntity("Other", "", "other@example.org", &c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestKeysOfOtherKindsAreRefused(t *testing.T) {
	text := func(e *openpgp.Entity) string {
		var b bytes.Buffer
		if err := e.SerializePrivate(&b, nil); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	refused(t, "version 6", text(entity(t, packet.Config{V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519})), "", "the OpenPGP key is of version 6; clients read version 4")
	other := entity(t, packet.Config{Algorithm: packet.PubKeyAlgoEd448})
	refused(t, "Ed448", text(other), "", fmt.Sprintf("OpenPGP key %X has an algorithm (28) that clients do not know; make RSA with 4096 bits", other.PrimaryKey.Fingerprint))

	// Nobody gets as far with such a key; and nothing is made of one.
	k := &Key{entity: other, signing: other.PrivateKey}
	if err := k.derive(); err == nil || k.usign != nil || !strings.Contains(err.Error(), k.Fingerprint()+" is of a kind nothing can be derived from") {
		t.Errorf("derived: %v, %v", k.usign, err)
	}
	if b, err := certified(other.PrivateKey, "Other", 0); err == nil || len(b) > 0 || !strings.Contains(err.Error(), "ed448.PrivateKey can't certify itself") {
		t.Errorf("certified: %d bytes, %v", len(b), err)
	}
}

// A user ID that is revoked, with or without a signature that it was good before.
func TestAKeyNeedsAUserID(t *testing.T) {
	e := entity(t, packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	key := func(certified, revoked []string) []byte {
		var b bytes.Buffer
		if err := e.PrivateKey.Serialize(&b); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(certified, revoked) {
			kinds := []packet.SignatureType{packet.SigTypePositiveCert, packet.SigTypeCertificationRevocation}
			if !slices.Contains(certified, name) {
				kinds = kinds[1:]
			}
			if !slices.Contains(revoked, name) {
				kinds = kinds[:1]
			}
			if err := packet.NewUserId(name, "", "").Serialize(&b); err != nil {
				t.Fatal(err)
			}
			for _, kind := range kinds {
				sig := &packet.Signature{SigType: kind, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA512, CreationTime: made, IssuerKeyId: &e.PrimaryKey.KeyId, FlagsValid: true, FlagSign: true}
				if err := errors.Join(sig.SignUserId(name, e.PrimaryKey, e.PrivateKey, signConfig(made)), sig.Serialize(&b)); err != nil {
					t.Fatal(err)
				}
			}
		}
		return b.Bytes()
	}
	want := fmt.Sprintf("OpenPGP key %X has no user ID that is not revoked; add one: gpg --quick-add-uid %[1]X 'Name <address>'", e.PrimaryKey.Fingerprint)
	text := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	refused(t, "revoked only", text(key(nil, []string{"A"})), "", want)
	refused(t, "revoked since", text(key([]string{"A"}, []string{"A"})), "", want)
	// go-crypto goes through user IDs in any order.
	many := key([]string{"A"}, []string{"A", "B", "C", "D", "E", "F"})
	for range 20 {
		refused(t, "all revoked", text(many), "", want)
		if _, err := OpenRing(now, many); err != nil {
			t.Fatal(err)
		}
		if k := imports(t, text(key([]string{"Z"}, []string{"A", "B", "C"}))); k.User() != "Z" {
			t.Fatalf("user is %q, want Z", k.User())
		}
	}
}

func TestTextThatIsNoKeyIsRefused(t *testing.T) {
	k := rsaKey()
	bundle := k.Bundle().Reveal()
	armor := string(armored("PGP PRIVATE KEY BLOCK", k.secret))
	usign := string(k.usign.secretFile())
	rsaPEM := bundle[strings.Index(bundle, "-----BEGIN PRIVATE KEY-----"):strings.Index(bundle, "# Ed25519")]
	const encrypted = "the RSA key is encrypted; take the passphrase off: openssl pkey -in key.pem -out plain.pem"
	for name, c := range map[string][2]string{
		"empty":         {" \n", "the key is empty"},
		"words":         {"hello world", "neither armored text"},
		"no such file":  {"/no/such/file", "neither armored text"},
		"folder":        {t.TempDir(), "neither armored text"},
		"cut":           {armor[:len(armor)/2], "the OpenPGP block has no end: the key was cut off"},
		"one line":      {strings.ReplaceAll(armor, "\n", " "), "lost its line breaks"},
		"damaged":       {strings.Replace(armor, "\n\n", "\n\n!!!!", 1), "OpenPGP"},
		"twice":         {armor + armor, "two OpenPGP keys"},
		"two usign":     {usign + usign, "there are two usign keys in it; keep one"},
		"half a usign":  {"untrusted comment: secret key\n", "the usign key has no second line"},
		"two rsa":       {rsaPEM + rsaPEM, "there are two RSA keys in it; keep one"},
		"small rsa":     {run(t, "openssl", "genrsa", "1024"), "the RSA key has 1024 bits; clients refuse less than 2048, make 4096"},
		"usign public":  {string(k.usign.publicFile()), "public key"},
		"usign damaged": {strings.Replace(usign, "\nRWRCSw", "\nRWRCSx", 1), "usign"},
		"other block":   {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"},
		"encrypted pem": {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", encrypted},
		"old encrypted": {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", encrypted},
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

	sign(t, Of("hello", map[string]*Key{"main": imports(t, string(secret))}, now), "main", formats.Usign, "x")
}

func TestPartsThatAreMissingAreNamed(t *testing.T) {
	r := Of("hello", map[string]*Key{"main": {usign: rsaKey().usign}, "also": {rsa: rsaKey().rsa}}, now)
	for _, c := range []struct {
		key  string
		s    formats.Scheme
		want string
	}{
		{"main", formats.OpenPGP, "key main has no OpenPGP part: add one (gpg --export-secret-keys --armor)"},
		{"main", formats.RSA256, "key main has no RSA part, which apk needs: add an RSA private key in PEM to it (openssl genrsa 4096), or use an RSA OpenPGP key"},
		{"also", formats.Usign, "key also has no usign part, which opkg needs: add the secret key of usign -G or signify -G -n, or an OpenPGP key"},
		{"also", "x", `unknown signature scheme "x"`},
	} {
		if _, err := r.Signer(c.key, c.s); err == nil || err.Error() != c.want {
			t.Errorf("sign by %s with %s: %v, want %q", c.s, c.key, err, c.want)
		}
		if _, err := r.Public(c.key, c.s); err == nil || err.Error() != c.want {
			t.Errorf("public key of %s for %s: %v, want %q", c.key, c.s, err, c.want)
		}
	}
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
		{empty, "main", `there is no key "main": no signing key is set (signing.key in distropack.yml, DISTROPACK_KEY in the environment)`},
		{ring(t), "other", `there is no key "other" (there are: also main)`},
		{ring(t), "main+other", `no key "other"`},
		{ring(t), "main+main", "twice"},
		{ring(t), "", `no key ""`},
	} {
		if _, err := c.r.Signer(c.key, formats.OpenPGP); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.key, err, c.want)
		}
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
		{"A", "a@b", NewOptions{Bits: 2048}, "RSA with 2048 bits: 3072 to 8192 are possible"},
		{"A", "a@b", NewOptions{Bits: 16384}, "RSA with 16384 bits: 3072 to 8192 are possible"},
		{"A", "a@b", NewOptions{Expires: -1}, "a key can't expire after -1ns: an hour to 100 years are possible"},
		{"A", "a@b", NewOptions{Expires: 101 * 365 * 24 * time.Hour}, "a key can't expire after 884760h0m0s"},
		{"A <x>", "a@b", NewOptions{Bits: 3072, Ed25519: true}, `user "A <x>" <a@b>: parentheses, angle brackets and control characters are not possible`},
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
