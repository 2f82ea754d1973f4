package github

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Paths below the server's address that a manifest names.
const (
	HookPath    = "/hook"          // takes webhooks
	CreatedPath = "/setup/github"  // gets code and state when the App was made
	SignInPath  = "/signin/github" // gets code and state when a person signs in
	WelcomePath = "/installed"     // gets installation_id when somebody installed the App
)

// Manifest describes the App that GitHub is to make, as JSON, for a server at url:
// what it may do and which events it gets. extra are further permissions, such as
// "issues:write", with which warnings of keys that expire come as an issue.
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
func Manifest(name, url string, extra ...string) []byte {
	url = strings.TrimRight(url, "/")
	permissions := map[string]string{"metadata": "read", "contents": "write", "checks": "write", "pull_requests": "read"}
	for _, p := range extra {
		name, level, _ := strings.Cut(p, ":")
		permissions[name] = level
	}
	b, err := json.Marshal(map[string]any{
		"name":                name,
		"url":                 url,
		"hook_attributes":     map[string]any{"url": url + HookPath, "active": true},
		"redirect_url":        url + CreatedPath,
		"callback_urls":       []string{url + SignInPath},
		"setup_url":           url + WelcomePath,
		"public":              false,
		"default_permissions": permissions,
		// push has moved tags too, which create has not.
		"default_events": []string{"check_run", "check_suite", "create", "pull_request", "push", "release", "repository"},
	})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	return b
}

// ManifestURL is the page that takes a manifest, by a form with the field manifest
// that is posted there. organization is "" for the person's own account. state
// comes back with the code.
func ManifestURL(web, organization, state string) string {
	if web == "" {
		web = Web
	}
	path := "settings/apps/new"
	if organization != "" {
		path = escape("organizations", organization, path)
	}
	return strings.TrimRight(web, "/") + "/" + path + "?" + url.Values{"state": {state}}.Encode()
}

// Created is an App that was just made. It holds secrets.
type Created struct {
	ID            int64  `json:"id"`
	Slug          string `json:"slug"`
	PEM           string `json:"pem"` // private key
	WebhookSecret string `json:"webhook_secret"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
	HTMLURL       string `json:"html_url"`
}

// String names the App without its secrets.
func (c *Created) String() string { return fmt.Sprintf("App %d (%s)", c.ID, c.Slug) }

// GoString is String.
func (c *Created) GoString() string { return c.String() }

// Convert trades the code that a manifest led to for the App. It works once, within
// an hour. api is the base URL of the REST API; "": API.
func Convert(ctx context.Context, api, code string) (*Created, error) {
	l, err := newLine(Options{API: api})
	if err != nil {
		return nil, err
	}
	as := caller{line: l, gauge: &gauge{}, name: "the new App"}
	var in Created
	if code == "" || strings.ContainsAny(code, "/.") {
		return nil, errors.New("the code of the new App is none of GitHub's: begin again")
	}
	q := request{what: "the App that was just made", method: http.MethodPost, path: escape("app-manifests", code, "conversions"), once: true, secrets: []string{code}}
	if _, err := as.call(ctx, q, &in); err != nil {
		var e *Error
		if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusUnprocessableEntity) {
			e.Advice = "the code was used before or is older than an hour: begin again"
		}
		return nil, err
	}
	return &in, nil
}

// ParseKey reads an App's private key as GitHub hands it out: PEM with PKCS #1, or
// PKCS #8.
func ParseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the App's private key is no PEM file: use the one that GitHub let you download")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := any.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, fmt.Errorf("the App's private key has the PEM type %q and can't be read: use the file that GitHub let you download", block.Type)
}
