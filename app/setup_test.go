package app

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/vault"
)

var hidden = regexp.MustCompile(`<form[^>]*action="([^"]*)"[^>]*>(?s:.*?)name="manifest" value="([^"]*)"`)

// The whole set-up as a person does it: the link, GitHub's page, back with a code,
// signing in, claiming the server. A second node on the same database works with it by
// itself.
func TestSetUpByTheLink(t *testing.T) {
	each(t, func(t *testing.T, w *world, database string) {
		bare := func(o *Options) {
			o.Given = Credentials{}
			o.Database = database
		}
		r := w.start(bare)
		if code, _ := r.get("/readyz"); code != 200 {
			t.Errorf("before the set-up it is not ready: %d", code)
		}
		var second *running
		if database != "" {
			second = w.start(bare, func(o *Options) {
				o.Dir, o.Node = t.TempDir(), "second"
				copyFile(t, ServerIdentity(w.dir), ServerIdentity(o.Dir))
				copyFile(t, SignerIdentity(w.dir), SignerIdentity(o.Dir))
			})
		}
		resp, err := http.Post(r.url+"/hook", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a webhook before the set-up: %s", resp.Status)
		}
		link, err := r.SetupLink(t.Context())
		if err != nil || !strings.HasPrefix(link, r.url+"/setup?token=") {
			t.Fatalf("link %q, %v", link, err)
		}
		w.hub.SignIn("ada")
		c := browser(t)
		page := visit(t, c, link)
		form := hidden.FindStringSubmatch(page)
		if form == nil {
			t.Fatalf("no form in\n%s", page)
		}
		resp, err = c.PostForm(html.UnescapeString(form[1]), url.Values{"manifest": {html.UnescapeString(form[2])}})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Request.URL.Path != "/setup" {
			t.Fatalf("came back to %s: %s\n%s", resp.Request.URL, resp.Status, b)
		}
		apps := w.hub.Apps()
		made := apps[len(apps)-1]
		if made == w.double || !strings.Contains(string(b), made.Slug) {
			t.Errorf("the page does not name the App %s:\n%s", made.Slug, b)
		}
		made.Install("acme", w.repo)
		accepted := func(r *running) bool {
			made.Hook(r.url + "/hook")
			made.Ping()
			if err := w.hub.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			all := made.Deliveries()
			return all[len(all)-1].StatusCode == http.StatusAccepted
		}
		if !accepted(r) {
			t.Error("the server refuses the webhook of the App that it has just made")
		}
		if second != nil {
			until(t, "the second node takes webhooks", func() bool { return accepted(second) })
		}
		// Secrets are sealed, and nowhere to be seen.
		row, err := r.store.Sealed(t.Context(), vault.AppScope, "github")
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{made.WebhookSecret, made.ClientSecret, "PRIVATE KEY"} {
			if strings.Contains(string(row.Blob)+string(row.Public), secret) || strings.Contains(w.log.String(), secret) {
				t.Errorf("%q is in the database or the log", secret)
			}
		}

		// Whoever has the link signs in and is the one who administers.
		visit(t, c, r.url+"/signin")
		page = visit(t, c, r.url+"/setup")
		token := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(page)
		if token == nil {
			t.Fatalf("no form to claim the server in\n%s", page)
		}
		resp, err = c.PostForm(r.url+"/setup/claim", url.Values{"form": {token[1]}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Request.URL.Path != "/admin" || resp.StatusCode != 200 {
			t.Errorf("after the claim: %s at %s", resp.Status, resp.Request.URL)
		}
		if link, err := r.SetupLink(t.Context()); link != "" || err != nil {
			t.Errorf("there is still a link: %q, %v", link, err)
		}

		// A restart keeps all of it.
		r.end()
		r = w.start(bare)
		if link, err := r.SetupLink(t.Context()); link != "" || err != nil {
			t.Errorf("after a restart: %q, %v", link, err)
		}
		until(t, "webhooks after a restart", func() bool { return accepted(r) })
	})
}

// Two people with links at once: the second App is not kept.
func TestOnlyOneAppIsKept(t *testing.T) {
	w := newWorld(t)
	r := w.start(func(o *Options) { o.Given = Credentials{} })
	s := &setup{creds: r.creds, url: r.url}
	post, manifest, err := s.Manifest("", "state")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for range 2 {
		c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := c.PostForm(post, url.Values{"manifest": {string(manifest)}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		to, err := resp.Location()
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, to.Query().Get("code"))
	}
	first, err := s.Create(t.Context(), codes[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), codes[1]); err == nil || err.Error() != "This server has a GitHub App already. Delete the one that was just made on GitHub." {
		t.Errorf("the second: %v", err)
	}
	if _, err := s.Create(t.Context(), codes[1]); err == nil || !strings.Contains(err.Error(), "begin again") {
		t.Errorf("a code that was used: %v", err)
	}
	now, err := s.App(t.Context())
	if err != nil || now.ID != first.ID {
		t.Errorf("there is %v, %v, want App %d", now, err, first.ID)
	}
}

// The name of a given App is GitHub's to say; while it does not, there is something to
// show all the same.
func TestAGivenAppIsAskedForItsName(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	page, err := r.creds.page(t.Context())
	if err != nil || page.Name != w.double.Slug || !strings.HasSuffix(page.URL, "/apps/"+w.double.Slug) {
		t.Errorf("got %+v, %v", page, err)
	}
	away := &credentials{given: w.given(), api: "http://127.0.0.1:1", web: "http://127.0.0.1:1", log: r.log}
	begun := time.Now()
	page, err = away.page(t.Context())
	if err != nil || page.URL != "http://127.0.0.1:1/settings/apps" || time.Since(begun) > 20*time.Second {
		t.Errorf("without GitHub: %+v, %v after %v", page, err, time.Since(begun))
	}
	if text := w.given().String(); strings.Contains(text, "PRIVATE") || strings.Contains(text, w.double.ClientSecret) {
		t.Errorf("credentials print as %s", text)
	}
}

// visit returns a page that must be there.
func visit(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", resp.Request.URL.Path, resp.Status, err, b)
	}
	return string(b)
}
