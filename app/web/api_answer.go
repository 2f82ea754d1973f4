package web

import (
	"context"
	"time"

	"github.com/distropack/distropack/app/store"
)

// What programs get. The page /api describes it; api_test.go compares the two.

type apiRepository struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	URL      string `json:"url"`
	Releases string `json:"releases"`
}

type apiRepositoryList struct {
	Repositories []apiRepository `json:"repositories"`
}

type apiRelease struct {
	ID         string     `json:"id"`
	Repository string     `json:"repository"`
	Tag        string     `json:"tag"`
	Commit     string     `json:"commit"`
	Version    string     `json:"version,omitempty"`
	Trigger    string     `json:"trigger,omitempty"`
	State      string     `json:"state"`
	Finished   bool       `json:"finished"`
	Failed     bool       `json:"failed"`
	Step       string     `json:"step,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Detail     string     `json:"detail,omitempty"`
	Attempt    int        `json:"attempt"`
	Created    time.Time  `json:"created"`
	Started    *time.Time `json:"started,omitempty"`
	Ended      *time.Time `json:"ended,omitempty"`
	URL        string     `json:"url"`
	Legs       []apiLeg   `json:"legs,omitempty"`
}

type apiLeg struct {
	Name    string     `json:"name"`
	Kind    string     `json:"kind"`
	State   string     `json:"state"`
	Reason  string     `json:"reason,omitempty"`
	Detail  string     `json:"detail,omitempty"`
	Done    int        `json:"done,omitempty"`
	Of      int        `json:"of,omitempty"`
	Bytes   int64      `json:"bytes,omitempty"`
	Started *time.Time `json:"started,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
}

type apiReleaseList struct {
	Releases []apiRelease `json:"releases"`
	Next     string       `json:"next,omitempty"`
}

type apiStatusAnswer struct {
	AllFinished bool         `json:"allFinished"`
	AnyFailed   bool         `json:"anyFailed"`
	Failures    []string     `json:"failures"`
	Releases    []apiRelease `json:"releases"`
}

type apiLogAnswer struct {
	Lines    []apiLogLine `json:"lines"`
	Next     int64        `json:"next"`
	Finished bool         `json:"finished"`
}

type apiLogLine struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`
	Leg  string    `json:"leg,omitempty"`
	Text string    `json:"text"`
}

func moments(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// failed: a person has to do something before it is published.
func failed(s store.State) bool {
	return s == store.Failed || s == store.Cancelled || s == store.ActionRequired
}

func (s *Site) apiRelease(rel *store.Release, repo *store.Repository) apiRelease {
	return apiRelease{
		ID: rel.ID, Repository: repo.Owner + "/" + repo.Name, Tag: rel.Tag, Commit: rel.Commit, Version: rel.Version, Trigger: rel.Trigger,
		State: string(rel.State), Finished: !open(rel.State), Failed: failed(rel.State), Step: rel.Step, Reason: rel.Short, Detail: rel.Detail,
		Attempt: rel.Attempt, Created: rel.Created.UTC(), Started: moments(rel.Started), Ended: moments(rel.Ended), URL: s.o.URL + ReleasePath(rel),
	}
}

// apiFull is a release with its legs.
func (s *Site) apiFull(ctx context.Context, id string) (*apiRelease, error) {
	rel, err := s.o.Store.Release(ctx, id)
	if err != nil {
		return nil, err
	}
	repo, err := s.o.Store.Repository(ctx, rel.Repository)
	if err != nil {
		return nil, err
	}
	legs, err := s.o.Store.Legs(ctx, id)
	if err != nil {
		return nil, err
	}
	out := s.apiRelease(rel, repo)
	for _, l := range legs {
		out.Legs = append(out.Legs, apiLeg{l.Name, l.Kind, string(l.State), l.Short, l.Detail, l.N, l.M, l.Bytes, moments(l.Started), moments(l.Ended)})
	}
	return &out, nil
}
