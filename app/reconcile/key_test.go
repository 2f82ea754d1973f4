package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/reconcile"
	"github.com/distropack/distropack/app/store"
)

const day = 24 * time.Hour

func (w *world) key(scope, name string, expires time.Time) {
	w.t.Helper()
	must(w.t, w.s.PutSealed(w.t.Context(), &store.Sealed{Scope: scope, Name: name, Kind: "key", Public: []byte("{}"), Blob: []byte("x"), Expires: expires}))
}

func (w *world) done(installation, repository int64, tag string) {
	w.t.Helper()
	_, err := w.s.CreateRelease(w.t.Context(), &store.Release{ID: fmt.Sprintf("rel:%d:%s:x", repository, tag), Installation: installation, Repository: repository, Tag: tag, Commit: "x", State: store.Done})
	must(w.t, err)
}

func TestKeysAreWarnedOfAt90And30And7DaysOnceEach(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, i := w.installed("acme", "hello")
		b := w.Repo("acme", "other")
		w.know(i, b)
		w.done(i.ID, a.ID(), "v1")
		scope := fmt.Sprintf("installation:%d", i.ID)
		w.key(scope, "main", noon.Add(100*day))
		w.key(scope, "late", noon.Add(20*day))                               // is found with less than 30 days
		w.key(fmt.Sprintf("repository:%d", b.ID()), "own", noon.Add(20*day)) // nobody publishes with it
		w.key(fmt.Sprintf("repository:%d", a.ID()), "ever", time.Time{})     // has no end
		w.key("app", "webhook", noon.Add(day))                               // the server's
		must(t, w.s.PutSealed(t.Context(), &store.Sealed{Scope: scope, Name: "password", Kind: "secret", Expires: noon.Add(day)}))
		var got []string
		fail := true
		w.o.Warn = func(_ context.Context, v reconcile.Warning) error {
			if fail {
				fail = false
				return errors.New("GitHub is away")
			}
			got = append(got, fmt.Sprintf("day %d: %s %d in %s", int(w.now().Sub(noon)/day), v.Name, v.Days, v.Repository.Name))
			return nil
		}
		w.restart()
		if err := w.l.Keys(t.Context()); err == nil || !strings.Contains(err.Error(), "GitHub is away") {
			t.Errorf("%v", err)
		}
		for n := range 110 {
			if n == 50 {
				w.done(i.ID, b.ID(), "v1")
			}
			if n == 80 {
				w.key(scope, "main", noon.Add(200*day)) // extended
			}
			must(t, w.l.Keys(t.Context()))
			w.pass(day)
			if n%7 == 0 {
				w.restart()
			}
		}
		equal(t, "warnings", strings.Join(got, "; "), "day 0: late 30 in hello; day 10: main 90 in hello; day 13: late 7 in hello; day 50: own 7 in other; day 70: main 30 in other")
	})
}

func TestChecksSayWhichKeysExpire(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.key("installation:42", "main", noon.Add(30*day))
		w.key("installation:42", "later", noon.Add(91*day))
		w.key("repository:7", "own", noon.Add(-day))
		w.key("repository:8", "other", noon.Add(-day))
		got, err := reconcile.KeyWarnings(t.Context(), w.s, 42, 7, noon)
		must(t, err)
		if len(got) != 2 || !strings.HasPrefix(got[0], "the signing key main expires on 21 December 2026, in 30 days") || !strings.HasPrefix(got[1], "the signing key own expired on 20 November 2026") {
			t.Errorf("%q", got)
		}
	})
}

func TestAKeyHasOneIssueWithACommentForEachFurtherWarning(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	w.double.Permit(map[string]string{"metadata": "read", "contents": "write", "checks": "write", "issues": "write"})
	r, i := w.installed("acme", "hello")
	w.done(i.ID, r.ID(), "v1")
	w.key(fmt.Sprintf("installation:%d", i.ID), "main-->@octocat", noon.Add(91*day))
	w.o.Warn, w.o.KeyPage = nil, func(scope string) string { return "https://app.example.org/keys/" + scope }
	w.restart()
	for range 100 {
		must(t, w.l.Keys(t.Context()))
		w.pass(day)
	}
	issues := r.Issues()
	if len(issues) != 1 || len(issues[0].Comments) != 2 {
		t.Fatalf("%+v", issues)
	}
	is := issues[0]
	if is.Title != "A signing key expires on 20 February 2027" || !strings.Contains(is.Body, "https://app.example.org/keys/installation:") {
		t.Errorf("%q: %s", is.Title, is.Body)
	}
	for _, text := range append(is.Comments, is.Body) {
		if strings.Contains(text, "main-->@octocat expires") || !strings.Contains(text, "`main-->@octocat`") {
			t.Errorf("a name is more than text in %s", text)
		}
	}
	if strings.Count(is.Body, "-->") != 2 || !strings.HasSuffix(is.Body, "main__octocat -->") && !strings.HasSuffix(is.Body, "main____octocat -->") {
		t.Errorf("the marker of %s", is.Body)
	}
}

func TestWithoutPermissionForIssuesChecksAreEnough(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	r, i := w.installed("acme", "hello") // no permission for issues
	w.done(i.ID, r.ID(), "v1")
	w.key(fmt.Sprintf("installation:%d", i.ID), "main", noon.Add(20*day))
	w.o.Warn = nil
	w.restart()
	for range 3 {
		must(t, w.l.Keys(t.Context()))
	}
	if n := w.Count("GET /repos/acme/hello/issues"); n != 1 {
		t.Errorf("GitHub was asked %d times", n)
	}
}
