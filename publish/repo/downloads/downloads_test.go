package downloads

import (
	"context"
	"fmt"
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
	for _, url := range []string{"https://h/v1/a%0Ab", "https://h/v1/a b", "https://h", "https://ann:hunter2@h/%zz", "https://ann:hunter2@h/-"} {
		e := publish.Edit{Add: []publish.Addition{addition("1.0.0", url)}}
		_, err := publish.Publish(context.Background(), new(publishtest.Mem), []publish.Repo{open(t, publishtest.Env())}, e, publish.Options{Time: 1, Now: 1})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
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
