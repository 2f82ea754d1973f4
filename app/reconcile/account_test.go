package reconcile_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/publish/githubtest"
)

func (w *world) accounts() string {
	w.t.Helper()
	var all []string
	installations, err := w.s.Installations(w.t.Context())
	must(w.t, err)
	for _, i := range installations {
		text := i.Account
		if i.Suspended {
			text += " suspended"
		}
		if i.Removed {
			text += " removed"
		}
		repos, err := w.s.Repositories(w.t.Context(), i.ID)
		must(w.t, err)
		for _, r := range repos {
			text += " " + r.Owner + "/" + r.Name
			if r.Removed {
				text += "(gone)"
			}
			if r.Private {
				text += "(private)"
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestAccountsBecomeWhatGitHubHas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hello := w.Repo("acme", "hello")
		w.Repo("acme", "other")
		i := w.double.Install("acme", hello) // no webhook comes
		w.pass(time.Hour)
		must(t, w.l.Accounts(t.Context()))
		equal(t, "found", w.accounts(), "acme acme/hello")
		r, err := w.s.Repository(t.Context(), hello.ID())
		must(t, err)
		// Nobody told of it, so tags since then count.
		equal(t, "since", r.Created, noon)

		more := w.Repo("acme", "more").Private()
		i.Add(more)
		hello.Rename("hi")
		octo := w.double.Install("octo", w.Repo("octo", "world"))
		w.pass(time.Hour)
		must(t, w.l.Accounts(t.Context()))
		equal(t, "changed", w.accounts(), "acme acme/hi acme/more(private); octo octo/world")
		r, err = w.s.Repository(t.Context(), more.ID())
		must(t, err)
		equal(t, "a repository that was added", r.Created, noon.Add(2*time.Hour))

		i.Drop(more)
		octo.Suspend()
		w.pass(time.Hour)
		must(t, w.l.Accounts(t.Context()))
		equal(t, "dropped", w.accounts(), "acme acme/hi acme/more(gone)(private); octo suspended octo/world")
		octo.Unsuspend()
		i.Uninstall()
		w.pass(time.Hour)
		must(t, w.l.Accounts(t.Context()))
		equal(t, "removed", w.accounts(), "acme removed acme/hi acme/more(gone)(private); octo octo/world")

		before, err := w.s.Installation(t.Context(), octo.ID)
		must(t, err)
		w.pass(time.Hour)
		must(t, w.l.Accounts(t.Context()))
		after, err := w.s.Installation(t.Context(), octo.ID)
		must(t, err)
		equal(t, "nothing new, saved", after.Updated, before.Updated)
	})
}

// One account's trouble does not keep the others.
func TestAnAccountThatFailsDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	bad := w.double.Install("acme", w.Repo("acme", "hello"))
	w.double.Install("octo", w.Repo("octo", "world"))
	w.On(func(r *http.Request) githubtest.Fault {
		if strings.Contains(r.URL.Path, fmt.Sprintf("/app/installations/%d/access_tokens", bad.ID)) {
			return githubtest.Broken(502, false)
		}
		return githubtest.Fault{}
	})
	if err := w.l.Accounts(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint(bad.ID)) {
		t.Errorf("%v", err)
	}
	equal(t, "accounts", w.accounts(), "acme; octo octo/world")
}

func TestAnEventWhileAccountsAreComparedWins(t *testing.T) {
	w := newWorld(t, "sqlite::memory:")
	_, i := w.installed("acme", "hello")
	// Saved by an event that is younger than GitHub's list: the clock did not move on.
	must(t, w.s.SaveInstallation(t.Context(), &store.Installation{ID: i.ID, Account: "acme", Suspended: true, AccountType: "User"}))
	must(t, w.l.Accounts(t.Context()))
	if got := w.accounts(); !strings.HasPrefix(got, "acme suspended") {
		t.Errorf("accounts: %s", got)
	}
}
