package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

func itoa[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

type repositoryPageView struct {
	ID           int64
	Name         string
	Branch       string
	Private      bool
	Removed      bool
	GitHub       string
	Installation int64
	Account      string
	Manages      bool
	List         []releaseRow
	Pages        pager
}

// namedRepository sends a readable address on to the one that outlives renames.
func (s *Site) namedRepository(w http.ResponseWriter, r *http.Request, v *visit) error {
	http.Redirect(w, r, "/repositories/"+itoa(v.repository.ID), http.StatusSeeOther)
	return nil
}

func (s *Site) repositoryPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	repo := v.repository
	in, err := s.o.Store.Installation(r.Context(), repo.Installation)
	if err != nil {
		return err
	}
	view := repositoryPageView{
		ID: repo.ID, Name: clean(repo.Owner + "/" + repo.Name), Branch: clean(repo.DefaultBranch), Private: repo.Private, Removed: repo.Removed,
		GitHub: s.repositoryURL(repo), Installation: in.ID, Account: clean(in.Account), Manages: v.manages,
	}
	f := store.ReleaseFilter{Repository: repo.ID, Limit: perPage + 1}
	if text := r.URL.Query().Get("before"); text != "" {
		if f.Before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return bad("The address names a moment that is none.", err)
		}
		view.Pages.Newer = "?"
	}
	rels, err := s.o.Store.Releases(r.Context(), f)
	if err != nil {
		return err
	}
	if len(rels) > perPage {
		rels = rels[:perPage]
		view.Pages.Older = "?before=" + url.QueryEscape(rels[perPage-1].Created.UTC().Format(time.RFC3339Nano))
	}
	for _, rel := range rels {
		view.List = append(view.List, s.releaseRow(rel, ""))
	}
	s.render(w, r, v, http.StatusOK, "repository", &page{Title: view.Name, Crumbs: []crumb{s.crumbOf(in)}, Data: view})
	return nil
}

func (s *Site) repositoryURL(r *store.Repository) string {
	return s.o.GitHubURL + "/" + r.Owner + "/" + r.Name
}

func (s *Site) crumbOf(in *store.Installation) crumb {
	return crumb{clean(in.Account), "/installations/" + itoa(in.ID)}
}

// crumbs are the way to a repository, itself included.
func (s *Site) crumbs(ctx context.Context, repo *store.Repository) ([]crumb, error) {
	in, err := s.o.Store.Installation(ctx, repo.Installation)
	if err != nil {
		return nil, err
	}
	return []crumb{s.crumbOf(in), {clean(repo.Name), "/repositories/" + itoa(repo.ID)}}, nil
}

// startRelease begins a release that somebody asks for.
func (s *Site) startRelease(w http.ResponseWriter, r *http.Request, v *visit) error {
	tag := strings.TrimSpace(r.PostForm.Get("tag"))
	targets := strings.FieldsFunc(r.PostForm.Get("targets"), func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' })
	rel, err := s.start(r.Context(), v, tag, targets)
	if err != nil {
		return err
	}
	return back(w, r, ReleasePath(rel), "release")
}

// start begins a release after a look at what was asked.
func (s *Site) start(ctx context.Context, v *visit, tag string, targets []string) (*store.Release, error) {
	if !plainTag(tag) {
		return nil, &Refusal{"Give the name of a tag, such as v1.2.3."}
	}
	if len(targets) > 200 {
		return nil, &Refusal{"Name 200 targets at most."}
	}
	id, err := s.o.Actions.Release(ctx, v.by(), v.repository.ID, tag, targets)
	if err != nil {
		return nil, err
	}
	return s.o.Store.Release(ctx, id)
}

// plainTag keeps to what git allows in the name of a tag (git-check-ref-format), so
// that an address made from it leads back to it.
func plainTag(tag string) bool {
	if tag == "" || len(tag) > 200 || strings.HasSuffix(tag, ".") || strings.Contains(tag, "..") || strings.Contains(tag, "@{") || strings.HasPrefix(tag, "-") || tag == "@" {
		return false
	}
	for part := range strings.SplitSeq(tag, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsAny(tag, " ~^:?*[\\\x7f") && !strings.ContainsFunc(tag, func(c rune) bool { return c < ' ' })
}
