package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

type adminView struct {
	App           *App
	Installations []adminInstallation
	Pages         pager
	Running       []releaseRow
	Waiting       int
	FailedToday   int
	Stale         []string
	Failing       []deliveryRow
}

type adminInstallation struct {
	installationView
	Jobs    int64 // in the last hour
	Minutes int64 // of a day's work
	Bytes   string
}

// staleAfter is when other nodes take over a node's work.
const staleAfter = time.Minute

// adminPage shows how the server is. Names of repositories and tags are those who see
// them's; who runs the server sees accounts and numbers.
func (s *Site) adminPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	now := s.o.Now()
	var view adminView
	var err error
	if view.App, err = s.o.Setup.App(ctx); err != nil {
		return err
	}
	all, err := s.o.Store.Installations(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *store.Installation) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Account), strings.ToLower(b.Account)), cmp.Compare(a.ID, b.ID))
	})
	accounts := make(map[int64]string, len(all))
	for _, in := range all {
		accounts[in.ID] = clean(in.Account)
	}
	first := 0
	first, view.Pages = pageOf(r, len(all))
	for _, in := range all[first:min(len(all), first+perPage)] {
		row := adminInstallation{installationView: newInstallationView(in)}
		if row.Jobs, err = s.o.Store.Used(ctx, "jobs", in.ID, now.Add(-time.Hour)); err != nil {
			return err
		}
		seconds, err := s.o.Store.Used(ctx, "seconds", in.ID, now.Add(-24*time.Hour))
		if err != nil {
			return err
		}
		bytes, err := s.o.Store.Used(ctx, "bytes", in.ID, now.Add(-24*time.Hour))
		if err != nil {
			return err
		}
		row.Minutes, row.Bytes = (seconds+59)/60, size(bytes)
		view.Installations = append(view.Installations, row)
	}
	busy, err := s.o.Store.Releases(ctx, store.ReleaseFilter{States: []store.State{store.Waiting, store.Running}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, rel := range busy {
		if rel.State == store.Waiting {
			view.Waiting++
			continue
		}
		view.Running = append(view.Running, releaseRow{Repository: accounts[rel.Installation], State: stateOf(rel.State), Short: clean(rel.Step), Created: at(rel.Created), Took: took(rel.Started, rel.Ended, now)})
	}
	failed, err := s.o.Store.Releases(ctx, store.ReleaseFilter{States: []store.State{store.Failed}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, rel := range failed {
		if now.Sub(rel.Ended) < 24*time.Hour {
			view.FailedToday++
		}
	}
	if view.Stale, err = s.o.Store.StaleNodes(ctx, staleAfter); err != nil {
		return err
	}
	ds, err := s.o.Store.Deliveries(ctx, store.DeliveryFilter{State: store.Failed, Limit: 10})
	if err != nil {
		return err
	}
	for _, d := range ds {
		view.Failing = append(view.Failing, newDeliveryRow(d, "/admin/deliveries"))
	}
	s.render(w, r, v, http.StatusOK, "admin", &page{Title: "Administration", Data: view})
	return nil
}
