package web

import (
	"context"
	"errors"
	"sync"
	"time"
)

// viewLasts is how long what GitHub said of a person's rights is believed.
const viewLasts = 3 * time.Minute

// viewsKept bounds the memory of views; a list of 1,000 repositories is about 100 KB.
const viewsKept = 1000

// view is what one session may see. Its mutex is held while GitHub is asked, so that a
// person who opens ten pages asks once.
type view struct {
	sync.Mutex
	used   time.Time // guarded by views
	listed time.Time
	list   map[int64]*Access
	single map[int64]single // repositories that were asked for by themselves
}

type single struct {
	at     time.Time
	access *Access // nil: not visible
}

func (v *views) get(se *session, now time.Time) *view {
	key := hashed(se.ID)
	v.Lock()
	defer v.Unlock()
	if v.of == nil {
		v.of = make(map[string]*view)
	}
	got := v.of[key]
	if got == nil {
		if len(v.of) >= viewsKept {
			v.forget(now)
		}
		got = &view{single: make(map[int64]single)}
		v.of[key] = got
	}
	got.used = now
	return got
}

// forget makes room: what has ended goes, or else the one not used for longest.
func (v *views) forget(now time.Time) {
	oldest, at := "", now
	for key, w := range v.of {
		if now.Sub(w.used) > viewLasts {
			delete(v.of, key)
		} else if !w.used.After(at) {
			oldest, at = key, w.used
		}
	}
	if len(v.of) >= viewsKept {
		delete(v.of, oldest)
	}
}

func (v *views) drop(se *session) {
	v.Lock()
	defer v.Unlock()
	delete(v.of, hashed(se.ID))
}

// visible is all that a person sees of all installations, by repository.
func (s *Site) visible(ctx context.Context, se *session) (map[int64]*Access, error) {
	now := s.o.Now()
	v := s.views.get(se, now)
	v.Lock()
	defer v.Unlock()
	if v.list != nil && now.Sub(v.listed) < viewLasts {
		return v.list, nil
	}
	all, err := s.o.GitHub.Repositories(ctx, se.token)
	if err != nil {
		return nil, away(err)
	}
	list := make(map[int64]*Access, len(all))
	for i := range all {
		list[all[i].ID] = &all[i]
	}
	v.list, v.listed = list, now
	return list, nil
}

// access is what a person may do with a repository; ErrNotVisible if it is hidden from
// them. A public one is visible to everybody on GitHub, and so it is here, although it
// is in nobody's list.
func (s *Site) access(ctx context.Context, se *session, repository int64) (*Access, error) {
	list, err := s.visible(ctx, se)
	if err != nil {
		return nil, err
	}
	if acc := list[repository]; acc != nil {
		return acc, nil
	}
	now := s.o.Now()
	v := s.views.get(se, now)
	v.Lock()
	defer v.Unlock()
	one, ok := v.single[repository]
	if !ok || now.Sub(one.at) >= viewLasts {
		acc, err := s.o.GitHub.Repository(ctx, se.token, repository)
		if err != nil && !errors.Is(err, ErrNotVisible) {
			return nil, away(err)
		}
		if err != nil {
			acc = nil
		}
		if len(v.single) >= 1000 {
			clear(v.single)
		}
		one = single{now, acc}
		v.single[repository] = one
	}
	if one.access == nil {
		return nil, ErrNotVisible
	}
	return one.access, nil
}

// away is an error of GitHub's, for people.
func away(err error) error {
	if errors.Is(err, ErrUnauthorized) || errors.Is(err, context.Canceled) {
		return err
	}
	return &problem{status: 503, text: "GitHub does not answer, so it is not known what you may see. Try again in a minute.", err: err}
}
