package github

import (
	"context"
	"fmt"
	"time"
)

// Release is a release of a repository.
type Release struct {
	ID         int64     `json:"id"`
	Tag        string    `json:"tag_name"`
	Name       string    `json:"name"`
	Body       string    `json:"body"`
	Draft      bool      `json:"draft"` // has no tag yet, whatever Tag says
	Prerelease bool      `json:"prerelease"`
	Immutable  bool      `json:"immutable"`
	Created    time.Time `json:"created_at"`
	Published  time.Time `json:"published_at"` // zero for drafts
	URL        string    `json:"html_url"`
	Assets     []Asset   `json:"assets"`
}

// Asset is a file of a release.
type Asset struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	State   string    `json:"state"` // "uploaded", or "starter" while it is not
	Size    int64     `json:"size"`
	Digest  string    `json:"digest"` // "sha256:" and 64 hexadecimal digits; "" where the server keeps none
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
}

// Tag is a tag of a repository and the commit it leads to in the end.
type Tag struct{ Name, Commit string }

// ReleaseByTag returns the published release of a tag; ErrNotFound if there is
// none, or a draft only.
func (c *Client) ReleaseByTag(ctx context.Context, owner, repo, tag string) (*Release, error) {
	var r Release
	q := request{what: fmt.Sprintf("%s/%s: release of tag %q", owner, repo, tag), path: escape("repos", owner, repo, "releases/tags", tag)}
	if _, err := c.as.call(ctx, q, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// Releases returns all releases, drafts among them where the App may write,
// newest first. With the etag of a former call, same is true and the list nil if
// nothing has changed, which costs nothing of the rate limit; "" always lists.
func (c *Client) Releases(ctx context.Context, owner, repo, etag string) (all []Release, now string, same bool, err error) {
	q := request{what: owner + "/" + repo + ": releases", path: escape("repos", owner, repo, "releases")}
	return changed[Release](ctx, c.as, q, etag)
}

// Tags returns all tags, in no order to rely on. etag is as with Releases.
func (c *Client) Tags(ctx context.Context, owner, repo, etag string) (all []Tag, now string, same bool, err error) {
	q := request{what: owner + "/" + repo + ": tags", path: escape("repos", owner, repo, "tags")}
	type item struct {
		Name   string
		Commit struct{ SHA string }
	}
	in, now, same, err := changed[item](ctx, c.as, q, etag)
	for _, t := range in {
		all = append(all, Tag{t.Name, t.Commit.SHA})
	}
	return all, now, same, err
}
