package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/publish"
	destall "github.com/distropack/distropack/publish/dest/all"
)

func TestPrivateNetworksAreRefused(t *testing.T) {
	s := &Releases{Options: Options{Git: "http://127.0.0.2:8080"}}
	for host, ok := range map[string]bool{
		"127.0.0.1": false, "10.1.2.3": false, "192.168.0.1": false, "172.16.0.9": false, "169.254.169.254": false, "100.100.100.200": false, "::1": false, "fd00::1": false,
		"fe80::1": false, "::ffff:10.0.0.1": false, "0.0.0.0": false, "93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.2": true, // our GitHub
	} {
		err := s.outside(t.Context(), host)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "is in a private network, and this server publishes to none") {
			t.Errorf("outside(%s) = %v", host, err)
		}
	}
	s.Private = true
	if err := s.outside(t.Context(), "127.0.0.1"); err != nil {
		t.Error(err)
	}
}

// section is the first site's, of a kind.
func section(t *testing.T, kind, text string) config.Section {
	t.Helper()
	p, err := config.Parse("distropack.yml", []byte("version: 1\nproject: hello\nmaintainer: Ann <ann@example.org>\npackages:\n  - contents: [{src: a, dst: /a}]\npublish:\n  - site: public\n    url: https://example.org\n    "+kind+": "+text+"\n"),
		config.Options{Places: destall.Kinds(), Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return p.Publish[0].Options[kind]
}

func TestPlacesThatAServerDoesNotGoTo(t *testing.T) {
	j := &job{Releases: &Releases{Options: Options{Git: "https://github.com"}}}
	env := publish.DestinationEnv{Lookup: func(string) (string, bool) { return "", false }}
	for text, want := range map[string]string{
		`{url: "https://github.com/a/b"}`:                                                 "",
		`{url: "https://git.example.org/a/b", token: x}`:                                  "",
		`{url: "http://git.example.org/a/b"}`:                                             "git: url has no TLS: use https or ssh",
		`{url: "git@git.example.org:a/b"}`:                                                "git: known-hosts is missing",
		`{url: "ssh://git@git.example.org/a/b"}`:                                          "git: known-hosts is missing",
		`{url: "git@git.example.org:a/b", known-hosts: /etc/ssh/ssh_known_hosts}`:         "git: known-hosts names a file",
		`{url: "git@git.example.org:a/b", known-hosts: "git.example.org ssh-ed25519 AA"}`: "",
		`{url: "/srv/git/a"}`:                                                             "publishes to no repository on its server",
		`{url: "../other"}`:                                                               "publishes to no repository on its server",
		`{url: "file:///srv/git/a"}`:                                                      "publishes to no repository on its server",
		`{url: "ext::sh -c id"}`:                                                          "publishes to no repository on its server",
		`{url: "localhost:a/b"}`:                                                          "publishes to no repository on its server",
	} {
		_, err := j.guardGit(section(t, "git", text), env, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{name: x, access-key: a, secret-key: b}`: "",
		`{name: x}`: "bucket: access-key is missing",
		`{name: x, access-key: a, secret-key: b, endpoint: "http://s3.example.org"}`:  "bucket: endpoint is not of the form https://host",
		`{name: x, access-key: a, secret-key: b, endpoint: "https://s3.example.org"}`: "",
	} {
		err := j.guardBucket(section(t, "bucket", text), env)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// The App's token goes to addresses it was made for, and no variable of the server anywhere.
	got, err := j.guardGit(section(t, "git", `{url: "https://github.com/a/b"}`), env, map[string]string{"https://github.com/a/b": "ghs_secret"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DISTROPACK_GIT_TOKEN": "ghs_secret", "GITHUB_TOKEN": "", "HOME": ""} {
		if v, _ := got.Lookup(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
}

func TestSecretsStandWhereTheyAreNotPublished(t *testing.T) {
	v := &variables{secrets: map[string]func() (string, error){"SECRET": nil}}
	for text, want := range map[string]string{
		"publish:\n  - git: {token: \"${SECRET}\"}\ngithub: {token: \"${SECRET}\"}\n": "[]",
		"description: ${SECRET}\n":                               "[1]",
		"packages:\n  - name: a\n    depends: [\"${SECRET}\"]\n": "[3]",
		"publish:\n- url: x\n\"description\": ${SECRET:-x}\n":    "[3]",
		"# ${SECRET}\ndescription: ${OTHER:-x}\n":                "[]",
	} {
		if got := fmt.Sprint(v.misplaced([]byte(text))); got != want {
			t.Errorf("%q: lines %s, want %s", text, got, want)
		}
	}
	a, b := &config.Project{Description: "x"}, &config.Project{Description: "y"}
	if samePublic(a, b) || !samePublic(a, &config.Project{Description: "x", Publish: []config.Site{{URL: "z"}}}) {
		t.Error("what differs in public is not told from what does not")
	}
}

func TestPackagesMadeAgainHaveToBeTheSame(t *testing.T) {
	made := map[string]string{"a": "1", "b": "2"}
	if err := errors.Join(same(made, nil), same(made, map[string]string{"a": "1", "b": "2"})); err != nil {
		t.Error(err)
	}
	if err := same(made, map[string]string{"a": "1", "b": "3", "c": "4"}); err == nil || !strings.Contains(err.Error(), "the packages were made again, since their files were on another machine, and came out other: b, c: are two") {
		t.Errorf("others: %v", err)
	}
}

func TestNamesOfAssetsLeadNowhere(t *testing.T) {
	j := &job{Releases: &Releases{}}
	for _, name := range []string{"..", "a/b", "../x", ""} {
		if err := j.download(t.Context(), nil, nil, asset{Name: name}, t.TempDir()+"/"+name); !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "is no name of a file") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAPlanReadsFewFiles(t *testing.T) {
	f := &remote{ctx: context.Background(), repo: &store.Repository{}, asked: maxRemote}
	if _, err := f.Open("a"); err == nil || !strings.Contains(err.Error(), "a plan reads no more files") {
		t.Errorf("one too many: %v", err)
	}
	for _, name := range []string{".", "../a", "/a"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAChildWithoutASiteIsRefused(t *testing.T) {
	if err := new(Releases).publish(t.Context(), &engine.Run{ID: "x", Input: []byte("{}")}); err == nil || !strings.Contains(err.Error(), "it names no site") {
		t.Error(err)
	}
}
