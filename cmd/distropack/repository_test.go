package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// What a release and the commands of repo make of a tree is the same: packages that
// lie in the GitHub release are found after a promotion, too.
func TestCommandsOfRepoKnowWhereLargePackagesLie(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "distropack.yml"), `version: 1
project: hello
description: Greets
license: MIT
maintainer: Ann Example <ann@example.org>
github: {repository: ann/hello}
packages:
  - contents: [{src: hello.sh, dst: /usr/bin/hello}]
publish:
  - site: public
    url: https://ann.github.io/hello
    git: {url: "https://example.org/ann/hello.git"}
    large: {to: release}
    clients: [apt, dnf, pacman]
`)
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "key"), key)
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, environ: os.Environ(), now: time.Now(), dir: dir, config: "distropack.yml"}
	r, err := a.repository(&repoFlags{key: filepath.Join(dir, "key"), site: "public"}, "")
	if err != nil {
		t.Fatal(err)
	}
	const latest = "https://github.com/ann/hello/releases/latest/download"
	for _, repo := range r.site.Plan.Repos {
		in := &publish.GuideInput{URL: r.site.Plan.URL, Title: "Hello", Channel: r.site.Plan.Channels[0]}
		guide, err := repo.Guide(t.Context(), in)
		guides := []*publish.Guide{guide}
		if many, ok := repo.(publish.Guides); ok { // zypper's is dnf's second
			guides, err = many.Guides(t.Context(), in)
		}
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, g := range guides {
			for _, f := range g.Files {
				b, err := formats.ReadAll(f.Blob)
				if err != nil {
					t.Fatal(err)
				}
				text += string(b)
			}
		}
		if !strings.Contains(text, latest) {
			t.Errorf("%s: the files for clients do not name %s:\n%s", repo.Name(), latest, text)
		}
	}
	if r.site.Plan.Place != "git" {
		t.Errorf("the place is %q", r.site.Plan.Place)
	}
}
