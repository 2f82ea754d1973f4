package all

import (
	"context"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/archive"
	"github.com/distropack/distropack/formats/formattest"
)

// sumKeys signs with a sum: whether clients take a signature is tested where real
// keys are.
type sumKeys struct{}

func (sumKeys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	return func(_ context.Context, r io.Reader) ([]byte, error) {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil || s != formats.OpenPGP {
			return h.Sum([]byte(key + string(s))), err
		}
		// The frame of a version 4 signature by RSA: no subpackets, 16 bits of the
		// sum, and a number of 256 bits.
		body := h.Sum([]byte{4, 0, 1, 8, 0, 0, 0, 0, 0x12, 0x34, 1, 0})
		return append([]byte{0xc2, byte(len(body))}, body...), nil
	}, nil
}

func (sumKeys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	return &formats.PublicKey{Name: key + "-1a2b3c4d.rsa.pub", ID: "1a2b3c4d", Data: []byte("key"), Binary: []byte("key")}, nil
}

// treeSection keeps an archive's paths as they are.
type treeSection struct{}

func (treeSection) Decode(v any) error {
	if o, ok := v.(*archive.Options); ok {
		o.Layout = "tree"
	}
	return nil
}

// kinds are the formats as formattest wants them.
func kinds() []formats.Kind {
	all := Kinds()
	for i, k := range all {
		all[i].New = func(s formats.Section, env formats.Env) (formats.Format, error) {
			return k.New(treeSection{}, env)
		}
	}
	return all
}

func TestEveryFormatConforms(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) { formattest.Format(t, kind, sumKeys{}) })
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Kinds() {
		if k.Name == "" || seen[k.Name] {
			t.Errorf("the name %q is there twice", k.Name)
		}
		seen[k.Name] = true
	}
}

func TestFormatsDoNotTakeEachOthersFiles(t *testing.T) {
	formattest.Apart(t, kinds(),
		[2]string{"ipk", "deb"},  // the form of an ipk that Yocto takes is a deb
		[2]string{"arch", "apk"}, // both are a tar that begins with .PKGINFO
	)
}
