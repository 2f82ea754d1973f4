package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
)

// row is what store.Release.Report holds: a pipeline.Report, as those who show it
// read it, and what else is to be remembered of a release.
type row struct {
	pipeline.Report
	Install  []check.Install     `json:"install,omitempty"`
	Mistakes []github.Annotation `json:"mistakes,omitempty"` // that the check run does not have yet

	Job     string      `json:"job,omitempty"`     // of the engine, the newest attempt's
	Only    []string    `json:"only,omitempty"`    // sites; none: all
	Replace string      `json:"replace,omitempty"` // who wants it published in the place of another commit's
	Why     string      `json:"why,omitempty"`     // it was cancelled
	Waits   string      `json:"waits,omitempty"`   // for what it begins again: waitsForOwner
	Was     store.State `json:"was,omitempty"`     // before it was to be rolled back
	Wanted  bool        `json:"wanted,omitempty"`  // the project wants the tag released: it has a check run
	Plain   bool        `json:"plain,omitempty"`   // there is no distropack.yml, which a check run says
	Logging []string    `json:"logging,omitempty"` // what is being written to the publish log: see writeLog
	Logged  []string    `json:"logged,omitempty"`  // what stands there
}

// waitsForOwner marks a release that ended since the installation is suspended.
const waitsForOwner = "owner"

func rowOf(r *store.Release) *row {
	var x row
	if len(r.Report) > 0 && json.Unmarshal(r.Report, &x) != nil {
		x = row{} // of another version of this program
	}
	return &x
}

// job is the engine's name for the newest attempt of a release.
func (x *row) job(r *store.Release) string {
	if x.Job != "" {
		return x.Job
	}
	return r.ID
}

// maxWritten bounds the list of files that a report names, per site.
const maxWritten = 1000

func (x *row) put(r *store.Release) error {
	for _, s := range x.Sites {
		s.Written = s.Written[:min(len(s.Written), maxWritten)]
		s.Deleted = s.Deleted[:min(len(s.Deleted), maxWritten)]
	}
	b, err := json.Marshal(x)
	r.Report = b
	return err
}

// change changes a release and what it remembers.
func (s *Releases) change(ctx context.Context, id string, f func(*store.Release, *row)) (*store.Release, error) {
	return s.Store.UpdateRelease(ctx, id, func(r *store.Release) error {
		x := rowOf(r)
		f(r, x)
		return x.put(r)
	})
}

// site puts a site's report into that of the release.
func (x *row) site(rep *pipeline.SiteReport) {
	x.Sites = slices.DeleteFunc(x.Sites, func(s *pipeline.SiteReport) bool { return s.Site == rep.Site })
	x.Sites = append(x.Sites, rep)
	slices.SortFunc(x.Sites, func(a, b *pipeline.SiteReport) int {
		if a.Site < b.Site {
			return -1
		}
		return 1
	})
}

// install puts a site's instructions in the place of what it had.
func (x *row) install(site string, lines []check.Install) {
	x.Install = slices.DeleteFunc(x.Install, func(i check.Install) bool { return i.Site == site })
	x.Install = append(x.Install, lines...)
}

func (x *row) warn(texts ...string) {
	for _, t := range texts {
		if !slices.Contains(x.Warnings, t) {
			x.Warnings = append(x.Warnings, t)
		}
	}
}

// repository is a repository as it is now, and its installation. The error is
// github.ErrNoInstallation or ErrSuspended where nothing can be asked of GitHub.
func (s *Releases) repository(ctx context.Context, id int64) (*store.Repository, error) {
	repo, err := s.Store.Repository(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("repository %d: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	if repo.Removed {
		return nil, fmt.Errorf("%s/%s: %w", repo.Owner, repo.Name, github.ErrNoInstallation)
	}
	in, err := s.Store.Installation(ctx, repo.Installation)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case in.Removed:
		return nil, fmt.Errorf("%s: %w", in.Account, github.ErrNoInstallation)
	case in.Suspended:
		return nil, fmt.Errorf("%s: %w", in.Account, github.ErrSuspended)
	}
	return repo, nil
}

func (s *Releases) client(repo *store.Repository) *github.Client {
	return s.GitHub.Installation(repo.Installation)
}
