package release_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

func TestHostName(t *testing.T) {
	// The first ones were seen on GitHub: softprops/action-gh-release#159,
	// actions/upload-release-asset#57, electron/forge#1761, cli/cli#10585.
	for name, want := range map[string]string{
		"tobwen-1.1.0-1~buster_amd64.deb":            "tobwen-1.1.0-1.buster_amd64.deb",
		"app.prod-v1.3.0-(15-5)-6064eac-release.apk": "app.prod-v1.3.0-.15-5.-6064eac-release.apk",
		"erick%%%%%!!!zhao.txt":                      "erick.zhao.txt",
		"fake.      file.txt":                        "fake.file.txt",
		"erick@256!.txt":                             "erick@256.txt",
		"My App 1.0.0 Setup.exe":                     "My.App.1.0.0.Setup.exe",
		"hello-1:1.0-1-x86_64.pkg.tar.zst":           "hello-1.1.0-1-x86_64.pkg.tar.zst",
		"vyper.0.3.10+commit.linux":                  "vyper.0.3.10+commit.linux",
		"..hidden..":                                 "hidden",
		"plain_name-1.0.tar.gz":                      "plain_name-1.0.tar.gz",
		"":                                           "",
		"...":                                        "",
	} {
		if got := release.HostName(name); got != want {
			t.Errorf("HostName(%q) = %q, want %q", name, got, want)
		}
	}
}

// ghost is a file of any size.
type ghost struct {
	ref  formats.Ref
	open func() (io.ReadCloser, error)
}

func (g ghost) Ref() formats.Ref             { return g.ref }
func (g ghost) Open() (io.ReadCloser, error) { return g.open() }

func sized(name string, size int64) release.Asset {
	return release.Asset{Name: name, Blob: ghost{formats.Ref{Size: size}, func() (io.ReadCloser, error) { return nil, errors.New("was opened") }}}
}

func TestCheck(t *testing.T) {
	var many []release.Asset
	for i := range 1001 {
		many = append(many, sized(fmt.Sprint("f", i), 1))
	}
	tests := map[string]struct {
		assets []release.Asset
		want   []string // one for each error
	}{
		"fine":          {three(), nil},
		"as big as can": {[]release.Asset{sized("a", 2<<30-1)}, nil},
		"as many":       {many[:1000], nil},
		"too big":       {[]release.Asset{sized("a", 2<<30), sized("b", 1)}, []string{`file "a" has 2147483648 bytes, and a release takes files below 2 GiB: put it into a bucket`}},
		"too many":      {many, []string{"1001 files are more than the 1000 a release can have: put packages into the tree or a bucket instead"}},
		"empty":         {[]release.Asset{sized("a", 0)}, []string{`file "a" is empty, and a release takes no empty files`}},
		"nothing":       {[]release.Asset{{Name: "a"}}, []string{`file "a" has no content`}},
		"no name":       {[]release.Asset{sized("", 1), sized("~", 1)}, []string{`file name "" can't be kept on a release: use ASCII letters, digits and . _ - + @`, `"~"`}},
		"other letters": {[]release.Asset{sized("naïve.deb", 1), sized("a/b", 1), sized("a\nb", 1)}, []string{"na\u00efve", "a/b", `a\nb`}},
		"long name":     {[]release.Asset{sized(strings.Repeat("a", 256), 1)}, []string{`aaa" has 256 characters, and 255 is the most`}},
		"twice":         {[]release.Asset{sized("a", 1), sized("a", 1)}, []string{`"a" is there twice`}},
		"the same then": {[]release.Asset{sized("a~b", 1), sized("a.b", 1)}, []string{`files "a~b" and "a.b" would both be called "a.b" on the release: rename one`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			errs := release.Check(tt.assets)
			if len(errs) != len(tt.want) {
				t.Fatalf("got %q, want %q", errs, tt.want)
			}
			for i, w := range tt.want {
				if !strings.Contains(errs[i].Error(), w) {
					t.Errorf("got %q, want %q", errs[i], w)
				}
			}
			if tt.want != nil {
				h := newHost(t, githubtest.Options{})
				_, err := h.place(t).Attach(ctx, h.rel(), tt.assets, release.AttachOptions{})
				wantError(t, err, tt.want...)
				if n := len(h.Requests()); n != 0 {
					t.Errorf("%d requests before the refusal", n)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	const form, clear = "the API's URL is not of the form https://host/path", "http://github.example.org would carry the token in the clear: use https"
	for name, tt := range map[string]struct {
		o    release.Options
		want string
	}{
		"no owner":     {release.Options{Repo: "r"}, `owner "" is not a name that GitHub has`},
		"two words":    {release.Options{Owner: "a/b", Repo: "r"}, `owner "a/b" is not a name that GitHub has`},
		"up":           {release.Options{Owner: "a", Repo: ".."}, `repository ".." is not a name that GitHub has`},
		"plain http":   {release.Options{API: "http://github.example.org", Owner: "a", Repo: "r"}, clear},
		"no host":      {release.Options{API: "api", Owner: "a", Repo: "r"}, form},
		"password":     {release.Options{API: "https://user:secret-word@github.example.org", Owner: "a", Repo: "r"}, form},
		"query":        {release.Options{API: "https://github.example.org?x=y", Owner: "a", Repo: "r"}, form},
		"http uploads": {release.Options{Uploads: "http://github.example.org", Owner: "a", Repo: "r"}, clear},
	} {
		if _, err := release.Open(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestAssetURL(t *testing.T) {
	for api, want := range map[string]string{
		"":                            "https://github.com/a/r/releases/download/v1.0/x.y+z",
		"https://api.github.com":      "https://github.com/a/r/releases/download/v1.0/x.y+z",
		"https://api.acme.ghe.com/":   "https://acme.ghe.com/a/r/releases/download/v1.0/x.y+z",
		"https://git.acme.org":        "https://git.acme.org/a/r/releases/download/v1.0/x.y+z",
		"https://git.acme.org/api/v3": "https://git.acme.org/a/r/releases/download/v1.0/x.y+z",
	} {
		if got := open(t, release.Options{API: api, Owner: "a", Repo: "r"}).AssetURL("v1.0", "x~y+z"); got != want {
			t.Errorf("AssetURL at %q = %s, want %s", api, got, want)
		}
	}
	p := open(t, release.Options{Owner: "a", Repo: "r"})
	if got, want := p.AssetURL("rel/v1#2", "x"), "https://github.com/a/r/releases/download/rel/v1%232/x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
