package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// Write writes the package, signed where Env names a key.
func (f *Format) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) (err error) {
	id, err := f.Identify(spec, p)
	if err != nil {
		return err
	}
	files, err = carried(files)
	if err != nil {
		return err
	}
	scratch := f.env.Scratch
	if scratch == nil {
		dir, err := os.MkdirTemp("", "apk-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		scratch = formats.NewScratch(dir)
	}
	data, err := packData(ctx, scratch, seconds(spec), files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	hash := sha256.New()
	if _, err := data.WriteTo(hash); err != nil {
		return err
	}
	control, err := packControl(spec, id, files, hash.Sum(nil))
	if err != nil {
		return err
	}
	signature, err := f.sign(ctx, seconds(spec), control)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(signature, control...)); err != nil {
		return err
	}
	_, err = data.WriteTo(w)
	return err
}

// carried returns the files with their directories, which apk wants to see before
// what is in them. Ghosts are left out: apk has none.
func carried(files []formats.File) ([]formats.File, error) {
	if err := formats.CheckFiles(files); err != nil {
		return nil, err
	}
	kept := make([]formats.File, 0, len(files))
	for _, f := range files {
		if f.Type == formats.Ghost {
			continue
		}
		if strings.HasPrefix(f.Path, "/.") {
			return nil, fmt.Errorf("path %q: apk takes files in / that start with a dot for its own", f.Path)
		}
		if strings.ContainsFunc(f.Path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("path %q has a control character; apk leaves such files out", f.Path)
		}
		kept = append(kept, f)
	}
	all, _ := formats.WithParents(kept)
	return all, nil
}

// packData makes the third member.
func packData(ctx context.Context, scratch *formats.Scratch, at int64, files []formats.File) (*pack.Packed, error) {
	p, err := pack.New(ctx, pack.Gzip, scratch)
	if err != nil {
		return nil, err
	}
	err = func() error {
		for i := range files {
			h, content, err := entry(ctx, at, &files[i])
			if err == nil {
				err = p.Tar(h, content)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", files[i].Path, err)
			}
		}
		return p.EndTar()
	}()
	if err != nil {
		p.Abort()
		return nil, err
	}
	d, err := p.Finish()
	if err != nil {
		p.Abort()
	}
	return d, err
}

func entry(ctx context.Context, at int64, f *formats.File) (*tar.Header, formats.Blob, error) {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: int64(f.UnixMode()), Uname: f.OwnerOr(), Gname: f.GroupOr(), ModTime: time.Unix(at, 0)}
	h.Uid, h.Gid = ownerID(f.Owner), ownerID(f.Group)
	sum := sha1.New()
	switch f.Type {
	case formats.Dir:
		h.Typeflag = tar.TypeDir
		h.Name += "/"
		return h, nil, nil
	case formats.Symlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Target, 0o777
		io.WriteString(sum, f.Target)
	default:
		r, err := f.Content.Open()
		if err != nil {
			return nil, nil, err
		}
		_, err = io.Copy(sum, &ctxReader{ctx, r})
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, nil, err
		}
	}
	h.PAXRecords = map[string]string{checksumRecord: hex.EncodeToString(sum.Sum(nil))}
	if f.Type == formats.Symlink {
		return h, nil, nil
	}
	return h, f.Content, nil
}

const checksumRecord = "APK-TOOLS.checksum.SHA1"

// ownerID is the id of an owner that is written as a number. Names are looked up on
// the machine.
func ownerID(owner string) int {
	n, err := strconv.ParseUint(owner, 10, 21) // what a plain tar header holds
	if err != nil {
		return 0
	}
	return int(n)
}

// packControl makes the second member.
func packControl(spec *formats.Spec, id formats.Identity, files []formats.File, datahash []byte) ([]byte, error) {
	var size int64
	for i := range files {
		size += files[i].Size()
	}
	fields, err := describe(spec, id, size)
	if err != nil {
		return nil, err
	}
	info, err := pkginfo.Render(append(fields, formats.Field{Key: "datahash", Value: hex.EncodeToString(datahash)}))
	if err != nil {
		return nil, err
	}
	programs, err := scripts(spec)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	err = add(t, seconds(spec), ".PKGINFO", 0o644, info)
	for _, s := range programs {
		err = errors.Join(err, add(t, seconds(spec), s.name, 0o755, []byte(s.text)))
	}
	if err != nil {
		return nil, err
	}
	return cut(t, &b)
}

// sign makes the first member, or nothing where there is no key.
func (f *Format) sign(ctx context.Context, at int64, control []byte) ([]byte, error) {
	if f.env.Key == "" {
		return nil, nil
	}
	if f.env.Keys == nil {
		return nil, fmt.Errorf("key %q: there are no keys to sign with", f.env.Key)
	}
	public, err := f.env.Keys.Public(f.env.Key, formats.RSA256)
	if err != nil {
		return nil, err
	}
	if !isMadeOf(public.Name, "._+-@") {
		return nil, fmt.Errorf("key %q: its file name %q can't stand in a package; letters, digits and . _ + - @ can", f.env.Key, public.Name)
	}
	signer, err := f.env.Keys.Signer(f.env.Key, formats.RSA256)
	if err != nil {
		return nil, err
	}
	signature, err := signer(ctx, bytes.NewReader(control))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	if err := add(t, at, ".SIGN.RSA256."+public.Name, 0o644, signature); err != nil {
		return nil, err
	}
	return cut(t, &b)
}

func add(t *tar.Writer, at int64, name string, mode int64, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), Uname: "root", Gname: "root", ModTime: time.Unix(at, 0)}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

// cut compresses what t wrote into b, without the blocks that end an archive, so
// that apk reads on into the next member.
func cut(t *tar.Writer, b *bytes.Buffer) ([]byte, error) {
	if err := t.Flush(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		return nil, err
	}
	if _, err := b.WriteTo(z); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
