package event

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func unpack(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type example struct {
	name string
	body []byte
}

func examples(t testing.TB) (all []example) {
	t.Helper()
	for line := range strings.Lines(unpack(t, "examples.gz")) {
		f := strings.SplitN(line, " ", 3)
		all = append(all, example{f[0], []byte(f[2])})
	}
	return all
}

// with sets a field of a payload.
func with(t testing.TB, body []byte, field string, v any) []byte {
	t.Helper()
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	at := m
	path := strings.Split(field, ".")
	for _, p := range path[:len(path)-1] {
		next, ok := at[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[p] = next
		}
		at = next
	}
	if last := path[len(path)-1]; v == nil {
		delete(at, last)
	} else {
		at[last] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var wantAsIs = map[Kind]int{
	Ignored: 358, TagPushed: 4, TagDeleted: 2, ReleasePublished: 1, ReleaseDeleted: 2,
	RepositoryRenamed: 1, RepositoryTransferred: 1, RepositoryChanged: 2,
	InstallationCreated: 3, InstallationDeleted: 3, InstallationSuspended: 1, InstallationUnsuspended: 1, PermissionsAccepted: 1,
	RepositoriesAdded: 3, RepositoriesRemoved: 2, CheckRerequested: 5, ActionRequested: 1, PullRequestChanged: 7,
	AuthorizationRevoked: 1, Ping: 5,
}

var wantAsApp = map[Kind]int{
	Ignored: 332, TagPushed: 9, TagDeleted: 5, ReleasePublished: 7, ReleaseEdited: 2, ReleaseDeleted: 2,
	RepositoryRenamed: 1, RepositoryTransferred: 3, RepositoryDeleted: 1, RepositoryChanged: 8,
	InstallationCreated: 3, InstallationDeleted: 3, InstallationSuspended: 1, InstallationUnsuspended: 1, PermissionsAccepted: 1,
	RepositoriesAdded: 3, RepositoriesRemoved: 2, CheckRerequested: 5, ActionRequested: 1, PullRequestChanged: 8,
	AuthorizationRevoked: 1, Ping: 5,
}

// No official example is refused. What each is taken for is counted twice: as it is,
// where most are from a repository's webhook, and as the App would get it.
func TestEveryOfficialExampleIsReadOrIgnored(t *testing.T) {
	asIs, asApp := map[Kind]int{}, map[Kind]int{}
	n := 0
	for _, x := range examples(t) {
		n++
		e, err := Parse(x.name, x.body)
		if err != nil {
			t.Errorf("%s: %v\n%.200s", x.name, err, x.body)
			continue
		}
		if (e.Kind == Ignored) != (e.Note != "") {
			t.Errorf("%s %s is %q with the note %q", e.Name, e.Action, e.Kind, e.Note)
		}
		asIs[e.Kind]++

		body := x.body
		if e.Installation.ID == 0 {
			body = with(t, body, "installation", map[string]any{"id": 7})
		}
		if e, err = Parse(x.name, body); err != nil {
			t.Errorf("%s with an installation: %v", x.name, err)
			continue
		}
		asApp[e.Kind]++
		if m, ok := meanings[key{e.Name, e.Action}]; ok && m.needs == repository && e.Repository == nil {
			t.Errorf("%s %s has no repository", e.Name, e.Action)
		}
	}
	if n != 404 {
		t.Errorf("%d examples, want 404", n)
	}
	for what, x := range map[string]struct{ got, want map[Kind]int }{
		"as they are":          {asIs, wantAsIs},
		"with an installation": {asApp, wantAsApp},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", what, x.got, x.want)
		}
	}
}

// What the table names is an event and action of GitHub's, and every field we read is
// one of it, of a type that fits: a slip of the pen in a field's name would read
// nothing, and be silent.
func TestEveryFieldWeReadIsInGitHubsDescription(t *testing.T) {
	described := map[key]map[string]string{}
	var fields map[string]string
	for line := range strings.Lines(unpack(t, "fields.gz")) {
		words := strings.Fields(line)
		if line[0] != ' ' {
			fields = map[string]string{}
			described[key{words[0], strings.TrimPrefix(words[1], "-")}] = fields
			continue
		}
		fields[words[0]] = strings.Join(words[1:], "")
	}
	if len(described) < 240 {
		t.Fatalf("only %d events and actions are described", len(described))
	}
	found := map[string]map[string]bool{} // event → fields some action has
	read := map[string]map[string]string{}
	for k := range meanings {
		if described[k] == nil {
			t.Errorf("GitHub does not describe %s %q", k.name, k.action)
		}
		if read[k.name] == nil {
			read[k.name], found[k.name] = map[string]string{}, map[string]bool{}
			fieldsOf(reflect.TypeOf(payloads[k.name]()), "", read[k.name])
		}
		for field, kind := range read[k.name] {
			types, ok := described[k][field]
			if !ok {
				continue
			}
			found[k.name][field] = true
			if kind != "any" && !slices.Contains(strings.Split(types, ","), kind) && types != "" {
				t.Errorf("%s %s: %s is %s, and read as %s", k.name, k.action, field, types, kind)
			}
		}
	}
	for name, fields := range read {
		for field := range fields {
			if !found[name][field] && !notDescribed[name+" "+field] && !optional(name, field) {
				t.Errorf("%s: %s is read, and not described for any action", name, field)
			}
		}
	}
}

// optional holds for what all payloads share and some events don't have.
func optional(name, field string) bool {
	switch name {
	case "push", "create", "ping":
		if field == "action" {
			return true
		}
	}
	switch name {
	case "github_app_authorization":
		return strings.HasPrefix(field, "repository") || strings.HasPrefix(field, "installation")
	case "ping":
		return strings.HasPrefix(field, "installation")
	}
	// Everywhere but in events about it, an installation is its id.
	return strings.HasPrefix(field, "installation.") && field != "installation.id" && name != "installation"
}

// notDescribed are fields that the description leaves out, and why we know them.
var notDescribed = map[string]bool{
	"repository changes.owner.from.organization.type": true, // an account is read alike everywhere; the type is not used here
}

// fieldsOf collects the paths of a struct's JSON fields with their types.
func fieldsOf(t reflect.Type, path string, into map[string]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[repositoryList]():
		into[path] = "array"
		element := map[string]string{}
		fieldsOf(reflect.TypeFor[repositoryJSON](), path+".[]", element)
		for _, f := range []string{"id", "name", "full_name", "private"} { // the rest is in events of the repository alone
			into[path+".[]."+f] = element[path+".[]."+f]
		}
	case t.Kind() == reflect.Struct:
		if path != "" {
			into[path] = "object"
		}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				fieldsOf(f.Type, path, into)
				continue
			}
			fieldsOf(f.Type, strings.TrimPrefix(path+"."+name, "."), into)
		}
	default:
		into[path] = map[reflect.Kind]string{
			reflect.String: "string", reflect.Int64: "integer", reflect.Int: "integer", reflect.Bool: "boolean", reflect.Interface: "any",
		}[t.Kind()]
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"push", "release", "check_run"} {
		for _, x := range examples(b) {
			if x.name != name {
				continue
			}
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(len(x.body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Parse(x.name, x.body); err != nil {
						b.Fatal(err)
					}
				}
			})
			break
		}
	}
}
