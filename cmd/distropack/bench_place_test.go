package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

// remote is a project with a signed apt site, install page included, that lies in
// a branch or a bucket.
type remote struct {
	t       *testing.T
	dir     string // of distropack.yml
	key     string
	environ []string
}

// newRemote writes the project; place is the site's section that says where.
func newRemote(t *testing.T, place string, environ ...string) *remote {
	t.Helper()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{t: t, dir: t.TempDir(), environ: environ}
	r.key = filepath.Join(r.dir, "key")
	put(t, r.key, text)
	put(t, filepath.Join(r.dir, "bench.sh"), "#!/bin/sh\n")
	put(t, filepath.Join(r.dir, "distropack.yml"), `version: 1
project: bench
description: A tree that lies elsewhere
homepage: https://example.org/bench
license: MIT
maintainer: Ann Example <ann@example.org>
channels:
  stable: {tags: "v*"}
platforms: [linux/amd64]
packages:
  - name: bench
    contents:
      - {src: bench.sh, dst: /usr/bin/bench, mode: 0755}
publish:
  - site: public
    url: https://example.org/packages
    clients: [apt]
    `+place+"\n")
	return r
}

// open opens the tree as a process of its own would: nothing is known of the place
// yet.
func (r *remote) open(now time.Time) *tree {
	r.t.Helper()
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, environ: append(os.Environ(), r.environ...), now: now, dir: r.dir, config: "distropack.yml"}
	repo, err := a.repository(&repoFlags{key: r.key}, "public")
	if err != nil {
		r.t.Fatal(err)
	}
	if c, ok := repo.dst.(io.Closer); ok {
		r.t.Cleanup(func() { c.Close() })
	}
	return &tree{repo, r.t, r.key}
}

// first is the change that makes a tree of n packages of a size. It is not
// committed: to send them through a destination is not what is measured.
func (r *remote) first(n, size int) *publish.Change {
	r.t.Helper()
	tr := r.open(time.Now())
	tr.dst, tr.options.DryRun = new(publishtest.Mem), true
	return tr.publish(madeUp(r.t, n, size)).Change
}

// process measures distropack repo add: the time, and the most memory it held.
func (r *remote) process(program, name string) (time.Duration, int64) {
	r.t.Helper()
	return peak(r.t, r.dir, r.environ, program, "repo", "add", "public", name, "--key", r.key, "-q")
}

// madeUp are n packages, ten versions of each name. They say what a real one says
// of itself under another name, and each has other bytes, that do not compress.
func madeUp(t *testing.T, n, size int) []publish.Package {
	t.Helper()
	model, err := pipeline.Intake(context.Background(), formatsall.Kinds(), makeCorpus(t, "deb", 0).more[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	content := noise(uint64(n), size+n)
	var all []publish.Package
	for i := range n {
		m := *model[0].Meta
		m.Name, m.Version = fmt.Sprintf("package-%d", i/10), fmt.Sprintf("1.%d.0-1", i%10)
		m.Fields = slices.Clone(m.Fields)
		for k, f := range m.Fields {
			switch f.Key {
			case "Package":
				m.Fields[k].Value = m.Name
			case "Version":
				m.Fields[k].Value = m.Version
			}
		}
		all = append(all, publish.Package{Blob: formats.Bytes(content[i : i+size]), Meta: &m, Project: "bench", Version: m.Version})
	}
	return all
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// debs writes packages that are as large as their one file.
func debs(t *testing.T, size int, names ...string) []string {
	t.Helper()
	dir := t.TempDir()
	scratch := formats.NewScratch(t.TempDir())
	for i, name := range names {
		spec := &formats.Spec{
			Name: name, Version: "1.0.0", Time: time.Unix(1_750_000_000, 0), Summary: "A package that is added",
			Homepage: "https://example.org/" + name, License: "MIT", Maintainer: "Ann Example <ann@example.org>", Section: "utils",
		}
		content := []formats.File{{Path: "/usr/share/" + name, Type: formats.Regular, Mode: 0o644, Content: formats.Bytes(noise(uint64(1000+i), size))}}
		if err := writePackage("deb", scratch, dir, spec, formats.Platform{OS: "linux", Arch: "amd64"}, content); err != nil {
			t.Fatal(err)
		}
	}
	return glob(t, dir)
}

const (
	mega     = 1 << 20
	branch   = "gh-pages"
	baseSize = 300_000_000 // of all packages in a branch
)

// newBranch is a repository whose branch holds n packages of ours.
func newBranch(t *testing.T, n int) (*gittest.Server, *remote) {
	t.Helper()
	s := gittest.Serve(t, gittest.Options{})
	r := newRemote(t, "git: {url: "+s.URL+"}")
	c := r.first(n, baseSize/n)
	gittest.Import(t, s.Dir, func(w io.Writer) {
		fmt.Fprintf(w, "commit refs/heads/%s\ncommitter a <a@example.org> 1000000000 +0000\ndata 2\nx\n", branch)
		for _, f := range c.Put {
			b, err := formats.ReadAll(f.Blob)
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n", f.Path, len(b))
			w.Write(b)
			io.WriteString(w, "\n")
		}
	})
	unix.Sync()
	return s, r
}

// addToBranch adds packages of 1 MB one by one, each as from a new process. It
// returns the median, and the most that went over the wire besides a package.
func addToBranch(t *testing.T, s *gittest.Server, r *remote, names []string) (took time.Duration, over int64) {
	t.Helper()
	var trees []*tree
	for range names {
		trees = append(trees, r.open(time.Now()))
	}
	took = median(len(names), func(i int) {
		before := s.In.Load() + s.Out.Load()
		res := trees[i].add(names[i])
		if len(res.Added) != 1 {
			t.Fatalf("%d packages were added, want 1", len(res.Added))
		}
		over = max(over, s.In.Load()+s.Out.Load()-before-res.Added[0].Size)
	})
	return took, over
}

// cloneAndPush adds a file of 1 MB as people do by hand, without an index.
func cloneAndPush(t *testing.T, s *gittest.Server, times int) time.Duration {
	t.Helper()
	return median(times, func(i int) {
		dir := filepath.Join(t.TempDir(), "clone")
		gittest.Git(t, "", "clone", "-q", "--depth", "1", "--branch", branch, s.URL, dir)
		put(t, filepath.Join(dir, "pool", "main", "b", "by-hand", fmt.Sprintf("by-hand_1.%d.0-1_amd64.deb", i)), string(noise(uint64(5000+i), mega)))
		gittest.Git(t, dir, "add", "-A")
		gittest.Git(t, dir, "commit", "-q", "-m", "add")
		gittest.Git(t, dir, "push", "-q")
	})
}

func benchGit(t *testing.T, r *results) {
	needs(t, "git")
	ours := built(t)
	names := make([]string, 7)
	for i := range names {
		names[i] = fmt.Sprintf("added-%d", i)
	}
	packages := debs(t, mega, names...)
	large := debs(t, 90_000_000, "large")[0]

	s, few := newBranch(t, 3000)
	at3000, over := addToBranch(t, s, few, packages[:5])
	whole, memory := few.process(ours, packages[5])
	r.compare("git: add 1 MB to 3,000 files, 300 MB", at3000, "git clone, commit, push", cloneAndPush(t, s, 3), 0.1)
	r.bound("the same: traffic besides the package", fmt.Sprintf("%d KiB", over>>10), "<= 1024 KiB", over <= mega)
	r.bound("the same: peak memory", fmt.Sprintf("%d MiB", memory>>20), "<= 64 MiB", memory <= 64<<20)
	_, memory = few.process(ours, large)
	if files := s.Files(t, branch); strings.Count(files, "/added-") < 6 || strings.Count(files, "/by-hand_") != 3 || !strings.Contains(files, "/large_1.0.0") {
		t.Error("the branch lacks what was added")
	}
	r.bound("git: push of 90 MB, peak memory", fmt.Sprintf("%d MiB", memory>>20), "<= 150 MiB", memory <= 150<<20)

	s, many := newBranch(t, 30_000)
	at30000, over := addToBranch(t, s, many, packages[:5])
	command, memory := many.process(ours, packages[5])
	r.compare("git: add 1 MB to 30,000 files, against ours at 3,000", at30000, "at 3,000", at3000, 3)
	r.compare("git: the same, against a clone", at30000, "git clone, commit, push", cloneAndPush(t, s, 3), 0)
	r.note("git: at 30,000 files %d KiB besides the package and %d MiB at the peak", over>>10, memory>>20)
	r.note("git: the whole command repo add took %s at 3,000 files and %s at 30,000", seconds(whole), seconds(command))
	r.note("git: ours reads, renders and signs apt's indexes and an install page; by hand no index is made; git http-backend on this machine, no network")
}

func benchBucket(t *testing.T, r *results) {
	s := buckettest.Serve(t)
	m := newRemote(t, "bucket: {name: "+s.Bucket+", endpoint: "+s.Endpoint+", region: "+s.Region+", path-style: true}", "AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey)
	c := m.first(thousands, 1000)
	c.Put = slices.DeleteFunc(c.Put, func(f publish.File) bool { return strings.HasPrefix(f.Path, "pool/") }) // nobody looks at them
	if _, err := m.open(time.Now()).dst.Commit(context.Background(), "", c); err != nil {
		t.Fatal(err)
	}
	// Generations go when a day is over, so a publish a day deletes as much as it
	// puts from the fifth on.
	const days = 6
	var names []string
	for i := range days {
		names = append(names, fmt.Sprintf("added-%d", i))
	}
	packages := debs(t, mega, names...)
	var first string
	took := make([]time.Duration, 0, days)
	for day := range days {
		tr := m.open(time.Now().Add(time.Duration(day*25) * time.Hour))
		s.On(nil)
		start := time.Now()
		res := tr.add(packages[day])
		took = append(took, time.Since(start))
		requests := s.Requests()
		puts := 0
		for _, q := range requests {
			if strings.HasPrefix(q, "PUT ") {
				puts++
			}
		}
		put, gone := len(res.Change.Put), len(res.Change.Delete)
		said := fmt.Sprintf("%d for %d put, %d deleted", len(requests), put, gone)
		if day == 0 {
			first = said
		}
		if day == days-1 {
			r.bound("bucket: add 1 to 10,000, requests, a publish a day", said, "<= objects + 4", len(requests) <= put+gone+4)
			r.note("bucket: %d of those requests put objects: the change's, the stage and the bucket's notes; %d read or delete; the first publish, with nothing to delete, made %s", puts, len(requests)-puts, first)
		}
	}
	slices.Sort(took)
	r.note("bucket: a publish took %s with versitygw on this machine, no network", seconds(took[len(took)/2]))
}

func benchVerify(t *testing.T, r *results) {
	const size = 100_000
	ours := built(t)
	tr := newTree(t, "apt")
	tr.publish(madeUp(t, thousands, size))
	unix.Sync()
	verify := func(depth string) time.Duration {
		return median(5, func(int) {
			peer(t, "", nil, ours, "verify", tr.dir, "--packages", depth)
		})
	}
	// What is slow without reading packages is told apart.
	shallow, deep := verify("sizes"), verify("hashes")
	if said := must(t, nil, "verify", tr.dir, "--packages", "hashes"); !strings.Contains(said, fmt.Sprint(thousands)) {
		t.Errorf("verify did not look at all packages:\n%s", said)
	}
	rate := float64(thousands*size) / deep.Seconds() / 1e9
	r.bound("verify: 10,000 packages, 1 GB on disk, all read", fmt.Sprintf("%.2f GB/s (%s)", rate, seconds(deep)), ">= 1 GB/s", rate >= 1)
	r.note("verify: files are in the page cache; %s without reading packages; both with the command's start", seconds(shallow))
}
