package plan_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

var update = flag.Bool("update", false, "rewrite the wanted parts of testdata/*.txtar")

func parse(t *testing.T, text string) *config.Project {
	t.Helper()
	p, err := config.Parse("distropack.yml", []byte(text), config.Options{Formats: formatsall.Kinds(), Clients: repoall.Kinds()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPlan(p *config.Project, only plan.Filter) (*plan.Plan, error) {
	return plan.Make(p, plan.Release{Version: "1.3.0", Time: time.Unix(1780000000, 0), Channels: []string{"stable", "beta"}},
		plan.Options{Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Only: only})
}

func render(p *plan.Plan) []byte {
	var b bytes.Buffer
	for _, t := range p.Targets {
		s := t.Spec
		fmt.Fprintf(&b, "%s\n\t%s %s for %s: %s %s %s, release %s, epoch %q\n", t.Filename, t.Package, t.Format, t.Platform, t.Name, t.Version, t.Arch, s.Release, s.Epoch)
		fmt.Fprintf(&b, "\t%q depends %q services %v scripts %q %q\n", s.Summary, s.Relations.Depends, s.Services, t.Scripts.PostInstall, t.Scripts.PreRemove)
	}
	for _, s := range p.Sites {
		fmt.Fprintf(&b, "\nsite %s %s %s %v %v\n", s.Name, s.URL, s.Dir, s.Clients, s.Channels)
		for _, p := range s.Partitions {
			fmt.Fprintf(&b, "\t%s %s\n", p.Client, p.Partition)
		}
		for _, p := range s.Placements {
			fmt.Fprintf(&b, "\t%s %s: %s in %s\n", p.Client, p.Partition, p.Filename, p.Path)
		}
	}
	return b.Bytes()
}

// TestPlans compares the plan of testdata/*.txtar's distropack.yml with its want.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			head, want, ok := strings.Cut(string(b), "-- want --\n")
			_, text, ok2 := strings.Cut(head, "-- distropack.yml --\n")
			if !ok || !ok2 {
				t.Fatalf("%s lacks a part", name)
			}
			p, err := newPlan(parse(t, text), plan.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			got := render(p)
			if *update {
				if err := os.WriteFile(name, []byte(head+"-- want --\n"+string(got)), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if string(got) != want {
				t.Errorf("the plan is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

const minimal = "version: 1\nproject: hello\ndescription: Greets\nmaintainer: Ann <ann@example.org>\n"

func TestTwoTargetsWithOnePathAreRefused(t *testing.T) {
	p := parse(t, minimal+"packages:\n  - {name: a, formats: [tar.gz], contents: [{src: a, dst: /a}]}\n  - {name: b, formats: [tar.gz], contents: [{src: a, dst: /a}]}\npublish: []\n")
	p.Packages[1].Name = "a" // what config refuses; package directories meet here
	_, err := newPlan(p, plan.Filter{})
	if err == nil || !strings.Contains(err.Error(), "distropack.yml:7:5: packages.a: tar.gz for linux/amd64 and a for linux/amd64 would both be a_1.3.0_linux_amd64.tar.gz: give one another name") {
		t.Errorf("error %v", err)
	}
	p = parse(t, minimal+"packages:\n  - {contents: [{src: a, dst: /a}]}\npublish:\n  - {site: a, url: https://example.org/a, dir: out}\n  - {site: b, url: https://example.org/b, dir: out2}\n")
	p.Publish[1].Dir = "out"
	_, err = newPlan(p, plan.Filter{})
	if err == nil || !strings.Contains(err.Error(), "site a is written to out, too: set dir") {
		t.Errorf("error %v", err)
	}
}

func TestAFilterSelects(t *testing.T) {
	p := parse(t, minimal+"platforms: [linux/amd64, linux/arm64]\npackages:\n  - {name: aa, formats: [deb, rpm], contents: [{src: a, dst: /a}]}\n  - {name: bb, formats: [deb], contents: [{src: a, dst: /a}]}\npublish: []\n")
	for want, f := range map[string]plan.Filter{
		"aa_1.3.0-1_amd64.deb aa_1.3.0-1_arm64.deb bb_1.3.0-1_amd64.deb bb_1.3.0-1_arm64.deb": {Formats: []string{"deb"}},
		"bb_1.3.0-1_amd64.deb bb_1.3.0-1_arm64.deb":                                           {Packages: []string{"bb"}},
		"aa-1.3.0-1.aarch64.rpm": {Formats: []string{"rpm"}, Platforms: []formats.Platform{{OS: "linux", Arch: "arm64"}}},
	} {
		got, err := newPlan(p, f)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, x := range got.Targets {
			names = append(names, x.Filename)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("targets %v, want %s", names, want)
		}
	}
	if _, err := newPlan(p, plan.Filter{Packages: []string{"cc"}}); !errors.Is(err, plan.ErrNothing) {
		t.Errorf("error %v, want ErrNothing", err)
	}
}

func TestAPackageWithoutADescriptionHasItsNameAsSummary(t *testing.T) {
	p := parse(t, "version: 1\nproject: hello\nmaintainer: Ann <ann@example.org>\npackages:\n  - {contents: [{src: a, dst: /a}]}\npublish: []\n")
	got, err := newPlan(p, plan.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Targets[0].Spec.Summary; s != "hello" {
		t.Errorf("summary %q", s)
	}
}
