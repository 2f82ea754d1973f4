package github

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Repository is a repository of an installation.
type Repository struct {
	ID            int64
	Owner, Name   string
	DefaultBranch string
	Private       bool
	Archived      bool // nothing can be written
	URL           string

	// What a person may do there; only where a person asked.
	Admin, Write bool
}

type repositoryJSON struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Owner struct {
		Login string `json:"login"`
	} `json:"owner"`
	DefaultBranch string `json:"default_branch"`
	Private       bool   `json:"private"`
	Archived      bool   `json:"archived"`
	URL           string `json:"html_url"`
	Permissions   struct {
		Admin    bool `json:"admin"`
		Maintain bool `json:"maintain"`
		Push     bool `json:"push"`
	} `json:"permissions"`
}

func (r repositoryJSON) value() Repository {
	return Repository{ID: r.ID, Owner: r.Owner.Login, Name: r.Name, DefaultBranch: r.DefaultBranch, Private: r.Private, Archived: r.Archived, URL: r.URL,
		Admin: r.Permissions.Admin, Write: r.Permissions.Admin || r.Permissions.Maintain || r.Permissions.Push}
}

// Repositories returns all repositories of the installation.
func (c *Client) Repositories(ctx context.Context) ([]Repository, error) {
	q := request{what: fmt.Sprintf("repositories of installation %d", c.id), path: "installation/repositories"}
	return repositories(ctx, c.as, q)
}

func repositories(ctx context.Context, c caller, q request) ([]Repository, error) {
	var all []Repository
	var page struct {
		Repositories []repositoryJSON `json:"repositories"`
	}
	take := func() {
		for _, r := range page.Repositories {
			all = append(all, r.value())
		}
		page.Repositories = nil
	}
	if err := c.pages(ctx, q, func() any { take(); return &page }, always); err != nil {
		return nil, err
	}
	take()
	return all, nil
}

// Repository returns a repository by a name it has, or had before it was renamed
// or transferred.
func (c *Client) Repository(ctx context.Context, owner, repo string) (*Repository, error) {
	var in repositoryJSON
	if _, err := c.as.call(ctx, request{what: owner + "/" + repo, path: escape("repos", owner, repo)}, &in); err != nil {
		return nil, err
	}
	r := in.value()
	return &r, nil
}

// Resolve returns the commit that a tag leads to, through annotated tags, and when
// it was committed. Without such a tag it is ErrNotFound.
func (c *Client) Resolve(ctx context.Context, owner, repo, tag string) (commit string, at time.Time, err error) {
	what := fmt.Sprintf("%s/%s: tag %q", owner, repo, tag)
	var ref struct {
		Object struct{ Type, SHA string }
	}
	if _, err := c.as.call(ctx, request{what: what, path: escape("repos", owner, repo, "git/ref/tags", tag)}, &ref); err != nil {
		return "", time.Time{}, err
	}
	// Tags may lead to tags; a chain longer than this is nobody's honest one.
	for n := 0; ref.Object.Type == "tag"; n++ {
		if n == 10 {
			return "", time.Time{}, fmt.Errorf("%s: it leads through more than %d annotated tags: tag the commit itself", what, n)
		}
		if _, err := c.as.call(ctx, request{what: what, path: escape("repos", owner, repo, "git/tags", ref.Object.SHA)}, &ref); err != nil {
			return "", time.Time{}, err
		}
	}
	if ref.Object.Type != "commit" {
		return "", time.Time{}, fmt.Errorf("%s: it leads to a %s: tag a commit", what, ref.Object.Type)
	}
	var in struct {
		SHA       string
		Committer struct{ Date time.Time }
	}
	if _, err := c.as.call(ctx, request{what: what, path: escape("repos", owner, repo, "git/commits", ref.Object.SHA)}, &in); err != nil {
		return "", time.Time{}, err
	}
	return ref.Object.SHA, in.Committer.Date, nil
}

// File returns a file of a repository as it is at ref: a commit, a branch or a tag.
// It is ErrNotFound if there is none, and ErrTooLarge if it has more bytes than
// limit. Symlinks within the repository are followed by GitHub.
func (c *Client) File(ctx context.Context, owner, repo, path, ref string, limit int64) ([]byte, error) {
	what := fmt.Sprintf("%s/%s: file %q at %s", owner, repo, path, ref)
	q := request{what: what, path: escape("repos", owner, repo, "contents", path), query: url.Values{"ref": {ref}}}
	var raw json.RawMessage
	if _, err := c.as.call(ctx, q, &raw); err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
		return nil, fmt.Errorf("%s: it is a folder", what)
	}
	var in struct {
		Type, Encoding, Content string
		Size                    int64
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, q.failed(c.as.line.api.Host, nil, err, nil)
	}
	if in.Type != "file" {
		return nil, fmt.Errorf("%s: it is a %s, and a file is needed", what, in.Type)
	}
	tooLarge := func(size int64) error {
		return &Error{Subject: what, Host: c.as.line.api.Host, Status: 200, kind: ErrTooLarge, Message: fmt.Sprintf("%d bytes", size), Advice: fmt.Sprintf("%d bytes are the most", limit)}
	}
	if in.Size > limit {
		return nil, tooLarge(in.Size)
	}
	if in.Encoding == "base64" {
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Content, "\n", ""))
		if err != nil {
			return nil, q.failed(c.as.line.api.Host, nil, err, nil)
		}
		if int64(len(b)) > limit {
			return nil, tooLarge(int64(len(b)))
		}
		return b, nil
	}
	// Files above 1 MB come without content, but whole in the other form.
	q.accept = "application/vnd.github.raw+json"
	var b []byte
	if _, err := c.as.call(ctx, q, &b); err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(int64(len(b)))
	}
	return b, nil
}
