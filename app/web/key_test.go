package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
)

func TestKeysAreMadeImportedExportedAndReplaced(t *testing.T) {
	w := newWorld(t, "")
	post := func(path string, form url.Values) (int, string, http.Header) {
		rec := w.do("POST", path, "ada", form)
		return rec.Code, rec.Body.String(), rec.Header()
	}
	good := url.Values{"name": {"main"}, "owner": {"Acme Inc."}, "email": {"packages@acme.example"}, "years": {"3"}, "private": {"-----BEGIN\r\nKEY-----\r\n"}, "passphrase": {"correct horse battery"}, "again": {"correct horse battery"}}
	for _, c := range []struct {
		path, field, value string
		status             int
	}{
		{"/installations/42/keys/new", "", "", 303}, {"/repositories/7/keys/new", "years", "0", 303}, {"/repositories/7/keys/new", "name", "../x", 422},
		{"/repositories/7/keys/new", "owner", "A <b@c>", 422}, {"/repositories/7/keys/new", "owner", "a\nb", 422}, {"/repositories/7/keys/new", "email", "A <b@c>", 422},
		{"/repositories/7/keys/new", "email", "nobody", 422}, {"/repositories/7/keys/new", "years", "99", 422}, {"/repositories/7/keys/new", "years", "x", 422},
		{"/repositories/7/keys/import", "", "", 303}, {"/repositories/7/keys/import", "private", " ", 422},
		{"/repositories/7/keys/export", "", "", 200}, {"/repositories/7/keys/export", "passphrase", "short", 422}, {"/repositories/7/keys/export", "again", "correct horse batterie", 422},
		{"/repositories/7/keys/replace", "", "", 303},
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		if c.field != "" {
			form.Set(c.field, c.value)
		}
		status, body, h := post(c.path, form)
		if status != c.status {
			t.Errorf("%s with %s %q: %d, want %d\n%s", c.path, c.field, c.value, status, c.status, body)
		}
		if status == 200 && (body != "-----BEGIN AGE ENCRYPTED FILE-----\n" || h.Get("Content-Disposition") != `attachment; filename="acme_main_.age"`) {
			t.Errorf("the backup came as %q, %v", body, h)
		}
		if strings.Contains(body, "correct horse") || strings.Contains(body, "KEY-----") {
			t.Errorf("%s: the answer shows what was entered", c.path)
		}
	}
	want := []string{
		"new installation:42 main Acme Inc. packages@acme.example 26280h0m0s", "new repository:7 main Acme Inc. packages@acme.example 0s",
		`import repository:7 main "-----BEGIN\nKEY-----\n" correct horse battery`, "export repository:7 main correct horse battery", "replace repository:7 main",
	}
	if !slices.Equal(w.keys.calls, want) {
		t.Errorf("done %q, want %q", w.keys.calls, want)
	}
	w.keys.err = &Refusal{"The passphrase is wrong."}
	if status, body, _ := post("/repositories/7/keys/import", good); status != 422 || !strings.Contains(body, "The passphrase is wrong.") || strings.Contains(body, "correct horse") {
		t.Errorf("%d\n%s", status, body)
	}
	w.keys.err = errors.New("signer is gone")
	if status, _, _ := post("/repositories/7/keys/import", good); status != 500 {
		t.Errorf("the signer gone: %d", status)
	}
	for _, secret := range []string{"correct horse", "KEY-----"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	// Five times a body too large to read.
	good.Set("private", strings.Repeat("k", form+1))
	if status, _, _ := post("/repositories/7/keys/import", good); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a key of more than 256 KiB: %d", status)
	}
}

func TestDaysThatAreLeft(t *testing.T) {
	now := time.Date(2026, 2, 11, 0, 0, 0, 0, time.UTC)
	for days, want := range map[int]string{-1: "expired", 1: "expires in less than two days", 30: "expires in 30 days", 90: "expires in 90 days", 91: ""} {
		if got := soon(now.Add(time.Duration(days)*24*time.Hour), now); got != want {
			t.Errorf("%d days: %q, want %q", days, got, want)
		}
	}
	if got := soon(time.Time{}, now); got != "" {
		t.Errorf("never: %q", got)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	w := newWorld(t, "")
	const value = "hunter2-long"
	rec := w.do("POST", "/repositories/7/secrets/set", "mel", url.Values{"name": {"BUCKET_SECRET"}, "value": {"line1\r\n" + value}})
	if rec.Code != http.StatusSeeOther || w.secrets.values["repository:7 BUCKET_SECRET"] != "line1\n"+value {
		t.Fatalf("%d %q", rec.Code, w.secrets.values)
	}
	page := w.get("/repositories/7/secrets?done=secret", "mel")
	if !strings.Contains(page, "BUCKET_SECRET") || strings.Contains(page, value) {
		t.Error("the page does not show the name only")
	}
	for _, form := range []url.Values{{"name": {"A-B"}, "value": {value}}, {"name": {"A"}, "value": {""}}, {"name": {strings.Repeat("A", 101)}, "value": {value}}} {
		if rec := w.do("POST", "/repositories/7/secrets/set", "mel", form); rec.Code != http.StatusUnprocessableEntity || strings.Contains(rec.Body.String(), value) {
			t.Errorf("%v: %d", form, rec.Code)
		}
	}
	w.do("POST", "/repositories/7/secrets/delete", "mel", url.Values{"name": {"BUCKET_SECRET"}})
	if len(w.secrets.values) != 0 || strings.Contains(w.log.String(), value) {
		t.Errorf("left: %q", w.secrets.values)
	}
}

func TestTokensAreShownOnce(t *testing.T) {
	w := newWorld(t, "")
	form := url.Values{"name": {"nightly"}, "action": {"read", "release", "everything"}, "days": {"30"}}
	rec := w.do("POST", "/repositories/7/tokens/new", "mel", form)
	m := regexp.MustCompile(`id="made">(dpk_[A-Za-z0-9_-]{43})<`).FindStringSubmatch(rec.Body.String())
	if rec.Code != http.StatusOK || m == nil {
		t.Fatalf("%d\n%s", rec.Code, rec.Body)
	}
	kept, err := w.store.Tokens(t.Context(), "repository:7")
	w.must(err)
	if len(kept) != 1 || !slices.Equal(kept[0].Actions, []string{"read", "release"}) || kept[0].By != "mel" || kept[0].Expires.Sub(w.clock()) != 30*24*time.Hour || strings.Contains(kept[0].Hash, m[1]) {
		t.Errorf("kept %+v", kept[0])
	}
	page := w.get("/repositories/7/tokens", "mel")
	if strings.Contains(page, m[1]) || !strings.Contains(page, "never used") {
		t.Error("the token is shown again, or its use wrongly")
	}
	w.release("v1", store.Done, nil)
	if rec := w.api("GET", "/api/v1/repositories/acme/hello/releases", m[1], ""); rec.Code != http.StatusOK {
		t.Fatalf("%d", rec.Code)
	}
	if page := w.get("/repositories/7/tokens", "mel"); !strings.Contains(page, "last used <time") {
		t.Error("the use is not shown")
	}
	if rec := w.do("POST", "/repositories/7/tokens/new", "mel", form); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("a second of the same name: %d", rec.Code)
	}
	for _, bad := range []url.Values{{"name": {"a"}, "days": {"30"}}, {"name": {""}, "action": {"read"}, "days": {"30"}}, {"name": {"a"}, "action": {"read"}, "days": {"soon"}}} {
		if rec := w.do("POST", "/repositories/7/tokens/new", "mel", bad); rec.Code != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", bad, rec.Code)
		}
	}
	w.do("POST", "/repositories/7/tokens/revoke", "mel", url.Values{"name": {"nightly"}})
	if rec := w.api("GET", "/api/v1/repositories/acme/hello/releases", m[1], ""); rec.Code != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", rec.Code)
	}
	if strings.Contains(w.log.String(), m[1]) {
		t.Error("the log has the token")
	}
}

func TestDeliveriesAreListedShownAndRepeated(t *testing.T) {
	w := newWorld(t, "")
	for i := range perPage + 2 {
		w.pass(time.Second)
		_, err := w.store.Receive(t.Context(), &store.Delivery{GUID: "guid-" + itoa(i), Event: "push", Action: "created", Installation: 42, Received: w.clock(), Body: []byte(`{"ref":"refs/tags/v1"}`)})
		w.must(err)
	}
	w.must(w.store.SettleDelivery(t.Context(), "guid-0", store.Failed, "database was away"))
	first := w.get("/installations/42/deliveries", "ada")
	if n := strings.Count(first, "<code>guid-"); n != perPage {
		t.Errorf("%d on the first page", n)
	}
	_, rest, _ := strings.Cut(first, `rel="next" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	if second := w.get("/installations/42/deliveries"+strings.ReplaceAll(link, "&amp;", "&"), "ada"); strings.Count(second, "<code>guid-") != 2 {
		t.Error("the second page does not have the other two")
	}
	if failed := w.get("/installations/42/deliveries?state=failed", "ada"); strings.Count(failed, "<code>guid-") != 1 || !strings.Contains(failed, "database was away") {
		t.Error("the failed ones are not one")
	}
	if page := w.get("/installations/42/deliveries/guid-0", "ada"); !strings.Contains(page, "&#34;ref&#34;: &#34;refs/tags/v1&#34;") || !strings.Contains(page, "/redeliver") {
		t.Error("the page of a delivery lacks its body or the button")
	}
	if page := w.get("/installations/42/deliveries/guid-1", "ada"); strings.Contains(page, "/redeliver") {
		t.Error("one that waits can be repeated")
	}
	if rec := w.do("POST", "/installations/42/deliveries/guid-0/redeliver", "ada", nil); rec.Header().Get("Location") != "/installations/42/deliveries/guid-0?done=redeliver" || !slices.Equal(w.actions.noted(), []string{"redeliver ada guid-0"}) {
		t.Errorf("%d %q", rec.Code, w.actions.calls)
	}
	if page := w.get("/admin", "root"); !strings.Contains(page, "database was away") || !strings.Contains(page, "acme") {
		t.Error("the overview lacks the failed delivery or the installation")
	}
}
