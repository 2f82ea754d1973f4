package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/gittest"
)

// script is a project whose program needs no compiler, so that what is measured
// and broken is publishing.
type script struct {
	t    *testing.T
	dir  string
	key  string
	env  []string
	last string // version
}

func newScript(t *testing.T, publish string, env ...string) *script {
	t.Helper()
	s := &script{t: t, dir: t.TempDir(), env: env}
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	s.key = filepath.Join(t.TempDir(), "key")
	put(t, s.key, text)
	put(t, filepath.Join(s.dir, "distropack.yml"), `version: 1
project: hello
title: Hello
description: Greets
homepage: https://example.org/hello
license: MIT
maintainer: Ann Example <ann@example.org>
channels:
  stable: {tags: "v*"}
  beta: {tags: "v*", prereleases: true}
platforms: [linux/amd64]
packages:
  - name: hello
    formats: [deb, rpm, arch, tar.gz]
    contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
`+publish)
	s.program("1.0.0")
	return s
}

// program makes the next release's content.
func (s *script) program(version string) {
	s.t.Helper()
	s.last = version
	put(s.t, filepath.Join(s.dir, "hello.sh"), "#!/bin/sh\necho hello "+version+"\n")
}

func (s *script) args(more ...string) []string {
	return append([]string{"-C", s.dir, "release", "--tag", "v" + s.last, "--key", s.key}, more...)
}

func (s *script) environ() []string {
	return append([]string{"SOURCE_DATE_EPOCH=" + epochs[s.last]}, s.env...)
}

func (s *script) release(more ...string) string {
	s.t.Helper()
	return must(s.t, s.environ(), s.args(more...)...)
}

// refused runs a release that must fail, and checks what it says.
func (s *script) refused(code int, words ...string) string {
	s.t.Helper()
	out, stderr, got := distropack(s.t, s.environ(), s.args()...)
	for _, w := range words {
		if got != code || !strings.Contains(stderr, w) {
			s.t.Errorf("exit %d, want %d with %q:\n%s%s", got, code, w, out, stderr)
		}
	}
	return stderr
}

// checkedOut serves what git's own clone of a branch has.
func checkedOut(t *testing.T, repository, branch string) *published {
	t.Helper()
	p := &published{dir: filepath.Join(t.TempDir(), "clone")}
	s := httptest.NewServer(treeHandler(p.dir))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *published) pull(t *testing.T, repository, branch string) {
	t.Helper()
	next := p.dir + ".next"
	gittest.Git(t, "", "clone", "-q", "--depth=1", "--branch", branch, "file://"+repository, next)
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, p.dir); err != nil {
		t.Fatal(err)
	}
}

const secretToken = "token-that-nobody-may-see"

// A release goes to a branch that others use as well, a second one follows, and
// real clients install and upgrade from what git's own clone has.
func TestABranchServesRealClients(t *testing.T) {
	host := gittest.Serve(t, gittest.Options{Token: secretToken})
	tapHost := gittest.Serve(t, gittest.Options{Token: secretToken})
	p := checkedOut(t, host.Dir, "gh-pages")
	gittest.Import(t, host.Dir, foreign("gh-pages", "CNAME", "hello.example.org\n", "docs/index.html", "<p>docs</p>\n"))
	gittest.Import(t, tapHost.Dir, foreign("main", "README.md", "A tap\n", "Formula/other.rb", "class Other < Formula\nend\n"))
	tapBefore := tapHost.Tip(t, "main")
	s := newScript(t, fmt.Sprintf(`publish:
  - site: public
    url: %s
    git: {url: %q, token: "${TOKEN}"}
    tap: {url: %q, token: "${TOKEN}"}
    clients: [apt, dnf, pacman, brew, downloads]
    keep: {versions: 3}
`, p.url, host.URL, tapHost.URL), "TOKEN="+secretToken)
	if out := s.release(); strings.Contains(out, secretToken) {
		t.Errorf("the token is shown:\n%s", out)
	}
	p.pull(t, host.Dir, "gh-pages")
	for name, want := range map[string]string{"CNAME": "hello.example.org\n", "docs/index.html": "<p>docs</p>\n", ".nojekyll": ""} {
		if b, err := os.ReadFile(filepath.Join(p.dir, name)); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
	if got := gittest.Git(t, host.Dir, "rev-list", "--count", "gh-pages"); strings.TrimSpace(got) != "1" {
		t.Errorf("the branch has %s commits, want one without parents", got)
	}
	if got := tapHost.Files(t, "main"); !strings.Contains(got, "Formula/hello.rb") || !strings.Contains(got, "Formula/other.rb") || !strings.Contains(got, "README.md") {
		t.Errorf("the tap has %q", got)
	}
	if got := strings.TrimSpace(gittest.Git(t, tapHost.Dir, "rev-parse", "main~1")); got != tapBefore {
		t.Errorf("the tap's history was rewritten: main~1 is %s, was %s", got, tapBefore)
	}
	if text := tapHost.Show(t, "main", "Formula/hello.rb"); !strings.Contains(text, p.url) || strings.Contains(text, secretToken) {
		t.Errorf("the formula is\n%s", text)
	}

	// Nothing new: no commit anywhere.
	tip, tap := host.Tip(t, "gh-pages"), tapHost.Tip(t, "main")
	if out := s.release(); !strings.Contains(out, "nothing to do") || !strings.Contains(out, "skipped") {
		t.Errorf("again: %s", out)
	}
	s.release("--resume=false")
	if host.Tip(t, "gh-pages") != tip || tapHost.Tip(t, "main") != tap {
		t.Error("a release of what is there made a commit")
	}

	rpm := newClone(t, "dnf", "rpm")
	rpm.rpms()
	rpm.addDnf(p, "hello")
	rpm.must("dnf", "-y", "install", "hello")
	arch := newClone(t, "pacman", "pacman-key", "gpg")
	arch.arch(p)
	arch.fetch(p.url+"/arch/hello.conf", "/etc/pacman.d/hello.conf")
	arch.write("/etc/pacman.conf", arch.read("/etc/pacman.conf")+"\nInclude = /etc/pacman.d/hello.conf\n")
	arch.pacman("-Sy")
	arch.pacman("-S", "hello")
	onDebian(t, func(t *testing.T, r *debRoot) {
		page := instructionsFor(t, p.dir, "stable", "apt")
		r.follow(t, page["add"])
		r.update(t)
		r.follow(t, page["install"])
		if got := r.run(t, "hello"); got != "hello "+s.last+"\n" {
			t.Errorf("hello says %q", got)
		}
		if s.last == "1.0.0" { // the second root finds what the first made
			s.program("1.1.0")
			s.release()
			p.pull(t, host.Dir, "gh-pages")
			r.follow(t, page["upgrade"])
			if got := r.run(t, "hello"); got != "hello 1.1.0\n" {
				t.Errorf("after the upgrade hello says %q", got)
			}
		}
	})
	rpm.must("dnf", "-y", "--refresh", "upgrade")
	rpm.installed("1.1.0-1")
	arch.pacman("-Syu")
	if got := arch.must("pacman", "-Q", "hello"); got != "hello 1.1.0-1\n" {
		t.Errorf("pacman has %q", got)
	}
	if out := must(t, nil, "verify", p.url, "--packages", "hashes"); strings.Contains(out, "WRONG") {
		t.Errorf("verify says\n%s", out)
	}
	// The tree is looked after by the site's name.
	list := must(t, s.env, "-C", s.dir, "repo", "list", "public", "--key", s.key)
	if !strings.Contains(list, "1.0.0") || !strings.Contains(list, "1.1.0") {
		t.Errorf("repo list says\n%s", list)
	}
	must(t, s.env, "-C", s.dir, "repo", "check", "public", "--key", s.key, "--deep")
	must(t, append(s.env, "SOURCE_DATE_EPOCH="+epochs["1.1.0"]), "-C", s.dir, "repo", "remove", "public", "hello@1.0.0", "--key", s.key)
	if list := must(t, s.env, "-C", s.dir, "repo", "list", "public", "--key", s.key); strings.Contains(list, "1.0.0") {
		t.Errorf("after the removal repo list says\n%s", list)
	}
}

// foreign writes files of others into a branch.
func foreign(branch string, files ...string) func(w io.Writer) {
	return func(w io.Writer) {
		fmt.Fprintf(w, "commit refs/heads/%s\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 5\nfirst\n", branch)
		for i := 0; i < len(files); i += 2 {
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", files[i], len(files[i+1]), files[i+1])
		}
	}
}

// A bucket is served to anybody; apt reads it as it is.
func TestABucketServesRealClients(t *testing.T) {
	host := buckettest.Serve(t)
	url := host.Public + "/pkg"
	s := newScript(t, fmt.Sprintf(`publish:
  - site: public
    url: %s
    bucket: {name: %q, prefix: pkg, endpoint: %q, region: %q, path-style: true}
    clients: [apt, dnf, pacman, downloads]
`, url, host.Bucket, host.Endpoint, host.Region), "AWS_ACCESS_KEY_ID="+host.AccessKey, "AWS_SECRET_ACCESS_KEY="+host.SecretKey)
	s.release()
	s.program("1.1.0")
	s.release()
	if out := s.release(); !strings.Contains(out, "nothing to do") {
		t.Errorf("again: %s", out)
	}
	for name := range host.Objects(t, "") {
		if !strings.HasPrefix(name, "pkg/") {
			t.Errorf("%s lies outside of the prefix", name)
		}
	}
	p := &published{url: url}
	rpm := newClone(t, "dnf", "rpm")
	rpm.rpms()
	rpm.addDnf(p, "hello")
	rpm.must("dnf", "-y", "install", "hello")
	rpm.installed("1.1.0-1")
	onDebian(t, func(t *testing.T, r *debRoot) {
		_, sources := host.Get(t, "pkg/apt/hello.sources")
		r.put(t, "/etc/apt/sources.list.d/hello.sources", string(sources))
		r.update(t)
		r.run(t, "apt-get install -y hello=1.0.0-1 && hello && apt-get -y upgrade && hello | grep 1.1.0")
	})
	if out := must(t, nil, "verify", url, "--packages", "hashes"); strings.Contains(out, "error:") {
		t.Errorf("verify says\n%s", out)
	}
	if out := must(t, nil, "verify", url, "--wait", "1m", "--expect", "hello@1.1.0", "--json"); !json.Valid([]byte(out)) {
		t.Errorf("verify --json gives %s", out)
	}
	if _, stderr, code := distropack(t, nil, "verify", url, "--wait", "1s", "--expect", "hello@9.9.9"); code != exitFailed || !strings.Contains(stderr, "hello 9.9.9") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// The files of a release are attached to GitHub's, and packages that the site
// can't hold are fetched from there.
func TestAGitHubReleaseHoldsThePackages(t *testing.T) {
	for _, immutable := range []bool{false, true} {
		t.Run(fmt.Sprintf("immutable %v", immutable), func(t *testing.T) {
			hub := githubtest.New(t, githubtest.Options{})
			repo := hub.Repo("ann", "hello")
			if immutable {
				repo.Immutable()
			}
			host := gittest.Serve(t, gittest.Options{})
			s := newScript(t, fmt.Sprintf(`github: {repository: ann/hello, api: %q}
publish:
  - site: public
    url: https://ann.example.org/hello
    git: {url: %q, max-file: 20kB}
    large: {to: release}
    clients: [apt, dnf, pacman, brew, downloads]
`, hub.URL, host.URL), "GITHUB_TOKEN="+githubtest.Token)
			repo.Tag("v1.0.0", repo.Commit("one"))
			repo.Tag("v1.1.0", repo.Commit("two"))

			// A plan needs no network and says where everything goes.
			before := len(hub.Requests())
			plan := must(t, s.environ(), "-C", s.dir, "plan", "--tag", "v1.0.0", "--key", s.key)
			for _, want := range []string{"git branch", "xml:base", "second Server", "flat repository", "releases/latest/download"} {
				if !strings.Contains(plan, want) {
					t.Errorf("the plan does not say %q:\n%s", want, plan)
				}
			}
			if len(hub.Requests()) != before {
				t.Error("the plan asked GitHub")
			}

			// What is small lies in the branch.
			s.release()
			names := func(tag string) []string {
				for _, r := range repo.Releases() {
					if r.Tag == tag && !r.Draft {
						var all []string
						for _, a := range r.Assets {
							all = append(all, a.Name)
						}
						return all
					}
				}
				return nil
			}
			if got := names("v1.0.0"); !slices.Contains(got, "hello_1.0.0-1_amd64.deb") || !slices.Contains(got, "SHA256SUMS.asc") || !slices.Contains(got, "InRelease") {
				t.Errorf("the release has %q", got)
			}
			if got := host.Files(t, "gh-pages"); !strings.Contains(got, "hello_1.0.0-1_amd64.deb") || !strings.Contains(got, ".rpm") {
				t.Errorf("the branch has\n%s", got)
			}
			requests := hub.Count("POST") + hub.Count("PATCH") + hub.Count("DELETE")
			s.release("--resume=false")
			if again := hub.Count("POST") + hub.Count("PATCH") + hub.Count("DELETE"); again != requests {
				t.Errorf("a second run made %d changes", again-requests)
			}

			// What is large does not.
			noise := make([]byte, 60_000)
			x := uint32(1)
			for i := range noise {
				x = x*1664525 + 1013904223
				noise[i] = byte(x >> 24)
			}
			s.program("1.1.0")
			put(t, filepath.Join(s.dir, "hello.sh"), "#!/bin/sh\necho hello 1.1.0; exit\n"+string(noise))
			out := s.release()
			if !strings.Contains(out, "too large for it: hello_1.1.0-1_amd64.deb") {
				t.Errorf("the release says\n%s", out)
			}
			if got := host.Files(t, "gh-pages"); strings.Contains(got, "hello_1.1.0") || strings.Contains(got, "hello-1.1.0-1.x86_64.rpm\n") {
				t.Errorf("the branch has\n%s", got)
			}
			if got := names("v1.1.0"); !slices.Contains(got, "hello-1.1.0-1-x86_64.pkg.tar.zst.sig") {
				t.Errorf("the release has %q", got)
			}
			formula := host.Show(t, "gh-pages", "brew/Formula/hello.rb")
			if !strings.Contains(formula, "/ann/hello/releases/download/v1.1.0/") {
				t.Errorf("the formula is\n%s", formula)
			}
			if sources := host.Show(t, "gh-pages", "apt/hello.sources"); !strings.Contains(sources, "releases/latest/download") {
				t.Errorf("hello.sources is\n%s", sources)
			}

			// Other bytes for a version that people have.
			put(t, filepath.Join(s.dir, "hello.sh"), "#!/bin/sh\necho other\n")
			words := []string{"hello", "SHA-256"}
			s.refused(exitFailed, words[0])
			if got := names("v1.1.0"); len(got) == 0 {
				t.Error("the release is gone")
			}
		})
	}
}

// One place that fails does not stop the others, and the next run does only what
// is missing.
func TestAFailedPlaceIsMadeUpFor(t *testing.T) {
	refuse := filepath.Join(t.TempDir(), "refuse")
	put(t, refuse, "")
	good := gittest.Serve(t, gittest.Options{})
	bad := gittest.Serve(t, gittest.Options{PreReceive: "test ! -e " + refuse + " || { echo 'the branch is protected'; exit 1; }"})
	s := newScript(t, fmt.Sprintf(`publish:
  - site: first
    url: https://example.org/first
    git: {url: %q}
    clients: [apt]
  - site: second
    url: https://example.org/second
    git: {url: %q}
    clients: [dnf]
  - site: third
    url: https://example.org/third
    dir: third
    clients: [apt]
`, bad.URL, good.URL))
	s.refused(exitFailed, "publish to first", "the branch is protected")
	tip := good.Tip(t, "gh-pages")
	if _, err := os.Stat(filepath.Join(s.dir, "third", "dists")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(refuse); err != nil {
		t.Fatal(err)
	}
	out := s.release("--json")
	var rep pipeline.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{"site second", "site third", "hello_1.0.0-1_amd64.deb", "hello-1.0.0-1.x86_64.rpm"}
	for _, w := range want {
		if !slices.ContainsFunc(rep.Skipped, func(s string) bool { return strings.HasPrefix(s, w) }) {
			t.Errorf("%s was not skipped: %q", w, rep.Skipped)
		}
	}
	if slices.ContainsFunc(rep.Skipped, func(s string) bool { return strings.HasPrefix(s, "site first") }) {
		t.Errorf("skipped what was missing: %q", rep.Skipped)
	}
	if good.Tip(t, "gh-pages") != tip || !strings.Contains(bad.Files(t, "gh-pages"), "InRelease") {
		t.Error("the second run did not do what was missing, and that alone")
	}
	// Whatever goes into a leg makes it be taken again.
	put(t, filepath.Join(s.dir, "hello.sh"), "#!/bin/sh\necho other\n")
	s.refused(exitFailed, "already published with other content")
}

// Places that can't be used are found before anything is built.
func TestPlacesThatCantBeUsedAreFoundFirst(t *testing.T) {
	host := gittest.Serve(t, gittest.Options{Token: secretToken})
	store := buckettest.Serve(t)
	for name, c := range map[string]struct {
		place string
		env   []string
		code  int
		words []string
	}{
		"wrong token":       {fmt.Sprintf(`git: {url: %q, token: wrong-token-here}`, host.URL), nil, exitFailed, []string{"token"}},
		"no repository":     {fmt.Sprintf(`git: {url: %q, token: %s}`, strings.Replace(host.URL, "repo", "nowhere", 1), secretToken), nil, exitFailed, []string{"nowhere"}},
		"token in the URL":  {`git: {url: "https://user:` + secretToken + `@example.org/x.git"}`, nil, exitUsage, []string{"distropack.yml:"}},
		"no URL":            {`git: {branch: gh-pages}`, nil, exitUsage, []string{"distropack.yml:", "url is missing"}},
		"squash of a tap":   {fmt.Sprintf(`tap: {url: %q, history: squash}`, host.URL), nil, exitUsage, []string{"squash"}},
		"two places":        {fmt.Sprintf(`git: {url: %q}`+"\n    bucket: {name: x}", host.URL), nil, exitUsage, []string{"a site for each place"}},
		"unknown key":       {fmt.Sprintf(`git: {url: %q, brunch: x}`, host.URL), nil, exitUsage, []string{`did you mean "branch"`}},
		"no bucket":         {fmt.Sprintf(`bucket: {name: nowhere, endpoint: %q, path-style: true}`, store.Endpoint), []string{"AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey}, exitFailed, []string{"nowhere"}},
		"wrong secret":      {fmt.Sprintf(`bucket: {name: %q, endpoint: %q, region: %q, path-style: true}`, store.Bucket, store.Endpoint, store.Region), []string{"AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=wrong-secret-key"}, exitFailed, []string{"secret"}},
		"large, no release": {fmt.Sprintf(`git: {url: %q}`+"\n    large: {to: release}", host.URL), nil, exitUsage, []string{"there is no release"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, "publish:\n  - site: public\n    url: https://example.org/hello\n    "+c.place+"\n", c.env...)
			got := s.refused(c.code, c.words...)
			for _, secret := range []string{secretToken, "wrong-token-here", "wrong-secret-key", store.SecretKey} {
				if strings.Contains(got, secret) {
					t.Errorf("a secret is shown: %s", got)
				}
			}
			if made, _ := filepath.Glob(filepath.Join(s.dir, "dist", "*.deb")); len(made) > 0 {
				t.Errorf("%q was built before", made)
			}
		})
	}
}

// What a place can't hold is refused before anything is published.
func TestWhatDoesNotFitIsRefused(t *testing.T) {
	host := gittest.Serve(t, gittest.Options{})
	s := newScript(t, fmt.Sprintf("publish:\n  - site: public\n    url: https://example.org/hello\n    git: {url: %q, max-file: 500}\n", host.URL))
	s.refused(exitUsage, "the place holds files up to 500", "large: {to: release}")
	s = newScript(t, fmt.Sprintf("publish:\n  - site: public\n    url: https://example.org/hello\n    git: {url: %q, max-total: 1kB}\n", host.URL))
	s.refused(exitFailed, "the place holds 1kB", "keep.versions")
	if got := gittest.Git(t, host.Dir, "for-each-ref"); got != "" {
		t.Errorf("something was published: %s", got)
	}
	s = newScript(t, fmt.Sprintf("publish:\n  - site: public\n    url: https://example.org/hello\n    git: {url: %q, max-total: 9kB}\n", host.URL))
	_, stderr, code := distropack(t, s.environ(), s.args()...)
	if code != 0 || !strings.Contains(stderr, "nothing more is published") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// Several projects share one tree, and one page shows them all.
func TestSeveralProjectsShareATree(t *testing.T) {
	host := gittest.Serve(t, gittest.Options{})
	publish := fmt.Sprintf(`publish:
  - site: shared
    name: org
    title: Packages of an organisation
    url: https://example.org/packages
    git: {url: %q}
    clients: [apt, dnf]
`, host.URL)
	a, b := newScript(t, publish), newScript(t, publish)
	config := filepath.Join(b.dir, "distropack.yml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	put(t, config, strings.NewReplacer("project: hello", "project: world", "name: hello", "name: world", "/usr/bin/hello", "/usr/bin/world").Replace(string(text)))
	a.release()
	b.release()
	page := host.Show(t, "gh-pages", "index.html")
	for _, want := range []string{"hello", "world", "Packages of an organisation"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	tip := host.Tip(t, "gh-pages")
	a.release("--resume=false")
	if host.Tip(t, "gh-pages") != tip {
		t.Error("the first project's release again changed the tree")
	}
	a.program("1.1.0")
	a.release()
	index := host.Show(t, "gh-pages", "dists/stable/main/binary-amd64/Packages")
	for _, want := range []string{"Package: hello\nVersion: 1.0.0", "Package: hello\nVersion: 1.1.0", "Package: world\nVersion: 1.0.0"} {
		if !strings.Contains(index, want) {
			t.Errorf("the index lacks %q:\n%s", want, index)
		}
	}
}

// Where others are faster each time, the program gives up with a code of its own,
// and what is published is theirs.
func TestAlwaysBeingSlowerHasItsOwnExitCode(t *testing.T) {
	var host *gittest.Server
	var moves atomic.Int64
	host = gittest.Serve(t, gittest.Options{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
				n := moves.Add(1)
				gittest.Import(t, host.Dir, func(w io.Writer) {
					after := ""
					if n > 1 {
						after = "from refs/heads/gh-pages^0\n"
					}
					fmt.Fprintf(w, "commit refs/heads/gh-pages\ncommitter Ann <ann@example.org> %d +0000\ndata 5\nother\n%sM 100644 inline other\ndata 1\n.\n", 1700000000+n, after)
				})
			}
			h.ServeHTTP(w, r)
		})
	}})
	s := newScript(t, fmt.Sprintf("publish:\n  - site: public\n    url: https://example.org/hello\n    git: {url: %q}\n    clients: [apt]\n", host.URL))
	var out, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &stderr, environ: append(os.Environ(), s.environ()...), now: time.Now(), pause: func(context.Context, int) error { return nil }}
	if code := a.main(t.Context(), s.args()); code != exitConflict || !strings.Contains(stderr.String(), "changed by another publish") {
		t.Errorf("exit %d, want %d: %s", code, exitConflict, stderr.String())
	}
	if moves.Load() != pipeline.Tries {
		t.Errorf("%d tries, want %d", moves.Load(), pipeline.Tries)
	}
	if got := strings.TrimSpace(host.Files(t, "gh-pages")); got != "other" {
		t.Errorf("the branch has %q", got)
	}
}
