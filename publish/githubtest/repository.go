package githubtest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Repository is a repository of a Server. Its methods may be called while
// requests are answered.
type Repository struct {
	Owner, Name string

	s         *Server
	id        int64
	private   bool
	immutable bool
	removed   bool
	issuesOff bool
	commits   map[string]*commit
	numbers   int // of issues and pull requests
	issues    []*issue
	pulls     []*pull
	checks    []*check
	refs      map[string]object // "tags/v1"
	tags      map[string]object // annotated tags by their own hash
	locked    map[string]bool   // tags that an immutable release took
	releases  []*release
}

// object is what a ref or an annotated tag points to.
type object struct {
	kind string // "commit" or "tag"
	sha  string
	name string // of the annotated tag that points
}

// Repo makes a public repository with one commit, which its branch main is at.
func (s *Server) Repo(owner, name string) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Repository{Owner: owner, Name: name, s: s, id: s.nextID(), commits: make(map[string]*commit), refs: make(map[string]object), tags: make(map[string]object), locked: make(map[string]bool)}
	r.refs["heads/main"] = object{kind: "commit", sha: r.commit("first")}
	s.repos = append(s.repos, r)
	return r
}

// Private hides the repository from everybody without a token for it.
func (r *Repository) Private() *Repository {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.private = true
	return r
}

// Immutable makes releases that are published from now on immutable.
func (r *Repository) Immutable() *Repository {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.immutable = true
	return r
}

// Commit adds a commit and returns its hash; the same text is the same commit.
func (r *Repository) Commit(text string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.commit(text)
}

func (r *Repository) commit(text string) string {
	sha := hash("commit", r.Owner, r.Name, text)
	if r.commits[sha] == nil {
		r.commits[sha] = &commit{at: firstCommit}
	}
	return sha
}

// Tag makes or moves a lightweight tag.
func (r *Repository) Tag(name, commit string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.refs["tags/"+name] = object{kind: "commit", sha: commit}
}

// Annotated makes or moves an annotated tag.
func (r *Repository) Annotated(name, commit string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	sha := hash("tag", name, commit)
	r.tags[sha] = object{kind: "commit", sha: commit, name: name}
	r.refs["tags/"+name] = object{kind: "tag", sha: sha}
}

// TagCommit is the hash a tag points to in the end; "" if there is no such tag.
func (r *Repository) TagCommit(name string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.peel(r.refs["tags/"+name])
}

func hash(words ...string) string {
	h := sha1.Sum([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(h[:])
}

func (s *Server) find(owner, name string) *Repository {
	for _, r := range s.repos {
		if !r.removed && strings.EqualFold(r.Owner, owner) && strings.EqualFold(r.Name, name) {
			return r
		}
	}
	return nil
}

// ID is the repository's id, which it keeps when it is renamed.
func (r *Repository) ID() int64 { return r.id }

// about is what answers and webhooks say of the repository.
func (r *Repository) about() map[string]any {
	return map[string]any{
		"id": r.id, "node_id": node("R", r.id), "name": r.Name, "full_name": r.Owner + "/" + r.Name, "private": r.private,
		"owner": r.s.user(r.Owner), "default_branch": "main", "html_url": r.page(""), "url": r.api(""), "visibility": map[bool]string{true: "private", false: "public"}[r.private],
		"clone_url": r.page(".git"), "has_issues": !r.issuesOff, "archived": false, "fork": false,
		"created_at": firstCommit.Format(time.RFC3339), "updated_at": firstCommit.Format(time.RFC3339), "pushed_at": firstCommit.Format(time.RFC3339),
	}
}

// api is the URL of something of the repository.
func (r *Repository) api(format string, args ...any) string {
	return fmt.Sprintf("%srepos/%s/%s", r.s.URL, r.Owner, r.Name) + fmt.Sprintf(format, args...)
}

// page is the URL of something of the repository for people.
func (r *Repository) page(format string, args ...any) string {
	return fmt.Sprintf("%s/%s/%s", r.s.web, r.Owner, r.Name) + fmt.Sprintf(format, args...)
}

func node(kind string, id any) string { return fmt.Sprintf("%s_%v", kind, id) }

func getRepository(c *call) answer {
	r := c.repo
	v := r.about()
	v["permissions"] = map[string]any{"admin": false, "maintain": false, "pull": true, "push": c.writes(), "triage": false}
	return ok(c.s.fill("full-repository", v))
}

func getImmutable(c *call) answer {
	if !c.repo.immutable {
		return notFound()
	}
	return ok(map[string]any{"enabled": true, "enforced_by_owner": false})
}

func getRef(c *call) answer {
	name := c.params["ref"]
	if _, found := c.repo.refs[name]; !found {
		return notFound()
	}
	return ok(c.repo.ref(name))
}

func (r *Repository) object(o object) map[string]any {
	return map[string]any{"type": o.kind, "sha": o.sha, "url": r.api("/git/%ss/%s", o.kind, o.sha)}
}

func getTag(c *call) answer {
	sha := c.params["tag_sha"]
	o, found := c.repo.tags[sha]
	if !found {
		return notFound()
	}
	return ok(map[string]any{
		"node_id": node("TA", sha), "tag": o.name, "sha": sha, "url": c.repo.api("/git/tags/%s", sha), "message": o.name + "\n",
		"tagger": map[string]any{"name": "A", "email": "a@example.org", "date": "2026-01-02T03:04:05Z"}, "object": c.repo.object(o),
	})
}

func (r *Repository) has(commit string) bool { return r.commits[commit] != nil }
