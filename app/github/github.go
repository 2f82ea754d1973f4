// Package github is what the App asks of GitHub: who has it installed, tokens for
// one job, tags, files and releases of a repository, check runs, issues, deliveries
// of webhooks, and signing people in.
//
// It waits for nobody: where GitHub asks for patience, the error is a *Limit that
// says until when, and until then further requests of the same installation are
// not even sent. Answers of 500 and above are asked for again, a few times within
// seconds, where repeating is harmless. Repositories that were renamed are followed
// to where they are. Errors name what was asked for, GitHub's status and what to do
// about it; no token is ever part of one.
//
// Facts are from https://docs.github.com/rest and GitHub's OpenAPI description,
// which the tests hold each request to.
package github

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
)

// Addresses of github.com. A GitHub Enterprise Server has its API at
// https://HOST/api/v3 and its pages at https://HOST.
const (
	API = "https://api.github.com"
	Web = "https://github.com"
)

// Options of an App.
type Options struct {
	ID   int64           // the App's
	Key  *rsa.PrivateKey // the App's; signs what proves that we are the App
	API  string          // base URL of the REST API; "": API
	Web  string          // base URL of the pages; "": Web
	HTTP *http.Client    // its transport and time limit are taken; nil: the default ones, 30 s
	Now  func() time.Time
	Log  *slog.Logger // nil: nothing is logged

	// Wait pauses between two tries of a request that GitHub failed to answer, two
	// seconds at most. It returns early, with the context's error, when the context
	// ends. nil: it waits by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// App asks as the App itself. Its methods, and those of its Clients, may be called
// concurrently.
type App struct {
	id     int64
	web    string
	line   *line
	as     caller
	mu     sync.Mutex
	gauges map[int64]*gauge // by installation
	tokens tokens
	self   *Identity // once known
}

// New makes an App. Nothing is sent yet.
func New(o Options) (*App, error) {
	if o.ID <= 0 {
		return nil, fmt.Errorf("the App's id is %d: it is the number on the App's settings page", o.ID)
	}
	if o.Key == nil {
		return nil, errors.New("the App has no private key: make one on the App's settings page")
	}
	l, err := newLine(o)
	if err != nil {
		return nil, err
	}
	proof, err := ghinstallation.NewAppsTransportWithOptions(l.transport, o.ID, ghinstallation.WithSigner(signer{o.Key, l.now}))
	if err != nil {
		return nil, err
	}
	web := strings.TrimRight(o.Web, "/")
	if web == "" {
		web = Web
	}
	a := &App{id: o.ID, web: web, line: l, gauges: make(map[int64]*gauge)}
	a.as = caller{line: l, transport: proof, gauge: &gauge{}, name: fmt.Sprintf("App %d", o.ID)}
	return a, nil
}

// ID is the App's id.
func (a *App) ID() int64 { return a.id }

// Installation asks as the App for one of its installations. Nothing is sent yet;
// Clients of one App share their tokens and what they know of limits.
func (a *App) Installation(id int64) *Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.gauges[id]
	if g == nil {
		g = &gauge{}
		a.gauges[id] = g
	}
	c := &Client{app: a, id: id}
	c.as = caller{line: a.line, gauge: g, name: fmt.Sprintf("installation %d", id), token: c.anyToken}
	return c
}

// Client asks for one installation.
type Client struct {
	app *App
	id  int64
	as  caller
}

// ID is the installation's id.
func (c *Client) ID() int64 { return c.id }

// Left says how many requests GitHub said are left to the installation, and when
// there will be all of them again. ok is false as long as GitHub has not said it.
func (c *Client) Left() (requests int, until time.Time, ok bool) { return c.as.gauge.left() }
