package app

import (
	"context"
	"net/url"
	"strings"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/web"
)

// setup makes the GitHub App, by the manifest flow.
type setup struct {
	creds *credentials
	url   string // of this server
}

var _ web.Setup = (*setup)(nil)

func (s *setup) App(ctx context.Context) (*web.App, error) { return s.creds.page(ctx) }

func (s *setup) Manifest(organization, state string) (string, []byte, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", nil, err
	}
	// Names are unique on GitHub, 34 characters at most; whoever makes it may choose another.
	name := "DistroPack " + strings.ReplaceAll(u.Hostname(), ".", "-")
	return github.ManifestURL(s.creds.webAddress(), organization, state), github.Manifest(name[:min(len(name), 34)], s.url, "issues:write"), nil
}

func (s *setup) Create(ctx context.Context, code string) (*web.App, error) {
	made, err := github.Convert(ctx, s.creds.api, code)
	if err != nil {
		return nil, err
	}
	id, err := s.creds.keep(ctx, made)
	if err != nil {
		return nil, err
	}
	s.creds.log.Info("the GitHub App is set up", "app", made.ID, "slug", made.Slug)
	return &id.page, nil
}
