package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/repo/apt"
)

// openReleases opens the place of the GitHub release, if the project has one.
func (r *run) openReleases() error {
	o := release.Options{Token: r.Token, HTTP: r.HTTP, Wait: r.Wait, Say: r.say}
	var err error
	if r.releases, err = Releases(r.project, r.Repository, r.Lookup, o); err != nil || r.releases == nil {
		return err
	}
	if c := r.project.GitHub; r.Token == nil && cmp.Or(c.Token, r.variable("GITHUB_TOKEN")) == "" && r.publishes() {
		return configError(r.project, c.Pos, "github", "set token, or GITHUB_TOKEN", errors.New("attaching files to a release needs a token with contents: write"))
	}
	return nil
}

// Releases opens the place of a project's GitHub releases; nil where it has none.
// The repository is the configuration's, that of GITHUB_REPOSITORY, or the one the
// caller knows; the token is the configuration's, that of o, or GITHUB_TOKEN.
func Releases(p *config.Project, repository string, lookup func(name string) (string, bool), o release.Options) (*release.Place, error) {
	c := p.GitHub
	if c == nil {
		return nil, nil
	}
	variable := func(name string) string {
		if lookup == nil {
			return ""
		}
		v, _ := lookup(name)
		return v
	}
	var ok bool
	if o.Owner, o.Repo, ok = strings.Cut(cmp.Or(c.Repository, variable("GITHUB_REPOSITORY"), repository), "/"); !ok {
		return nil, configError(p, c.Pos, "github", "set repository to owner/name", errors.New("which repository the release belongs to is not known"))
	}
	if o.API = cmp.Or(c.API, variable("GITHUB_API_URL")); o.API == "https://api.github.com" {
		o.API = ""
	}
	if token := cmp.Or(c.Token, variable("GITHUB_TOKEN")); token != "" && (c.Token != "" || o.Token == nil) {
		o.Token = func(context.Context) (string, error) { return token, nil }
	}
	place, err := release.Open(o)
	if err != nil {
		return nil, configError(p, c.Pos, "github", "", err)
	}
	return place, nil
}

func (r *run) variable(name string) string {
	if r.Lookup == nil {
		return ""
	}
	v, _ := r.Lookup(name)
	return v
}

// asset is a file of the GitHub release.
type asset struct {
	name string
	blob formats.Blob
}

// attach puts the packages on the GitHub release of the tag: all of them, then it
// is published. Sites come after it, since some list packages that lie there.
func (r *run) attach(ctx context.Context) error {
	if r.releases == nil || r.Attached {
		return nil
	}
	if r.release.Tag == "" {
		return fmt.Errorf("%w: the GitHub release needs a tag: release one, or remove github from %s", ErrUsage, r.project.File)
	}
	assets, err := r.assets(ctx)
	if err != nil {
		return err
	}
	rep := &ReleaseReport{Tag: r.release.Tag}
	r.report.Release = rep
	if r.DryRun {
		for _, a := range assets {
			rep.Uploaded = append(rep.Uploaded, a.Name)
		}
		return nil
	}
	r.progress(Event{Step: "release", Name: r.release.Tag, N: 1, M: 1})
	pre := r.prerelease()
	notes, err := r.notes()
	if err != nil {
		return err
	}
	res, err := r.releases.Attach(ctx, release.Release{
		Tag: r.release.Tag, Commit: r.release.Commit, Title: cmp.Or(r.project.GitHub.Title, r.project.Title+" "+r.release.Version), Notes: notes, Prerelease: pre, Latest: !pre && !r.NotLatest,
	}, assets, release.AttachOptions{Replace: r.Replace, KeepDraft: r.project.GitHub.Draft, Alone: r.Alone})
	r.progress(Event{Step: "release", Name: r.release.Tag, N: 1, M: 1, Done: true, Err: err})
	if err != nil {
		return fmt.Errorf("GitHub release %s: %w", r.release.Tag, err)
	}
	rep.URL, rep.Created, rep.Published = res.URL, res.Created, res.Published
	rep.Uploaded, rep.Kept, rep.Replaced = res.Uploaded, res.Kept, res.Replaced
	return nil
}

// prerelease reports whether the version has a pre-release part; what follows a +
// is none.
func (r *run) prerelease() bool {
	core, _, _ := strings.Cut(r.release.Version, "+")
	return strings.Contains(core, "-")
}

// notes is what the changelog says of the version.
func (r *run) notes() (string, error) {
	if r.project.Changelog == "" {
		return "", nil
	}
	slots := &source.Slots{Project: &source.Tree{FS: r.Files}}
	var err error
	if d := r.project.Dir; d != "." && d != "" {
		if slots.Project, err = slots.Project.Sub(d); err != nil {
			return "", err
		}
	}
	changes, err := slots.Changelog(r.project.Changelog, r.project.Maintainer, formats.Change{})
	if err != nil {
		return "", err
	}
	for _, c := range changes {
		if c.Version != r.release.Version {
			continue
		}
		var b strings.Builder
		for _, l := range c.Lines {
			fmt.Fprintf(&b, "- %s\n", l)
		}
		return b.String(), nil
	}
	return "", nil
}

// assets lists what the release gets: packages, their signatures, checksums under
// the names the host gives files, and the flat repositories for large packages.
func (r *run) assets(ctx context.Context) ([]release.Asset, error) {
	var list []asset
	renamed := false
	for _, a := range r.report.Artifacts {
		if a.Type == "checksums" || strings.HasPrefix(a.Name, "SHA256SUMS") {
			continue
		}
		b := a.blob
		if b == nil {
			b = formats.KnownFile(a.Path, formats.Ref{SHA256: a.SHA256, Size: a.Size})
		}
		renamed = renamed || release.HostName(a.Name) != a.Name
		list = append(list, asset{a.Name, b})
	}
	flat, err := r.flat(ctx)
	if err != nil {
		return nil, err
	}
	list = append(list, flat...)
	names := make(map[string]formats.Digest)
	for _, a := range list {
		names[release.HostName(a.name)] = a.blob.Ref().SHA256
	}
	text := sumsOf(names)
	list = append(list, asset{"SHA256SUMS", formats.Bytes(text)})
	if r.keyring != nil {
		sig, err := r.sign(ctx, plan.PackageKey, formats.OpenPGPArmor, formats.Bytes(text))
		if err != nil {
			return nil, err
		}
		list = append(list, asset{"SHA256SUMS.asc", formats.Bytes(sig)})
	}
	if renamed {
		r.say("GitHub rewrites some characters of file names; SHA256SUMS there has the names that downloads have")
	}
	var assets []release.Asset
	for _, a := range list {
		assets = append(assets, release.Asset{Name: a.name, Type: mime.TypeByExtension(path.Ext(a.name)), Blob: a.blob})
	}
	return assets, errors.Join(release.Check(assets)...)
}

// flat makes the repository among a release's files that offers apt what a site
// can't hold. Clients ask the newest release for it, so each release has one, if
// need be an empty one; a pre-release is never the newest.
func (r *run) flat(ctx context.Context) ([]asset, error) {
	if r.prerelease() {
		return nil, nil
	}
	in := apt.FlatInput{At: r.release.Time.Unix()}
	var repo *apt.Repo
	for i := range r.todo.Sites {
		s := &r.todo.Sites[i]
		channels := intersect(r.release.Channels, s.Channels)
		if s.Config.Large.To == "" || len(channels) == 0 {
			continue
		}
		for _, candidate := range s.Repos {
			if is, ok := candidate.(*apt.Repo); ok && repo == nil {
				repo, in.Channel = is, channels[0]
			}
		}
		for _, a := range r.made {
			known := slices.ContainsFunc(in.Records, func(rec *publish.Record) bool { return rec.Path == a.Name })
			if a.Format == "deb" && r.listed(s, a) && r.isLarge(s, a) && !known {
				in.Records = append(in.Records, &publish.Record{Path: a.Name, URL: r.releases.AssetURL(r.release.Tag, a.Name), Ref: a.blob.Ref(), Version: r.release.Version, Meta: *a.meta})
			}
		}
	}
	if repo == nil {
		return nil, nil
	}
	files, err := repo.Flat(ctx, in)
	var list []asset
	for _, f := range files {
		// GitHub takes no empty files; of an empty index apt fetches Packages.gz.
		if f.Blob.Ref().Size > 0 {
			list = append(list, asset{f.Path, f.Blob})
		}
	}
	return list, err
}
