package github

import (
	"context"
	"fmt"
	"time"
)

// Identity is what GitHub knows of the App.
type Identity struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"` // its name in addresses; acts as slug[bot]
	Name        string            `json:"name"`
	URL         string            `json:"html_url"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

// Self returns what GitHub knows of the App; only the first call asks.
func (a *App) Self(ctx context.Context) (*Identity, error) {
	a.mu.Lock()
	known := a.self
	a.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var in Identity
	if _, err := a.as.call(ctx, request{what: fmt.Sprintf("App %d", a.id), path: "app", asApp: true}, &in); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.self = &in
	return &in, nil
}

// InstallURL is the page where people install the App.
func (a *App) InstallURL(slug string) string {
	return a.web + "/" + escape("apps", slug, "installations/new")
}

// Installation is an account's installation of the App.
type Installation struct {
	ID          int64
	Account     string // login
	AccountID   int64
	AccountType string // "User" or "Organization"
	All         bool   // all repositories of the account, also those to come
	Suspended   bool
	Permissions map[string]string
	URL         string // its settings, for people
	Created     time.Time
}

type installationJSON struct {
	ID      int64 `json:"id"`
	Account struct {
		Login string `json:"login"`
		Slug  string `json:"slug"` // of an enterprise, which has no login
		ID    int64  `json:"id"`
		Type  string `json:"type"`
	} `json:"account"`
	Target      string            `json:"target_type"`
	Selection   string            `json:"repository_selection"`
	Suspended   *time.Time        `json:"suspended_at"`
	Permissions map[string]string `json:"permissions"`
	URL         string            `json:"html_url"`
	Created     time.Time         `json:"created_at"`
}

func (i installationJSON) value() Installation {
	v := Installation{ID: i.ID, Account: i.Account.Login, AccountID: i.Account.ID, AccountType: i.Account.Type, All: i.Selection == "all", Suspended: i.Suspended != nil, Permissions: i.Permissions, URL: i.URL, Created: i.Created}
	if v.Account == "" {
		v.Account = i.Account.Slug
	}
	if v.AccountType == "" {
		v.AccountType = i.Target
	}
	return v
}

// Installations returns all installations of the App, suspended ones too.
func (a *App) Installations(ctx context.Context) ([]Installation, error) {
	in, err := list[installationJSON](ctx, a.as, request{what: fmt.Sprintf("installations of App %d", a.id), path: "app/installations", asApp: true})
	if err != nil {
		return nil, err
	}
	var all []Installation
	for _, i := range in {
		all = append(all, i.value())
	}
	return all, nil
}

// FindInstallation returns an installation by its id; ErrNoInstallation if it was
// removed.
func (a *App) FindInstallation(ctx context.Context, id int64) (*Installation, error) {
	return a.installation(ctx, fmt.Sprintf("installation %d", id), fmt.Sprintf("app/installations/%d", id))
}

// InstallationOf returns the installation that has a repository; ErrNoInstallation
// if none has.
func (a *App) InstallationOf(ctx context.Context, owner, repo string) (*Installation, error) {
	return a.installation(ctx, fmt.Sprintf("the installation on %s/%s", owner, repo), escape("repos", owner, repo, "installation"))
}

func (a *App) installation(ctx context.Context, what, path string) (*Installation, error) {
	var in installationJSON
	if _, err := a.as.call(ctx, request{what: what, path: path, asApp: true, minting: true}, &in); err != nil {
		return nil, err
	}
	v := in.value()
	return &v, nil
}
