package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Release is a release as it stands.
type Release struct {
	ID          int64
	Tag, Commit string // Commit: target_commitish
	Name, Body  string
	Draft       bool
	Prerelease  bool
	Immutable   bool
	MakeLatest  string // what the last request that published it said
	Published   int    // how often it went from draft to published
	Asked       int    // how many requests to publish it, or to leave it published, were carried out
	Assets      []Asset
}

// Asset finds an asset by name; nil if there is none.
func (r *Release) Asset(name string) *Asset {
	i := slices.IndexFunc(r.Assets, func(a Asset) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Assets[i]
}

type release struct {
	Release
	created   time.Time
	published time.Time
	assets    []*asset
}

// Releases returns all releases, drafts too, oldest first.
func (r *Repository) Releases() []Release {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Release
	for _, x := range r.releases {
		all = append(all, x.show())
	}
	return all
}

func (x *release) show() Release {
	v := x.Release
	v.Assets = nil
	for _, a := range x.assets {
		v.Assets = append(v.Assets, a.Asset)
	}
	return v
}

// Add puts a release there as people or other programs left it, and returns its
// ID. The ID in rel is not used.
func (r *Repository) Add(rel Release) int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	x := &release{Release: rel, created: r.s.now()}
	x.ID = r.s.nextID()
	if !rel.Draft {
		x.published = r.s.now()
		if rel.Immutable {
			r.locked[rel.Tag] = true
		}
	}
	for _, a := range rel.Assets {
		x.put(r.s, a)
	}
	r.releases = append(r.releases, x)
	return x.ID
}

// Remove takes a release away, as people may.
func (r *Repository) Remove(id int64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.releases = slices.DeleteFunc(r.releases, func(x *release) bool { return x.ID == id })
}

func (r *Repository) release(id string) *release {
	n, _ := strconv.ParseInt(id, 10, 64) // the description demands a number; 0 is nobody's
	for _, x := range r.releases {
		if x.ID == n {
			return x
		}
	}
	return nil
}

func (r *Repository) releaseOf(tag string) *release {
	for _, x := range r.releases {
		if !x.Draft && x.Tag == tag {
			return x
		}
	}
	return nil
}

// shown is the name a release has in URLs for people: drafts have no tag there.
func (x *release) shown() string {
	if x.Draft {
		return "untagged-" + hash("draft", fmt.Sprint(x.ID))[:20]
	}
	return x.Tag
}

func (r *Repository) json(x *release) any {
	stamp := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.Format(time.RFC3339)
	}
	assets := []any{}
	for _, a := range x.assets {
		assets = append(assets, r.assetJSON(x, a))
	}
	up := fmt.Sprintf("%srepos/%s/%s/releases/%d/assets{?name,label}", r.s.UploadURL, r.Owner, r.Name, x.ID)
	return map[string]any{
		"id": x.ID, "node_id": node("RE", x.ID), "tag_name": x.Tag, "target_commitish": x.Commit, "name": x.Name, "body": x.Body,
		"draft": x.Draft, "prerelease": x.Prerelease, "immutable": x.Immutable, "created_at": stamp(x.created), "published_at": stamp(x.published),
		"author": r.s.user("octocat"), "assets": assets,
		"url": r.api("/releases/%d", x.ID), "assets_url": r.api("/releases/%d/assets", x.ID), "upload_url": up, "html_url": r.page("/releases/tag/%s", x.shown()),
		"tarball_url": r.api("/tarball/%s", x.Tag), "zipball_url": r.api("/zipball/%s", x.Tag),
	}
}

func listReleases(c *call) answer {
	var seen []*release
	for _, x := range slices.Backward(c.repo.releases) {
		if !x.Draft || c.writes() {
			seen = append(seen, x)
		}
	}
	return page(c, seen, func(x *release) any { return c.repo.json(x) })
}

// byID finds the release a request names; drafts are there for writers only.
func byID(c *call) *release {
	x := c.repo.release(c.params["release_id"])
	if x == nil || x.Draft && !c.writes() {
		return nil
	}
	return x
}

func getRelease(c *call) answer {
	x := byID(c)
	if x == nil {
		return notFound()
	}
	return ok(c.repo.json(x))
}

func getReleaseByTag(c *call) answer {
	x := c.repo.releaseOf(c.params["tag"])
	if x == nil {
		return notFound()
	}
	return ok(c.repo.json(x))
}

func getLatest(c *call) answer {
	for _, x := range slices.Backward(c.repo.releases) {
		if !x.Draft && !x.Prerelease && x.MakeLatest != "false" {
			return ok(c.repo.json(x))
		}
	}
	return notFound()
}

func generateNotes(c *call) answer {
	var in struct {
		Tag string `json:"tag_name"`
	}
	c.decode(&in)
	return ok(map[string]any{"name": in.Tag, "body": "## What's Changed\n\n**Full Changelog**: " + c.repo.page("/commits/%s", in.Tag)})
}

// edit is the body of the requests that make and change releases.
type edit struct {
	Tag        *string `json:"tag_name"`
	Commit     *string `json:"target_commitish"`
	Name       *string `json:"name"`
	Body       *string `json:"body"`
	Draft      *bool   `json:"draft"`
	Prerelease *bool   `json:"prerelease"`
	MakeLatest *string `json:"make_latest"`
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (in *edit) apply(x *release) {
	set(&x.Tag, in.Tag)
	set(&x.Commit, in.Commit)
	set(&x.Name, in.Name)
	set(&x.Body, in.Body)
	set(&x.Draft, in.Draft)
	set(&x.Prerelease, in.Prerelease)
}

func createRelease(c *call) answer {
	in := edit{}
	c.decode(&in)
	x := &release{created: c.s.now()}
	x.Commit = "main"
	in.apply(x)
	if a, ok := c.settle(x, &in, true); !ok {
		return a
	}
	x.ID = c.s.nextID()
	c.repo.releases = append(c.repo.releases, x)
	if !x.Draft {
		c.made(x)
	}
	a := ok(c.repo.json(x))
	a.status, a.header = http.StatusCreated, http.Header{"Location": {c.repo.api("/releases/%d", x.ID)}}
	return a
}

func updateRelease(c *call) answer {
	x := byID(c)
	if x == nil {
		return notFound()
	}
	in := edit{}
	c.decode(&in)
	if x.Immutable && (in.Tag != nil && *in.Tag != x.Tag || in.Draft != nil && *in.Draft) {
		return invalid("Release", "custom", "tag_name", "tag_name can't be changed: the release is immutable")
	}
	next := *x
	in.apply(&next)
	if a, ok := c.settle(&next, &in, x.Draft); !ok {
		return a
	}
	if in.Draft != nil && !*in.Draft {
		next.Asked++
	}
	published := x.Draft && !next.Draft
	*x = next
	if published {
		c.made(x)
	}
	return ok(c.repo.json(x))
}

// settle checks a release as it is to be and publishes it, if it was a draft and
// is not to be one.
func (c *call) settle(x *release, in *edit, draft bool) (answer, bool) {
	r := c.repo
	if x.Tag == "" {
		return invalid("Release", "missing_field", "tag_name", ""), false
	}
	if strings.ContainsAny(x.Tag, " ~^:?*[\\") {
		return invalid("Release", "custom", "tag_name", "tag_name is not a valid tag"), false
	}
	if in.MakeLatest != nil && *in.MakeLatest == "true" && (x.Prerelease || x.Draft) {
		return invalid("Release", "custom", "make_latest", "drafts and prereleases cannot be latest"), false
	}
	if x.Draft || !draft {
		return answer{}, true
	}
	if r.releaseOf(x.Tag) != nil {
		return invalid("Release", "already_exists", "tag_name", ""), false
	}
	if r.locked[x.Tag] {
		return invalid("Release", "custom", "tag_name", "tag_name was used by an immutable release"), false
	}
	if _, there := r.refs["tags/"+x.Tag]; !there {
		at := x.Commit
		if head, isBranch := r.refs["heads/"+at]; isBranch {
			at = head.sha
		}
		if !r.has(at) {
			return invalid("Release", "invalid", "target_commitish", ""), false
		}
		r.refs["tags/"+x.Tag] = object{kind: "commit", sha: at}
	}
	x.published = c.s.now()
	x.Published++
	if in.MakeLatest != nil {
		x.MakeLatest = *in.MakeLatest
	}
	if r.immutable {
		x.Immutable = true
		r.locked[x.Tag] = true
	}
	return answer{}, true
}

func deleteRelease(c *call) answer {
	x := byID(c)
	if x == nil {
		return notFound()
	}
	c.repo.releases = slices.DeleteFunc(c.repo.releases, func(o *release) bool { return o == x })
	return answer{status: http.StatusNoContent}
}
