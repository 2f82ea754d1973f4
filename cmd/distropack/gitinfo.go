package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/distropack/distropack/formats"
)

// worktree is what git knows of the folder that is released.
type worktree struct{ repo *git.Repository }

// openCheckout returns nil where the folder is not in a git repository.
func openCheckout(dir string) (*worktree, error) {
	r, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("git repository of %s: %w", dir, err)
	}
	return &worktree{r}, nil
}

// head returns the commit that is checked out; the zero hash before the first one.
func (c *worktree) head() (plumbing.Hash, error) {
	ref, err := c.repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return ref.Hash(), nil
}

// tag returns the commit of a tag.
func (c *worktree) tag(name string) (plumbing.Hash, error) {
	ref, err := c.repo.Tag(name)
	if errors.Is(err, git.ErrTagNotFound) {
		return plumbing.ZeroHash, usagef("there is no tag %s here: fetch it (git fetch --tags), or give --version", name)
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return c.peel(ref.Hash()), nil
}

// peel follows annotated tags to what they are of.
func (c *worktree) peel(h plumbing.Hash) plumbing.Hash {
	for range 10 {
		t, err := c.repo.TagObject(h)
		if err != nil || t.TargetType != plumbing.CommitObject && t.TargetType != plumbing.TagObject {
			return h
		}
		h = t.Target
	}
	return h
}

// tagsAt lists the tags of a commit, the newest version first.
func (c *worktree) tagsAt(commit plumbing.Hash) ([]string, error) {
	tags, err := c.repo.Tags()
	if err != nil {
		return nil, err
	}
	var names []string
	err = tags.ForEach(func(ref *plumbing.Reference) error {
		if c.peel(ref.Hash()) == commit {
			names = append(names, ref.Name().Short())
		}
		return nil
	})
	slices.SortFunc(names, func(a, b string) int {
		if n := formats.CompareVersions(strings.TrimPrefix(b, "v"), strings.TrimPrefix(a, "v")); n != 0 {
			return n
		}
		return strings.Compare(b, a)
	})
	return names, err
}

// time returns when a commit was made.
func (c *worktree) time(commit plumbing.Hash) (time.Time, error) {
	o, err := c.repo.CommitObject(commit)
	if err != nil {
		return time.Time{}, err
	}
	return o.Committer.When.UTC(), nil
}

// origin returns owner/name of the repository on the host it was cloned from; ""
// where that is not to be seen.
func (c *worktree) origin() string {
	remote, err := c.repo.Remote("origin")
	if err != nil || len(remote.Config().URLs) == 0 {
		return ""
	}
	at := remote.Config().URLs[0]
	path := ""
	if u, err := url.Parse(at); err == nil && u.Scheme != "" && u.Host != "" {
		path = u.Path
	} else if host, rest, ok := strings.Cut(at, ":"); ok && !strings.Contains(host, "/") {
		path = rest
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if strings.Count(path, "/") != 1 {
		return ""
	}
	return path
}
