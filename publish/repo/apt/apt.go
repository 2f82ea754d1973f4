// Package apt writes repositories for apt: dists/<suite>/ with Release, InRelease,
// Packages and Contents, and a pool of .deb files that the suites share.
//
// The format is Debian's, as apt 2.6 to 3.3 read it (sources.list(5),
// https://wiki.debian.org/DebianRepository/Format). Only SHA-256 is listed: apt
// asks for by-hash files under the strongest hash that Release names. Packages
// for all CPUs are listed in every CPU's index.
//
// apt puts the repository's address before every Filename, so a package that lies
// elsewhere can't be listed here: it needs a suite of its own beside it (Flat).
package apt

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/publish"
)

// Options are the keys below apt: of a site.
type Options struct {
	Component   string            `yaml:"component" doc:"The component packages go to; main where absent."`
	Suites      map[string]string `yaml:"suites" doc:"The suite of each channel; the channel's name where absent."`
	Codenames   map[string]string `yaml:"codenames" doc:"The Codename of each channel's suite; the suite where absent."`
	Origin      string            `yaml:"origin" doc:"Release's Origin, which people pin by; the site's title where absent."`
	Label       string            `yaml:"label" doc:"Release's Label; the site's title where absent."`
	Compression []string          `yaml:"compression" enum:"gz,zst,xz" doc:"How Packages is compressed besides plain; [gz, zst] where absent. xz is compressed as a whole at each publish."`
	Contents    *bool             `yaml:"contents" doc:"Contents files for apt-file; true where absent."`
	ByHash      *bool             `yaml:"by-hash" doc:"Serves each index under its SHA-256, too, three generations of them; true where absent. Clients behind a cache need it."`
	ValidFor    string            `yaml:"valid-for" doc:"How long an index stays valid, such as 168h. Set it only if something publishes again before: apt refuses what is older."`
	Pool        string            `yaml:"pool" enum:"debian,lib" doc:"The prefix of names that start with lib: liba (debian), or lib for all of them (lib); debian where absent."`
}

// Repo is an apt repository.
type Repo struct {
	env       publish.RepoEnv
	component string
	suites    map[string]string
	codenames map[string]string
	origin    string
	label     string
	forms     []publish.Form
	contents  bool
	byHash    bool
	validFor  time.Duration
	plainLib  bool
	arches    []string
	keyID     string
}

var _ publish.Repo = (*Repo)(nil)

// Kind is apt in the list of repositories.
func Kind() publish.RepoKind {
	return publish.RepoKind{Name: "apt", Formats: []string{"deb"}, Options: &Options{},
		New: func(s formats.Section, env publish.RepoEnv) (publish.Repo, error) { return New(s, env) }}
}

var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// New makes a Repo.
func New(section formats.Section, env publish.RepoEnv) (*Repo, error) {
	o := Options{Component: "main", Compression: []string{"gz", "zst"}, Pool: "debian"}
	if err := section.Decode(&o); err != nil {
		return nil, err
	}
	r := &Repo{env: env, component: o.Component, origin: o.Origin, label: o.Label, contents: o.Contents == nil || *o.Contents, byHash: o.ByHash == nil || *o.ByHash,
		suites: make(map[string]string), codenames: make(map[string]string)}
	if r.origin == "" {
		r.origin = firstOf(env.Origin, env.Title, env.Name)
	}
	if r.label == "" {
		r.label = firstOf(env.Title, env.Name)
	}
	for what, text := range map[string]string{"origin": r.origin, "label": r.label, "description": env.Description} {
		if strings.ContainsAny(text, "\n\r") {
			return nil, fmt.Errorf("apt: %s %q has a line break", what, text)
		}
	}
	if !word.MatchString(o.Component) {
		return nil, fmt.Errorf("apt: component %q: letters, digits and . _ + - only", o.Component)
	}
	for _, c := range env.Channels {
		suite := firstOf(o.Suites[c], c)
		code := firstOf(o.Codenames[c], suite)
		if !word.MatchString(suite) || !word.MatchString(code) {
			return nil, fmt.Errorf("apt: suite %q of channel %s: letters, digits and . _ + - only", suite, c)
		}
		for other, s := range r.suites {
			if s == suite {
				return nil, fmt.Errorf("apt: channels %s and %s have one suite %q", other, c, suite)
			}
		}
		r.suites[c], r.codenames[suite] = suite, code
	}
	r.forms = []publish.Form{publish.Plain}
	for _, c := range o.Compression {
		f := publish.Form(c)
		if !slices.Contains([]publish.Form{publish.Gzip, publish.Zstd, publish.Xz}, f) {
			return nil, fmt.Errorf("apt: compression %q: gz, zst and xz are known", c)
		}
		if !slices.Contains(r.forms, f) {
			r.forms = append(r.forms, f)
		}
	}
	if o.ValidFor != "" {
		d, err := time.ParseDuration(o.ValidFor)
		if err != nil || d < time.Hour {
			return nil, fmt.Errorf("apt: valid-for %q: give at least an hour, such as 168h", o.ValidFor)
		}
		r.validFor = d
	}
	switch o.Pool {
	case "debian":
	case "lib":
		r.plainLib = true
	default:
		return nil, fmt.Errorf("apt: pool %q: debian and lib are known", o.Pool)
	}
	for _, p := range env.Platforms {
		if a, ok := deb.Arch(p); ok && a != "all" && !slices.Contains(r.arches, a) {
			r.arches = append(r.arches, a)
		}
	}
	slices.Sort(r.arches)
	if env.Key != "" {
		pub, err := env.Keys.Public(env.Key, formats.OpenPGP)
		if err != nil {
			return nil, err
		}
		r.keyID = pub.ID
	}
	return r, nil
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// Name implements publish.Repo.
func (r *Repo) Name() string { return "apt" }

// Settings implements publish.Repo.
func (r *Repo) Settings() string {
	return fmt.Sprintf("2 %q %q %q %q %q %v %v %v %v %v %s", r.component, r.suites, r.codenames, r.origin, r.label, r.forms, r.contents, r.validFor, r.plainLib, r.byHash, r.keyID) + r.env.Description
}

// Partitions implements publish.Repo: one per suite, component and CPU.
func (r *Repo) Partitions() []string {
	var all []string
	for _, c := range r.env.Channels {
		for _, a := range r.arches {
			all = append(all, r.partition(c, a))
		}
	}
	return all
}

func (r *Repo) partition(channel, arch string) string {
	return r.suites[channel] + "/" + r.component + "/" + arch
}

// Place implements publish.Repo. The pool is shared by all suites.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "deb" || r.suites[channel] == "" {
		return nil, nil
	}
	source, _, _ := strings.Cut(firstOf(m.Get("Source"), m.Name), " ") // "source (version)"
	if !word.MatchString(source) || !word.MatchString(m.Name) || strings.ContainsAny(m.Version+m.Arch, "/ ") {
		return nil, fmt.Errorf("package %q of source %q, version %q: not a name or version for a pool", m.Name, source, m.Version)
	}
	_, version, found := strings.Cut(m.Version, ":") // the epoch is no part of file names
	if !found {
		version = m.Version
	}
	p := path.Join("pool", r.component, r.prefix(source), source, m.Name+"_"+version+"_"+m.Arch+".deb")
	var places []publish.Placement
	for _, a := range r.arches {
		if m.Arch == "all" || m.Arch == a {
			places = append(places, publish.Placement{Partition: r.partition(channel, a), Path: p})
		}
	}
	return places, nil
}

// prefix is Debian's rule: the first letter, or lib and the letter after it.
func (r *Repo) prefix(source string) string {
	if strings.HasPrefix(source, "lib") && len(source) > 3 {
		if r.plainLib {
			return "lib"
		}
		return source[:4]
	}
	return source[:1]
}

// Less implements publish.Repo.
func (r *Repo) Less(a, b *publish.Record) bool {
	if a.Meta.Name != b.Meta.Name {
		return a.Meta.Name < b.Meta.Name
	}
	if c := deb.Compare(a.Meta.Version, b.Meta.Version); c != 0 {
		return c < 0
	}
	return a.Path < b.Path
}

// Root implements publish.Repo: the suite.
func (r *Repo) Root(partition string) string {
	suite, _, _ := strings.Cut(partition, "/")
	return suite
}
