package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
)

// plan opens the keys and says what will be made.
func (r *run) plan(ctx context.Context) error {
	if r.Stop == Check {
		return nil
	}
	if err := r.selected(); err != nil {
		return err
	}
	var err error
	if r.release, err = r.resolve(ctx); err != nil {
		return err
	}
	if err := r.openKeys(); err != nil {
		return err
	}
	o := plan.Options{Formats: r.Formats, Repos: r.Repos, Site: r.Site, Only: r.Only}
	if r.keyring != nil {
		o.Keys = r.keyring
	}
	if r.Stop == All || r.Stop >= Package {
		dir, err := os.MkdirTemp("", "distropack-")
		if err != nil {
			return err
		}
		r.closers = append(r.closers, func() error { return os.RemoveAll(dir) })
		o.Scratch = formats.NewScratch(dir)
	}
	if err := r.openReleases(); err != nil {
		return err
	}
	if r.releases != nil {
		o.Latest = r.releases.Latest()
	}
	for _, k := range r.Places {
		o.Places = append(o.Places, k.Name)
	}
	r.todo, err = plan.Make(r.project, r.release, o)
	r.report.Plan = r.todo
	if errors.Is(err, plan.ErrNothing) {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return err
}

// selected refuses a choice of what is not there.
func (r *run) selected() error {
	var sites, packages []string
	for _, s := range r.project.Publish {
		sites = append(sites, s.Site)
	}
	for _, p := range r.project.Packages {
		packages = append(packages, p.Name)
	}
	if r.Site != "" && !slices.Contains(sites, r.Site) {
		return fmt.Errorf("%w: there is no site %q below publish; there are: %s", ErrUsage, r.Site, strings.Join(sites, ", "))
	}
	for _, name := range r.Only.Packages {
		if !slices.Contains(packages, name) {
			return fmt.Errorf("%w: there is no package %q; there are: %s", ErrUsage, name, strings.Join(packages, ", "))
		}
	}
	return nil
}

// openKeys opens the keys of the configuration. Where it names none and the
// caller has none, a release is refused rather than left unsigned.
func (r *run) openKeys() error {
	if r.Unsigned {
		return nil
	}
	if r.Keys != nil {
		r.keyring = r.Keys
		return nil
	}
	refs := map[string]keys.Secret{plan.PackageKey: keys.NewSecret(r.project.Signing.Key), "also": keys.NewSecret(r.project.Signing.Also)}
	if r.project.Signing.Key == "" {
		refs[plan.PackageKey] = r.Key
	}
	for _, s := range r.project.Publish {
		if s.Key != "" {
			refs[plan.OwnKey(&s)] = keys.NewSecret(s.Key)
		}
	}
	if refs[plan.PackageKey].IsEmpty() {
		if r.Stop == All || r.Stop == Attach {
			return fmt.Errorf("%w: there is no signing key: distropack keys new makes one; name it in signing.key or DISTROPACK_KEY, or publish without signatures with --unsigned", ErrUsage)
		}
		if r.Stop != Check {
			r.report.Warnings = append(r.report.Warnings, "no signing key: packages and indexes would be unsigned; a release needs one (distropack keys new)")
		}
		return nil
	}
	ring, err := keys.Open(r.project.Project, refs, keys.Options{Now: r.Now, At: r.release.Time, Passphrases: map[string]keys.Secret{"": r.Pass}})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	for _, name := range ring.Names() {
		for _, w := range ring.Key(name).Warnings(r.Now) {
			r.report.Warnings = append(r.report.Warnings, "key "+name+": "+w)
		}
	}
	r.keyring = ring
	return nil
}
