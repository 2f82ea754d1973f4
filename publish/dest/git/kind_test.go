package git

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/distropack/distropack/publish"
)

// section decodes to settings that a test made.
type section Settings

func (s section) Decode(v any) error { *v.(*Settings) = Settings(s); return nil }

func TestSettingsThatAreWrong(t *testing.T) {
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "hosts"), []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const url = "ssh://git@example.org/a"
	for _, c := range []struct {
		settings Settings
		shared   bool
		want     string
	}{
		{Settings{}, false, "git: url is missing: the repository that holds the tree"},
		{Settings{URL: url, History: "squash"}, true, "git: history: squash would rewrite a repository that is not the tree's alone: remove it"},
		{Settings{URL: url, Author: "Ann"}, false, `git: author "Ann" is not of the form Name <mail>`},
		{Settings{URL: url, SSHKey: testToken}, false, "git: ssh-key is neither the text nor the name of a file"},
		{Settings{URL: url, SSHKey: "-----BEGIN OPENSSH PRIVATE KEY-----", KnownHosts: testToken}, false, "git: known-hosts is neither the text nor the name of a file"},
		{Settings{URL: url, SSHKey: "-----BEGIN OPENSSH PRIVATE KEY----- " + testToken, KnownHosts: "hosts"}, false, url + ": the ssh key can't be read"},
		{Settings{URL: "https://" + testToken + "@example.org/a"}, false, "the URL has a user in it"},
	} {
		_, err := Kind().New(section(c.settings), publish.DestinationEnv{Base: base, Shared: c.shared})
		wants(t, err, c.want)
	}
}
