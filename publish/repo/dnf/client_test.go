package dnf

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

var amd64 = formats.Platform{OS: "linux", Arch: "amd64"}

func hello(t testing.TB, keys formats.Keys, key, version string) publish.Package {
	return build(t, keys, key, formats.Spec{Name: "hello", Version: version, Relations: formats.Relations{Depends: []string{"hello-data >= 1.0"}}},
		amd64, file("/usr/bin/hello", "#!/bin/sh\necho hello "+version+"\n"))
}

func data(t testing.TB, keys formats.Keys, key, version string) publish.Package {
	return build(t, keys, key, formats.Spec{Name: "hello-data", Version: version}, formats.All, file("/usr/share/hello/data", version))
}

// machine is a root of its own with a client's configuration.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t, t.TempDir()}
	if err := os.Mkdir(m.root+"/log", 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

// dnf runs dnf in the root, with the .repo file's own settings in force.
func (m *machine) dnf(args ...string) (string, error) {
	m.t.Helper()
	conf := write(m.t, m.root+"/dnf.conf", []byte("[main]\ngpgcheck=1\nskip_if_unavailable=True\nplugins=0\n"))
	return publishtest.Tool(m.t, []string{"HOME=/root"}, "dnf", append([]string{
		"-y", "--config", conf, "--installroot", m.root, "--releasever", "1", "--forcearch", "x86_64",
		"--setopt=reposdir=" + m.root + "/etc/yum.repos.d", "--setopt=cachedir=" + m.root + "/cache",
		"--setopt=install_weak_deps=0", "--setopt=logdir=" + m.root + "/log", "--noplugins",
	}, args...)...)
}

func (m *machine) mustDnf(args ...string) string {
	m.t.Helper()
	out, err := m.dnf(args...)
	if err != nil {
		m.t.Fatalf("dnf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (m *machine) reads(path, want string) {
	m.t.Helper()
	got, err := os.ReadFile(m.root + path)
	if err != nil || string(got) != want {
		m.t.Errorf("%s = %q (%v), want %q", path, got, err, want)
	}
}

func TestDnfInstallsAndUpgradesWithBothChecks(t *testing.T) {
	publishtest.Need(t, "dnf")
	keys := publishtest.GPG(t)
	for form, o := range map[string]Options{
		"zstd": {},
		"gzip": {Compression: "gzip", Dirs: map[string]string{"stable": "el9/{arch}"}, Packages: "flat"},
	} {
		t.Run(form, func(t *testing.T) {
			r := newRepo(t, o, publish.RepoEnv{Keys: keys, Key: "hello"})
			tree := &publishtest.Mem{}
			put(t, tree, r, release, "stable", hello(t, keys, "hello", "1.0.0-rc.1"), data(t, keys, "hello", "1.0"))
			s := serve(t, tree)
			m := newMachine(t)
			guides(t, tree, r, s.URL, "stable")
			write(t, m.root+"/etc/yum.repos.d/hello.repo", tree.Files()["rpm/hello.repo"])
			m.mustDnf("install", "hello")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.0-rc.1\n")
			m.reads("/usr/share/hello/data", "1.0")

			// Many names make many pages; most are taken over in the second publish.
			var more []publish.Package
			for i := range 40 {
				more = append(more, build(t, keys, "", formats.Spec{Name: "filler-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Version: "1"}, formats.All))
			}
			put(t, tree, r, release+5, "stable", more...)
			put(t, tree, r, release+10, "stable", hello(t, keys, "hello", "1.0.0"))
			m.mustDnf("--refresh", "upgrade")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.0\n")
			if out := m.mustDnf("repoquery", "-l", "hello"); !strings.Contains(out, "/usr/bin/hello") {
				t.Errorf("repoquery -l has no /usr/bin/hello:\n%s", out)
			}
			if out := m.mustDnf("repoquery", "--qf", "%{name}"); !strings.Contains(out, "filler-nx") || strings.Count(out, "filler-") != 40 {
				t.Errorf("repoquery has %d fillers, want 40", strings.Count(out, "filler-"))
			}
			if out := m.mustDnf("provides", "/usr/share/hello/data"); !strings.Contains(out, "hello-data") {
				t.Errorf("provides does not find the file list's entry:\n%s", out)
			}
			m.mustDnf("remove", "hello")
		})
	}
}

// dnf has to say no to each of these, and installs nothing.
func TestDnfRefusesWhatWasTamperedWith(t *testing.T) {
	publishtest.Need(t, "dnf")
	keys := publishtest.GPG(t)
	r := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "hello"})
	good := &publishtest.Mem{}
	put(t, good, r, release, "stable", build(t, keys, "hello", formats.Spec{Name: "hello", Version: "1.0"}, amd64, file("/usr/bin/hello", "hi")))
	find := func(files map[string][]byte, parts ...string) string {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(name, p) }) {
				return name
			}
		}
		t.Fatalf("no file %s", parts)
		return ""
	}
	for name, tamper := range map[string]func(tree *publishtest.Mem, files map[string][]byte){
		"nothing": nil,
		"flip in repomd.xml": func(tree *publishtest.Mem, files map[string][]byte) {
			p := "rpm/stable/repodata/repomd.xml"
			tree.Set(p, bytes.Replace(files[p], []byte("<revision>1"), []byte("<revision>2"), 1))
		},
		"flip in primary": func(tree *publishtest.Mem, files map[string][]byte) {
			p := find(files, "rpm/stable/repodata/", "-primary.xml")
			b := bytes.Clone(files[p])
			b[len(b)/2] ^= 1
			tree.Set(p, b)
		},
		"flip in the package": func(tree *publishtest.Mem, files map[string][]byte) {
			p := find(files, ".rpm")
			b := bytes.Clone(files[p])
			b[len(b)-20] ^= 1
			tree.Set(p, b)
		},
		"signature of another key": func(tree *publishtest.Mem, files map[string][]byte) {
			other := newRepo(t, Options{}, publish.RepoEnv{Keys: keys, Key: "other"})
			mem := &publishtest.Mem{}
			put(t, mem, other, release, "stable", build(t, keys, "hello", formats.Spec{Name: "hello", Version: "1.0"}, amd64, file("/usr/bin/hello", "hi")))
			for p, b := range mem.Files() {
				tree.Set(p, b)
			}
		},
		"unsigned package, index made anew": func(tree *publishtest.Mem, files map[string][]byte) {
			mem := &publishtest.Mem{}
			put(t, mem, r, release, "stable", build(t, nil, "", formats.Spec{Name: "hello", Version: "1.0"}, amd64, file("/usr/bin/hello", "hi")))
			for p, b := range mem.Files() {
				tree.Set(p, b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := treeOf(t, good.Files())
			if tamper != nil {
				tamper(tree, good.Files())
			}
			s := serve(t, tree)
			m := newMachine(t)
			guides(t, tree, r, s.URL, "stable")
			write(t, m.root+"/etc/yum.repos.d/hello.repo", tree.Files()["rpm/hello.repo"])
			out, err := m.dnf("install", "hello")
			_, installed := os.Stat(m.root + "/usr/bin/hello")
			if refused := err != nil && installed != nil; refused != (tamper != nil) {
				t.Errorf("dnf: %v, installed %t\n%s", err, installed == nil, out)
			}
		})
	}
}

// zypper runs zypper in the root.
func (m *machine) zypper(args ...string) (string, error) {
	m.t.Helper()
	return publishtest.Tool(m.t, []string{"ZYPP_LOCKFILE_ROOT=" + m.root}, "zypper", append([]string{"--non-interactive", "--root", m.root}, args...)...)
}

func TestZypperInstallsWithBothChecks(t *testing.T) {
	publishtest.Need(t, "zypper", "rpm")
	keys := publishtest.GPG(t)
	for form, o := range map[string]Options{
		"zstd": {},
		"gzip": {Compression: "gzip", Dirs: map[string]string{"stable": "el9/{arch}"}, Packages: "flat"},
	} {
		t.Run(form, func(t *testing.T) {
			r := newRepo(t, o, publish.RepoEnv{Keys: keys, Key: "hello"})
			tree := &publishtest.Mem{}
			put(t, tree, r, release, "stable", hello(t, keys, "hello", "1.0.0"), data(t, keys, "hello", "1.0"))
			s := serve(t, tree)
			m := newMachine(t)
			rpmdb := []string{"--root", m.root, "--dbpath", "/var/lib/rpm"} // libzypp's, not that of Debian's rpm
			publishtest.MustRun(t, nil, "rpm", append(rpmdb, "--initdb")...)
			guides(t, tree, r, s.URL, "stable")
			must := func(args ...string) string {
				t.Helper()
				out, err := m.zypper(args...)
				if err != nil {
					t.Fatalf("zypper %s: %v\n%s", strings.Join(args, " "), err, out)
				}
				return out
			}
			must("addrepo", "--refresh", s.URL+"/rpm/hello.repo")
			// The key lies beside the index, yet it is not trusted before it is imported.
			if out, err := m.zypper("refresh", "hello"); err == nil {
				t.Fatalf("zypper took a key nobody imported:\n%s", out)
			}
			keyFile := write(t, m.root+"/hello.asc", tree.Files()["keys/hello.asc"])
			publishtest.MustRun(t, nil, "rpm", append(rpmdb, "--import", keyFile)...)
			must("refresh", "hello")
			if out := must("search", "--details", "hello"); !strings.Contains(out, "1.0.0-1") {
				t.Errorf("search does not list 1.0.0-1:\n%s", out)
			}
			must("install", "hello")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.0\n")
			put(t, tree, r, release+10, "stable", hello(t, keys, "hello", "1.0.1"))
			must("refresh", "hello")
			must("update", "hello")
			m.reads("/usr/bin/hello", "#!/bin/sh\necho hello 1.0.1\n")
		})
	}
}

func TestCreaterepoReadsTheRepository(t *testing.T) {
	publishtest.Need(t, "mergerepo_c")
	r := newRepo(t, Options{Compression: "gzip"}, publish.RepoEnv{})
	tree := &publishtest.Mem{}
	put(t, tree, r, release, "stable", hello(t, nil, "", "1.0.0"), data(t, nil, "", "1.0"))
	dir, out := t.TempDir(), t.TempDir()
	for name, b := range tree.Files() {
		write(t, filepath.Join(dir, name), b)
	}
	publishtest.MustRun(t, nil, "mergerepo_c", "--no-database", "--all", "-r", dir+"/rpm/stable", "-o", out)
	names, _ := filepath.Glob(out + "/repodata/*primary.xml.*")
	if len(names) != 1 {
		t.Fatalf("mergerepo_c wrote %d primary files", len(names))
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := len(entries(t, unpack(t, names[0], b))); n != 2 {
		t.Errorf("mergerepo_c found %d packages, want 2", n)
	}
}
