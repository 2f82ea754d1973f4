package githubtest

import (
	"net/http"
	"strings"
	"time"
)

// manyTags is the number of tags in one push from which on GitHub sends nothing.
const manyTags = 4

// PushTag makes or moves a lightweight tag and sends create, if it is new, and
// push.
func (r *Repository) PushTag(name, commit string) { r.PushTags(commit, name) }

// PushTags makes or moves several tags in one push. Of more than three, GitHub
// sends no webhook.
func (r *Repository) PushTags(commit string, names ...string) {
	r.s.mu.Lock()
	var sent []*delivery
	for _, name := range names {
		old, there := r.refs["tags/"+name]
		before := ""
		if there {
			before = r.peel(old)
		}
		r.refs["tags/"+name] = object{kind: "commit", sha: commit}
		if len(names) < manyTags {
			sent = append(sent, r.tagged(name, before, commit, r.Owner)...)
		}
	}
	r.s.mu.Unlock()
	r.s.send(sent)
}

// PushAnnotated makes or moves an annotated tag and sends create, if it is new, and
// push.
func (r *Repository) PushAnnotated(name, commit string) {
	before := r.TagCommit(name)
	r.Annotated(name, commit)
	r.s.mu.Lock()
	sent := r.tagged(name, before, commit, r.Owner)
	r.s.mu.Unlock()
	r.s.send(sent)
}

// DeleteTag removes a tag and sends push and delete.
func (r *Repository) DeleteTag(name string) {
	before := r.TagCommit(name)
	r.s.mu.Lock()
	delete(r.refs, "tags/"+name)
	sent := append(r.pushed("refs/tags/"+name, before, "", r.Owner), r.fire("delete", "", r.Owner, map[string]any{"ref": name, "ref_type": "tag", "pusher_type": "user"})...)
	r.s.mu.Unlock()
	r.s.send(sent)
}

// PushBranch moves a branch and sends push.
func (r *Repository) PushBranch(name, commit string) {
	r.s.mu.Lock()
	before := r.refs["heads/"+name].sha
	r.refs["heads/"+name] = object{kind: "commit", sha: commit}
	sent := r.pushed("refs/heads/"+name, before, commit, r.Owner)
	r.s.mu.Unlock()
	r.s.send(sent)
}

func (r *Repository) tagged(name, before, commit, sender string) []*delivery {
	var sent []*delivery
	if before == "" {
		sent = r.fire("create", "", sender, map[string]any{"ref": name, "ref_type": "tag", "master_branch": "main", "description": nil, "pusher_type": "user"})
	}
	return append(sent, r.pushed("refs/tags/"+name, before, commit, sender)...)
}

// pushed makes the webhook push; an empty hash is what was not or will not be.
func (r *Repository) pushed(ref, before, after, sender string) []*delivery {
	or := func(sha string) string {
		if sha == "" {
			return strings.Repeat("0", 40)
		}
		return sha
	}
	var head any
	if after != "" {
		head = map[string]any{"id": after, "timestamp": firstCommit.Format(time.RFC3339), "url": r.page("/commit/%s", after), "message": "A change", "tree_id": hash("tree", after),
			"author": map[string]any{"name": "A"}, "committer": map[string]any{"name": "A"}, "added": []any{}, "removed": []any{}, "modified": []any{}, "distinct": true}
	}
	about := r.about()
	about["created_at"], about["pushed_at"] = firstCommit.Unix(), r.s.now().Unix() // numbers in this webhook only
	about["owner"].(map[string]any)["name"] = r.Owner
	return r.fire("push", "", sender, map[string]any{
		"ref": ref, "before": or(before), "after": or(after), "created": before == "", "deleted": after == "", "forced": before != "" && after != "", "base_ref": nil,
		"compare": r.page("/compare/%s", ref), "commits": []any{}, "head_commit": head, "pusher": map[string]any{"name": sender, "email": "a@example.org"}, "repository": about,
	})
}

// Publish adds a published release, or publishes the draft of its tag, and sends
// what GitHub sends. It returns the release's ID.
func (r *Repository) Publish(rel Release) int64 {
	r.s.mu.Lock()
	var x *release
	for _, o := range r.releases {
		if o.Draft && o.Tag == rel.Tag {
			x = o
			x.Draft, x.published = false, r.s.now()
		}
	}
	r.s.mu.Unlock()
	if x == nil {
		rel.Draft = false
		id := r.Add(rel)
		r.s.mu.Lock()
		x = r.release(itoa(id))
		r.s.mu.Unlock()
	}
	r.s.mu.Lock()
	sent := r.published(x, r.Owner)
	r.s.mu.Unlock()
	r.s.send(sent)
	return x.ID
}

// Edit changes a release's text and sends release edited.
func (r *Repository) Edit(id int64, body string) {
	r.s.mu.Lock()
	x := r.release(itoa(id))
	was := x.Body
	x.Body = body
	sent := r.released(x, "edited", r.Owner, map[string]any{"changes": map[string]any{"body": map[string]any{"from": was}}})
	r.s.mu.Unlock()
	r.s.send(sent)
}

// Unpublish takes a release away and sends release deleted.
func (r *Repository) Unpublish(id int64) {
	r.s.mu.Lock()
	sent := r.released(r.release(itoa(id)), "deleted", r.Owner, nil)
	r.s.mu.Unlock()
	r.Remove(id)
	r.s.send(sent)
}

// published makes the webhooks of a release that is no draft any more.
func (r *Repository) published(x *release, sender string) []*delivery {
	return r.released(x, "published", sender, nil)
}

func (r *Repository) released(x *release, action, sender string, more map[string]any) []*delivery {
	body := map[string]any{"release": r.json(x)}
	for k, v := range more {
		body[k] = v
	}
	return r.fire("release", action, sender, body)
}

// Rename gives the repository another name and sends repository renamed. Requests
// by the old name are redirected until another repository has it.
func (r *Repository) Rename(name string) {
	r.s.mu.Lock()
	was := r.Name
	r.s.leave(r)
	r.Name = name
	sent := r.fire("repository", "renamed", r.Owner, map[string]any{"changes": map[string]any{"repository": map[string]any{"name": map[string]any{"from": was}}}})
	r.s.mu.Unlock()
	r.s.send(sent)
}

// Transfer gives the repository to another account and sends repository
// transferred to those installations that have it then.
func (r *Repository) Transfer(owner string) {
	r.s.mu.Lock()
	from := r.s.user(r.Owner)
	r.s.leave(r)
	r.Owner = owner
	key := "user"
	if from["type"] == "Organization" {
		key = "organization"
	}
	sent := r.fire("repository", "transferred", owner, map[string]any{"changes": map[string]any{"owner": map[string]any{"from": map[string]any{key: from}}}})
	r.s.mu.Unlock()
	r.s.send(sent)
}

// Delete removes the repository and sends repository deleted.
func (r *Repository) Delete() {
	r.s.mu.Lock()
	sent := r.fire("repository", "deleted", r.Owner, nil)
	r.removed = true
	r.s.mu.Unlock()
	r.s.send(sent)
}

// leave remembers the name that a repository is about to lose.
func (s *Server) leave(r *Repository) {
	s.names[strings.ToLower(r.Owner+"/"+r.Name)] = r
}

// former is the repository that had a name.
func (s *Server) former(owner, name string) *Repository {
	if r := s.names[strings.ToLower(owner+"/"+name)]; r != nil && !r.removed {
		return r
	}
	return nil
}

// sender is whose doing a request is.
func (c *call) sender() string {
	if c.token != nil {
		return c.token.in.App.Slug + "[bot]"
	}
	return "octocat"
}

// made sends what GitHub sends when a release was published by a request.
func (c *call) made(x *release) {
	c.s.later(c.repo.published(x, c.sender()))
}

func created(a answer) answer {
	a.status = http.StatusCreated
	return a
}
