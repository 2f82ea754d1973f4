package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Issue is an issue of a repository.
type Issue struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Body   string `json:"body"`
	State  string `json:"state"` // "open" or "closed"
	URL    string `json:"html_url"`
}

// What the requests about issues need. An App that has no such permission gets
// ErrForbidden, and so does one where the repository has no issues.
const issuesWrite = "issues: write"

// FindIssue returns the newest open issue that the App opened and whose text has
// the marker; ErrNotFound if there is none.
func (c *Client) FindIssue(ctx context.Context, owner, repo, marker string) (*Issue, error) {
	what := fmt.Sprintf("%s/%s: issue with %q", owner, repo, marker)
	return c.findIssue(ctx, owner, repo, what, func(i *Issue) bool { return strings.Contains(i.Body, marker) })
}

func (c *Client) findIssue(ctx context.Context, owner, repo, what string, is func(*Issue) bool) (*Issue, error) {
	self, err := c.app.Self(ctx)
	if err != nil {
		return nil, err
	}
	q := request{what: what, path: escape("repos", owner, repo, "issues"), query: url.Values{"creator": {self.Slug + "[bot]"}, "state": {"open"}}, needs: issuesWrite}
	all, err := list[Issue](ctx, c.as, q)
	if err != nil {
		return nil, err
	}
	for _, i := range all { // newest first
		if is(&i) {
			return &i, nil
		}
	}
	return nil, &Error{Subject: what, Host: c.as.line.api.Host, Status: http.StatusNotFound, kind: ErrNotFound}
}

// OpenIssue opens an issue and returns its number. If GitHub fails to answer, it
// looks whether the same issue is there before it tries again.
func (c *Client) OpenIssue(ctx context.Context, owner, repo, title, body string) (number int, err error) {
	q := request{what: fmt.Sprintf("%s/%s: a new issue", owner, repo), method: http.MethodPost, path: escape("repos", owner, repo, "issues"),
		body: map[string]string{"title": title, "body": body}, once: true, needs: issuesWrite}
	var in Issue
	err = c.create(ctx, q, &in, func() error {
		i, err := c.findIssue(ctx, owner, repo, q.what, func(i *Issue) bool { return i.Title == title && i.Body == body })
		if err == nil {
			in = *i
		}
		return err
	})
	return in.Number, err
}

// create makes something that must not be there twice. Where it is not known
// whether it was made, find is asked: it returns ErrNotFound if it was not.
func (c *Client) create(ctx context.Context, q request, v any, find func() error) error {
	for n := 1; ; n++ {
		_, err := c.as.call(ctx, q, v)
		if err == nil || !broken(err) || n == tries {
			return err
		}
		if err := c.as.line.wait(ctx, pauseAfter(n)); err != nil {
			return err
		}
		if err := find(); !errors.Is(err, ErrNotFound) {
			return err
		}
	}
}

// Comment adds a comment to an issue or a pull request. After an error that is
// Temporary the comment may be there.
func (c *Client) Comment(ctx context.Context, owner, repo string, number int, body string) error {
	q := request{what: fmt.Sprintf("%s/%s: a comment on issue %d", owner, repo, number), method: http.MethodPost,
		path: escape("repos", owner, repo, "issues", fmt.Sprint(number), "comments"), body: map[string]string{"body": body}, once: true, needs: issuesWrite}
	_, err := c.as.call(ctx, q, nil)
	return err
}

// EditIssue gives an issue another title and text.
func (c *Client) EditIssue(ctx context.Context, owner, repo string, number int, title, body string) error {
	return c.patchIssue(ctx, owner, repo, number, map[string]string{"title": title, "body": body})
}

// CloseIssue closes an issue; one that is closed stays so.
func (c *Client) CloseIssue(ctx context.Context, owner, repo string, number int) error {
	return c.patchIssue(ctx, owner, repo, number, map[string]string{"state": "closed", "state_reason": "completed"})
}

func (c *Client) patchIssue(ctx context.Context, owner, repo string, number int, body map[string]string) error {
	q := request{what: fmt.Sprintf("%s/%s: issue %d", owner, repo, number), method: http.MethodPatch,
		path: escape("repos", owner, repo, "issues", fmt.Sprint(number)), body: body, needs: issuesWrite}
	_, err := c.as.call(ctx, q, nil)
	return err
}
