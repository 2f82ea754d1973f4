package pipeline_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish/publishtest"
)

// One process makes packages, another publishes them without their sources and
// with keys of its own: the tree is that of one process.
func TestPackagesOfAnotherProcessArePublished(t *testing.T) {
	one, two := new(publishtest.Mem), new(publishtest.Mem)
	env, job := small(t, "1.0.0", now, one)
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}

	env, job = small(t, "1.0.0", now, two)
	ring, err := keys.Open("hello", map[string]keys.Secret{plan.PackageKey: env.Key}, keys.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	env.Key, env.Keys = keys.Secret{}, ring
	job.Stop = pipeline.Package
	if _, err := pipeline.Run(t.Context(), env, job); err != nil {
		t.Fatal(err)
	}
	job.Stop, job.Packed = pipeline.All, true
	job.Files = fstest.MapFS{"distropack.yml": job.Files.(fstest.MapFS)["distropack.yml"]}
	rep, err := pipeline.Run(t.Context(), env, job)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Artifacts) == 0 || len(rep.Sites) != 1 {
		t.Errorf("the report has %d artifacts and %d sites", len(rep.Artifacts), len(rep.Sites))
	}
	if a, b := one.Files(), two.Files(); !maps.EqualFunc(a, b, slices.Equal) {
		t.Errorf("the trees differ: %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}

	for name, damage := range map[string]func(string) error{
		"changed": func(name string) error { return os.WriteFile(name, []byte("!<arch>\n"), 0o644) },
		"gone":    os.Remove,
	} {
		deb := filepath.Join(job.Out, "hello_1.0.0-1_amd64.deb")
		if err := damage(deb); err != nil {
			t.Fatal(err)
		}
		_, err = pipeline.Run(t.Context(), env, job)
		if err == nil || !strings.Contains(err.Error(), "hello_1.0.0-1_amd64.deb: it is not what the journal of packages says was made") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
