package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/pipeline/source"
)

// maxConfig bounds distropack.yml, in bytes; the parser's own limit is lower and says
// so.
const maxConfig = 1 << 20

// look reads distropack.yml at the commit, and nothing else: most tags of most
// repositories end here.
func (j *job) look(ctx context.Context) (verdict, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return verdict{}, err
	}
	repo, err := j.repository(ctx, r.Repository)
	if err != nil {
		return verdict{}, err
	}
	text, err := j.client(repo).File(ctx, repo.Owner, repo.Name, check.Config, r.Commit, maxConfig)
	if errors.Is(err, github.ErrNotFound) && !errors.Is(err, github.ErrNoInstallation) {
		return verdict{State: store.Ignored, Short: "There is no distropack.yml at this commit.", Plain: true}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	vars, err := j.variables(ctx, repo)
	if err != nil {
		return verdict{}, err
	}
	project, err := j.parse(text, vars.lookup)
	if err != nil {
		if _, e := j.createCheck(ctx); e != nil {
			return verdict{}, e
		}
		return verdict{}, err
	}
	if !pipeline.Takes(project, r.Tag) {
		return verdict{State: store.Ignored, Short: "No channel of distropack.yml takes this tag."}, nil
	}
	return verdict{}, nil
}

func (s *Releases) parse(text []byte, lookup func(string) (string, bool)) (*config.Project, error) {
	return config.Parse(check.Config, text, config.Options{Env: lookup, Formats: s.Formats, Clients: s.Repos, Places: s.Places})
}

// planned is what a release is about to make.
type planned struct {
	verdict
	Version string   `json:"version"`
	Sites   []target `json:"sites"`
	Assets  []string `json:"assets,omitempty"` // patterns of files that have to be there
	Spare   []string `json:"spare,omitempty"`  // of files that may be
}

// target is a site that is published to.
type target struct {
	Name   string `json:"name"`
	URL    string `json:"url,omitempty"`
	Target string `json:"target"` // what it shares with all sites that are published to the same tree
}

// plan says what will be made, with the files of the commit at hand.
func (j *job) plan(ctx context.Context, f facts) (planned, error) {
	w, err := j.world(ctx, f)
	if err != nil {
		return planned{}, err
	}
	defer w.close()
	if err := j.rules(w); err != nil {
		return planned{}, err
	}
	env, task := w.env(ctx), w.task()
	task.Stop = pipeline.Plan
	if env.Places, err = j.guarded(ctx, w); err != nil {
		return planned{}, err
	}
	if w.project.GitHub != nil && w.project.GitHub.Token == "" { // what is not allowed is better known before the work
		if _, err := w.token(ctx); err != nil {
			return planned{}, err
		}
	}
	rep, err := pipeline.Run(ctx, env, task)
	if errors.Is(err, pipeline.ErrNoChannel) {
		return planned{verdict: verdict{State: store.Ignored, Short: "No channel of distropack.yml takes this version."}}, nil
	}
	if err != nil {
		return planned{}, err
	}
	p := planned{Version: rep.Plan.Release.Version}
	only := rowOf(w.release).Only
	for i := range rep.Plan.Sites {
		site := &rep.Plan.Sites[i]
		if len(only) > 0 && !slices.Contains(only, site.Name) {
			continue
		}
		if !slices.ContainsFunc(site.Channels, func(c string) bool { return slices.Contains(rep.Plan.Release.Channels, c) }) {
			continue
		}
		p.Sites = append(p.Sites, target{site.Name, site.URL, j.targetOf(w, site)})
	}
	p.Assets, p.Spare, err = patterns(w.project, rep.Plan)
	if err != nil {
		return planned{}, err
	}
	_, err = j.change(ctx, j.in.Release, func(r *store.Release, x *row) {
		r.Version = p.Version
		x.Plan = rep.Plan
		x.warn(rep.Warnings...)
	})
	if err != nil {
		return planned{}, err
	}
	j.say(ctx, "", fmt.Sprintf("%s %s: %d packages for %d places", rep.Plan.Project, p.Version, len(rep.Plan.Targets), len(p.Sites)))
	return p, nil
}

// patterns of sources that come from the GitHub release, for each platform that is
// made of them.
func patterns(p *config.Project, made *plan.Plan) (needed, spare []string, err error) {
	for name, src := range p.Sources {
		if src.Assets == "" {
			continue
		}
		for i := range made.Targets {
			t := &made.Targets[i]
			if !uses(t.Config, name) {
				continue
			}
			pattern, err := source.Expand(src.Assets, source.Values(t.Platform, made.Release.Version, made.Release.Tag))
			if err != nil {
				return nil, nil, &config.Error{File: p.File, Line: src.Pos.Line, Col: src.Pos.Col, Path: "sources." + name, Err: err}
			}
			if src.Optional {
				spare = append(spare, pattern)
			} else {
				needed = append(needed, pattern)
			}
		}
	}
	slices.Sort(needed)
	slices.Sort(spare)
	return slices.Compact(needed), slices.Compact(spare), nil
}

func uses(p *config.Package, slot string) bool {
	return slices.ContainsFunc(p.Contents, func(c config.Content) bool {
		return len(c.Src) > len(slot) && c.Src[:len(slot)+1] == slot+":"
	})
}

// rules are the mistakes that only the App finds: what a server does not do for
// strangers.
func (j *job) rules(w *world) error {
	var errs config.Errors
	p := w.project
	add := func(pos config.Pos, at, hint, format string, args ...any) {
		errs = append(errs, &config.Error{File: p.File, Line: pos.Line, Col: pos.Col, Path: at, Hint: hint, Err: fmt.Errorf(format, args...)})
	}
	var commands config.Errors
	if errors.As(packer.Commands(p), &commands) {
		errs = append(errs, commands...)
	}
	if g := p.GitHub; g != nil && g.Token == "" {
		if g.API != "" && !sameAddress(g.API, j.API) {
			add(g.Pos, "github.api", "leave it out, or give a token for that server", "the App's token is for %s alone", j.API)
		}
		if g.Repository != "" && !sameName(g.Repository, w.repo.Owner+"/"+w.repo.Name) {
			add(g.Pos, "github.repository", "leave it out, or give a token for that repository", "the App releases in the repository of the tag")
		}
	}
	if len(p.Publish) == 0 && p.GitHub == nil {
		add(config.Pos{Line: 1, Col: 1}, "", "add a site below publish, or github: {}", "nothing would be published")
	}
	for i := range p.Publish {
		site := &p.Publish[i]
		at := "publish." + site.Site
		if _, _, ok := pipeline.PlaceOf(j.Places, site); !ok && j.Folders == "" {
			add(site.Pos, at, "add git: {url: …} for a branch, or bucket: {name: …}", "it names no place that the App can publish to")
		}
		if site.Key != "" && !slices.Contains(w.keys, plan.OwnKey(site)) {
			add(site.Pos, at+".key", "import it on the repository's page of keys as "+plan.OwnKey(site)+", or leave it out", "the App takes no keys from the configuration")
		}
	}
	const hint = "write the value itself: secrets are for places, below publish and github"
	lines := w.vars.misplaced(w.text)
	for _, n := range lines {
		add(config.Pos{Line: n, Col: 1}, "", hint, "a secret stands where it would be published")
	}
	if w.vars.used() && len(lines) == 0 {
		if other, err := j.parse(w.text, w.vars.blank); err == nil && !samePublic(p, other) {
			add(config.Pos{Line: 1, Col: 1}, "", hint, "a secret comes by an alias to where it would be published")
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// readConfig reads distropack.yml of the fetched files.
func readConfig(root *os.Root) ([]byte, error) {
	return source.ReadFile(root.FS(), check.Config, maxConfig)
}
