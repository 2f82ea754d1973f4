package githubtest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Repository is a repository of a Server. Its methods may be called while
// requests are answered.
type Repository struct {
	Owner, Name string

	s         *Server
	id        int64
	private   bool
	immutable bool
	commits   []string
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
	r := &Repository{Owner: owner, Name: name, s: s, id: s.nextID(), refs: make(map[string]object), tags: make(map[string]object), locked: make(map[string]bool)}
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
	r.commits = append(r.commits, sha)
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
	o := r.refs["tags/"+name]
	for o.kind == "tag" {
		o = r.tags[o.sha]
	}
	return o.sha
}

func hash(words ...string) string {
	h := sha1.Sum([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(h[:])
}

func (s *Server) find(owner, name string) *Repository {
	for _, r := range s.repos {
		if strings.EqualFold(r.Owner, owner) && strings.EqualFold(r.Name, name) {
			return r
		}
	}
	return nil
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
	return ok(c.s.fill("full-repository", map[string]any{
		"id": r.id, "node_id": node("R", r.id), "name": r.Name, "full_name": r.Owner + "/" + r.Name, "private": r.private,
		"owner": c.s.user(r.Owner), "default_branch": "main", "html_url": r.page(""), "url": r.api(""), "visibility": map[bool]string{true: "private", false: "public"}[r.private],
		"permissions": map[string]any{"admin": false, "maintain": false, "pull": true, "push": c.writes(), "triage": false},
	}))
}

func getImmutable(c *call) answer {
	if !c.repo.immutable {
		return notFound()
	}
	return ok(map[string]any{"enabled": true, "enforced_by_owner": false})
}

func getRef(c *call) answer {
	name := c.params["ref"]
	o, found := c.repo.refs[name]
	if !found {
		return notFound()
	}
	return ok(map[string]any{"ref": "refs/" + name, "node_id": node("REF", name), "url": c.repo.api("/git/refs/%s", name), "object": c.repo.object(o)})
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

func getCommit(c *call) answer {
	sha := c.params["commit_sha"]
	if !c.repo.has(sha) {
		return notFound()
	}
	return ok(c.s.fill("git-commit", map[string]any{"sha": sha, "url": c.repo.api("/git/commits/%s", sha), "html_url": c.repo.page("/commit/%s", sha)}))
}

func (r *Repository) has(commit string) bool {
	for _, c := range r.commits {
		if c == commit {
			return true
		}
	}
	return false
}

// user is an account as answers show it.
func (s *Server) user(login string) map[string]any {
	return s.fill("simple-user", map[string]any{"login": login, "id": 1, "node_id": node("U", login), "type": "User", "url": s.URL + "users/" + login, "html_url": s.web + "/" + login})
}

// fill adds the fields that a schema requires and the double has nothing to say
// of, with empty values of the right type.
func (s *Server) fill(schema string, have map[string]any) map[string]any {
	return s.filled(s.desc.doc.Components.Schemas[schema].Value, have)
}

func (s *Server) filled(schema *openapi3.Schema, have map[string]any) map[string]any {
	all := maps.Clone(have)
	for _, name := range schema.Required {
		if _, ok := all[name]; ok {
			continue
		}
		p := schema.Properties[name].Value
		switch {
		case p.Nullable:
			all[name] = nil
		case strings.HasSuffix(name, "url"):
			all[name] = s.URL + name
		case p.Type.Is("integer"):
			all[name] = 0
		case p.Type.Is("boolean"):
			all[name] = false
		case p.Type.Is("array"):
			all[name] = []any{}
		case p.Type.Is("object"):
			all[name] = s.filled(p, map[string]any{})
		case p.Format == "date-time":
			all[name] = "2026-01-02T03:04:05Z"
		default:
			all[name] = ""
		}
	}
	return all
}
