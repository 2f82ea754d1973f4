// Package deb writes and reads Debian packages, deb(5): an ar archive of
// debian-binary, control.tar.gz and data.tar, which is compressed by gzip, by zstd
// (dpkg since Debian 12 and Ubuntu 18.04) or not at all.
//
// Names, versions and relations are checked after Debian policy 5.6.1, 5.6.12 and
// 7.1. Where there is a changelog it is shipped as changelog.Debian.gz, and where
// there is a licence and no copyright file, a machine-readable one is.
//
// Describe also reads packages of others, with control.tar and data.tar in gzip,
// xz or zstd. Fields of Meta are the control paragraph in its order: a folded line
// follows after "\n" without its leading blank, so strings.ReplaceAll(value, "\n",
// "\n ") renders it again.
package deb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
	"github.com/distropack/distropack/formats/internal/nfpm"
	"github.com/distropack/distropack/formats/internal/pack"
)

// Options are the settings of a package's section deb.
type Options struct {
	Compression string `yaml:"compression" enum:"gzip,zstd,none" doc:"How files are compressed: gzip, which every dpkg reads, where absent."`
	Engine      string `yaml:"engine" enum:"distropack,nfpm" doc:"Who writes the package; nfpm gives the package nFPM would, without services and changelog. distropack where absent."`
}

// Kind makes the format.
func Kind() formats.Kind {
	return formats.Kind{Name: "deb", Options: &Options{}, New: func(s formats.Section, env formats.Env) (formats.Format, error) {
		var o Options
		if err := s.Decode(&o); err != nil {
			return nil, err
		}
		d, err := New(o, env)
		if err != nil {
			return nil, err
		}
		switch o.Engine {
		case "", "distropack":
			return d, nil
		case "nfpm":
			return nfpm.Engine(d, nil), nil
		}
		return nil, fmt.Errorf("engine %q: distropack and nfpm are known", o.Engine)
	}}
}

// Deb is the format.
type Deb struct {
	codec   pack.Codec
	data    string // the name of data.tar
	scratch *formats.Scratch
}

var _ formats.Format = (*Deb)(nil)

// New returns the format with options o. Packages are not signed: dpkg and apt
// trust the repository's signature.
func New(o Options, env formats.Env) (*Deb, error) {
	d := &Deb{scratch: env.Scratch}
	switch o.Compression {
	case "", "gzip":
		d.codec, d.data = pack.Gzip, "data.tar.gz"
	case "zstd":
		d.codec, d.data = pack.Zstd, "data.tar.zst"
	case "none":
		d.codec, d.data = pack.None, "data.tar"
	default:
		return nil, fmt.Errorf("compression %q is unknown; write gzip, zstd or none", o.Compression)
	}
	return d, nil
}

// Name is "deb".
func (d *Deb) Name() string { return "deb" }

// Version renders the version of spec as Debian has it: "1:1.2.0~rc.1-1".
func Version(spec *formats.Spec) (string, error) { return debian.Version(spec) }

// Compare orders two versions as "dpkg --compare-versions" does: -1, 0 or 1.
func Compare(a, b string) int { return debian.Compare(a, b) }

// Identify checks spec and names its package. The file name is without the epoch.
func (d *Deb) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	var id formats.Identity
	arch, err := archOf(p)
	if err != nil {
		return id, err
	}
	if err := checkOwnName(spec.Name); err != nil {
		return id, err
	}
	version, err := Version(spec)
	if err != nil {
		return id, err
	}
	id = formats.Identity{Name: spec.Name, Version: version, Arch: arch}
	_, file, found := strings.Cut(version, ":")
	if !found {
		file = version
	}
	id.Filename = spec.Name + "_" + file + "_" + arch + ".deb"
	if _, err := control(spec, id, 0); err != nil {
		return formats.Identity{}, err
	}
	if err := debian.CheckServices(spec.Services); err != nil {
		return formats.Identity{}, err
	}
	if _, err := debian.Scripts(spec, debian.Dpkg); err != nil {
		return formats.Identity{}, err
	}
	return id, nil
}

// Write writes the package.
func (d *Deb) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) (err error) {
	id, err := d.Identify(spec, p)
	if err != nil {
		return err
	}
	if err := errors.Join(formats.CheckFiles(files), debian.CheckOwners(files)); err != nil {
		return err
	}
	scratch, done, err := debian.Scratch(d.scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	docs, err := documents(spec, id, files)
	if err != nil {
		return err
	}
	files = append(files[:len(files):len(files)], docs...)

	members, err := d.control(ctx, scratch, spec, id, files)
	if err != nil {
		return err
	}
	controlTar, err := debian.PackControl(ctx, scratch, spec.Time, members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controlTar.Close()) }()
	data, err := d.payload(ctx, scratch, spec, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()

	ar, err := debian.NewArWriter(w, spec.Time)
	if err != nil {
		return err
	}
	if err := ar.Add("debian-binary", 4, bytes.NewBufferString("2.0\n")); err != nil {
		return err
	}
	if err := ar.Add("control.tar.gz", controlTar.Size, controlTar); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return ar.Add(d.data, data.size, data)
}

func (d *Deb) control(ctx context.Context, scratch *formats.Scratch, spec *formats.Spec, id formats.Identity, files []formats.File) ([]debian.Member, error) {
	fields, err := control(spec, id, installedSize(files))
	if err != nil {
		return nil, err
	}
	paragraph, err := debian.RenderParagraph(fields)
	if err != nil {
		return nil, err
	}
	members := []debian.Member{{Name: "control", Mode: 0o644, Body: paragraph}}
	if conffiles := debian.Conffiles(files); conffiles != nil {
		members = append(members, debian.Member{Name: "conffiles", Mode: 0o644, Body: conffiles})
	}
	scripts, err := debian.Scripts(spec, debian.Dpkg)
	if err != nil {
		return nil, err
	}
	members = append(members, scripts...)
	sums, err := debian.MD5Sums(ctx, scratch, files)
	if err != nil {
		return nil, err
	}
	if sums != nil {
		members = append(members, debian.Member{Name: "md5sums", Mode: 0o644, Body: sums})
	}
	return members, nil
}

// installedSize is in KiB as dpkg-gencontrol counts: contents and symlinks are
// rounded up one by one, everything else, the root among it, counts 1.
func installedSize(files []formats.File) int64 {
	total := int64(1)
	for _, f := range debian.Entries(files) {
		switch {
		case f.IsRegular():
			total += (f.Size() + 1023) / 1024
		case f.Type == formats.Symlink:
			total += (int64(len(f.Target)) + 1023) / 1024
		default:
			total++
		}
	}
	return total
}
