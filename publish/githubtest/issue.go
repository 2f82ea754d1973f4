package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Issue is an issue as it stands.
type Issue struct {
	Number      int
	Title, Body string
	State       string // "open" or "closed"
	By          string // login; of an App: slug[bot]
	Comments    []string
}

type issue struct {
	Issue
	created time.Time
}

// Issues returns all issues, oldest first.
func (r *Repository) Issues() []Issue {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Issue
	for _, i := range r.issues {
		v := i.Issue
		v.Comments = slices.Clone(v.Comments)
		all = append(all, v)
	}
	return all
}

// AddIssue opens an issue as a person does and returns its number.
func (r *Repository) AddIssue(title, body, by string) int {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.addIssue(title, body, by).Number
}

func (r *Repository) addIssue(title, body, by string) *issue {
	r.numbers++
	i := &issue{Issue: Issue{Number: r.numbers, Title: title, Body: body, State: "open", By: by}, created: r.s.now()}
	r.issues = append(r.issues, i)
	return i
}

// NoIssues switches issues off.
func (r *Repository) NoIssues() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.issuesOff = true
}

func (r *Repository) issueJSON(i *issue) map[string]any {
	stamp := i.created.Format(time.RFC3339)
	url := r.api("/issues/%d", i.Number)
	var closed any
	if i.State == "closed" {
		closed = stamp
	}
	return r.s.fill("issue", map[string]any{
		"id": r.id*100000 + int64(i.Number), "node_id": node("IS", i.Number), "number": i.Number, "title": i.Title, "body": i.Body, "state": i.State, "user": r.s.user(i.By), "comments": len(i.Comments),
		"created_at": stamp, "updated_at": stamp, "closed_at": closed, "labels": []any{}, "assignee": nil, "milestone": nil, "locked": false,
		"url": url, "repository_url": r.api(""), "html_url": r.page("/issues/%d", i.Number), "labels_url": url + "/labels{/name}", "comments_url": url + "/comments", "events_url": url + "/events",
	})
}

func (c *call) issue() (*issue, answer) {
	if c.repo.issuesOff {
		return nil, refuse(http.StatusGone, "Issues are disabled for this repo")
	}
	for _, i := range c.repo.issues {
		if fmt.Sprint(i.Number) == c.params["issue_number"] {
			return i, answer{}
		}
	}
	return nil, notFound()
}

func listIssues(c *call) answer {
	if c.repo.issuesOff {
		return refuse(http.StatusGone, "Issues are disabled for this repo")
	}
	q := c.r.URL.Query()
	state := q.Get("state")
	if state == "" {
		state = "open"
	}
	var all []*issue
	for _, i := range slices.Backward(c.repo.issues) {
		if (state == "all" || state == i.State) && (q.Get("creator") == "" || q.Get("creator") == i.By) {
			all = append(all, i)
		}
	}
	return page(c, all, func(i *issue) any { return c.repo.issueJSON(i) })
}

func getIssue(c *call) answer {
	i, a := c.issue()
	if i == nil {
		return a
	}
	return ok(c.repo.issueJSON(i))
}

func createIssue(c *call) answer {
	if c.repo.issuesOff {
		return refuse(http.StatusGone, "Issues are disabled for this repo")
	}
	var in struct{ Title, Body any }
	c.decode(&in)
	body, _ := in.Body.(string) // null is no text
	i := c.repo.addIssue(fmt.Sprint(in.Title), body, c.sender())
	return created(ok(c.repo.issueJSON(i)))
}

func updateIssue(c *call) answer {
	i, a := c.issue()
	if i == nil {
		return a
	}
	var in struct{ Title, Body, State *string }
	c.decode(&in)
	set(&i.Title, in.Title)
	set(&i.Body, in.Body)
	set(&i.State, in.State)
	return ok(c.repo.issueJSON(i))
}

func (c *call) commentJSON(i *issue, n int) any {
	stamp, url := c.s.now().Format(time.RFC3339), c.repo.api("/issues/comments/%d", i.Number*1000+n)
	return c.s.fill("issue-comment", map[string]any{"id": i.Number*1000 + n, "node_id": node("IC", n), "url": url, "html_url": c.repo.page("/issues/%d#issuecomment-%d", i.Number, n), "issue_url": c.repo.api("/issues/%d", i.Number),
		"body": i.Comments[n], "user": c.s.user(c.sender()), "created_at": stamp, "updated_at": stamp})
}

func createComment(c *call) answer {
	i, a := c.issue()
	if i == nil {
		return a
	}
	var in struct{ Body string }
	c.decode(&in)
	if in.Body == "" {
		return invalid("IssueComment", "missing_field", "body", "")
	}
	i.Comments = append(i.Comments, in.Body)
	return created(ok(c.commentJSON(i, len(i.Comments)-1)))
}

func listComments(c *call) answer {
	i, a := c.issue()
	if i == nil {
		return a
	}
	var all []int
	for n := range i.Comments {
		all = append(all, n)
	}
	return page(c, all, func(n int) any { return c.commentJSON(i, n) })
}
