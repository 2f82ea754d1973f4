package dnf

import (
	"os"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// The bodies for install.sh are run as they are, but for paths and the root that
// the tools are given; twice, as people do.
func TestSetupAddsTheRepository(t *testing.T) {
	publishtest.Need(t, "dnf", "zypper", "rpm", "dash")
	keys := publishtest.GPG(t)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", hello(t, keys, "hello", "1.0.0"), data(t, keys, "hello", "1.0"))
	s := serve(t, tree)
	for _, g := range guides(t, tree, r, s.URL, "stable") {
		t.Run(g.Client, func(t *testing.T) {
			root := t.TempDir()
			for _, d := range []string{"/log", "/var/lib/rpm", "/etc/yum.repos.d", "/etc/zypp/repos.d"} {
				if err := os.MkdirAll(root+d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write(t, root+"/dnf.conf", []byte("[main]\ngpgcheck=1\nskip_if_unavailable=True\nplugins=0\n"))
			script := "#!/bin/sh\nset -eu\nROOT=" + root + `
run() { "$@"; }
put() { cat >"$2"; }
rpm() { command rpm --root "$ROOT" --dbpath /var/lib/rpm "$@"; }
dnf() { command dnf --config "$ROOT/dnf.conf" --installroot "$ROOT" --releasever 1 --forcearch x86_64 --setopt=reposdir="$ROOT/etc/yum.repos.d" --setopt=cachedir="$ROOT/cache" --setopt=logdir="$ROOT/log" "$@"; }
zypper() { command zypper --root "$ROOT" "$@"; }
setup() {
` + strings.ReplaceAll(g.Setup, "/etc/", root+"/etc/") + `}
install() {
` + g.InstallSh + `}
setup
setup
install hello
`
			out := publishtest.MustRun(t, []string{"HOME=/root"}, "dash", write(t, root+"/x.sh", []byte(script)))
			if b, err := os.ReadFile(root + "/usr/bin/hello"); err != nil || !strings.Contains(string(b), "1.0.0") {
				t.Errorf("hello is %q (%v)\n%s", b, err, out)
			}
		})
	}
}
