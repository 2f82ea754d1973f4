package release_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/pipeline/verify"
	"github.com/distropack/distropack/publish/githubtest"
)

// good fails unless clients would take what is published, and see a version.
func (w *world) good(version string) {
	w.t.Helper()
	f, err := verify.HTTP(w.pages.URL, http.DefaultClient)
	if err != nil {
		w.t.Fatal(err)
	}
	rep, err := verify.Run(w.t.Context(), verify.Options{Fetch: f, Packages: verify.Hashes, Now: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range rep.Findings {
		if x.Severity == verify.Error {
			w.t.Errorf("the published tree: %s", x)
		}
	}
	if list := w.git.Show(w.t, "gh-pages", "install.json"); !strings.Contains(list, `"version": "`+version+`"`) {
		w.t.Errorf("install.json does not know %s: %s", version, list)
	}
}

// releaseOf is the published GitHub release of a tag.
func (w *world) releaseOf(tag string) githubtest.Release {
	w.t.Helper()
	var found []githubtest.Release
	for _, r := range w.repo.Releases() {
		if r.Tag == tag {
			found = append(found, r)
		}
	}
	if len(found) != 1 || found[0].Draft || found[0].Published != 1 {
		w.t.Fatalf("the GitHub releases of %s are %+v", tag, found)
	}
	return found[0]
}

func TestATagBecomesPackages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url, githubtest.Options{})
		w.begin()
		commit := w.project("one")
		w.tag("v1.0.0", commit)
		r := w.ended("v1.0.0", commit)
		if r.State != store.Done {
			w.dump(r.ID)
			t.Fatalf("the release is %s: %s", r.State, r.Short)
		}
		c := w.check(commit)
		if c.Conclusion != "success" || !strings.Contains(c.Text, "apt") || !strings.Contains(c.Title, "1.0.0 is released: 5 packages, 1 place") {
			t.Errorf("the check run is %+v", c)
		}
		rel := w.releaseOf("v1.0.0")
		if rel.Asset("hello_1.0.0-1_all.deb") == nil && rel.Asset("hello_1.0.0-1_amd64.deb") == nil {
			t.Errorf("the release has %+v", rel.Assets)
		}
		w.good("1.0.0")
		if t.Failed() {
			w.dump(r.ID)
		}
	})
}
