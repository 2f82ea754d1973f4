package release_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestAttachMakesADraftAndPublishesIt(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	h.repo.Immutable()
	res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"SHA256SUMS", "hello_1.0~rc.1-1_amd64.deb", "hello-1.0+git.x86_64.rpm"}
	if !res.Created || !res.Published || !reflect.DeepEqual(res.Uploaded, names) || res.Kept != nil || res.Replaced != nil {
		t.Errorf("got %+v", res)
	}
	if !strings.HasSuffix(res.URL, "/acme/hello/releases/tag/v1") {
		t.Errorf("URL %s", res.URL)
	}
	h.whole(t, three())
	r := h.only(t)
	if r.Draft || !r.Immutable || r.Name != "Hello 1" || r.Body != "All new." || r.MakeLatest != "true" || len(r.Assets) != 3 || r.ID != res.ID {
		t.Errorf("got %+v", r)
	}
	if a := r.Asset("hello_1.0.rc.1-1_amd64.deb"); a == nil || a.Label != "hello_1.0~rc.1-1_amd64.deb" || a.Type != "application/x-test" {
		t.Errorf("got %+v", a)
	}
	if a := r.Asset("hello-1.0+git.x86_64.rpm"); a == nil || a.Label != "" {
		t.Errorf("got %+v", a)
	}
	if said := strings.Join(h.said, "\n"); !strings.Contains(said, "hello_1.0~rc.1-1_amd64.deb is called hello_1.0.rc.1-1_amd64.deb") {
		t.Errorf("said %q", said)
	}
	if n := h.Count("PATCH"); n != 1 {
		t.Errorf("%d PATCH requests, want 1", n)
	}
}

func TestAttachAgainChangesNothing(t *testing.T) {
	for _, immutable := range []bool{false, true} {
		t.Run(fmt.Sprint("immutable=", immutable), func(t *testing.T) {
			h := newHost(t, githubtest.Options{})
			if immutable {
				h.repo.Immutable()
			}
			p := h.place(t)
			if _, err := p.Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
				t.Fatal(err)
			}
			before, requests := h.state(), len(h.Requests())
			res, err := p.Attach(ctx, h.rel(), three(), release.AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if res.Created || res.Published || res.Uploaded != nil || len(res.Kept) != 3 || h.state() != before {
				t.Errorf("got %+v\n%s", res, h.state())
			}
			for _, r := range h.Requests()[requests:] {
				if !strings.HasPrefix(r, "GET ") {
					t.Errorf("request %s", r)
				}
			}
		})
	}
}

func TestAttachToWhatIsThere(t *testing.T) {
	good := githubtest.Asset{Name: "SHA256SUMS", Bytes: []byte("sums")}
	notes := githubtest.Asset{Name: "NOTES.txt", Bytes: []byte("by hand")}
	t.Run("a draft by hand keeps what people wrote", func(t *testing.T) {
		h := newHost(t, githubtest.Options{PageSize: 2})
		for i := range 5 { // the draft is not on the first page
			h.repo.Add(githubtest.Release{Tag: fmt.Sprint("other", i), Draft: true})
		}
		id := h.repo.Add(githubtest.Release{Tag: "v1", Name: "By hand", Body: "Text", Draft: true, Prerelease: true, Assets: []githubtest.Asset{good, notes}})
		for i := range 5 {
			h.repo.Add(githubtest.Release{Tag: fmt.Sprint("later", i)})
		}
		res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Created || !res.Published || res.ID != id || len(res.Kept) != 1 || len(res.Uploaded) != 2 {
			t.Errorf("got %+v", res)
		}
		for _, r := range h.repo.Releases() {
			if r.ID == id && (r.Name != "By hand" || r.Body != "Text" || !r.Prerelease || r.MakeLatest != "false" || len(r.Assets) != 4) {
				t.Errorf("got %+v", r)
			}
			if r.ID != id && r.Published != 0 {
				t.Errorf("another release was published: %+v", r)
			}
		}
	})
	t.Run("a published mutable release gets what is missing", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "N", Assets: []githubtest.Asset{good, notes}})
		res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Published || len(res.Uploaded) != 2 || len(h.only(t).Assets) != 4 || h.Count("PATCH") != 0 {
			t.Errorf("got %+v", res)
		}
	})
	t.Run("a published immutable release lacks a file", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Immutable: true, Assets: []githubtest.Asset{good}})
		before := h.state()
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{Replace: true})
		wantError(t, err, "release v1 of acme/hello", "immutable", "make a new tag", "hello_1.0.rc.1-1_amd64.deb is missing", "hello-1.0+git.x86_64.rpm is missing")
		if h.state() != before || h.Count("POST")+h.Count("DELETE")+h.Count("PATCH") != 0 {
			t.Errorf("requests %q", h.Requests())
		}
	})
	t.Run("a published immutable release has other bytes", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Immutable: true, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("evil")}}})
		for _, replace := range []bool{false, true} {
			_, err := h.place(t).Attach(ctx, h.rel(), three()[:1], release.AttachOptions{Replace: replace})
			wantError(t, err, "immutable", "new tag", "SHA256SUMS is there with other bytes")
		}
		if h.Count("POST")+h.Count("DELETE")+h.Count("PATCH") != 0 {
			t.Errorf("requests %q", h.Requests())
		}
	})
	t.Run("other bytes are refused, with both digests", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("SUMS")}}})
		before := h.state()
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, formats.Bytes([]byte("SUMS")).Ref().SHA256.String(), formats.Bytes([]byte("sums")).Ref().SHA256.String(), "Nothing was replaced: make a new tag, or ask for files to be replaced", "SHA256SUMS is there with other bytes")
		if h.state() != before {
			t.Errorf("changed to %s", h.state())
		}
	})
	t.Run("other bytes are replaced when asked for", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("SUMS")}, notes}})
		res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(res.Replaced, []string{"SHA256SUMS"}) || len(res.Uploaded) != 2 || len(h.only(t).Assets) != 4 {
			t.Errorf("got %+v", res)
		}
		h.whole(t, three())
	})
	t.Run("in a published release they are there until the new ones are", func(t *testing.T) {
		for _, digests := range []bool{true, false} {
			h := newHost(t, githubtest.Options{NoDigests: !digests})
			h.repo.Add(githubtest.Release{Tag: "v1", Published: 1, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("SUMS")}}})
			h.On(func(r *http.Request) githubtest.Fault {
				if githubtest.IsUpload(r) && h.repo.Releases()[0].Asset("SHA256SUMS") == nil {
					t.Error("the file is gone during an upload")
				}
				return githubtest.Fault{}
			})
			res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(res.Replaced, []string{"SHA256SUMS"}) || len(h.only(t).Assets) != 3 {
				t.Errorf("got %+v", res)
			}
			h.whole(t, three())
		}
	})
	t.Run("what a broken exchange left is used, if it is ours", func(t *testing.T) {
		for content, uploads := range map[string]int{"sums": 0, "evil": 1} {
			h := newHost(t, githubtest.Options{})
			h.repo.Add(githubtest.Release{Tag: "v1", Published: 1, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("SUMS")}, {Name: "distropack-next.SHA256SUMS", Bytes: []byte(content)}}})
			h.On(func(r *http.Request) githubtest.Fault {
				if a := h.repo.Releases()[0].Asset("SHA256SUMS"); a != nil && string(a.Bytes) == "evil" {
					t.Error("people got what nobody meant to publish")
				}
				return githubtest.Fault{}
			})
			if _, err := h.place(t).Attach(ctx, h.rel(), three()[:1], release.AttachOptions{Replace: true}); err != nil {
				t.Fatal(err)
			}
			if n := h.Count("POST"); n != uploads || len(h.only(t).Assets) != 1 {
				t.Errorf("%s: %d uploads, want %d", content, n, uploads)
			}
			h.whole(t, three()[:1])
		}
	})
	t.Run("the beginning of our bytes is taken for half of them", func(t *testing.T) {
		for _, digests := range []bool{true, false} {
			h := newHost(t, githubtest.Options{NoDigests: !digests})
			h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("su")}}})
			if _, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
				t.Fatal(err)
			}
			h.whole(t, three())
		}
	})
	t.Run("where the host has no digests, bytes are read back", func(t *testing.T) {
		h := newHost(t, githubtest.Options{NoDigests: true})
		h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{good}})
		res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(res.Kept, []string{"SHA256SUMS"}) {
			t.Errorf("got %+v", res)
		}
		if n := h.Count("GET /repos/acme/hello/releases/assets/"); n != 1 {
			t.Errorf("%d downloads, want 1: what this run uploaded is not read back", n)
		}
		h = newHost(t, githubtest.Options{NoDigests: true})
		h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "SHA256SUMS", Bytes: []byte("smus")}}})
		_, err = h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, "other bytes")
	})
	t.Run("two drafts with files are for people to sort out", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		first := h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{good}})
		second := h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{notes}})
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, fmt.Sprintf("there are several drafts of the tag with files (ids %d and %d): delete all but one", first, second))
	})
	t.Run("an empty draft like ours that lost a race goes, others stay", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		first := h.repo.Add(githubtest.Release{Tag: "v1", Name: "Hello 1", Body: "All new.", Draft: true})
		h.repo.Add(githubtest.Release{Tag: "v1", Name: "Hello 1", Body: "All new.", Draft: true})
		other := h.repo.Add(githubtest.Release{Tag: "v1", Name: "By hand", Draft: true})
		res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all := h.repo.Releases()
		if res.ID != first || len(all) != 2 || all[0].ID != first || all[1].ID != other {
			t.Errorf("got %+v, %+v", res, all)
		}
	})
}

func TestHalfUploadedFiles(t *testing.T) {
	big := []release.Asset{{Name: "big", Blob: formats.Bytes(make([]byte, 3<<20))}}
	starter := func(h *host, age time.Duration) {
		h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "big", State: githubtest.Starter, Created: h.now().Add(-age)}}})
	}
	t.Run("a fresh one is left to whoever may be at it", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		starter(h, 20*time.Second)
		if _, err := h.place(t).Attach(ctx, h.rel(), big, release.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		h.whole(t, big)
		if w := h.total(); w < 40*time.Second || w > time.Minute {
			t.Errorf("waited %s, want 43 s rounded up to 5", w)
		}
	})
	t.Run("one that is to take another's place is left, too", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Published: 1, Assets: []githubtest.Asset{{Name: "big", Bytes: []byte("old")}, {Name: "distropack-next.big", State: githubtest.Starter}}})
		if _, err := h.place(t).Attach(ctx, h.rel(), big, release.AttachOptions{Replace: true}); err != nil {
			t.Fatal(err)
		}
		h.whole(t, big)
		if w := h.total(); w < time.Minute || w > 70*time.Second {
			t.Errorf("waited %s, want 63 s rounded up to 5", w)
		}
	})
	t.Run("an old one is replaced at once", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		starter(h, 70*time.Second)
		if _, err := h.place(t).Attach(ctx, h.rel(), big, release.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		h.whole(t, big)
		if w := h.total(); w != 0 {
			t.Errorf("waited %s", w)
		}
	})
	t.Run("who is alone waits for nobody", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		starter(h, 0)
		if _, err := h.place(t).Attach(ctx, h.rel(), big, release.AttachOptions{Alone: true}); err != nil {
			t.Fatal(err)
		}
		h.whole(t, big)
		if w := h.total(); w != 0 {
			t.Errorf("waited %s", w)
		}
	})
	t.Run("one in an immutable release can't be helped", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Add(githubtest.Release{Tag: "v1", Immutable: true, Assets: []githubtest.Asset{{Name: "big", State: githubtest.Starter}}})
		_, err := h.place(t).Attach(ctx, h.rel(), big, release.AttachOptions{Alone: true})
		wantError(t, err, "immutable", "big")
	})
}

func TestTags(t *testing.T) {
	t.Run("moved before", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		other := h.repo.Commit("other")
		h.repo.Tag("v1", other)
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, "the tag is at "+other+", and the files were built from "+h.commit+": was it moved? Build again from the tag, or make a new one")
		if len(h.repo.Releases()) != 0 {
			t.Errorf("got %s", h.state())
		}
	})
	t.Run("moved meanwhile", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.On(func(r *http.Request) githubtest.Fault {
			if githubtest.IsUpload(r) {
				h.repo.Annotated("v1", h.repo.Commit("other"))
			}
			return githubtest.Fault{}
		})
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, "tag", h.commit)
		if r := h.only(t); !r.Draft {
			t.Errorf("published: %+v", r)
		}
	})
	t.Run("not there, with a commit", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		rel := h.rel()
		rel.Tag = "release/v2+x"
		if _, err := h.place(t).Attach(ctx, rel, three(), release.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := h.repo.TagCommit(rel.Tag); got != h.commit {
			t.Errorf("tag at %q", got)
		}
		if _, err := h.place(t).Attach(ctx, rel, three(), release.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		h.only(t)
	})
	t.Run("not there, without a commit", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		_, err := h.place(t).Attach(ctx, release.Release{Tag: "v9"}, three(), release.AttachOptions{})
		wantError(t, err, "release v9", "push it first")
	})
	t.Run("none", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		_, err := h.place(t).Attach(ctx, release.Release{Commit: h.commit}, three(), release.AttachOptions{})
		wantError(t, err, "there is no tag to release: name one")
		if n := len(h.Requests()); n != 0 {
			t.Errorf("%d requests before the refusal", n)
		}
	})
	t.Run("locked by an immutable release that was deleted", func(t *testing.T) {
		h := newHost(t, githubtest.Options{})
		h.repo.Remove(h.repo.Add(githubtest.Release{Tag: "v1", Immutable: true}))
		_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
		wantError(t, err, "immutable", "new tag")
	})
}

func TestKeepDraft(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	res, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{KeepDraft: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := h.only(t); !r.Draft || len(r.Assets) != 3 || res.Published {
		t.Errorf("got %+v", r)
	}
	res, err = h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Published || len(res.Kept) != 3 {
		t.Errorf("got %+v", res)
	}
	h.whole(t, three())
}

func TestTooManyFilesInOneRelease(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	rel := githubtest.Release{Tag: "v1", Draft: true}
	for i := range 998 {
		rel.Assets = append(rel.Assets, githubtest.Asset{Name: fmt.Sprint("f", i), Bytes: []byte("x")})
	}
	h.repo.Add(rel)
	_, err := h.place(t).Attach(ctx, h.rel(), three(), release.AttachOptions{})
	wantError(t, err, "it would have 1001 files, and 1000 is the most: delete some, or put packages into the tree or a bucket")
	if h.Count("POST") != 0 {
		t.Error("uploaded something")
	}
	if _, err := h.place(t).Attach(ctx, h.rel(), three()[:2], release.AttachOptions{}); err != nil {
		t.Error(err)
	}
}

func TestCancelledAttachSaysSo(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	c, cancel := context.WithCancel(ctx)
	h.On(func(r *http.Request) githubtest.Fault {
		if githubtest.IsUpload(r) {
			cancel()
			return githubtest.Cut(false)
		}
		return githubtest.Fault{}
	})
	_, err := h.place(t).Attach(c, h.rel(), three(), release.AttachOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
