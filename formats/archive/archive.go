// Package archive writes and reads plain archives for direct download and for
// Homebrew: tar.gz, tar.zst, tar.xz and zip. They serve every system, carry no
// scripts, relations or owners of configuration, and leave ghosts out.
//
//	hello_1.2.0_linux_amd64.tar.gz
//	└── hello-1.2.0-linux-amd64/        unless wrap is false
//	    ├── bin/hello                   /usr/bin/hello
//	    ├── etc/hello.conf              /etc/hello.conf
//	    └── share/man/man1/hello.1.gz   /usr/share/man/man1/hello.1.gz
//
// With layout "flat" the leading usr/ and usr/local/ are dropped, so that programs
// lie under bin/; with "tree" paths stay as they are. A release other than 1
// stands behind the version: hello_1.2.0-2_linux_amd64.tar.gz.
//
// What an archive is of stands in it as the comment that both kinds provide for
// (a PAX global header, as git archive writes one; the comment of a zip):
//
//	name=hello version=1.2.0 os=linux arch=arm variant=v7
//
// Describe reads that; for archives of others it takes the top folder's name,
// name-version-os-arch or name_version_os_arch, apart.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Options are the settings of a package's sections tar.gz, tar.zst, tar.xz, zip.
type Options struct {
	Layout string `yaml:"layout" enum:"flat,tree" doc:"flat drops usr/ and usr/local/, so that programs lie under bin/; tree keeps paths as they are. flat where absent."`
	Wrap   *bool  `yaml:"wrap" doc:"Puts everything into one folder, name-version-os-arch; true where absent."`
}

// Kinds lists the archives: tar.gz, tar.zst, tar.xz and zip.
func Kinds() []formats.Kind {
	var kinds []formats.Kind
	for _, name := range []string{"tar.gz", "tar.zst", "tar.xz", "zip"} {
		kinds = append(kinds, formats.Kind{Name: name, Options: &Options{}, AnyOS: true, New: func(s formats.Section, env formats.Env) (formats.Format, error) {
			var o Options
			if err := s.Decode(&o); err != nil {
				return nil, err
			}
			return New(name, o, env)
		}})
	}
	return kinds
}

// Archive is one of the formats.
type Archive struct {
	name    string
	flat    bool
	wrap    bool
	scratch *formats.Scratch
}

var _ formats.Format = (*Archive)(nil)

// New returns the format called name: tar.gz, tar.zst, tar.xz or zip.
func New(name string, o Options, env formats.Env) (*Archive, error) {
	switch name {
	case "tar.gz", "tar.zst", "tar.xz", "zip":
	default:
		return nil, fmt.Errorf("archive %q is unknown; there are tar.gz, tar.zst, tar.xz and zip", name)
	}
	a := &Archive{name: name, wrap: o.Wrap == nil || *o.Wrap, scratch: env.Scratch}
	switch o.Layout {
	case "", "flat":
		a.flat = true
	case "tree":
	default:
		return nil, fmt.Errorf("layout %q is unknown; write flat or tree", o.Layout)
	}
	return a, nil
}

// Name is "tar.gz", "tar.zst", "tar.xz" or "zip".
func (a *Archive) Name() string { return a.name }

var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]*$`)

// Identify names the archive.
func (a *Archive) Identify(spec *formats.Spec, p formats.Platform) (formats.Identity, error) {
	if !nameRule.MatchString(spec.Name) || len(spec.Name) > 100 {
		return formats.Identity{}, fmt.Errorf("name %q: up to 100 letters, digits and . + _ - are allowed, and a letter or digit first", spec.Name)
	}
	if err := formats.CheckVersion(spec.Version); err != nil {
		return formats.Identity{}, err
	}
	if p.OS == "" || p.Arch == "" {
		return formats.Identity{}, errors.New("an archive needs a platform: os/arch")
	}
	version := spec.Version
	if spec.Release != "" && spec.Release != "1" {
		version += "-" + spec.Release
		if err := formats.CheckVersion(version); err != nil {
			return formats.Identity{}, fmt.Errorf("release %q: %w", spec.Release, err)
		}
	}
	return formats.Identity{
		Filename: strings.Join([]string{spec.Name, version, p.OS, p.CPU()}, "_") + "." + a.name,
		Name:     spec.Name,
		Version:  version,
		Arch:     p.OS + "-" + p.CPU(),
	}, nil
}

// Write writes the archive.
func (a *Archive) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) (err error) {
	id, err := a.Identify(spec, p)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	top := ""
	if a.wrap {
		top = id.Name + "-" + id.Version + "-" + id.Arch + "/"
	}
	entries, err := layOut(files, top, a.flat)
	if err != nil {
		return err
	}
	scratch := a.scratch
	if scratch == nil {
		dir, err := os.MkdirTemp("", "distropack-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		scratch = formats.NewScratch(dir)
	}
	label := label{id.Name, id.Version, p}
	switch a.name {
	case "zip":
		return writeZip(ctx, w, scratch, label, spec.Time, entries)
	case "tar.xz":
		return writeTarXz(ctx, w, label, spec.Time, entries)
	}
	return writeTar(ctx, w, a.name, scratch, label, spec.Time, entries)
}
