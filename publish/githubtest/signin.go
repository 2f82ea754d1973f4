package githubtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Person is somebody with an account.
type Person struct {
	Login string
	s     *Server
	roles map[int64]string // by repository
}

// Person returns who has a login.
func (s *Server) Person(login string) *Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.person(login)
}

func (s *Server) person(login string) *Person {
	for _, p := range s.people {
		if p.Login == login {
			return p
		}
	}
	p := &Person{Login: login, s: s, roles: make(map[int64]string)}
	s.account(login)
	s.people = append(s.people, p)
	return p
}

// ID is the account's id.
func (p *Person) ID() int64 {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.account(p.Login).id
}

// May gives the person a role in a repository: "pull", "push", "maintain" or
// "admin"; "" takes it away.
func (p *Person) May(role string, r *Repository) *Person {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.roles[r.id] = role
	if role == "" {
		delete(p.roles, r.id)
	}
	return p
}

// SignIn is who sits before the browser: pages that ask for consent get it from
// them at once. Until then they ask who it is.
func (s *Server) SignIn(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.person(login)
	s.browser = login
}

// SignOut makes all tokens of a person unknown.
func (s *Server) SignOut(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, t := range s.sessions {
		if t.person.Login == login {
			delete(s.sessions, text)
		}
	}
}

// userToken is a person's, for an App.
type userToken struct {
	person  *Person
	app     *App
	expires time.Time
}

// consent is what a code stands for.
type consent struct {
	person    *Person
	app       *App
	redirect  string
	challenge string
	made      time.Time
	refresh   bool
}

// How long GitHub's codes and tokens of people are good.
const (
	codeLife    = 10 * time.Minute
	signInLife  = 8 * time.Hour
	refreshLife = 184 * 24 * time.Hour
)

func (s *Server) client(id string) *App {
	i := slices.IndexFunc(s.apps, func(a *App) bool { return a.ClientID == id })
	if i < 0 {
		return nil
	}
	return s.apps[i]
}

// authorizePage sends who sits before the browser back with a code.
func (s *Server) authorizePage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains([]string{"client_id", "redirect_uri", "state", "login", "allow_signup", "prompt", "code_challenge", "code_challenge_method", "login_as"}, name) {
			s.t.Errorf("sign-in page: query parameter %q is not known", name)
		}
	}
	app := s.client(q.Get("client_id"))
	if app == nil {
		http.NotFound(w, r)
		return
	}
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || to.Host == "" {
		s.t.Errorf("sign-in page: redirect_uri %q is no address", q.Get("redirect_uri"))
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	back := to.Query()
	back.Set("state", q.Get("state"))
	if len(app.callbacks) > 0 && !slices.Contains(app.callbacks, q.Get("redirect_uri")) {
		http.Error(w, "The redirect_uri MUST match the registered callback URL for this application.", http.StatusBadRequest)
		return
	}
	login := q.Get("login_as")
	if login == "" {
		login = s.browser
	}
	if login == "" {
		fmt.Fprint(w, "<!DOCTYPE html><html lang=en><title>Sign in</title><h1>Sign in to "+html.EscapeString(app.Name)+"</h1>")
		for _, p := range s.people {
			q.Set("login_as", p.Login)
			fmt.Fprintf(w, `<p><a href="?%s">%s</a>`, html.EscapeString(q.Encode()), html.EscapeString(p.Login))
		}
		return
	}
	if m := q.Get("code_challenge_method"); q.Get("code_challenge") != "" && m != "S256" {
		s.t.Errorf("sign-in page: code_challenge_method %q is not S256", m)
	}
	code := s.code("sign-in")[:20]
	s.codes[code] = &consent{person: s.person(login), app: app, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), made: s.now()}
	back.Set("code", code)
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// exchange trades codes and refresh tokens for tokens. Errors come with status 200.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	in, err := fields(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	out := s.exchanged(in)
	s.mu.Unlock()
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		json.NewEncoder(w).Encode(out)
		return
	}
	v := url.Values{}
	for name, x := range out {
		v.Set(name, fmt.Sprint(x))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	io.WriteString(w, v.Encode())
}

func fields(r *http.Request) (map[string]string, error) {
	in := make(map[string]string)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		return in, json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&in)
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for name := range r.Form {
		in[name] = r.Form.Get(name)
	}
	return in, nil
}

func (s *Server) exchanged(in map[string]string) map[string]any {
	for name := range in {
		if !slices.Contains([]string{"client_id", "client_secret", "code", "redirect_uri", "code_verifier", "grant_type", "refresh_token"}, name) {
			s.t.Errorf("sign-in: field %q is not known", name)
		}
	}
	no := func(code, text string) map[string]any {
		return map[string]any{"error": code, "error_description": text, "error_uri": "https://docs.github.com/apps"}
	}
	app := s.client(in["client_id"])
	if app == nil || app.ClientSecret != in["client_secret"] {
		return no("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	}
	key, life, bad := in["code"], codeLife, "bad_verification_code"
	if in["grant_type"] == "refresh_token" {
		key, life, bad = in["refresh_token"], refreshLife, "bad_refresh_token"
	}
	k := s.codes[key]
	if k == nil || k.app != app || k.refresh != (in["grant_type"] == "refresh_token") || !s.now().Before(k.made.Add(life)) {
		return no(bad, "The code passed is incorrect or expired.")
	}
	if in["redirect_uri"] != "" && in["redirect_uri"] != k.redirect {
		return no("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	}
	if k.challenge != "" {
		sum := sha256.Sum256([]byte(in["code_verifier"]))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != k.challenge {
			return no(bad, "The code verifier is wrong.")
		}
	}
	delete(s.codes, key)
	text, refresh := s.mint("ghu_"), s.mint("ghr_")
	s.sessions[text] = &userToken{k.person, app, s.now().Add(signInLife)}
	s.codes[refresh] = &consent{person: k.person, app: app, made: s.now(), refresh: true}
	return map[string]any{"access_token": text, "expires_in": int(signInLife.Seconds()), "refresh_token": refresh, "refresh_token_expires_in": int(refreshLife.Seconds()), "scope": "", "token_type": "bearer"}
}

func getUser(c *call) answer {
	u := c.s.user(c.person.Login)
	u["user_view_type"] = "public"
	u["name"] = strings.ToUpper(c.person.Login[:1]) + c.person.Login[1:]
	return ok(c.s.fill("public-user", u))
}

// mine are the repositories of an installation that the person has a role in.
func (c *call) mine(i *Installation) []*Repository {
	return slices.DeleteFunc(i.covered(), func(r *Repository) bool { return c.person.roles[r.id] == "" })
}

func listUserInstallations(c *call) answer {
	all := slices.DeleteFunc(c.personApp.current(), func(i *Installation) bool { return len(c.mine(i)) == 0 })
	return pageOf(c, "installations", all, func(i *Installation) any { return i.json() })
}

func listUserRepositories(c *call) answer {
	i := c.s.installation(c.params["installation_id"])
	if i == nil || i.App != c.personApp || len(c.mine(i)) == 0 {
		return notFound()
	}
	return pageOf(c, "repositories", c.mine(i), func(r *Repository) any {
		role, v := c.person.roles[r.id], r.about()
		level := slices.Index([]string{"pull", "push", "maintain", "admin"}, role)
		v["permissions"] = map[string]any{"pull": true, "push": level >= 1, "maintain": level >= 2, "admin": level >= 3, "triage": level >= 1}
		return c.s.fill("repository", v)
	})
}
