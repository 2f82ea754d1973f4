package check_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	allformats "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/publish"
	alldest "github.com/distropack/distropack/publish/dest/all"
	"github.com/distropack/distropack/publish/githubtest"
	"github.com/distropack/distropack/publish/publishtest"
	allrepos "github.com/distropack/distropack/publish/repo/all"
)

func mistakes() error {
	return fmt.Errorf("read: %w", config.Errors{
		{File: "distropack.yml", Line: 12, Col: 5, Path: "packages[1].formats[0]", Err: errors.New(`unknown format "dbe"`), Hint: `did you mean "deb"?`},
		{File: "distropack.yml", Err: errors.New("project is missing")},
	})
}

// checks are all kinds of check runs, by the name of their golden text.
func checks() map[string]github.Check {
	url := "https://app.example.org/releases/1"
	legs := []*store.Leg{
		leg("fetch", "acme/hello", store.Done, nil),
		leg("package", "hello_1.2.0-1_amd64.deb", store.Done, func(l *store.Leg) { l.Bytes = 3_210_000 }),
		leg("package", "hello_1.2.0-1_arm64.deb", store.Running, func(l *store.Leg) { l.N, l.M = 3, 10 }),
		leg("site", "public", store.Waiting, nil),
	}
	failed := []*store.Leg{legs[1], leg("attach", "v1.2.0", store.Done, nil), leg("site", "public", store.Failed, func(l *store.Leg) {
		l.Short = "Others published to the same place again and again meanwhile."
		l.Detail = "publish to public: the tree was changed by another publish\nhead is abc"
	})}
	withReport := release(store.Done)
	withReport.Report, _ = json.Marshal(report())
	ignored := release(store.Ignored)
	ignored.Short = "No channel takes the tag."
	decision := release(store.ActionRequired)
	cancelling := release(store.Running)
	cancelling.Cancel, cancelling.Attempt = true, 2
	broken := release(store.Failed)
	broken.Short, broken.Detail = "It broke.", "a\nb"
	return map[string]github.Check{
		"waiting":   check.ForRelease(check.Release{Release: release(store.Waiting), URL: url, Now: noon}),
		"running":   check.ForRelease(check.Release{Release: release(store.Running), Legs: legs, URL: url, Now: noon}),
		"cancel":    check.ForRelease(check.Release{Release: cancelling, Legs: legs[:2], URL: url, Now: noon}),
		"done":      check.ForRelease(check.Release{Release: withReport, Legs: []*store.Leg{legs[1], leg("site", "public", store.Done, nil)}, URL: url, Now: noon, Install: []check.Install{{Site: "public", Title: "Any system", Commands: []string{"curl -fsSL https://acme.github.io/hello/install.sh | sh"}}, {Site: "public", Client: "apt", Title: "Debian, Ubuntu and derivatives", Commands: []string{"sudo curl -o /etc/apt/x https://acme.github.io/hello/x", "sudo apt-get install hello"}}}}),
		"failed":    check.ForRelease(check.Release{Release: broken, Legs: failed, URL: url, Now: noon, Err: fmt.Errorf("publish to public: %w", publish.ErrConflict), Log: []store.LogLine{{At: noon, Text: "first"}, {At: noon.Add(time.Second), Text: "token ghs_0123456789abcdef0123456789 used"}}}),
		"mistakes":  check.ForRelease(check.Release{Release: release(store.Failed), URL: url, Now: noon, Err: mistakes()}),
		"timed-out": check.ForRelease(check.Release{Release: release(store.Failed), URL: url, Now: noon, Err: &check.AssetError{Missing: []string{"hello_*_amd64.tar.gz"}, There: []string{"README"}, Waited: 30 * time.Minute}}),
		"moved":     check.ForRelease(check.Release{Release: decision, URL: url, Now: noon, Err: &check.PublishedError{Tag: "v1.2.0", Published: "89abcdef89abcdef", Now: commit}}),
		"cancelled": check.ForRelease(check.Release{Release: release(store.Cancelled), Legs: legs[:1], URL: url, Now: noon}),
		"ignored":   check.ForRelease(check.Release{Release: ignored, URL: url, Now: noon}),
		"no-config": check.NoConfig("Acme", "Hello.World", commit, "rel:7:v1:"+commit, url, noon),
		"pull":      check.ForPull(check.Pull{Commit: commit, ExternalID: "pull:7:3", Report: report(), URL: url, Now: noon}),
		"pull-mistakes": check.ForPull(check.Pull{Commit: commit, ExternalID: "pull:7:3", Err: mistakes(), URL: url,
			Now: noon}),
		"pull-no-config": check.ForPull(check.Pull{Owner: "acme", Name: "hello", Commit: commit, Err: check.ErrNoConfig, Now: noon}),
		"pull-limit":     check.ForPull(check.Pull{Commit: commit, Err: &github.Limit{Until: noon, Subject: "installation 42"}, Now: noon}),
	}
}

func TestTextsAreThoseOfTheGoldenFile(t *testing.T) {
	g := publishtest.ReadGolden(t, "testdata/checks.txtar")
	all := checks()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		k := all[name]
		g.Check(t, name, text(k))
		inert(t, k.Summary)
		inert(t, k.Text)
		rendered(t, k.Summary)
		rendered(t, k.Text)
	}
}

// What GitHub's description allows, the double checks at each request.
func TestGitHubTakesEveryCheck(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{})
	double := s.NewApp("Distro Pack")
	repo := s.Repo("acme", "hello")
	sha := repo.Commit("first")
	in := double.Install("acme", repo)
	app, err := github.New(github.Options{ID: double.ID, Key: double.Key, API: strings.TrimSuffix(s.URL, "/")})
	if err != nil {
		t.Fatal(err)
	}
	c := app.Installation(in.ID)
	for name, k := range checks() {
		k.HeadSHA = sha
		id, err := c.CreateCheck(t.Context(), "acme", "hello", k)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		k.Annotations = nil
		if err := c.UpdateCheck(t.Context(), "acme", "hello", id, k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hostile are texts that want to be more than text.
var hostile = []string{
	"[x](https://evil.example)", "![x](https://evil.example/x.png)", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "https://evil.example/a", "www.evil.example", "@octocat", "hi @acme/team!", "a@b.example",
	"#1", "acme/hello#12", "GH-12", "CVE-2026-1234", commit, "a | b | c", `a \| b`, `\`, "a`b", "``` a", strings.Repeat("`", 100), "a\n\n# heading", "a\r\nb", "| a |\n|---|\n", "*a* **b** _c_ __d__ ~~e~~", "---", "===", "- a", "+ a", "1. a", "1) a", "> a", "    code",
	"&lt;b&gt; &#64;octocat", ":octocat:", "$x$ $$y$$", "[^1]", "[x]: https://evil.example", "<!-- a", "-->", "\x1b[31mred\x1b[0m", "a\u202eb\u200b", "a\u2028# b", "a\x00b\x07", "\xff\xfe", "![", "hi![x]", "x: //y", "http:\u200b//evil.example", "xmpp:a@b.c", "mailto:a@b.c", "</td></table>", "{{ x }}", "~~~", "\t- a", "a\\\nb", "`", "` `", "|", "||||||", "x `| y", "ftp://a.b", "GHSA-aaaa-bbbb-cccc", "\ufeff# a", "a: [b]", "!",
}

func TestStrangersFormNothingButText(t *testing.T) {
	for _, h := range append(hostile, strings.Join(hostile, " "), strings.Join(hostile, "\n"), strings.Join(hostile, "")) {
		for _, state := range []store.State{store.Running, store.Done, store.Failed, store.ActionRequired, store.Ignored} {
			r := release(state)
			r.Tag, r.Trigger, r.Short, r.Detail, r.Version = h, h, h, h, h
			rep := report()
			rep.Warnings = []string{h}
			l := leg("site", h, store.Failed, func(l *store.Leg) { l.Short, l.Detail, l.Kind = h, h+" ", h })
			k := check.ForRelease(check.Release{Release: r, Legs: []*store.Leg{l, l}, Report: rep, Warnings: []string{h + "x"}, Log: []store.LogLine{{At: noon, Text: h}}, Install: []check.Install{{Site: h, Title: h, Commands: []string{h}}, {Title: h}}, Now: noon})
			inert(t, k.Summary)
			inert(t, k.Text)
			rendered(t, k.Summary+"\n\n"+k.Text)
			if strings.ContainsAny(k.Title, "\n\r\x1b\x00\u202e\u200b") {
				t.Errorf("title %q", k.Title)
			}
		}
		rep := report()
		p := rep.Plan
		p.Release.Version, p.Release.Channels = h, []string{h}
		p.Targets[0].Filename, p.Targets[0].Name, p.Targets[0].Format = h, h, h
		p.Sites[0].Name, p.Sites[0].URL, p.Sites[0].Clients = h, h, []string{h, h}
		rep.Sites[0].Site, rep.Sites[0].Removed[0].Path, rep.Sites[0].Removed[0].Name = h, h, h
		rep.Warnings = []string{h}
		k := check.ForPull(check.Pull{Report: rep, Warnings: []string{h}, Now: noon})
		inert(t, k.Summary)
		inert(t, k.Text)
		rendered(t, k.Summary+"\n\n"+k.Text)
		k = check.ForPull(check.Pull{Err: errors.New(h), Now: noon})
		inert(t, k.Summary)
		inert(t, k.Text)
		k = check.NoConfig(h, h, commit, "", "", noon)
		inert(t, k.Summary)
	}
}

// Pieces that are harmless alone may form something together.
func TestStrangersFormNothingTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		var text strings.Builder
		for range 2 + r.IntN(5) {
			text.WriteString(hostile[r.IntN(len(hostile))] + []string{"", " ", "\n", ".", "x"}[r.IntN(5)])
		}
		row := release(store.Failed)
		row.Short, row.Tag, row.Trigger, row.Detail = text.String(), text.String(), text.String(), text.String()
		l := leg("site", text.String(), store.Failed, func(l *store.Leg) { l.Short = text.String() })
		k := check.ForRelease(check.Release{Release: row, Legs: []*store.Leg{l}, Warnings: []string{text.String()}, Now: noon})
		inert(t, k.Summary)
		inert(t, k.Text)
		if t.Failed() {
			t.Fatalf("of %q", text.String())
		}
	}
}

func FuzzStrangers(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, h)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		r := release(store.Failed)
		r.Tag, r.Short, r.Detail, r.Trigger = a, b, a+b, b
		l := leg("site", b, store.Failed, func(l *store.Leg) { l.Short, l.Detail = a, b })
		k := check.ForRelease(check.Release{Release: r, Legs: []*store.Leg{l}, Warnings: []string{a, b}, Now: noon})
		inert(t, k.Summary)
		inert(t, k.Text)
		if once := check.Redact(a); check.Redact(once) != once {
			t.Errorf("Redact twice: %q, then %q", once, check.Redact(once))
		}
	})
}

const most = 65535

func TestTextsKeepToGitHubsBoundsAndCountWhatIsLeftOut(t *testing.T) {
	long := strings.Repeat("a|b`[c](d) ", 1200)
	var legs []*store.Leg
	var warnings []string
	for i := range 1500 {
		state := store.Done
		if i >= 1490 {
			state = store.Failed
		}
		legs = append(legs, leg("package", fmt.Sprintf("p%d %s", i, long), state, func(l *store.Leg) { l.Short, l.Detail = long, fmt.Sprint(i)+long }))
		warnings = append(warnings, fmt.Sprint(i)+long)
	}
	r := release(store.Failed)
	r.Short, r.Detail, r.Tag, r.Trigger = long, long, long, long
	log := []store.LogLine{{Text: strings.Repeat("x", 1<<20)}, {Text: "the very last line"}}
	k := check.ForRelease(check.Release{Release: r, Legs: legs, Warnings: warnings, Log: log, Now: noon})
	for name, text := range map[string]string{"summary": k.Summary, "text": k.Text} {
		if len(text) > most || len(text) < 30000 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		inert(t, text)
	}
	if len(k.Title) > 255 {
		t.Errorf("title has %d bytes", len(k.Title))
	}
	for _, want := range []string{"p1499", "**failed**", " parts more did not fit in here: ", " done.\n", " warnings more did not fit in here."} {
		if !strings.Contains(k.Summary, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
	for _, want := range []string{"the very last line", "failed parts more are on the release's page", "### Details"} {
		if !strings.Contains(k.Text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}

	rep := report()
	target, site, removed := rep.Plan.Targets[0], rep.Plan.Sites[0], rep.Sites[0].Removed[0]
	for i := range 1500 {
		target.Filename, removed.Path, site.Name = fmt.Sprint(i)+long, fmt.Sprint(i)+long, fmt.Sprint(i)+long
		rep.Plan.Targets = append(rep.Plan.Targets, target)
		rep.Plan.Sites = append(rep.Plan.Sites, site)
		rep.Sites[0].Removed = append(rep.Sites[0].Removed, removed)
	}
	k = check.ForPull(check.Pull{Report: rep, Warnings: warnings, Now: noon})
	for name, text := range map[string]string{"summary": k.Summary, "text": k.Text} {
		if len(text) > most || !strings.Contains(text, "did not fit in here") {
			t.Errorf("%s of the plan has %d bytes", name, len(text))
		}
		inert(t, text)
	}

	var install []check.Install
	for range 1000 {
		install = append(install, check.Install{Title: long, Commands: []string{long}})
	}
	k = check.ForRelease(check.Release{Release: release(store.Done), Install: install, Now: noon})
	if len(k.Text) > most || !strings.Contains(k.Text, "did not fit in here; the install page has all") {
		t.Errorf("instructions have %d bytes", len(k.Text))
	}
}

func TestEveryMistakeIsAnAnnotationOfAFileOfTheRepository(t *testing.T) {
	var all config.Errors
	for i := range 120 {
		all = append(all, &config.Error{File: "distropack.yml", Line: i + 1, Col: 3, Err: fmt.Errorf("mistake %d", i)})
	}
	outside := &config.Error{File: "../../etc/passwd", Line: 3, Err: errors.New("token ghp_0123456789abcdefghij0123 is wrong")}
	got := check.Annotations(errors.Join(fmt.Errorf("plan: %w", all), outside, fmt.Errorf("again: %w", outside)))
	if len(got) != 121 {
		t.Fatalf("%d annotations, want 121", len(got))
	}
	for i, a := range got[:120] {
		if a.Path != "distropack.yml" || a.StartLine != i+1 || a.EndLine != i+1 || a.StartColumn != 3 || a.Message != fmt.Sprintf("mistake %d", i) {
			t.Fatalf("annotation %d is %+v", i, a)
		}
	}
	if a := got[120]; a.Path != check.Config || a.Message != "token [secret] is wrong" {
		t.Errorf("a file outside of the repository: %+v", a)
	}
}

// GitHub keeps to these, and old check runs have the identifiers.
func TestButtonsKeepToGitHubsBounds(t *testing.T) {
	seen := map[string]bool{}
	for name, k := range checks() {
		if len(k.Actions) > 3 || k.Actions == nil {
			t.Errorf("%s has the actions %v", name, k.Actions)
		}
		for _, a := range k.Actions {
			seen[a.Identifier] = true
			if len(a.Label) > 20 || len(a.Description) > 40 || len(a.Identifier) > 20 || a.Label == "" || a.Description == "" {
				t.Errorf("%s: %+v is too long", name, a)
			}
		}
	}
	for _, want := range []string{"rerun-leg", "republish", "rollback"} {
		if !seen[want] {
			t.Errorf("no check has the button %s", want)
		}
	}
}

func TestTheFirstConfigurationIsValid(t *testing.T) {
	for _, name := range []string{"hello", "Hello.World", "_", "x", "a b\"c: {", "éa"} {
		_, err := config.Parse("distropack.yml", []byte(check.FirstConfig("Acme", name)), config.Options{Formats: allformats.Kinds(), Clients: allrepos.Kinds(), Places: alldest.Kinds()})
		if err != nil && !strings.ContainsAny(name, " é") { // GitHub has no such names
			t.Errorf("%q: %v", name, err)
		}
	}
}
