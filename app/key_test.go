package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pipelinekeys "github.com/distropack/distropack/pipeline/keys"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

const passphrase = "correct horse battery"

// smallKey is quickly made.
var smallKey = sync.OnceValue(func() string {
	k, err := pipelinekeys.New("Hello", "hello@example.org", time.Now().Add(-time.Hour), nil, pipelinekeys.NewOptions{Ed25519: true, Bits: 3072, Expires: 1000 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	return k.Bundle().Reveal()
})

// refused says whether people are told so.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var r *web.Refusal
	if !errors.As(err, &r) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want the refusal %q", err, want)
	}
}

func TestKeysOfPeople(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	k := &keys{store: r.store, signer: r.signer}
	ctx := t.Context()
	scope := vault.InstallationScope(w.in.ID)

	refused(t, k.Import(ctx, scope, "main", []byte("nonsense"), ""), "The key was not taken: ")
	if err := k.Import(ctx, scope, "main", []byte(smallKey()), ""); err != nil {
		t.Fatal(err)
	}
	refused(t, k.Import(ctx, scope, "main", []byte(smallKey()), ""), "There is a key or a secret of the name main already.")
	refused(t, k.New(ctx, scope, web.NewKey{Name: "main", Owner: "x", Email: "x@example.org"}), "of the name main already")
	list, err := k.List(ctx, scope)
	if err != nil || len(list) != 1 || list[0].User != "Hello <hello@example.org>" || len(list[0].Fingerprint) != 40 || list[0].State != "" || len(list[0].Parts) != 3 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if until := time.Until(list[0].Expires); until < 998*24*time.Hour || until > 1000*24*time.Hour {
		t.Errorf("expires in %v", until)
	}

	// The one that follows is for the same user and as long.
	refused(t, k.Replace(ctx, scope, "gone"), "There is no key of the name gone.")
	if err := k.Replace(ctx, scope, "main"); err != nil {
		t.Fatal(err)
	}
	refused(t, k.Replace(ctx, scope, "main"), "of the name also already")
	refused(t, k.Replace(ctx, scope, "also"), "Only the key main can be replaced.")
	list, err = k.List(ctx, scope)
	if err != nil || len(list) != 2 || list[0].Name != "also" || list[0].State != "next" || list[0].User != "Hello <hello@example.org>" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if d := list[0].Expires.Sub(list[1].Expires); d < -48*time.Hour || d > 48*time.Hour {
		t.Errorf("they expire %v apart", d)
	}

	// A backup comes back, elsewhere too.
	b, err := k.Export(ctx, scope, "main", passphrase)
	if err != nil || !strings.HasSuffix(b.File, "-main.key.age") || strings.Contains(b.File, ":") || !strings.HasPrefix(string(b.Data), "-----BEGIN AGE ENCRYPTED FILE") {
		t.Fatalf("got %+v, %v", b, err)
	}
	if err := k.Import(ctx, "repository:7", "main", b.Data, passphrase); err != nil {
		t.Fatal(err)
	}
	back, err := k.List(ctx, "repository:7")
	if err != nil || len(back) != 1 || back[0].Fingerprint != list[1].Fingerprint {
		t.Errorf("came back as %+v, %v", back, err)
	}
	_, err = k.Export(ctx, scope, "gone", passphrase)
	refused(t, err, "There is no key of the name gone.")

	// Secrets have their names in the same place, and neither takes the other's.
	s := &secrets{store: r.store, sealer: r.sealer}
	if err := s.Set(ctx, scope, "TOKEN", []byte("hidden-value")); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(ctx, scope, "TOKEN", []byte("hidden-value-2")); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Set(ctx, scope, "main", []byte("x")), "main is the name of a key: choose another for the secret.")
	refused(t, s.Delete(ctx, scope, "main"), "main is the name of a key")
	refused(t, k.Import(ctx, scope, "TOKEN", []byte(smallKey()), ""), "a secret of the name TOKEN already")
	_, err = k.Export(ctx, scope, "TOKEN", passphrase)
	refused(t, err, "There is no key of the name TOKEN.")
	row, err := r.store.Sealed(ctx, scope, "TOKEN")
	if err != nil || strings.Contains(string(row.Blob), "hidden") {
		t.Errorf("%q, %v", row.Blob, err)
	}
	if text, err := r.sealer.Open(vault.Binding{Scope: scope, Name: "TOKEN", Kind: vault.KindSecret}, row.Blob); err != nil || string(text) != "hidden-value-2" {
		t.Errorf("opened: %q, %v", text, err)
	}
	all, err := s.List(ctx, scope)
	if err != nil || len(all) != 1 || all[0].Name != "TOKEN" || all[0].Created.IsZero() {
		t.Errorf("got %+v, %v", all, err)
	}
	for range 2 {
		if err := s.Delete(ctx, scope, "TOKEN"); err != nil {
			t.Error(err)
		}
	}
	// The server itself can't open a key.
	row, err = r.store.Sealed(ctx, scope, "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.sealer.Open(vault.Binding{Scope: scope, Name: "main", Kind: vault.KindKey}, row.Blob); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("the server opens a signing key: %v", err)
	}
}

func TestKeysOfTheCommandLine(t *testing.T) {
	w := newWorld(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var m *Mistake
	if _, err := OpenVault(ctx, w.dir, "", exe, nil); !errors.As(err, &m) || !strings.Contains(err.Error(), "there is no database "+filepath.Join(w.dir, "app.db")) {
		t.Errorf("without a server's folder: %v", err)
	}
	if _, err := Rotate(ctx, w.dir, "", exe, nil); !errors.As(err, &m) || !strings.Contains(err.Error(), "there are no identities in "+w.dir) {
		t.Errorf("without identities: %v", err)
	}
	r := w.start()
	if err := r.store.SaveInstallation(ctx, &store.Installation{ID: 42, Account: "acme", AccountID: 1, AccountType: "Organization"}); err != nil {
		t.Fatal(err)
	}
	if err := r.store.SaveRepository(ctx, &store.Repository{ID: 7, Installation: 42, Owner: "acme", Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	v, err := OpenVault(ctx, w.dir, "", exe, nil) // beside the server
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want, err string }{
		{"acme/hello", "repository:7", ""}, {"ACME", "installation:42", ""}, {"installation:9", "installation:9", ""}, {"repository:8", "repository:8", ""},
		{"acme/gone", "", "the App knows no repository acme/gone"}, {"fox", "", `the App is not installed by "fox"`},
		{"app:1", "", `"app:1" names nobody's keys: want OWNER/NAME, ACCOUNT, installation:ID or repository:ID`}, {"repository:x", "", "names nobody's keys"},
	} {
		got, err := v.Scope(ctx, c.text)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || !errors.As(err, &m)) {
			t.Errorf("Scope(%q) = %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
	made, err := v.Import(ctx, "installation:42", "main", []byte(smallKey()), "")
	if err != nil || made.Fingerprint == "" {
		t.Fatalf("got %+v, %v", made, err)
	}
	if _, err := v.Export(ctx, "repository:7", "main", passphrase); !errors.As(err, &m) || err.Error() != "There is no key of the name main; there are: main of installation:42" {
		t.Errorf("got %v", err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	s := &secrets{store: r.store, sealer: r.sealer}
	if err := s.Set(ctx, "repository:7", "TOKEN", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(ctx, w.dir, "", exe, nil); !errors.As(err, &m) || !strings.Contains(err.Error(), "another server uses") {
		t.Errorf("while a server runs: %v", err)
	}
	before, err := r.store.Sealed(ctx, "installation:42", "main")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.SetSetting(ctx, "release/key/installation:42", []byte("old")); err != nil {
		t.Fatal(err)
	}
	r.end()

	copyFile(t, ServerIdentity(w.dir), filepath.Join(t.TempDir(), "stolen"))
	stolen := filepath.Join(t.TempDir(), "stolen")
	copyFile(t, SignerIdentity(w.dir), stolen)
	done, err := Rotate(ctx, w.dir, "", exe, nil)
	if err != nil || done != (Rotated{Secrets: 1, Keys: 1}) {
		t.Fatalf("got %+v, %v", done, err)
	}
	r = w.start()
	row, err := r.store.Sealed(ctx, "installation:42", "main")
	if err != nil || string(row.Blob) == string(before.Blob) || !row.Created.Equal(before.Created) {
		t.Fatalf("the row was not sealed anew, or not as it was: %v", err)
	}
	b := vault.Binding{Scope: "installation:42", Name: "main", Kind: vault.KindKey}
	if p, err := r.signer.PublicKey(ctx, b, row.Blob); err != nil || p.Fingerprint != made.Fingerprint {
		t.Errorf("the signer has %+v, %v", p, err)
	}
	if _, err := r.signer.PublicKey(ctx, b, before.Blob); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("the old blob opens still: %v", err)
	}
	thief, err := vault.OpenSealer(stolen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := thief.Open(b, row.Blob); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("the old identity opens the new blob: %v", err)
	}
	if text, err := r.store.Setting(ctx, "release/key/installation:42"); err != nil || string(text) == "old" {
		t.Errorf("the copy in the settings is %q, %v", text, err)
	}
}
