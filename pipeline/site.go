package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/site"
)

// Site makes what a tree has besides its repositories: keys, trace, install page.
type Site struct {
	Plan    *plan.Site
	Project *config.Project
	Keys    Keyring // nil: unsigned
	Tool    string
	At      time.Time // of the release
}

// most is how many records a tree may have for the page to list all of them;
// above it, the page has the packages of the last publish, so that a publish to a
// very large tree does not read all of it.
const most = 20_000

// Verify returns how the state of the tree is checked; nil where it is unsigned.
// The clock is read at each check: while a release is made, others go on
// publishing, and what they sign then is not from the future.
func (s *Site) Verify(clock func() time.Time) (publish.Verify, error) {
	if s.Keys == nil || s.Plan.Key == "" {
		return nil, nil
	}
	if _, err := s.Keys.Verifier(s.Plan.Key, clock()); err != nil {
		return nil, err
	}
	return func(message, signature []byte) error {
		verify, err := s.Keys.Verifier(s.Plan.Key, clock())
		if err != nil {
			return err
		}
		return verify(message, signature)
	}, nil
}

// Options returns how the tree is published.
func (s *Site) Options(clock func() time.Time) (publish.Options, error) {
	keep := s.Plan.Config.Keep
	o := publish.Options{
		Time: s.At.Unix(), Now: clock().Unix(),
		Keep:  publish.Keep{Versions: keep.Versions, PerMinor: keep.PerMinor, Bytes: int64(keep.Bytes), Pin: keep.Pin},
		Grace: int64(cmp.Or(time.Duration(keep.Grace), defaultGrace).Seconds()),
		Site:  s.render,
	}
	o.SiteSettings = fmt.Sprintf("%s %q %q %q %q %q %q %v", site.Revision, s.Plan.URL, s.name(), s.title(), s.Project.Description, s.Project.Homepage, s.Project.License, s.Plan.Channels)
	for _, d := range s.Plan.Large {
		o.SiteSettings += fmt.Sprintf(" %q", d.From)
	}
	o.SiteSettings += fmt.Sprintf(" %q", s.indexes())
	if s.Keys == nil {
		return o, nil
	}
	for _, k := range s.publicKeys() {
		o.SiteSettings += " " + k.ID
	}
	var err error
	if o.Verify, err = s.Verify(clock); err != nil {
		return o, err
	}
	o.Sign, err = s.Keys.Signer(s.Plan.Key, formats.OpenPGPArmor)
	return o, err
}

func (s *Site) name() string  { return cmp.Or(s.Plan.Config.Name, s.Project.Project) }
func (s *Site) title() string { return cmp.Or(s.Plan.Config.Title, s.Project.Title, s.Project.Project) }

type namedKey struct {
	*formats.PublicKey
	kind formats.Scheme
	path string
	file []byte
}

// publicKeys lists what the tree's signatures are checked with, under stable
// names.
func (s *Site) publicKeys() []namedKey {
	if s.Keys == nil || s.Plan.Key == "" {
		return nil
	}
	var all []namedKey
	if p, err := s.Keys.Public(s.Plan.Key, formats.OpenPGP); err == nil {
		all = append(all, namedKey{p, formats.OpenPGP, "keys/" + s.name() + ".asc", p.Data}, namedKey{p, "", "keys/" + s.name() + ".gpg", p.Binary})
	}
	if p, err := s.Keys.Public(s.Plan.Key, formats.RSA256); err == nil && slices.Contains(s.Plan.Clients, "apk") {
		all = append(all, namedKey{p, formats.RSA256, "keys/" + p.Name, p.Data})
	}
	if p, err := s.Keys.Public(s.Plan.Key, formats.Usign); err == nil && slices.Contains(s.Plan.Clients, "opkg") {
		all = append(all, namedKey{p, formats.Usign, "keys/" + s.name() + ".usign.pub", p.Data}, namedKey{p, "", "keys/" + p.Name, p.Data})
	}
	return all
}

// render makes the files no repository brings.
func (s *Site) render(ctx context.Context, v *publish.View) ([]publish.File, error) {
	in := &site.Input{
		Name: s.name(), Title: s.title(), Description: s.Project.Description, Homepage: s.Project.Homepage, License: s.Project.License,
		URL: s.Plan.URL, At: time.Unix(v.Time, 0).UTC(), Serial: v.Serial, Channels: s.Plan.Channels, Guides: make(map[string][]*publish.Guide),
	}
	var files []publish.File
	have := make(map[string]bool)
	for _, k := range s.publicKeys() {
		if !have[k.path] {
			have[k.path] = true
			files = append(files, publish.File{Path: k.path, Class: publish.Pointer, Blob: formats.Bytes(k.file)})
		}
		if k.kind == "" {
			continue
		}
		for _, id := range strings.Fields(k.ID) { // two, while keys are rotated
			in.Keys = append(in.Keys, site.Key{Name: s.title(), Kind: string(k.kind), Fingerprint: id, Path: k.path})
		}
	}
	files = append(files, s.trace(v))
	files = append(files, publish.File{Path: ".nojekyll", Class: publish.Pointer, Blob: formats.Bytes(nil)})
	if s.Plan.URL == "" { // instructions need an address
		return files, nil
	}
	if err := s.packages(ctx, v, in); err != nil {
		return nil, err
	}
	for _, ch := range s.Plan.Channels {
		var names []string
		for _, p := range in.Packages {
			if p.Channel == ch {
				names = append(names, p.Name)
			}
		}
		g := &publish.GuideInput{URL: s.Plan.URL, Title: s.title(), Channel: ch, Packages: names}
		for _, r := range s.Plan.Repos {
			guides, err := guidesOf(ctx, r, g)
			if err != nil {
				return nil, fmt.Errorf("repository %s: %w", r.Name(), err)
			}
			in.Guides[ch] = append(in.Guides[ch], guides...)
		}
	}
	in.Indexes = s.indexes()
	own, err := site.GuideFiles(in.Guides)
	if err != nil {
		return nil, err
	}
	for _, f := range own {
		if !have[f.Path] {
			have[f.Path] = true
			files = append(files, f)
		}
	}
	pages, err := site.Render(in)
	if err != nil {
		return nil, err
	}
	return append(files, pages...), nil
}

// indexes lists what clients are pointed at. It is what is configured: a partition
// that only another project's configuration knows is not among it, as its packages
// are not on the page.
func (s *Site) indexes() []site.Index {
	var all []site.Index
	for _, r := range s.Plan.Repos {
		is, ok := r.(publish.Indexed)
		if !ok {
			continue
		}
		for _, ch := range s.Plan.Channels {
			for _, x := range is.Indexes(ch) {
				all = append(all, site.Index{Client: r.Name(), Channel: ch, ClientIndex: x})
			}
		}
	}
	return all
}

func guidesOf(ctx context.Context, r publish.Repo, in *publish.GuideInput) ([]*publish.Guide, error) {
	if many, ok := r.(publish.Guides); ok {
		return many.Guides(ctx, in)
	}
	g, err := r.Guide(ctx, in)
	if g == nil || err != nil {
		return nil, err
	}
	return []*publish.Guide{g}, nil
}

// trace is what mirrors compare: Debian's project/trace.
func (s *Site) trace(v *publish.View) publish.File {
	at := time.Unix(v.Time, 0).UTC()
	text := fmt.Sprintf("%s\nDate: %s\nArchive serial: %d\nUsed-Program: %s\nCreator: %s\n", at.Format("Mon Jan _2 15:04:05 UTC 2006"), at.Format(time.RFC1123Z), v.Serial, s.Tool, s.name())
	return publish.File{Path: "project/trace/" + s.name(), Class: publish.Pointer, Blob: formats.Bytes([]byte(text))}
}

// packages collects what the page lists. What this change did not touch is taken
// from the list that the tree has, so that a publish reads the records of its own
// packages only.
func (s *Site) packages(ctx context.Context, v *publish.View, in *site.Input) error {
	if v.Count() > most {
		return s.collect(ctx, v, in, false, v.Touched())
	}
	old, err := s.listed(ctx, v)
	if err != nil {
		return err
	}
	if old == nil {
		return s.collect(ctx, v, in, true, nil)
	}
	touched := make(map[string]bool)
	for _, name := range v.Touched() {
		touched[name] = true
	}
	for _, p := range old {
		if !touched[p.Name] {
			p.Same = true
			in.Packages = append(in.Packages, p)
		}
	}
	if err := s.collect(ctx, v, in, false, v.Touched()); err != nil {
		return err
	}
	if v.SameSite() && maps.Equal(clientsOf(old), clientsOf(in.Packages)) { // a page says which clients its channel has
		in.Known = v.SiteFile
	}
	return nil
}

// listed returns the packages that the tree's own list has; nil where they have to
// be collected anew.
func (s *Site) listed(ctx context.Context, v *publish.View) ([]site.Package, error) {
	if v.Moved() || v.CountBefore() > most {
		return nil, nil
	}
	b, err := v.ReadSite(ctx, "install.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, packages, err := site.ParseList(b)
	if err != nil || list.URL != s.Plan.URL {
		return nil, nil // another program's: it is made anew
	}
	var channels []string
	for _, c := range list.Channels {
		channels = append(channels, c.Name)
	}
	if !slices.Equal(channels, s.Plan.Channels) {
		return nil, nil
	}
	return packages, nil
}

// clientsOf lists the clients that have packages in a channel.
func clientsOf(packages []site.Package) map[[2]string]bool {
	all := make(map[[2]string]bool)
	for _, p := range packages {
		for _, version := range p.Versions {
			for _, d := range version.Downloads {
				all[[2]string{p.Channel, d.Client}] = true
			}
		}
	}
	return all
}

// collect adds all packages, or those of names, as the records have them.
func (s *Site) collect(ctx context.Context, v *publish.View, in *site.Input, all bool, names []string) error {
	type key struct{ channel, name string }
	byName := make(map[key]*site.Package)
	channels := make(map[string]string) // repository and partition → channel
	repos := make(map[string]publish.Repo)
	for _, r := range s.Plan.Repos {
		repos[r.Name()] = r
	}
	add := func(repo, part string, rec *publish.Record) error {
		at := repo + " " + part
		ch, ok := channels[at]
		if !ok {
			var err error
			if ch, err = s.channelOf(repos[repo], part, rec); err != nil {
				return err
			}
			channels[at] = ch
		}
		if ch == "" {
			return nil
		}
		k := key{ch, rec.Meta.Name}
		p := byName[k]
		if p == nil {
			p = &site.Package{Name: rec.Meta.Name, Channel: ch, Description: describe(rec)}
			byName[k] = p
		}
		version := cmp.Or(rec.Version, rec.Meta.Version)
		i := slices.IndexFunc(p.Versions, func(x site.Version) bool { return x.Version == version })
		if i < 0 {
			i = len(p.Versions)
			p.Versions = append(p.Versions, site.Version{Version: version, Time: time.Unix(rec.Added, 0).UTC()})
		}
		d := site.Download{Client: repo, Format: rec.Meta.Format, Arch: rec.Meta.Arch, Path: rec.Path, URL: rec.URL, Size: rec.Ref.Size, SHA256: rec.Ref.SHA256}
		if repo == "downloads" {
			d.Client = ""
		}
		// A file is shown once, though several indexes list it.
		for j, x := range p.Versions[i].Downloads {
			if x.Path == d.Path || x.SHA256 == d.SHA256 {
				if x.Client == "" {
					p.Versions[i].Downloads[j].Client = d.Client
				}
				return nil
			}
		}
		p.Versions[i].Downloads = append(p.Versions[i].Downloads, d)
		return nil
	}
	if all {
		if err := v.Each(ctx, "", add); err != nil {
			return err
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := v.Each(ctx, name, add); err != nil {
			return err
		}
	}
	for _, p := range byName {
		slices.SortFunc(p.Versions, func(a, b site.Version) int { return formats.CompareVersions(b.Version, a.Version) })
		in.Packages = append(in.Packages, *p)
	}
	slices.SortFunc(in.Packages, func(a, b site.Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(slices.Index(s.Plan.Channels, a.Channel), slices.Index(s.Plan.Channels, b.Channel)))
	})
	return nil
}

// channelOf finds the channel whose partition lists rec.
func (s *Site) channelOf(r publish.Repo, part string, rec *publish.Record) (string, error) {
	for _, ch := range s.Plan.Channels {
		places, err := r.Place(&rec.Meta, ch)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(places, func(p publish.Placement) bool { return p.Partition == part }) {
			return ch, nil
		}
	}
	return "", nil
}

// describe finds the summary in the fields of any format.
func describe(rec *publish.Record) string {
	for _, k := range []string{"Description", "summary", "pkgdesc"} {
		if s := rec.Meta.Get(k); s != "" {
			line, _, _ := strings.Cut(s, "\n")
			return line
		}
	}
	return ""
}

var _ Keyring = (*keys.Keyring)(nil)
