package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

// world is a site with people on a GitHub of its own. The organization acme (installation
// 42) has the repositories 7 hello and 8 world; fox (43) has 9 den. ada is admin of 7 and
// 8, mel maintains 7, rita reads 7, root runs the server and sees nothing.
type world struct {
	t       *testing.T
	store   *store.Store
	site    *Site
	hub     *hub
	actions *actions
	keys    *keyring
	secrets *secrets
	setup   *setup
	log     *syncBuffer
	url     string

	mu  sync.Mutex
	now time.Time
}

const (
	commitID = "4f1d3a0c5b6e7f8091a2b3c4d5e6f708192a3b4c"
	helloID  = "rel:7:v1.2.3:" + commitID
	rootID   = 5
)

// newWorld makes one that is reachable at base; "" means an address that nobody calls.
func newWorld(t *testing.T, base string) *world {
	t.Helper()
	if base == "" {
		base = "https://packages.example.org"
	}
	w := &world{t: t, now: time.Date(2026, 2, 11, 9, 30, 0, 0, time.UTC), log: &syncBuffer{}, url: base}
	s, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.store = s
	w.hub = newHub(t)
	w.actions = &actions{store: s}
	w.keys = &keyring{}
	w.secrets = &secrets{values: make(map[string]string)}
	w.setup = &setup{hub: w.hub.url, app: &App{ID: 1, Name: "distropack-acme", URL: w.hub.url + "/apps/distropack-acme"}}
	w.site, err = New(Options{
		Store: s, Now: w.clock, URL: base, GitHubURL: w.hub.url, Version: "1.2.3", Admins: []int64{rootID},
		Log:    slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		GitHub: w.hub, Setup: w.setup, Actions: w.actions, Keys: w.keys, Secrets: w.secrets,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.site.Stop)
	ctx := t.Context()
	for _, in := range []*store.Installation{
		{ID: 42, Account: "acme", AccountID: 100, AccountType: "Organization"},
		{ID: 43, Account: "fox", AccountID: 4, AccountType: "User"},
	} {
		w.must(s.SaveInstallation(ctx, in))
	}
	for _, r := range []*store.Repository{
		{ID: 7, Installation: 42, Owner: "acme", Name: "hello", DefaultBranch: "main"},
		{ID: 8, Installation: 42, Owner: "acme", Name: "world", DefaultBranch: "main", Private: true},
		{ID: 9, Installation: 43, Owner: "fox", Name: "den", DefaultBranch: "main"},
	} {
		w.must(s.SaveRepository(ctx, r))
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// release keeps a release of repository 7.
func (w *world) release(tag string, state store.State, change func(*store.Release)) *store.Release {
	w.t.Helper()
	r := &store.Release{
		ID: releaseID(7, tag, commitID), Installation: 42, Repository: 7, Tag: tag, Commit: commitID, Version: strings.TrimPrefix(tag, "v"), Trigger: "tag pushed by ada",
		State: state, Attempt: 1, Created: w.clock(), Started: w.clock(),
	}
	if !open(state) {
		r.Ended = w.clock().Add(72 * time.Second)
	}
	if change != nil {
		change(r)
	}
	_, err := w.store.CreateRelease(w.t.Context(), r)
	w.must(err)
	return r
}

// signIn returns the cookie of a person, and what their forms carry.
func (w *world) signIn(login string) (*http.Cookie, string) {
	w.t.Helper()
	id, err := w.site.begin(w.t.Context(), &User{people[login], login}, UserToken{Token: "ghu_secretof" + login})
	w.must(err)
	c := &http.Cookie{Name: w.site.cookieName("session"), Value: id}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(c)
	se, err := w.site.current(r)
	w.must(err)
	return c, se.form
}

// do sends a request as a person; "" is nobody. form makes it a POST with the token of
// the person's forms.
func (w *world) do(method, path, login string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	w.t.Helper()
	var cookie *http.Cookie
	token := ""
	if login != "" {
		cookie, token = w.signIn(login)
	}
	var r *http.Request
	if method == "POST" {
		if form == nil {
			form = url.Values{}
		}
		form = maps.Clone(form)
		if !form.Has("form") {
			form.Set("form", token)
		}
		r = httptest.NewRequest(method, w.url+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", w.url)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	} else {
		r = httptest.NewRequest(method, w.url+path, nil)
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.site.ServeHTTP(rec, r)
	return rec
}

// get returns a page that must be there.
func (w *world) get(path, login string) string {
	w.t.Helper()
	rec := w.do("GET", path, login, nil)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("GET %s as %q: %d\n%s", path, login, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// people are the ids of logins.
var people = map[string]int64{"ada": 1, "mel": 2, "rita": 3, "fox": 4, "root": rootID}

// hub is a GitHub for signing in. It is strict: a code is good once, for the address and
// the verifier that it was made for.
type hub struct {
	t   testing.TB
	url string

	mu      sync.Mutex
	current string // who presses the button
	codes   map[string]url.Values
	sees    map[string][]Access // by login
	public  map[int64]bool
	asked   map[string]int // methods
	down    bool
	revoked bool
}

func newHub(t testing.TB) *hub {
	h := &hub{t: t, codes: make(map[string]url.Values), public: make(map[int64]bool), asked: make(map[string]int), sees: map[string][]Access{
		"ada":  {{7, 42, "acme", "hello", true, true}, {8, 42, "acme", "world", true, true}},
		"mel":  {{7, 42, "acme", "hello", false, true}},
		"rita": {{7, 42, "acme", "hello", false, false}},
		"fox":  {{9, 43, "fox", "den", true, true}},
	}}
	srv := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

var authorizePage = template.Must(template.New("").Parse(`<!DOCTYPE html><title>GitHub</title><link rel="icon" href="data:,"><h1>Authorize DistroPack as {{.Login}}?</h1><form method="post"><button id="authorize">Authorize</button></form>`))

func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.URL.Path == "/login/oauth/authorize" && r.Method == "GET":
		authorizePage.Execute(w, map[string]string{"Login": h.current})
	case r.URL.Path == "/login/oauth/authorize":
		code := "code" + fmt.Sprint(len(h.codes)) + h.current
		q := r.URL.Query()
		q.Set("login", h.current)
		h.codes[code] = q
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
	case strings.HasSuffix(r.URL.Path, "/apps/new") && r.Method == "POST":
		q := url.Values{"code": {"manifestcode"}, "state": {r.URL.Query().Get("state")}}
		http.Redirect(w, r, r.PostFormValue("manifest")+"/setup/github?"+q.Encode(), http.StatusSeeOther)
	default:
		http.NotFound(w, r)
	}
}

func (h *hub) AuthorizeURL(redirect, state, verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return h.url + "/login/oauth/authorize?" + url.Values{"redirect_uri": {redirect}, "state": {state}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}.Encode()
}

func (h *hub) Exchange(ctx context.Context, code, redirect, verifier string) (UserToken, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q, ok := h.codes[code]
	delete(h.codes, code)
	sum := sha256.Sum256([]byte(verifier))
	if !ok || q.Get("redirect_uri") != redirect || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || len(verifier) < 43 {
		return UserToken{}, errors.New("bad_verification_code")
	}
	return UserToken{Token: "ghu_secretof" + q.Get("login")}, nil
}

// login is whose token it is.
func (h *hub) login(method, token string) (string, error) {
	h.asked[method]++
	if h.down {
		return "", errors.New("502 from api.github.test")
	}
	login, ok := strings.CutPrefix(token, "ghu_secretof")
	if !ok || h.revoked {
		return "", ErrUnauthorized
	}
	return login, nil
}

func (h *hub) User(ctx context.Context, token string) (*User, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	login, err := h.login("User", token)
	if err != nil {
		return nil, err
	}
	return &User{people[login], login}, nil
}

func (h *hub) Repositories(ctx context.Context, token string) ([]Access, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	login, err := h.login("Repositories", token)
	if err != nil {
		return nil, err
	}
	return slices.Clone(h.sees[login]), nil
}

func (h *hub) Repository(ctx context.Context, token string, id int64) (*Access, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.login("Repository", token); err != nil {
		return nil, err
	}
	if !h.public[id] {
		return nil, ErrNotVisible
	}
	return &Access{ID: id, Owner: "acme", Name: "hello"}, nil
}

// setup makes an App whose manifest is the site's address.
type setup struct {
	hub, url string
	mu       sync.Mutex
	app      *App
	codes    []string
	err      error
}

func (s *setup) App(ctx context.Context) (*App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app, nil
}

func (s *setup) Manifest(organization, state string) (string, []byte, error) {
	path := "/settings/apps/new"
	if organization != "" {
		path = "/organizations/" + organization + path
	}
	return s.hub + path + "?state=" + state, []byte(s.url), nil
}

func (s *setup) Create(ctx context.Context, code string) (*App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes = append(s.codes, code)
	if s.err != nil {
		return nil, s.err
	}
	s.app = &App{ID: 1, Name: "distropack-new", URL: s.hub + "/apps/distropack-new"}
	return s.app, nil
}

// actions notes what was asked for.
type actions struct {
	store *store.Store
	mu    sync.Mutex
	calls []string
	err   error
}

func (a *actions) note(parts ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.calls = append(a.calls, strings.Join(parts, " "))
	return nil
}

func (a *actions) noted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

func (a *actions) Release(ctx context.Context, by string, repository int64, tag string, targets []string) (string, error) {
	if err := a.note("release", by, fmt.Sprint(repository), tag, strings.Join(targets, ",")); err != nil {
		return "", err
	}
	id := releaseID(repository, tag, commitID)
	_, err := a.store.CreateRelease(ctx, &store.Release{ID: id, Installation: 42, Repository: repository, Tag: tag, Commit: commitID})
	return id, err
}
func (a *actions) Cancel(ctx context.Context, by, release string) error {
	return a.note("cancel", by, release)
}
func (a *actions) Restart(ctx context.Context, by, release string) error {
	return a.note("restart", by, release)
}
func (a *actions) Republish(ctx context.Context, by, release string) error {
	return a.note("republish", by, release)
}
func (a *actions) Rollback(ctx context.Context, by, release string) error {
	return a.note("rollback", by, release)
}
func (a *actions) Redeliver(ctx context.Context, by, guid string) error {
	return a.note("redeliver", by, guid)
}

type keyring struct {
	mu    sync.Mutex
	list  []Key
	calls []string
	err   error
}

func (k *keyring) note(format string, args ...any) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.calls = append(k.calls, fmt.Sprintf(format, args...))
	return nil
}

func (k *keyring) List(ctx context.Context, scope string) ([]Key, error) { return k.list, k.err }
func (k *keyring) New(ctx context.Context, scope string, n NewKey) error {
	return k.note("new %s %s %s %s %s", scope, n.Name, n.Owner, n.Email, n.Lasts)
}
func (k *keyring) Import(ctx context.Context, scope, name string, private []byte, passphrase string) error {
	return k.note("import %s %s %q %s", scope, name, private, passphrase)
}
func (k *keyring) Export(ctx context.Context, scope, name, passphrase string) (*Backup, error) {
	if err := k.note("export %s %s %s", scope, name, passphrase); err != nil {
		return nil, err
	}
	return &Backup{File: "acme \"main\"\r\n.age", Data: []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")}, nil
}
func (k *keyring) Replace(ctx context.Context, scope, name string) error {
	return k.note("replace %s %s", scope, name)
}

type secrets struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *secrets) List(ctx context.Context, scope string) ([]Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Secret
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if name, ok := strings.CutPrefix(key, scope+" "); ok {
			out = append(out, Secret{name, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)})
		}
	}
	return out, nil
}

func (s *secrets) Set(ctx context.Context, scope, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[scope+" "+name] = string(value)
	return nil
}

func (s *secrets) Delete(ctx context.Context, scope, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, scope+" "+name)
	return nil
}

// syncBuffer is a log that several write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
