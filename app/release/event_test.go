package release_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/release"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/publish/githubtest"
)

// want fails unless a release ended in a state, and shows it.
func (w *world) want(r *store.Release, state store.State, words ...string) {
	w.t.Helper()
	ok := r.State == state
	for _, text := range words {
		ok = ok && strings.Contains(r.Short+"\n"+r.Detail, text)
	}
	if !ok {
		w.dump(r.ID)
		w.t.Fatalf("%s is %s: %q, want %s with %q", r.Tag, r.State, r.Short, state, words)
	}
}

func TestEventsMayComeTwiceAndInAnyOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url, githubtest.Options{})
		w.begin()
		w.double.Hold(true)
		first := w.project("one")
		w.tag("v1.0.0", first)
		second := w.project("two")
		w.tag("v1.1.0", second)
		held := w.double.Held()
		w.double.Hold(false)
		slices.Reverse(held)
		for range 2 {
			for _, d := range held {
				w.double.Send(d)
			}
		}
		for tag, commit := range map[string]string{"v1.0.0": first, "v1.1.0": second} {
			w.want(w.ended(tag, commit), store.Done)
			w.releaseOf(tag)
			if c := w.check(commit); c.Conclusion != "success" {
				t.Errorf("the check run of %s is %+v", tag, c)
			}
		}
		w.good("1.0.0")
		w.good("1.1.0")
		runs := len(w.repo.Checks())
		if runs != 2 {
			t.Errorf("there are %d check runs, want 2", runs)
		}
		log, err := w.store.PublishLog(t.Context(), w.repo.ID(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range log {
			seen[e.Release+e.Kind+e.Subject]++
		}
		for what, n := range seen {
			if n != 1 {
				t.Errorf("%s stands in the publish log %d times", what, n)
			}
		}
		if len(seen) < 12 {
			t.Errorf("the publish log has %d entries: %v", len(seen), seen)
		}
	})
}

func TestTagsThatAreOfNoInterest(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	none := w.commit(map[string]string{"README": "hello\n"})
	w.tag("v1.0.0", none)
	w.want(w.ended("v1.0.0", none), store.Ignored)
	if c := w.check(none); c.Conclusion != "neutral" || !strings.Contains(c.Summary, "distropack init") {
		t.Errorf("the check run is %+v", c)
	}
	other := w.project("one")
	w.tag("nightly", other)
	w.want(w.ended("nightly", other), store.Ignored, "No channel")
	if runs := w.repo.Checks(); len(runs) != 1 {
		t.Errorf("there are %d check runs: a tag that no channel takes has none", len(runs))
	}
	if rs := w.repo.Releases(); len(rs) != 0 {
		t.Errorf("there are releases: %+v", rs)
	}
}

func TestMistakesStandOnTheirLines(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	for i, c := range []struct {
		change []string // of config
		line   int      // of the first annotation
		want   string
	}{
		{[]string{"formats: [deb", "formats: [dep"}, 8, `unknown format "dep"`},
		{[]string{"packages:", "sources:\n  bin: {command: make}\npackages:"}, 8, "the App runs no commands"},
		{[]string{"    git: {url: \"GIT/acme/hello.git\"}\n", ""}, 11, "names no place"},
		{[]string{`"GIT/acme/hello.git"`, "/srv/git/other.git"}, 13, "no repository on its server"},
		{[]string{`"GIT/acme/hello.git"`, "file:///srv/git/other.git"}, 13, "no repository on its server"},
		{[]string{`"GIT/acme/hello.git"`, `"GIT/acme/hello.git", ssh-key: /etc/passwd`}, 13, "reads none of its server"},
		{[]string{`git: {url: "GIT/acme/hello.git"}`, "bucket: {name: x, endpoint: \"https://s3.example.org\"}"}, 13, "access-key is missing"},
		{[]string{"github: {}", "github: {api: \"https://evil.example.org\"}"}, 14, "the App's token is for"},
		{[]string{"github: {}", "github: {repository: acme/other}"}, 14, "releases in the repository of the tag"},
		{[]string{"description: Says hello", "description: ${SECRET}"}, 3, "a secret stands where it would be published"},
		{[]string{"description: Says hello", "description: ${HOME}"}, 3, "variable HOME is not defined"},
		{[]string{"url: PAGES", "url: PAGES\n    key: ${DISTROPACK_KEY:-x}"}, 11, "takes no keys from the configuration"},
		{[]string{"publish:\n  - site: public\n    url: PAGES\n    git: {url: \"GIT/acme/hello.git\"}\ngithub: {}", "publish: []"}, 1, "add a site below publish, or github: {}"},
		{[]string{"    git: {url: \"GIT/acme/hello.git\"}\n", ""}, 11, "add git: {url: …} for a branch, or bucket: {name: …}"},
	} {
		if i == 0 {
			w.secret("SECRET", "hunter2-hunter2")
		}
		commit := w.commit(map[string]string{"distropack.yml": w.text(strings.NewReplacer(c.change...).Replace(config)), "hello.sh": "#!/bin/sh\n"})
		tag := fmt.Sprintf("v1.0.%d", i)
		w.tag(tag, commit)
		r := w.ended(tag, commit)
		if r.State != store.Failed {
			w.dump(r.ID)
			t.Errorf("%q: it is %s", c.want, r.State)
			continue
		}
		k := w.check(commit)
		if k.Conclusion != "failure" || len(k.Annotations) == 0 || k.Annotations[0].StartLine != c.line || !strings.Contains(k.Annotations[0].Message+"\n"+k.Annotations[0].Details, c.want) {
			t.Errorf("%q on line %d: the check run is %s: %q %+v", c.want, c.line, k.Conclusion, k.Title, k.Annotations)
		}
		if strings.Contains(fmt.Sprintf("%+v", k), "hunter2") {
			t.Errorf("the secret stands in the check run: %+v", k)
		}
	}
	if rs := w.repo.Releases(); len(rs) != 0 {
		t.Errorf("there are releases: %+v", rs)
	}
	if tip := w.git.Tip(t, "gh-pages"); tip != "" {
		t.Errorf("something was published: %s", tip)
	}
}

func TestATagThatMovedIsNotOverwrittenUnasked(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	first := w.project("one")
	w.tag("v1.0.0", first)
	w.want(w.ended("v1.0.0", first), store.Done)
	tip := w.git.Tip(t, "gh-pages")
	deb := w.asset("v1.0.0", ".deb")

	second := w.project("another")
	w.tag("v1.0.0", second)
	w.want(w.ended("v1.0.0", second), store.ActionRequired, "press Republish")
	c := w.check(second)
	if c.Conclusion != "action_required" || len(c.Actions) != 1 || c.Actions[0].Identifier != check.Republish {
		t.Errorf("the check run is %+v", c)
	}
	if w.git.Tip(t, "gh-pages") != tip || w.asset("v1.0.0", ".deb").SHA256 != deb.SHA256 {
		t.Error("what was published is overwritten")
	}

	w.repo.Press(c.ID, check.Republish)
	w.until("it is republished", func() bool {
		r, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), second))
		return err == nil && r.Attempt == 2 && !r.State.Open()
	})
	w.want(w.ended("v1.0.0", second), store.Done)
	if w.asset("v1.0.0", ".deb").SHA256 == deb.SHA256 {
		t.Error("the file of the GitHub release is the old one")
	}
	w.good("1.0.0")
}

// asset is a file of the release of a tag, by its suffix.
func (w *world) asset(tag, suffix string) githubtest.Asset {
	w.t.Helper()
	for _, r := range w.repo.Releases() {
		for _, a := range r.Assets {
			if r.Tag == tag && strings.HasSuffix(a.Name, suffix) {
				return a
			}
		}
	}
	w.t.Fatalf("release %s has no %s", tag, suffix)
	panic("not reached")
}

// until waits for something.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func TestFilesOfTheReleaseAreWaitedFor(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin(func(_ *nodeOptions, o *release.Options) { o.Limits.Assets = 3 * time.Second })
	text := strings.Replace(config, "packages:", "sources:\n  bin: {assets: \"hello_{version}_*.bin\"}\npackages:", 1)
	text = w.text(strings.Replace(text, "src: hello.sh", `src: "bin:hello_1.0.0_x.bin"`, 1))
	commit := w.commit(map[string]string{"distropack.yml": text})
	w.tag("v1.0.0", commit)
	w.until("it waits", func() bool {
		legs, _ := w.store.Legs(t.Context(), fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit))
		return slices.ContainsFunc(legs, func(l *store.Leg) bool { return strings.Contains(l.Short, "waits for hello_1.0.0_*.bin") })
	})
	w.repo.Add(githubtest.Release{Tag: "v1.0.0", Draft: true, Commit: commit, Assets: []githubtest.Asset{{Name: "hello_1.0.0_x.bin", Bytes: []byte("#!/bin/sh\n")}}})
	w.want(w.ended("v1.0.0", commit), store.Done)
	w.good("1.0.0")

	never := w.commit(map[string]string{"distropack.yml": strings.ReplaceAll(text, "1.0.0_x.bin", "2.0.0_x.bin")})
	w.tag("v2.0.0", never)
	w.want(w.ended("v2.0.0", never), store.Failed, "still lacks hello_2.0.0_*.bin")
	if c := w.check(never); c.Conclusion != "failure" && c.Conclusion != "timed_out" {
		t.Errorf("the check run is %+v", c)
	}
	// They come after all: with the event of their release it begins again.
	w.repo.Publish(githubtest.Release{Tag: "v2.0.0", Commit: never, Assets: []githubtest.Asset{{Name: "hello_2.0.0_x.bin", Bytes: []byte("#!/bin/sh\n")}}})
	w.until("it is done", func() bool {
		r, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v2.0.0:%s", w.repo.ID(), never))
		return err == nil && r.State == store.Done
	})
	w.good("2.0.0")
}

func TestASuspendedInstallationGoesOnByItself(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	w.double.Hold(true)
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	w.in.Suspend()
	held := w.double.Held()
	for _, d := range held {
		if d.Event == "push" {
			w.double.Send(d)
		}
	}
	w.want(w.ended("v1.0.0", commit), store.Failed, "suspended")
	w.in.Unsuspend()
	held = append(held, w.double.Held()...)
	slices.Reverse(held) // that it was suspended is heard last
	for _, d := range held {
		w.double.Send(d)
	}
	w.until("it is done", func() bool {
		r, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit))
		return err == nil && r.State == store.Done
	})
	w.good("1.0.0")
}

func TestATokenThatIsRefused(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	w.double.Permit(map[string]string{"metadata": "read", "contents": "read", "checks": "write", "pull_requests": "read"})
	w.in.Accept()
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	r := w.ended("v1.0.0", commit)
	w.want(r, store.Failed, "does not allow it to the App")
	if c := w.check(commit); c.Conclusion != "failure" || !strings.Contains(c.Title, "accepts the App's permissions") {
		t.Errorf("the check run is %+v", c)
	}
	if tip := w.git.Tip(t, "gh-pages"); tip != "" {
		t.Errorf("something was published: %s", tip)
	}
}

func TestCancelTakesNoTime(t *testing.T) {
	for _, where := range []string{"git-upload-pack", "git-receive-pack"} {
		t.Run(where, func(t *testing.T) {
			w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
			reached, free := make(chan struct{}, 100), make(chan struct{})
			t.Cleanup(func() { close(free) })
			w.begin(func(_ *nodeOptions, o *release.Options) { o.Limits.Check = 50 * time.Millisecond })
			w.mu.Lock()
			w.wait = func(r *http.Request) {
				if strings.HasSuffix(r.URL.Path, where) && r.Method == http.MethodPost {
					reached <- struct{}{}
					<-free
				}
			}
			w.mu.Unlock()
			commit := w.project("one")
			w.tag("v1.0.0", commit)
			<-reached
			w.until("the check run is live", func() bool {
				all := w.repo.Checks()
				return len(all) == 1 && all[0].Status == "in_progress" && strings.Contains(all[0].Summary, "the files of the commit")
			})
			began := time.Now()
			if err := w.app.Cancel(t.Context(), "ann", fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit)); err != nil {
				t.Fatal(err)
			}
			w.want(w.ended("v1.0.0", commit), store.Cancelled, "cancelled by ann")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if c := w.check(commit); c.Conclusion != "cancelled" {
				t.Errorf("the check run is %+v", c)
			}
			w.mu.Lock()
			w.wait = nil
			w.mu.Unlock()
			w.repo.Rerun(w.check(commit).ID)
			w.until("it is done", func() bool {
				r, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit))
				return err == nil && r.State == store.Done
			})
			w.good("1.0.0")
			if c := w.check(commit); c.Conclusion != "success" {
				t.Errorf("the check run is %+v", c)
			}
		})
	}
}

func TestADeletedTagEndsItsRelease(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	reached, free := make(chan struct{}, 100), make(chan struct{})
	t.Cleanup(func() { close(free) })
	w.begin()
	w.mu.Lock()
	w.wait = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "git-upload-pack") && r.Method == http.MethodPost {
			reached <- struct{}{}
			<-free
		}
	}
	w.mu.Unlock()
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	<-reached
	w.repo.DeleteTag("v1.0.0")
	w.want(w.ended("v1.0.0", commit), store.Cancelled, "The tag was deleted")
}

func TestARollbackGivesTheVersionBefore(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	first := w.project("one")
	w.tag("v1.0.0", first)
	w.want(w.ended("v1.0.0", first), store.Done)
	second := w.project("two")
	w.tag("v1.1.0", second)
	w.want(w.ended("v1.1.0", second), store.Done)
	w.repo.Press(w.check(second).ID, check.Rollback)
	w.until("it is rolled back", func() bool {
		r, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v1.1.0:%s", w.repo.ID(), second))
		return err == nil && r.State == store.Cancelled
	})
	if list := w.git.Show(t, "gh-pages", "install.json"); strings.Contains(list, "1.1.0") {
		t.Errorf("install.json still has it: %s", list)
	}
	w.good("1.0.0")
	if c := w.check(second); !strings.Contains(c.Summary, "Rolled back by") {
		t.Errorf("the check run is %+v", c)
	}
}

func TestAPullRequestGetsAPlan(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	w.secret("SECRET", "hunter2-hunter2")
	head := w.commit(map[string]string{"distropack.yml": w.text(strings.Replace(config, "{url: \"GIT/acme/hello.git\"}", "{url: \"GIT/acme/hello.git\", token: \"${SECRET}\"}", 1)), "hello.sh": "x"})
	w.repo.OpenPull(githubtest.Pull{Title: "Packages", Head: head, Files: map[string]string{"distropack.yml": "added"}})
	c := w.check(head)
	if c.Name != check.PullName || c.Conclusion != "success" || !strings.Contains(c.Title, "5 packages for 1 place") || strings.Contains(fmt.Sprintf("%+v", c), "hunter2") {
		t.Errorf("the check run is %+v", c)
	}
	bad := w.commit(map[string]string{"distropack.yml": w.text(strings.Replace(config, "formats: [deb", "formats: [dep", 1))})
	w.repo.OpenPull(githubtest.Pull{Title: "Worse", Head: bad, Files: map[string]string{"distropack.yml": "modified"}})
	if c := w.check(bad); c.Conclusion != "failure" || len(c.Annotations) != 1 {
		t.Errorf("the check run is %+v", c)
	}
	if c := w.check(bad); c.ID != 0 {
		w.repo.Rerun(c.ID)
	}
	other := w.commit(map[string]string{"README": "hello"})
	w.repo.OpenPull(githubtest.Pull{Title: "Unrelated", Head: other, Files: map[string]string{"README": "modified"}})
	w.until("the events are handled", func() bool {
		n, err := w.app.engine.Counts(t.Context())
		return err == nil && len(n) == 0 && len(w.repo.Checks()) >= 3
	})
	for _, c := range w.repo.Checks() {
		if c.HeadSHA == other {
			t.Errorf("a pull request that does not touch distropack.yml has %+v", c)
		}
	}
}
