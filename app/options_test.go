package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/vault"
)

// What can't work is refused in words, as a mistake of the options, and leaves nothing
// open.
func TestMistakesAreSaid(t *testing.T) {
	w := newWorld(t)
	all := w.given()
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"node", func(o *Options) { o.Node = "a b" }, `the name of a node has letters, digits, dots, hyphens and underscores, 63 at most, not "a b"`},
		{"relative folder", func(o *Options) { o.Folders = "srv" }, `the folder "srv" that releases publish to has to be an absolute path`},
		{"folder around the data", func(o *Options) { o.Folders = filepath.Dir(w.dir) }, "releases can't publish to " + filepath.Dir(w.dir) + ": the server's own data is in " + w.dir},
		{"folder within the data", func(o *Options) { o.Folders = filepath.Join(w.dir, "x") }, "the server's own data is in"},
		{"half of the App", func(o *Options) { o.Given = Credentials{ID: 7, ClientID: "x"} }, "of the GitHub App, its private key, the webhook secret, the client secret is missing: give all of it, or nothing and set the App up by the link"},
		{"no key", func(o *Options) { o.Given = all; o.Given.Key = "x" }, "the App's private key is no PEM file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := w.options()
			c.change(&o)
			_, err := New(t.Context(), o)
			var m *Mistake
			if !errors.As(err, &m) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c, err := o.Listener.Accept(); err == nil {
				c.Close()
				t.Error("the listener is still open")
			}
		})
	}
	// A database of nobody's.
	o := w.options()
	o.Database = "mysql://x:hidden@y/z"
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "neither sqlite:") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	o = w.options()
	o.Exe = filepath.Join(t.TempDir(), "nothing")
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "signer: the signer is gone: it can't be started") {
		t.Errorf("got %v", err)
	}
}

// Two servers on one folder would each take the other's scratch files and jobs.
func TestASecondServerOnTheFolderIsRefused(t *testing.T) {
	w := newWorld(t)
	first := w.start()
	_, err := New(t.Context(), w.options())
	var m *Mistake
	if want := "another server uses " + w.dir + " already (process "; !errors.As(err, &m) || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "several servers work together on Postgres only") {
		t.Errorf("got %v, want %s", err, want)
	}
	// Nor can the database be shared from another folder.
	o := w.options()
	o.Dir, o.Database = t.TempDir(), "sqlite:"+filepath.Join(t.TempDir(), "x.db")
	second, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	other := w.options()
	other.Dir, other.Database = t.TempDir(), o.Database
	if _, err := New(t.Context(), other); err == nil || !strings.Contains(err.Error(), "another server uses the database "+strings.TrimPrefix(o.Database, "sqlite:")) {
		t.Errorf("got %v", err)
	}
	first.end()
	third, err := New(t.Context(), w.options())
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
	if err := third.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// What is sealed is of no use without the identity that sealed it, and that is said.
func TestALostIdentityIsSaid(t *testing.T) {
	w := newWorld(t)
	a, err := New(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	blob, err := a.sealer.Seal(appBinding, []byte(`{"id":1`))
	if err != nil {
		t.Fatal(err)
	}
	row := sealedRow(appBinding, blob)
	if err := a.store.PutSealed(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), w.options()); err == nil || err.Error() != "the GitHub App in the database can't be read: set it up again" {
		t.Errorf("broken: %v", err)
	}
	if err := os.Remove(ServerIdentity(w.dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), w.options()); !errors.Is(err, vault.ErrSealed) || !strings.Contains(err.Error(), "the GitHub App in the database: ") {
		t.Errorf("with another identity: %v", err)
	}
}
