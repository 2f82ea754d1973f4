package brew

import (
	"bytes"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// An archive that lies elsewhere is named by its own address, one in the tree by
// the tree's.
func TestFormulaNamesTheAddressOfWhatLiesElsewhere(t *testing.T) {
	linux, mac := record("hello", "1.0.0", "linux/amd64", "/bin/hello"), record("hello", "1.0.0", "darwin/arm64", "/bin/hello")
	linux.URL = `https://github.com/o/r/releases/download/v1.0.0/hello_1.0.0_linux_amd64.tar.gz`
	env := testEnv()
	env.Servers = []string{"https://github.com/o/r/releases/latest/download"}
	r := newRepo(t, Options{}, env)
	if a, b := newRepo(t, Options{}, testEnv()).Settings(), r.Settings(); a != b {
		t.Errorf("the settings are %q, and with servers %q", a, b)
	}
	formula, err := r.formula([]*publish.Record{linux, mac}, "stable")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`    url "https://github.com/o/r/releases/download/v1.0.0/hello_1.0.0_linux_amd64.tar.gz"` + "\n    sha256 \"" + linux.Ref.SHA256.String() + "\"\n",
		`    url "https://example.org/p/downloads/hello/1.0.0/hello_1.0.0_darwin_arm64.tar.gz"` + "\n    sha256 \"" + mac.Ref.SHA256.String() + "\"\n",
	} {
		if !bytes.Contains(formula, []byte(want)) {
			t.Errorf("the formula lacks\n%s:\n%s", want, formula)
		}
	}
	linux.URL = `https://h/#{system("id")}".tar.gz`
	if formula, err = r.formula([]*publish.Record{linux, mac}, "stable"); err != nil || !bytes.Contains(formula, []byte(`url "https://h/\#{system(\"id\")}\".tar.gz"`)) {
		t.Errorf("an address is run (%v):\n%s", err, formula)
	}
}

func TestArchiveElsewhereIsNoPartOfTheTree(t *testing.T) {
	rec := record("hello", "1.0.0", "linux/amd64", "/bin/hello")
	var tree publishtest.Mem
	e := publish.Edit{Add: []publish.Addition{{
		Package:  publish.Package{Blob: formats.Bytes([]byte(rec.Path)), Meta: &rec.Meta, Version: "1.0.0"},
		Channels: []string{"stable"}, URL: "https://h/v1/hello.tar.gz",
	}}}
	if _, err := publish.Publish(t.Context(), &tree, []publish.Repo{newRepo(t, Options{}, testEnv())}, e, publish.Options{Time: 100, Now: 100}); err != nil {
		t.Fatal(err)
	}
	if b := tree.Read("brew/Formula/hello.rb"); !bytes.Contains(b, []byte(`url "https://h/v1/hello.tar.gz"`)) {
		t.Errorf("the formula is\n%s", b)
	}
	if tree.Read(rec.Path) != nil {
		t.Errorf("%s is in the tree", rec.Path)
	}
}
