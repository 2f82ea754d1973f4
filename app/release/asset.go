package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	ghrelease "github.com/distropack/distropack/publish/dest/release"
)

// asset is a file of the GitHub release.
type asset struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Digest string `json:"digest,omitempty"` // SHA-256, hexadecimal; "" where the host knows none
}

// looked is what a look at the GitHub release saw.
type looked struct {
	Ready   bool     `json:"ready"`
	Assets  []asset  `json:"assets,omitempty"`
	Missing []string `json:"missing,omitempty"`
	There   []string `json:"there,omitempty"`
}

// awaitAssets waits until the GitHub release has the files that the configuration
// takes: a workflow may still be uploading them. It looks again and again, which
// costs nothing of GitHub's limit while nothing changes, and holds no worker
// meanwhile.
func (j *job) awaitAssets(p planned) ([]asset, error) {
	if len(p.Assets)+len(p.Spare) == 0 {
		return nil, nil
	}
	var spent time.Duration
	for {
		l, err := do(j, "assets", func(ctx context.Context) (looked, error) {
			l, err := j.lookForAssets(ctx, p)
			if err == nil && !l.Ready && len(l.Missing) > 0 && spent >= j.Limits.Assets {
				err = &check.AssetError{Missing: l.Missing, There: l.There, Waited: spent}
			}
			return l, err
		})
		if err != nil {
			return nil, err
		}
		if l.Ready || len(l.Missing) == 0 && spent >= j.Limits.Assets {
			return l.Assets, nil
		}
		spent += j.Limits.Look
		if err := j.run.Sleep(j.Limits.Look); err != nil {
			return nil, err
		}
	}
}

// lookForAssets reports whether all files are there, none is being uploaded, and the
// newest of them is old enough not to be followed by more.
func (j *job) lookForAssets(ctx context.Context, p planned) (looked, error) {
	rec := j.record(ctx)
	defer rec.close()
	leg := rec.begin(legAssets, "files of the GitHub release")
	w, err := j.bare(ctx, facts{})
	if err != nil {
		return looked{}, err
	}
	all, err := j.assetsOf(ctx, w)
	if err != nil {
		return looked{}, err
	}
	l := looked{Ready: true}
	for _, a := range all {
		l.There = append(l.There, a.Name)
	}
	for _, pattern := range p.Assets {
		if !slices.ContainsFunc(all, func(a github.Asset) bool { ok, _ := path.Match(pattern, a.Name); return ok && a.State == ghUploaded }) {
			l.Missing = append(l.Missing, pattern)
			l.Ready = false
		}
	}
	var size int64
	for _, a := range all {
		if !slices.ContainsFunc(slices.Concat(p.Assets, p.Spare), func(pattern string) bool { ok, _ := path.Match(pattern, a.Name); return ok }) {
			continue
		}
		if a.State != ghUploaded || j.Now().Sub(a.Updated) < j.Limits.Quiet {
			l.Ready = false
			continue
		}
		digest, _ := strings.CutPrefix(a.Digest, "sha256:")
		l.Assets = append(l.Assets, asset{a.Name, a.Size, digest})
		size += a.Size
	}
	slices.SortFunc(l.Assets, func(a, b asset) int { return strings.Compare(a.Name, b.Name) })
	if size > j.Limits.AssetBytes {
		return looked{}, fmt.Errorf("%w: the files of the GitHub release that distropack.yml takes are %d MiB, and this server takes %d MiB", pipeline.ErrUsage, size>>20, j.Limits.AssetBytes>>20)
	}
	rec.set(leg, func(l2 *store.Leg) {
		l2.N, l2.M, l2.Bytes = len(l.Assets), len(l.Assets)+len(l.Missing), size
		l2.Short = ""
		if len(l.Missing) > 0 {
			l2.Short = "waits for " + strings.Join(l.Missing[:min(5, len(l.Missing))], ", ")
		}
	})
	if l.Ready {
		rec.end(leg, nil)
	}
	return l, nil
}

// ghUploaded is the state of a whole file.
const ghUploaded = "uploaded"

// assetsOf lists the files of the tag's release, published or draft.
func (j *job) assetsOf(ctx context.Context, w *world) ([]github.Asset, error) {
	c := j.client(w.repo)
	r, err := c.ReleaseByTag(ctx, w.repo.Owner, w.repo.Name, w.release.Tag)
	if err == nil {
		return r.Assets, nil
	}
	if !errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrNoInstallation) {
		return nil, err
	}
	all, _, _, err := c.Releases(ctx, w.repo.Owner, w.repo.Name, "")
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Draft && r.Tag == w.release.Tag {
			return r.Assets, nil
		}
	}
	return nil, nil
}

// haveAssets makes sure that the files of the GitHub release are here. It returns
// their folder, "" where there are none.
func (j *job) haveAssets(ctx context.Context, w *world) (string, error) {
	if len(w.facts.Assets) == 0 {
		return "", nil
	}
	dir := filepath.Join(w.dir(), "assets")
	var have []asset
	if whole(dir, &have) && slices.Equal(have, w.facts.Assets) {
		return dir, nil
	}
	if err := fresh(dir); err != nil {
		return "", err
	}
	place, err := pipeline.Releases(w.project, w.repo.Owner+"/"+w.repo.Name, w.vars.lookup, ghrelease.Options{Token: w.token, HTTP: j.HTTP, Say: w.say})
	if err != nil {
		return "", err
	}
	if place == nil { // the configuration takes from the release and puts nothing there
		if place, err = ghrelease.Open(ghrelease.Options{API: apiOf(j.API), Owner: w.repo.Owner, Repo: w.repo.Name, Token: w.token, HTTP: j.HTTP, Say: w.say}); err != nil {
			return "", err
		}
	}
	for _, a := range w.facts.Assets {
		if err := j.download(ctx, place, w, a, filepath.Join(dir, a.Name)); err != nil {
			return "", fmt.Errorf("asset %s: %w", a.Name, err)
		}
	}
	return dir, done(dir, w.facts.Assets)
}

func (j *job) download(ctx context.Context, place *ghrelease.Place, w *world, a asset, name string) (err error) {
	if filepath.Base(name) != a.Name || !filepath.IsLocal(a.Name) {
		return fmt.Errorf("%w: %q is no name of a file", pipeline.ErrUsage, a.Name)
	}
	in, err := place.Download(ctx, w.release.Tag, a.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, a.Size+1))
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != a.Size || a.Digest != "" && got != a.Digest {
		return fmt.Errorf("it is not what was there before: %d bytes, %d were listed: somebody replaces files of the release", n, a.Size)
	}
	return nil
}

// apiOf is the API's address as places of releases take it.
func apiOf(api string) string {
	if api == github.API {
		return ""
	}
	return api
}
