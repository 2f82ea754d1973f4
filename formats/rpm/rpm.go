// Package rpm writes and reads .rpm packages of format 4, the one that every rpm
// from 4.6 on installs and that createrepo_c, dnf and zypper index.
//
// A package is a lead of 96 bytes, a signature header, the main header and the
// payload. The main header holds everything that is said of the package, the
// SHA-256 of each file and of the payload among it; the signature header holds
// the digests of the main header and, with a key, an OpenPGP signature over it.
// So one signature over a few kilobytes vouches for the whole file.
//
// Specification: https://rpm-software-management.github.io/rpm/manual/format_v4.html
// and, for relations, https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html
//
// Only what the files list names is owned: parents of a file are left to the
// packages they belong to. Dependencies on libraries are not searched for, and
// source packages are read but not written.
package rpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/nfpm"
	"github.com/distropack/distropack/formats/internal/pack"
)

// Options is the section "rpm" of a package.
type Options struct {
	Compression pack.Codec `yaml:"compression" enum:"zstd,gzip,none" doc:"How the payload is compressed: zstd where absent; gzip for systems older than Fedora 31, RHEL 8 and openSUSE 15.2."`
	Group       string     `yaml:"group" doc:"The RPM group; the section where absent."`
	Engine      string     `yaml:"engine" enum:"distropack,nfpm" doc:"Who writes the package; nfpm gives the package nFPM would, without services and changelog. distropack where absent."`
}

// Kind makes the format from its options.
func Kind() formats.Kind {
	return formats.Kind{Name: "rpm", Options: &Options{}, New: newFormat}
}

// Format writes and reads .rpm files.
type Format struct {
	options Options
	scratch *formats.Scratch
	sign    formats.Signer // nil: packages are unsigned
}

var _ formats.Format = (*Format)(nil)

func newFormat(section formats.Section, env formats.Env) (formats.Format, error) {
	f := &Format{scratch: env.Scratch}
	if err := section.Decode(&f.options); err != nil {
		return nil, err
	}
	switch f.options.Compression {
	case "":
		f.options.Compression = pack.Zstd
	case pack.Zstd, pack.Gzip, pack.None:
	default:
		return nil, fmt.Errorf("compression %q is not zstd, gzip or none", f.options.Compression)
	}
	if err := checkLine("group", f.options.Group); err != nil {
		return nil, err
	}
	if env.Key != "" {
		if env.Keys == nil {
			return nil, fmt.Errorf("key %q: there are no keys to sign with", env.Key)
		}
		sign, err := env.Keys.Signer(env.Key, formats.OpenPGP)
		if err != nil {
			return nil, err
		}
		f.sign = sign
	}
	switch f.options.Engine {
	case "", "distropack":
		return f, nil
	case "nfpm":
		return nfpm.Engine(f, f.sign), nil
	}
	return nil, fmt.Errorf("engine %q: distropack and nfpm are known", f.options.Engine)
}

// Name returns "rpm".
func (f *Format) Name() string { return "rpm" }

// Identify refuses names, versions, texts, relations and scripts that rpm would
// not take.
func (f *Format) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	m, err := f.newMain(spec, p)
	if err != nil {
		return formats.Identity{}, err
	}
	return m.identity, nil
}

// Write writes the package. The payload is compressed first, since the header
// in front of it holds its digest; it waits in the scratch, not in memory.
func (f *Format) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) error {
	m, err := f.newMain(spec, p)
	if err != nil {
		return err
	}
	list, err := newFileList(ownFolders(spec.Name, files), m.time)
	if err != nil {
		return err
	}
	return f.write(ctx, w, m, list)
}

func (f *Format) write(ctx context.Context, w io.Writer, m *mainHeader, list *fileList) (err error) {
	scratch := f.scratch
	if scratch == nil {
		dir, err := os.MkdirTemp("", "distropack-rpm-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		scratch = formats.NewScratch(dir)
	}
	packer, err := pack.New(ctx, f.options.Compression, scratch)
	if err != nil {
		return err
	}
	plain, err := writePayload(ctx, packer, list)
	if err != nil {
		packer.Abort()
		return err
	}
	payload, err := packer.Finish()
	if err != nil {
		packer.Abort()
		return err
	}
	defer func() { err = errors.Join(err, payload.Close()) }()

	sum := sha256.New()
	if _, err := payload.WriteTo(&ctxWriter{ctx, sum}); err != nil {
		return err
	}
	main, err := m.header(list, formats.Digest(sum.Sum(nil)), plain)
	if err != nil {
		return err
	}
	sig, err := signatureHeader(ctx, main, payload, f.sign)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{lead(m.identity.Name+"-"+m.evr.version+"-"+m.evr.release, m.arch), sig, main} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	_, err = payload.WriteTo(&ctxWriter{ctx, w})
	return err
}

// unixTime is t as headers hold it; the zero time is 0.
func unixTime(t time.Time) (uint32, error) {
	if t.IsZero() {
		return 0, nil
	}
	if s := t.Unix(); s >= 0 && s <= math.MaxUint32 {
		return uint32(s), nil
	}
	return 0, fmt.Errorf("time %s is outside of what rpm can carry, 1970 to 2106", t.UTC().Format(time.RFC3339))
}
