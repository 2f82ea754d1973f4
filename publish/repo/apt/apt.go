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
//
// Those who come from another tool keep their addresses: the folder, the suites
// (several for a channel, where each release of Debian or Ubuntu has one), the
// components (channels may be components of one suite), Origin, Label and Codename
// can be said. A suite with a slash in its name, and a repository without dists/,
// can't be kept.
package apt

import (
	"fmt"
	"maps"
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
	Component   string              `yaml:"component" doc:"The component packages go to; main where absent."`
	Components  map[string]string   `yaml:"components" doc:"The component of each channel, where it is not component's. Channels with different components may share a suite."`
	Suites      map[string]string   `yaml:"suites" doc:"The suite of each channel; the channel's name where absent."`
	Aliases     map[string][]string `yaml:"aliases" doc:"Further suites that list what a channel's suite lists: stable: [bookworm, jammy]. Each is its own Codename."`
	Codenames   map[string]string   `yaml:"codenames" doc:"The Codename of each channel's suite; the suite where absent."`
	Dir         string              `yaml:"dir" doc:"The folder of the tree that dists/ and pool/ lie in; the top where absent."`
	Origin      string              `yaml:"origin" doc:"Release's Origin, which people pin by; the site's title where absent."`
	Label       string              `yaml:"label" doc:"Release's Label; the site's title where absent."`
	Compression []string            `yaml:"compression" enum:"gz,zst,xz" doc:"How Packages is compressed besides plain; [gz, zst] where absent. xz is compressed as a whole at each publish."`
	Contents    *bool               `yaml:"contents" doc:"Contents files for apt-file; true where absent."`
	ByHash      *bool               `yaml:"by-hash" doc:"Serves each index under its SHA-256, too, three generations of them; true where absent. Clients behind a cache need it."`
	ValidFor    string              `yaml:"valid-for" doc:"How long an index stays valid, such as 168h. Set it only if something publishes again before: apt refuses what is older."`
	Pool        string              `yaml:"pool" enum:"debian,lib" doc:"The prefix of names that start with lib: liba (debian), or lib for all of them (lib); debian where absent."`
}

// Repo is an apt repository.
type Repo struct {
	env        publish.RepoEnv
	component  string              // of the pool
	layout     string              // for Settings: what of the layout is not as usual
	dir        string              // "" is the top
	components map[string]string   // by channel
	suites     map[string]string   // by channel: the one that people are told of
	lists      map[string][]string // by channel: its suite and the aliases
	codenames  map[string]string   // by suite
	origin     string
	label      string
	forms      []publish.Form
	contents   bool
	byHash     bool
	validFor   time.Duration
	plainLib   bool
	arches     []string
	keyID      string
}

var _ publish.Indexed = (*Repo)(nil)

// Kind is apt in the list of repositories.
func Kind() publish.RepoKind {
	return publish.RepoKind{Name: "apt", Formats: []string{"deb"}, Options: &Options{},
		New: func(s formats.Section, env publish.RepoEnv) (publish.Repo, error) { return New(s, env) }}
}

var (
	word     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	legalDir = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
)

// New makes a Repo.
func New(section formats.Section, env publish.RepoEnv) (*Repo, error) {
	o := Options{Component: "main", Compression: []string{"gz", "zst"}, Pool: "debian"}
	if err := section.Decode(&o); err != nil {
		return nil, err
	}
	r := &Repo{env: env, component: o.Component, origin: o.Origin, label: o.Label, contents: o.Contents == nil || *o.Contents, byHash: o.ByHash == nil || *o.ByHash,
		dir: o.Dir, suites: make(map[string]string), lists: make(map[string][]string), components: make(map[string]string), codenames: make(map[string]string)}
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
	if r.dir == "." {
		r.dir = ""
	}
	if r.dir != "" && !legalDir.MatchString(r.dir) {
		return nil, fmt.Errorf("apt: dir %q is no folder of the tree: use letters, digits and . - _", o.Dir)
	}
	if err := r.lay(&o); err != nil {
		return nil, err
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

// lay reads what suites and components are called.
func (r *Repo) lay(o *Options) error {
	for _, component := range append(slices.Sorted(maps.Values(o.Components)), o.Component) {
		if !word.MatchString(component) {
			return fmt.Errorf("apt: component %q: letters, digits and . _ + - only", component)
		}
	}
	owners := make(map[string]string) // suite and component → channel
	for _, c := range r.env.Channels {
		suite, component := firstOf(o.Suites[c], c), firstOf(o.Components[c], o.Component)
		code := firstOf(o.Codenames[c], suite)
		lists := append([]string{suite}, o.Aliases[c]...)
		for i, s := range lists {
			if i > 0 {
				code = s
			}
			if !word.MatchString(s) || !word.MatchString(code) {
				return fmt.Errorf("apt: suite %q, codename %q of channel %s: letters, digits and . _ + - only", s, code, c)
			}
			if other, ok := owners[s+"/"+component]; ok && other == c {
				return fmt.Errorf("apt: channel %s has the suite %q twice: take it out of aliases", c, s)
			} else if ok {
				return fmt.Errorf("apt: channels %s and %s have one suite %q with one component %q: give each a suite or a component of its own", other, c, s, component)
			}
			if known, ok := r.codenames[s]; ok && known != code {
				return fmt.Errorf("apt: suite %q has the codenames %q and %q: give the channels that share it one", s, known, code)
			}
			owners[s+"/"+component], r.codenames[s] = c, code
		}
		r.suites[c], r.lists[c], r.components[c] = suite, lists, component
	}
	if len(o.Components)+len(o.Aliases) > 0 || r.dir != "" {
		r.layout = fmt.Sprintf("\n%q %q %q", o.Components, o.Aliases, r.dir)
	}
	return nil
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
	return fmt.Sprintf("2 %q %q %q %q %q %v %v %v %v %v %s", r.component, r.suites, r.codenames, r.origin, r.label, r.forms, r.contents, r.validFor, r.plainLib, r.byHash, r.keyID) + r.env.Description + r.layout
}

// Partitions implements publish.Repo: one per suite, component and CPU.
func (r *Repo) Partitions() []string {
	var all []string
	for _, c := range r.env.Channels {
		for _, suite := range r.lists[c] {
			for _, a := range r.arches {
				all = append(all, suite+"/"+r.components[c]+"/"+a)
			}
		}
	}
	return all
}

// Indexes implements publish.Indexed: a channel's suites, which are for all CPUs, and
// the flat ones that its source names.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	var all []publish.ClientIndex
	if len(r.arches) > 0 {
		for _, suite := range r.lists[channel] {
			all = append(all, publish.ClientIndex{Path: path.Join(r.dir, "dists", suite)})
		}
	}
	if r.env.Flat && r.suites[channel] != "" {
		for _, server := range r.env.Servers {
			all = append(all, publish.ClientIndex{URL: slashed(server)})
		}
	}
	return all
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
	p := path.Join(r.dir, "pool", r.component, r.prefix(source), source, m.Name+"_"+version+"_"+m.Arch+".deb")
	var places []publish.Placement
	for _, suite := range r.lists[channel] {
		for _, a := range r.arches {
			if m.Arch == "all" || m.Arch == a {
				places = append(places, publish.Placement{Partition: suite + "/" + r.components[channel] + "/" + a, Path: p})
			}
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
