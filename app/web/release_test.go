package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

func TestReleasePageSaysHowItIs(t *testing.T) {
	w := newWorld(t, "")
	ctx := t.Context()
	r := w.release("v1.2.3", store.Failed, func(r *store.Release) {
		r.Short, r.Detail, r.Attempt = "the bucket refused the key", "PUT state: 403\nSignatureDoesNotMatch", 2
	})
	begun := w.clock()
	for _, l := range []*store.Leg{
		{Release: r.ID, Name: "deb amd64", Kind: "package", State: store.Done, N: 1, M: 1, Bytes: 4_200_000, Started: begun, Ended: begun.Add(1500 * time.Millisecond)},
		{Release: r.ID, Name: "rpm x86_64", Kind: "package", State: store.Running, N: 3, M: 7, Started: begun},
		{Release: r.ID, Name: "bucket", Kind: "site", State: store.Failed, Short: "403", Detail: "AccessDenied", Started: begun, Ended: begun.Add(65 * time.Second)},
		{Release: r.ID, Name: "pages", Kind: "site", State: store.Waiting},
	} {
		w.must(w.store.SetLeg(ctx, l))
	}
	w.must(w.store.AppendLog(ctx, r.ID, []store.LogLine{{At: begun, Leg: "bucket", Text: "PUT state"}}))
	got := w.get(ReleasePath(r), "mel")
	for _, want := range []string{
		"the bucket refused the key", "SignatureDoesNotMatch", "deb amd64", "4.2 MB", "1.5 s", "3 of 7", "1 min 5 s", "AccessDenied", "PUT state", "Attempt <strong>2</strong>", "4f1d3a0c5b</code>",
		`href="` + w.hub.url + "/acme/hello/commit/" + commitID + `"`, ">Run again<", `action="/repositories/7/restart/` + commitID + `/v1.2.3"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := w.get(ReleasePath(r), "rita"); strings.Contains(got, "<button>") || strings.Contains(got, "restart") {
		t.Error("who only reads is shown buttons")
	}
}

func TestButtonsFitTheState(t *testing.T) {
	w := newWorld(t, "")
	for state, want := range map[store.State][]string{
		store.Waiting: {"cancel"}, store.Running: {"cancel"}, store.Failed: {"restart"}, store.Cancelled: {"restart"},
		store.ActionRequired: {"republish", "restart"}, store.Done: {"rollback"}, store.Ignored: nil,
	} {
		r := w.release("v-"+string(state), state, nil)
		page := w.get(ReleasePath(r), "ada")
		var got []string
		for _, word := range []string{"cancel", "republish", "restart", "rollback"} {
			if strings.Contains(page, `action="`+releasePath(r, word)+`"`) {
				got = append(got, word)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the buttons %q, want %q", state, got, want)
		}
	}
	r := w.release("v-stopping", store.Running, func(r *store.Release) { r.Cancel = true })
	if page := w.get(ReleasePath(r), "ada"); strings.Contains(page, `/cancel/`) || !strings.Contains(page, "stopping") {
		t.Error("a release that is stopping can be cancelled again")
	}
}

func TestActionsAreDoneAndSaid(t *testing.T) {
	w := newWorld(t, "")
	r := w.release("feature/a+b#1%", store.Failed, nil)
	for _, word := range []string{"cancel", "restart", "republish", "rollback"} {
		rec := w.do("POST", releasePath(r, word), "mel", nil)
		if want := ReleasePath(r) + "?done=" + word; rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != want {
			t.Fatalf("%s: %d %s", word, rec.Code, rec.Header().Get("Location"))
		}
		if page := w.get(rec.Header().Get("Location"), "mel"); !strings.Contains(page, doneTexts[word]) {
			t.Errorf("after %s the page does not say so", word)
		}
	}
	rec := w.do("POST", "/repositories/7/release", "mel", url.Values{"tag": {" v2 "}, "targets": {"deb, rpm\r\napk"}})
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("%d\n%s", rec.Code, rec.Body)
	}
	w.get(rec.Header().Get("Location"), "mel")
	want := []string{"cancel mel " + r.ID, "restart mel " + r.ID, "republish mel " + r.ID, "rollback mel " + r.ID, "release mel 7 v2 deb,rpm,apk"}
	if got := w.actions.noted(); !slices.Equal(got, want) {
		t.Errorf("done: %q, want %q", got, want)
	}
	w.actions.err = &Refusal{"It has ended already."}
	if rec := w.do("POST", releasePath(r, "cancel"), "mel", nil); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "It has ended already.") {
		t.Errorf("a refusal: %d\n%s", rec.Code, rec.Body)
	}
	w.actions.err = errors.New("dial tcp 10.0.0.7: refused, token ghs_abc")
	rec = w.do("POST", releasePath(r, "cancel"), "mel", nil)
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "10.0.0.7") {
		t.Errorf("a failure: %d\n%s", rec.Code, rec.Body)
	}
	if id := rec.Header().Get("X-Request-Id"); len(id) != 16 || !strings.Contains(rec.Body.String(), id) || !strings.Contains(w.log.String(), id) {
		t.Errorf("the request's number %q is not on the page or not in the log", id)
	}
}

func TestTagsAreThoseOfGit(t *testing.T) {
	for tag, want := range map[string]bool{
		"v1.2.3": true, "release/1.0": true, "1": true, "v1+b": true, "ä": true, "v1#%?": false, "v1#%": true, "": false, "a..b": false, "a b": false, "/a": false, "a/": false, "a//b": false,
		".a": false, "a/.b": false, "a.lock": false, "a.": false, "-a": false, "a~1": false, "a^": false, "a:b": false, "a*": false, "a[": false, `a\b`: false, "a\n": false, "@": false, "a@{b": false,
		strings.Repeat("a", 201): false,
	} {
		if got := plainTag(tag); got != want {
			t.Errorf("plainTag(%q) = %v", tag, got)
		}
		if !want || tag == "" {
			continue
		}
		// An address leads back to the tag it was made of.
		r, err := url.Parse("https://x" + ReleasePath(&store.Release{Repository: 7, Tag: tag, Commit: "c"}))
		if err != nil || !strings.HasSuffix(r.Path, "/c/"+tag) {
			t.Errorf("%q became %v, %v", tag, r, err)
		}
	}
}

func TestListsHavePages(t *testing.T) {
	w := newWorld(t, "")
	for i := range perPage + 3 {
		w.pass(time.Minute)
		w.release("v0."+itoa(i), store.Done, nil)
	}
	first := w.get("/repositories/7", "rita")
	if n := strings.Count(first, "<li>\n<span class=\"lead\">"); n != perPage {
		t.Errorf("the first page has %d releases", n)
	}
	_, rest, _ := strings.Cut(first, `rel="next" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	second := w.get("/repositories/7"+strings.ReplaceAll(link, "&amp;", "&"), "rita")
	for _, tag := range []string{"v0.0", "v0.1", "v0.2"} {
		if !strings.Contains(second, ">"+tag+"<") || strings.Contains(first, ">"+tag+"<") {
			t.Errorf("%s is not on the second page only", tag)
		}
	}
	if strings.Contains(second, ">v0.3<") || strings.Contains(second, `rel="next"`) {
		t.Error("the second page has more than the rest")
	}
	if rec := w.do("GET", "/repositories/7?before=yesterday", "rita", nil); rec.Code != http.StatusBadRequest {
		t.Errorf("before yesterday: %d", rec.Code)
	}
	home := w.get("/", "rita")
	if !strings.Contains(home, "acme") || strings.Contains(home, "fox") || strings.Count(home, "<strong>v0.") != 20 {
		t.Error("the start does not show 20 releases of what one sees")
	}
	if got := w.get("/installations/42", "rita"); strings.Contains(got, "acme/world") || !strings.Contains(got, "acme/hello") {
		t.Error("rita is not shown exactly what she sees of acme")
	}
	if got := w.get("/installations/42", "ada"); !strings.Contains(got, "acme/world") || !strings.Contains(got, ">private<") {
		t.Error("ada is not shown all of acme")
	}
	if got := w.do("GET", "/acme/hello", "rita", nil).Header().Get("Location"); got != "/repositories/7" {
		t.Errorf("/acme/hello leads to %s", got)
	}
}

func TestReadyAndHealthy(t *testing.T) {
	w := newWorld(t, "")
	for _, path := range []string{"/healthz", "/readyz"} {
		if rec := w.do("GET", path, "", nil); rec.Code != http.StatusOK {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	w.store.Close()
	if rec := w.do("GET", "/healthz", "", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: w.site.cookieName("session"), Value: "x"}) }); rec.Code != http.StatusOK {
		t.Errorf("healthy without a database: %d", rec.Code)
	}
	if rec := w.do("GET", "/readyz", "", nil); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("ready without a database: %d", rec.Code)
	}
}
