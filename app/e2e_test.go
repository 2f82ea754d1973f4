package app

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

const project = `version: 1
project: hello
description: Says hello
homepage: https://hello.example.org
license: MIT
maintainer: Ann <ann@example.org>
packages:
  - formats: [deb, rpm, arch, apk, ipk, tar.gz]
    contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
publish:
  - site: public
    url: PAGES
    git: {url: "GIT/acme/hello.git"}
github: {}
`

// host is a git host with acme/hello, and its Pages.
type host struct {
	*gittest.Server
	web, pages *httptest.Server
}

func (w *world) host() *host {
	w.t.Helper()
	publishtest.Need(w.t, "git")
	h := &host{Server: gittest.Serve(w.t, gittest.Options{})}
	gittest.Git(w.t, h.Dir, "symbolic-ref", "HEAD", "refs/heads/main")
	to, err := url.Parse(h.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.Path, p.Out.URL.RawPath = to.Scheme, to.Host, to.Path+strings.TrimPrefix(p.In.URL.Path, "/acme/hello.git"), ""
	}}
	h.web = httptest.NewServer(proxy)
	w.t.Cleanup(h.web.Close)
	h.pages = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		cmd := exec.Command("git", "show", "gh-pages:"+name)
		cmd.Dir = h.Dir
		b, err := cmd.Output()
		if err != nil {
			http.NotFound(rw, r)
			return
		}
		kind := mime.TypeByExtension(path.Ext(name))
		if kind == "" {
			kind = "application/octet-stream"
		}
		rw.Header().Set("Content-Type", kind)
		http.ServeContent(rw, r, "", time.Time{}, strings.NewReader(string(b)))
	}))
	w.t.Cleanup(h.pages.Close)
	return h
}

// release commits a project, tags it and waits for the end of the check run, which it
// returns with the time that took.
func (w *world) release(h *host, tag string) (githubtest.CheckRun, time.Duration) {
	w.t.Helper()
	files := map[string]string{
		"distropack.yml": strings.NewReplacer("PAGES", h.pages.URL, "GIT", h.web.URL).Replace(project),
		"hello.sh":       "#!/bin/sh\necho hello " + tag + "\n",
	}
	at := time.Now().Add(-time.Minute)
	from := ""
	if tip := h.Tip(w.t, "main"); tip != "" {
		from = "from " + tip + "\n"
	}
	gittest.Import(w.t, h.Dir, func(out io.Writer) {
		fmt.Fprintf(out, "commit refs/heads/main\ncommitter Ann <ann@example.org> %d +0000\ndata 4\nwork\n%sdeleteall\n", at.Unix(), from)
		for name, text := range files {
			fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
	})
	sha := h.Tip(w.t, "main")
	w.repo.Import(sha, at, files)
	gittest.Git(w.t, h.Dir, "tag", "-f", tag, sha)
	began := time.Now()
	w.repo.PushTag(tag, sha)
	var run githubtest.CheckRun
	until(w.t, "the check of "+tag+" is completed", func() bool {
		for _, c := range w.repo.Checks() {
			if c.HeadSHA == sha && c.Status == "completed" {
				run = c
				return true
			}
		}
		return false
	})
	return run, time.Since(began)
}

// Webhook in, packages out: the whole server with its signer and its packers in their
// sandbox, on both databases, and once more after a restart.
func TestATagIsPublished(t *testing.T) {
	if _, err := sandbox.Probe(t.Context()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	each(t, func(t *testing.T, w *world, database string) {
		h := w.host()
		with := func(o *Options) { o.Database, o.Git, o.Sandbox = database, h.web.URL, "" }
		r := w.start(with)
		w.double.Hook(r.url + "/hook")
		scope := vault.InstallationScope(w.in.ID)
		if err := (&keys{store: r.store, signer: r.signer}).Import(t.Context(), scope, "main", []byte(smallKey()), ""); err != nil {
			t.Fatal(err)
		}
		watched := watchPackers(t)
		for i, tag := range []string{"v1.0.0", "v1.1.0"} {
			if i == 1 {
				r.end()
				r = w.start(with)
				w.double.Hook(r.url + "/hook")
			}
			run, took := w.release(h, tag)
			if run.Conclusion != "success" {
				t.Fatalf("%s: %s: %s\n%s\n%s\n%s", tag, run.Conclusion, run.Title, run.Summary, run.Text, w.log)
			}
			t.Logf("%s: from the webhook to the check's success %v", tag, took)
			version := strings.TrimPrefix(tag, "v")
			branch := h.Files(t, "gh-pages")
			for _, name := range []string{
				"dists/stable/InRelease", "pool/main/h/hello/hello_" + version + "-1_amd64.deb", "rpm/stable/repodata/repomd.xml", "install.sh", "install.json", "index.html",
			} {
				if !strings.Contains("\n"+branch, "\n"+name+"\n") {
					t.Errorf("%s is not in the branch:\n%s", name, branch)
				}
			}
			if text := h.Show(t, "gh-pages", "dists/stable/InRelease"); !strings.Contains(text, "-----BEGIN PGP SIGNATURE-----") {
				t.Errorf("InRelease is not signed:\n%s", text)
			}
			var assets int
			for _, rel := range w.repo.Releases() {
				if rel.Tag == tag && !rel.Draft {
					assets = len(rel.Assets)
				}
			}
			if assets < 6 {
				t.Errorf("the GitHub release of %s has %d files", tag, assets)
			}
			if !strings.HasPrefix(run.DetailsURL, r.url+"/repositories/") {
				t.Errorf("the check leads to %s", run.DetailsURL)
			}
		}
		if seen := watched(); seen < 2 {
			t.Errorf("saw %d packers, so nothing is known of them", seen)
		}
		// What people see of it.
		w.hub.Person("ada").May("admin", w.repo)
		w.hub.SignIn("ada")
		w.double.Callbacks(r.url + "/signin/github")
		c := browser(t)
		visit(t, c, r.url+"/signin")
		if page := visit(t, c, r.url+"/acme/hello"); !strings.Contains(page, "v1.1.0") || !strings.Contains(page, "v1.0.0") {
			t.Errorf("the page of the repository is\n%s", page)
		}
		if _, text := r.get("/metrics"); !strings.Contains(text, `distropack_releases{state="done"} 2`) || !strings.Contains(text, "distropack_github_requests_left{installation=") {
			t.Errorf("metrics:\n%s", text)
		}
		// Each signature is in the log, and the log is whole.
		log, err := r.store.PublishLog(t.Context(), w.repo.ID(), 0, 0)
		if err != nil || len(log) == 0 {
			t.Fatalf("%d entries, %v", len(log), err)
		}
		signed := 0
		for _, e := range log {
			if e.Kind == "signature" && strings.HasPrefix(e.Release, "rel:") && len(e.Digest) == 64 {
				signed++
			}
		}
		if _, _, err := r.store.VerifyPublishLog(t.Context()); signed < 10 || err != nil {
			t.Errorf("%d signatures of %d entries, %v", signed, len(log), err)
		}
		all, err := r.store.Releases(t.Context(), store.ReleaseFilter{Repository: w.repo.ID()})
		if err != nil || len(all) != 2 {
			t.Errorf("%d releases, %v", len(all), err)
		}
		for _, secret := range []string{"PRIVATE KEY", w.double.WebhookSecret, w.double.ClientSecret, "ghs_"} {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
		r.end()
		for _, dir := range []string{r.workFolder(), r.tempFolder()} {
			if left, _ := publishtest.Tool(t, nil, "find", dir, "-type", "f"); strings.TrimSpace(left) != "" {
				t.Errorf("files are left:\n%s", left)
			}
		}
	})
}

// watchPackers looks at all packers of this process until the function that it returns
// is called, which says how many there were. They may know nothing of the server.
func watchPackers(t *testing.T) func() int {
	t.Helper()
	const hidden = "the-environment-of-the-server"
	t.Setenv("DISTROPACK_APP_CLIENT_SECRET", hidden)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		seen := make(map[string]bool)
		defer func() { done <- len(seen) }()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			all, _ := filepath.Glob("/proc/[0-9]*")
			for _, dir := range all {
				line, err := os.ReadFile(dir + "/cmdline")
				// The packer itself, and not what starts it.
				if err != nil || !strings.HasSuffix(string(line), ".test\x00"+packer.Command+"\x00") && !strings.HasSuffix(string(line), "/program\x00"+packer.Command+"\x00") || strings.Count(string(line), "\x00") != 2 {
					continue
				}
				if pid, _ := strconv.Atoi(filepath.Base(dir)); !below(pid, os.Getpid()) {
					continue // of another test
				}
				env, err := os.ReadFile(dir + "/environ")
				if err != nil {
					continue // it has ended
				}
				seen[dir] = true
				if len(env) > 0 {
					t.Errorf("a packer has the environment %q", env)
				}
				if strings.Contains(string(line), hidden) {
					t.Errorf("a packer has the arguments %q", line)
				}
			}
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}

// below says whether a process descends from another.
func below(pid, ancestor int) bool {
	for pid > 1 {
		if pid == ancestor {
			return true
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, ok := strings.Cut(string(text), ") ") // behind the name, which may be anything
		f := strings.Fields(rest)
		if err != nil || !ok || len(f) < 2 {
			return false
		}
		pid, _ = strconv.Atoi(f[1])
	}
	return false
}
