package ipk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// Describe reads the control paragraph and the list of files, in either form of
// the outer archive.
func (k *Ipk) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	m := &formats.Meta{Format: "ipk"}
	var control, data bool
	take := func(name string, r io.Reader) (err error) {
		switch name = strings.TrimPrefix(path.Clean("/"+name), "/"); {
		case strings.HasPrefix(name, "control.tar") && !control:
			m.Fields, err = debian.ReadControl(ctx, r)
			control = true
		case strings.HasPrefix(name, "data.tar") && !data:
			m.Files, err = debian.ReadFiles(ctx, r)
			data = true
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	var magic [2]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var err error
	if magic == [2]byte{0x1f, 0x8b} {
		err = eachInTar(ctx, io.NewSectionReader(r, 0, size), take)
	} else {
		var members []debian.ArMember
		members, err = debian.ReadAr(r, size)
		for i := 0; i < len(members) && err == nil; i++ {
			err = take(members[i].Name, members[i])
		}
	}
	if err != nil {
		return nil, err
	}
	if !control || !data {
		return nil, errors.New("the ipk has no control.tar.gz or no data.tar.gz")
	}
	return m, debian.Fill(m)
}

// eachInTar calls take for the members of the outer archive, whose order is free,
// and goes on to its end, where gzip's checksum is.
func eachInTar(ctx context.Context, r io.Reader, take func(string, io.Reader) error) error {
	z, done, err := debian.Decompress(ctx, r, 16<<30)
	if err != nil {
		return err
	}
	defer done()
	tr := tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, io.LimitReader(z, 1<<20))
			return err
		}
		if err != nil {
			return err
		}
		if n == 32 {
			return errors.New("the outer archive has more than 32 members")
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := take(h.Name, tr); err != nil {
			return err
		}
	}
}
