package pipeline_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
	"github.com/distropack/distropack/publish/repo/pacman"
)

// A release that builds for two hours reads states that others signed meanwhile.
func TestStatesSignedDuringARunAreNotFromTheFuture(t *testing.T) {
	secret, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(2 * time.Hour)
	refs := map[string]keys.Secret{plan.PackageKey: secret}
	others, err := keys.Open("hello", refs, keys.Options{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := others.Signer(plan.PackageKey, formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	state := []byte("state")
	signature, err := sign(t.Context(), strings.NewReader("state"))
	if err != nil {
		t.Fatal(err)
	}

	ring, err := keys.Open("hello", refs, keys.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	clock := now
	verify, err := (&pipeline.Site{Plan: &plan.Site{Key: plan.PackageKey}, Keys: ring}).Verify(func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(state, signature); err == nil || !strings.Contains(err.Error(), "is from the future") {
		t.Errorf("two hours ahead: %v", err)
	}
	clock = later
	if err := verify(state, signature); err != nil {
		t.Errorf("two hours on: %v", err)
	}
}

// What clients read is part of what a site is made of: a run that is told of one more
// platform does not take the site for done, though there is no package for it.
func TestIndexesWithoutPackagesAreASettingOfTheSite(t *testing.T) {
	settings := func(cpus ...string) string {
		t.Helper()
		env := publish.RepoEnv{Name: "hello", Channels: []string{"stable"}}
		for _, c := range cpus {
			env.Platforms = append(env.Platforms, formats.Platform{OS: "linux", Arch: c})
		}
		r, err := pacman.New(formats.NoSection, env)
		if err != nil {
			t.Fatal(err)
		}
		s := &pipeline.Site{Plan: &plan.Site{Channels: env.Channels, Repos: []publish.Repo{r}, Config: &config.Site{}}, Project: &config.Project{Project: "hello"}}
		o, err := s.Options(func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		return o.SiteSettings
	}
	one := settings("amd64")
	if again := settings("amd64"); again != one {
		t.Errorf("the same site has other settings: %q and %q", one, again)
	}
	if settings("amd64", "arm64") == one {
		t.Error("a platform more leaves the settings as they are")
	}
}

// The page is the same whether it goes on from the tree's own list or is made of
// all records.
func TestThePageGoesOnFromTheListOfTheTree(t *testing.T) {
	going, anew := new(publishtest.Mem), new(publishtest.Mem)
	for i, r := range []struct {
		version string
		only    []string
	}{{"1.0.0", nil}, {"1.1.0-rc.1", []string{"hello"}}, {"1.1.0", []string{"other"}}, {"1.1.0", []string{"hello"}}, {"1.2.0", nil}} {
		for _, m := range []*publishtest.Mem{going, anew} {
			env, job := small(t, r.version, now.Add(time.Duration(i)*time.Hour), m)
			files := job.Files.(fstest.MapFS)
			files["distropack.yml"] = &fstest.MapFile{Data: []byte(strings.Replace(smallConfig, "packages:\n", "packages:\n  - name: other\n    description: Another one\n    contents: [{src: hello.sh, dst: /usr/bin/other}]\n", 1))}
			job.Only.Packages = r.only
			if m == anew && i > 0 {
				m.Set("install.json", []byte("not what the state says"))
			}
			if _, err := pipeline.Run(t.Context(), env, job); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := going.Files(), anew.Files(); !maps.EqualFunc(a, b, slices.Equal) {
			for name := range a {
				if !slices.Equal(a[name], b[name]) {
					t.Errorf("after %s: %s differs", r.version, name)
				}
			}
			t.Fatalf("%d and %d files", len(a), len(b))
		}
	}
	if list := string(going.Read("install.json")); !strings.Contains(list, `"version": "1.2.0"`) || !strings.Contains(list, "packages/other/") {
		t.Errorf("the list is %s", list)
	}
}
