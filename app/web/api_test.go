package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

func decode[T any](t *testing.T, body []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return v
}

func TestProgramBeginsWaitsAndReadsTheLog(t *testing.T) {
	w := newWorld(t, "")
	ctx := t.Context()
	token := w.token("repository:7", time.Time{}, "read", "release", "control")
	rec := w.api("POST", "/api/v1/repositories/acme/hello/releases", token, `{"tag": "v2", "targets": ["deb", "rpm"]}`)
	if rec.Code != http.StatusAccepted {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	made := decode[apiRelease](t, rec.Body.Bytes())
	if made.ID != releaseID(7, "v2", commitID) || made.Repository != "acme/hello" || made.State != "waiting" || made.Finished {
		t.Errorf("made %+v", made)
	}
	status := strings.TrimPrefix(rec.Header().Get("Location"), w.url)
	if got := decode[apiStatusAnswer](t, w.api("GET", status, token, "").Body.Bytes()); got.AllFinished || got.AnyFailed || len(got.Failures) != 0 {
		t.Errorf("status %+v", got)
	}

	// It is held back until the release ends.
	answer := make(chan apiStatusAnswer, 1)
	go func() { answer <- decode[apiStatusAnswer](t, w.api("GET", status+"&wait=60", token, "").Body.Bytes()) }()
	w.until(func() bool { return w.site.streams.has("token " + hashed(token)) })
	w.must(w.store.SetLeg(ctx, &store.Leg{Release: made.ID, Name: "deb amd64", Kind: "package", State: store.Failed, Short: "no such file", Detail: "open bin/hello"}))
	w.say(made.ID, "one", "two")
	_, err := w.store.UpdateRelease(ctx, made.ID, func(r *store.Release) error {
		r.State, r.Short, r.Ended = store.Failed, "deb failed", w.clock()
		return nil
	})
	w.must(err)
	select {
	case got := <-answer:
		if !got.AllFinished || !got.AnyFailed || !slices.Equal(got.Failures, []string{"acme/hello v2: deb failed"}) || got.Releases[0].Legs[0].Reason != "no such file" {
			t.Errorf("status %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no answer after the release has ended")
	}

	log := "/api/v1/log?id=" + url.QueryEscape(made.ID)
	got := decode[apiLogAnswer](t, w.api("GET", log+"&after=1", token, "").Body.Bytes())
	if len(got.Lines) != 1 || got.Lines[0].Text != "two" || got.Next != 2 || !got.Finished {
		t.Errorf("log %+v", got)
	}
	if got := w.api("GET", log+"&format=text", token, "").Body.String(); got != "2026-02-11T09:30:00.000Z [deb] one\n2026-02-11T09:30:00.000Z [deb] two\n" {
		t.Errorf("log %q", got)
	}
	if rec := w.api("POST", "/api/v1/restart?id="+url.QueryEscape(made.ID), token, ""); rec.Code != http.StatusAccepted {
		t.Errorf("restart: %d %s", rec.Code, rec.Body)
	}
	by := "token t" + token + " of ada"
	if want := []string{"release " + by + " 7 v2 deb,rpm", "restart " + by + " " + made.ID}; !slices.Equal(w.actions.noted(), want) {
		t.Errorf("done %q, want %q", w.actions.noted(), want)
	}
}

func TestSeveralReleasesAreOneAnswer(t *testing.T) {
	w := newWorld(t, "")
	token := w.token("installation:42", time.Time{}, "read")
	done := w.release("v1", store.Done, nil)
	moved := w.release("v2", store.ActionRequired, func(r *store.Release) { r.Short = "the tag moved" })
	running := w.release("v3", store.Running, nil)
	for _, c := range []struct {
		of               []*store.Release
		finished, failed bool
	}{
		{[]*store.Release{done}, true, false}, {[]*store.Release{done, running}, false, false},
		{[]*store.Release{done, moved}, true, true}, {[]*store.Release{done, moved, running}, false, true},
	} {
		q := url.Values{}
		for _, r := range c.of {
			q.Add("id", r.ID)
		}
		got := decode[apiStatusAnswer](t, w.api("GET", "/api/v1/status?"+q.Encode(), token, "").Body.Bytes())
		if got.AllFinished != c.finished || got.AnyFailed != c.failed || len(got.Releases) != len(c.of) {
			t.Errorf("%d releases: %+v", len(c.of), got)
		}
	}
	list := decode[apiReleaseList](t, w.api("GET", "/api/v1/repositories/acme/hello/releases?state=done&state=running&limit=1", token, "").Body.Bytes())
	if len(list.Releases) != 1 || list.Next == "" {
		t.Fatalf("list %+v", list)
	}
	w.pass(time.Minute)
	newest := w.release("v4", store.Done, nil)
	list = decode[apiReleaseList](t, w.api("GET", "/api/v1/repositories/acme/hello/releases?limit=1", token, "").Body.Bytes())
	if list.Releases[0].ID != newest.ID {
		t.Errorf("the newest is %s", list.Releases[0].ID)
	}
	next := decode[apiReleaseList](t, w.api("GET", strings.TrimPrefix(list.Next, w.url), token, "").Body.Bytes())
	if len(next.Releases) != 1 || next.Releases[0].ID == newest.ID {
		t.Errorf("the next page %+v", next)
	}
	repos := decode[apiRepositoryList](t, w.api("GET", "/api/v1/repositories", token, "").Body.Bytes())
	if len(repos.Repositories) != 2 || repos.Repositories[0].Name != "acme/hello" {
		t.Errorf("repositories %+v", repos)
	}
}

func TestProgramsAreToldWhatIsWrong(t *testing.T) {
	w := newWorld(t, "")
	r := w.release("v1", store.Done, nil)
	token := w.token("repository:7", time.Time{}, "read", "release", "control")
	id := url.QueryEscape(r.ID)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/status", "", 400, "id="},
		{"GET", "/api/v1/status?" + strings.Repeat("id="+id+"&", 101), "", 400, "100"},
		{"GET", "/api/v1/status?id=nothing", "", 404, ""},
		{"GET", "/api/v1/status?wait=61&id=" + id, "", 400, "wait"},
		{"GET", "/api/v1/log?id=" + id + "&id=" + id, "", 400, "one release"},
		{"GET", "/api/v1/log?after=-1&id=" + id, "", 400, "after"},
		{"GET", "/api/v1/log?format=xml&id=" + id, "", 400, "format"},
		{"GET", "/api/v1/repositories/acme/hello/releases?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/repositories/acme/hello/releases?state=odd", "", 400, "state"},
		{"GET", "/api/v1/repositories/acme/hello/releases?before=x", "", 400, "before"},
		{"GET", "/api/v1/repositories/acme/nothing/releases", "", 404, ""},
		{"GET", "/api/v1/nothing", "", 404, ""},
		{"POST", "/api/v1/repositories/acme/hello/releases", `{"tag": "v1", "target": []}`, 400, "targets"},
		{"POST", "/api/v1/repositories/acme/hello/releases", `{"tag": "v1"} x`, 400, "after"},
		{"POST", "/api/v1/repositories/acme/hello/releases", `{"tag": "a b"}`, 422, "tag"},
		{"POST", "/api/v1/repositories/acme/hello/releases", `{"tag": "` + strings.Repeat("a", form) + `"}`, 413, "256 KiB"},
	} {
		rec := w.api(c.method, c.path, token, c.body)
		got := decode[apiError](t, rec.Body.Bytes()).Error
		if rec.Code != c.status || got.Status != c.status || !strings.Contains(got.Message, c.says) || got.Request != rec.Header().Get("X-Request-Id") {
			t.Errorf("%s %.80s: %d %+v, want %d with %q", c.method, c.path, rec.Code, got, c.status, c.says)
		}
	}
	if got := w.actions.noted(); len(got) > 0 {
		t.Errorf("done: %q", got)
	}
}

// The page is all that programmers get, so it must name each route and each field.
func TestThePageDescribesTheWholeAPI(t *testing.T) {
	w := newWorld(t, "")
	page := w.get("/api", "")
	for _, rt := range routes {
		if rt.program() && !strings.Contains(page, rt.pattern) {
			t.Errorf("the page lacks %s", rt.pattern)
		}
	}
	for _, v := range []any{apiError{}, apiProblem{}, apiRepositoryList{}, apiRepository{}, apiReleaseList{}, apiRelease{}, apiLeg{}, apiStatusAnswer{}, apiLogAnswer{}, apiLogLine{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(page, "&#34;"+name+"&#34;") && !strings.Contains(page, `"`+name+`"`) && !strings.Contains(page, "<code>"+name+"</code>") {
				t.Errorf("the page lacks the field %s of %s", name, typ.Name())
			}
		}
	}
	for _, s := range states {
		if !strings.Contains(page, "<code>"+string(s)+"</code>") {
			t.Errorf("the page lacks the state %s", s)
		}
	}
}
