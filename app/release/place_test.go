package release_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline/verify"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/gittest"
)

// Whoever may write to one repository of an account can't overwrite the branches of
// another that does not want it.
func TestABranchOfAnotherRepositoryWantsItsConsent(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	other := w.hub.Repo("acme", "pages")
	site := gittest.Serve(t, gittest.Options{})
	to, _ := url.Parse(site.URL)
	w.mu.Lock()
	w.hosts["/acme/pages.git"] = to
	w.mu.Unlock()
	w.in.Add(other)
	w.until("the App is installed there", func() bool {
		_, err := w.store.Repository(t.Context(), other.ID())
		return err == nil
	})
	text := w.text(strings.Replace(config, "GIT/acme/hello.git", "GIT/acme/pages.git", 1))
	first := w.commit(map[string]string{"distropack.yml": text, "hello.sh": "#!/bin/sh\n"})
	w.tag("v1.0.0", first)
	w.want(w.ended("v1.0.0", first), store.Failed, "acme/pages does not let acme/hello publish", release.Publishers)
	if tip := site.Tip(t, "gh-pages"); tip != "" {
		t.Fatalf("it was written to: %s", tip)
	}
	if rs := w.repo.Releases(); len(rs) != 0 {
		t.Errorf("the GitHub release is out, though its place refuses: %+v", rs)
	}

	other.Branch("main", other.CommitFiles("consent", map[string]string{release.Publishers: "# who may\nAcme/Hello # for its packages\n"}))
	second := w.commit(map[string]string{"distropack.yml": text, "hello.sh": "#!/bin/sh\n#2\n"})
	w.tag("v1.0.1", second)
	w.want(w.ended("v1.0.1", second), store.Done)
	if site.Tip(t, "gh-pages") == "" {
		t.Error("nothing was published there")
	}

	// Another account's is not written to, though the App is installed there.
	strange := w.hub.Repo("evil", "pages")
	w.double.Install("evil", strange)
	w.until("the App is installed there", func() bool {
		_, err := w.store.Repository(t.Context(), strange.ID())
		return err == nil
	})
	third := w.commit(map[string]string{"distropack.yml": w.text(strings.Replace(config, "GIT/acme/hello.git", "GIT/evil/pages.git", 1)), "hello.sh": "#!/bin/sh\n#3\n"})
	w.tag("v1.0.2", third)
	w.want(w.ended("v1.0.2", third), store.Failed, "the App may not write to evil/pages")
}

func TestAFolderThatTheOperatorAllows(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	root := t.TempDir()
	w.begin(func(_ *nodeOptions, o *release.Options) { o.Folders = root })
	text := func(dir string) string {
		return w.text(strings.Replace(strings.Replace(config, `git: {url: "GIT/acme/hello.git"}`, "dir: "+dir, 1), "url: PAGES", "url: http://127.0.0.1:9", 1))
	}
	commit := w.commit(map[string]string{"distropack.yml": text("stable"), "hello.sh": "#!/bin/sh\n"})
	w.tag("v1.0.0", commit)
	w.want(w.ended("v1.0.0", commit), store.Done)
	// Nobody serves it: that is a warning, as what the address leads to is not the App's.
	if c := w.check(commit); c.Conclusion != "success" || !strings.Contains(c.Summary, "clients would not see it at") {
		t.Errorf("the check run is %+v", c)
	}
	d, err := verify.Dir(filepath.Join(root, "acme", "stable"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rep, err := verify.Run(t.Context(), verify.Options{Fetch: d, Packages: verify.Hashes, Now: time.Now()})
	if err != nil || !rep.Good() || rep.Packages == 0 {
		t.Errorf("the tree is %+v, %v", rep, err)
	}
	for i, dir := range []string{"../evil/stable", "/etc/apt", ".", filepath.Join(root, "evil")} {
		tag := fmt.Sprintf("v1.1.%d", i)
		commit := w.commit(map[string]string{"distropack.yml": text(`"` + dir + `"`), "hello.sh": "#!/bin/sh\n"})
		w.tag(tag, commit)
		if r := w.ended(tag, commit); r.State != store.Failed {
			w.dump(r.ID)
			t.Errorf("dir %s: %s", dir, r.State)
		}
	}
}

// Two nodes that need the account's first key at once keep one of two.
func TestOneKeyIsMade(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	scope := vault.InstallationScope(w.in.ID)
	if err := w.store.DeleteSealed(t.Context(), scope, "main"); err != nil {
		t.Fatal(err)
	}
	first, second := w.project("one"), w.project("two")
	w.tag("v1.0.0", first)
	w.tag("v1.1.0", second)
	w.want(w.ended("v1.0.0", first), store.Done)
	w.want(w.ended("v1.1.0", second), store.Done)
	w.good("1.0.0")
	w.good("1.1.0")
	rows, err := w.store.ListSealed(t.Context(), scope)
	if err != nil || len(rows) != 1 {
		t.Fatalf("keys are %+v, %v", rows, err)
	}
	p, err := vault.ParsePublic(rows[0].Public)
	if err != nil || !strings.Contains(p.User, "acme packages <acme@users.noreply.") || p.RSA == "" || p.Usign == "" || rows[0].Expires.IsZero() {
		t.Errorf("the key is %+v, %v", p, err)
	}
	if !strings.Contains(strings.ReplaceAll(w.git.Show(t, "gh-pages", "install.json"), " ", ""), p.Fingerprint) {
		t.Error("the tree is signed by another key")
	}
}

// noKeys is a signer that makes none.
type noKeys struct{ release.Signer }

func (noKeys) NewKey(context.Context, vault.Binding, vault.NewOptions) (*vault.Made, error) {
	return nil, errors.New("there is no randomness")
}

func TestAKeyThatCantBeMadeIsSaid(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin(func(_ *nodeOptions, o *release.Options) { o.Signer = noKeys{o.Signer} })
	if err := w.store.DeleteSealed(t.Context(), vault.InstallationScope(w.in.ID), "main"); err != nil {
		t.Fatal(err)
	}
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	w.want(w.ended("v1.0.0", commit), store.Failed, "the key of acme can't be made: there is no randomness")
}

func TestAQuotaIsWaitedFor(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin(func(_ *nodeOptions, o *release.Options) { o.Limits.ReleasesHour = 1 })
	first := w.project("one")
	w.tag("v1.0.0", first)
	w.want(w.ended("v1.0.0", first), store.Done)
	second := w.project("two")
	w.tag("v1.1.0", second)
	id := fmt.Sprintf("rel:%d:v1.1.0:%s", w.repo.ID(), second)
	w.until("it says that it waits", func() bool {
		r, err := w.store.Release(t.Context(), id)
		return err == nil && r.State == store.Waiting && strings.Contains(r.Short, "quota is used up: 1 releases an hour")
	})
	w.until("its check run says so", func() bool {
		for _, c := range w.repo.Checks() {
			if c.HeadSHA == second && c.Status == "queued" && strings.Contains(c.Summary, "quota is used up") {
				return true
			}
		}
		return false
	})
	if err := w.app.Cancel(t.Context(), "ann", id); err != nil {
		t.Fatal(err)
	}
	w.want(w.ended("v1.1.0", second), store.Cancelled)
}

// What the packer prints, and what the log shows, has no secrets.
func TestLogsAreRedacted(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	r := w.ended("v1.0.0", commit)
	w.want(r, store.Done)
	lines, err := w.store.Log(t.Context(), r.ID, 0, 0)
	if err != nil || len(lines) < 6 {
		t.Errorf("the log has %d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		if strings.Contains(l.Text, "ghs_") {
			t.Errorf("the log has a token: %s", l.Text)
		}
	}
	legs, err := w.store.Legs(t.Context(), r.ID)
	kinds := map[string]int{}
	for _, l := range legs {
		kinds[l.Kind]++
		if l.State != store.Done || l.Started.IsZero() || l.Ended.Before(l.Started) {
			t.Errorf("leg %+v", l)
		}
	}
	if err != nil || fmt.Sprint(kinds) != "map[attach:1 fetch:1 package:5 probe:1 site:1]" {
		t.Errorf("the legs are %v, %v", kinds, err)
	}
	used, err := w.store.Used(t.Context(), "bytes", w.in.ID, time.Now().Add(-time.Hour))
	if err != nil || used == 0 {
		t.Errorf("%d bytes were counted, %v", used, err)
	}
}
