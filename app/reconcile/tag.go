package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
)

// Bounds of the task tags.
const (
	tagFresh   = 50   // repositories that were never visited, besides the share of a run
	tagAtOnce  = 50   // tags of one repository that GitHub is asked about in one visit
	tagReserve = 1000 // requests an hour that are left to releases
	tagFirst   = 10   // tags of a first visit whose age is asked for
	maxConfig  = 1 << 20
)

// Trigger is a tag to be released, as an event would say.
type Trigger struct {
	Installation, Repository int64
	Owner, Name              string // of the repository, by now
	Tag, Commit              string // the commit it leads to
	Moved                    bool   // it led elsewhere before
	Release                  bool   // a GitHub release of it was published; its release may have failed for want of that
	Cause                    string // for people
}

// repositoryState is what is known of a repository's tags and releases.
type repositoryState struct {
	TagETag     string            `json:"tagETag"`
	ReleaseETag string            `json:"releaseETag"`
	Tags        map[string]string `json:"tags"`     // commits
	Releases    map[int64]int64   `json:"releases"` // when published, Unix time
}

func repositorySetting(id int64) string { return fmt.Sprintf("reconcile/tags/%d", id) }

// errMore says that a repository has more that is new than is handed on in one visit.
var errMore = errors.New("there is more")

// found is a tag that may have to be released.
type found struct {
	tag, commit string
	moved       bool
	release     int64     // GitHub's id of a release that is new; 0: none
	published   time.Time // of it
}

// visit compares one repository with what is known of it, and hands on what is new.
func (l *Loop) visit(ctx context.Context, c *github.Client, r *store.Repository) error {
	var s repositoryState
	visited, err := l.load(ctx, repositorySetting(r.ID), &s)
	if err != nil {
		return err
	}
	tags, tagETag, sameTags, err := c.Tags(ctx, r.Owner, r.Name, s.TagETag)
	if err != nil {
		return err
	}
	releases, releaseETag, sameReleases, err := c.Releases(ctx, r.Owner, r.Name, s.ReleaseETag)
	if err != nil {
		return err
	}
	if sameTags && sameReleases {
		return nil
	}
	next := repositoryState{Tags: make(map[string]string), Releases: make(map[int64]int64)}
	list := l.news(&s, &next, tags, sameTags, releases, sameReleases)
	if !visited {
		if list, err = l.young(ctx, c, r, list, &next); err != nil {
			return err
		}
	}
	slices.SortFunc(list, func(a, b found) int { return natural(a.tag, b.tag) })
	looked := 0
	for i, f := range list {
		if looked == tagAtOnce {
			err = errMore
		} else {
			var asked bool
			if asked, err = l.hand(ctx, c, r, f); asked {
				looked++
			}
		}
		if err != nil {
			// What was not handed on is news at the next visit, whatever the ETags say.
			for _, f := range list[i:] {
				forget(&s, &next, f)
			}
			tagETag, releaseETag = "", ""
			break
		}
	}
	next.TagETag, next.ReleaseETag = tagETag, releaseETag
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if saved := l.save(end, repositorySetting(r.ID), &next); saved != nil {
		return errors.Join(err, saved)
	}
	l.seen[r.ID] = true
	return err
}

// news fills next with what there is and returns what was not in s.
func (l *Loop) news(s, next *repositoryState, tags []github.Tag, sameTags bool, releases []github.Release, sameReleases bool) []found {
	by := make(map[string]found)
	if sameTags {
		next.Tags = s.Tags
	}
	for _, t := range tags {
		next.Tags[t.Name] = t.Commit
		if was, known := s.Tags[t.Name]; was != t.Commit {
			by[t.Name] = found{tag: t.Name, commit: t.Commit, moved: known}
		}
	}
	if sameReleases {
		next.Releases = s.Releases
	}
	for _, x := range releases {
		if x.Draft || x.Published.IsZero() {
			continue
		}
		at := x.Published.Unix()
		next.Releases[x.ID] = at
		commit := next.Tags[x.Tag]
		if s.Releases[x.ID] == at || commit == "" { // a release whose tag is gone
			continue
		}
		f := by[x.Tag]
		f.tag, f.commit, f.release, f.published = x.Tag, commit, x.ID, x.Published
		by[x.Tag] = f
	}
	var list []found
	for _, f := range by {
		list = append(list, f)
	}
	return list
}

// forget makes f news at the next visit.
func forget(s, next *repositoryState, f found) {
	if was, known := s.Tags[f.tag]; known {
		next.Tags[f.tag] = was
	} else {
		delete(next.Tags, f.tag)
	}
	if was, known := s.Releases[f.release]; known {
		next.Releases[f.release] = was
	} else {
		delete(next.Releases, f.release)
	}
}

// young keeps, at the first visit, what is younger than the repository is here. Of
// tags GitHub's list does not say their age: of the highest ten, the age of the commit
// is asked for, and lower ones count as old.
func (l *Loop) young(ctx context.Context, c *github.Client, r *store.Repository, list []found, next *repositoryState) ([]found, error) {
	slices.SortFunc(list, func(a, b found) int { return natural(b.tag, a.tag) })
	var out []found
	asked := 0
	for _, f := range list {
		if f.release != 0 {
			if f.published.After(r.Created) {
				out = append(out, f)
			}
			continue
		}
		if asked++; asked > tagFirst {
			continue
		}
		commit, at, err := c.Resolve(ctx, r.Owner, r.Name, f.tag)
		if errors.Is(err, github.ErrNotFound) {
			continue
		}
		if err != nil {
			if github.Temporary(err) {
				return nil, err
			}
			continue // a tag of a tree or a file
		}
		if at.After(r.Created) {
			f.commit, next.Tags[f.tag] = commit, commit
			out = append(out, f)
		}
	}
	return out, nil
}

// hand enqueues a tag, unless it is known here or its commit has no distropack.yml,
// for which it asks GitHub.
func (l *Loop) hand(ctx context.Context, c *github.Client, r *store.Repository, f found) (asked bool, err error) {
	rows, err := l.o.Store.Releases(ctx, store.ReleaseFilter{Repository: r.ID, Tag: f.tag})
	if err != nil {
		return false, err
	}
	t := Trigger{Installation: r.Installation, Repository: r.ID, Owner: r.Owner, Name: r.Name, Tag: f.tag, Commit: f.commit, Moved: f.moved, Release: f.release != 0, Cause: "a tag that no webhook told of"}
	if t.Release {
		t.Cause = "a release that no webhook told of"
	}
	for _, row := range rows {
		if row.Commit != f.commit {
			t.Moved = true
			continue
		}
		// What failed before the GitHub release was there may have failed for want of it.
		again := t.Release && (row.State == store.Failed || row.State == store.Ignored) && row.Ended.Before(f.published)
		if !again {
			return false, nil
		}
	}
	_, err = c.File(ctx, r.Owner, r.Name, check.Config, f.commit, maxConfig)
	if errors.Is(err, github.ErrNotFound) {
		return true, nil
	}
	if err != nil && !errors.Is(err, github.ErrTooLarge) { // too large a one is for the release to say
		return true, err
	}
	if err := l.o.Enqueue(ctx, t); err != nil {
		return true, fmt.Errorf("tag %q: %w", f.tag, err)
	}
	l.log.Info("a tag was found that no webhook told of", "repository", r.ID, "tag", f.tag, "commit", f.commit)
	return true, nil
}
