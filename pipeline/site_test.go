package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
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
	if settings("amd64") != settings("amd64") {
		t.Error("the same site has other settings")
	}
	if settings("amd64") == settings("amd64", "arm64") {
		t.Error("a platform more leaves the settings as they are")
	}
}
