package verify

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

func TestMain(m *testing.M) { os.Exit(publishtest.Main(m)) }

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// newKey makes a key that ends a year after now.
func newKey() (*keys.Key, error) {
	return keys.New("Test", "test@example.org", now.AddDate(-1, 0, 0), nil, keys.NewOptions{Bits: 3072, Expires: 2 * 365 * 24 * time.Hour})
}

var (
	testKey  = sync.OnceValues(newKey)
	otherKey = sync.OnceValues(newKey)
)

const config = `version: 1
project: hello
description: Greets
maintainer: Ann Example <ann@example.org>
license: MIT
channels:
  stable: {tags: "v*"}
  beta: {tags: "v*", prereleases: true}
platforms: [linux/amd64, darwin/arm64]
packages:
  - contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
  - name: hello-data
    contents: [{src: hello.sh, dst: /usr/share/hello/data}]
publish:
  - site: public
    url: %s
    apt: {valid-for: 720h}
`

const address = "https://example.org/hello"

// publishVersion publishes a version of a project with every format and repository.
func publishVersion(t testing.TB, dst publish.Destination, url, version string, at time.Time, key func() (*keys.Key, error)) {
	t.Helper()
	publishProject(t, dst, fmt.Sprintf(config, url), version, at, key)
}

// publishProject publishes a version of what a distropack.yml describes.
func publishProject(t testing.TB, dst publish.Destination, config, version string, at time.Time, key func() (*keys.Key, error)) {
	t.Helper()
	env := pipeline.Env{
		Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Now: at, Tool: "test",
		Lookup: func(string) (string, bool) { return "", false },
		Open:   func(string) (publish.Destination, error) { return dst, nil },
	}
	job := pipeline.Job{
		Files:  fstest.MapFS{"distropack.yml": {Data: []byte(config)}, "hello.sh": {Data: []byte("#!/bin/sh\necho " + version + "\n"), Mode: 0o755}},
		Config: "distropack.yml", Out: t.TempDir(), Release: pipeline.Release{Tag: "v" + version, Version: version, Time: at}, Unsigned: key == nil,
	}
	if key != nil {
		k, err := key()
		if err != nil {
			t.Fatal(err)
		}
		env.Key = k.Bundle()
	}
	if _, err := pipeline.Run(context.Background(), env, job); err != nil {
		t.Fatal(err)
	}
}

// generations are the files of a tree after 1.0.0 and, two days later, after
// 1.1.0.
var generations = sync.OnceValue(func() *[2]map[string][]byte { return new([2]map[string][]byte) })

var generationsMade sync.Mutex

func generation(t testing.TB, i int) map[string][]byte {
	t.Helper()
	generationsMade.Lock()
	defer generationsMade.Unlock()
	g := generations()
	if g[0] == nil {
		m := new(publishtest.Mem)
		publishVersion(t, m, address, "1.0.0", now, testKey)
		g[0] = m.Files()
		publishVersion(t, m, address, "1.1.0", now.Add(48*time.Hour), testKey)
		g[1] = m.Files()
	}
	return maps.Clone(g[i])
}

// later is when trees of generation 1 are looked at.
var later = now.Add(49 * time.Hour)

// mapFS makes a file system of a tree.
func mapFS(files map[string][]byte) fstest.MapFS {
	m := make(fstest.MapFS)
	for p, b := range files {
		m[p] = &fstest.MapFile{Data: b, Mode: 0o644}
	}
	return m
}

// see looks at files as a place that can be listed.
func see(t testing.TB, files map[string][]byte, o Options) *Report {
	t.Helper()
	if o.Fetch == nil {
		o.Fetch = FS(mapFS(files))
	}
	if o.Now.IsZero() {
		o.Now = later
	}
	rep, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// codeOf is a finding without its text: "error apt hash dists/…".
func codeOf(f Finding) string {
	return strings.Join([]string{string(f.Severity), f.Client, f.Code, f.Path}, " ")
}

// expect compares findings with those that a test expects, each named once by its
// code, or by that and ": " and a part of its text.
func expect(t *testing.T, rep *Report, want ...string) {
	t.Helper()
	var got, codes []string
	for _, f := range rep.Findings {
		got = append(got, codeOf(f))
	}
	wrong := false
	for _, w := range want {
		code, text, _ := strings.Cut(w, ": ")
		codes = append(codes, code)
		wrong = wrong || !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return codeOf(f) == code && strings.Contains(f.Text, text) })
	}
	slices.Sort(got)
	slices.Sort(codes)
	if wrong || !slices.Equal(slices.Compact(got), slices.Compact(codes)) {
		t.Errorf("findings:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		for _, f := range rep.Findings {
			t.Log(f)
		}
	}
}

// flip changes a byte, counted from the end where at is negative.
func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	return b
}

// serve serves files as a web server does.
func serve(t testing.TB, files func() map[string][]byte, header func(w http.ResponseWriter, p string)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p := strings.TrimPrefix(req.URL.Path, "/")
		b, ok := files()[p]
		if !ok {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if header != nil {
			header(w, p)
		}
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(b)))
	}))
	t.Cleanup(s.Close)
	return s
}

// put writes a tree to a directory.
func put(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for p, b := range files {
		name := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// open opens a directory for a test.
func open(t testing.TB, dir string) *Directory {
	t.Helper()
	d, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// unsigned is a tree that was published without a key.
func unsigned(t testing.TB) map[string][]byte {
	t.Helper()
	m := new(publishtest.Mem)
	publishVersion(t, m, address, "1.0.0", now, nil)
	return m.Files()
}
