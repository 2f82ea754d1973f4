package github

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// OAuth signs people in. Its methods may be called concurrently.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app
type OAuth struct {
	clientID, clientSecret string
	web                    *line // the API's line, to the pages
	api                    *line
}

// NewOAuth makes an OAuth of an App's client id and secret. Of the options, ID and
// Key are not used.
func NewOAuth(clientID, clientSecret string, o Options) (*OAuth, error) {
	if clientID == "" || clientSecret == "" {
		return nil, errors.New("the App's client id or client secret is missing: both are on its settings page")
	}
	api, err := newLine(o)
	if err != nil {
		return nil, err
	}
	web := *api
	if web.api, err = base(o.Web, Web); err != nil {
		return nil, err
	}
	return &OAuth{clientID: clientID, clientSecret: clientSecret, web: &web, api: api}, nil
}

// UserToken lets the App ask for a person. It holds secrets.
type UserToken struct {
	Token          string
	Expires        time.Time // zero: never
	Refresh        string    // "": there is none
	RefreshExpires time.Time
}

// String hides the token.
func (UserToken) String() string { return "[secret]" }

// GoString hides the token.
func (UserToken) GoString() string { return "[secret]" }

// User is a person's account.
type User struct {
	ID     int64  `json:"id"`
	Login  string `json:"login"`
	Name   string `json:"name"`
	Avatar string `json:"avatar_url"`
}

// AuthorizeURL is the page that asks a person to sign in and sends them back to
// redirect with a code and state, which proves that we sent them. verifier, 43
// random characters or more, binds the code to whoever has it (PKCE); "": nothing
// does.
func (o *OAuth) AuthorizeURL(redirect, state, verifier string) string {
	q := url.Values{"client_id": {o.clientID}, "redirect_uri": {redirect}, "state": {state}}
	if verifier != "" {
		sum := sha256.Sum256([]byte(verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	return o.web.api.JoinPath("login/oauth/authorize").String() + "?" + q.Encode()
}

// Exchange trades the code that a person came back with for a token. A code that
// was used or is too old is ErrRefused. redirect and verifier are as before.
func (o *OAuth) Exchange(ctx context.Context, code, redirect, verifier string) (*UserToken, error) {
	body := map[string]string{"code": code, "redirect_uri": redirect}
	if verifier != "" {
		body["code_verifier"] = verifier
	}
	return o.exchange(ctx, "signing in", body, code, verifier)
}

// Renew trades a refresh token for another token.
func (o *OAuth) Renew(ctx context.Context, refresh string) (*UserToken, error) {
	return o.exchange(ctx, "renewing a sign-in", map[string]string{"grant_type": "refresh_token", "refresh_token": refresh}, refresh)
}

func (o *OAuth) exchange(ctx context.Context, what string, body map[string]string, secrets ...string) (*UserToken, error) {
	body["client_id"], body["client_secret"] = o.clientID, o.clientSecret
	var in struct {
		Token          string `json:"access_token"`
		Expires        int64  `json:"expires_in"` // seconds
		Refresh        string `json:"refresh_token"`
		RefreshExpires int64  `json:"refresh_token_expires_in"`
		Error          string `json:"error"`
		Description    string `json:"error_description"`
	}
	q := request{what: what, method: http.MethodPost, path: "login/oauth/access_token", accept: "application/json", body: body, once: true, secrets: append(secrets, o.clientSecret)}
	as := caller{line: o.web, gauge: &gauge{}, name: what}
	if _, err := as.call(ctx, q, &in); err != nil {
		return nil, err
	}
	if in.Token == "" { // errors come with status 200
		e := &Error{Subject: what, Host: o.web.api.Host, Status: http.StatusOK, kind: ErrRefused, Message: hide(strings.TrimSpace(in.Error+" "+in.Description), q.secrets), Advice: "sign in again"}
		if in.Error == "incorrect_client_credentials" {
			e.Advice = "the App's client id and client secret don't belong together: make a new secret on its settings page"
		}
		return nil, e
	}
	t := &UserToken{Token: in.Token, Refresh: in.Refresh}
	if in.Expires > 0 {
		t.Expires = o.web.now().Add(time.Duration(in.Expires) * time.Second)
	}
	if in.RefreshExpires > 0 {
		t.RefreshExpires = o.web.now().Add(time.Duration(in.RefreshExpires) * time.Second)
	}
	return t, nil
}

func (o *OAuth) as(token string) caller {
	return caller{line: o.api, gauge: &gauge{}, name: "a person", token: func(context.Context) (string, func(), error) { return token, nil, nil }}
}

// User returns whose token it is.
func (o *OAuth) User(ctx context.Context, token string) (*User, error) {
	var in User
	if _, err := o.as(token).call(ctx, request{what: "who signed in", path: "user"}, &in); err != nil {
		return nil, err
	}
	return &in, nil
}

// UserInstallations returns the installations of the App that a person may see.
func (o *OAuth) UserInstallations(ctx context.Context, token string) ([]Installation, error) {
	var all []Installation
	var page struct {
		Installations []installationJSON `json:"installations"`
	}
	take := func() {
		for _, i := range page.Installations {
			all = append(all, i.value())
		}
		page.Installations = nil
	}
	q := request{what: "installations of who signed in", path: "user/installations"}
	if err := o.as(token).pages(ctx, q, func() any { take(); return &page }, always); err != nil {
		return nil, err
	}
	take()
	return all, nil
}

// UserRepositories returns the repositories of an installation that a person may
// see, with what they may do there.
func (o *OAuth) UserRepositories(ctx context.Context, token string, installation int64) ([]Repository, error) {
	q := request{what: fmt.Sprintf("repositories of installation %d for who signed in", installation), path: fmt.Sprintf("user/installations/%d/repositories", installation)}
	return repositories(ctx, o.as(token), q)
}
