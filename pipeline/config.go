package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"

	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/source"
)

// config reads distropack.yml, or makes a project of package directories.
func (r *run) config(context.Context) error {
	if len(r.PackageDirs) > 0 {
		if err := r.packageDirs(); err != nil {
			return fmt.Errorf("%w: %w", ErrUsage, err)
		}
		return nil
	}
	name := path.Clean(r.Config)
	b, err := source.ReadFile(r.Files, name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no %s here: distropack init writes one", ErrUsage, name)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	r.project, err = config.Parse(name, b, config.Options{Env: r.Lookup, Formats: r.Formats, Clients: r.Repos, Places: r.Places})
	if err != nil {
		return err
	}
	if r.Rotating && r.project.Signing.Also == "" {
		r.project.Signing.Also = "also"
	}
	r.oneSite()
	return r.declaredDirs()
}

// oneSite makes the job's site the only one.
func (r *run) oneSite() {
	if r.SiteURL == "" {
		return
	}
	s := config.Site{Site: "public"}
	if len(r.project.Publish) > 0 {
		s = r.project.Publish[0]
	}
	s.URL, s.Dir, s.Key, s.Large = r.SiteURL, r.SiteDir, "", config.Large{}
	s.Options = maps.Clone(s.Options)
	for _, k := range r.Places { // the tree is tried here, not published
		delete(s.Options, k.Name)
	}
	delete(s.Options, "tap")
	r.project.GitHub = nil
	r.project.Publish, r.project.Signing = []config.Site{s}, config.Signing{}
}

const maxConfig = 1 << 20 // the parser's own limit is lower and says so

// declaredDirs adds the packages of sources of the kind package-dir that no
// package's contents name.
func (r *run) declaredDirs() error {
	var errs []error
	for name, src := range r.project.Sources {
		if src.PackageDir == "" || r.uses(name) {
			continue
		}
		dir := path.Join(r.project.Dir, src.PackageDir)
		m, err := source.PackageDir(r.Files, dir)
		if err != nil {
			errs = append(errs, &config.Error{File: r.project.File, Line: src.Pos.Line, Col: src.Pos.Col, Path: "sources." + name, Err: err})
			continue
		}
		errs = append(errs, r.addDir(dir, src.PackageDir, m))
	}
	return errors.Join(errs...)
}

func (r *run) uses(slot string) bool {
	for _, p := range r.project.Packages {
		for _, c := range p.Contents {
			if len(c.Src) > len(slot) && c.Src[:len(slot)+1] == slot+":" {
				return true
			}
		}
	}
	return false
}

// packageDirs makes a project of the job's package directories: all of them, or,
// if one is wrong, none.
func (r *run) packageDirs() error {
	r.project = &config.Project{Version: 1, File: "manifest.yaml", Dir: ".", Channels: config.Channels{{Name: "stable", Tags: "*", Prereleases: true}}}
	var errs []error
	for _, dir := range r.PackageDirs {
		m, err := source.PackageDir(r.Files, dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.project.Project == "" {
			r.project.Project, r.project.Description = m.Name, m.Description
			r.project.Homepage, r.project.Maintainer, r.project.License = m.Homepage, m.Maintainer, m.License
			if r.Release.Version == "" {
				r.Release.Version = m.Version
			}
		} else if m.Version != r.Release.Version {
			errs = append(errs, fmt.Errorf("%s: version %s differs from %s: release package directories of different versions one by one", dir, m.Version, r.Release.Version))
		}
		errs = append(errs, r.addDir(dir, dir, m))
	}
	return errors.Join(errs...)
}

func (r *run) addDir(dir, src string, m *config.Manifest) error {
	var names []string
	for _, k := range r.Formats {
		if k.Name != "zip" && k.Name != "tar.xz" && k.Name != "tar.zst" {
			names = append(names, k.Name)
		}
	}
	pkg, err := source.DirPackage(src, m, names)
	if err != nil {
		return err
	}
	for _, p := range r.project.Packages {
		if p.Name == pkg.Name {
			return fmt.Errorf("%s: a package %q is there already", dir, pkg.Name)
		}
	}
	if pkg.Maintainer == "" && r.project.Maintainer == "" {
		// Every format wants one, the manifest need not name any.
		pkg.Maintainer = pkg.Name + " <" + pkg.Name + "@localhost>"
	}
	if r.dirs == nil {
		r.dirs = make(map[string]string)
	}
	r.dirs[pkg.Name] = dir
	r.project.Packages = append(r.project.Packages, pkg)
	return nil
}
