package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/formats/rpm"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
	"github.com/distropack/distropack/publish/repo/dnf"
	"github.com/distropack/distropack/publish/repo/pacman"
)

// many is how many packages the indexes of the counts have: some dozens of pages,
// each compressed on its own.
const many = 3000

// crowd publishes copies of one package under many names.
type crowd struct {
	t      *testing.T
	tree   *publishtest.Mem
	repo   publish.Repo
	model  *formats.Meta
	url    string
	names  []string
	serial int64
}

// newCrowd serves a tree of the repository of kind, whose packages are made by
// format.
func newCrowd(t *testing.T, kind publish.RepoKind, format formats.Kind, compression string) *crowd {
	t.Helper()
	f, err := format.New(formats.NoSection, formats.Env{Keys: keyring(t), Key: plan.PackageKey})
	if err != nil {
		t.Fatal(err)
	}
	spec := &formats.Spec{Name: "filler", Version: "1.0", Release: "1", Summary: "One of many", License: "MIT", Maintainer: "Ann <ann@example.org>", Time: time.Unix(1780000000, 0)}
	files := []formats.File{{Path: "/usr/share/filler/data", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\n"))}}
	var b bytes.Buffer
	if err := f.Write(t.Context(), &b, spec, formats.All, files); err != nil {
		t.Fatal(err)
	}
	m, err := f.Describe(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, tree: &publishtest.Mem{}, model: m}
	env := repoEnv(t)
	if c.repo, err = kind.New(compressed(compression), env); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := c.tree.Read(strings.TrimPrefix(r.URL.Path, "/"))
		if b == nil {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// compressed is a section that asks for a compression.
type compressed string

func (s compressed) Decode(v any) error {
	switch o := v.(type) {
	case *dnf.Options:
		o.Compression = string(s)
	case *pacman.Options:
		o.Compression = string(s)
	default:
		return fmt.Errorf("%T has no compression", v)
	}
	return nil
}

// join adds packages of those names in one publish.
func (c *crowd) join(names ...string) {
	c.t.Helper()
	var e publish.Edit
	for _, name := range names {
		m := *c.model
		m.Name = name
		m.Fields = slices.Clone(m.Fields)
		if i := slices.IndexFunc(m.Fields, func(f formats.Field) bool { return f.Key == "pkgname" }); i >= 0 {
			m.Fields[i].Value = name
		}
		// Nobody fetches it, but it has to be another file for each.
		p := publish.Package{Blob: formats.Bytes([]byte(name)), Meta: &m, Version: "1.0"}
		e.Add = append(e.Add, publish.Addition{Package: p, Channels: []string{"stable"}})
	}
	c.serial++
	at := time.Unix(1780000000+c.serial, 0).Unix()
	if _, err := publish.Publish(c.t.Context(), c.tree, []publish.Repo{c.repo}, e, publish.Options{Time: at, Now: at}); err != nil {
		c.t.Fatal(err)
	}
	c.names = append(c.names, names...)
	slices.Sort(c.names)
}

// start publishes many packages, and what tells clients of them.
func (c *crowd) start() {
	c.t.Helper()
	var names []string
	for i := range many {
		names = append(names, fmt.Sprintf("filler-%04d", i))
	}
	c.join(names...)
	g, err := c.repo.Guide(c.t.Context(), &publish.GuideInput{URL: c.url, Title: "Hello", Channel: "stable"})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range g.Files {
		text, err := formats.ReadAll(f.Blob)
		if err != nil {
			c.t.Fatal(err)
		}
		c.tree.Set(f.Path, text)
	}
}

// lists compares a client's list of names with what was published.
func (c *crowd) lists(client string, got []string) {
	c.t.Helper()
	slices.Sort(got)
	if slices.Equal(got, c.names) {
		return
	}
	var lost []string
	for _, name := range c.names {
		if _, ok := slices.BinarySearch(got, name); !ok {
			lost = append(lost, name)
		}
	}
	c.t.Errorf("%s lists %d packages, %d were published; lost: %.200s", client, len(got), len(c.names), strings.Join(lost, " "))
}

// increments are what later publishes add: before all, among, after all.
var increments = [][]string{{"filler-1500x"}, {"a-first"}, {"zz-last"}, {"filler-0000x", "filler-2999x", "middle"}}

func TestDnfAndZypperCountEveryPackage(t *testing.T) {
	for _, form := range []string{"gzip", "zstd"} {
		t.Run(form, func(t *testing.T) {
			c := newClone(t, "dnf", "zypper", "rpm")
			c.rpms()
			crowd := newCrowd(t, dnf.Kind(), rpm.Kind(), form)
			crowd.start()
			c.must("rpm", "--import", crowd.url+"/keys/hello.asc")
			c.fetch(crowd.url+"/rpm/hello.repo", "/etc/yum.repos.d/hello.repo")
			c.must("zypper", "--non-interactive", "addrepo", "--refresh", crowd.url+"/rpm/hello.repo")
			count := func() {
				t.Helper()
				c.must("dnf", "-y", "--refresh", "makecache")
				crowd.lists("dnf", strings.Fields(c.must("dnf", "-q", "repoquery", "--qf", "%{name}")))
				if got := strings.Count(c.must("dnf", "-q", "repoquery", "--file", "/usr/share/filler/data"), "\n"); got != len(crowd.names) {
					t.Errorf("dnf finds %d packages with the file, want %d", got, len(crowd.names))
				}
				c.must("zypper", "--non-interactive", "refresh", "hello")
				var names []string
				for line := range strings.Lines(c.must("zypper", "--non-interactive", "search", "--repo", "hello", "--type", "package")) {
					if cells := strings.Split(line, "|"); len(cells) == 4 && strings.TrimSpace(cells[1]) != "Name" {
						names = append(names, strings.TrimSpace(cells[1]))
					}
				}
				crowd.lists("zypper", names)
			}
			count()
			for _, more := range increments {
				crowd.join(more...)
				count()
			}
		})
	}
}

func TestPacmanCountsEveryPackage(t *testing.T) {
	for _, form := range []string{"gzip", "zstd"} {
		t.Run(form, func(t *testing.T) {
			c := newClone(t, "pacman", "pacman-key", "gpg")
			crowd := newCrowd(t, pacman.Kind(), arch.Kind(), form)
			crowd.start()
			p := &published{url: crowd.url}
			c.arch(p)
			c.addPacman(p, "hello")
			count := func() {
				t.Helper()
				c.pacman("-Syy")
				crowd.lists("pacman -Sl", strings.Fields(c.pacman("-Slq", "hello")))
				c.pacman("-Fyy")
				crowd.lists("pacman -F", strings.Fields(strings.ReplaceAll(c.pacman("-Fq", "/usr/share/filler/data"), "hello/", "")))
			}
			count()
			for _, more := range increments {
				crowd.join(more...)
				count()
			}
		})
	}
}
