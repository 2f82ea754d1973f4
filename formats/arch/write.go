package arch

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
	"github.com/distropack/distropack/formats/internal/pkginfo"
)

// member is one of pacman's own files in the archive.
type member struct {
	name    string
	content formats.Blob
}

// Write writes the package, unsigned: see Detached.
func (f *Format) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) (err error) {
	id, err := f.Identify(spec, p)
	if err != nil {
		return err
	}
	files, err = placed(files)
	if err != nil {
		return err
	}
	metadata, err := metadata(ctx, spec, id, files)
	if err != nil {
		return err
	}
	scratch := f.env.Scratch
	if scratch == nil {
		dir, err := os.MkdirTemp("", "arch-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		scratch = formats.NewScratch(dir)
	}
	packer, err := pack.New(ctx, f.codec, scratch)
	if err != nil {
		return err
	}
	if err := archive(packer, seconds(spec), metadata, files); err != nil {
		packer.Abort()
		return err
	}
	packed, err := packer.Finish()
	if err != nil {
		packer.Abort()
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	_, err = packed.WriteTo(w)
	return err
}

// metadata returns pacman's own files in the order of the archive.
func metadata(ctx context.Context, spec *formats.Spec, id formats.Identity, files []formats.File) ([]member, error) {
	fields, err := describe(spec, id, files)
	if err != nil {
		return nil, err
	}
	info, err := pkginfo.Render(fields)
	if err != nil {
		return nil, err
	}
	script, err := scriptlet(spec, files)
	if err != nil {
		return nil, err
	}
	members := []member{{".PKGINFO", formats.Bytes(info)}}
	if len(script) > 0 {
		members = append(members, member{".INSTALL", formats.Bytes(script)})
	}
	if text := changelog(spec.Changelog); text != "" {
		members = append(members, member{".CHANGELOG", formats.Bytes([]byte(text))})
	}
	tree, err := mtree(ctx, seconds(spec), members, files)
	if err != nil {
		return nil, err
	}
	return append(members, member{".MTREE", formats.Bytes(tree)}), nil
}

func archive(p *pack.Packer, at int64, metadata []member, files []formats.File) error {
	for _, m := range metadata {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: 0o644, Uname: "root", Gname: "root", ModTime: time.Unix(at, 0)}
		if err := p.Tar(h, m.content); err != nil {
			return err
		}
	}
	for i := range files {
		f := &files[i]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: mode(f), Uname: f.OwnerOr(), Gname: f.GroupOr(), ModTime: time.Unix(at, 0)}
		h.Uid, _ = number(h.Uname)
		h.Gid, _ = number(h.Gname)
		content := f.Content
		switch f.Type {
		case formats.Dir:
			h.Typeflag, content = tar.TypeDir, nil
			h.Name += "/"
		case formats.Symlink:
			h.Typeflag, content = tar.TypeSymlink, nil
			h.Linkname = f.Target
		}
		if err := p.Tar(h, content); err != nil {
			return err
		}
	}
	return p.EndTar()
}

// changelog renders what "pacman -Qc" shows.
func changelog(changes []formats.Change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.Version)
		if !c.Time.IsZero() {
			b.WriteString(" (" + c.Time.UTC().Format(time.DateOnly) + ")")
		}
		b.WriteString("\n")
		for _, line := range c.Lines {
			fmt.Fprintf(&b, "  * %s\n", line)
		}
		b.WriteString("\n")
	}
	return b.String()
}
