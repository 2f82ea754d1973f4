package downloads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

func addition(version, url string) publish.Addition {
	m := &formats.Meta{Format: "tar.gz", Name: "hello", Version: version, Arch: "linux-amd64", Fields: []formats.Field{{Key: "os", Value: "linux"}, {Key: "arch", Value: "amd64"}}}
	return publish.Addition{
		Package:  publish.Package{Blob: formats.Bytes([]byte("hello " + version)), Meta: m, Version: version},
		Channels: []string{"stable"}, URL: url,
	}
}

func open(t *testing.T, env publish.RepoEnv) publish.Repo {
	t.Helper()
	r, err := Kind().New(formats.NoSection, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sha256sum -c finds both: what is in the tree from downloads/ on, what was
// fetched from elsewhere in the folder it was saved to.
func TestSumsListWhatLiesElsewhereByItsName(t *testing.T) {
	tree := new(publishtest.Mem)
	here, there := addition("1.0.0", ""), addition("1.1.0", "https://h/o/v1.1.0/hello_1.1.0%2Bx_linux_amd64.tar.gz")
	e := publish.Edit{Add: []publish.Addition{here, there}}
	if _, err := publish.Publish(context.Background(), tree, []publish.Repo{open(t, publishtest.Env())}, e, publish.Options{Time: 1, Now: 1}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s  hello/1.0.0/hello_1.0.0_linux_amd64.tar.gz\n%s  hello_1.1.0+x_linux_amd64.tar.gz\n", here.Blob.Ref().SHA256, there.Blob.Ref().SHA256)
	if got := string(tree.Read("downloads/SHA256SUMS")); got != want {
		t.Errorf("SHA256SUMS is\n%s\nwant\n%s", got, want)
	}
	if tree.Read("downloads/hello/1.0.0/hello_1.0.0_linux_amd64.tar.gz") == nil || tree.Read("downloads/hello/1.1.0/hello_1.1.0_linux_amd64.tar.gz") != nil {
		t.Error("the tree holds the wrong archive")
	}
}

func TestNamesThatBreakALineAreRefused(t *testing.T) {
	const lies = "downloads/hello/1.0.0/hello_1.0.0_linux_amd64.tar.gz: it lies at h as "
	for _, c := range []struct{ url, want string }{
		{"https://h/v1/a%0Ab", lies + `"a\nb", which is no word for a line of SHA256SUMS`},
		{"https://h/v1/a b", lies + `"a b", which is no word for a line of SHA256SUMS`},
		{"https://h", lies + `".", which is no word for a line of SHA256SUMS`},
		{"https://ann:hunter2@h/%zz", "hello 1.0.0: the address where it lies is not of the form https://host/path"},
		{"https://ann:hunter2@h/-", "hello 1.0.0: the address where it lies is not of the form https://host/path"},
	} {
		e := publish.Edit{Add: []publish.Addition{addition("1.0.0", c.url)}}
		_, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{open(t, publishtest.Env())}, e, publish.Options{Time: 1, Now: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %s", c.url, err, c.want)
		}
	}
	// A record of a tree may say anything.
	rec := &publish.Record{Path: "downloads/x", URL: "https://ann:hunter2@h/%zz"}
	_, err := open(t, publishtest.Env()).Streams("stable")[0].Page([]*publish.Record{rec})
	if want := "downloads/x: the address where it lies is no URL: use https://host/folder/file"; err == nil || err.Error() != want {
		t.Errorf("Page: %v, want %s", err, want)
	}
}

func TestWhatIsNoWordForAPathIsRefused(t *testing.T) {
	for want, m := range map[string]formats.Meta{
		`archive "../x" of version "1" for "linux", "amd64": not words for a path`:    {Name: "../x", Version: "1"},
		`archive "hello" of version "1/2" for "linux", "amd64": not words for a path`: {Name: "hello", Version: "1/2"},
	} {
		m.Format, m.Fields = "zip", []formats.Field{{Key: "os", Value: "linux"}, {Key: "arch", Value: "amd64"}}
		if _, err := open(t, publishtest.Env()).Place(&m, "stable"); err == nil || err.Error() != want {
			t.Errorf("Place: %v, want %s", err, want)
		}
	}
}

// goneKeys can't sign: the agent is gone.
type goneKeys struct{ publishtest.Keys }

func (goneKeys) Signer(string, formats.Scheme) (formats.Signer, error) {
	return func(context.Context, io.Reader) ([]byte, error) { return nil, errors.New("the agent is gone") }, nil
}

func TestSigningErrorsAreReported(t *testing.T) {
	env := publishtest.Env()
	env.Keys = goneKeys{}
	const want = "repository downloads: root beta: sign downloads/SHA256SUMS-beta: the agent is gone"
	if _, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{open(t, env)}, publish.Edit{}, publish.Options{}); err == nil || err.Error() != want {
		t.Errorf("Publish: %v, want %s", err, want)
	}
}

// Existing trees are not made anew.
func TestServersAreNoSetting(t *testing.T) {
	env := publishtest.Env()
	before := open(t, env).Settings()
	env.Servers = []string{"https://h/latest"}
	if after := open(t, env).Settings(); before != after {
		t.Errorf("the settings are %q, and with servers %q", before, after)
	}
}
