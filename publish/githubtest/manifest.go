package githubtest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// manifest describes an App that is to be made:
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
type manifest struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Hook *struct {
		URL    string `json:"url"`
		Active *bool  `json:"active"`
	} `json:"hook_attributes"`
	Redirect     string            `json:"redirect_url"`
	Callbacks    []string          `json:"callback_urls"`
	Setup        string            `json:"setup_url"`
	Description  string            `json:"description"`
	Public       bool              `json:"public"`
	Events       []string          `json:"default_events"`
	Permissions  map[string]string `json:"default_permissions"`
	OAuth        bool              `json:"request_oauth_on_install"`
	SetupOnTouch bool              `json:"setup_on_update"`
}

// made is an App that waits for its code.
type made struct {
	app  *App
	made time.Time
}

// eventNeeds are the permissions that events need.
var eventNeeds = map[string]string{"check_run": "checks", "check_suite": "checks", "create": "contents", "delete": "contents", "push": "contents", "release": "contents", "pull_request": "pull_requests", "issues": "issues", "repository": "metadata"}

// manifestPage makes the App of a manifest and sends who sits before the browser
// back with a code.
func (s *Server) manifestPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m manifest
	d := json.NewDecoder(strings.NewReader(r.FormValue("manifest")))
	d.DisallowUnknownFields()
	fail := func(why string) {
		s.t.Errorf("manifest of an App: %s", why)
		http.Error(w, why, http.StatusUnprocessableEntity)
	}
	if err := d.Decode(&m); err != nil {
		fail(err.Error())
		return
	}
	back, err := url.Parse(m.Redirect)
	switch {
	case m.Name == "" || len(m.Name) > 34:
		fail("name has 1 to 34 characters")
		return
	case m.URL == "" || m.Hook == nil || m.Hook.URL == "" || err != nil || back.Host == "":
		fail("url, hook_attributes.url and redirect_url are needed")
		return
	case len(m.Callbacks) > 10:
		fail("callback_urls has more than 10")
		return
	}
	for _, e := range m.Events {
		if p, known := eventNeeds[e]; !known || m.Permissions[p] == "" {
			fail("default_events: " + e + " is not known or lacks its permission")
			return
		}
	}
	for name, level := range m.Permissions {
		if !slices.Contains([]string{"metadata", "contents", "checks", "pull_requests", "issues", "administration", "pages", "workflows"}, name) || level != "read" && level != "write" || name == "metadata" && level != "read" {
			fail("default_permissions: " + name + ": " + level)
			return
		}
	}
	owner := s.browser
	if rest, ok := strings.CutPrefix(r.URL.Path, "/organizations/"); ok {
		owner, _, _ = strings.Cut(rest, "/")
	}
	if owner == "" {
		owner = "octocat"
	}
	a := s.newApp(m.Name, owner, m.Permissions, m.Events)
	a.hook, a.callbacks = m.Hook.URL, m.Callbacks
	code := s.code("manifest")
	s.made[code] = &made{a, s.now()}
	q := back.Query()
	q.Set("code", code)
	if state := r.URL.Query().Get("state"); state != "" {
		q.Set("state", state)
	}
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// convert hands a new App out, once and within an hour.
func convert(c *call) answer {
	m := c.s.made[c.params["code"]]
	if m == nil || !c.s.now().Before(m.made.Add(time.Hour)) {
		return notFound()
	}
	delete(c.s.made, c.params["code"])
	v := m.app.json()
	v["client_id"], v["client_secret"], v["webhook_secret"] = m.app.ClientID, m.app.ClientSecret, m.app.WebhookSecret
	v["pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(m.app.Key)}))
	return created(ok(v))
}
