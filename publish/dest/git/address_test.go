package git

import (
	"fmt"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

func TestAddressesAndNames(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/a/b.git":                   "https://example.org/a/b.git",
		"https://example.org/a/b.git/":                  "https://example.org/a/b.git",
		"HTTPS://example.org:8443/a/b":                  "https://example.org:8443/a/b",
		"git@example.org:a/b.git":                       "!ssh key",
		"example.org:a/b.git":                           "!ssh key",
		"ssh://git@example.org/a/b.git":                 "!ssh key",
		"file:///srv/b.git":                             "file:///srv/b.git",
		"/srv/b.git":                                    "/srv/b.git",
		"":                                              "!the repository's URL is missing",
		"https://" + testToken + "@example.org/a/b":     "!https://example.org/a/b: the URL has a user in it, which may be a token: take it out",
		"https://u:" + testToken + "@example.org/a/b":   "!https://example.org/a/b: the URL has a password in it: take it out and give the token by itself",
		"https://example.org/a/b?token=" + testToken:    "!https://example.org/a/b: the URL has a part behind ? or #: take it out",
		"https://example.org/a/b#" + testToken:          "!https://example.org/a/b: the URL has a part behind ? or #: take it out",
		"https://u:" + testToken + "@exa mple.org/a":    `!the repository's URL, which begins with "https://", can't be understood`,
		"https://u:" + testToken + "%zz@example.org/a/": `!the repository's URL, which begins with "https://", can't be understood`,
		"ssh://git:" + testToken + "@example.org/a":     "!ssh://example.org/a: the URL has a password in it: take it out",
		"git:" + testToken + "@example.org:a":           "!the repository's URL has a password in it: take it out and give the key by itself",
		"ftp://example.org/a":                           "!ftp://example.org/a: ftp is not supported: use https, ssh or file",
		"ssh://-oProxyCommand=x/a":                      "!the URL names no host",
		"ssh://@example.org/a":                          "!ssh://@example.org/a: the URL names no user",
		"-oProxyCommand=x@example.org:a":                "!example.org:a: the URL names no user",
		"https://example.org":                           "!https://example.org: the URL names no repository",
		"git@example.org:":                              "!git@example.org:: the URL names no repository",
		"https:///a":                                    "!https:///a: the URL names no host",
		"https://example.org/a\nb":                      "!the repository's URL has a control character",
		"file://example.org/a":                          "!file://example.org/a: a file URL takes no host: use ssh or https",
	} {
		g, err := Open(Options{URL: url, Dir: t.TempDir()})
		if part, ok := strings.CutPrefix(want, "!"); ok {
			wants(t, err, part)
		} else if err != nil || g.URL() != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	for want, list := range map[string][]Options{
		"can't be a branch's name":             {{Branch: "a..b"}, {Branch: "-x"}, {Branch: "a b"}, {Branch: "a.lock"}, {Branch: "a/.b"}, {Branch: "a//b"}, {Branch: "@{u}"}, {Branch: "a\nb"}},
		`" can't be in a branch`:               {{Folder: "../x"}, {Folder: "a//b"}, {Folder: "a/.git"}},
		"can't be an author's name or address": {{Name: "a <b>"}, {Email: "a\nb"}, {Name: " a"}, {Name: "..."}},
	} {
		for _, o := range list {
			o.URL = "/srv/b.git"
			_, err := Open(o)
			bad, _, _ := strings.Cut(o.Branch+o.Folder+o.Name+o.Email, "\n")
			wants(t, err, "/srv/b.git: ", want, bad)
		}
	}
	g := open(t, Options{URL: "/srv/b.git"})
	for _, p := range []string{".git/config", "a/.GIT/x", "a/.git ", "git~1/x"} {
		_, err := g.Commit(t.Context(), "", put(p, "x"))
		wants(t, err, fmt.Sprintf("path %q can't be in a git branch", p))
	}
	c := put("a", "1")
	c.Put = append(c.Put, publish.File{Path: "a", Blob: formats.Bytes(nil)})
	_, err := g.Commit(t.Context(), "", c)
	wants(t, err, "a is put twice")
}

func TestPrintableIsBounded(t *testing.T) {
	for in, want := range map[string]string{"a\x1b[31mb\r\n c\x00": "a [31mb c", "ä\xff": "ä?", strings.Repeat("x", 50): strings.Repeat("x", 9) + "…", " \n": ""} {
		if got := printable(in, 10); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}
