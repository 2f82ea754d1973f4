// Package ipk writes and reads the packages of opkg: a tar.gz, or for Yocto also an
// ar archive, of debian-binary, control.tar.gz and data.tar.gz.
//
// OpenWrt's opkg takes neither the ar form nor anything but gzip inside; Yocto's
// takes all of it, so tar.gz with gzip serves both. In OpenWrt's opkg, Provides
// and Replaces are lists of bare names, and a version there would be taken for
// another name: it is refused.
//
// Describe reads both forms, with gzip, xz or zstd inside. Fields of Meta are the
// control paragraph in its order: a folded line follows after "\n" without its
// leading blank, so strings.ReplaceAll(value, "\n", "\n ") renders it again.
package ipk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
	"github.com/distropack/distropack/formats/internal/pack"
)

// Options are the settings of a package's section ipk.
type Options struct {
	Outer     string            `yaml:"outer" enum:"tar.gz,ar" doc:"The outer archive: tar.gz, which every opkg reads, where absent; ar for Yocto's opkg only."`
	Extension string            `yaml:"extension" enum:"ipk,opk" doc:"How the file's name ends; ipk where absent."`
	Arch      map[string]string `yaml:"arch" doc:"opkg's word by CPU, where it is not OpenWrt's generic one: {arm64: aarch64_cortex-a53}."`
}

// Kind makes the format.
func Kind() formats.Kind {
	return formats.Kind{Name: "ipk", Options: &Options{}, New: func(s formats.Section, env formats.Env) (formats.Format, error) {
		var o Options
		if err := s.Decode(&o); err != nil {
			return nil, err
		}
		return New(o, env)
	}}
}

// Ipk is the format.
type Ipk struct {
	ar        bool
	extension string
	arches    map[formats.Platform]string
	scratch   *formats.Scratch
}

var _ formats.Format = (*Ipk)(nil)

// New returns the format with options o. Packages are not signed: opkg trusts the
// feed's signature.
func New(o Options, env formats.Env) (*Ipk, error) {
	k := &Ipk{extension: "ipk", arches: make(map[formats.Platform]string), scratch: env.Scratch}
	switch o.Outer {
	case "", "tar.gz":
	case "ar":
		k.ar = true
	default:
		return nil, fmt.Errorf("outer %q is unknown; write tar.gz or ar", o.Outer)
	}
	switch o.Extension {
	case "":
	case "ipk", "opk":
		k.extension = o.Extension
	default:
		return nil, fmt.Errorf("extension %q is unknown; write ipk or opk", o.Extension)
	}
	for cpu, arch := range o.Arch {
		p, err := formats.ParsePlatform(cpu)
		if err != nil {
			return nil, fmt.Errorf("arch: %w", err)
		}
		if !legalArch(arch) {
			return nil, fmt.Errorf("arch: %q is no architecture of opkg; letters, digits and _ - . are allowed", arch)
		}
		k.arches[p] = arch
	}
	return k, nil
}

// Name is "ipk", whatever the file's name ends in.
func (k *Ipk) Name() string { return "ipk" }

// Version renders the version of spec: "1.2.0~rc.1-1".
func Version(spec *formats.Spec) (string, error) { return debian.Version(spec) }

// Compare orders two versions as opkg does, which is dpkg's way: -1, 0 or 1.
func Compare(a, b string) int { return debian.Compare(a, b) }

// Identify checks spec and names its package. The file name is without the epoch.
func (k *Ipk) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	var id formats.Identity
	arch, err := k.archOf(p)
	if err != nil {
		return id, err
	}
	if err := checkName(spec.Name); err != nil {
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
	id.Filename = spec.Name + "_" + file + "_" + arch + "." + k.extension
	if _, err := control(spec, id, 0); err != nil {
		return formats.Identity{}, err
	}
	if err := debian.CheckServices(spec.Services); err != nil {
		return formats.Identity{}, err
	}
	if _, err := debian.Scripts(spec, debian.Opkg); err != nil {
		return formats.Identity{}, err
	}
	return id, nil
}

// Write writes the package.
func (k *Ipk) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) (err error) {
	id, err := k.Identify(spec, p)
	if err != nil {
		return err
	}
	if err := errors.Join(formats.CheckFiles(files), debian.CheckOwners(files)); err != nil {
		return err
	}
	scratch, done, err := debian.Scratch(k.scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()

	members, err := controlFiles(spec, id, files)
	if err != nil {
		return err
	}
	controlTar, err := debian.PackControl(ctx, scratch, spec.Time, members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controlTar.Close()) }()
	dataTar, err := debian.PackTree(ctx, pack.Gzip, scratch, spec.Time, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dataTar.Close()) }()

	parts := []part{
		{"debian-binary", 4, strings.NewReader("2.0\n")},
		{"control.tar.gz", controlTar.Size, controlTar},
		{"data.tar.gz", dataTar.Size, dataTar},
	}
	if k.ar {
		return writeAr(ctx, w, spec.Time, parts)
	}
	return writeTar(ctx, w, spec.Time, parts)
}

// part is a member of the outer archive.
type part struct {
	name string
	size int64
	io.WriterTo
}

func writeAr(ctx context.Context, w io.Writer, at time.Time, parts []part) error {
	a, err := debian.NewArWriter(w, at)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.Add(p.name, p.size, p); err != nil {
			return err
		}
	}
	return nil
}

// writeTar stores the parts uncompressed inside gzip: they are compressed already.
func writeTar(ctx context.Context, w io.Writer, at time.Time, parts []part) error {
	z, err := gzip.NewWriterLevel(w, gzip.NoCompression)
	if err != nil {
		return err
	}
	z.ModTime = time.Unix(0, 0) // no time: the zero Time would leave one of 2042
	t := tar.NewWriter(z)
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := &tar.Header{
			Name: "./" + p.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: p.size,
			Uname: "root", Gname: "root", ModTime: debian.Stamp(at), Format: tar.FormatUSTAR,
		}
		if p.size >= 1<<33 {
			h.Format = tar.FormatGNU
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if _, err := p.WriteTo(t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return errors.Join(t.Close(), z.Close())
}
