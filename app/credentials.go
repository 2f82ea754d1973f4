package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

// Credentials are what GitHub knows the App by. The zero value is none.
type Credentials struct {
	ID            int64
	Key           string // PEM
	WebhookSecret string // one a line: two while one replaces the other
	ClientID      string
	ClientSecret  string
}

// String hides them.
func (c Credentials) String() string { return fmt.Sprintf("App %d", c.ID) }

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// check says what is missing: all of them are needed, or none. A webhook secret alone
// is taken beside the one that the set-up keeps.
func (c Credentials) check() error {
	if c == (Credentials{WebhookSecret: c.WebhookSecret}) {
		return nil
	}
	var missing []string
	for _, x := range []struct {
		name  string
		there bool
	}{{"its id", c.ID > 0}, {"its private key", c.Key != ""}, {"the webhook secret", c.WebhookSecret != ""}, {"the client id", c.ClientID != ""}, {"the client secret", c.ClientSecret != ""}} {
		if !x.there {
			missing = append(missing, x.name)
		}
	}
	if len(missing) > 0 {
		return mistake("of the GitHub App, %s is missing: give all of it, or nothing and set the App up by the link", strings.Join(missing, ", "))
	}
	return nil
}

// identity is the GitHub App that this server is.
type identity struct {
	app     *github.App
	oauth   *github.OAuth
	secrets [][]byte
	page    web.App // its Name is "" until GitHub was asked
}

// errNoApp means that the set-up is still to come.
var errNoApp = errors.New("the GitHub App is not set up yet")

// appBinding is the row of what the set-up got: JSON of github.Created.
var appBinding = vault.Binding{Scope: vault.AppScope, Name: "github", Kind: vault.KindSecret}

// madeSetting is set once, by whoever keeps the App that was made.
const madeSetting = "app.made"

// credentials is the App, from options or from the set-up on any node.
type credentials struct {
	store    *store.Store
	sealer   *vault.Sealer
	given    Credentials
	api, web string
	log      *slog.Logger
	made     chan struct{} // gets one when the set-up was done here

	mu  sync.Mutex
	now *identity
}

// current returns the App; errNoApp before there is one.
func (c *credentials) current(ctx context.Context) (*identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		return c.now, nil
	}
	made := &github.Created{ID: c.given.ID, PEM: c.given.Key, ClientID: c.given.ClientID, ClientSecret: c.given.ClientSecret}
	if c.given.ID == 0 {
		var err error
		if made, err = c.kept(ctx); err != nil {
			return nil, err
		}
	}
	id, err := c.open(made)
	if err != nil {
		return nil, err
	}
	c.now = id
	return id, nil
}

// kept is what the set-up has sealed.
func (c *credentials) kept(ctx context.Context) (*github.Created, error) {
	row, err := c.store.Sealed(ctx, appBinding.Scope, appBinding.Name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoApp
	}
	if err != nil {
		return nil, err
	}
	text, err := c.sealer.Open(appBinding, row.Blob)
	if err != nil {
		return nil, fmt.Errorf("the GitHub App in the database: %w", err)
	}
	made := new(github.Created)
	if err := json.Unmarshal(text, made); err != nil {
		return nil, errors.New("the GitHub App in the database can't be read: set it up again") // the error could quote it
	}
	return made, nil
}

func (c *credentials) options() github.Options {
	return github.Options{API: c.api, Web: c.web, Log: c.log}
}

func (c *credentials) open(made *github.Created) (*identity, error) {
	o := c.options()
	var err error
	if o.Key, err = github.ParseKey([]byte(made.PEM)); err != nil {
		return nil, &Mistake{err.Error()}
	}
	o.ID = made.ID
	id := &identity{page: web.App{ID: made.ID, Name: made.Slug, URL: made.HTMLURL}}
	for _, text := range append(strings.Split(c.given.WebhookSecret, "\n"), made.WebhookSecret) {
		if text = strings.TrimSpace(text); text != "" {
			id.secrets = append(id.secrets, []byte(text))
		}
	}
	if id.app, err = github.New(o); err != nil {
		return nil, err
	}
	id.oauth, err = github.NewOAuth(made.ClientID, made.ClientSecret, o)
	return id, err
}

// keep seals an App that was just made. Of two at once the first stays.
func (c *credentials) keep(ctx context.Context, made *github.Created) (*identity, error) {
	id, err := c.open(made)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	blob, err := c.sealer.Seal(appBinding, text)
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(map[string]any{"id": made.ID, "slug": made.Slug, "url": made.HTMLURL})
	if err != nil {
		return nil, err
	}
	first, err := c.store.SetSettingOnce(ctx, madeSetting, public)
	if err != nil {
		return nil, err
	}
	if !first {
		if _, err := c.store.Sealed(ctx, appBinding.Scope, appBinding.Name); err == nil {
			return nil, &web.Refusal{Text: "This server has a GitHub App already. Delete the one that was just made on GitHub."}
		}
		// Whoever was first ended before the App was sealed.
	}
	row := sealedRow(appBinding, blob)
	row.Public = public
	if err := c.store.PutSealed(ctx, row); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = id
	select {
	case c.made <- struct{}{}:
	default:
	}
	return id, nil
}

// wait returns the App once there is one, made here or by another node.
func (c *credentials) wait(ctx context.Context) (*identity, error) {
	look := time.NewTicker(lookTime)
	defer look.Stop()
	for {
		id, err := c.current(ctx)
		if err == nil || ctx.Err() != nil {
			return id, err
		}
		if !errors.Is(err, errNoApp) {
			c.log.Error("the GitHub App can't be read; trying on", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.made:
		case <-look.C:
		}
	}
}

// lookTime is how often a node looks whether another one has made the App.
const lookTime = 2 * time.Second

// secrets are the webhook's.
func (c *credentials) secrets(ctx context.Context) ([][]byte, error) {
	id, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	return id.secrets, nil
}

// webAddress is GitHub's for people.
func (c *credentials) webAddress() string { return cmp.Or(c.web, github.Web) }

// page is the App for people. Of one whose credentials were given, GitHub knows the
// name; while it does not answer, its list of Apps has to do.
func (c *credentials) page(ctx context.Context) (*web.App, error) {
	id, err := c.current(ctx)
	if errors.Is(err, errNoApp) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	page := id.page
	if page.URL != "" {
		return &page, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	self, err := id.app.Self(ctx)
	if err != nil {
		c.log.Warn("GitHub does not say which App this is", "app", page.ID, "err", err)
		return &web.App{ID: page.ID, Name: fmt.Sprintf("App %d", page.ID), URL: c.webAddress() + "/settings/apps"}, nil
	}
	return &web.App{ID: page.ID, Name: self.Slug, URL: self.URL}, nil
}
