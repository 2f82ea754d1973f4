package githubtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Pull is a pull request to the branch main. It takes Title, Head and Files.
type Pull struct {
	Number int
	Title  string
	Head   string            // commit
	Files  map[string]string // what it changes: path and "added", "modified", "removed", or "renamed:" and the former path
	Closed bool
}

type pull struct {
	Pull
	created time.Time
}

// OpenPull opens a pull request, sends pull_request opened and returns its number.
func (r *Repository) OpenPull(p Pull) int {
	r.s.mu.Lock()
	r.numbers++
	p.Number, p.Closed, p.Files = r.numbers, false, maps.Clone(p.Files)
	x := &pull{p, r.s.now()}
	r.pulls = append(r.pulls, x)
	sent := r.pulled(x, "opened", nil)
	r.s.mu.Unlock()
	r.s.send(sent)
	return p.Number
}

// PushPull gives a pull request another commit and sends pull_request synchronize.
func (r *Repository) PushPull(number int, head string, files map[string]string) {
	r.changePull(number, func(x *pull) []*delivery {
		before := x.Head
		x.Head, x.Files = head, maps.Clone(files)
		return r.pulled(x, "synchronize", map[string]any{"before": before, "after": head})
	})
}

// ClosePull closes a pull request and sends pull_request closed.
func (r *Repository) ClosePull(number int) {
	r.changePull(number, func(x *pull) []*delivery {
		x.Closed = true
		return r.pulled(x, "closed", nil)
	})
}

func (r *Repository) changePull(number int, f func(*pull) []*delivery) {
	r.s.mu.Lock()
	var sent []*delivery
	for _, x := range r.pulls {
		if x.Number == number {
			sent = f(x)
		}
	}
	r.s.mu.Unlock()
	r.s.send(sent)
}

func (r *Repository) pulled(x *pull, action string, more map[string]any) []*delivery {
	body := map[string]any{"number": x.Number, "pull_request": r.pullJSON(x, "pull-request-webhook")}
	maps.Copy(body, more)
	return r.fire("pull_request", action, r.Owner, body)
}

func (r *Repository) pullJSON(x *pull, schema string) map[string]any {
	side := func(ref, sha string) map[string]any {
		return map[string]any{"label": r.Owner + ":" + ref, "ref": ref, "sha": sha, "user": r.s.user(r.Owner), "repo": r.about()}
	}
	stamp, url, page := x.created.Format(time.RFC3339), r.api("/pulls/%d", x.Number), r.page("/pull/%d", x.Number)
	links := make(map[string]any)
	for _, name := range []string{"comments", "commits", "statuses", "html", "issue", "review_comments", "review_comment", "self"} {
		links[name] = map[string]any{"href": url}
	}
	state := "open"
	var closed any
	if x.Closed {
		state, closed = "closed", stamp
	}
	return r.s.fill(schema, map[string]any{
		"id": r.id*100000 + int64(x.Number), "node_id": node("PR", x.Number), "number": x.Number, "title": x.Title, "body": nil, "state": state, "draft": false, "user": r.s.user(r.Owner), "html_url": page, "url": url,
		"head": side("change", x.Head), "base": side("main", r.peel(r.refs["heads/main"])), "_links": links, "created_at": stamp, "updated_at": stamp, "closed_at": closed, "merged_at": nil,
		"author_association": "OWNER", "changed_files": len(x.Files), "commits": 1, "labels": []any{},
	})
}

func (c *call) pull() *pull {
	for _, x := range c.repo.pulls {
		if fmt.Sprint(x.Number) == c.params["pull_number"] {
			return x
		}
	}
	return nil
}

func getPull(c *call) answer {
	x := c.pull()
	if x == nil {
		return notFound()
	}
	return ok(c.repo.pullJSON(x, "pull-request"))
}

// listPullFiles is not described to answer 404, but does.
func listPullFiles(c *call) answer {
	x := c.pull()
	if x == nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	return page(c, slices.Sorted(maps.Keys(x.Files)), func(path string) any {
		f := map[string]any{"sha": hash("blob", path), "filename": path, "status": x.Files[path], "additions": 1, "deletions": 0, "changes": 1,
			"blob_url": c.repo.page("/blob/%s/%s", x.Head, path), "raw_url": c.repo.page("/raw/%s/%s", x.Head, path), "contents_url": c.repo.api("/contents/%s?ref=%s", path, x.Head)}
		if from, ok := former(x.Files[path]); ok {
			f["status"], f["previous_filename"] = "renamed", from
		}
		return f
	})
}

func former(status string) (string, bool) {
	const mark = "renamed:"
	if len(status) > len(mark) && status[:len(mark)] == mark {
		return status[len(mark):], true
	}
	return "", false
}
