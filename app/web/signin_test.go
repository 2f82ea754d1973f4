package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

// jar sends requests like a browser that keeps cookies.
type jar struct {
	w       *world
	cookies map[string]string
}

func (j *jar) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", j.w.url+path, nil)
	for name, value := range j.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	j.w.site.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(j.cookies, c.Name)
		} else {
			j.cookies[c.Name] = c.Value
		}
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" || c.Domain != "" {
			j.w.t.Errorf("cookie %s", c.Raw)
		}
	}
	return rec
}

// authorize presses GitHub's button and returns where it leads.
func (j *jar) authorize(location string) string {
	j.w.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Post(location, "", nil)
	j.w.must(err)
	resp.Body.Close()
	return strings.TrimPrefix(resp.Header.Get("Location"), j.w.url)
}

func TestSigningInAndOut(t *testing.T) {
	w := matrixWorld(t)
	w.hub.current = "rita"
	j := &jar{w, map[string]string{}}
	first := j.get("/repositories/7?done=cancel")
	to := j.get(first.Header().Get("Location")).Header().Get("Location")
	if !strings.HasPrefix(to, w.hub.url+"/login/oauth/authorize?") {
		t.Fatalf("signing in leads to %s", to)
	}
	back := j.authorize(to)
	rec := j.get(back)
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/repositories/7?done=cancel" {
		t.Fatalf("back from GitHub: %d %s\n%s", rec.Code, rec.Header().Get("Location"), rec.Body)
	}
	if len(j.cookies) != 1 {
		t.Errorf("cookies after signing in: %v", j.cookies)
	}
	if rec := j.get("/repositories/7"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "rita") {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
	if rec := j.get(back); rec.Code != http.StatusBadRequest {
		t.Errorf("the way back used again: %d", rec.Code)
	}

	// What a copy of the database is good for.
	id := j.cookies["__Host-distropack-session"]
	sum := sha256.Sum256([]byte(id))
	for _, x := range []string{hex.EncodeToString(sum[:])} {
		r := httptest.NewRequest("GET", w.url+"/repositories/7", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-distropack-session", Value: x})
		rec := httptest.NewRecorder()
		w.site.ServeHTTP(rec, r)
		if rec.Code == http.StatusOK {
			t.Error("the hash in the database signs in")
		}
	}
	kept, err := w.store.Session(t.Context(), id)
	w.must(err)
	if bytes.Contains(kept.Token, []byte("ghu_")) || bytes.Contains(kept.Token, []byte("secretof")) {
		t.Errorf("the token is kept as %q", kept.Token)
	}

	// Another session's sealed token is of no use in one's own.
	other, _ := w.signIn("ada")
	stolen, err := w.store.Session(t.Context(), other.Value)
	w.must(err)
	w.must(w.store.SaveSession(t.Context(), &store.Session{ID: "mine", User: 4, Login: "fox", Token: stolen.Token, Expires: w.clock().Add(time.Hour)}))
	r := httptest.NewRequest("GET", w.url+"/", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-distropack-session", Value: "mine"})
	moved := httptest.NewRecorder()
	w.site.ServeHTTP(moved, r)
	if moved.Code != http.StatusInternalServerError {
		t.Errorf("a token moved to another session: %d", moved.Code)
	}

	w.pass(sessionLasts + time.Second)
	if rec := j.get("/repositories/7"); rec.Code != http.StatusSeeOther {
		t.Errorf("after eight hours: %d", rec.Code)
	}
	if rec := w.do("POST", "/signout", "rita", nil); rec.Code != http.StatusSeeOther || !strings.Contains(rec.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signing out: %d %s", rec.Code, rec.Header())
	}
	for _, secret := range []string{"ghu_", "secretof", id, "code0"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestSigningOutEndsTheSessionItself(t *testing.T) {
	w := newWorld(t, "")
	cookie, form := w.signIn("ada")
	send := func(method, path, body string) int {
		r := httptest.NewRequest(method, w.url+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(cookie)
		rec := httptest.NewRecorder()
		w.site.ServeHTTP(rec, r)
		return rec.Code
	}
	if got := send("GET", "/repositories/7", ""); got != http.StatusOK {
		t.Fatal(got)
	}
	if got := send("POST", "/signout", "form="+form); got != http.StatusSeeOther {
		t.Fatal(got)
	}
	if got := send("GET", "/repositories/7", ""); got != http.StatusSeeOther {
		t.Errorf("a copy of the cookie after signing out: %d", got)
	}
}

func TestSigningInIsRefused(t *testing.T) {
	w := newWorld(t, "")
	w.hub.current = "ada"
	begin := func() (*jar, string) {
		j := &jar{w, map[string]string{}}
		return j, j.get("/signin?next=/admin").Header().Get("Location")
	}
	mine, to := begin()
	good := mine.authorize(to)
	others, _ := begin()
	again, to := begin()
	codeless := strings.Replace(again.authorize(to), "code=", "c=", 1)
	denied, to := begin()
	withError := denied.authorize(to) + "&error=access_denied"
	for name, c := range map[string]struct {
		j          *jar
		path, says string
	}{
		"in another browser":     {&jar{w, map[string]string{}}, good, "begun in another browser"},
		"with somebody's answer": {others, good, "does not belong"},
		"without a code":         {again, codeless, "did not sign you in"},
		"with an error":          {denied, withError, "did not sign you in"},
	} {
		rec := c.j.get(c.path)
		if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), c.says) || c.j.cookies["__Host-distropack-session"] != "" {
			t.Errorf("%s: %d %v\n%s", name, rec.Code, c.j.cookies, rec.Body)
		}
	}
	// The code that was stolen above is still good, for whom it was made.
	if rec := mine.get(good); rec.Header().Get("Location") != "/admin" {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
	w.setup.app = nil
	if rec := w.do("GET", "/signin", "", nil); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "not set up") {
		t.Errorf("without an App: %d", rec.Code)
	}
}

func TestNobodyIsSentElsewhereAfterSigningIn(t *testing.T) {
	for next, want := range map[string]string{
		"/a?b=c": "/a?b=c", "": "/", "//evil.example": "/", "https://evil.example": "/", "/\\evil.example": "/", "/\t/evil.example": "/", "evil": "/",
		"/%09/x": "/%09/x", "/a\r\nSet-Cookie: x": "/", strings.Repeat("/", 1) + strings.Repeat("a", 3000): "/", "/\u007f": "/",
	} {
		if got := local(next); got != want {
			t.Errorf("local(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestRightsAreAskedAgainAfterAWhile(t *testing.T) {
	w := matrixWorld(t)
	cookie, _ := w.signIn("rita")
	get := func() int {
		r := httptest.NewRequest("GET", w.url+"/repositories/7", nil)
		r.AddCookie(cookie)
		rec := httptest.NewRecorder()
		w.site.ServeHTTP(rec, r)
		return rec.Code
	}
	for range 5 {
		if got := get(); got != http.StatusOK {
			t.Fatal(got)
		}
	}
	if n := w.hub.asked["Repositories"]; n != 1 {
		t.Errorf("GitHub was asked %d times for five pages", n)
	}
	w.hub.sees["rita"] = nil
	w.pass(viewLasts)
	if got := get(); got != http.StatusNotFound {
		t.Errorf("after the right was taken: %d", got)
	}
	w.hub.public[7] = true
	w.pass(viewLasts)
	if got := get(); got != http.StatusOK {
		t.Errorf("of a public repository: %d", got)
	}
	if rec := w.do("POST", "/repositories/7/release", "rita", url.Values{"tag": {"v1"}}); rec.Code != http.StatusForbidden {
		t.Errorf("releasing a public repository of others: %d", rec.Code)
	}
	w.hub.down = true
	if got := get(); got != http.StatusOK {
		t.Errorf("GitHub away, known for less than a few minutes: %d", got)
	}
	w.pass(viewLasts)
	if got := get(); got != http.StatusServiceUnavailable {
		t.Errorf("GitHub away: %d", got)
	}
	w.hub.down, w.hub.revoked = false, true
	if got := get(); got != http.StatusSeeOther {
		t.Errorf("token revoked on GitHub: %d", got)
	}
	w.hub.revoked = false
	if got := get(); got != http.StatusSeeOther {
		t.Errorf("the session goes on after GitHub refused its token: %d", got)
	}
}

func TestMemoryOfRightsIsBounded(t *testing.T) {
	var v views
	now := time.Now()
	for i := range 3 * viewsKept {
		v.get(&session{Session: &store.Session{ID: itoa(i)}}, now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(v.of) > viewsKept {
		t.Errorf("%d views are kept", len(v.of))
	}
	last := &session{Session: &store.Session{ID: itoa(3*viewsKept - 1)}}
	if v.of[hashed(last.ID)] == nil {
		t.Error("the newest is not among them")
	}
}

func TestSetUpFromTheLinkOnwards(t *testing.T) {
	w := newWorld(t, "")
	ctx := t.Context()
	w.site.o.Admins = nil
	w.setup.app = nil
	old, err := w.site.SetupLink(ctx)
	w.must(err)
	link, err := w.site.SetupLink(ctx)
	w.must(err)
	path := strings.TrimPrefix(link, w.url)
	if !strings.HasPrefix(path, "/setup?token=") || old == link {
		t.Fatalf("links %s, %s", old, link)
	}
	j := &jar{w, map[string]string{}}
	for _, bad := range []string{"/setup", "/setup?token=x", strings.TrimPrefix(old, w.url), "/setup/github?code=x&state=y"} {
		if rec := j.get(bad); rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d", bad, rec.Code)
		}
	}
	if rec := j.get(path); rec.Header().Get("Location") != "/setup" {
		t.Fatalf("%d %s", rec.Code, rec.Header())
	}
	page := j.get("/setup?organization=acme")
	state := setupState(strings.TrimPrefix(path, "/setup?token="))
	if got := page.Body.String(); !strings.Contains(got, `action="`+w.hub.url+`/organizations/acme/settings/apps/new?state=`+state+`"`) {
		t.Errorf("the form is not for acme:\n%s", got)
	}
	if got := page.Header().Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' "+w.hub.url+";") {
		t.Errorf("policy %s", got)
	}
	if rec := j.get("/setup?organization=a/../b"); rec.Code != http.StatusBadRequest {
		t.Errorf("a strange organization: %d", rec.Code)
	}
	if rec := j.get("/setup/github?code=c&state=wrong"); rec.Code != http.StatusBadRequest || len(w.setup.codes) > 0 {
		t.Errorf("a strange state: %d %q", rec.Code, w.setup.codes)
	}
	w.setup.err = &Refusal{"The code was used before."}
	if rec := j.get("/setup/github?code=c&state=" + state); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "The code was used before.") {
		t.Errorf("a used code: %d", rec.Code)
	}
	w.setup.err = nil
	if rec := j.get("/setup/github?code=good&state=" + state); rec.Header().Get("Location") != "/setup" {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
	if rec := j.get("/setup/github?code=more&state=" + state); rec.Code != http.StatusSeeOther || !slices.Equal(w.setup.codes, []string{"c", "good"}) {
		t.Errorf("a second App was asked for: %q", w.setup.codes)
	}
	claim := func(login string, token string) *httptest.ResponseRecorder {
		return w.do("POST", "/setup/claim", login, nil, func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "__Host-distropack-setup", Value: token})
		})
	}
	token := j.cookies["__Host-distropack-setup"]
	if rec := claim("fox", "guessed"); rec.Code != http.StatusForbidden {
		t.Errorf("claimed without the link: %d", rec.Code)
	}
	if rec := claim("", token); rec.Code != http.StatusUnauthorized {
		t.Errorf("claimed by nobody: %d", rec.Code)
	}
	if rec := w.do("GET", "/admin", "ada", nil); rec.Code != http.StatusNotFound {
		t.Errorf("administration before the claim: %d", rec.Code)
	}
	if rec := claim("ada", token); rec.Header().Get("Location") != "/admin" {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
	w.get("/admin", "ada")
	if rec := claim("fox", token); rec.Code != http.StatusForbidden {
		t.Errorf("claimed twice: %d", rec.Code)
	}
	if rec := j.get("/setup"); rec.Code != http.StatusForbidden {
		t.Errorf("the link after all is set up: %d", rec.Code)
	}
	if rec := w.do("GET", "/admin", "fox", nil); rec.Code != http.StatusNotFound {
		t.Errorf("administration for fox: %d", rec.Code)
	}
	if link, err := w.site.SetupLink(ctx); link != "" || err != nil {
		t.Errorf("another link: %q %v", link, err)
	}
	if strings.Contains(w.log.String(), token) {
		t.Error("the log has the token of the link")
	}
}

func TestSetUpLinkIsGoodForADay(t *testing.T) {
	w := newWorld(t, "")
	w.site.o.Admins = nil
	link, err := w.site.SetupLink(t.Context())
	w.must(err)
	w.pass(setupLasts)
	if rec := w.do("GET", strings.TrimPrefix(link, w.url), "", nil); rec.Code != http.StatusForbidden {
		t.Errorf("%d", rec.Code)
	}
}
