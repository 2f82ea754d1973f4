package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web"
)

// signIn asks GitHub for people.
type signIn struct {
	creds *credentials
	store *store.Store // knows the names of repositories
	api   string
}

var _ web.GitHub = (*signIn)(nil)

func (s *signIn) AuthorizeURL(redirect, state, verifier string) string {
	id, err := s.creds.current(context.Background())
	if err != nil {
		return s.creds.webAddress() // there is nobody to sign in with; the pages say so
	}
	return id.oauth.AuthorizeURL(redirect, state, verifier)
}

func (s *signIn) Exchange(ctx context.Context, code, redirect, verifier string) (web.UserToken, error) {
	id, err := s.creds.current(ctx)
	if err != nil {
		return web.UserToken{}, err
	}
	t, err := id.oauth.Exchange(ctx, code, redirect, verifier)
	if err != nil {
		return web.UserToken{}, unauthorized(err)
	}
	return web.UserToken{Token: t.Token, Expires: t.Expires}, nil
}

func (s *signIn) User(ctx context.Context, token string) (*web.User, error) {
	id, err := s.creds.current(ctx)
	if err != nil {
		return nil, err
	}
	u, err := id.oauth.User(ctx, token)
	if err != nil {
		return nil, unauthorized(err)
	}
	return &web.User{ID: u.ID, Login: u.Login}, nil
}

func (s *signIn) Repositories(ctx context.Context, token string) ([]web.Access, error) {
	id, err := s.creds.current(ctx)
	if err != nil {
		return nil, err
	}
	all, err := id.oauth.UserInstallations(ctx, token)
	if err != nil {
		return nil, unauthorized(err)
	}
	var list []web.Access
	for _, in := range all {
		for page := 1; ; page++ {
			var answer struct {
				Repositories []seen `json:"repositories"`
			}
			if err := s.get(ctx, token, fmt.Sprintf("user/installations/%d/repositories?per_page=%d&page=%d", in.ID, perPage, page), &answer); err != nil {
				return nil, fmt.Errorf("repositories of %s: %w", in.Account, err)
			}
			for _, r := range answer.Repositories {
				list = append(list, r.access(in.ID))
			}
			if len(answer.Repositories) < perPage {
				break
			}
		}
	}
	return list, nil
}

// Repository asks with the user's token, so that what is private is seen by those only
// who see it on GitHub at this moment.
func (s *signIn) Repository(ctx context.Context, token string, id int64) (*web.Access, error) {
	known, err := s.store.Repository(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, web.ErrNotVisible
	}
	if err != nil {
		return nil, err
	}
	var r seen
	if err := s.get(ctx, token, "repos/"+url.PathEscape(known.Owner)+"/"+url.PathEscape(known.Name), &r); err != nil {
		return nil, fmt.Errorf("repository %d: %w", id, err)
	}
	if r.ID != id { // another one has the name by now
		return nil, web.ErrNotVisible
	}
	acc := r.access(0)
	return &acc, nil
}

// perPage is the most that GitHub lists at once.
const perPage = 100

// seen is a repository with the roles that a person has, as GitHub writes it: package
// github does not tell maintain from push, which for the pages makes all the difference.
type seen struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Owner struct {
		Login string `json:"login"`
	} `json:"owner"`
	Permissions struct {
		Admin    bool `json:"admin"`
		Maintain bool `json:"maintain"`
	} `json:"permissions"`
}

func (r *seen) access(installation int64) web.Access {
	return web.Access{ID: r.ID, Installation: installation, Owner: r.Owner.Login, Name: r.Name, Admin: r.Permissions.Admin, Maintain: r.Permissions.Maintain}
}

// get asks as a person. Errors are web.ErrNotVisible and web.ErrUnauthorized, or none
// of these.
func (s *signIn) get(ctx context.Context, token, path string, to any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.api, "/")+"/"+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := apiClient.Do(r)
	if err != nil {
		return errors.New(github.Redact(err.Error()))
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(to); err != nil {
			return errors.New("GitHub's answer can't be read")
		}
		return nil
	case http.StatusUnauthorized:
		return web.ErrUnauthorized
	case http.StatusTooManyRequests:
		return errPatience
	case http.StatusNotFound, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		if resp.Header.Get("X-RateLimit-Remaining") == "0" || resp.Header.Get("Retry-After") != "" {
			return errPatience
		}
		return web.ErrNotVisible
	}
	return fmt.Errorf("GitHub answers %s", resp.Status)
}

var errPatience = errors.New("GitHub takes no more requests of this person for now")

// apiClient follows what was renamed, on the same host only: a token is for one.
var apiClient = &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
	if len(via) > 5 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}}

// unauthorized tells a token that GitHub refuses from other errors.
func unauthorized(err error) error {
	if errors.Is(err, github.ErrRefused) {
		return fmt.Errorf("%w: %w", web.ErrUnauthorized, err)
	}
	return err
}
