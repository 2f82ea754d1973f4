package release

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
)

// packed is what the packer made.
type packed struct {
	Packages map[string]string `json:"packages"` // SHA-256 by name
	Bytes    int64             `json:"bytes"`
}

// pack makes the packages.
func (j *job) pack(ctx context.Context, f facts) (packed, error) {
	w, err := j.world(ctx, f)
	if err != nil {
		return packed{}, err
	}
	defer w.close()
	began := j.Now()
	made, err := j.havePackages(ctx, w)
	// What was tried counts too: else a project that fails could try without end.
	took := int64(j.Now().Sub(began).Round(time.Second) / time.Second)
	if e := j.Store.Count(context.WithoutCancel(ctx), "seconds", w.release.Installation, took); e != nil {
		j.log.Warn("what a release used can't be counted", "release", w.release.ID, "err", e)
	}
	if err != nil {
		return packed{}, err
	}
	return made, j.Store.Count(ctx, "bytes", w.release.Installation, made.Bytes)
}

// havePackages makes sure that the packages are here. Made again, on another node,
// they have to be the same.
func (j *job) havePackages(ctx context.Context, w *world) (packed, error) {
	defer j.lock(w.release.ID)()
	var made packed
	if whole(w.out(), &made) {
		return made, nil
	}
	if err := fresh(w.out()); err != nil {
		return packed{}, err
	}
	assets, err := j.haveAssets(ctx, w)
	if err != nil {
		return packed{}, err
	}
	rec := j.record(ctx)
	defer rec.close()
	progress := packer.Progress{Line: func(text string) { rec.say("", text) }, Event: func(e pipeline.Event) {
		if e.Step != "package" {
			return
		}
		if !e.Done {
			rec.begin(legPackage, e.Name)
			return
		}
		l := rec.leg(legPackage, e.Name)
		rec.set(l, func(l *store.Leg) { l.Bytes = e.Size })
		rec.end(l, e.Err)
	}}
	o := j.Packer
	o.Names = ringNames(w.keys)
	if o.Temp == "" {
		o.Temp = w.dir()
	}
	task := w.task()
	began := j.Now()
	res, err := packer.Run(ctx, o, packer.Request{
		Tree: w.tree(), Assets: assets, Out: w.out(), Config: check.Config, Release: task.Release, Repository: task.Repository,
		Tool: j.Tool, Variables: w.vars.blanks(), Now: j.Now(),
	}, w.ring, progress)
	if err != nil {
		return packed{}, err
	}
	made = packed{Packages: map[string]string{}}
	for _, a := range res.Artifacts {
		if a.Type == "package" {
			made.Packages[a.Name] = a.SHA256.String()
			made.Bytes += a.Size
		}
	}
	if err := same(made.Packages, w.facts.Packages); err != nil {
		return packed{}, err
	}
	for _, text := range slices.Concat(res.Skipped, res.Warnings) {
		rec.say("", text)
	}
	rec.say("", fmt.Sprintf("%d packages were made in %s", len(made.Packages), j.Now().Sub(began).Round(10*time.Millisecond)))
	if _, err := j.change(ctx, w.release.ID, func(_ *store.Release, x *row) { x.warn(res.Warnings...) }); err != nil {
		return packed{}, err
	}
	return made, done(w.out(), made)
}

// same refuses packages that were made again and came out other. want is nil where
// they are made for the first time.
func same(made, want map[string]string) error {
	if want == nil || maps.Equal(made, want) {
		return nil
	}
	return fmt.Errorf("the packages were made again, since their files were on another machine, and came out other: %s: are two versions of DistroPack at work?", differing(made, want))
}

// differing names what is not the same, at most three.
func differing(a, b map[string]string) string {
	var names []string
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names[:min(3, len(names))], ", ")
}

// ringNames are the keys by the names that sites have for them.
func ringNames(keys []string) []string {
	names := slices.Clone(keys)
	for _, k := range keys {
		if strings.HasPrefix(k, "site-") {
			names = append(names, k+"+"+plan.PackageKey)
		}
		if k == "also" {
			names = append(names, plan.PackageKey+"+also")
		}
	}
	return names
}

// linked is a folder with the packages for one child: several publish at once, and
// each has a journal.
func (j *job) linked(w *world) (string, error) {
	dir := filepath.Join(w.dir(), "site-"+safe(j.in.Site))
	if err := fresh(dir); err != nil {
		return "", err
	}
	return dir, filepath.WalkDir(w.out(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		to := filepath.Join(dir, filepath.Base(name))
		if _, ok := w.facts.Packages[d.Name()]; ok && filepath.Dir(name) == w.out() {
			return os.Link(name, to)
		}
		if d.Name() != "journal.json" {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	})
}

// safe is a name of a file for a site's name.
func safe(site string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, strings.ToLower(site))
}
