// Package web is the App's pages, and its interface for programs.
//
// Pages are made on the server with html/template and work without scripts; the one
// script there is follows a release while it runs. People sign in with GitHub and see
// here what they see there. Programs bring a bearer token and speak JSON below
// /api/v1, which the page /api describes.
//
// Who may do what stands in one table, in route.go, and is checked in one place,
// before any handler runs. The package opens no key and knows no secret but the
// tokens of those who are signed in; what it lets people do goes through the
// interfaces in need.go.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/store"
)

// Options of a Site. Store, URL, GitHub, Setup, Actions, Keys and Secrets are needed.
type Options struct {
	Store *store.Store
	Now   func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil drops requests and causes of failures

	URL       string // where people and GitHub reach this server, without a path
	GitHubURL string // "" means https://github.com
	Name      string // on every page; "" means "DistroPack"
	Version   string // of the program, in the foot of every page; "" leaves it out

	// Admins are GitHub's ids of people who run this server, besides whoever set it up.
	Admins []int64

	// Ready is asked by /readyz after the database; nil means that nothing else is needed.
	Ready func(ctx context.Context) error

	GitHub  GitHub
	Setup   Setup
	Actions Actions
	Keys    Keys
	Secrets Secrets
}

// Site serves all pages. It is safe for concurrent use.
type Site struct {
	o       Options
	base    *url.URL
	pages   pages
	handler http.Handler
	views   views
	streams streams
	secure  bool // URL is https

	stop     context.CancelFunc
	stopping context.Context
}

var _ http.Handler = (*Site)(nil)

// New checks the options and prepares the pages. It asks nobody anything.
func New(o Options) (*Site, error) {
	var missing []string
	for _, n := range []struct {
		name string
		has  bool
	}{
		{"Store", o.Store != nil}, {"GitHub", o.GitHub != nil}, {"Setup", o.Setup != nil},
		{"Actions", o.Actions != nil}, {"Keys", o.Keys != nil}, {"Secrets", o.Secrets != nil},
	} {
		if !n.has {
			missing = append(missing, n.name)
		}
	}
	if len(missing) > 0 {
		return nil, errors.New("web: options lack " + strings.Join(missing, ", "))
	}
	base, err := origin(o.URL)
	if err != nil {
		return nil, err
	}
	o.URL = base.String()
	if o.GitHubURL == "" {
		o.GitHubURL = "https://github.com"
	}
	hub, err := origin(o.GitHubURL)
	if err != nil {
		return nil, err
	}
	o.GitHubURL = hub.String()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "DistroPack"
	}
	p, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Site{o: o, base: base, pages: p, secure: base.Scheme == "https"}
	s.stopping, s.stop = context.WithCancel(context.Background())
	if s.handler, err = s.routes(routes); err != nil {
		return nil, err
	}
	return s, nil
}

// origin reads the address of a server: a scheme and a host, and nothing more.
func origin(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("web: address %q is not of the form https://packages.example.org", text)
	}
	return u, nil
}

// ServeHTTP answers a request.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Stop ends live logs and waiting answers, which otherwise keep a server from shutting
// down; give it to http.Server.RegisterOnShutdown. Browsers ask again by themselves.
func (s *Site) Stop() { s.stop() }

// views are what people may see, by session.
type views struct {
	sync.Mutex
	of map[string]*view
}
