package check_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/check"
	allformats "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	allrepos "github.com/distropack/distropack/publish/repo/all"
)

const project = `version: 1
project: hello
maintainer: A <a@example.org>
license: MIT
description: Says hello
packages:
  - name: hello
    formats: [deb, rpm]
    contents: [{src: hello, dst: /usr/bin/hello, mode: 0755}]
publish:
  - site: public
    url: https://acme.github.io/hello
    clients: [apt, dnf, downloads]
`

// A real release: what is shown is what the repositories themselves say.
func TestInstallLinesAreThoseOfTheRepositories(t *testing.T) {
	work := t.TempDir()
	for name, text := range map[string]string{"distropack.yml": project, "hello": "#!/bin/sh\necho hello\n"} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := pipeline.Env{Formats: allformats.Kinds(), Repos: allrepos.Kinds(), Now: noon, Tool: "test",
		Lookup: func(string) (string, bool) { return "", false },
		Open:   func(at string) (publish.Destination, error) { return dir.Open(at, dir.Options{}) }}
	job := pipeline.Job{Files: os.DirFS(work), Dir: work, Config: "distropack.yml", Out: filepath.Join(work, "dist"), Unsigned: true,
		Release: pipeline.Release{Tag: "v1.0.0", Commit: commit, Time: noon.Add(-time.Hour)}}
	rep, err := pipeline.Run(t.Context(), env, job)
	if err != nil {
		t.Fatal(err)
	}
	all, err := check.Installs(t.Context(), rep)
	if err != nil {
		t.Fatal(err)
	}
	var clients []string
	for _, x := range all {
		clients = append(clients, x.Client)
		if strings.Contains(strings.Join(x.Commands, " "), "PACKAGE") {
			t.Errorf("%s: no package in %q", x.Client, x.Commands)
		}
	}
	if got := strings.Join(clients, " "); got != " apt dnf zypper" && got != " apt dnf zypper downloads" {
		t.Errorf("clients %q", got)
	}
	if all[0].Commands[0] != "curl -fsSL https://acme.github.io/hello/install.sh | sh" {
		t.Errorf("%q", all[0].Commands)
	}
	if got := strings.Join(all[1].Commands, "\n"); !strings.Contains(got, "https://acme.github.io/hello/apt/hello.sources") || !strings.Contains(got, "sudo apt-get install hello") {
		t.Errorf("apt: %s", got)
	}

	b, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var again pipeline.Report
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	few, err := check.Installs(t.Context(), &again)
	if err != nil || len(few) != 1 || few[0].Commands[0] != all[0].Commands[0] {
		t.Errorf("of a report that was read back: %v, %v", few, err)
	}
	rep.Sites = nil
	if none, err := check.Installs(t.Context(), rep); err != nil || len(none) != 0 {
		t.Errorf("of a place that was not published to: %v, %v", none, err)
	}
}
