package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	destall "github.com/distropack/distropack/publish/dest/all"
	"github.com/distropack/distropack/publish/dest/dir"
	ghrelease "github.com/distropack/distropack/publish/dest/release"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

// settingsFile lies in the root of a tree that no project describes.
const settingsFile = ".distropack.json"

// settings are what repo create was told.
type settings struct {
	Name        string   `json:"name"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	URL         string   `json:"url,omitempty"`
	Channels    []string `json:"channels"`
	Platforms   []string `json:"platforms"`
	Clients     []string `json:"clients,omitempty"`
}

// repoFlags are those of every command below repo.
type repoFlags struct {
	key, site string
	unsigned  bool
}

func (o *repoFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.key, "key", "", "the signing key's `file`; signing.key or DISTROPACK_KEY where absent")
	f.BoolVar(&o.unsigned, "unsigned", false, "sign nothing")
	f.StringVar(&o.site, "site", "", "the site of distropack.yml that DIR is; the one with that folder where absent")
}

// repository is an open tree with what describes it.
type repository struct {
	dst      publish.Destination
	dir      string // or the site's name, where the tree is in no folder
	settings string // the file that describes it, where no project does
	site     *pipeline.Site
	options  publish.Options
}

// repository opens the tree in a folder. It is described by the distropack.yml
// here, if a site there has that folder, or by the settings in the tree. With "" for
// the tree it is that of --site.
func (a *app) repository(o *repoFlags, tree string) (*repository, error) {
	if err := keyIsThere(o.key); err != nil {
		return nil, err
	}
	if o.key == "" {
		o.key = a.env("DISTROPACK_KEY")
	}
	project, site, err := a.describe(o, tree)
	if err != nil {
		return nil, err
	}
	if tree == "" {
		if tree = filepath.FromSlash(cmp.Or(site.Dir, site.Site)); !filepath.IsAbs(tree) && site.Dir != "" {
			tree = filepath.Join(a.dir, tree)
		}
	}
	key := ""
	var ring *keys.Keyring
	if !o.unsigned {
		refs := map[string]keys.Secret{plan.PackageKey: keys.NewSecret(project.Signing.Key), "also": keys.NewSecret(project.Signing.Also)}
		if project.Signing.Key == "" {
			refs[plan.PackageKey] = keys.NewSecret(o.key)
		}
		key = plan.SiteKey(site, &project.Signing)
		if site.Key != "" {
			refs[plan.OwnKey(site)] = keys.NewSecret(site.Key)
		}
		if refs[plan.PackageKey].IsEmpty() {
			return nil, usagef("there is no signing key: --key FILE, DISTROPACK_KEY, or --unsigned")
		}
		if ring, err = keys.Open(project.Project, refs, keys.Options{Now: a.now, At: a.at(), Passphrases: map[string]keys.Secret{"": keys.NewSecret(a.env("DISTROPACK_PASSPHRASE"))}}); err != nil {
			return nil, &usageError{err}
		}
	}
	po := plan.Options{Formats: formatsall.Kinds(), Repos: repoall.Kinds()}
	for _, k := range destall.Kinds() {
		po.Places = append(po.Places, k.Name)
	}
	if po.Latest, err = a.latest(project, site); err != nil {
		return nil, err
	}
	if ring != nil {
		po.Keys = ring
	}
	ps, err := plan.Tree(project, site, po)
	if err != nil {
		return nil, err
	}
	r := &repository{dir: tree, site: &pipeline.Site{Plan: ps, Project: project, Tool: "distropack " + version(), At: a.at()}}
	if project.File == settingsFile {
		r.settings = filepath.Join(tree, settingsFile)
	}
	if ring != nil {
		r.site.Keys = ring
		ps.Key = key
	}
	if r.options, err = r.site.Options(a.clock()); err != nil {
		return nil, err
	}
	say := func(s string) { fmt.Fprintln(a.err, s) }
	if kind, section, ok := pipeline.PlaceOf(destall.Kinds(), site); ok {
		env := publish.DestinationEnv{Base: a.dir, URL: ps.URL, Lookup: a.lookup, Now: a.now, Say: say}
		r.options.Tries, r.options.Pause = pipeline.Tries, a.waiter()
		r.dst, err = pipeline.NewPlace(kind, section, env)
		if c, ok := r.dst.(io.Closer); ok {
			a.closers = append(a.closers, c.Close)
		}
		return r, err
	}
	r.dst, err = dir.Open(tree, dir.Options{Say: say})
	return r, err
}

// latest is where the newest release's files lie, for a site that has its large
// packages there; "" for others.
func (a *app) latest(p *config.Project, site *config.Site) (string, error) {
	if site.Large.To != "release" || p.GitHub == nil {
		return "", nil
	}
	origin := ""
	if co, err := openCheckout(a.dir); err != nil {
		return "", err
	} else if co != nil {
		origin = co.origin()
	}
	releases, err := pipeline.Releases(p, origin, a.lookup, ghrelease.Options{})
	if err != nil {
		return "", err
	}
	return releases.Latest(), nil
}

// at is when a change is said to be made: SOURCE_DATE_EPOCH, or now.
func (a *app) at() time.Time {
	var n int64
	if _, err := fmt.Sscan(a.env("SOURCE_DATE_EPOCH"), &n); err == nil && n > 0 {
		return time.Unix(n, 0).UTC()
	}
	return a.now.UTC().Truncate(time.Second)
}

func (a *app) describe(o *repoFlags, tree string) (*config.Project, *config.Site, error) {
	name := filepath.Join(tree, settingsFile)
	b, err := os.ReadFile(name)
	if err == nil && tree != "" {
		var s settings
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, nil, usagef("%s: %w", name, err)
		}
		project, site, err := s.project()
		if err != nil {
			return nil, nil, usagef("%s: %w", name, err)
		}
		return project, site, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	p, err := a.open()
	if err != nil {
		return nil, nil, err
	}
	defer p.root.Close()
	text, err := fs.ReadFile(p.root.FS(), filepath.ToSlash(filepath.Clean(a.config)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, usagef("%s has no %s and there is no %s here: distropack repo create %s makes a tree", tree, settingsFile, a.config, tree)
	}
	if err != nil {
		return nil, nil, err
	}
	co := known()
	co.Env = a.variable(p)
	project, err := config.Parse(a.config, text, co)
	if err != nil {
		return nil, nil, err
	}
	abs, err := filepath.Abs(tree)
	if err != nil {
		return nil, nil, err
	}
	for i := range project.Publish {
		s := &project.Publish[i]
		at := s.Dir
		if at == "" {
			at = filepath.Join("dist", s.Site)
		}
		if !filepath.IsAbs(at) {
			at = filepath.Join(p.dir, at)
		}
		if s.Site == o.site || o.site == "" && (s.Dir != "" && filepath.Clean(at) == abs || s.Dir == "" && s.Site == tree) {
			return project, s, nil
		}
	}
	if tree == "" {
		return nil, nil, usagef("no site of %s is called %s", a.config, o.site)
	}
	return nil, nil, usagef("no site of %s has the folder or the name %s: name one with --site", a.config, tree)
}

func (s *settings) project() (*config.Project, *config.Site, error) {
	p := &config.Project{Version: 1, Project: s.Name, Title: s.Title, Description: s.Description, File: settingsFile, Dir: "."}
	for _, c := range s.Channels {
		p.Channels = append(p.Channels, config.Channel{Name: c, Tags: "*", Prereleases: true})
	}
	for _, text := range s.Platforms {
		platform, err := formats.ParsePlatform(text)
		if err != nil {
			return nil, nil, &usageError{err}
		}
		p.Platforms = append(p.Platforms, platform)
	}
	for _, c := range s.Clients {
		if !slices.ContainsFunc(repoall.Kinds(), func(k publish.RepoKind) bool { return k.Name == c }) {
			return nil, nil, usagef("unknown client %q; there are: %s", c, join(clientNames()))
		}
	}
	p.Publish = []config.Site{{Site: s.Name, URL: s.URL, Clients: s.Clients}}
	return p, &p.Publish[0], nil
}

func clientNames() []string {
	var names []string
	for _, k := range repoall.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// publish makes an edit and shows what it did.
func (a *app) publish(c *cobra.Command, r *repository, e publish.Edit) error {
	res, err := publish.Publish(c.Context(), r.dst, r.site.Plan.Repos, e, r.options)
	if err != nil {
		return err
	}
	rep := pipeline.NewSiteReport(r.site.Plan.Name, r.dir, r.site.Plan.URL, res)
	o := &releaseFlags{dryRun: r.options.DryRun}
	return a.show(rep, func(w io.Writer) {
		a.showRelease(w, &pipeline.Report{Sites: []*pipeline.SiteReport{rep}}, o)
		for _, p := range res.Abandoned {
			fmt.Fprintf(w, "  %s the unfinished upload of %s\n", map[bool]string{true: "would give up", false: "gave up"}[o.dryRun], p)
		}
		if o.dryRun {
			return
		}
		if e.Collect && len(rep.Deleted) > 0 {
			fmt.Fprintf(w, "  deleted %d files\n", len(rep.Deleted))
		}
		for _, l := range res.Added {
			fmt.Fprintf(w, "  + %s %s (%s %s)\n", l.Name, l.Version, l.Repo, l.Partition)
		}
		for _, l := range res.Removed {
			fmt.Fprintf(w, "  - %s %s (%s %s)\n", l.Name, l.Version, l.Repo, l.Partition)
		}
	})
}

// nameVersion takes NAME, NAME@VERSION or NAME=VERSION apart.
func nameVersion(arg string) (name, version string) {
	i := strings.LastIndexAny(arg, "@=")
	if i <= 0 {
		return arg, ""
	}
	return arg[:i], arg[i+1:]
}
