// Package nfpm lets nFPM write a package from our values. It is the only user of
// goreleaser/nfpm, and serves as the peer that our own formats are measured and
// compared with.
//
// nFPM changes the Info it is given (a file name for one format leaves its word
// for the CPU behind), so every call makes a fresh one. It reads the clock and the
// host's name, and the times of script files, unless told what to write, so all are
// always set; nfpm.Parse, which reads the environment, is not used. It reads files
// by name, so contents and scripts are put into a folder of their own first.
//
// What nFPM can't do or we can't tell it is left out: services, changelogs, ghosts
// outside rpm, and signatures other than rpm's. An nFPM srpm holds the binary
// package's files and builds nothing, so there is no format for it.
package nfpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // each registers itself with nfpm.Get
	_ "github.com/goreleaser/nfpm/v2/arch"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/ipk"
	_ "github.com/goreleaser/nfpm/v2/rpm"

	"github.com/distropack/distropack/formats"
)

// words maps our names of formats to nFPM's.
var words = map[string]string{"deb": "deb", "rpm": "rpm", "arch": "archlinux", "apk": "apk", "ipk": "ipk"}

// Write writes the package of spec as nFPM's format: deb, rpm, arch, apk or ipk.
// sign makes the OpenPGP signature of an rpm; nil leaves it unsigned, as the
// others always are. nFPM knows no context; it ends with ctx at its next write.
func Write(ctx context.Context, w io.Writer, format string, spec *formats.Spec, p formats.Platform, list []formats.File, sign formats.Signer) (err error) {
	word, ok := words[format]
	if !ok {
		return fmt.Errorf("nfpm writes no %q", format)
	}
	if p.OS != "linux" {
		return fmt.Errorf("nfpm writes %s packages for linux only, not for %s", format, p)
	}
	if err := formats.CheckFiles(list); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "distropack-nfpm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	info, err := fresh(ctx, dir, format, spec, p, list)
	if err != nil {
		return err
	}
	if sign != nil {
		info.RPM.Signature.SignFn = func(data io.Reader) ([]byte, error) { return sign(ctx, data) }
	}
	packager, err := nfpm.Get(word)
	if err != nil {
		return err
	}
	return packager.Package(nfpm.WithDefaults(info), ctxWriter{ctx, w})
}

// fresh makes nFPM's value of ours, with contents and scripts below dir.
func fresh(ctx context.Context, dir, format string, spec *formats.Spec, p formats.Platform, list []formats.File) (*nfpm.Info, error) {
	info := &nfpm.Info{
		Name:            spec.Name,
		Arch:            p.Arch + strings.TrimPrefix(p.Variant, "v"),
		Platform:        p.OS,
		Epoch:           spec.Epoch,
		Version:         spec.Version,
		Release:         spec.Release,
		Section:         spec.Section,
		Priority:        spec.Priority,
		Maintainer:      spec.Maintainer,
		Description:     strings.TrimRight(spec.Summary+"\n"+spec.Description, "\n"),
		Vendor:          spec.Vendor,
		Homepage:        spec.Homepage,
		License:         spec.License,
		DisableGlobbing: true,
		MTime:           spec.Time,
	}
	if info.Release == "" {
		info.Release = "1"
	}
	info.Depends = relations(format, spec.Depends)
	info.Recommends = relations(format, spec.Recommends)
	info.Suggests = relations(format, spec.Suggests)
	info.Conflicts = relations(format, spec.Conflicts)
	info.Provides = relations(format, spec.Provides)
	info.Replaces = relations(format, spec.Replaces)
	info.Deb.Predepends = relations(format, spec.PreDepends)
	info.IPK.Predepends = info.Deb.Predepends
	info.IPK.Essential = spec.Essential
	info.RPM.BuildHost = "distropack"
	info.RPM.Summary = spec.Summary
	info.RPM.Packager = spec.Maintainer
	info.ArchLinux.Packager = spec.Maintainer
	if len(spec.Fields) > 0 {
		info.Deb.Fields = make(map[string]string)
		for _, f := range spec.Fields {
			info.Deb.Fields[f.Key] = f.Value
		}
		info.IPK.Fields = info.Deb.Fields
	}

	for _, s := range []struct {
		body string
		to   *string
	}{
		{spec.Scripts.PreInstall, &info.Scripts.PreInstall},
		{spec.Scripts.PostInstall, &info.Scripts.PostInstall},
		{spec.Scripts.PreRemove, &info.Scripts.PreRemove},
		{spec.Scripts.PostRemove, &info.Scripts.PostRemove},
		{spec.Scripts.PreUpgrade, &info.ArchLinux.Scripts.PreUpgrade},
		{spec.Scripts.PostUpgrade, &info.ArchLinux.Scripts.PostUpgrade},
	} {
		if s.body == "" {
			continue
		}
		name, err := place(ctx, dir, spec.Time, formats.Bytes([]byte(s.body)))
		if err != nil {
			return nil, err
		}
		*s.to = name
	}
	info.APK.Scripts.PreUpgrade = info.ArchLinux.Scripts.PreUpgrade
	info.APK.Scripts.PostUpgrade = info.ArchLinux.Scripts.PostUpgrade

	var err error
	info.Contents, err = contents(ctx, dir, format, spec, list)
	return info, err
}

func contents(ctx context.Context, dir, format string, spec *formats.Spec, list []formats.File) (files.Contents, error) {
	kinds := map[formats.FileType]string{
		formats.Regular: files.TypeFile, formats.Config: files.TypeConfig, formats.Keep: files.TypeConfigNoReplace,
		formats.Doc: files.TypeFile, formats.Dir: files.TypeDir, formats.Symlink: files.TypeSymlink, formats.Ghost: files.TypeRPMGhost,
	}
	if format == "rpm" {
		kinds[formats.Doc] = files.TypeRPMDoc
	}
	var all files.Contents
	for _, f := range formats.SortFiles(list) {
		if f.Type == formats.Ghost && format != "rpm" {
			continue
		}
		c := &files.Content{
			Destination: f.Path,
			Type:        kinds[f.Type],
			FileInfo: &files.ContentFileInfo{
				Owner: f.OwnerOr(), Group: f.GroupOr(), MTime: spec.Time,
				Mode: os.FileMode(f.UnixMode()), // nFPM takes stat's bits for setuid, not fs.FileMode's
			},
		}
		switch {
		case f.Type == formats.Symlink:
			c.Source = f.Target
		case f.IsRegular():
			name, err := place(ctx, dir, spec.Time, f.Content)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
			c.Source = name
		}
		all = append(all, c)
	}
	return all, nil
}

// place returns a file with the content of b: a new one in dir, or where b lies
// already.
func place(ctx context.Context, dir string, at time.Time, b formats.Blob) (name string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	r, err := b.Open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if at, ok := b.(interface{ Path() string }); ok {
		return at.Path(), nil
	}
	f, err := os.CreateTemp(dir, "blob-")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if want := b.Ref().Size; n != want {
		return "", fmt.Errorf("content is %d bytes, was to be %d", n, want)
	}
	// nFPM's apk takes the time of a script from its file.
	return f.Name(), os.Chtimes(f.Name(), at, at)
}

// relations renders the shared spelling in the format's; anything else goes
// through as it is.
func relations(format string, list []string) []string {
	var all []string
	for _, s := range list {
		r, ok := formats.ParseRelation(s)
		switch {
		case !ok:
			all = append(all, s)
		case r.Op == "":
			all = append(all, r.Name)
		case format == "deb" || format == "ipk":
			op := r.Op
			if op == "<" || op == ">" {
				op += op
			}
			all = append(all, fmt.Sprintf("%s (%s %s)", r.Name, op, r.Version))
		case format == "rpm":
			all = append(all, r.Name+" "+r.Op+" "+r.Version)
		default:
			all = append(all, r.Name+r.Op+r.Version)
		}
	}
	return all
}

type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
