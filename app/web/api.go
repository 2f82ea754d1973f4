package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// apiRepositories lists what a token is for.
func (s *Site) apiRepositories(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	var list []*store.Repository
	kind, text, _ := strings.Cut(v.token.Scope, ":")
	switch kind {
	case "repository":
		repo, err := s.o.Store.Repository(ctx, number(text))
		if err != nil {
			return err
		}
		list = append(list, repo)
	case "installation":
		var err error
		if list, err = s.o.Store.Repositories(ctx, number(text)); err != nil {
			return err
		}
	}
	out := apiRepositoryList{Repositories: []apiRepository{}}
	for _, repo := range list {
		if covers(v.token.Scope, repo) {
			name := repo.Owner + "/" + repo.Name
			out.Repositories = append(out.Repositories, apiRepository{repo.ID, name, s.o.URL + "/repositories/" + itoa(repo.ID), s.o.URL + "/api/v1/repositories/" + name + "/releases"})
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// states are what state= may be.
var states = []store.State{store.Waiting, store.Running, store.Done, store.Failed, store.Cancelled, store.ActionRequired, store.Ignored}

func (s *Site) apiReleases(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	f := store.ReleaseFilter{Repository: v.repository.ID, Tag: q.Get("tag"), Limit: 50}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return bad("limit is a number from 1 to 200.", nil)
		}
		f.Limit = n
	}
	if text := q.Get("before"); text != "" {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return bad("before is a moment such as 2026-02-11T09:30:00Z.", nil)
		}
		f.Before = t
	}
	for _, text := range q["state"] {
		if !slices.Contains(states, store.State(text)) {
			return bad("There is no state of that name.", nil)
		}
		f.States = append(f.States, store.State(text))
	}
	f.Limit++
	rels, err := s.o.Store.Releases(r.Context(), f)
	if err != nil {
		return err
	}
	out := apiReleaseList{Releases: []apiRelease{}}
	if len(rels) == f.Limit {
		rels = rels[:f.Limit-1]
		q.Set("before", rels[len(rels)-1].Created.UTC().Format(time.RFC3339Nano))
		out.Next = s.o.URL + r.URL.EscapedPath() + "?" + q.Encode()
	}
	for _, rel := range rels {
		out.Releases = append(out.Releases, s.apiRelease(rel, v.repository))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// apiStart begins a release: {"tag": "v1.2.3", "targets": ["deb"]}.
func (s *Site) apiStart(w http.ResponseWriter, r *http.Request, v *visit) error {
	var in struct {
		Tag     string   `json:"tag"`
		Targets []string `json:"targets"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return bad(`The body is not of the form {"tag": "v1.2.3", "targets": ["deb"]}.`, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("There is something after the JSON object.", nil)
	}
	rel, err := s.start(r.Context(), v, in.Tag, in.Targets)
	if err != nil {
		return err
	}
	out, err := s.apiFull(r.Context(), rel.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.o.URL+"/api/v1/status?id="+url.QueryEscape(rel.ID))
	writeJSON(w, http.StatusAccepted, out)
	return nil
}

// longestWait is how long an answer is held back at most.
const longestWait = 60 * time.Second

// apiStatus tells how releases are. With wait= the answer comes when all have finished,
// or one has failed, or the time is over.
func (s *Site) apiStatus(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	hold := time.Duration(0)
	if text := r.URL.Query().Get("wait"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > int(longestWait/time.Second) {
			return bad("wait is a number of seconds from 0 to 60.", nil)
		}
		hold = time.Duration(n) * time.Second
	}
	var changed <-chan struct{}
	if hold > 0 {
		if !s.streams.enter("token " + v.token.Hash) {
			return &problem{status: http.StatusTooManyRequests, text: "Too many requests of this token wait already."}
		}
		defer s.streams.leave("token " + v.token.Hash)
		any, stop := s.watchAll(ctx, v.releases)
		defer stop()
		changed = any
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(hold + 30*time.Second)) // servers of tests may not know it
	}
	over := time.NewTimer(hold)
	defer over.Stop()
	for waiting := hold > 0; ; {
		out, err := s.status(ctx, v.releases)
		if err != nil {
			return err
		}
		if !waiting || out.AllFinished || out.AnyFailed {
			writeJSON(w, http.StatusOK, out)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping.Done():
			waiting = false
		case <-over.C:
			waiting = false
		case <-changed:
			waiting = wait(ctx, livePause)
		}
	}
}

func (s *Site) status(ctx context.Context, rels []*store.Release) (*apiStatusAnswer, error) {
	out := &apiStatusAnswer{AllFinished: true, Failures: []string{}, Releases: []apiRelease{}}
	for _, rel := range rels {
		full, err := s.apiFull(ctx, rel.ID)
		if err != nil {
			return nil, err
		}
		out.AllFinished = out.AllFinished && full.Finished
		out.AnyFailed = out.AnyFailed || full.Failed
		if full.Failed {
			reason := full.Reason
			if reason == "" {
				reason = full.State
			}
			out.Failures = append(out.Failures, full.Repository+" "+full.Tag+": "+reason)
		}
		out.Releases = append(out.Releases, *full)
	}
	return out, nil
}

// apiLog gives lines of one log: as JSON, or all of it as text with format=text.
func (s *Site) apiLog(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	if len(v.releases) != 1 {
		return bad("Name one release by id=.", nil)
	}
	after := int64(0)
	if text := q.Get("after"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return bad("after is the number of a line.", nil)
		}
		after = n
	}
	switch q.Get("format") {
	case "text":
		return s.writeLog(w, r, v.releases[0], after)
	case "", "json":
	default:
		return bad("format is json or text.", nil)
	}
	// The state before the lines: a release that has ended writes no more.
	rel, err := s.o.Store.Release(r.Context(), v.releases[0].ID)
	if err != nil {
		return err
	}
	lines, err := s.o.Store.Log(r.Context(), rel.ID, after, pageLines)
	if err != nil {
		return err
	}
	out := apiLogAnswer{Lines: []apiLogLine{}, Next: after, Finished: !open(rel.State) && len(lines) < pageLines}
	for _, l := range lines {
		out.Lines = append(out.Lines, apiLogLine{l.Seq, l.At.UTC(), l.Leg, l.Text})
		out.Next = l.Seq
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// apiAct does what the last part of the address says with each release named.
func (s *Site) apiAct(w http.ResponseWriter, r *http.Request, v *visit) error {
	word := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	for _, rel := range v.releases {
		if err := s.do(r.Context(), v, word, rel); err != nil {
			return err
		}
	}
	out, err := s.status(r.Context(), v.releases)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, out)
	return nil
}

type apiPageView struct {
	URL    string
	States []store.State
}

func (s *Site) apiPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	s.render(w, r, v, http.StatusOK, "api", &page{Title: "API", Data: apiPageView{s.o.URL, states}})
	return nil
}
