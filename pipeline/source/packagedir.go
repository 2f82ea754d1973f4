package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

// What a package directory can lack.
var (
	ErrNotDir      = errors.New("is not a folder")
	ErrNoManifest  = errors.New("manifest.yaml is missing")
	ErrNoAssets    = errors.New("assets/ is missing")
	ErrNoInstall   = errors.New("scripts/install.sh is missing")
	ErrNoUninstall = errors.New("scripts/uninstall.sh is missing")
	ErrNoScripts   = errors.New("scripts/ is missing")
)

// PackageDir reads a package directory: assets/, manifest.yaml with a name and a
// SemVer version, scripts/install.sh and scripts/uninstall.sh. It is a package
// without any other configuration: its files go to /usr/lib/<name>/, install.sh
// runs there after installation and upgrade, uninstall.sh before removal. The
// directory is only read. All that it lacks is reported at once.
func PackageDir(fsys fs.FS, dir string) (*config.Manifest, error) {
	at := func(name string) string { return path.Join(dir, name) }
	st, err := fs.Stat(fsys, path.Clean(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such folder", dir)
	}
	if err != nil {
		return nil, escape(err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotDir)
	}
	var errs []error
	isDir := func(name string) bool {
		st, err := fs.Stat(fsys, at(name))
		return err == nil && st.IsDir()
	}
	if !isDir("assets") {
		errs = append(errs, fmt.Errorf("%s: %w", dir, ErrNoAssets))
	}
	if !isDir("scripts") {
		errs = append(errs, fmt.Errorf("%s: %w", dir, ErrNoScripts))
	} else {
		for _, s := range []struct {
			name    string
			missing error
		}{{"scripts/install.sh", ErrNoInstall}, {"scripts/uninstall.sh", ErrNoUninstall}} {
			name, missing := s.name, s.missing
			st, err := fs.Stat(fsys, at(name))
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("%s: %w", dir, missing))
			case !st.Mode().IsRegular():
				errs = append(errs, fmt.Errorf("%s: %s is a %s, want a file", dir, name, kind(st.Mode())))
			case st.Mode()&0o111 == 0:
				errs = append(errs, fmt.Errorf("%s: %s is not executable: chmod +x it", dir, name))
			}
		}
	}
	b, err := ReadFile(fsys, at("manifest.yaml"), maxManifest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(append(errs, err)...)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", dir, ErrNoManifest))
		return nil, errors.Join(errs...)
	}
	m, err := config.ParseManifest(at("manifest.yaml"), b)
	if err != nil {
		errs = append(errs, err)
	}
	return m, errors.Join(errs...)
}

const maxManifest = 1 << 20

// Home is where the files of a package directory lie on people's machines.
func Home(name string) string { return "/usr/lib/" + name }

// DirPackage makes a package of a package directory.
func DirPackage(dir string, m *config.Manifest, formatNames []string) (config.Package, error) {
	arch := m.Arch
	if arch == "" {
		arch = "noarch"
	}
	p, err := formats.ParsePlatform(arch)
	if err != nil {
		return config.Package{}, err
	}
	home := Home(m.Name)
	return config.Package{
		Name: m.Name, Description: m.Description, Maintainer: m.Maintainer, Homepage: m.Homepage, License: m.License,
		Formats: formatNames, Platforms: []formats.Platform{p},
		Contents: []config.Content{
			{Src: path.Join(dir, "assets"), Dst: home + "/assets", Type: "tree"},
			{Src: path.Join(dir, "manifest.yaml"), Dst: home + "/manifest.yaml"},
			{Src: path.Join(dir, "scripts"), Dst: home + "/scripts", Type: "tree"},
		},
		Overridable: config.Overridable{Depends: m.Depends},
	}, nil
}

// DirScripts are the lifecycle scripts of a package directory's package: they run
// the scripts that came with the files, so that these see their own folder.
func DirScripts(name string) formats.Scripts {
	home := Home(name)
	run := func(script string) string {
		return "#!/bin/sh\nset -e\ncd " + home + "\nPACKAGE_DIR=" + home + " ./scripts/" + script + "\n"
	}
	return formats.Scripts{PostInstall: run("install.sh"), PreRemove: run("uninstall.sh")}
}
