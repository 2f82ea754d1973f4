package githubtest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// proof makes what an App sends to prove who it is.
func proof(t *testing.T, key *rsa.PrivateKey, head, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

const rs256 = `{"alg":"RS256","typ":"JWT"}`

func (c *client) proof(a *App) string {
	now := c.s.now().Unix()
	return proof(c.t, a.Key, rs256, fmt.Sprintf(`{"iss":"%d","iat":%d,"exp":%d}`, a.ID, now-60, now+300))
}

// token asks for an installation's token with a body.
func (c *client) token(i *Installation, body string) string {
	c.t.Helper()
	v := c.want(201, "POST", fmt.Sprintf("/app/installations/%d/access_tokens", i.ID), body, "Authorization", c.proof(i.App))
	text, _ := v["token"].(string)
	return "Bearer " + text
}

func TestProofsAreVerified(t *testing.T) {
	c, _ := start(t, Options{})
	a := c.s.NewApp("Packer")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := c.s.now().Unix()
	claims := func(iss any, iat, exp int64) string {
		return fmt.Sprintf(`{"iss":%v,"iat":%d,"exp":%d}`, iss, now+iat, now+exp)
	}
	good := claims(a.ID, -60, 600)
	for name, tt := range map[string]struct {
		auth string
		want int
		word string
	}{
		"good":              {proof(t, a.Key, rs256, good), 200, ""},
		"by the client id":  {proof(t, a.Key, rs256, claims(`"`+a.ClientID+`"`, 0, 60)), 200, ""},
		"another key":       {proof(t, other, rs256, good), 401, "could not be decoded"},
		"another algorithm": {proof(t, a.Key, `{"alg":"none"}`, good), 401, "could not be decoded"},
		"another App":       {proof(t, a.Key, rs256, claims(7, -60, 600)), 401, "Integration not found"},
		"too long":          {proof(t, a.Key, rs256, claims(a.ID, -60, 601)), 401, "too far"},
		"too old":           {proof(t, a.Key, rs256, claims(a.ID, -60, 0)), 401, "exp"},
		"to come":           {proof(t, a.Key, rs256, claims(a.ID, 1, 60)), 401, "iat"},
		"changed":           {strings.Replace(proof(t, a.Key, rs256, good), ".ey", ".e2", 1), 401, "decoded"},
		"a token":           {"Bearer " + Token, 401, "decoded"},
		"nothing":           {"", 401, "decoded"},
	} {
		if v := c.want(tt.want, "GET", "/app", "", "Authorization", tt.auth); !strings.Contains(fmt.Sprint(v["message"]), tt.word) {
			t.Errorf("%s: got %v", name, v)
		}
	}
	c.want(403, "GET", repoPath, "", "Authorization", c.proof(a))
	c.silent()
}

func TestTokensHaveRepositoriesAndPermissions(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c, r := start(t, Options{Now: func() time.Time { return now }})
	secret := c.s.Repo("acme", "secret").Private()
	foreign := c.s.Repo("zoo", "ape").Private()
	i := c.s.NewApp("Packer").Install("acme", r, secret)
	mint := fmt.Sprintf("/app/installations/%d/access_tokens", i.ID)
	all := c.token(i, "")
	one := c.token(i, fmt.Sprintf(`{"repository_ids":[%d],"permissions":{"contents":"read"}}`, r.ID()))
	if !strings.Contains(all, ".") || len(all) == len(one) {
		t.Errorf("tokens %s and %s are not like GitHub's", all, one)
	}
	draft := `{"tag_name":"v1","draft":true}`
	for _, tt := range []struct {
		auth, method, path, body string
		want                     int
	}{
		{all, "GET", "/repos/acme/secret", "", 200},
		{one, "GET", "/repos/acme/secret", "", 404},
		{all, "GET", "/repos/zoo/ape", "", 404},
		{all, "POST", repoPath + "/releases", draft, 201},
		{one, "POST", repoPath + "/releases", draft, 403},
		{one, "GET", repoPath + "/releases", "", 200},
		{one, "GET", repoPath + "/commits/main/check-runs", "", 403},
		{all, "GET", repoPath + "/commits/main/check-runs", "", 200},
		{all, "GET", repoPath + "/issues", "", 403},
		{all, "GET", repoPath + "/immutable-releases", "", 403},
		{"Bearer " + Token, "POST", repoPath + "/check-runs", `{"name":"x","head_sha":"` + r.Commit("first") + `"}`, 403},
		{all, "GET", "/installation/repositories", "", 200},
		{"Bearer " + Token, "GET", "/installation/repositories", "", 403},
		{all, "GET", "/user", "", 403},
		{all, "GET", "/app", "", 401},
		{all, "POST", mint, "", 401},
		{c.proof(i.App), "POST", mint, fmt.Sprintf(`{"repository_ids":[%d]}`, foreign.ID()), 422},
		{c.proof(i.App), "POST", mint, `{"permissions":{"administration":"write"}}`, 422},
		{c.proof(i.App), "POST", mint, `{"permissions":{"metadata":"write"}}`, 422},
		{c.proof(i.App), "POST", "/app/installations/1/access_tokens", "", 404},
	} {
		c.want(tt.want, tt.method, tt.path, tt.body, "Authorization", tt.auth)
	}
	i.Suspend()
	c.want(403, "GET", repoPath, "", "Authorization", all)
	c.want(403, "POST", mint, "", "Authorization", c.proof(i.App))
	i.Unsuspend()
	c.want(200, "GET", repoPath, "", "Authorization", all)
	now = now.Add(time.Hour)
	c.want(401, "GET", repoPath, "", "Authorization", all)
	all = c.token(i, "")
	i.Drop(secret)
	c.want(404, "GET", "/repos/acme/secret", "", "Authorization", all)
	i.Uninstall()
	c.want(401, "GET", repoPath, "", "Authorization", all)
	c.silent()
}

func TestEveryOperationOnARepositoryHasAPermission(t *testing.T) {
	d, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range d.routes {
		id := r.Operation.OperationID
		if _, done := handlers[id]; done && strings.HasPrefix(r.Path, "/repos/") && id != "apps/get-repo-installation" && needs[id] == "" {
			t.Errorf("%s needs nothing", id)
		}
	}
}

func TestTooBigChecksAreRefused(t *testing.T) {
	c, r := start(t, Options{})
	auth := c.token(c.s.NewApp("Packer").Install("acme"), "")
	sha := r.Commit("first")
	note := `{"path":"a","start_line":1,"end_line":1,"annotation_level":"notice","message":"m"}`
	action := `{"label":"l","description":"d","identifier":"i"}`
	for name, tt := range map[string]struct {
		body string
		word string // of what is reported; "": the client could not know
	}{
		"51 annotations":  {`"output":{"title":"t","summary":"s","annotations":[` + note + strings.Repeat(","+note, 50) + `]}`, "annotations"},
		"4 actions":       {`"actions":[` + action + strings.Repeat(","+action, 3) + `]`, "actions"},
		"a long label":    {`"actions":[{"label":"` + strings.Repeat("l", 21) + `","description":"d","identifier":"i"}]`, "label"},
		"a long summary":  {`"output":{"title":"t","summary":"` + strings.Repeat("s", 65536) + `"}`, "summary"},
		"no title":        {`"output":{"title":"","summary":"s"}`, ""},
		"lines backwards": {`"output":{"title":"t","summary":"s","annotations":[{"path":"a","start_line":2,"end_line":1,"annotation_level":"notice","message":"m"}]}`, ""},
		"no conclusion":   {`"status":"completed"`, ""},
	} {
		c.w.errors = nil
		c.want(422, "POST", repoPath+"/check-runs", `{"name":"n","head_sha":"`+sha+`",`+tt.body+`}`, "Authorization", auth)
		if reported := strings.Join(c.w.errors, " "); (tt.word != "") != (len(c.w.errors) == 1) || !strings.Contains(reported, tt.word) {
			t.Errorf("%s: reported %.300s", name, reported)
		}
	}
	if n := len(r.Checks()); n != 0 {
		t.Errorf("%d checks", n)
	}
}

// listener notes the webhooks it gets.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	events []string
	bodies []map[string]any
	status int
}

func listen(t *testing.T, secret string) *listener {
	l := &listener{status: 200}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h := hmac.New(sha256.New, []byte(secret))
		h.Write(b)
		if want := "sha256=" + hex.EncodeToString(h.Sum(nil)); r.Header.Get("X-Hub-Signature-256") != want || r.Header.Get("X-GitHub-Delivery") == "" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers are %v", r.Header)
		}
		var v map[string]any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		name := r.Header.Get("X-GitHub-Event")
		if a, ok := v["action"]; ok {
			name += fmt.Sprint(" ", a)
		}
		l.events = append(l.events, name)
		l.bodies = append(l.bodies, v)
		w.WriteHeader(l.status)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.events = nil }()
	return l.events
}

// Each payload is held to GitHub's description when it is made.
func TestWebhooks(t *testing.T) {
	c, r := start(t, Options{})
	a := c.s.NewApp("Packer")
	hook := listen(t, a.WebhookSecret)
	a.Hook(hook.URL)
	a.Ping()
	i := a.Install("acme", r)
	c.s.NewApp("Deaf").Install("acme")
	auth := c.token(i, "")
	sha := r.Commit("second")
	var number int
	var id int64
	check := func() int64 {
		v := c.want(201, "POST", repoPath+"/check-runs", `{"name":"n","head_sha":"`+sha+`"}`, "Authorization", auth)
		return int64(v["id"].(float64))
	}()
	steps := []struct {
		do   func()
		want string
	}{
		{func() {}, "ping, installation created"},
		{func() { r.PushTag("v2", sha) }, "create, push"},
		{func() { r.PushTag("v2", r.Commit("third")) }, "push"},
		{func() { r.PushAnnotated("v3", sha) }, "create, push"},
		{func() { r.PushTags(sha, "a", "b", "c") }, "create, push, create, push, create, push"},
		{func() { r.PushTags(sha, "d", "e", "f", "g") }, ""},
		{func() { r.DeleteTag("a") }, "push, delete"},
		{func() { r.PushBranch("main", sha) }, "push"},
		{func() { id = r.Publish(Release{Tag: "v2", Assets: []Asset{{Name: "a", Bytes: []byte("a")}}}) }, "release published"},
		{func() { r.Edit(id, "text") }, "release edited"},
		{func() { r.Unpublish(id) }, "release deleted"},
		{func() {
			id := fmt.Sprintf("%.0f", c.want(201, "POST", repoPath+"/releases", `{"tag_name":"v3","draft":true}`, "Authorization", auth)["id"])
			c.want(200, "PATCH", repoPath+"/releases/"+id, `{"draft":false}`, "Authorization", auth)
			c.s.Settle(t.Context())
		}, "release published"},
		{func() { r.Rerun(check) }, "check_run rerequested"},
		{func() { r.Press(check, "rerun") }, "check_run requested_action"},
		{func() { r.RerunAll(sha) }, "check_suite rerequested"},
		{func() { number = r.OpenPull(Pull{Title: "T", Head: sha, Files: map[string]string{"a": "added"}}) }, "pull_request opened"},
		{func() { r.PushPull(number, r.Commit("fourth"), map[string]string{"b": "modified"}) }, "pull_request synchronize"},
		{func() { r.ClosePull(number) }, "pull_request closed"},
		{func() { r.Rename("bye") }, "repository renamed"},
		{func() { i.Suspend(); r.PushTag("v4", sha) }, "installation suspend"},
		{func() { i.Unsuspend() }, "installation unsuspend"},
		{func() { x := c.s.Repo("acme", "x"); i.Add(x); i.Drop(x) }, "installation_repositories added, installation_repositories removed"},
		{func() { a.Install("zoo"); r.Transfer("zoo") }, "installation created, repository transferred"},
		{func() { i.Uninstall() }, "installation deleted"},
		{func() { r.Delete() }, "repository deleted"},
		{func() { r.PushTag("v5", sha) }, ""},
	}
	for n, s := range steps {
		s.do()
		if got := strings.Join(hook.take(), ", "); got != s.want {
			t.Errorf("step %d: got %q, want %q", n, got, s.want)
		}
	}
	first := hook.bodies[3] // push of v2
	if first["ref"] != "refs/tags/v2" || first["after"] != sha || first["created"] != true || first["installation"].(map[string]any)["id"] != float64(i.ID) || first["repository"].(map[string]any)["id"] != float64(r.ID()) {
		t.Errorf("got %v", first)
	}
	c.silent()
}

func TestWebhooksCanBeHeldAndLost(t *testing.T) {
	c, r := start(t, Options{})
	a := c.s.NewApp("Packer")
	hook := listen(t, a.WebhookSecret)
	a.Hook(hook.URL)
	a.Install("acme", r)
	hook.take()
	a.Hold(true)
	r.PushTag("v2", r.TagCommit("v1"))
	a.Hold(false)
	held := a.Held()
	if len(held) != 2 || len(hook.take()) != 0 || len(a.Held()) != 0 {
		t.Fatalf("held %+v", held)
	}
	for _, d := range []Delivery{held[1], held[0], held[1]} {
		if code := a.Send(d); code != 200 {
			t.Errorf("status %d", code)
		}
	}
	if got := hook.take(); !slices.Equal(got, []string{"push", "create", "push"}) {
		t.Errorf("got %q", got)
	}
	hook.mu.Lock()
	hook.status = 503
	hook.mu.Unlock()
	a.Send(held[0])
	hook.Close()
	a.Send(held[0])
	a.Lose(func(Delivery) Loss { return Fails })
	a.Send(held[0])
	a.Lose(func(Delivery) Loss { return Vanishes })
	a.Send(held[0])
	var got []string
	for _, d := range a.Deliveries()[4:] {
		got = append(got, fmt.Sprint(d.StatusCode, " ", d.Status))
	}
	if want := []string{"503 Invalid HTTP Response: 503", "502 failed to connect to host", "502 failed to connect to host"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	c.silent()
}

func TestManifestsAreChecked(t *testing.T) {
	good := `"url":"https://a.example.org","redirect_url":"https://a.example.org/r","hook_attributes":{"url":"https://a.example.org/h"}`
	for body, word := range map[string]string{
		`{"name":"A","webhook":1,` + good + `}`:                                            "webhook",
		`{` + good + `}`:                                                                   "name",
		`{"name":"A","url":"https://a.example.org"}`:                                       "redirect_url",
		`{"name":"A",` + good + `,"default_events":["push"]}`:                              "push",
		`{"name":"A",` + good + `,"default_permissions":{"contents":"admin"}}`:             "admin",
		`{"name":"A",` + good + `,"default_events":["pull"],"default_permissions":{}}`:     "pull",
		`{"name":"` + strings.Repeat("A", 35) + `",` + good + `,"default_permissions":{}}`: "34",
	} {
		c, _ := start(t, Options{})
		res, err := http.PostForm(c.s.web+"/settings/apps/new", map[string][]string{"manifest": {body}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 422 || len(c.w.errors) != 1 || !strings.Contains(c.w.errors[0], word) {
			t.Errorf("%s: status %d, reported %q", body, res.StatusCode, c.w.errors)
		}
	}
}
