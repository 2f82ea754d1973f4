package github_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/publish/githubtest"
)

func remarks(n int) []github.Annotation {
	var all []github.Annotation
	for i := range n {
		all = append(all, github.Annotation{Path: "distropack.yml", StartLine: i + 1, EndLine: i + 1 + i%2, StartColumn: 3, Level: "failure", Message: fmt.Sprint("mistake ", i), Title: "T", Details: "d"})
	}
	return all
}

func TestChecks(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	sha := w.repo.Commit("first")
	began, ended := w.now(), w.now().Add(time.Minute)
	check := github.Check{Name: "DistroPack", HeadSHA: sha, ExternalID: "rel:1", Status: "in_progress", DetailsURL: "https://example.org/r/1", Title: "Packaging", Summary: "| leg |", Text: "more",
		Actions: []github.Action{{Label: "Re-run", Description: "Run it again", Identifier: "rerun"}}, Started: began}
	id, err := w.c.CreateCheck(t.Context(), "acme", "hello", check)
	if err != nil {
		t.Fatal(err)
	}
	k := w.repo.Checks()[0]
	if k.ID != id || k.ExternalID != "rel:1" || k.Status != "in_progress" || k.Title != "Packaging" || k.Summary != "| leg |" || k.Text != "more" || k.Actions[0].Identifier != "rerun" || k.Started != began.Format(time.RFC3339) || k.DetailsURL != check.DetailsURL {
		t.Errorf("got %+v", k)
	}
	// What is not given stays; an empty list of buttons takes them away.
	if err := w.c.UpdateCheck(t.Context(), "acme", "hello", id, github.Check{Summary: "| done |"}); err != nil {
		t.Fatal(err)
	}
	if err := w.c.UpdateCheck(t.Context(), "acme", "hello", id, github.Check{Status: "completed", Conclusion: "success", Completed: ended, Actions: []github.Action{}}); err != nil {
		t.Fatal(err)
	}
	k = w.repo.Checks()[0]
	if k.Name != "DistroPack" || k.Summary != "| done |" || k.Text != "more" || k.Conclusion != "success" || k.Completed != ended.Format(time.RFC3339) || len(k.Actions) != 0 || k.Requests != 3 {
		t.Errorf("got %+v", k)
	}
	second, err := w.c.CreateCheck(t.Context(), "acme", "hello", github.Check{Name: "DistroPack", HeadSHA: sha, ExternalID: "rel:1"})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := w.c.FindCheck(t.Context(), "acme", "hello", sha, "rel:1"); err != nil || found != second {
		t.Errorf("found %d, want %d, %v", found, second, err)
	}
	_, err = w.c.FindCheck(t.Context(), "acme", "hello", sha, "rel:2")
	w.is(err, github.ErrNotFound)
	err = w.c.UpdateCheck(t.Context(), "acme", "hello", 999, github.Check{Status: "completed", Conclusion: "success"})
	w.is(err, github.ErrNotFound)
}

func TestChecksKeepGitHubsBounds(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	sha := w.repo.Commit("first")
	create := func(k github.Check) error {
		k.Name, k.HeadSHA = "DistroPack", sha
		_, err := w.c.CreateCheck(t.Context(), "acme", "hello", k)
		return err
	}
	if err := create(github.Check{Title: strings.Repeat("t", 300), Summary: strings.Repeat("ä", 40000), Text: strings.Repeat("x", 70000), Annotations: []github.Annotation{{Path: "a", Level: "notice", Message: strings.Repeat("m", 70000), Title: strings.Repeat("t", 300)}}}); err != nil {
		t.Fatal(err)
	}
	k := w.repo.Checks()[0]
	if len(k.Summary) < 65000 || !strings.HasSuffix(k.Summary, "ä…") || !strings.HasSuffix(k.Text, "x…") || k.Annotations[0].StartLine != 1 {
		t.Errorf("got %d, %d bytes", len(k.Summary), len(k.Text))
	}
	action := github.Action{Label: "Re-run", Description: "Run it again", Identifier: "rerun"}
	for name, actions := range map[string][]github.Action{
		"4 actions": {action, action, action, action},
		"label":     {{Label: "A label that is too long", Description: "d", Identifier: "i"}},
		"40":        {{Label: "l", Description: strings.Repeat("d", 41), Identifier: "i"}},
		"1 to 20":   {{Label: "l", Description: "d"}},
	} {
		if err := create(github.Check{Actions: actions}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := len(w.repo.Checks()); n != 1 {
		t.Errorf("%d checks", n)
	}
}

// Whatever request fails, before or after it was carried out, there is one check
// run with each remark once.
func TestChecksAreMadeOnce(t *testing.T) {
	for name, f := range map[string]githubtest.Fault{"cut before": githubtest.Cut(false), "cut after": githubtest.Cut(true), "502 before": githubtest.Broken(502, false), "504 after": githubtest.Broken(504, true),
		"200 without sense": {Status: 200, Done: true, Body: "<html>"}} {
		for n := 1; ; n++ {
			w := newWorld(t, githubtest.Options{})
			sha := w.repo.Commit("first")
			w.nth(n, "", f)
			k := github.Check{Name: "DistroPack", HeadSHA: sha, ExternalID: "rel:1", Title: "T", Summary: "S", Annotations: remarks(120)}
			requests := w.asked(func() {
				id, err := w.c.CreateCheck(t.Context(), "acme", "hello", k)
				if err != nil {
					t.Fatalf("%s at %d: %v", name, n, err)
				}
				if err := w.c.UpdateCheck(t.Context(), "acme", "hello", id, github.Check{Annotations: remarks(60), Title: "T", Summary: "S"}); err != nil {
					t.Fatalf("%s at %d: %v", name, n, err)
				}
			})
			if n > len(requests) {
				break // no request is left to fail
			}
			all := w.repo.Checks()
			if len(all) != 1 || len(all[0].Annotations) != 180 || all[0].Annotations[119].Message != "mistake 119" || all[0].Annotations[179].Message != "mistake 59" {
				t.Errorf("%s at %d: %d checks, %d remarks; requests %q", name, n, len(all), len(all[0].Annotations), requests)
			}
		}
	}
}

func TestIssues(t *testing.T) {
	w := newWorld(t, githubtest.Options{})
	_, err := w.c.OpenIssue(t.Context(), "acme", "hello", "T", "B")
	w.is(err, github.ErrForbidden)
	if !strings.Contains(fmt.Sprint(err), "issues: write") {
		t.Errorf("got %v", err)
	}
	w.double.Permit(map[string]string{"metadata": "read", "issues": "write"})
	w.in.Accept()
	c := w.open().Installation(w.in.ID)
	w.repo.AddIssue("A question", "with the text <!-- key:1 -->", "somebody")
	_, err = c.FindIssue(t.Context(), "acme", "hello", "<!-- key:1 -->")
	w.is(err, github.ErrNotFound) // that one is somebody else's
	for name, f := range map[string]githubtest.Fault{"cut before": githubtest.Cut(false), "cut after": githubtest.Cut(true), "none": {}} {
		before := len(w.repo.Issues())
		w.nth(1, "POST /repos/acme/hello/issues", f)
		n, err := c.OpenIssue(t.Context(), "acme", "hello", "A key expires: "+name, "soon <!-- key:1 -->")
		all := w.repo.Issues()
		if err != nil || len(all) != before+1 || all[before].Number != n || all[before].By != "distro-pack[bot]" {
			t.Errorf("%s: got %d, %v, %+v", name, n, err, all)
		}
	}
	w.On(nil)
	i, err := c.FindIssue(t.Context(), "acme", "hello", "<!-- key:1 -->")
	all := w.repo.Issues()
	if err != nil || i.Number != all[len(all)-1].Number || i.State != "open" {
		t.Fatalf("got %+v, %v", i, err)
	}
	if err := c.EditIssue(t.Context(), "acme", "hello", i.Number, "New", "text"); err != nil {
		t.Error(err)
	}
	if err := c.Comment(t.Context(), "acme", "hello", i.Number, "renewed"); err != nil {
		t.Error(err)
	}
	if err := c.CloseIssue(t.Context(), "acme", "hello", i.Number); err != nil {
		t.Error(err)
	}
	if last := w.repo.Issues()[len(all)-1]; last.State != "closed" || last.Title != "New" || len(last.Comments) != 1 || last.Comments[0] != "renewed" {
		t.Errorf("got %+v", last)
	}
	w.repo.NoIssues()
	_, err = c.OpenIssue(t.Context(), "acme", "hello", "T", "B")
	w.is(err, github.ErrForbidden)
}
