package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/distropack/distropack/app/store"
)

type homeView struct {
	Ready         bool // the GitHub App exists
	Install       string
	Installations []installationView
	Releases      []releaseRow
}

// installationView is an installation in a list.
type installationView struct {
	ID           int64
	Account      string
	Kind         string // "organization" or "person"
	Suspended    bool
	Removed      bool
	Repositories int // that the person sees
	Manages      bool
}

// releaseRow is a release in a list.
type releaseRow struct {
	Path             string
	Repository       string // owner/name; "" on the repository's own page
	Tag, Commit      string
	Version, Trigger string
	State            state
	Short            string
	Created          moment
	Took             span
}

func (s *Site) releaseRow(rel *store.Release, repository string) releaseRow {
	return releaseRow{
		Path: ReleasePath(rel), Repository: clean(repository), Tag: clean(rel.Tag), Commit: commit(rel.Commit), Version: clean(rel.Version), Trigger: clean(rel.Trigger),
		State: stateOf(rel.State), Short: clean(rel.Short), Created: at(rel.Created), Took: took(rel.Started, rel.Ended, s.o.Now()),
	}
}

func newInstallationView(in *store.Installation) installationView {
	v := installationView{ID: in.ID, Account: clean(in.Account), Kind: "person", Suspended: in.Suspended, Removed: in.Removed}
	if in.AccountType == "Organization" {
		v.Kind = "organization"
	}
	return v
}

func (s *Site) home(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	app, err := s.o.Setup.App(ctx)
	if err != nil {
		return err
	}
	view := homeView{Ready: app != nil}
	if app != nil {
		view.Install = app.URL + "/installations/new"
	}
	if v.session != nil {
		if err := s.fillHome(ctx, v.session, &view); err != nil {
			return err
		}
	}
	title := "Releases"
	if v.session == nil {
		title = "Push a tag, and it is published"
	}
	s.render(w, r, v, http.StatusOK, "home", &page{Title: title, Data: view})
	return nil
}

func (s *Site) fillHome(ctx context.Context, se *session, view *homeView) error {
	seen, err := s.visible(ctx, se)
	if err != nil {
		return err
	}
	// Begun from what GitHub listed, so that a server with many installations costs a
	// person as much as their own.
	count := make(map[int64]int)
	for _, acc := range seen {
		count[acc.Installation]++
	}
	var recent []*store.Release
	for id, n := range count {
		in, err := s.o.Store.Installation(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // its first webhook is still to come
		}
		if err != nil {
			return err
		}
		if in.Removed {
			continue
		}
		iv := newInstallationView(in)
		iv.Repositories = n
		view.Installations = append(view.Installations, iv)
		rels, err := s.o.Store.Releases(ctx, store.ReleaseFilter{Installation: in.ID, Limit: 100})
		if err != nil {
			return err
		}
		for _, rel := range rels {
			if seen[rel.Repository] != nil {
				recent = append(recent, rel)
			}
		}
	}
	slices.SortFunc(view.Installations, func(a, b installationView) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Account), strings.ToLower(b.Account)), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(recent, func(a, b *store.Release) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	for _, rel := range recent[:min(len(recent), 20)] {
		acc := seen[rel.Repository]
		view.Releases = append(view.Releases, s.releaseRow(rel, acc.Owner+"/"+acc.Name))
	}
	return nil
}

type installationPageView struct {
	installationView
	List   []repositoryRow
	Pages  pager
	GitHub string // its settings there
}

type repositoryRow struct {
	ID      int64
	Name    string
	Private bool
	Latest  *releaseRow
}

// perPage is how many rows a list has.
const perPage = 50

func (s *Site) installationPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	view := installationPageView{installationView: newInstallationView(v.installation)}
	view.Manages = v.manages
	view.GitHub = s.o.GitHubURL + "/settings/installations/" + r.PathValue("installation")
	if v.installation.AccountType == "Organization" {
		view.GitHub = s.o.GitHubURL + "/organizations/" + v.installation.Account + "/settings/installations/" + r.PathValue("installation")
	}
	seen, err := s.visible(ctx, v.session)
	if err != nil {
		return err
	}
	all, err := s.o.Store.Repositories(ctx, v.installation.ID)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r *store.Repository) bool { return r.Removed || seen[r.ID] == nil })
	slices.SortFunc(all, func(a, b *store.Repository) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	view.Repositories = len(all)
	first := 0
	first, view.Pages = pageOf(r, len(all))
	for _, repo := range all[first:min(len(all), first+perPage)] {
		row := repositoryRow{ID: repo.ID, Name: clean(repo.Owner + "/" + repo.Name), Private: repo.Private}
		rels, err := s.o.Store.Releases(ctx, store.ReleaseFilter{Repository: repo.ID, Limit: 1})
		if err != nil {
			return err
		}
		if len(rels) > 0 {
			latest := s.releaseRow(rels[0], "")
			row.Latest = &latest
		}
		view.List = append(view.List, row)
	}
	s.render(w, r, v, http.StatusOK, "installation", &page{Title: view.Account, Data: view})
	return nil
}

// pager are the ways to the other pages of a list; "" where there is none.
type pager struct{ Newer, Older string }

// pageOf reads page= of an address.
func pageOf(r *http.Request, rows int) (first int, p pager) {
	n := max(1, int(number(r.URL.Query().Get("page"))))
	last := max(1, (rows+perPage-1)/perPage)
	n = min(n, last)
	if n > 1 {
		p.Newer = "?page=" + itoa(n-1)
	}
	if n < last {
		p.Older = "?page=" + itoa(n+1)
	}
	return (n - 1) * perPage, p
}
