package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
)

// place is where a site's tree lies.
type place struct {
	publish.Destination
	name   string // for people: a folder, a kind
	bounds publish.Bounds
}

// Tries is how often a change is made anew where others publish to the same tree.
const Tries = 60

// openPlaces opens the places of all sites and taps and asks those that are far
// away whether they are there: before anything is built.
func (r *run) openPlaces(ctx context.Context) error {
	var errs []error
	r.places = make(map[string]*place)
	r.taps = make(map[string]publish.Destination)
	for i := range r.todo.Sites {
		s := &r.todo.Sites[i]
		p, err := r.openPlace(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("site %s: %w", s.Name, err))
			continue
		}
		r.places[s.Name] = p
		if section, ok := s.Config.Options["tap"]; ok {
			git := slices.IndexFunc(r.Places, func(k publish.DestinationKind) bool { return k.Name == "git" }) // without it the key tap is unknown
			tap, err := r.newPlace(r.Places[git], section, s, true)
			if err != nil {
				errs = append(errs, fmt.Errorf("tap of site %s: %w", s.Name, err))
				continue
			}
			r.taps[s.Name] = tap
		}
		if !r.publishes() {
			continue
		}
		for _, d := range []publish.Destination{p.Destination, r.taps[s.Name]} {
			if prober, ok := d.(publish.Prober); ok {
				if err := prober.Probe(ctx); err != nil {
					errs = append(errs, fmt.Errorf("site %s: %w", s.Name, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// openPlace opens the place of a site: the one its configuration names, or a
// folder.
func (r *run) openPlace(s *plan.Site) (*place, error) {
	p := &place{name: s.Place}
	if kind, section, ok := PlaceOf(r.Places, s.Config); ok {
		var err error
		if p.Destination, err = r.newPlace(kind, section, s, false); err != nil {
			return nil, err
		}
		if b, ok := p.Destination.(publish.Bounded); ok {
			p.bounds = b.Bounds()
		}
		return p, nil
	}
	dir := filepath.FromSlash(s.Dir)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(cmp.Or(r.SiteDirs, r.Dir), dir)
	}
	p.name = dir
	var err error
	p.Destination, err = r.Open(dir)
	return p, err
}

func (r *run) newPlace(kind publish.DestinationKind, section config.Section, s *plan.Site, shared bool) (publish.Destination, error) {
	d, err := NewPlace(kind, section, publish.DestinationEnv{
		Base: filepath.Join(r.Dir, filepath.FromSlash(r.project.Dir)), URL: s.URL, Lookup: r.Lookup, Now: r.Now, Say: r.say, Shared: shared,
	})
	if err != nil {
		return nil, err
	}
	if c, ok := d.(io.Closer); ok {
		r.closers = append(r.closers, c.Close)
	}
	return d, nil
}

// PlaceOf returns the kind of place that a site's configuration names, and its
// section; ok is false for a folder.
func PlaceOf(kinds []publish.DestinationKind, s *config.Site) (kind publish.DestinationKind, section config.Section, ok bool) {
	for _, k := range kinds {
		if section, ok := s.Options[k.Name]; ok {
			return k, section, true
		}
	}
	return kind, section, false
}

// NewPlace makes a place from a section of the configuration.
func NewPlace(kind publish.DestinationKind, section config.Section, env publish.DestinationEnv) (publish.Destination, error) {
	d, err := kind.New(section, env)
	return d, section.Wrap(err)
}

// isLarge reports whether an artifact lies elsewhere than in the site's tree.
func (r *run) isLarge(s *plan.Site, a *Artifact) bool {
	if s.Config.Large.To == "" {
		return false
	}
	over := cmp.Or(int64(s.Config.Large.Over), r.places[s.Name].bounds.File)
	return over > 0 && a.Size > over
}

// fits refuses packages that a site's place can't hold and whose clients can't
// fetch them from elsewhere. Nothing is published yet.
func (r *run) fits(context.Context) error {
	var errs []error
	for i := range r.todo.Sites {
		s := &r.todo.Sites[i]
		bounds := r.places[s.Name].bounds
		fail := func(format string, args ...any) {
			pos := s.Config.Pos
			errs = append(errs, configError(r.project, pos, "publish."+s.Name, "", fmt.Errorf(format, args...)))
		}
		for _, a := range r.made {
			if !r.listed(s, a) {
				continue
			}
			if !r.isLarge(s, a) {
				if bounds.File > 0 && a.Size > bounds.File {
					fail("%s is %s, the place holds files up to %s (%s): add large: {to: release}, publish to a bucket, or make it smaller", a.Name, source.Sized(a.Size), source.Sized(bounds.File), bounds.Why)
				}
				continue
			}
			clients := r.clientsOf(s, a)
			for _, c := range []string{"apk", "opkg"} {
				if slices.Contains(clients, c) {
					fail("%s is %s, and %s fetches packages from beside its index only: leave this format out of the package, or publish to a bucket", a.Name, source.Sized(a.Size), c)
				}
			}
			if r.prerelease() && (slices.Contains(clients, "pacman") || slices.Contains(clients, "apt")) {
				fail("%s is %s and of a pre-release: GitHub's address of the newest release, which apt and pacman use for large packages, never leads to one: publish to a bucket, or make it smaller", a.Name, source.Sized(a.Size))
			}
		}
	}
	return errors.Join(errs...)
}

// clientsOf lists the clients of a site that an artifact is for.
func (r *run) clientsOf(s *plan.Site, a *Artifact) []string {
	var clients []string
	for _, p := range s.Placements {
		if p.Filename == a.Name && !slices.Contains(clients, p.Client) {
			clients = append(clients, p.Client)
		}
	}
	return clients
}

// approve refuses a tree that outgrows its place.
func (r *run) approve(s *plan.Site, p *place) func(*publish.Result) error {
	return func(res *publish.Result) error {
		b := p.bounds
		switch {
		case b.Total > 0 && res.Bytes > b.Total:
			return fmt.Errorf("the packages would be %s, the place holds %s (%s): set keep.versions or keep.bytes, or raise the bound", source.Sized(res.Bytes), source.Sized(b.Total), b.Why)
		case b.Warn > 0 && res.Bytes > b.Warn:
			r.warn("site %s: its packages are %s, from %s on nothing more is published (%s): set keep.versions or keep.bytes", s.Name, source.Sized(res.Bytes), source.Sized(b.Total), b.Why)
		}
		return nil
	}
}

// fillTap puts the formulae of a site into its tap, where they are not there yet.
func (r *run) fillTap(ctx context.Context, s *plan.Site, version string) (changed bool, err error) {
	tap, site := r.taps[s.Name], r.places[s.Name]
	verify, err := r.site(s).Verify(r.clock)
	if err != nil {
		return false, err
	}
	view, err := publish.Read(ctx, site, s.Repos, verify)
	if err != nil {
		return false, err
	}
	formulae := make(map[string][]byte)
	for _, f := range view.RootFiles("brew") {
		if path.Ext(f) == ".rb" {
			if formulae["Formula/"+path.Base(f)], err = read(func() (io.ReadCloser, error) { return site.Open(ctx, version, f) }); err != nil {
				return false, err
			}
		}
	}
	for n := 1; ; n++ {
		head, err := tap.Head(ctx)
		if err != nil {
			return false, err
		}
		c := &publish.Change{Message: r.project.Project + " " + r.release.Version}
		for name, text := range formulae {
			old, err := read(func() (io.ReadCloser, error) { return tap.Open(ctx, head, name) })
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			if err != nil || !bytes.Equal(old, text) {
				c.Put = append(c.Put, publish.File{Path: name, Class: publish.Pointer, Blob: formats.Bytes(text)})
			}
		}
		if len(c.Put) == 0 || r.DryRun {
			return len(c.Put) > 0, nil
		}
		slices.SortFunc(c.Put, func(a, b publish.File) int { return strings.Compare(a.Path, b.Path) })
		_, err = tap.Commit(ctx, head, c)
		if !errors.Is(err, publish.ErrConflict) || n == Tries {
			return err == nil, err
		}
		if r.Pause != nil {
			if err := r.Pause(ctx, n); err != nil {
				return false, err
			}
		}
	}
}

// read returns all of a reader's content.
func read(open func() (io.ReadCloser, error)) ([]byte, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (r *run) say(text string) { r.warn("%s", text) }

// warn adds a warning, each text once. It may be called concurrently.
func (r *run) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.warnings.Lock()
	defer r.warnings.Unlock()
	if !slices.Contains(r.report.Warnings, text) {
		r.report.Warnings = append(r.report.Warnings, text)
	}
}

// skip reports a leg that is done already. It may be called concurrently.
func (r *run) skip(format string, args ...any) {
	r.warnings.Lock()
	defer r.warnings.Unlock()
	r.report.Skipped = append(r.report.Skipped, fmt.Sprintf(format, args...))
}

func configError(p *config.Project, pos config.Pos, at, hint string, err error) error {
	return &config.Error{File: p.File, Line: pos.Line, Col: pos.Col, Path: at, Err: err, Hint: hint}
}
