package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// tailLines is how much of a log the page of a release shows.
const tailLines = 500

type releaseView struct {
	releaseRow
	Repository  string
	CommitURL   string
	TagURL      string
	Attempt     int
	Step        string
	Detail      string
	Failed      bool // shows Short and Detail as the reason
	Decide      bool // waits for a person
	Open        bool
	Cancelling  bool
	Begun       moment
	Legs        []legRow
	Bytes       string // of all legs
	Actions     []actionView
	Form        string // for the forms of the actions
	Log         logView
	Events      string // where the script listens; "" if all is over
	Now         string // this clock, which the script's may differ from
	LogPath     string
	LogTextPath string
}

// legRow is a leg as a row.
type legRow struct {
	Name, Kind    string
	State         state
	Short, Detail string
	Progress      string // "3 of 7"
	Percent       int    // of the bar; -1 without
	Took          span
	Size          string
}

// actionView is a button. Those with a Warning ask once more.
type actionView struct{ Path, Label, Warning, Class string }

func (s *Site) newReleaseView(ctx context.Context, v *visit, rel *store.Release) (*releaseView, error) {
	legs, err := s.o.Store.Legs(ctx, rel.ID)
	if err != nil {
		return nil, err
	}
	repo := s.repositoryURL(v.repository)
	view := &releaseView{
		releaseRow: s.releaseRow(rel, ""), Repository: clean(v.repository.Owner + "/" + v.repository.Name),
		CommitURL: repo + "/commit/" + rel.Commit, TagURL: repo + "/releases/tag/" + escapePath(rel.Tag),
		Attempt: rel.Attempt, Step: clean(rel.Step), Detail: cleanLines(rel.Detail),
		Failed: rel.State == store.Failed || rel.State == store.Cancelled && rel.Short != "", Decide: rel.State == store.ActionRequired,
		Open: open(rel.State), Cancelling: rel.Cancel && open(rel.State), Begun: at(rel.Started),
		LogPath: releasePath(rel, "log"), LogTextPath: releasePath(rel, "log.txt"),
	}
	if view.Open {
		view.Events, view.Now = releasePath(rel, "events"), s.o.Now().UTC().Format(time.RFC3339Nano)
	}
	var bytes int64
	for _, l := range legs {
		bytes += l.Bytes
		view.Legs = append(view.Legs, s.legRow(l))
	}
	if bytes > 0 {
		view.Bytes = size(bytes)
	}
	if v.manages {
		view.Form = v.session.form
		view.Actions = actionsFor(rel)
	}
	return view, nil
}

func (s *Site) legRow(l *store.Leg) legRow {
	row := legRow{
		Name: clean(l.Name), Kind: clean(l.Kind), State: stateOf(l.State), Short: clean(l.Short), Detail: cleanLines(l.Detail),
		Percent: -1, Took: took(l.Started, l.Ended, s.o.Now()),
	}
	if l.M > 0 {
		row.Progress = itoa(l.N) + " of " + itoa(l.M)
		row.Percent = min(100, max(0, l.N)*100/l.M)
	}
	if l.Bytes > 0 {
		row.Size = size(l.Bytes)
	}
	if !open(l.State) && l.Ended.IsZero() {
		row.Took = span{}
	}
	return row
}

// actionsFor says what can be done with a release as it is.
func actionsFor(rel *store.Release) []actionView {
	at := func(what string) string { return releasePath(rel, what) }
	switch rel.State {
	case store.Waiting, store.Running:
		if rel.Cancel {
			return nil
		}
		return []actionView{{at("cancel"), "Cancel", "", "plain"}}
	case store.Failed, store.Cancelled:
		return []actionView{{at("restart"), "Run again", "", ""}}
	case store.ActionRequired:
		return []actionView{
			{at("republish"), "Publish the moved tag", "The version was published from another commit. Whoever has it keeps the old packages until they install anew; packages of the same version will differ from now on.", "danger"},
			{at("restart"), "Run again", "", "plain"},
		}
	case store.Done:
		return []actionView{{at("rollback"), "Roll back", "The release is withdrawn from its repositories. Who installs or upgrades gets the one before it; who has it keeps it.", "danger"}}
	}
	return nil
}

func (s *Site) releasePage(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	rel := v.releases[0]
	// The log first: what it says is then never newer than the states above it, and the
	// script goes on from its last line.
	lines, err := s.o.Store.LogTail(ctx, rel.ID, tailLines)
	if err != nil {
		return err
	}
	if rel, err = s.o.Store.Release(ctx, rel.ID); err != nil {
		return err
	}
	view, err := s.newReleaseView(ctx, v, rel)
	if err != nil {
		return err
	}
	view.Log = newLogView(lines)
	crumbs, err := s.crumbs(ctx, v.repository)
	if err != nil {
		return err
	}
	s.render(w, r, v, http.StatusOK, "release", &page{Title: view.Tag, Crumbs: crumbs, Live: view.Open, Data: view})
	return nil
}

// act does what the third part of the address says.
func (s *Site) act(w http.ResponseWriter, r *http.Request, v *visit) error {
	word := strings.Split(r.URL.Path, "/")[3]
	if err := s.do(r.Context(), v, word, v.releases[0]); err != nil {
		return err
	}
	return back(w, r, ReleasePath(v.releases[0]), word)
}

func (s *Site) do(ctx context.Context, v *visit, word string, rel *store.Release) error {
	switch word {
	case "cancel":
		return s.o.Actions.Cancel(ctx, v.by(), rel.ID)
	case "restart":
		return s.o.Actions.Restart(ctx, v.by(), rel.ID)
	case "republish":
		return s.o.Actions.Republish(ctx, v.by(), rel.ID)
	case "rollback":
		return s.o.Actions.Rollback(ctx, v.by(), rel.ID)
	}
	return notFound()
}
