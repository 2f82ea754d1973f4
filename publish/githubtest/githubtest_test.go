package githubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// watched is a test that notes what is reported to it.
type watched struct {
	testing.TB
	errors []string
}

func (w *watched) Errorf(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
}

type client struct {
	t *testing.T
	s *Server
	w *watched
}

func start(t *testing.T, o Options) (*client, *Repository) {
	t.Helper()
	w := &watched{TB: t}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	}
	s := New(w, o)
	r := s.Repo("acme", "hello")
	r.Annotated("v1", r.Commit("v1"))
	return &client{t, s, w}, r
}

// do makes a request with Token and returns status and body.
func (c *client) do(method, url, body string, head ...string) (*http.Response, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+Token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
		if head[i+1] == "" {
			req.Header.Del(head[i])
		}
	}
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := hc.Do(req)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var v map[string]any
	json.Unmarshal(b, &v)
	return res, v
}

func (c *client) want(status int, method, path, body string, head ...string) map[string]any {
	c.t.Helper()
	base := c.s.URL
	if strings.Contains(path, "assets?") {
		base = c.s.UploadURL
	}
	res, v := c.do(method, base+strings.TrimPrefix(path, "/"), body, head...)
	if res == nil || res.StatusCode != status {
		c.t.Errorf("%s %s: got %v %v, want %d", method, path, res, v, status)
	}
	return v
}

func (c *client) silent() {
	c.t.Helper()
	for _, e := range c.w.errors {
		c.t.Errorf("reported: %s", e)
	}
}

const repoPath = "/repos/acme/hello"

func TestViolationsFailTheTest(t *testing.T) {
	tests := map[string]struct {
		method, path, body string
		word               string
	}{
		"a field misspelt":      {"POST", "/releases", `{"tag_name":"v1","make_lastest":"true"}`, "make_lastest"},
		"a field missing":       {"POST", "/releases", `{"draft":true}`, "tag_name"},
		"a field's type":        {"POST", "/releases", `{"tag_name":"v1","draft":"yes"}`, "draft"},
		"a value not listed":    {"PATCH", "/releases/1", `{"make_latest":"yes"}`, "make_latest"},
		"no JSON":               {"POST", "/releases", `{`, "body"},
		"a number that is none": {"GET", "/releases/one", "", "release_id"},
		"a parameter":           {"GET", "/releases?perpage=3", "", "perpage"},
		"an upload's name":      {"POST", "/releases/1/assets?label=x", "x", "name"},
		"an unknown operation":  {"PUT", "/releases/1", "{}", "no such operation"},
		"an operation to come":  {"GET", "/zipball/main", "", "does not do repos/download-zipball-archive yet"},
		"the wrong host":        {"POST", "/releases/1/assets", "x", "no such operation"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := start(t, Options{})
			base := c.s.URL
			if strings.Contains(tt.path, "assets?") {
				base = c.s.UploadURL
			}
			if res, _ := c.do(tt.method, base+repoPath[1:]+tt.path, tt.body); res == nil || res.StatusCode < 400 {
				t.Errorf("got %v", res)
			}
			if len(c.w.errors) != 1 || !strings.Contains(c.w.errors[0], tt.word) {
				t.Errorf("reported %q, want %q", c.w.errors, tt.word)
			}
		})
	}
	t.Run("the version", func(t *testing.T) {
		c, _ := start(t, Options{})
		c.want(400, "GET", repoPath+"/releases", "", "X-GitHub-Api-Version", "2000-01-01")
		if len(c.w.errors) != 1 {
			t.Errorf("reported %q", c.w.errors)
		}
	})
}

// The double's own answers are held to the description, too.
func TestWrongAnswersFailTheTest(t *testing.T) {
	real := handlers["repos/get-release-by-tag"]
	defer func() { handlers["repos/get-release-by-tag"] = real }()
	for name, tt := range map[string]struct {
		change func(a *answer, m map[string]any)
		word   string
	}{
		"a field missing":    {func(_ *answer, m map[string]any) { delete(m, "upload_url") }, "upload_url"},
		"a field's type":     {func(_ *answer, m map[string]any) { m["id"] = "1" }, "id"},
		"an unknown field":   {func(_ *answer, m map[string]any) { m["imutable"] = true }, "imutable"},
		"a state not listed": {func(_ *answer, m map[string]any) { m["assets"].([]any)[0].(map[string]any)["state"] = "new" }, "state"},
		"a time":             {func(_ *answer, m map[string]any) { m["created_at"] = "yesterday" }, "created_at"},
		"no URL":             {func(_ *answer, m map[string]any) { m["html_url"] = "v1" }, "html_url"},
		"a status":           {func(a *answer, _ map[string]any) { a.status = 206 }, "206"},
		"an error's message": {func(a *answer, _ map[string]any) { *a = refuse(404, ""); a.body.(map[string]any)["message"] = 5 }, "message"},
		"another error's": {func(a *answer, _ map[string]any) {
			*a = refuse(422, "")
			delete(a.body.(map[string]any), "documentation_url")
		}, "documentation_url"},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := start(t, Options{})
			r.Add(Release{Tag: "v1", Assets: []Asset{{Name: "a", Bytes: []byte("a")}}})
			handlers["repos/get-release-by-tag"] = func(c *call) answer {
				a := real(c)
				tt.change(&a, a.body.(map[string]any))
				return a
			}
			c.do("GET", c.s.URL+repoPath[1:]+"/releases/tags/v1", "")
			if len(c.w.errors) != 1 || !strings.Contains(c.w.errors[0], tt.word) {
				t.Errorf("reported %q, want %q", c.w.errors, tt.word)
			}
		})
	}
}

func TestEveryHandlerIsDescribed(t *testing.T) {
	d, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range d.routes {
		names = append(names, r.Operation.OperationID)
	}
	for name := range handlers {
		if !slices.Contains(names, name) {
			t.Errorf("handler %s answers nothing", name)
		}
	}
}

func TestDraftsHaveNoTag(t *testing.T) {
	c, r := start(t, Options{})
	v := c.want(201, "POST", repoPath+"/releases", `{"tag_name":"v1","draft":true,"name":"One"}`)
	c.want(201, "POST", repoPath+"/releases", `{"tag_name":"v1","draft":true}`)
	id := fmt.Sprintf("%.0f", v["id"])
	c.want(404, "GET", repoPath+"/releases/tags/v1", "")
	c.want(404, "GET", repoPath+"/releases/"+id, "", "Authorization", "")
	if all := c.want(200, "PATCH", repoPath+"/releases/"+id, `{"tag_name":"v1","draft":false}`); all["published_at"] == nil || all["immutable"] != false {
		t.Errorf("got %v", all)
	}
	c.want(200, "GET", repoPath+"/releases/tags/v1", "")
	c.want(200, "GET", repoPath+"/releases/latest", "")
	other := fmt.Sprint(r.Releases()[1].ID)
	if v := c.want(422, "PATCH", repoPath+"/releases/"+other, `{"draft":false}`); !strings.Contains(fmt.Sprint(v), "already_exists") {
		t.Errorf("got %v", v)
	}
	c.want(204, "DELETE", repoPath+"/releases/"+other, "")
	c.want(404, "DELETE", repoPath+"/releases/"+other, "")
	c.silent()
}

func TestImmutableReleasesStay(t *testing.T) {
	c, r := start(t, Options{})
	r.Immutable()
	c.want(200, "GET", repoPath+"/immutable-releases", "")
	id := r.Add(Release{Tag: "v1", Draft: true})
	releasePath := fmt.Sprintf("%s/releases/%d", repoPath, id)
	asset := fmt.Sprintf("%s/releases/assets/%.0f", repoPath, c.want(201, "POST", releasePath+"/assets?name=a", "a", "Content-Type", "text/plain")["id"])
	c.want(200, "PATCH", asset, `{"name":"b c","label":"L"}`)
	c.want(200, "PATCH", releasePath, `{"draft":false}`)
	c.want(422, "POST", releasePath+"/assets?name=x", "x", "Content-Type", "text/plain")
	c.want(422, "PATCH", asset, `{"name":"c"}`)
	c.want(422, "DELETE", asset, "")
	c.want(422, "PATCH", releasePath, `{"tag_name":"v2"}`)
	c.want(200, "PATCH", releasePath, `{"body":"notes may change"}`)
	if x := r.Releases()[0]; !x.Immutable || x.Assets[0].Name != "b.c" || x.Assets[0].Label != "L" || x.Body != "notes may change" {
		t.Errorf("got %+v", x)
	}
	c.want(204, "DELETE", releasePath, "")
	if v := c.want(422, "POST", repoPath+"/releases", `{"tag_name":"v1"}`); !strings.Contains(fmt.Sprint(v), "immutable") {
		t.Errorf("got %v", v)
	}
	c.silent()
}

func TestUploads(t *testing.T) {
	c, r := start(t, Options{})
	id := r.Add(Release{Tag: "v1", Draft: true})
	path := fmt.Sprintf("%s/releases/%d/assets?name=", repoPath, id)
	v := c.want(201, "POST", path+"a+b~c", "abc", "Content-Type", "text/plain")
	if v["name"] != "a.b.c" || v["state"] != "uploaded" || v["digest"] != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("got %v", v)
	}
	if v := c.want(422, "POST", path+"a.b.c", "x", "Content-Type", "text/plain"); !strings.Contains(fmt.Sprint(v), "already_exists") {
		t.Errorf("got %v", v)
	}
	c.want(400, "POST", path+"empty", "", "Content-Type", "text/plain")
	c.want(404, "POST", repoPath+"/releases/99/assets?name=a", "x", "Content-Type", "text/plain")

	c.s.On(func(*http.Request) Fault { return Fault{Stop: 2} })
	if res, _ := c.do("POST", c.s.UploadURL+path[1:]+"half", strings.Repeat("x", 1<<20), "Content-Type", "text/plain"); res != nil {
		t.Errorf("got %v", res)
	}
	c.s.On(nil)
	if a := r.Releases()[0].Asset("half"); a == nil || a.State != Starter {
		t.Errorf("got %+v", a)
	}
	c.want(422, "POST", path+"half", "x", "Content-Type", "text/plain")
	c.silent()
}

func TestDownloadsLeadToAnotherHost(t *testing.T) {
	c, r := start(t, Options{})
	id := r.Add(Release{Tag: "v1", Assets: []Asset{{Name: "a", Bytes: []byte("abc")}}})
	asset := r.Releases()[0].Assets[0].ID
	res, _ := c.do("GET", fmt.Sprintf("%s%s/releases/assets/%d", c.s.URL, repoPath[1:], asset), "", "Accept", "application/octet-stream")
	to := res.Header.Get("Location")
	if id == 0 || res.StatusCode != 302 || !strings.HasPrefix(to, c.s.FilesURL) {
		t.Fatalf("got %v", res)
	}
	c.silent()
	plain, err := http.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if b, _ := io.ReadAll(plain.Body); !bytes.Equal(b, []byte("abc")) {
		t.Errorf("got %q", b)
	}
	if c.do("GET", to, ""); len(c.w.errors) != 1 || !strings.Contains(c.w.errors[0], "token") {
		t.Errorf("reported %q", c.w.errors)
	}
}

func TestTokens(t *testing.T) {
	c, r := start(t, Options{Tokens: map[string]Grant{"writes": {Write: true}, "reads": {}, "elsewhere": {Write: true, Only: []string{"acme/other"}}}})
	r.Add(Release{Tag: "v1", Draft: true})
	c.s.Repo("acme", "secret").Private()
	make := `{"tag_name":"v2","draft":true}`
	c.want(401, "GET", repoPath, "", "Authorization", "Bearer wrong")
	c.want(401, "POST", repoPath+"/releases", make, "Authorization", "")
	c.want(403, "POST", repoPath+"/releases", make, "Authorization", "Bearer reads")
	c.want(201, "POST", repoPath+"/releases", make, "Authorization", "token writes")
	c.want(200, "GET", repoPath, "", "Authorization", "")
	c.want(200, "GET", "/repos/acme/secret", "", "Authorization", "Bearer reads")
	c.want(404, "GET", "/repos/acme/secret", "", "Authorization", "")
	c.want(404, "GET", "/repos/acme/secret", "", "Authorization", "Bearer elsewhere")
	c.want(404, "GET", "/repos/acme/nothing", "", "Authorization", "Bearer reads")
	for token, want := range map[string]int{"writes": 2, "reads": 0} {
		req, _ := http.NewRequest("GET", c.s.URL+repoPath[1:]+"/releases", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var list []any
		json.NewDecoder(res.Body).Decode(&list)
		res.Body.Close()
		if len(list) != want {
			t.Errorf("%s sees %d releases, want %d", token, len(list), want)
		}
	}
	c.silent()
}

func TestGit(t *testing.T) {
	c, r := start(t, Options{})
	ref := c.want(200, "GET", repoPath+"/git/ref/tags/v1", "")["object"].(map[string]any)
	tag := c.want(200, "GET", fmt.Sprint(repoPath, "/git/tags/", ref["sha"]), "")["object"].(map[string]any)
	if ref["type"] != "tag" || tag["type"] != "commit" || tag["sha"] != r.TagCommit("v1") {
		t.Errorf("got %v, %v", ref, tag)
	}
	c.want(200, "GET", fmt.Sprint(repoPath, "/git/commits/", tag["sha"]), "")
	r.Tag("a/b", r.TagCommit("v1"))
	if o := c.want(200, "GET", repoPath+"/git/ref/tags/a/b", "")["object"].(map[string]any); o["sha"] != r.TagCommit("v1") || o["type"] != "commit" {
		t.Errorf("got %v", o)
	}
	c.want(404, "GET", repoPath+"/git/ref/tags/v9", "")
	c.want(200, "POST", repoPath+"/releases/generate-notes", `{"tag_name":"v1"}`)
	c.silent()
}

func TestListsHavePages(t *testing.T) {
	c, r := start(t, Options{PageSize: 2})
	for i := range 5 {
		r.Add(Release{Tag: fmt.Sprint(i)})
	}
	for page, want := range map[string]string{"1": "next last", "2": "prev first next last", "3": "prev first"} {
		res, _ := c.do("GET", c.s.URL+repoPath[1:]+"/releases?per_page=100&page="+page, "")
		link := res.Header.Get("Link")
		for _, rel := range []string{"prev", "first", "next", "last"} {
			if strings.Contains(link, `rel="`+rel+`"`) != strings.Contains(want, rel) {
				t.Errorf("page %s: link %s, want %s", page, link, want)
			}
		}
	}
	c.silent()
}

func TestFaults(t *testing.T) {
	c, r := start(t, Options{})
	faults := []struct {
		f      Fault
		status int // 0: none
		made   int
	}{
		{Cut(false), 0, 0}, {Cut(true), 0, 1}, {Broken(502, false), 502, 1}, {Broken(502, true), 502, 2},
		{SecondaryLimit(5 * time.Second), 403, 2}, {TooMany(time.Second), 429, 2}, {PrimaryLimit(time.Unix(5, 0)), 403, 2},
	}
	for _, tt := range faults {
		c.s.On(func(*http.Request) Fault { return tt.f })
		res, _ := c.do("POST", c.s.URL+repoPath[1:]+"/releases", `{"tag_name":"v1","draft":true}`)
		got := 0
		if res != nil {
			got = res.StatusCode
		}
		if n := len(r.Releases()); got != tt.status || n != tt.made {
			t.Errorf("%+v: status %d, %d releases", tt.f, got, n)
		}
	}
	if n := c.s.Count("POST " + repoPath + "/releases"); n != len(faults) {
		t.Errorf("%d requests", n)
	}
	c.silent()
}
