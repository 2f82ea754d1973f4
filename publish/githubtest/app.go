package githubtest

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// App is a GitHub App. Its fields do not change.
type App struct {
	ID                     int64
	Slug, Name, Owner      string
	ClientID, ClientSecret string
	WebhookSecret          string
	Key                    *rsa.PrivateKey

	s           *Server
	permissions map[string]string
	events      []string
	callbacks   []string // where people are sent after signing in; none: anywhere
	hook        string
	held        bool
	loss        func(Delivery) Loss
	pending     []*delivery
	deliveries  []*delivery
	installed   []*Installation
	budget      budget
}

// Permissions and Events are what NewApp gives an App.
var (
	Permissions = map[string]string{"metadata": "read", "contents": "write", "checks": "write", "pull_requests": "read"}
	Events      = []string{"check_run", "check_suite", "create", "delete", "pull_request", "push", "release", "repository"}
)

// One key for all Apps: making one takes long.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewApp makes an App with Permissions and Events.
func (s *Server) NewApp(name string) *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newApp(name, "octocat", Permissions, Events)
}

func (s *Server) newApp(name, owner string, permissions map[string]string, events []string) *App {
	key, err := appKey()
	if err != nil {
		s.t.Errorf("a key for the App: %v", err)
	}
	a := &App{ID: firstApp + int64(len(s.apps)), Name: name, Slug: strings.ReplaceAll(strings.ToLower(name), " ", "-"), Owner: owner, Key: key, s: s, permissions: maps.Clone(permissions), events: slices.Clone(events)}
	a.ClientID = "Iv23li" + hash("client", name)[:14]
	a.ClientSecret, a.WebhookSecret = hash("secret", name), hash("hook", name)
	a.budget.limits = s.o.Limits
	s.account(a.Slug + "[bot]").kind = "Bot"
	s.apps = append(s.apps, a)
	return a
}

const firstApp = 900001

// Apps returns all Apps, those too that were made from a manifest.
func (s *Server) Apps() []*App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.apps)
}

// Permit changes what the App asks for. Installations have it when they Accept it.
func (a *App) Permit(permissions map[string]string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.permissions = maps.Clone(permissions)
}

// Callbacks sets where people may be sent after signing in.
func (a *App) Callbacks(urls ...string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.callbacks = urls
}

// Installation is an account's installation of an App.
type Installation struct {
	ID      int64
	Account string
	App     *App

	s           *Server
	all         bool
	repos       map[int64]bool // unless all
	permissions map[string]string
	suspended   time.Time
	removed     bool
	created     time.Time
	budget      budget
}

// Install installs the App on repositories of an account, or on all it has and will
// have if none is named, and sends installation created.
func (a *App) Install(owner string, repos ...*Repository) *Installation {
	s := a.s
	s.mu.Lock()
	i := &Installation{ID: firstInstallation + s.nextID(), Account: owner, App: a, s: s, all: len(repos) == 0, repos: make(map[int64]bool), permissions: maps.Clone(a.permissions), created: s.now()}
	i.budget.limits = s.o.Limits
	for _, r := range repos {
		i.repos[r.id] = true
	}
	a.installed = append(a.installed, i)
	sent := i.fire("installation", "created", map[string]any{"repositories": i.brief(i.covered())})
	s.mu.Unlock()
	s.send(sent)
	return i
}

const firstInstallation = 5000000

// covers reports whether the installation has a repository.
func (i *Installation) covers(r *Repository) bool {
	return !i.removed && !r.removed && strings.EqualFold(i.Account, r.Owner) && (i.all || i.repos[r.id])
}

func (i *Installation) covered() []*Repository {
	var all []*Repository
	for _, r := range i.s.repos {
		if i.covers(r) {
			all = append(all, r)
		}
	}
	return all
}

// Add adds repositories and sends installation_repositories.
func (i *Installation) Add(repos ...*Repository) {
	i.change(func() []*delivery {
		for _, r := range repos {
			i.repos[r.id] = true
		}
		return i.fire("installation_repositories", "added", map[string]any{"repositories_added": i.brief(repos), "repositories_removed": []any{}, "repository_selection": i.selection()})
	})
}

// Drop takes repositories away and sends installation_repositories.
func (i *Installation) Drop(repos ...*Repository) {
	i.change(func() []*delivery {
		for _, r := range repos {
			delete(i.repos, r.id)
		}
		return i.fire("installation_repositories", "removed", map[string]any{"repositories_added": []any{}, "repositories_removed": i.brief(repos), "repository_selection": i.selection()})
	})
}

// Suspend refuses all requests of the installation and sends installation suspend,
// the last webhook until Unsuspend.
func (i *Installation) Suspend() {
	i.change(func() []*delivery {
		i.suspended = i.s.now()
		return i.fire("installation", "suspend", nil)
	})
}

// Unsuspend takes Suspend back and sends installation unsuspend.
func (i *Installation) Unsuspend() {
	i.change(func() []*delivery {
		i.suspended = time.Time{}
		return i.fire("installation", "unsuspend", nil)
	})
}

// Uninstall removes the installation and sends installation deleted.
func (i *Installation) Uninstall() {
	i.change(func() []*delivery {
		sent := i.fire("installation", "deleted", map[string]any{"repositories": i.brief(i.covered())})
		i.removed = true
		return sent
	})
}

// Accept gives the installation the permissions its App asks for by now.
func (i *Installation) Accept() {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	i.permissions = maps.Clone(i.App.permissions)
}

func (i *Installation) change(f func() []*delivery) {
	i.s.mu.Lock()
	sent := f()
	i.s.mu.Unlock()
	i.s.send(sent)
}

func (i *Installation) selection() string {
	if i.all {
		return "all"
	}
	return "selected"
}

func (i *Installation) brief(repos []*Repository) []any {
	all := []any{}
	for _, r := range repos {
		all = append(all, map[string]any{"id": r.id, "node_id": node("R", r.id), "name": r.Name, "full_name": r.Owner + "/" + r.Name, "private": r.private})
	}
	return all
}

func (a *App) json() map[string]any {
	return a.s.fill("integration", map[string]any{
		"id": a.ID, "slug": a.Slug, "client_id": a.ClientID, "node_id": node("A", a.ID), "owner": a.s.user(a.Owner), "name": a.Name, "external_url": a.s.web + "/" + a.Slug,
		"html_url": a.s.web + "/apps/" + a.Slug, "permissions": a.permissions, "events": a.events, "installations_count": len(a.installed),
	})
}

func (i *Installation) json() map[string]any {
	var suspended, by any
	if !i.suspended.IsZero() {
		suspended, by = i.suspended.Format(time.RFC3339), i.s.user(i.Account)
	}
	at := i.s.account(i.Account)
	return i.s.fill("installation", map[string]any{
		"id": i.ID, "app_id": i.App.ID, "app_slug": i.App.Slug, "client_id": i.App.ClientID, "target_id": at.id, "target_type": at.kind, "account": i.s.user(i.Account),
		"repository_selection": i.selection(), "permissions": i.permissions, "events": i.App.events, "created_at": i.created.Format(time.RFC3339), "updated_at": i.created.Format(time.RFC3339),
		"suspended_at": suspended, "suspended_by": by, "html_url": fmt.Sprintf("%s/settings/installations/%d", i.s.web, i.ID),
		"access_tokens_url": fmt.Sprintf("%sapp/installations/%d/access_tokens", i.s.URL, i.ID), "repositories_url": i.s.URL + "installation/repositories",
	})
}

func (s *Server) installation(id string) *Installation {
	n, _ := strconv.ParseInt(id, 10, 64) // the description demands a number; 0 is nobody's
	for _, a := range s.apps {
		for _, i := range a.installed {
			if i.ID == n && !i.removed {
				return i
			}
		}
	}
	return nil
}

func getApp(c *call) answer { return ok(c.app.json()) }

func (a *App) current() []*Installation {
	return slices.DeleteFunc(slices.Clone(a.installed), func(i *Installation) bool { return i.removed })
}

func listInstallations(c *call) answer {
	return page(c, c.app.current(), func(i *Installation) any { return i.json() })
}

func getInstallation(c *call) answer {
	i := c.s.installation(c.params["installation_id"])
	if i == nil || i.App != c.app {
		return notFound()
	}
	return ok(i.json())
}

func getRepositoryInstallation(c *call) answer {
	for _, i := range c.app.installed {
		if i.covers(c.repo) {
			return ok(i.json())
		}
	}
	return notFound()
}

func listInstalledRepositories(c *call) answer {
	var all []*Repository
	for _, r := range c.s.repos {
		if c.token.covers(r) {
			all = append(all, r)
		}
	}
	a := pageOf(c, "repositories", all, func(r *Repository) any { return c.s.fill("repository", r.about()) })
	a.body.(map[string]any)["repository_selection"] = c.token.in.selection()
	return a
}

func suspended() answer {
	return refuse(http.StatusForbidden, "This installation has been suspended")
}
