// Package plan says what a release will make, without doing any of it: which
// packages, under which names, listed where. It does no I/O; what it returns can
// be printed and compared.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/publish"
)

// Release is what is released.
type Release struct {
	Tag      string    `json:"tag,omitempty"`
	Commit   string    `json:"commit,omitempty"`
	Version  string    `json:"version"`
	Time     time.Time `json:"time"`
	Channels []string  `json:"channels"`
}

// Plan is what a release will make.
type Plan struct {
	Project string   `json:"project"`
	Release Release  `json:"release"`
	Targets []Target `json:"artifacts"`
	Sites   []Site   `json:"sites"`
}

// Target is one package file.
type Target struct {
	Package  string           `json:"package"`
	Format   string           `json:"format"`
	Platform formats.Platform `json:"platform"`
	Filename string           `json:"filename"`
	Name     string           `json:"name"`
	Version  string           `json:"version"`
	Arch     string           `json:"arch"`
	Config   *config.Package  `json:"-"`
	Spec     *formats.Spec    `json:"-"` // without what is read from files: scripts, changelog
	Writer   formats.Format   `json:"-"`
	Scripts  config.Scripts   `json:"-"`
}

// Site is one tree.
type Site struct {
	Name       string         `json:"site"`
	URL        string         `json:"url,omitempty"`
	Place      string         `json:"place"`         // "dir", "git", "bucket"
	Dir        string         `json:"dir,omitempty"` // of the place "dir"
	Large      []Decision     `json:"large,omitempty"`
	Key        string         `json:"key,omitempty"`
	Clients    []string       `json:"clients"`
	Channels   []string       `json:"channels"`
	Placements []Placement    `json:"packages"`
	Partitions []Partition    `json:"repositories"`
	Config     *config.Site   `json:"-"`
	Repos      []publish.Repo `json:"-"`
}

// Partition is one index that the site has.
type Partition struct {
	Client    string `json:"client"`
	Partition string `json:"partition"`
}

// Placement is one package in one index.
type Placement struct {
	Client    string `json:"client"`
	Partition string `json:"partition"`
	Path      string `json:"path"`
	Filename  string `json:"artifact"`
}

// Decision says how clients get packages that the place can't hold, or that they
// don't.
type Decision struct {
	Client string `json:"client"`
	From   string `json:"from,omitempty"` // the address of a folder; "" for nowhere
	Why    string `json:"why"`
}

// decisions are those of each kind of client: what it follows was tried with each
// (docs/architecture.md).
func decisions(clients []string, latest string) []Decision {
	why := map[string]string{
		"apt":       "a flat repository among the release's files, since apt joins every path to the repository's address",
		"dnf":       "the index names the address of each package (xml:base); zypper, which does not follow it, has a second baseurl",
		"pacman":    "a second Server and CacheServer, which pacman tries when the tree has no such file",
		"brew":      "the formula names the address",
		"downloads": "the page and SHA256SUMS name it",
		"apk":       "apk fetches packages from beside its index only: a large one is refused",
		"opkg":      "opkg fetches packages from beside its index only: a large one is refused",
	}
	var all []Decision
	for _, c := range clients {
		d := Decision{Client: c, From: latest, Why: why[c]}
		if c == "apk" || c == "opkg" {
			d.From = ""
		}
		all = append(all, d)
	}
	return all
}

// Options is what a plan needs besides the configuration and the release.
type Options struct {
	Formats []formats.Kind
	Repos   []publish.RepoKind
	Keys    formats.Keys // nil: nothing is signed
	Scratch *formats.Scratch
	Places  []string // the kinds of places besides folders
	Latest  string   // the folder with the files of the newest release; "" without one
	Site    string   // only this site
	Only    Filter
}

// Filter selects targets; an empty list selects all.
type Filter struct {
	Packages  []string
	Formats   []string
	Platforms []formats.Platform
}

// ErrNothing says that a filter selects no target.
var ErrNothing = errors.New("nothing to make: no package has a platform and format that were asked for")

func pick[T comparable](only []T, v T) bool { return len(only) == 0 || slices.Contains(only, v) }

// Make makes the plan. All mistakes are returned at once; those that have a place
// in the configuration are config.Errors.
func Make(p *config.Project, rel Release, o Options) (*Plan, error) {
	if err := formats.CheckVersion(rel.Version); err != nil {
		return nil, err
	}
	m := &maker{p: p, rel: rel, o: o, plan: &Plan{Project: p.Project, Release: rel}, names: make(map[string]*Target)}
	for i := range p.Packages {
		m.pack(&p.Packages[i])
	}
	for i := range p.Publish {
		if o.Site == "" || o.Site == p.Publish[i].Site {
			m.site(&p.Publish[i])
		}
	}
	if o.Site != "" && len(m.plan.Sites) == 0 && len(m.errs) == 0 {
		m.errs = append(m.errs, fmt.Errorf("there is no site %q below publish", o.Site))
	}
	if len(m.plan.Targets) == 0 && len(m.errs) == 0 {
		m.errs = append(m.errs, ErrNothing)
	}
	if len(m.errs) > 0 {
		return nil, errors.Join(m.errs...)
	}
	return m.plan, nil
}

type maker struct {
	p     *config.Project
	rel   Release
	o     Options
	plan  *Plan
	names map[string]*Target
	errs  []error
}

func (m *maker) fail(pos config.Pos, path string, err error) {
	m.errs = append(m.errs, &config.Error{File: m.p.File, Line: pos.Line, Col: pos.Col, Path: path, Err: err})
}

// PackageKey is the name of the key that packages are signed with; SiteKey that
// of a site's indexes.
const PackageKey = "main"

// OwnKey is the name of the key that a site has for itself.
func OwnKey(s *config.Site) string { return "site-" + s.Site }

// SiteKey returns the name of the key, or keys, a site is signed with.
func SiteKey(s *config.Site, signing *config.Signing) string {
	switch {
	case s.Key != "":
		// Packages are signed once, with the package key, so that clients of the
		// site need that one as well: both are published, and both sign.
		return OwnKey(s) + "+" + PackageKey
	case signing.Also != "":
		return "main+also"
	}
	return PackageKey
}

func (m *maker) pack(pkg *config.Package) {
	if !pick(m.o.Only.Packages, pkg.Name) {
		return
	}
	platforms := pkg.Platforms
	if len(platforms) == 0 {
		platforms = m.p.Platforms
	}
	key := ""
	if m.o.Keys != nil {
		key = PackageKey
	}
	for _, name := range pkg.Formats {
		if !pick(m.o.Only.Formats, name) {
			continue
		}
		i := slices.IndexFunc(m.o.Formats, func(k formats.Kind) bool { return k.Name == name })
		if i < 0 {
			m.fail(pkg.Pos, "packages."+pkg.Name, fmt.Errorf("unknown format %q", name))
			continue
		}
		kind := m.o.Formats[i]
		var section formats.Section = formats.NoSection
		if s, ok := pkg.Options[name]; ok {
			section = s
		}
		w, err := kind.New(section, formats.Env{Keys: m.o.Keys, Key: key, Scratch: m.o.Scratch})
		if err != nil {
			m.fail(pkg.Pos, "packages."+pkg.Name+"."+name, err)
			continue
		}
		over := pkg.Overridable
		if o, ok := pkg.Overrides[name]; ok {
			over = merge(over, o)
		}
		spec := Spec(m.p, pkg, over, m.rel)
		for _, p := range platforms {
			if !pick(m.o.Only.Platforms, p) || p.OS != "linux" && !kind.AnyOS {
				continue
			}
			id, err := w.Identify(spec, p)
			if err != nil {
				m.fail(pkg.Pos, "packages."+pkg.Name, fmt.Errorf("%s for %s: %w", name, p, err))
				break // the same for every platform, as a rule
			}
			t := Target{pkg.Name, name, p, id.Filename, id.Name, id.Version, id.Arch, pkg, spec, w, over.Scripts}
			if other := m.names[id.Filename]; other != nil {
				m.fail(pkg.Pos, "packages."+pkg.Name, fmt.Errorf("%s for %s and %s for %s would both be %s: give one another name", name, p, other.Package, other.Platform, id.Filename))
				continue
			}
			m.names[id.Filename] = &t
			m.plan.Targets = append(m.plan.Targets, t)
		}
	}
}

// merge returns base with whatever over sets replaced.
func merge(base, over config.Overridable) config.Overridable {
	lists := []struct{ b, o *[]string }{
		{&base.Depends, &over.Depends}, {&base.PreDepends, &over.PreDepends}, {&base.Recommends, &over.Recommends},
		{&base.Suggests, &over.Suggests}, {&base.Conflicts, &over.Conflicts}, {&base.Provides, &over.Provides}, {&base.Replaces, &over.Replaces},
	}
	for _, l := range lists {
		if *l.o != nil {
			*l.b = *l.o
		}
	}
	s, o := &base.Scripts, &over.Scripts
	s.PreInstall = cmp.Or(o.PreInstall, s.PreInstall)
	s.PostInstall = cmp.Or(o.PostInstall, s.PostInstall)
	s.PreRemove = cmp.Or(o.PreRemove, s.PreRemove)
	s.PostRemove = cmp.Or(o.PostRemove, s.PostRemove)
	s.PreUpgrade = cmp.Or(o.PreUpgrade, s.PreUpgrade)
	s.PostUpgrade = cmp.Or(o.PostUpgrade, s.PostUpgrade)
	return base
}

// Spec says what a package says of itself, but for scripts and the changelog,
// which are read from files.
func Spec(p *config.Project, pkg *config.Package, over config.Overridable, rel Release) *formats.Spec {
	summary, description, _ := strings.Cut(strings.TrimSpace(cmp.Or(pkg.Description, p.Description, pkg.Name)), "\n")
	s := &formats.Spec{
		Name:        pkg.Name,
		Version:     rel.Version,
		Epoch:       pkg.Epoch,
		Release:     cmp.Or(pkg.Release, p.Release, "1"),
		Time:        rel.Time.UTC(),
		Summary:     strings.TrimSpace(summary),
		Description: strings.TrimSpace(description),
		Homepage:    cmp.Or(pkg.Homepage, p.Homepage),
		License:     cmp.Or(pkg.License, p.License),
		Maintainer:  cmp.Or(pkg.Maintainer, p.Maintainer),
		Vendor:      p.Vendor,
		Section:     cmp.Or(pkg.Section, p.Section, "utils"),
		Priority:    cmp.Or(pkg.Priority, p.Priority, "optional"),
		Source:      p.Project,
		Essential:   pkg.Essential,
		Relations: formats.Relations{Depends: over.Depends, PreDepends: over.PreDepends, Recommends: over.Recommends, Suggests: over.Suggests,
			Conflicts: over.Conflicts, Provides: over.Provides, Replaces: over.Replaces},
	}
	for _, svc := range pkg.Services {
		s.Services = append(s.Services, formats.Service{Unit: p.Unit(svc.Src), Enable: svc.Enable == nil || *svc.Enable, Start: svc.Start == nil || *svc.Start})
	}
	return s
}

func (m *maker) site(c *config.Site) {
	s := Site{Name: c.Site, URL: strings.TrimRight(c.URL, "/"), Place: "dir", Config: c}
	for _, k := range m.o.Places {
		if _, ok := c.Options[k]; ok {
			s.Place = k
		}
	}
	if s.Place == "dir" {
		s.Dir = cmp.Or(c.Dir, path.Join("dist", c.Site))
	}
	channels := c.Channels
	if len(channels) == 0 {
		for _, ch := range m.p.Channels {
			channels = append(channels, ch.Name)
		}
	}
	s.Channels = channels
	if m.o.Keys != nil {
		s.Key = SiteKey(c, &m.p.Signing)
	}
	env := publish.RepoEnv{
		Name: cmp.Or(c.Name, m.p.Project), Title: cmp.Or(c.Title, m.p.Title, m.p.Project), Description: summary(m.p.Description),
		Origin: cmp.Or(m.p.Vendor, m.p.Title, m.p.Project), URL: s.URL, Channels: channels, Platforms: m.platforms(), Keys: m.o.Keys, Key: s.Key,
	}
	if m.o.Keys == nil {
		env.Keys = nil
	}
	env.Stale = s.Place == "git" // GitHub Pages and its like
	if c.Large.To == "release" && m.o.Latest != "" {
		env.Servers, env.Flat = []string{m.o.Latest}, true
	}
	for _, kind := range m.o.Repos {
		if len(c.Clients) > 0 && !slices.Contains(c.Clients, kind.Name) {
			continue
		}
		var section formats.Section = formats.NoSection
		if sec, ok := c.Options[kind.Name]; ok {
			section = sec
		}
		r, err := kind.New(section, env)
		if err != nil {
			m.fail(c.Pos, "publish."+c.Site+"."+kind.Name, err)
			continue
		}
		s.Repos = append(s.Repos, r)
		s.Clients = append(s.Clients, kind.Name)
		for _, p := range r.Partitions() {
			s.Partitions = append(s.Partitions, Partition{kind.Name, p})
		}
		for _, ch := range m.rel.Channels {
			if !slices.Contains(channels, ch) {
				continue
			}
			for _, t := range m.plan.Targets {
				places, err := r.Place(t.meta(), ch)
				if err != nil {
					m.fail(c.Pos, "publish."+c.Site+"."+kind.Name, err)
				}
				for _, pl := range places {
					s.Placements = append(s.Placements, Placement{kind.Name, pl.Partition, pl.Path, t.Filename})
				}
			}
		}
	}
	for _, other := range m.plan.Sites {
		if other.Dir == s.Dir && s.Dir != "" {
			m.fail(c.Pos, "publish."+c.Site, fmt.Errorf("site %s is written to %s, too: set dir", other.Name, s.Dir))
		}
	}
	if len(env.Servers) > 0 {
		s.Large = decisions(s.Clients, m.o.Latest)
	}
	m.plan.Sites = append(m.plan.Sites, s)
}

func summary(description string) string {
	s, _, _ := strings.Cut(strings.TrimSpace(description), "\n")
	return strings.TrimSpace(s)
}

// meta is what is known of a package before it is made: enough to place it.
func (t *Target) meta() *formats.Meta {
	return &formats.Meta{Format: t.Format, Name: t.Name, Version: t.Version, Arch: t.Arch, Fields: []formats.Field{
		{Key: "Source", Value: t.Spec.Source}, {Key: "os", Value: t.Platform.OS}, {Key: "arch", Value: t.Platform.Arch}, {Key: "variant", Value: t.Platform.Variant}}}
}

// platforms lists all CPUs that the project's packages are made for. A project of
// packages for all CPUs serves the two that people have.
func (m *maker) platforms() []formats.Platform {
	var all []formats.Platform
	add := func(ps []formats.Platform) {
		for _, p := range ps {
			if p.Arch != "all" && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	for _, pkg := range m.p.Packages {
		if len(pkg.Platforms) > 0 {
			add(pkg.Platforms)
		} else {
			add(m.p.Platforms)
		}
	}
	add(m.p.Platforms)
	if len(all) == 0 {
		add([]formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}})
	}
	return all
}

// Tree describes a site without a release: what looks after its tree needs.
func Tree(p *config.Project, s *config.Site, o Options) (*Site, error) {
	m := &maker{p: p, o: o, plan: &Plan{Project: p.Project}, names: make(map[string]*Target)}
	m.site(s)
	if len(m.errs) > 0 {
		return nil, errors.Join(m.errs...)
	}
	return &m.plan.Sites[0], nil
}
