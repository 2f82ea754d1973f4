package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

// who says, written down a second time, who may use a route. A word "all" stands for
// everybody, "link" for the link of the set-up, "in" for everybody who is signed in.
var who = map[string]string{
	"GET /{$}":                     "all",
	"GET /healthz":                 "all",
	"GET /readyz":                  "all",
	"GET /assets/{file}":           "all",
	"GET /api":                     "all",
	"GET /setup":                   "link",
	"GET /setup/github":            "link",
	"POST /setup/claim":            "link",
	"GET /signin":                  "all",
	"GET /signin/github":           "all",
	"POST /signout":                "in",
	"GET /installed":               "in",
	"GET /admin":                   "root",
	"GET /admin/deliveries":        "root",
	"GET /admin/deliveries/{guid}": "root",
	"POST /admin/deliveries/{guid}/redeliver": "root",

	"GET /installations/{installation}":                              "ada mel rita",
	"GET /installations/{installation}/deliveries":                   "ada",
	"GET /installations/{installation}/deliveries/{guid}":            "ada",
	"POST /installations/{installation}/deliveries/{guid}/redeliver": "ada",
	"GET /installations/{installation}/keys":                         "ada",
	"POST /installations/{installation}/keys/new":                    "ada",
	"POST /installations/{installation}/keys/import":                 "ada",
	"POST /installations/{installation}/keys/export":                 "ada",
	"POST /installations/{installation}/keys/replace":                "ada",
	"GET /installations/{installation}/secrets":                      "ada",
	"POST /installations/{installation}/secrets/set":                 "ada",
	"POST /installations/{installation}/secrets/delete":              "ada",
	"GET /installations/{installation}/tokens":                       "ada",
	"POST /installations/{installation}/tokens/new":                  "ada",
	"POST /installations/{installation}/tokens/revoke":               "ada",

	"GET /{owner}/{name}":                            "ada mel rita",
	"GET /repositories/{repository}":                 "ada mel rita",
	"POST /repositories/{repository}/release":        "ada mel",
	"GET /repositories/{repository}/keys":            "ada mel",
	"POST /repositories/{repository}/keys/new":       "ada mel",
	"POST /repositories/{repository}/keys/import":    "ada mel",
	"POST /repositories/{repository}/keys/export":    "ada mel",
	"POST /repositories/{repository}/keys/replace":   "ada mel",
	"GET /repositories/{repository}/secrets":         "ada mel",
	"POST /repositories/{repository}/secrets/set":    "ada mel",
	"POST /repositories/{repository}/secrets/delete": "ada mel",
	"GET /repositories/{repository}/tokens":          "ada mel",
	"POST /repositories/{repository}/tokens/new":     "ada mel",
	"POST /repositories/{repository}/tokens/revoke":  "ada mel",

	"GET /repositories/{repository}/releases/{commit}/{tag...}":   "ada mel rita",
	"GET /repositories/{repository}/events/{commit}/{tag...}":     "ada mel rita",
	"GET /repositories/{repository}/log/{commit}/{tag...}":        "ada mel rita",
	"GET /repositories/{repository}/log.txt/{commit}/{tag...}":    "ada mel rita",
	"POST /repositories/{repository}/cancel/{commit}/{tag...}":    "ada mel",
	"POST /repositories/{repository}/restart/{commit}/{tag...}":   "ada mel",
	"POST /repositories/{repository}/republish/{commit}/{tag...}": "ada mel",
	"POST /repositories/{repository}/rollback/{commit}/{tag...}":  "ada mel",

	// Tokens are named after their scope and action.
	"GET /api/v1/repositories":                          "7read 7release 7control 42read 42release 42control 9read",
	"GET /api/v1/repositories/{owner}/{name}/releases":  "7read 42read",
	"POST /api/v1/repositories/{owner}/{name}/releases": "7release 42release",
	"GET /api/v1/status":                                "7read 42read",
	"GET /api/v1/log":                                   "7read 42read",
	"POST /api/v1/cancel":                               "7control 42control",
	"POST /api/v1/restart":                              "7control 42control",
	"POST /api/v1/republish":                            "7control 42control",
	"POST /api/v1/rollback":                             "7control 42control",
}

// address fills a pattern with what acme has.
func address(w *world, pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{file}", strings.TrimPrefix(w.site.pages.names["style.css"], "/assets/"), "{installation}", "42", "{repository}", "7",
		"{owner}", "acme", "{name}", "hello", "{commit}", commitID, "{tag...}", "v1.2.3", "{guid}", "guid-1").Replace(path)
	switch path {
	case "/api/v1/status", "/api/v1/log", "/api/v1/cancel", "/api/v1/restart", "/api/v1/republish", "/api/v1/rollback":
		path += "?id=" + url.QueryEscape(helloID)
	}
	return method, path
}

// fields are forms that are filled as they should be.
var fields = map[string]url.Values{
	"release":      {"tag": {"v1.2.3"}},
	"keys/new":     {"name": {"main"}, "owner": {"Acme"}, "email": {"a@example.org"}, "years": {"3"}},
	"keys/import":  {"name": {"main"}, "private": {"PRIVATE"}},
	"keys/export":  {"name": {"main"}, "passphrase": {"correct horse"}, "again": {"correct horse"}},
	"keys/replace": {"name": {"main"}},
	"secrets/set":  {"name": {"S"}, "value": {"v"}},
	"tokens/new":   {"name": {"ci"}, "action": {"read"}, "days": {"30"}},
}

func fieldsOf(path string) url.Values {
	for suffix, v := range fields {
		if strings.HasSuffix(path, "/"+suffix) {
			return v
		}
	}
	return nil
}

func matrixWorld(t *testing.T) *world {
	w := newWorld(t, "")
	w.release("v1.2.3", store.Done, nil)
	_, err := w.store.Receive(t.Context(), &store.Delivery{GUID: "guid-1", Event: "push", Installation: 42, Repository: 7, Body: []byte("{}")})
	w.must(err)
	w.must(w.store.SettleDelivery(t.Context(), "guid-1", store.Done, ""))
	return w
}

func TestEveryRouteIsForThoseItIsFor(t *testing.T) {
	w := matrixWorld(t)
	for _, rt := range routes {
		allowed, ok := who[rt.pattern]
		if !ok {
			t.Errorf("%s: nobody has written down who may use it", rt.pattern)
			continue
		}
		if rt.program() || strings.Contains(allowed, "link") {
			continue // below
		}
		method, path := address(w, rt.pattern)
		for _, login := range []string{"", "fox", "rita", "mel", "ada", "root"} {
			may := allowed == "all" || allowed == "in" && login != "" || login != "" && slices.Contains(strings.Fields(allowed), login)
			w.actions.calls, w.keys.calls = nil, nil
			w.secrets.values = map[string]string{}
			w.must(w.store.DeleteToken(t.Context(), "repository:7", "ci"))
			w.must(w.store.DeleteToken(t.Context(), "installation:42", "ci"))
			rec := w.do(method, path, login, fieldsOf(path))
			to := rec.Header().Get("Location")
			what := fmt.Sprintf("%s %s as %q: %d %s", method, path, login, rec.Code, to)
			switch {
			case rt.pattern == "GET /signin/github":
				if rec.Code != http.StatusBadRequest {
					t.Errorf("%s, want 400 without a state", what)
				}
			case may:
				if rec.Code >= 400 || strings.HasPrefix(to, "/signin") {
					t.Errorf("%s, want success\n%s", what, rec.Body)
				}
			case login == "" && method == "GET":
				if rec.Code != http.StatusSeeOther || to != "/signin?next="+url.QueryEscape(path) {
					t.Errorf("%s, want the way to sign in", what)
				}
			case login == "":
				if rec.Code != http.StatusUnauthorized {
					t.Errorf("%s, want 401", what)
				}
			case login == "fox" || login == "root":
				if rec.Code != http.StatusNotFound {
					t.Errorf("%s, want 404: what somebody may not see is not found", what)
				}
			default:
				if rec.Code != http.StatusForbidden && rec.Code != http.StatusNotFound {
					t.Errorf("%s, want 403 or 404", what)
				}
			}
			done := len(w.actions.noted()) + len(w.keys.calls) + len(w.secrets.values)
			if !may && done > 0 {
				t.Errorf("%s, and yet something was done: %q %q", what, w.actions.calls, w.keys.calls)
			}
			if !may && strings.Contains(rec.Body.String(), "tag pushed by") {
				t.Errorf("%s, and the answer tells of the release", what)
			}
		}
	}
	for pattern := range who {
		if !slices.ContainsFunc(routes, func(r route) bool { return r.pattern == pattern }) {
			t.Errorf("%s is no route any more", pattern)
		}
	}
}

func (w *world) token(scope string, expires time.Time, actions ...string) string {
	w.t.Helper()
	value := tokenPrefix + random()
	w.must(w.store.CreateToken(w.t.Context(), &store.Token{Name: "t" + value, Hash: hashed(value), Scope: scope, Actions: actions, By: "ada", Expires: expires}))
	return value
}

func (w *world) api(method, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, w.url+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	w.site.ServeHTTP(rec, r)
	return rec
}

func TestEveryProgramRouteIsForTheTokensItIsFor(t *testing.T) {
	w := matrixWorld(t)
	tokens := map[string]string{}
	for _, action := range []string{"read", "release", "control"} {
		tokens["7"+action] = w.token("repository:7", time.Time{}, action)
		tokens["42"+action] = w.token("installation:42", time.Time{}, action)
	}
	tokens["9read"] = w.token("repository:9", time.Time{}, "read", "release", "control")
	for _, rt := range routes {
		if !rt.program() {
			continue
		}
		method, path := address(w, rt.pattern)
		for name, token := range tokens {
			may := slices.Contains(strings.Fields(who[rt.pattern]), name)
			w.actions.calls = nil
			rec := w.api(method, path, token, `{"tag": "v1.2.3"}`)
			if what := fmt.Sprintf("%s %s with %s: %d", method, path, name, rec.Code); may && rec.Code >= 300 {
				t.Errorf("%s, want success\n%s", what, rec.Body)
			} else if !may && name == "9read" && rec.Code != http.StatusNotFound {
				t.Errorf("%s, want 404", what)
			} else if !may && name != "9read" && rec.Code != http.StatusForbidden {
				t.Errorf("%s, want 403", what)
			} else if !may && len(w.actions.noted()) > 0 {
				t.Errorf("%s, and yet: %q", what, w.actions.calls)
			}
		}
		for name, token := range map[string]string{"none": "", "unknown": tokenPrefix + "x", "of another kind": "ghp_x"} {
			rec := w.api(method, path, token, `{"tag": "v1.2.3"}`)
			if rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s, token %s: %d, want 401", method, path, name, rec.Code)
			}
		}
		// A browser's session is nothing here, so no other site can make use of it.
		if rec := w.do(method, path, "ada", nil); rec.Code != http.StatusUnauthorized {
			t.Errorf("%s %s with a session: %d, want 401", method, path, rec.Code)
		}
	}
}

func TestTokensEnd(t *testing.T) {
	w := matrixWorld(t)
	token := w.token("repository:7", w.clock().Add(time.Hour), "read")
	_, path := address(w, "GET /api/v1/status")
	if rec := w.api("GET", path, token, ""); rec.Code != http.StatusOK {
		t.Fatalf("before: %d", rec.Code)
	}
	w.pass(2 * time.Hour)
	if rec := w.api("GET", path, token, ""); rec.Code != http.StatusUnauthorized {
		t.Errorf("an expired token: %d", rec.Code)
	}
	token = w.token("installation:42", time.Time{}, "read")
	w.must(w.store.SaveInstallation(t.Context(), &store.Installation{ID: 42, Account: "acme", AccountID: 100, AccountType: "Organization", Suspended: true}))
	if rec := w.api("GET", path, token, ""); rec.Code != http.StatusForbidden {
		t.Errorf("a token of a suspended installation: %d", rec.Code)
	}
	w.must(w.store.SaveRepository(t.Context(), &store.Repository{ID: 7, Installation: 42, Owner: "acme", Name: "hello", Removed: true}))
	if rec := w.api("GET", path, token, ""); rec.Code != http.StatusNotFound {
		t.Errorf("a token for a repository that was taken away: %d", rec.Code)
	}
}

func TestOneForeignIDAmongManyIsRefused(t *testing.T) {
	w := matrixWorld(t)
	foreign := &store.Release{ID: "rel:9:v1:abc", Installation: 43, Repository: 9, Tag: "v1", Commit: "abc", Short: "fox's"}
	_, err := w.store.CreateRelease(t.Context(), foreign)
	w.must(err)
	q := url.Values{"id": {helloID, foreign.ID}}.Encode()
	for _, what := range []string{"GET /api/v1/status", "POST /api/v1/cancel"} {
		method, path, _ := strings.Cut(what, " ")
		rec := w.api(method, path+"?"+q, w.token("installation:42", time.Time{}, "read", "control"), "")
		if rec.Code != http.StatusNotFound || strings.Contains(rec.Body.String(), "fox") || len(w.actions.noted()) > 0 {
			t.Errorf("%s: %d %s %q", what, rec.Code, rec.Body, w.actions.calls)
		}
	}
}

func TestAddressesDoNotMixRepositoriesAndInstallations(t *testing.T) {
	w := matrixWorld(t)
	_, err := w.store.Receive(t.Context(), &store.Delivery{GUID: "foxs", Event: "push", Installation: 43, Body: []byte("{}")})
	w.must(err)
	// fox manages 43; what belongs to 42 is not reached through it.
	for _, path := range []string{
		"/installations/43/deliveries/guid-1", "/repositories/9/releases/" + commitID + "/v1.2.3", "/repositories/9/log/" + commitID + "/v1.2.3",
		"/repositories/0", "/repositories/-7", "/repositories/7x", "/installations/43/deliveries/", "/nowhere", "/repositories/9/keys/x",
	} {
		if rec := w.do("GET", path, "fox", nil); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	w.get("/installations/43/deliveries/foxs", "fox")
	if got := w.get("/installations/43/deliveries", "fox"); strings.Contains(got, "guid-1") {
		t.Error("the list of 43 shows a delivery of 42")
	}
}

func TestEveryFormIsGuardedAgainstOtherSites(t *testing.T) {
	w := matrixWorld(t)
	posts := 0
	for _, rt := range routes {
		if rt.program() || !strings.HasPrefix(rt.pattern, "POST ") {
			continue
		}
		posts++
		method, path := address(w, rt.pattern)
		login := "ada"
		if strings.HasPrefix(path, "/admin") {
			login = "root"
		}
		for name, c := range map[string]struct {
			form   string
			change func(*http.Request)
		}{
			"no token":              {"", func(*http.Request) {}},
			"no token, old browser": {"", func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }},
			"wrong token":           {"AAAA", func(*http.Request) {}},
			"another site": {"right", func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				r.Header.Set("Origin", "https://evil.example")
			}},
			"a sister site": {"right", func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "same-site")
				r.Header.Set("Origin", "https://pages.example.org")
			}},
			"another origin":       {"right", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") }},
			"token in the address": {"address", func(*http.Request) {}},
		} {
			form := url.Values{}
			for k, v := range fieldsOf(path) {
				form[k] = v
			}
			p := path
			if c.form != "right" {
				form.Set("form", c.form)
			}
			if c.form == "address" {
				cookie, token := w.signIn(login)
				p += "?form=" + token
				form.Del("form")
				c.change = func(r *http.Request) {
					r.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
					r.Body = io.NopCloser(strings.NewReader(form.Encode()))
				}
			}
			rec := w.do(method, p, login, form, c.change)
			if rec.Code != http.StatusForbidden {
				t.Errorf("%s, %s: %d, want 403", rt.pattern, name, rec.Code)
			}
		}
	}
	if n := len(w.actions.noted()) + len(w.keys.calls) + len(w.secrets.values); n > 0 || posts < 20 {
		t.Errorf("%d things were done by %d routes", n, posts)
	}
}

func TestFormsOfOneSessionAreNoneOfAnother(t *testing.T) {
	w := matrixWorld(t)
	_, mels := w.signIn("mel")
	rec := w.do("POST", "/repositories/7/release", "ada", url.Values{"tag": {"v1"}, "form": {mels}})
	if rec.Code != http.StatusForbidden || len(w.actions.noted()) > 0 {
		t.Errorf("%d %q", rec.Code, w.actions.calls)
	}
}

func TestWhoManagesAnInstallationIsAdminOfAllOfIt(t *testing.T) {
	w := newWorld(t, "")
	w.hub.sees["rita"] = []Access{{7, 42, "acme", "hello", true, true}}
	if rec := w.do("GET", "/installations/42/keys", "rita", nil); rec.Code != http.StatusForbidden {
		t.Errorf("admin of one of two: %d", rec.Code)
	}
	w.get("/installations/42/keys", "ada")
	w.must(w.store.SaveRepository(t.Context(), &store.Repository{ID: 10, Installation: 42, Owner: "acme", Name: "new"}))
	if rec := w.do("GET", "/installations/42/keys", "ada", nil); rec.Code != http.StatusForbidden {
		t.Errorf("one more repository, and somebody is admin of the others only: %d", rec.Code)
	}
	w.get("/installations/43/keys", "fox")
	for _, id := range []int64{7, 8, 10} {
		w.must(w.store.SaveRepository(t.Context(), &store.Repository{ID: id, Installation: 42, Owner: "acme", Name: "gone" + itoa(id), Removed: true}))
	}
	if rec := w.do("GET", "/installations/42/keys", "ada", nil); rec.Code != http.StatusNotFound {
		t.Errorf("no repositories are left: %d", rec.Code)
	}
}
