package githubtest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// commit is what is known of a commit.
type commit struct {
	at    time.Time
	files map[string]string // by path
}

// firstCommit is when commits were made that say nothing else.
var firstCommit = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// CommitFiles adds a commit with files by their paths and returns its hash.
func (r *Repository) CommitFiles(text string, files map[string]string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	sha := r.commit(text)
	r.commits[sha].files = maps.Clone(files)
	return sha
}

// Import adds a commit of a real repository: its hash, when it was committed, and
// those of its files that are to be asked for.
func (r *Repository) Import(sha string, at time.Time, files map[string]string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.commits[sha] = &commit{at: at.UTC(), files: maps.Clone(files)}
}

// Branch moves a branch, or makes it.
func (r *Repository) Branch(name, commit string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.refs["heads/"+name] = object{kind: "commit", sha: commit}
}

func getCommit(c *call) answer {
	sha := c.params["commit_sha"]
	k := c.repo.commits[sha]
	if k == nil {
		return notFound()
	}
	by := map[string]any{"name": "A", "email": "a@example.org", "date": k.at.Format(time.RFC3339)}
	return ok(c.s.fill("git-commit", map[string]any{"sha": sha, "url": c.repo.api("/git/commits/%s", sha), "html_url": c.repo.page("/commit/%s", sha), "author": by, "committer": by}))
}

// at is the commit that a ref, a tag, a branch or a hash leads to; "" if none.
func (r *Repository) at(ref string) string {
	if ref == "" {
		ref = "main"
	}
	if r.has(ref) {
		return ref
	}
	ref = strings.TrimPrefix(ref, "refs/")
	for _, name := range []string{ref, "heads/" + ref, "tags/" + ref} {
		if o, ok := r.refs[name]; ok {
			return r.peel(o)
		}
	}
	return ""
}

func (r *Repository) peel(o object) string {
	for o.kind == "tag" {
		o = r.tags[o.sha]
	}
	return o.sha
}

// largeFile is the size from which contents come only in the raw form.
const largeFile = 1 << 20

func getContent(c *call) answer {
	path := strings.Trim(c.params["path"], "/")
	sha := c.repo.at(c.r.URL.Query().Get("ref"))
	if sha == "" {
		return refuse(http.StatusNotFound, "No commit found for the ref "+c.r.URL.Query().Get("ref"))
	}
	files := c.repo.commits[sha].files
	text, isFile := files[path]
	if isFile {
		if strings.Contains(c.r.Header.Get("Accept"), "raw") {
			return answer{status: http.StatusOK, raw: []byte(text)}
		}
		f := c.repo.entry("file", path, sha, text)
		f["encoding"], f["content"] = "base64", lines(base64.StdEncoding.EncodeToString([]byte(text)))
		if len(text) > largeFile {
			f["encoding"], f["content"] = "none", ""
		}
		return ok(f)
	}
	entries := []any{}
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rest, ok := strings.CutPrefix("/"+name, "/"+path+"/")
		if path == "" {
			rest, ok = name, true
		}
		if !ok {
			continue
		}
		first, _, dir := strings.Cut(rest, "/")
		if seen[first] {
			continue
		}
		seen[first] = true
		kind, content := "file", files[name]
		if dir {
			kind, content = "dir", ""
		}
		entries = append(entries, c.repo.entry(kind, strings.Trim(path+"/"+first, "/"), sha, content))
	}
	if len(entries) == 0 {
		return notFound()
	}
	return ok(entries)
}

func (r *Repository) entry(kind, path, ref, text string) map[string]any {
	name := path[strings.LastIndex(path, "/")+1:]
	sha := hash("blob", text)
	self, page, blob := r.api("/contents/%s?ref=%s", path, ref), r.page("/blob/%s/%s", ref, path), r.api("/git/blobs/%s", sha)
	return map[string]any{
		"type": kind, "name": name, "path": path, "size": len(text), "sha": sha, "url": self, "git_url": blob, "html_url": page, "download_url": r.page("/raw/%s/%s", ref, path),
		"_links": map[string]any{"self": self, "git": blob, "html": page},
	}
}

// lines breaks base64 as GitHub does.
func lines(s string) string {
	var b strings.Builder
	for len(s) > 60 {
		b.WriteString(s[:60] + "\n")
		s = s[60:]
	}
	return b.String() + s + "\n"
}

func listTags(c *call) answer {
	var names []string
	for name := range c.repo.refs {
		if tag, ok := strings.CutPrefix(name, "tags/"); ok {
			names = append(names, tag)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	return page(c, names, func(tag string) any {
		sha := c.repo.peel(c.repo.refs["tags/"+tag])
		return c.s.fill("tag", map[string]any{"name": tag, "commit": map[string]any{"sha": sha, "url": c.repo.api("/commits/%s", sha)}, "node_id": node("REF", tag),
			"zipball_url": c.repo.api("/zipball/refs/tags/%s", tag), "tarball_url": c.repo.api("/tarball/refs/tags/%s", tag)})
	})
}

func listMatchingRefs(c *call) answer {
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(c.repo.refs)) {
		if strings.HasPrefix(name, c.params["ref"]) {
			all = append(all, c.repo.ref(name))
		}
	}
	return ok(all)
}

func (r *Repository) ref(name string) map[string]any {
	return map[string]any{"ref": "refs/" + name, "node_id": node("REF", name), "url": r.api("/git/refs/%s", name), "object": r.object(r.refs[name])}
}
