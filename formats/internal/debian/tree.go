package debian

import (
	"archive/tar"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// PackTree packs files as data.tar: "./" first, then every folder and file sorted
// by path. Ghosts are left out. The caller closes what is returned.
func PackTree(ctx context.Context, codec pack.Codec, scratch *formats.Scratch, at time.Time, files []formats.File) (*pack.Packed, error) {
	return packTar(ctx, codec, scratch, func(p *pack.Packer) error {
		root := formats.File{Path: "/", Type: formats.Dir, Mode: 0o755}
		for _, f := range append([]formats.File{root}, Entries(files)...) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.Tar(header(&f, at), content(&f)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Entries returns what data.tar lists below "./": files without ghosts, with the
// folders above them, sorted by path.
func Entries(files []formats.File) []formats.File {
	var brought []formats.File
	for _, f := range files {
		if f.Type != formats.Ghost {
			brought = append(brought, f)
		}
	}
	all, _ := formats.WithParents(brought)
	return all
}

func content(f *formats.File) formats.Blob {
	if f.IsRegular() {
		return f.Content
	}
	return nil
}

func header(f *formats.File, at time.Time) *tar.Header {
	h := &tar.Header{
		Name:     "." + f.Path,
		Typeflag: tar.TypeReg,
		Mode:     int64(f.UnixMode()),
		Uname:    f.OwnerOr(),
		Gname:    f.GroupOr(),
		ModTime:  Stamp(at),
	}
	switch f.Type {
	case formats.Dir:
		h.Typeflag = tar.TypeDir
		if f.Path != "/" {
			h.Name += "/"
		}
	case formats.Symlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Target, 0o777
	}
	h.Format = tarFormat(h, f.Size())
	return h
}

// tarFormat is ustar where that is enough. dpkg knows GNU's extensions, but no pax
// headers.
func tarFormat(h *tar.Header, size int64) tar.Format {
	ascii := func(s string) bool {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return false
			}
		}
		return true
	}
	if len(h.Name) <= 100 && len(h.Linkname) <= 100 && ascii(h.Name+h.Linkname) && size < 1<<33 {
		return tar.FormatUSTAR
	}
	return tar.FormatGNU
}

// Member is one file of control.tar.
type Member struct {
	Name string
	Mode int64
	Body []byte
}

// PackControl packs members as control.tar, in their order. The caller closes what
// is returned.
func PackControl(ctx context.Context, scratch *formats.Scratch, at time.Time, members []Member) (*pack.Packed, error) {
	return packTar(ctx, pack.Gzip, scratch, func(p *pack.Packer) error {
		root := formats.File{Path: "/", Type: formats.Dir, Mode: 0o755}
		if err := p.Tar(header(&root, at), nil); err != nil {
			return err
		}
		for _, m := range members {
			h := &tar.Header{
				Name: "./" + m.Name, Typeflag: tar.TypeReg, Mode: m.Mode,
				Uname: "root", Gname: "root", ModTime: Stamp(at), Format: tar.FormatUSTAR,
			}
			if err := p.Tar(h, formats.Bytes(m.Body)); err != nil {
				return err
			}
		}
		return nil
	})
}

func packTar(ctx context.Context, codec pack.Codec, scratch *formats.Scratch, fill func(*pack.Packer) error) (*pack.Packed, error) {
	p, err := pack.New(ctx, codec, scratch)
	if err != nil {
		return nil, err
	}
	err = fill(p)
	if err == nil {
		err = p.EndTar()
	}
	if err != nil {
		p.Abort()
		return nil, err
	}
	packed, err := p.Finish()
	if err != nil {
		p.Abort()
		return nil, err
	}
	return packed, nil
}

// Conffiles renders the list of configuration files.
func Conffiles(files []formats.File) []byte {
	var b []byte
	for _, f := range formats.SortFiles(files) {
		if f.IsConfig() {
			b = append(b, f.Path+"\n"...)
		}
	}
	return b
}

// MD5Sums renders the sums of all regular files but the configuration files, which
// dpkg keeps sums of itself. Large content is read once for all packages of a
// Scratch.
func MD5Sums(ctx context.Context, scratch *formats.Scratch, files []formats.File) ([]byte, error) {
	var b []byte
	for _, f := range formats.SortFiles(files) {
		if !f.IsRegular() || f.IsConfig() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sum, err := md5sum(ctx, scratch, f.Content)
		if err != nil {
			return nil, err
		}
		b = append(b, sum+"  "+f.Path[1:]+"\n"...)
	}
	return b, nil
}

func md5sum(ctx context.Context, scratch *formats.Scratch, blob formats.Blob) (string, error) {
	sum := func() (s string, err error) {
		r, err := blob.Open()
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		h := md5.New()
		if _, err := io.Copy(h, &ctxReader{ctx, r}); err != nil {
			return "", err
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	ref := blob.Ref()
	if ref.Size < pack.Large {
		return sum()
	}
	name, _, err := scratch.Once(ctx, "md5 "+ref.SHA256.String(), func(w io.Writer) error {
		s, err := sum()
		if err == nil {
			_, err = io.WriteString(w, s)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	b, err := formats.ReadAll(formats.KnownFile(name, formats.Ref{Size: 32}))
	return string(b), err
}

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
