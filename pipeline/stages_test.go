package pipeline_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/publishtest"
)

// A release may be taken in stages by several processes: packages, the GitHub
// release, each site. What comes out is what one run makes.
func TestTheStagesOfAReleaseAreTheWhole(t *testing.T) {
	one, two := new(publishtest.Mem), new(publishtest.Mem)
	hub := githubtest.New(t, githubtest.Options{})
	repo := hub.Repo("acme", "hello")
	api := strings.TrimSuffix(hub.URL, "/")
	staged := func(dst *publishtest.Mem) (pipeline.Env, pipeline.Job) {
		env, job := small(t, "1.0.0", now, dst)
		job.Files.(fstest.MapFS)["distropack.yml"] = &fstest.MapFile{Data: []byte(smallConfig + "github: {api: \"" + api + "\", repository: acme/hello}\n")}
		job.Release.Tag = "v1.0.0"
		env.Token = func(context.Context) (string, error) { return githubtest.Token, nil }
		return env, job
	}
	repo.Tag("v1.0.0", repo.Commit("one"))
	env, job := staged(one)
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}
	whole := repo.Releases()
	repo.Remove(whole[0].ID)

	env, job = staged(two)
	job.Stop = pipeline.Package
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}
	if n := len(repo.Releases()); n != 0 {
		t.Fatalf("packaging made %d GitHub releases", n)
	}
	job.Stop, job.Packed, job.NotLatest = pipeline.Attach, true, true
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}
	got := repo.Releases()
	if len(got) != 1 || got[0].Draft || len(got[0].Assets) != len(whole[0].Assets) {
		t.Fatalf("the GitHub releases are %+v", got)
	}
	if got[0].MakeLatest != "false" || whole[0].MakeLatest != "true" {
		t.Errorf("latest is %q with NotLatest, %q without", got[0].MakeLatest, whole[0].MakeLatest)
	}
	if n := len(two.Files()); n != 0 {
		t.Errorf("attaching wrote %d files to the site", n)
	}
	asked := hub.Count("")
	job.Stop, job.Attached, job.Site = pipeline.All, true, "public"
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}
	if n := hub.Count("") - asked; n != 0 {
		t.Errorf("the site's stage asked GitHub %d times", n)
	}
	if a, b := one.Files(), two.Files(); !maps.EqualFunc(a, b, slices.Equal) {
		t.Errorf("the trees differ: %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}

	env, job = staged(two)
	env.Token = nil
	job.Stop = pipeline.Attach
	if _, err := pipeline.Run(t.Context(), env, job); err == nil || !strings.Contains(err.Error(), "needs a token") {
		t.Errorf("without a token: %v", err)
	}
}

func TestTagsOfNoChannelAreToldApart(t *testing.T) {
	p, err := config.Parse("distropack.yml", []byte(smallConfig), config.Options{})
	if err == nil {
		for tag, want := range map[string]bool{"v1": true, "v1.0.0-rc.1": true, "nightly": false, "": false} {
			if got := pipeline.Takes(p, tag); got != want {
				t.Errorf("Takes(%q) = %t, want %t", tag, got, want)
			}
		}
	} else {
		t.Error(err)
	}
	env, job := small(t, "", now, new(publishtest.Mem))
	job.Stop, job.Release = pipeline.Plan, pipeline.Release{Tag: "nightly", Time: now}
	if _, err := pipeline.Run(t.Context(), env, job); !errors.Is(err, pipeline.ErrNoChannel) || !pipeline.IsConfig(err) {
		t.Errorf("a tag that no channel takes: %v", err)
	}
}

// The caller's second key signs indexes, though the configuration names none.
func TestAKeyThatIsRotatedSignsIndexes(t *testing.T) {
	secret, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open("hello", map[string]keys.Secret{plan.PackageKey: secret, "also": secret}, keys.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, rotating := range []bool{false, true} {
		env, job := small(t, "1.0.0", now, new(publishtest.Mem))
		env.Keys, job.Stop, job.Rotating = ring, pipeline.Plan, rotating
		rep, err := pipeline.Run(t.Context(), env, job)
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "main", true: "main+also"}[rotating]
		if got := rep.Plan.Sites[0].Key; got != want {
			t.Errorf("Rotating %t: the site's key is %q, want %q", rotating, got, want)
		}
	}
}
