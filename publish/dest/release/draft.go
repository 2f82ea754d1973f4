package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v60/github"
)

// hosted is a release as the host has it. go-github's own struct does not know
// whether it is immutable.
type hosted struct {
	ID         int64  `json:"id"`
	Tag        string `json:"tag_name"`
	Commit     string `json:"target_commitish"`
	Name       string `json:"name"`
	Body       string `json:"body"`
	Draft      bool   `json:"draft"`
	Prerelease bool   `json:"prerelease"`
	Immutable  bool   `json:"immutable"`
	URL        string `json:"html_url"`
	Assets     []struct {
		ID int64 `json:"id"`
	} `json:"assets"`
}

// published returns the published release of a tag; nil if there is none. The host
// finds no drafts this way.
func (p *Place) published(ctx context.Context, tag string) (*hosted, error) {
	h := new(hosted)
	_, err := p.call(ctx, request{what: "look for the release", method: http.MethodGet, path: p.path("releases/tags/%s", escape(tag)), again: true}, h)
	if status(err) == http.StatusNotFound {
		return nil, nil
	}
	return h, err
}

// get reads a release; nil if it is gone.
func (p *Place) get(ctx context.Context, id int64) (*hosted, error) {
	h := new(hosted)
	_, err := p.call(ctx, request{what: "read the release", method: http.MethodGet, path: p.path("releases/%d", id), again: true}, h)
	if status(err) == http.StatusNotFound {
		return nil, nil
	}
	return h, err
}

// listed returns the published release of a tag and its drafts, the oldest first.
func (p *Place) listed(ctx context.Context, tag string) (published *hosted, drafts []*hosted, err error) {
	list, _, err := all[*hosted](ctx, p, request{what: "list the releases", path: p.path("releases")})
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[int64]bool)
	for _, h := range list {
		switch {
		case h.Tag != tag || seen[h.ID]: // pages move when something is added
		case h.Draft:
			drafts = append(drafts, h)
		default:
			published = h
		}
		seen[h.ID] = true
	}
	slices.SortFunc(drafts, func(a, b *hosted) int { return int(a.ID - b.ID) })
	return published, drafts, nil
}

// find returns the release of a tag, published or draft; nil if there is none.
func (p *Place) find(ctx context.Context, tag string) (*hosted, error) {
	h, err := p.published(ctx, tag)
	if h != nil || err != nil {
		return h, err
	}
	published, drafts, err := p.listed(ctx, tag)
	if published != nil || err != nil {
		return published, err
	}
	return one(drafts)
}

// one is the draft that everybody takes: the oldest.
func one(drafts []*hosted) (*hosted, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	for _, d := range drafts[1:] {
		if len(d.Assets) > 0 {
			return nil, fmt.Errorf("there are several drafts of the tag with files (ids %d and %d): delete all but one", drafts[0].ID, d.ID)
		}
	}
	return drafts[0], nil
}

// obtain finds the release of a tag or makes a draft. Two programs may make a draft
// each, for the host lets several wait for one tag: each looks again after making
// its own, all take the oldest, and the others are deleted, as long as they are
// empty and what this program would have made.
func (p *Place) obtain(ctx context.Context, rel Release) (h *hosted, created bool, err error) {
	if h, err = p.published(ctx, rel.Tag); h != nil || err != nil {
		return h, false, err
	}
	var mine int64
	var last error
	for range tries {
		published, drafts, err := p.listed(ctx, rel.Tag)
		if err != nil {
			return nil, false, err
		}
		if published != nil {
			return published, false, p.clear(ctx, drafts, rel)
		}
		if len(drafts) > 0 {
			h, err := one(drafts)
			if err != nil {
				return nil, false, err
			}
			return h, h.ID == mine, p.clear(ctx, drafts[1:], rel)
		}
		if last != nil {
			if err := p.o.Wait(ctx, pause); err != nil {
				return nil, false, err
			}
		}
		made := new(hosted)
		_, last = p.call(ctx, request{what: "make a draft", method: http.MethodPost, path: p.path("releases"), body: rel.draft()}, made)
		if last != nil && !broken(last) {
			return nil, false, last
		}
		mine = made.ID
	}
	if last == nil {
		last = errors.New("a draft was made and is not in the list of releases: run again")
	}
	return nil, false, last
}

func (rel *Release) title() string {
	if rel.Title == "" {
		return rel.Tag
	}
	return rel.Title
}

// draft is the request that makes a release.
func (rel *Release) draft() *github.RepositoryRelease {
	r := &github.RepositoryRelease{TagName: &rel.Tag, Name: github.String(rel.title()), Body: &rel.Notes, Draft: github.Bool(true), Prerelease: &rel.Prerelease}
	if rel.Commit != "" {
		r.TargetCommitish = &rel.Commit
	}
	return r
}

// clear deletes drafts that lost the race. What people wrote is not like ours.
func (p *Place) clear(ctx context.Context, drafts []*hosted, rel Release) error {
	for _, d := range drafts {
		if len(d.Assets) > 0 || d.Name != rel.title() || d.Body != rel.Notes {
			p.o.Say(fmt.Sprintf("there is another draft for tag %s: %s", rel.Tag, d.URL))
			continue
		}
		if err := p.remove(ctx, "delete the second draft", p.path("releases/%d", d.ID)); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes something; that it is gone already is no error.
func (p *Place) remove(ctx context.Context, what, path string) error {
	_, err := p.call(ctx, request{what: what, method: http.MethodDelete, path: path, again: true}, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// publish makes a release of a draft, in one request. done is false if it was one
// already. What people wrote into the draft stays.
func (p *Place) publish(ctx context.Context, h *hosted, rel Release) (now *hosted, done bool, err error) {
	edit := &github.RepositoryRelease{TagName: &rel.Tag, Draft: github.Bool(false), Prerelease: github.Bool(rel.Prerelease || h.Prerelease), MakeLatest: github.String("false")}
	if rel.Commit != "" {
		edit.TargetCommitish = &rel.Commit
	}
	if h.Name == "" {
		edit.Name = github.String(rel.title())
	}
	if h.Body == "" && rel.Notes != "" {
		edit.Body = &rel.Notes
	}
	if rel.Latest && !*edit.Prerelease {
		*edit.MakeLatest = "true"
	}
	for n := 1; ; n++ {
		// Looked at each time: an answer that got lost must not publish twice.
		now, err := p.get(ctx, h.ID)
		if err != nil {
			return nil, false, err
		}
		if now == nil {
			return nil, false, errGone
		}
		if !now.Draft {
			return now, n > 1, nil
		}
		now = new(hosted)
		_, err = p.call(ctx, request{what: "publish the release", method: http.MethodPatch, path: p.path("releases/%d", h.ID), body: edit}, now)
		if err == nil && !now.Draft {
			return now, true, nil
		}
		if err == nil {
			err = errors.New("the host left the release a draft: publish it by hand")
		}
		var f *failure
		if errors.As(err, &f) && f.is("tag_name", "already_exists") {
			return nil, false, errGone // another draft of the tag was published
		}
		if !broken(err) || n == tries {
			return nil, false, err
		}
		if err := p.o.Wait(ctx, pause); err != nil {
			return nil, false, err
		}
	}
}

// errGone says that the release is not the one to work on any more.
var errGone = errors.New("the release was deleted or another one was published meanwhile: run again")

// object is what a tag points to.
type object struct {
	Object struct {
		Type string `json:"type"`
		SHA  string `json:"sha"`
	} `json:"object"`
}

// checkTag compares the tag with the commit that the files were built from. A tag
// that moved must not get them.
func (p *Place) checkTag(ctx context.Context, rel Release) error {
	var o object
	_, err := p.call(ctx, request{what: "look at the tag", method: http.MethodGet, path: p.path("git/ref/tags/%s", escape(rel.Tag)), again: true}, &o)
	if status(err) == http.StatusNotFound {
		if rel.Commit == "" {
			return errors.New("there is no such tag: push it first")
		}
		return nil
	}
	if err != nil || rel.Commit == "" {
		return err
	}
	for range 5 { // a tag may point to a tag
		if o.Object.Type != "tag" {
			break
		}
		if _, err := p.call(ctx, request{what: "look at the tag", method: http.MethodGet, path: p.path("git/tags/%s", escape(o.Object.SHA)), again: true}, &o); err != nil {
			return err
		}
	}
	if o.Object.SHA != rel.Commit {
		return fmt.Errorf("the tag is at %s, and the files were built from %s: was it moved? Build again from the tag, or make a new one", o.Object.SHA, rel.Commit)
	}
	return nil
}
