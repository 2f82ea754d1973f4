package apt

import (
	"context"
	"os"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/publish"
)

func describe(t *testing.T, name string) *publish.Record {
	t.Helper()
	f, err := deb.Kind().New(formats.NoSection, formats.Env{})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := formats.FileBlob(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := f.Describe(context.Background(), r, blob.Ref().Size)
	if err != nil {
		t.Fatal(err)
	}
	return &publish.Record{Path: "hello.deb", Ref: blob.Ref(), Meta: *m}
}
