package github_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestTagsAreResolvedAndPeeled(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	sha, at := strings.Repeat("ab", 20), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	w.repo.Import(sha, at, nil)
	w.repo.Tag("v1", sha)
	w.repo.Annotated("release/v2 #1", sha)
	for _, tag := range []string{"v1", "release/v2 #1"} {
		commit, when, err := w.c.Resolve(t.Context(), "acme", "hello", tag)
		if err != nil || commit != sha || !when.Equal(at) {
			t.Errorf("%s: got %s, %v, %v", tag, commit, when, err)
		}
	}
	_, _, err := w.c.Resolve(t.Context(), "acme", "hello", "v3")
	w.is(err, github.ErrNotFound)
	if !strings.Contains(fmt.Sprint(err), `acme/hello: tag "v3"`) {
		t.Errorf("got %v", err)
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	large := strings.Repeat("0123456789abcdef", 1<<17)
	sha := w.repo.CommitFiles("second", map[string]string{"distropack.yml": "name: hello\n", "docs/ä b.md": "text", "large": large})
	w.repo.Branch("main", w.repo.CommitFiles("third", map[string]string{"distropack.yml": "name: other\n"}))
	get := func(path string, limit int64) (string, error) {
		b, err := w.c.File(t.Context(), "acme", "hello", path, sha, limit)
		return string(b), err
	}
	for path, want := range map[string]string{"distropack.yml": "name: hello\n", "docs/ä b.md": "text", "large": large} {
		if got, err := get(path, 4<<20); err != nil || got != want {
			t.Errorf("%s: got %d bytes, %v", path, len(got), err)
		}
	}
	_, err := get("distropack.yaml", 100)
	w.is(err, github.ErrNotFound)
	_, err = get("distropack.yml", 11)
	w.is(err, github.ErrTooLarge)
	if asked := w.asked(func() { _, err = get("large", 1<<20) }); len(asked) != 1 {
		t.Errorf("a file that is too large was asked for by %q", asked)
	}
	w.is(err, github.ErrTooLarge)
	if _, err = get("docs", 100); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("got %v", err)
	}
	_, err = w.c.File(t.Context(), "acme", "hello", "distropack.yml", "nowhere", 100)
	w.is(err, github.ErrNotFound)
}

func TestRenamedRepositoriesAreFollowed(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	sha := w.repo.CommitFiles("second", map[string]string{"a": "1"})
	w.repo.Tag("v1", sha)
	w.repo.Rename("goodbye")
	r, err := w.c.Repository(t.Context(), "acme", "hello")
	if err != nil || r.Name != "goodbye" || r.ID != w.repo.ID() {
		t.Fatalf("got %+v, %v", r, err)
	}
	if _, _, err := w.c.Resolve(t.Context(), "acme", "hello", "v1"); err != nil {
		t.Error(err)
	}
	if b, err := w.c.File(t.Context(), "acme", "hello", "a", sha, 10); err != nil || !bytes.Equal(b, []byte("1")) {
		t.Errorf("got %q, %v", b, err)
	}
	id, err := w.c.CreateCheck(t.Context(), "acme", "hello", github.Check{Name: "DistroPack", HeadSHA: sha, ExternalID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.c.UpdateCheck(t.Context(), "acme", "hello", id, github.Check{Status: "completed", Conclusion: "success"}); err != nil {
		t.Error(err)
	}
	if all := w.repo.Checks(); len(all) != 1 || all[0].Conclusion != "success" {
		t.Errorf("got %+v", all)
	}
}

func TestReleases(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	w.repo.Tag("v1", w.repo.Commit("first"))
	w.repo.Add(githubtest.Release{Tag: "v1", Name: "One", Body: "text", Immutable: true, Assets: []githubtest.Asset{{Name: "a.deb", Bytes: []byte("abc")}, {Name: "b.deb", State: githubtest.Starter}}})
	w.repo.Add(githubtest.Release{Tag: "v2", Draft: true})
	r, err := w.c.ReleaseByTag(t.Context(), "acme", "hello", "v1")
	if err != nil || r.Name != "One" || !r.Immutable || r.Draft || r.Published.IsZero() || len(r.Assets) != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if a := r.Assets[0]; a.Digest != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || a.Size != 3 || a.State != "uploaded" || r.Assets[1].State != "starter" || r.Assets[1].Digest != "" {
		t.Errorf("got %+v", r.Assets)
	}
	_, err = w.c.ReleaseByTag(t.Context(), "acme", "hello", "v2")
	w.is(err, github.ErrNotFound)
	all, etag, same, err := w.c.Releases(t.Context(), "acme", "hello", "")
	if err != nil || same || len(all) != 2 || !all[0].Draft || all[1].Tag != "v1" {
		t.Errorf("got %+v, %v, %v", all, same, err)
	}
	before := w.in.Usage()
	if all, _, same, err := w.c.Releases(t.Context(), "acme", "hello", etag); err != nil || !same || all != nil {
		t.Errorf("got %v, %v, %v", all, same, err)
	}
	if u := w.in.Usage(); u.Requests != before.Requests || u.Free != before.Free+1 {
		t.Errorf("cost %+v after %+v", u, before)
	}
	w.repo.Publish(githubtest.Release{Tag: "v2"})
	if all, _, same, err := w.c.Releases(t.Context(), "acme", "hello", etag); err != nil || same || len(all) != 2 || all[0].Draft {
		t.Errorf("got %v, %v, %v", all, same, err)
	}
}

// Tags come in the order of their names: a new one may be on any page, and after
// a full last page it changes none that was there.
func TestNewTagsAreFoundOnEveryPage(t *testing.T) {
	for _, n := range []int{0, 100, 150} {
		for _, name := range []string{"zzz", "v0500", "aaa"} {
			t.Run(fmt.Sprint(n, name), func(t *testing.T) {
				w := newWorld(t, githubtest.Options{})
				first := w.repo.Commit("first")
				for i := range n {
					w.repo.Tag(fmt.Sprintf("v%04d", i*10), first)
				}
				list, etag, _, err := w.c.Tags(t.Context(), "acme", "hello", "")
				if err != nil || len(list) != n || n > 0 && (list[0].Commit != first || list[0].Name == "") {
					t.Fatalf("got %d tags, %v", len(list), err)
				}
				before := w.in.Usage().Requests
				if _, again, same, err := w.c.Tags(t.Context(), "acme", "hello", etag); !same || err != nil || again != etag {
					t.Errorf("unchanged: got %v, %v", same, err)
				}
				if after := w.in.Usage().Requests; after != before {
					t.Errorf("unchanged, and %d requests counted", after-before)
				}
				w.repo.Tag(name+"-new", first)
				list, _, same, err := w.c.Tags(t.Context(), "acme", "hello", etag)
				if err != nil || same || len(list) != n+1 || !slices.Contains(list, github.Tag{Name: name + "-new", Commit: first}) {
					t.Errorf("got %d tags, %v, %v", len(list), same, err)
				}
			})
		}
	}
}

func TestPullFiles(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	files := map[string]string{"distropack.yml": "renamed:old.yml"}
	for i := range 149 {
		files[fmt.Sprintf("src/%d.go", i)] = "modified"
	}
	n := w.repo.OpenPull(githubtest.Pull{Title: "A change", Head: w.repo.Commit("change"), Files: files})
	all, err := w.c.PullFiles(t.Context(), "acme", "hello", n)
	if err != nil || len(all) != 151 || !slices.Contains(all, "old.yml") || !slices.Contains(all, "distropack.yml") || !slices.Contains(all, "src/148.go") {
		t.Errorf("got %d files, %v", len(all), err)
	}
	_, err = w.c.PullFiles(t.Context(), "acme", "hello", 77)
	w.is(err, github.ErrNotFound)
}
