package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const (
	commit    = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	tagObject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	none      = "0000000000000000000000000000000000000000"
)

// body is a payload of the App's webhook, in which %s adds what is special.
func body(fields string) []byte {
	return fmt.Appendf(nil, `{"installation":{"id":7,"node_id":"x"},
		"repository":{"id":9,"name":"hello","full_name":"ann/hello","owner":{"id":3,"login":"ann","type":"User"},"default_branch":"main","private":true},
		"sender":{"id":4,"login":"bot[bot]","type":"Bot"},%s}`, fields)
}

// account is how events about an installation name it.
func account(fields string) []byte {
	return fmt.Appendf(nil, `{"installation":{"id":7,"account":{"id":3,"login":"ann","type":"Organization"},"suspended_at":null},
		"sender":{"id":4,"login":"bot[bot]","type":"Bot"},%s}`, fields)
}

func TestWhatAnEventMeans(t *testing.T) {
	base := Event{Installation: Installation{ID: 7}, Sender: Account{4, "bot[bot]", "Bot"},
		Repository: &Repository{ID: 9, Owner: Account{3, "ann", "User"}, Name: "hello", DefaultBranch: "main", Private: true}}
	tagged := base
	tagged.Tag, tagged.Ref = "v1.0", "refs/tags/v1.0"
	owner := Event{Installation: Installation{ID: 7, Account: Account{3, "ann", "Organization"}}, Sender: base.Sender}
	list := []*Repository{{ID: 1, Owner: Account{Login: "ann"}, Name: "a.b", Private: true}, {ID: 2, Owner: Account{Login: "ann"}, Name: "-c_"}}
	const listed = `[{"id":1,"name":"a.b","full_name":"ann/a.b","private":true},{"id":2,"name":"-c_","full_name":"ann/-c_"}]`

	for _, x := range []struct {
		about string
		name  string
		body  []byte
		kind  Kind
		base  Event
		set   func(e *Event)
	}{
		{"a new tag", "push", body(`"ref":"refs/tags/v1.0","before":"` + none + `","after":"` + commit + `","created":true,"head_commit":{"id":"` + commit + `"}`),
			TagPushed, tagged, func(e *Event) { e.Commit = commit }},
		{"an annotated tag: after is the tag's own id, base_ref a branch", "push", body(`"ref":"refs/tags/v1.0","base_ref":"refs/heads/main","before":"` + none + `","after":"` + tagObject + `","created":true,"head_commit":{"id":"` + commit + `"}`),
			TagPushed, tagged, func(e *Event) { e.Commit = commit }},
		{"a tag of no commit", "push", body(`"ref":"refs/tags/v1.0","before":"` + none + `","after":"` + tagObject + `","created":true,"head_commit":null`),
			TagPushed, tagged, nil},
		{"a moved tag", "push", body(`"ref":"refs/tags/v1.0","before":"` + tagObject + `","after":"` + commit + `","created":false,"forced":true,"head_commit":{"id":"` + commit + `"}`),
			TagPushed, tagged, func(e *Event) { e.Commit, e.Moved = commit, true }},
		{"a moved tag, forward", "push", body(`"ref":"refs/tags/v1.0","before":"` + tagObject + `","after":"` + commit + `","created":false,"forced":false,"head_commit":{"id":"` + commit + `"}`),
			TagPushed, tagged, func(e *Event) { e.Commit, e.Moved = commit, true }},
		{"a deleted tag", "push", body(`"ref":"refs/tags/v1.0","before":"` + commit + `","after":"` + none + `","deleted":true,"head_commit":null`),
			TagDeleted, tagged, nil},
		{"a tag deleted, by after alone", "push", body(`"ref":"refs/tags/v1.0","before":"` + commit + `","after":"` + none + `","head_commit":null`),
			TagDeleted, tagged, nil},
		{"a tag with slashes and letters of all kinds", "push", body(`"ref":"refs/tags/pkg/a/vé1+β@2","created":true`),
			TagPushed, base, func(e *Event) { e.Tag, e.Ref = "pkg/a/vé1+β@2", "refs/tags/pkg/a/vé1+β@2" }},
		{"a branch whose base is a tag", "push", body(`"ref":"refs/heads/v1.0","base_ref":"refs/tags/v1.0","created":true`),
			Ignored, base, func(e *Event) { e.Note = "what was pushed is not a tag" }},
		{"a branch called refs/tags/v1", "push", body(`"ref":"refs/heads/refs/tags/v1"`),
			Ignored, base, func(e *Event) { e.Note = "what was pushed is not a tag" }},
		{"a tag made", "create", body(`"ref":"v1.0","ref_type":"tag","master_branch":"main"`), TagPushed, tagged, nil},
		{"a branch made", "create", body(`"ref":"v1.0","ref_type":"branch"`),
			Ignored, base, func(e *Event) { e.Note = "what was created is not a tag" }},

		{"published", "release", body(`"action":"published","release":{"id":5,"tag_name":"v1.0","target_commitish":"main"}`),
			ReleasePublished, tagged, func(e *Event) { e.Action, e.Release = "published", 5 }},
		{"released", "release", body(`"action":"released","release":{"id":5,"tag_name":"v1.0"}`),
			ReleasePublished, tagged, func(e *Event) { e.Action, e.Release = "released", 5 }},
		{"prereleased", "release", body(`"action":"prereleased","release":{"id":5,"tag_name":"v1.0","prerelease":true}`),
			ReleasePublished, tagged, func(e *Event) { e.Action, e.Release, e.Prerelease = "prereleased", 5, true }},
		{"edited", "release", body(`"action":"edited","release":{"id":5,"tag_name":"v1.0"}`),
			ReleaseEdited, tagged, func(e *Event) { e.Action, e.Release = "edited", 5 }},
		{"a draft edited, with a tag that is none yet", "release", body(`"action":"edited","release":{"id":5,"tag_name":"","draft":true}`),
			Ignored, base, func(e *Event) { e.Action, e.Note = "edited", "the release is a draft" }},
		{"deleted", "release", body(`"action":"deleted","release":{"id":5,"tag_name":"v1.0"}`),
			ReleaseDeleted, tagged, func(e *Event) { e.Action, e.Release = "deleted", 5 }},
		{"made a draft again", "release", body(`"action":"unpublished","release":{"id":5,"tag_name":"v1.0","draft":true}`),
			ReleaseDeleted, tagged, func(e *Event) { e.Action, e.Release = "unpublished", 5 }},
		{"created", "release", body(`"action":"created","release":{"id":5,"tag_name":"v1.0"}`),
			Ignored, Event{Installation: base.Installation, Repository: &Repository{ID: 9, Owner: Account{Login: "ann"}, Name: "hello"}},
			func(e *Event) { e.Action, e.Note = "created", "DistroPack does not use this event" }},

		{"renamed", "repository", body(`"action":"renamed","changes":{"repository":{"name":{"from":"hallo"}}}`),
			RepositoryRenamed, base, func(e *Event) { e.Action, e.From = "renamed", "ann/hallo" }},
		{"transferred from a person", "repository", body(`"action":"transferred","changes":{"owner":{"from":{"user":{"id":8,"login":"ben"}}}}`),
			RepositoryTransferred, base, func(e *Event) { e.Action, e.From = "transferred", "ben/hello" }},
		{"transferred from an organization", "repository", body(`"action":"transferred","changes":{"owner":{"from":{"organization":{"id":8,"login":"org"}}}}`),
			RepositoryTransferred, base, func(e *Event) { e.Action, e.From = "transferred", "org/hello" }},
		{"deleted", "repository", body(`"action":"deleted"`), RepositoryDeleted, base, func(e *Event) { e.Action = "deleted" }},
		{"privatized", "repository", body(`"action":"privatized"`), RepositoryChanged, base, func(e *Event) { e.Action = "privatized" }},
		{"archived", "repository", body(`"action":"archived"`), RepositoryChanged, base, func(e *Event) { e.Action = "archived" }},
		{"another default branch", "repository", body(`"action":"edited","changes":{"default_branch":{"from":"master"}}`),
			RepositoryChanged, base, func(e *Event) { e.Action = "edited" }},
		{"another description", "repository", body(`"action":"edited","changes":{"description":{"from":"refs"}}`),
			Ignored, base, func(e *Event) { e.Action, e.Note = "edited", "the default branch is the same" }},

		{"installed", "installation", account(`"action":"created","repositories":` + listed),
			InstallationCreated, owner, func(e *Event) { e.Action, e.Repositories = "created", list }},
		{"installed for an enterprise", "installation", []byte(`{"action":"created","installation":{"id":7,"account":{"id":3,"slug":"big-corp"}},"repositories":null}`),
			InstallationCreated, Event{Installation: Installation{ID: 7, Account: Account{ID: 3, Login: "big-corp"}}}, func(e *Event) { e.Action = "created" }},
		{"uninstalled", "installation", account(`"action":"deleted","repositories":` + listed),
			InstallationDeleted, owner, func(e *Event) { e.Action = "deleted" }},
		{"suspended, with a field that lags", "installation", account(`"action":"suspend"`),
			InstallationSuspended, owner, func(e *Event) { e.Action, e.Installation.Suspended = "suspend", true }},
		{"no longer suspended, with a field that lags", "installation", []byte(strings.Replace(string(account(`"action":"unsuspend"`)), `"suspended_at":null`, `"suspended_at":"2024-01-01T00:00:00Z"`, 1)),
			InstallationUnsuspended, owner, func(e *Event) { e.Action = "unsuspend" }},
		{"permissions while suspended", "installation", []byte(strings.Replace(string(account(`"action":"new_permissions_accepted"`)), `"suspended_at":null`, `"suspended_at":1557933591`, 1)),
			PermissionsAccepted, owner, func(e *Event) { e.Action, e.Installation.Suspended = "new_permissions_accepted", true }},
		{"more repositories", "installation_repositories", account(`"action":"added","repositories_added":` + listed + `,"repositories_removed":[]`),
			RepositoriesAdded, owner, func(e *Event) { e.Action, e.Repositories = "added", list }},
		{"fewer repositories", "installation_repositories", account(`"action":"removed","repositories_added":[],"repositories_removed":` + listed),
			RepositoriesRemoved, owner, func(e *Event) { e.Action, e.Repositories = "removed", list }},
		{"an account's other name", "installation_target", []byte(`{"action":"renamed","target_type":"Organization","account":{"id":3,"login":"ann"},"changes":{"login":{"from":"anna"}},"installation":{"id":7}}`),
			InstallationRenamed, Event{Installation: Installation{ID: 7, Account: Account{ID: 3, Login: "ann"}}}, func(e *Event) { e.Action, e.From = "renamed", "anna" }},

		{"a check again", "check_run", body(`"action":"rerequested","check_run":{"id":6,"head_sha":"` + commit + `","external_id":"rel:9:v1.0:` + commit + `"}`),
			CheckRerequested, base, func(e *Event) {
				e.Action, e.CheckRun, e.Commit, e.ExternalID = "rerequested", 6, commit, "rel:9:v1.0:"+commit
			}},
		{"a button", "check_run", body(`"action":"requested_action","requested_action":{"identifier":"republish"},"check_run":{"id":6,"head_sha":"` + commit + `","external_id":null}`),
			ActionRequested, base, func(e *Event) {
				e.Action, e.CheckRun, e.Commit, e.RequestedAction = "requested_action", 6, commit, "republish"
			}},
		{"all checks again", "check_suite", body(`"action":"rerequested","check_suite":{"id":6,"head_sha":"` + commit + `"}`),
			CheckRerequested, base, func(e *Event) { e.Action, e.CheckSuite, e.Commit = "rerequested", 6, commit }},
		{"a pull request", "pull_request", body(`"action":"opened","number":12,"pull_request":{"head":{"sha":"` + commit + `","repo":{"id":9}}}`),
			PullRequestChanged, base, func(e *Event) {
				e.Action, e.PullRequest, e.Commit, e.Ref = "opened", 12, commit, "refs/pull/12/head"
			}},
		{"a fork's", "pull_request", body(`"action":"synchronize","number":12,"pull_request":{"head":{"sha":"` + commit + `","repo":{"id":10}}}`),
			PullRequestChanged, base, func(e *Event) {
				e.Action, e.PullRequest, e.Commit, e.Ref, e.Fork = "synchronize", 12, commit, "refs/pull/12/head", true
			}},
		{"a fork that is gone", "pull_request", body(`"action":"reopened","number":12,"pull_request":{"head":{"sha":"` + commit + `","repo":null}}`),
			PullRequestChanged, base, func(e *Event) {
				e.Action, e.PullRequest, e.Commit, e.Ref, e.Fork = "reopened", 12, commit, "refs/pull/12/head", true
			}},

		{"signed in no longer", "github_app_authorization", []byte(`{"action":"revoked","sender":{"id":4,"login":"cy","type":"Mannequin"}}`),
			AuthorizationRevoked, Event{Sender: Account{ID: 4, Login: "cy"}}, func(e *Event) { e.Action = "revoked" }},
		{"ping", "ping", []byte(" \r\n\t" + `{"zen":"x","hook_id":1,"hook":{"type":"App","id":1,"app_id":2}}`), Ping, Event{}, nil},
		{"a webhook of the repository's", "push", []byte(`{"ref":"refs/tags/v1","repository":{"id":9,"name":"hello","owner":{"id":3,"login":"ann"}}}`),
			Ignored, Event{Repository: &Repository{ID: 9, Owner: Account{ID: 3, Login: "ann"}, Name: "hello"}}, func(e *Event) {
				e.Note = "it names no installation: it comes from a webhook of the repository or organization, and not from the App's"
			}},
		{"an event of another day, of other types", "martian_2-x", []byte(`{"action":{"a":1},"installation":[7],"repository":{"id":9,"name":"a/../b","owner":{"login":"ann"}}}`),
			Ignored, Event{Repository: &Repository{ID: 9}}, func(e *Event) { e.Note = "DistroPack does not use this event" }},
		{"an action that is no plain word", "repository_dispatch", []byte(`{"action":"a\nb","repository":"x","installation":{"id":-7}}`),
			Ignored, Event{}, func(e *Event) { e.Note = "DistroPack does not use this event" }},
	} {
		want := x.base
		want.Name, want.Kind = x.name, x.kind
		if x.set != nil {
			x.set(&want)
		}
		got, err := Parse(x.name, x.body)
		if err != nil {
			t.Errorf("%s: %v", x.about, err)
			continue
		}
		if !reflect.DeepEqual(got, &want) {
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			t.Errorf("%s:\ngot  %s\nwant %s", x.about, g, w)
		}
	}
}

// Hostile values are refused, and the words say which.
func TestHostileValuesAreRefusedInWords(t *testing.T) {
	tag := func(name string) []byte {
		ref, _ := json.Marshal("refs/tags/" + name)
		return body(`"ref":` + string(ref) + `,"created":true`)
	}
	change := func(old, new string) []byte {
		b := string(body(`"ref":"refs/tags/v1"`))
		if !strings.Contains(b, old) {
			t.Fatalf("no %s in the payload", old)
		}
		return []byte(strings.Replace(b, old, new, 1))
	}
	long := strings.Repeat("x", 300)
	for _, x := range []struct {
		name string
		body []byte
		want string
	}{
		{"push", tag(""), "push event: tag is empty"},
		{"push", tag("v1\nX: y"), `push event: tag "v1\nX: y" has the character U+000A, which a name may not have`},
		{"push", tag("v1\x00"), "has the character U+0000"},
		{"push", tag("v1\u202e1.v"), `tag "v1\u202e1.v" has the character U+202E`},
		{"push", tag("v1\u00a0"), "has the character U+00A0"},
		{"push", tag("v 1"), "has the character U+0020"},
		{"push", tag("v1~2"), "has the character U+007E"},
		{"push", tag(`v1\2`), "has the character U+005C"},
		{"push", tag("../../etc/passwd"), "has dots where git allows none"},
		{"push", tag("v1."), "has dots where git allows none"},
		{"push", tag("/v1"), "has a part that git does not allow: empty, .hidden or .lock"},
		{"push", tag("a//b"), "has a part that git does not allow"},
		{"push", tag("a/.git/config"), "has a part that git does not allow"},
		{"push", tag("v1.lock"), "has a part that git does not allow"},
		{"push", tag("--upload-pack=x"), `tag "--upload-pack=x" begins with -`},
		{"push", tag("@"), "is one that git keeps for itself"},
		{"push", tag("v@{1}"), "is one that git keeps for itself"},
		{"push", tag(long), "is longer than 255 bytes"},
		{"push", body("\"ref\":\"refs/tags/v\xff\""), "is not UTF-8"},
		{"create", body(`"ref":"a/../b","ref_type":"tag"`), "create event: tag"},
		{"release", body(`"action":"published","release":{"id":1,"tag_name":"a b"}`), "release event: tag"},

		{"push", change(`"id":9`, `"id":0`), "repository has the id 0; ids are positive"},
		{"push", change(`"id":9`, `"id":-9`), "repository has the id -9"},
		{"push", change(`"id":9`, `"id":"9"`), "push event: repository.id is not a whole number"},
		{"push", change(`"id":9`, `"id":9.5`), "push event: repository.id is not a whole number"},
		{"push", change(`"id":9`, `"id":99999999999999999999`), "push event: repository.id is not a whole number"},
		{"push", change(`"id":7`, `"id":0`), "installation has the id 0"},
		{"push", change(`"id":4`, `"id":0`), "sender has the id 0"},
		{"push", change(`"id":3`, `"id":0`), "owner has the id 0"},
		{"push", change(`"name":"hello"`, `"name":".."`), `repository name ".." is not one that GitHub allows`},
		{"push", change(`"name":"hello"`, `"name":"a/b"`), `repository name "a/b"`},
		{"push", change(`"name":"hello"`, `"name":"a\nb"`), `repository name "a\nb"`},
		{"push", change(`"name":"hello"`, `"name":""`), `repository name ""`},
		{"push", change(`"name":"hello"`, `"name":"`+long+`"`), strings.Repeat("x", 80) + `..." is not one that GitHub allows`},
		{"push", change(`"login":"ann"`, `"login":"ann/.."`), `owner "ann/.." is not a name of an account on GitHub`},
		{"push", change(`"login":"ann"`, `"login":""`), `owner "" is not a name`},
		{"push", change(`"bot[bot]"`, `"<b>bot</b>"`), `sender "<b>bot</b>" is not a name`},
		{"push", change(`"main"`, `"../main"`), `default branch "../main" has dots`},
		{"push", body(`"ref":"refs/tags/v1","head_commit":{"id":"` + none + `"}`), "is not 40 or 64 hex digits"},
		{"push", body(`"ref":"refs/tags/v1","head_commit":{"id":"HEAD"}`), `commit "HEAD" is not 40 or 64 hex digits`},
		{"push", body(`"ref":{"a":"refs/tags/v1"}`), "push event: ref is not text"},
		{"push", body(`"ref":"refs/tags/v1","deleted":"no"`), "deleted is not true or false"},
		{"push", body(`"ref":"refs/tags/v1","head_commit":"x"`), "head_commit is not an object"},
		{"push", []byte(`{"installation":{"id":7},"ref":"refs/tags/v1"}`), "push event: it names no repository"},

		{"release", body(`"action":"published"`), "release event: it has no release"},
		{"release", body(`"action":"published","release":{"tag_name":"v1"}`), "release has the id 0"},
		{"repository", body(`"action":"renamed","changes":{"repository":{"name":{"from":"a/b"}}}`), `repository name "a/b"`},
		{"repository", body(`"action":"transferred","changes":{}`), "it has no changes.owner.from"},
		{"repository", body(`"action":"transferred","changes":{"owner":{"from":{"user":{"login":"a b"}}}}`), `owner before "a b"`},
		{"installation", []byte(`{"action":"created","installation":{"id":7}}`), "installation event: it has no installation.account"},
		{"installation", []byte(`{"action":"created","installation":{"id":7,"account":{"id":"3"}}}`), "installation event: installation.account.id is not a whole number"},
		{"installation", []byte(`{"action":"created","installation":{"id":7,"account":{"id":3,"login":"a\u0007"}}}`), `account of the installation "a\a" is not a name`},
		{"installation", account(`"action":"created","repositories":{"a":1}`), "a list of repositories is not a list"},
		{"installation", account(`"action":"created","repositories":[{"id":1,"name":"b","full_name":"ann/c"}]`), `repository "b" calls itself "ann/c"`},
		{"installation", account(`"action":"created","repositories":[{"id":1,"name":"b","full_name":"a b/b"}]`), `owner "a b" is not a name`},
		{"installation", account(`"action":"created","repositories":[{"id":"1"}]`), "a list of repositories: id is not a whole number"},
		{"installation_repositories", account(`"action":"added","repositories_added":[{"id":0,"name":"b","full_name":"ann/b"}]`), "repository has the id 0"},
		{"installation_target", []byte(`{"action":"renamed","installation":{"id":7}}`), "it has no account"},
		{"installation_target", []byte(`{"action":"renamed","installation":{"id":7},"account":{"id":1,"login":"a"},"changes":{"login":{"from":"a:b"}}}`), `account before "a:b"`},
		{"check_run", body(`"action":"rerequested"`), "it has no check_run"},
		{"check_run", body(`"action":"rerequested","check_run":{"id":0}`), "check run has the id 0"},
		{"check_run", body(`"action":"rerequested","check_run":{"id":1,"external_id":"a\nb"}`), `external id "a\nb" is not one word of at most 512 plain characters`},
		{"check_run", body(`"action":"rerequested","check_run":{"id":1,"head_sha":"x"}`), `commit "x"`},
		{"check_run", body(`"action":"requested_action","check_run":{"id":1,"head_sha":"` + commit + `"}`), "it has no requested_action.identifier"},
		{"check_run", body(`"action":"requested_action","requested_action":{"identifier":"` + long + `"},"check_run":{"id":1,"head_sha":"` + commit + `"}`), "is not one word of at most 64 plain characters"},
		{"check_suite", body(`"action":"rerequested"`), "it has no check_suite"},
		{"check_suite", body(`"action":"rerequested","check_suite":{"id":-1}`), "check suite has the id -1"},
		{"pull_request", body(`"action":"opened"`), "it has no pull_request"},
		{"pull_request", body(`"action":"opened","number":0,"pull_request":{}`), "pull request has the number 0; numbers are positive"},
		{"github_app_authorization", []byte(`{"action":"revoked"}`), "sender has the id 0"},

		{"push", nil, "push event: the body is not a JSON object"},
		{"push", []byte("null"), "the body is not a JSON object"},
		{"star", []byte("[]"), "star event: the body is not a JSON object"},
		{"star", []byte(`{"action":"created"`), "the body is broken JSON at byte 19: "},
		{"star", []byte(`{} {}`), "the body is broken JSON at byte 4: "},
		{"star", []byte("{\"a\":" + strings.Repeat("[", 20_000)), "exceeded max depth"},
		{"push", []byte(`{"repository":` + strings.Repeat(`{"owner":`, 20_000)), "exceeded max depth"},
		{"Push", []byte("{}"), `event name "Push" is not one of GitHub's`},
		{"a\nb", []byte("{}"), `event name "a\nb"`},
		{"", []byte("{}"), `event name ""`},
	} {
		e, err := Parse(x.name, x.body)
		if err == nil {
			t.Errorf("%s %.80q is taken as %+v, want %q", x.name, x.body, e, x.want)
			continue
		}
		if !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %q, want %q", x.name, err, x.want)
		}
		if len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("the error is not a line that can be shown: %q", err)
		}
	}
}

// A list of empty entries ends at its first, one of real ones at the limit.
func TestListsAreBounded(t *testing.T) {
	_, err := Parse("installation", account(`"action":"created","repositories":[`+strings.Repeat("{},", 200_000)+`{}]`))
	if err == nil || !strings.Contains(err.Error(), "repository has the id 0") {
		t.Errorf("empty entries: %v", err)
	}
	one := `{"id":1,"name":"b","full_name":"ann/b"}`
	_, err = Parse("installation", account(`"action":"created","repositories":[`+strings.Repeat(one+",", maxRepositories)+one+`]`))
	if err == nil || !strings.Contains(err.Error(), "a list has more than 100000 repositories") {
		t.Errorf("too many entries: %v", err)
	}
}

// The largest body that GitHub sends is read without trouble, whatever it is full of.
func TestALargeBodyIsRead(t *testing.T) {
	commits := strings.Repeat(`{"id":"`+commit+`","message":"x","added":["a","b"]},`, 25<<20/90)
	b := body(`"ref":"refs/tags/v1.0","created":true,"commits":[` + commits + `{}]`)
	if len(b) < 20<<20 {
		t.Fatalf("only %d bytes", len(b))
	}
	e, err := Parse("push", b)
	if err != nil || e.Kind != TagPushed || e.Tag != "v1.0" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestHeadReadsWhatItCan(t *testing.T) {
	for _, x := range []struct {
		body string
		want Head
	}{
		{`{"action":"opened","installation":{"id":7},"repository":{"id":9,"name":"b","owner":{"login":"ann"}}}`,
			Head{Action: "opened", Installation: 7, Repository: 9, owner: "ann", name: "b"}},
		{`{"action":5,"installation":"x","repository":{"id":9,"name":"b\n","owner":{"login":"ann"}}}`, Head{Repository: 9}},
		{`{"installation":{"id":-7},"repository":{"id":1e99}}`, Head{}},
		{`{}`, Head{}},
	} {
		got, err := ReadHead("issues", []byte(x.body))
		if err != nil || got != x.want {
			t.Errorf("%s: got %+v, %v, want %+v", x.body, got, err, x.want)
		}
	}
}
