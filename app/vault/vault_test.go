package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, file string) *Sealer {
	t.Helper()
	s, err := OpenSealer(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t *testing.T, s *Sealer, b Binding, secret string) []byte {
	t.Helper()
	blob, err := s.Seal(b, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

var row = Binding{AppScope, "webhook", KindSecret}

func TestWhatIsSealedOpensInItsRowOnly(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "identity"))
	for _, secret := range []string{"", "hunter2", strings.Repeat("x", maxPlain)} {
		blob := seal(t, s, row, secret)
		if got, err := s.Open(row, blob); err != nil || string(got) != secret {
			t.Errorf("Open = %.20q, %v, want %.20q", got, err, secret)
		}
		if len(secret) > 3 && bytes.Contains(blob, []byte(secret[:4])) {
			t.Errorf("the secret stands in the blob")
		}
	}
	blob := seal(t, s, row, "hunter2")
	for _, other := range []Binding{
		{InstallationScope(42), row.Name, row.Kind}, {RepositoryScope(42), row.Name, row.Kind}, {AppScope, "oauth", row.Kind},
		{AppScope, row.Name, KindKey}, {"ap", "pwebhook", KindSecret}, {},
	} {
		got, err := s.Open(other, blob)
		if !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("Open as %s = %q, %v, want ErrSealed", other, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
	if _, err := s.Seal(row, make([]byte, maxPlain+1)); err == nil {
		t.Error("more than 1 MiB was sealed")
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "identity"))
	blob := seal(t, s, row, "hunter2")
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if got, err := s.Open(row, bad); err == nil {
			t.Errorf("with byte %d changed it opens: %q", i, got)
		}
		if _, err := s.Open(row, blob[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
}

func TestWhoOnlyKnowsTheRecipientCanSealNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "identity"))
	// The forger encrypts to the recipient, and has to guess the HMAC's key.
	forger := &Sealer{"forger", slices.Clone(s.all)}
	forger.all[0].mac = make([]byte, 32)
	if _, err := s.Open(row, seal(t, forger, row, "mine")); !errors.Is(err, ErrSealed) {
		t.Errorf("a forged blob: %v, want ErrSealed", err)
	}
	if _, err := open(t, filepath.Join(dir, "other")).Open(row, seal(t, s, row, "x")); !errors.Is(err, ErrSealed) {
		t.Errorf("another identity: %v, want ErrSealed", err)
	}
}

func TestAnIdentityFileOthersCanReadIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	s := open(t, file)
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("a new file has mode %v, %v", st.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSealer(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v, want that it is refused", mode, err)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(got, "AGE-SECRET") || !strings.Contains(got, "[secret]") {
		t.Errorf("a sealer prints as %s", got)
	}
	wrong := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(wrong, []byte("AGE-SECRET-KEY-1OOPS\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSealer(wrong); err == nil || strings.Contains(err.Error(), "OOPS") {
		t.Errorf("a broken file: %v, want an error that does not quote it", err)
	}
	if err := os.WriteFile(wrong, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSealer(wrong); err == nil {
		t.Error("an empty file was taken")
	}
}

func TestManyMakeOneIdentityAtFirstUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	var all sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		all.Go(func() {
			s, err := OpenSealer(file)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = s.Recipient()
		})
	}
	all.Wait()
	if len(slices.Compact(got)) != 1 {
		t.Errorf("identities differ: %q", got)
	}
	if list, _ := os.ReadDir(filepath.Dir(file)); len(list) != 1 {
		t.Errorf("files are left: %v", list)
	}
}

func TestRotationOpensOldAndSealsNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	before := open(t, file)
	blob := seal(t, before, row, "hunter2")
	if err := Rotate(file); err != nil {
		t.Fatal(err)
	}
	s := open(t, file)
	if s.Recipient() == before.Recipient() {
		t.Fatal("the same identity seals")
	}
	if got, err := s.Open(row, blob); err != nil || string(got) != "hunter2" {
		t.Errorf("Open after rotation = %q, %v", got, err)
	}
	again, changed, err := s.Reseal(row, blob)
	if err != nil || !changed || bytes.Equal(again, blob) {
		t.Fatalf("Reseal = %t, %v", changed, err)
	}
	if same, changed, err := s.Reseal(row, again); err != nil || changed || !bytes.Equal(same, again) {
		t.Errorf("Reseal of what is new = %t, %v", changed, err)
	}
	if _, _, err := s.Reseal(Binding{AppScope, "oauth", KindSecret}, blob); !errors.Is(err, ErrSealed) {
		t.Errorf("Reseal in another row: %v", err)
	}
	if err := Retire(file); err != nil {
		t.Fatal(err)
	}
	s = open(t, file)
	if got, err := s.Open(row, again); err != nil || string(got) != "hunter2" {
		t.Errorf("Open after retirement = %q, %v", got, err)
	}
	if _, err := s.Open(row, blob); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), "not in "+file) {
		t.Errorf("Open of what was not sealed again: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := OpenSealer(filepath.Join(f.TempDir(), "identity"))
	if err != nil {
		f.Fatal(err)
	}
	blob, err := s.Seal(row, []byte("hunter2"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := s.Open(row, b); err == nil && string(got) != "hunter2" {
			t.Errorf("Open = %q", got)
		}
	})
}
