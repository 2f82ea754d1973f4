package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Release is one run for one tag at one commit.
type Release struct {
	ID           string // rel:{repository id}:{tag}:{peeled commit}
	Installation int64
	Repository   int64
	Tag          string
	Commit       string
	Version      string
	Trigger      string // what began it
	State        State
	Step         string // where it is
	Short        string // one sentence for people
	Detail       string // what a technician wants to read
	CheckRun     int64
	Attempt      int
	Cancel       bool // somebody asked it to stop
	Created      time.Time
	Started      time.Time
	Ended        time.Time
	Report       json.RawMessage // nil: none yet
}

const releaseColumns = "id, installation, repository, tag, commit_id, version, cause, state, step, short, detail, check_run, attempt, cancel, created, started, ended, report"

func (r *Release) columns() []any {
	return []any{&r.ID, &r.Installation, &r.Repository, &r.Tag, &r.Commit, &r.Version, &r.Trigger, &r.State, &r.Step, &r.Short, &r.Detail,
		&r.CheckRun, &r.Attempt, &r.Cancel, at(&r.Created), at(&r.Started), at(&r.Ended), report{&r.Report}}
}

func (r *Release) values() []any {
	return []any{r.ID, r.Installation, r.Repository, r.Tag, r.Commit, r.Version, r.Trigger, r.State, r.Step, r.Short, r.Detail,
		r.CheckRun, r.Attempt, r.Cancel, r.Created, r.Started, r.Ended, r.Report}
}

// report scans a report: none is nil and not "", which is no JSON.
type report struct{ to *json.RawMessage }

func (r report) Scan(src any) error {
	b, _ := src.([]byte)
	*r.to = nil
	if len(b) > 0 {
		*r.to = bytes.Clone(b)
	}
	return nil
}

// CreateRelease keeps a new release; created is false if its ID is known, and then
// nothing changes. An empty State means Waiting, a zero Created now.
func (s *Store) CreateRelease(ctx context.Context, r *Release) (created bool, err error) {
	if r.ID == "" {
		return false, fmt.Errorf("the release of %s has no id", r.Tag)
	}
	row := *r
	if row.Created.IsZero() {
		row.Created = s.now()
	}
	if row.State == "" {
		row.State = Waiting
	}
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, "INSERT INTO releases ("+releaseColumns+") VALUES ("+marks(18)+") ON CONFLICT (id) DO NOTHING", row.values()...)
		if created = n == 1; err != nil || !created {
			return err
		}
		_, err = q.exec(ctx, "INSERT INTO progress (release, version, log_seq, log_bytes, log_full) VALUES (?, 1, 0, 0, ?)", row.ID, false)
		return err
	})
	if err != nil {
		return false, about(err, "release %s", r.ID)
	}
	if created {
		s.watch.changed(r.ID, 1)
	}
	return created, nil
}

// UpdateRelease lets f change a release; no other update of it, by whatever node, comes
// between what f reads and what is written. If f returns an error nothing is written
// and that error is returned. f must be quick, must not use the Store (it would wait for
// itself), can't change the ID, and may be called more than once. What is returned is the
// release as written.
func (s *Store) UpdateRelease(ctx context.Context, id string, f func(*Release) error) (*Release, error) {
	var r *Release
	var version int64
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		var err error
		if r, err = one(ctx, q, (*Release).columns, "SELECT "+releaseColumns+" FROM releases WHERE id = ?"+s.dialect.forUpdate(), id); err != nil {
			return about(err, "release %s", id)
		}
		if err := f(r); err != nil {
			return err
		}
		r.ID = id
		if _, err := q.exec(ctx, "UPDATE releases SET installation = ?, repository = ?, tag = ?, commit_id = ?, version = ?, cause = ?, state = ?, step = ?, short = ?, detail = ?, "+
			"check_run = ?, attempt = ?, cancel = ?, created = ?, started = ?, ended = ?, report = ? WHERE id = ?", append(r.values()[1:], id)...); err != nil {
			return about(err, "release %s", id)
		}
		if r, err = one(ctx, q, (*Release).columns, "SELECT "+releaseColumns+" FROM releases WHERE id = ?", id); err != nil {
			return about(err, "release %s", id)
		}
		version, err = progressed(ctx, q, id)
		return about(err, "release %s", id)
	})
	if err != nil {
		return nil, err
	}
	s.watch.changed(id, version)
	return r, nil
}

// progressed counts a change of a release. Until the transaction ends no other one
// changes its legs and log.
func progressed(ctx context.Context, q querier, release string) (int64, error) {
	v, err := one(ctx, q, value[int64], "UPDATE progress SET version = version + 1 WHERE release = ? RETURNING version", release)
	if err != nil {
		return 0, err
	}
	return *v, nil
}

// Release returns ErrNotFound if there is none with this id.
func (s *Store) Release(ctx context.Context, id string) (*Release, error) {
	r, err := one(ctx, s.read(), (*Release).columns, "SELECT "+releaseColumns+" FROM releases WHERE id = ?", id)
	return r, about(err, "release %s", id)
}

// ReleaseFilter says which releases to list; a zero field takes all.
type ReleaseFilter struct {
	Installation int64
	Repository   int64
	Tag          string
	States       []State
	Before       time.Time // created before this
	Limit        int       // 0 means 100; at most 1000
}

// Releases lists the newest first.
func (s *Store) Releases(ctx context.Context, f ReleaseFilter) ([]*Release, error) {
	var w where
	if f.Installation != 0 {
		w.add("installation = ?", f.Installation)
	}
	if f.Repository != 0 {
		w.add("repository = ?", f.Repository)
	}
	if f.Tag != "" {
		w.add("tag = ?", f.Tag)
	}
	if len(f.States) > 0 {
		var states []any
		for _, state := range f.States {
			states = append(states, state)
		}
		w.add("state IN ("+marks(len(states))+")", states...)
	}
	if !f.Before.IsZero() {
		w.add("created < ?", f.Before)
	}
	w.args = append(w.args, bounded(f.Limit, 100, 1000))
	list, err := all(ctx, s.read(), (*Release).columns, "SELECT "+releaseColumns+" FROM releases"+w.String()+" ORDER BY created DESC, id DESC LIMIT ?", w.args...)
	return list, about(err, "releases")
}
