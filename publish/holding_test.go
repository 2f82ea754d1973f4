package publish_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/publishtest"
)

// of is a package of a project.
func of(project, name, version string) publish.Package {
	p := publishtest.ToyPackage(name, version, "all")
	p.Project = project
	return p
}

func TestHoldingsAreEveryFileAndNoOther(t *testing.T) {
	m := new(publishtest.Mem)
	if version, held, err := publish.Holdings(ctx, m, verify); version != "" || held != nil || err != nil {
		t.Errorf("of no tree: %q, %v, %v", version, held, err)
	}
	with := of("one", "a", "1")
	with.Beside = []publish.Beside{{Suffix: ".sig", Blob: publishtest.ToyPackage("s", "1", "a64").Blob}}
	o := options()
	o.Grace = 1000
	run(t, m, add("stable", with, of("two", "b", "1")), o)
	run(t, m, add("stable", of("two", "b", "2")), o) // retires indexes
	version, held, err := publish.Holdings(ctx, m, verify)
	if err != nil || version != "2" {
		t.Fatalf("version %q, %v", version, err)
	}
	files := m.Files()
	for _, h := range held {
		text, ok := files[h.Path]
		if !ok || h.Size != int64(len(text)) && h.Size != -1 {
			t.Errorf("%+v: there are %d bytes, %v", h, len(text), ok)
		}
		if want := map[bool]string{true: "one"}[strings.HasPrefix(h.Path, "pool/a_")]; !strings.HasPrefix(h.Path, "pool/b_") && h.Project != want {
			t.Errorf("%s is of project %q, want %q", h.Path, h.Project, want)
		}
		delete(files, h.Path)
	}
	if len(files) > 0 {
		t.Errorf("not listed: %d files of %d", len(files), len(files)+len(held))
	}
	v, err := publish.Read(ctx, m, []publish.Repo{toy()}, verify)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Projects(ctx); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("projects %q, %v", got, err)
	}
}

func TestAProjectsPackagesGoAndOthersStay(t *testing.T) {
	m := new(publishtest.Mem)
	run(t, m, add("stable", of("one", "a", "1"), of("one", "c", "1"), of("two", "b", "1")), options())
	run(t, m, publish.Edit{Remove: []publish.Selection{{Project: "one"}}}, options())
	if got := lines(m, "lists/stable/a64/list"); !slices.Equal(got, []string{"b 1"}) {
		t.Errorf("listed is %q", got)
	}
	for want, s := range map[string]publish.Selection{
		"no package of project one is published":                               {Project: "one"},
		"no package b of project one is published":                             {Project: "one", Name: "b"},
		"a selection names neither package nor project: name one":              {Version: "1"},
		"no package b 3 of project two in channel beta for dnf is published: ": {Project: "two", Name: "b", Version: "3", Channel: "beta", Repo: "dnf"},
	} {
		_, err := publish.Publish(ctx, m, []publish.Repo{toy()}, publish.Edit{Remove: []publish.Selection{s}}, options())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}

// A directory's files go, with the copies that it keeps beside itself; what others
// put there stays.
func TestErasedDirectoryKeepsWhatOthersPutThere(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		top := t.TempDir()
		root := filepath.Join(top, "tree")
		d, err := dir.Open(root, dir.Options{NoSync: true, Ordered: ordered})
		if err != nil {
			t.Fatal(err)
		}
		run(t, d, add("stable", of("one", "a", "1")), options())
		run(t, d, add("stable", of("one", "a", "2")), options())
		for _, p := range []string{"CNAME", "mine/x"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, p)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, p), []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		version, held, err := publish.Holdings(ctx, d, verify)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, h := range held {
			paths = append(paths, h.Path)
		}
		if err := publish.Erase(ctx, d, version, "the end", paths); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		err = filepath.WalkDir(top, func(name string, e os.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, name)
			seen[rel] = true
			if strings.Contains(name, "lists") || strings.HasSuffix(name, ".toy") || strings.HasSuffix(name, publish.StatePath) {
				t.Errorf("ordered %v: %s is left", ordered, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !seen["CNAME"] || !seen["mine/x"] {
			t.Errorf("ordered %v: what others put there is gone: %v", ordered, seen)
		}
	}
}

// Published to all the time, a tree holds a bounded number of old indexes, and all
// of the last hour; packages stay for the whole grace.
func TestOldIndexesAreBoundedByGenerationsToo(t *testing.T) {
	const grace, pause = 24 * 3600, 60
	m := new(publishtest.Mem)
	o := options()
	o.Grace, o.Keep = grace, publish.Keep{Versions: 1}
	count := func() (hashes, pages, packages int) {
		for p := range m.Files() {
			switch {
			case strings.HasPrefix(p, "lists/by-hash/"):
				hashes++
			case strings.HasPrefix(p, publish.RecordsDir):
				pages++
			case strings.HasPrefix(p, "pool/"):
				packages++
			}
		}
		return hashes, pages, packages
	}
	publishAt := func(i int, at int64) {
		o.Time, o.Now = at, at
		run(t, m, add("stable", publishtest.ToyPackage("a", fmt.Sprintf("%04d", i), "a64")), o)
	}
	run(t, m, publish.Edit{}, o) // the empty indexes, which stay
	empty, _, _ := count()
	// As fast as can be: within the hour all stay.
	for i := range 110 {
		publishAt(i, 1000)
	}
	forms := 3 // of the one partition that changes
	if h, p, n := count(); h != empty+110*forms || p != 110 || n != 110 {
		t.Errorf("within the hour %d indexes, %d pages and %d packages are there, want %d, 110 and 110", h, p, n, empty+110*forms)
	}
	// Then once a minute, for four hours.
	for i := range 250 {
		publishAt(110+i, 5000+int64(i)*pause)
	}
	h, p, n := count()
	if most := 101 * forms; h-empty > most || p > 101 || h-empty < 90*forms {
		t.Errorf("%d indexes and %d pages are there, want at most %d and 101", h-empty, p, most)
	}
	if n != 360 {
		t.Errorf("%d packages are there, want all 360 of the grace", n)
	}
	// Slowly: three a day would all stay within the grace of a week, as before.
	o.Grace = 7 * 24 * 3600
	for i := range 9 {
		publishAt(900+i, 1_000_000+int64(i)*8*3600)
	}
	if h, _, _ := count(); h < empty+9*forms {
		t.Errorf("%d indexes are there of 9 publishes in three days", h-empty)
	}
	if err := publish.Check(ctx, m, []publish.Repo{toy()}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}
