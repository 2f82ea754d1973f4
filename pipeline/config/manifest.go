package config

import (
	"errors"
	"reflect"

	"github.com/distropack/distropack/formats"
)

// Manifest is the manifest.yaml of a package directory: a directory with assets/,
// scripts/ and this file is a package without any other configuration.
type Manifest struct {
	Name        string   `yaml:"name" doc:"The package's name: lower-case letters, digits and - . + _."`
	Version     string   `yaml:"version" doc:"The version, by SemVer 2.0.0: 1.2.0."`
	Description string   `yaml:"description" doc:"What the package does. The first line is the summary."`
	Maintainer  string   `yaml:"maintainer" doc:"Name <mail> of who answers for the package."`
	Homepage    string   `yaml:"homepage" doc:"The package's page, http or https."`
	License     string   `yaml:"license" doc:"An SPDX expression."`
	Depends     []string `yaml:"depends" doc:"Packages needed to run."`
	Arch        string   `yaml:"arch" doc:"The CPU or platform it runs on: amd64, arm/v7, noarch; noarch where absent."`
}

// What a manifest can lack; ParseManifest's Errors wrap them.
var (
	ErrNoName     = errors.New("name is missing")
	ErrNoVersion  = errors.New("version is missing")
	ErrBadVersion = errors.New("the version is not of the form x.y.z")
)

// ParseManifest reads a manifest.yaml; ${} is text there. err is nil or the
// Errors of the whole file.
func ParseManifest(name string, data []byte) (*Manifest, error) {
	l := &loader{file: name, first: "a manifest has a name and a version"}
	root := l.load(data)
	if root == nil {
		return nil, l.errs.sorted()
	}
	m := &Manifest{}
	(&decoder{l: l}).value(root, reflect.ValueOf(m).Elem(), nil)
	c := &checker{l: l, root: root}
	c.known()
	c.manifest(m)
	if err := l.errs.sorted(); err != nil {
		return nil, err
	}
	return m, nil
}

func (c *checker) manifest(m *Manifest) {
	root := c.root
	if n := root.get("name"); n == nil {
		c.lacks("name", "such as name: hello", ErrNoName)
	} else if !packageName.MatchString(m.Name) {
		c.fail(n, "lower-case letters, digits and - . + _, a letter or digit first", "package %s is not a usable name", n.shown())
	}
	if n := root.get("version"); n == nil {
		c.lacks("version", "such as version: 1.2.0", ErrNoVersion)
	} else if n.kind == scalar && !formats.IsSemVer(m.Version) {
		c.fail(n, "SemVer 2.0.0, such as 1.2.0", "version %s: %w", n.shown(), ErrBadVersion)
	}
	c.lines(root)
	c.known()
	c.about(root)
	c.overridable(root, true)
	if n := root.get("arch"); n != nil && n.kind == scalar {
		if _, err := formats.ParsePlatform(m.Arch); err != nil {
			c.fail(n, "amd64, arm64, arm/v7 … or noarch", "%w", err)
		}
	}
}

func (c *checker) lacks(key, hint string, err error) {
	if !c.bad[key] {
		c.l.fail(c.root.pos, key, hint, "%w", err)
	}
}
