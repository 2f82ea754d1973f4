package packer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) > 1 && os.Args[1] == packer.Command {
		if err := packer.Main(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var key = sync.OnceValues(func() (*keys.Key, error) {
	return keys.New("Hello", "hello@example.org", now.Add(-time.Hour), nil, keys.NewOptions{Ed25519: true, Bits: 3072, Expires: 10000 * time.Hour})
})

func ring(t *testing.T) pipeline.Keyring {
	t.Helper()
	k, err := key()
	if err != nil {
		t.Fatal(err)
	}
	return keys.Of("hello", map[string]*keys.Key{plan.PackageKey: k}, now)
}

const project = `version: 1
project: hello
description: Says hello
license: MIT
maintainer: Ann <ann@example.org>
packages:
  - formats: [deb, rpm, arch, apk]
    contents: [{src: hello.sh, dst: /usr/bin/hello, mode: 0755}]
publish:
  - site: public
    url: https://example.org
    git: {url: "https://github.com/acme/hello", token: "${TOKEN}"}
`

// each runs a test in a sandbox and without one.
func each(t *testing.T, f func(t *testing.T, kind string)) {
	kinds := []string{sandbox.None}
	if kind, err := sandbox.Probe(t.Context()); err == nil {
		kinds = append(kinds, kind)
	} else if os.Getenv("CI") != "" {
		t.Error(err)
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// try packages files.
func try(t *testing.T, kind string, files map[string]string, change func(*packer.Request, *packer.Options)) (*packer.Result, packer.Request, []string, error) {
	t.Helper()
	q := packer.Request{Tree: t.TempDir(), Out: t.TempDir(), Config: "distropack.yml", Release: pipeline.Release{Tag: "v1.0.0", Commit: strings.Repeat("a", 40), Time: now.Add(-time.Hour)},
		Repository: "acme/hello", Tool: "distropack test", Variables: map[string]string{"TOKEN": "x"}, Now: now}
	for name, text := range files {
		name = filepath.Join(q.Tree, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := packer.Options{Kind: kind, Temp: t.TempDir()}
	if change != nil {
		change(&q, &o)
	}
	var said []string
	res, err := packer.Run(t.Context(), o, q, ring(t), packer.Progress{
		Event: func(e pipeline.Event) { said = append(said, fmt.Sprint(e.Step, " ", e.Name, " ", e.Done, " ", e.Err)) },
		Line:  func(text string) { said = append(said, text) },
	})
	return res, q, said, err
}

// What a child made is what the process itself would have made, signatures too.
func TestAChildMakesTheSamePackages(t *testing.T) {
	var first []string
	each(t, func(t *testing.T, kind string) {
		res, q, said, err := try(t, kind, map[string]string{"distropack.yml": project, "hello.sh": "#!/bin/sh\n"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range res.Artifacts {
			b, err := os.ReadFile(a.Path)
			if err != nil || int64(len(b)) != a.Size {
				t.Errorf("%s is %d bytes, %v, was said to be %d", a.Path, len(b), err, a.Size)
			}
			got = append(got, a.Name+" "+a.SHA256.String())
		}
		if len(got) != 7 { // 4 packages, pacman's signature, SHA256SUMS and .asc
			t.Errorf("it made %q", got)
		}
		if first == nil {
			first = got
		} else if !slices.Equal(got, first) {
			t.Errorf("it made %q, without a sandbox %q", got, first)
		}
		if !slices.Contains(said, "package hello_1.0.0-1_amd64.deb true <nil>") {
			t.Errorf("it said %q", said)
		}

		// And the server takes it over.
		root, err := os.OpenRoot(q.Tree)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if _, err := os.Stat(filepath.Join(q.Out, "journal.json")); err != nil {
			t.Error(err)
		}
	})
}

func TestMistakesKeepTheirPlaces(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		for name, c := range map[string]struct {
			files map[string]string
			line  int
			want  string
			hint  string
		}{
			"a format":    {map[string]string{"distropack.yml": strings.Replace(project, "[deb", "[dep", 1)}, 7, `unknown format "dep"`, `did you mean "deb"?`},
			"two":         {map[string]string{"distropack.yml": strings.Replace(strings.Replace(project, "[deb", "[dep", 1), "license: MIT", "licence: MIT", 1)}, 4, "licence", `did you mean "license"?`},
			"a command":   {map[string]string{"distropack.yml": strings.Replace(project, "packages:", "sources:\n  bin: {command: make}\npackages:", 1)}, 7, "the App runs no commands", "build in your workflow and let DistroPack take the release's assets"},
			"a variable":  {map[string]string{"distropack.yml": strings.Replace(project, "${TOKEN}", "${HOME}", 1)}, 12, "variable HOME is not defined", ""},
			"a file":      {map[string]string{"distropack.yml": project}, 8, "hello.sh", ""},
			"no such key": {map[string]string{"distropack.yml": strings.Replace(project, "project: hello", "project: hello\nwhat: ever", 1), "hello.sh": ""}, 3, "what", ""},
		} {
			_, _, _, err := try(t, kind, c.files, nil)
			var e *config.Error
			if !errors.As(err, &e) {
				t.Errorf("%s: %v is no config.Error", name, err)
				continue
			}
			if e.File != "distropack.yml" || e.Line != c.line || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("%s: %q on line %d with the hint %q, want %q on line %d", name, e, e.Line, e.Hint, c.want, c.line)
			}
			if !pipeline.IsConfig(err) {
				t.Errorf("%s: %v is not a mistake of the configuration", name, err)
			}
			if name == "two" && strings.Count(err.Error(), "distropack.yml:") != 2 {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestLimitsSayWhatWasTooMuch(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		files := map[string]string{"distropack.yml": project, "hello.sh": strings.Repeat("no two lines of this are the same, or nearly so\n", 100)}
		_, _, _, err := try(t, kind, files, func(_ *packer.Request, o *packer.Options) { o.Limits.Deadline = time.Nanosecond })
		var box *sandbox.Error
		if !errors.As(err, &box) || box.Reason != sandbox.Deadline || !strings.Contains(err.Error(), "the packages can't be made: ") {
			t.Errorf("after its deadline: %v", err)
		}
		_, _, _, err = try(t, kind, files, func(_ *packer.Request, o *packer.Options) { o.Args = []string{"-test.run=^$"} })
		if err == nil || !strings.Contains(err.Error(), "without a word") && !strings.Contains(err.Error(), "no JSON") {
			t.Errorf("a child that is another program: %v", err)
		}
	})
}

// Nothing of what is not the project's can be packaged.
func TestTheServersFilesAreNotSeen(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o644); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, kind string) {
		for _, src := range []string{secret, "../../../../../../../../" + secret, "link", "folder/identity"} {
			text := strings.Replace(project, "src: hello.sh", fmt.Sprintf("src: %q", src), 1)
			_, q, _, err := try(t, kind, map[string]string{"distropack.yml": text, "hello.sh": "x"}, func(q *packer.Request, _ *packer.Options) {
				for name, to := range map[string]string{"link": secret, "folder": filepath.Dir(secret)} {
					if err := os.Symlink(to, filepath.Join(q.Tree, name)); err != nil {
						t.Fatal(err)
					}
				}
			})
			if err == nil {
				all, _ := filepath.Glob(filepath.Join(q.Out, "*"))
				t.Errorf("%s: it was packaged: %v", src, all)
			}
		}
	})
}
