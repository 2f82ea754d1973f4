//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/formats/rpm"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

// gathering is a tree that many publishers want to change at once, each for
// another package.
type gathering struct {
	published atomic.Bool // all of it

	project string
	key     string
	env     []string
	edits   []publish.Edit // the first is published before the others meet
	names   []string       // their packages
}

// newGathering writes a project whose site lies where place says, and makes the
// packages of n publishers, and one more.
func newGathering(t *testing.T, n int, url, place string, env ...string) *gathering {
	t.Helper()
	text, err := otherKey() // the smaller one: hundreds of trees are signed
	if err != nil {
		t.Fatal(err)
	}
	g := &gathering{project: t.TempDir(), key: filepath.Join(t.TempDir(), "key"), env: append(os.Environ(), env...)}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	g.env = append(g.env, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at.Unix())) // a release is dated by its commit
	config := `version: 1
project: hello
title: Hello
description: Many packages
license: MIT
maintainer: Ann Example <ann@example.org>
platforms: [linux/amd64]
packages:
  - name: guest
    formats: [deb, rpm, arch]
    contents:
      - {src: distropack.yml, dst: /usr/share/guest}
publish:
  - site: public
    url: ` + url + `
    clients: [apt, dnf, pacman]
` + place
	for name, text := range map[string]string{filepath.Join(g.project, "distropack.yml"): config, g.key: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := keys.Open("hello", map[string]keys.Secret{plan.PackageKey: keys.NewSecret(text)}, keys.Options{Now: time.Now(), At: at})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for i := range n + 1 {
		name := fmt.Sprintf("guest-%02d", i)
		var edit publish.Edit
		for _, kind := range []formats.Kind{deb.Kind(), rpm.Kind(), arch.Kind()} {
			f, err := kind.New(formats.NoSection, formats.Env{Keys: ring, Key: plan.PackageKey, Scratch: formats.NewScratch(work)})
			if err != nil {
				t.Fatal(err)
			}
			spec := formats.Spec{Name: name, Version: "1.0.0", Release: "1", Summary: "One of many", License: "MIT", Maintainer: "Ann <ann@example.org>", Time: at}
			file := formats.File{Path: "/usr/share/" + name, Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte(name + "\n"))}
			p, _ := packageFile(t, f, &spec, file, filepath.Join(work, kind.Name+name), ring)
			p.Project = name
			edit.Add = append(edit.Add, publish.Addition{Package: p, Channels: []string{"stable"}})
		}
		g.edits, g.names = append(g.edits, edit), append(g.names, name)
	}
	return g
}

// open opens the tree as a process of its own would: with its own keys and its own
// connection to the place.
func (g *gathering) open(now time.Time) (*repository, error) {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, environ: g.env, now: now, dir: g.project, config: "distropack.yml"}
	return a.repository(&repoFlags{key: g.key, site: "public"}, g.project)
}

// start publishes the first package, so that there is something to read.
func (g *gathering) start(t *testing.T) {
	t.Helper()
	r, err := g.open(time.Now())
	if err == nil {
		_, err = publish.Publish(t.Context(), r.dst, r.site.Plan.Repos, g.edits[0], r.options)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// met is a destination whose publisher waits, after its first look, until all
// others have looked, too.
type met struct {
	publish.Destination
	once    sync.Once
	arrived func()
}

func (m *met) Head(ctx context.Context) (string, error) {
	head, err := m.Destination.Head(ctx)
	m.once.Do(m.arrived)
	return head, err
}

// meet lets all others publish at once and returns how often each tried.
func (g *gathering) meet(t *testing.T) (tries []int) {
	t.Helper()
	start := time.Now()
	guests := g.edits[1:]
	var all, wg sync.WaitGroup
	all.Add(len(guests))
	var mu sync.Mutex
	for i, edit := range guests {
		wg.Go(func() {
			r, err := g.open(time.Now())
			if err != nil {
				all.Done()
				t.Error(err)
				return
			}
			dst := &met{Destination: r.dst, arrived: func() { all.Done(); all.Wait() }}
			res, err := publish.Publish(t.Context(), dst, r.site.Plan.Repos, edit, r.options)
			if c, ok := r.dst.(io.Closer); ok {
				err = errors.Join(err, c.Close())
			}
			if err != nil {
				t.Errorf("%s: %v", g.names[i+1], err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, res.Tries)
		})
	}
	wg.Wait()
	slices.Sort(tries)
	if len(tries) > 0 {
		sum := 0
		for _, n := range tries {
			sum += n
		}
		t.Logf("%d publishers took %.1f s and %d tries; half of them at most %d, the last %d", len(tries), time.Since(start).Seconds(), sum, tries[len(tries)/2], tries[len(tries)-1])
		if sum < len(guests)*2 {
			t.Errorf("%d tries of %d publishers: they did not meet", sum, len(guests))
		}
	}
	return tries
}

// whole checks that nothing was lost.
func (g *gathering) whole(t *testing.T) {
	t.Helper()
	r, err := g.open(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v, err := publish.Read(t.Context(), r.dst, r.site.Plan.Repos, r.options.Verify)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(g.edits); v.Serial != int64(want) || v.Count() != 3*want {
		t.Errorf("%d changes and %d packages, want %d and %d", v.Serial, v.Count(), want, 3*want)
	}
	if err := publish.Check(t.Context(), r.dst, r.site.Plan.Repos, r.options.Verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// reader is a client that updates all the time.
type reader struct {
	name   string
	update func() (out string, err error)
	names  func() ([]string, error) // of the packages that it knows
	torn   bool                     // a signature can be of another publish than its file

	updates, met int // met a torn pair
}

// again updates once. It may fail for a torn pair only, and then has to work soon.
func (r *reader) again() error {
	for row := 0; ; row++ {
		out, err := r.update()
		r.updates++
		if err == nil {
			return nil
		}
		if !r.torn || row == 30 || !tornWords.MatchString(out) {
			return fmt.Errorf("%s, update %d: %w\n%s", r.name, r.updates, err, out)
		}
		r.met++
	}
}

// readersOf are apt, dnf and pacman. url gives each its own address of the tree, and
// look is called before each update.
func (g *gathering) readersOf(t *testing.T, torn bool, address string, url func(client string) string, look func(client string) error) []*reader {
	t.Helper()
	publishtest.Need(t, "apt-get", "dnf", "rpm", "pacman", "pacman-key", "gpg")
	for _, c := range []string{"apt", "dnf", "pacman"} {
		if err := look(c); err != nil {
			t.Fatal(err)
		}
	}
	k := newClone(t, "dnf", "rpm", "pacman", "pacman-key", "gpg")
	k.rpms()
	k.arch(&published{url: url("pacman")})
	k.must("rpm", "--import", url("dnf")+"/keys/hello.asc")
	here, err := newAptHere(url("apt"), t.TempDir(), "hello")
	if err != nil {
		t.Fatal(err)
	}
	k.fetch(url("dnf")+"/rpm/hello.repo", "/tmp/dnf/repos/hello.repo")
	k.write("/tmp/dnf/repos/hello.repo", strings.ReplaceAll(k.read("/tmp/dnf/repos/hello.repo"), address, url("dnf")))
	dnf := []string{"-y", "--setopt=reposdir=/tmp/dnf/repos", "--setopt=cachedir=/tmp/dnf/cache", "--setopt=persistdir=/tmp/dnf/persist", "--setopt=retries=1"}
	k.must("mkdir", "-p", "/tmp/pacman/db", "/tmp/pacman/cache")
	k.write("/tmp/pacman/conf", "[options]\nArchitecture = auto\nDBPath = /tmp/pacman/db\nCacheDir = /tmp/pacman/cache\nSigLevel = Never\n[hello]\nSigLevel = Required\nServer = "+url("pacman")+"/arch/$arch\n")
	fields := func(out string, err error) ([]string, error) { return strings.Fields(out), err }
	return []*reader{
		{name: "apt", update: func() (string, error) {
			if err := look("apt"); err != nil {
				return "", err
			}
			out, err := here.run("update", "--error-on=any")
			if m := complaint.FindString(out); m != "" && err == nil {
				err = errors.New(m)
			}
			return out, err
		}, names: func() ([]string, error) { return fields(here.tool("apt-cache", "pkgnames")) }},
		{name: "dnf", torn: torn, update: func() (string, error) {
			if err := look("dnf"); err != nil {
				return "", err
			}
			return k.run("dnf", append(dnf, "--refresh", "makecache")...)
		}, names: func() ([]string, error) {
			return fields(k.run("dnf", append(dnf, "-C", "-q", "repoquery", "--qf", "%{name}")...))
		}},
		{name: "pacman", torn: torn, update: func() (string, error) {
			if err := look("pacman"); err != nil {
				return "", err
			}
			// HTTP's dates are of whole seconds: of two publishes in one second pacman
			// takes the second for the first that it has. Who looks at the end asks anew.
			refresh := "-Sy"
			if g.published.Load() {
				refresh = "-Syy"
			}
			return k.run("pacman", "--noconfirm", "--config", "/tmp/pacman/conf", refresh)
		}, names: func() ([]string, error) {
			return fields(k.run("pacman", "--config", "/tmp/pacman/conf", "-Slq", "hello"))
		}},
	}
}

// readWhile has clients read while f runs, and counts what they see after it.
func (g *gathering) readWhile(t *testing.T, readers []*reader, f func()) {
	t.Helper()
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		// One after another: all at once they would leave publishers no time.
		for last := false; !last && !t.Failed(); {
			last = done.Load() // once more when all is published
			for _, r := range readers {
				if err := r.again(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	f()
	g.published.Store(true)
	done.Store(true)
	wg.Wait()
	for _, r := range readers {
		t.Logf("%s updated %d times, %d times with a torn pair", r.name, r.updates, r.met)
		got, err := r.names()
		slices.Sort(got)
		if err != nil || !slices.Equal(got, g.names) {
			t.Errorf("%s sees %d packages, want %d: %v %q", r.name, len(got), len(g.names), err, got)
		}
		if r.updates < 3 {
			t.Errorf("%s updated %d times: too few to have seen anything", r.name, r.updates)
		}
	}
}

// commits serves a branch, as it was when each client looked last: the first part of
// a path is the client.
type commits struct {
	dir, branch string

	mu   sync.Mutex
	seen map[string]string
}

func (c *commits) look(client string) error {
	out, err := c.git("rev-parse", "refs/heads/"+c.branch)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[client] = strings.TrimSpace(string(out))
	return nil
}

func (c *commits) git(args ...string) ([]byte, error) {
	cmd := exec.Command("git", append([]string{"-C", c.dir, "-c", "safe.directory=*"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, said.Bytes())
	}
	return out, err
}

func (c *commits) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	client, path, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/")
	c.mu.Lock()
	commit := c.seen[client]
	c.mu.Unlock()
	b, err := c.git("cat-file", "blob", commit+":"+path)
	if err != nil {
		http.NotFound(w, q)
		return
	}
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(b))
}

// guests is how many publish at once.
const guests = 50

func TestManyPublishersToABranch(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{Token: "let-me-in"})
	c := &commits{dir: s.Dir, branch: "gh-pages", seen: make(map[string]string)}
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	g := newGathering(t, guests, web.URL+"/tree", "    git: {url: \""+s.URL+"\"}\n", "DISTROPACK_GIT_TOKEN=let-me-in")
	g.start(t)
	readers := g.readersOf(t, false, web.URL+"/tree", func(client string) string { return web.URL + "/" + client }, c.look)
	g.readWhile(t, readers, func() { g.meet(t) })
	g.whole(t)
	if n := strings.TrimSpace(gittest.Git(t, s.Dir, "rev-list", "--count", "gh-pages")); n != "1" {
		t.Errorf("the branch has %s commits, want 1", n)
	}
}

func TestPublishersKeepOneLinearHistory(t *testing.T) {
	publishtest.Need(t, "git")
	const n = 12
	s := gittest.Serve(t, gittest.Options{Token: "let-me-in"})
	g := newGathering(t, n, "http://127.0.0.1:8008", "    git: {url: \""+s.URL+"\", history: keep}\n", "DISTROPACK_GIT_TOKEN=let-me-in")
	g.start(t)
	g.meet(t)
	g.whole(t)
	parents := strings.Split(strings.TrimSpace(gittest.Git(t, s.Dir, "rev-list", "--parents", "gh-pages")), "\n")
	if len(parents) != n+1 {
		t.Errorf("the branch has %d commits, want %d", len(parents), n+1)
	}
	for i, line := range parents {
		ids := strings.Fields(line)
		if last := i == len(parents)-1; last != (len(ids) == 1) || len(ids) > 2 {
			t.Errorf("commit %s has %d parents", ids[0], len(ids)-1)
		}
	}
}

func TestManyPublishersToABucket(t *testing.T) {
	s := buckettest.Serve(t)
	public := s.Public + "/crowd"
	g := newGathering(t, guests, public, "    bucket: {name: "+s.Bucket+", endpoint: \""+s.Endpoint+"\", prefix: crowd, path-style: true}\n",
		"AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey, "AWS_REGION="+s.Region)
	g.start(t)
	readers := g.readersOf(t, true, public, func(string) string { return public }, func(string) error { return nil })
	g.readWhile(t, readers, func() { g.meet(t) })
	g.whole(t)
}

// Who began a little earlier can build on what a later one signed.
func TestAPublisherThatBeganEarlierComesInToo(t *testing.T) {
	s := gittest.Serve(t, gittest.Options{})
	g := newGathering(t, 2, "http://127.0.0.1:8008", "    git: {url: \""+s.URL+"\"}\n")
	var env []string
	for _, e := range g.env {
		if !strings.HasPrefix(e, "SOURCE_DATE_EPOCH=") {
			env = append(env, e)
		}
	}
	g.env = env
	now := time.Now()
	for i, at := range []time.Time{now, now.Add(2 * time.Second), now.Add(time.Second)} {
		r, err := g.open(at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publish.Publish(t.Context(), r.dst, r.site.Plan.Repos, g.edits[i], r.options); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}
