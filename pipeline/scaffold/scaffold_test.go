package scaffold_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/scaffold"
	"github.com/distropack/distropack/publish"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const projects = "../../testdata/projects"

var git = scaffold.Options{GitName: "Jane Doe", GitEmail: "jane@example.org", Remote: "git@github.com:Example/greeter.git", Folder: "work"}

func check(data []byte) (*config.Project, error) {
	opts := config.Options{Clients: []publish.RepoKind{{Name: "apt"}}}
	for _, n := range []string{"deb", "rpm", "arch", "apk", "ipk", "tar.gz"} {
		opts.Formats = append(opts.Formats, formats.Kind{Name: n})
	}
	return config.Parse("distropack.yml", data, opts)
}

func detect(t *testing.T, fsys fs.FS) *scaffold.Project {
	t.Helper()
	p, err := scaffold.Detect(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func samples(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(projects)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && slices.ContainsFunc(want, func(w sample) bool { return w.dir == e.Name() }) {
			names = append(names, e.Name())
		}
	}
	if len(names) != len(want) {
		t.Fatalf("samples %q, want %d", names, len(want))
	}
	return names
}

type sample struct {
	dir, typ, name, version, license, homepage string
}

// An empty version is that of the tag; an empty homepage is the remote's.
var want = []sample{
	{"cmake", "cmake", "cgreeter", "1.2.3.4", "", "https://example.org/c"},
	{"crystal", "crystal", "crgreeter", "0.2.0", "MIT", ""},
	{"gemfile", "ruby", "greeter", "1.0.3", "", ""},
	{"go", "go", "greeter", "", "", "https://github.com/example/greeter"},
	{"go-root", "go", "tiny", "", "", ""},
	{"goreleaser", "goreleaser", "released", "", "MIT", "https://example.org/released"},
	{"make", "make", "mkgreeter", "4.0.1", "", ""},
	{"meson", "meson", "mgreeter", "0.9.1", "LGPL-2.1-or-later", ""},
	{"node", "node", "node-greeter", "1.5.0-rc.1", "ISC", "https://github.com/example/node-greeter"},
	{"python", "python", "py-greeter", "2.3.4", "BSD-3-Clause", "https://example.org/py"},
	{"python-poetry", "python", "poet", "0.1.0", "MIT", ""},
	{"ruby", "ruby", "rgreeter", "0.7.0", "MIT", "https://example.org/rb"},
	{"rust", "rust", "rusty-greeter", "0.4.2", "MIT OR Apache-2.0", "https://github.com/example/rusty-greeter"},
	{"rust-workspace", "rust", "space", "3.1.0", "Apache-2.0", "https://example.org/space"},
	{"tauri", "tauri", "tgreeter", "1.1.0", "GPL-3.0-or-later", ""},
}

// TestEverySampleGivesAFileThatParses checks what init promises of each project
// type: the right type, its own words, and a version.
func TestEverySampleGivesAFileThatParses(t *testing.T) {
	samples(t)
	for _, w := range want {
		t.Run(w.dir, func(t *testing.T) {
			dir := os.DirFS(filepath.Join(projects, w.dir))
			p := detect(t, dir)
			if p.Type != w.typ {
				t.Errorf("type %q, want %q", p.Type, w.typ)
			}
			data := scaffold.Render(p, git)
			c, err := check(data)
			if err != nil {
				t.Fatalf("%v\n%s", err, data)
			}
			homepage := w.homepage
			if homepage == "" {
				homepage = "https://github.com/Example/greeter"
			}
			if c.Project != w.name || c.License != w.license || c.Homepage != homepage || c.Maintainer != "Jane Doe <jane@example.org>" {
				t.Errorf("project %q license %q homepage %q maintainer %q", c.Project, c.License, c.Homepage, c.Maintainer)
			}
			if len(c.Packages[0].Contents) == 0 {
				t.Error("the package is empty")
			}
			if got := versionOf(t, dir, c); got != w.version {
				t.Errorf("version %q, want %q", got, w.version)
			}
			for _, e := range c.Packages[0].Contents {
				if e.Type == "symlink" || strings.Contains(e.Src, ":") {
					continue
				}
				if _, err := fs.Stat(dir, e.Src); err != nil {
					t.Errorf("contents names %s: %v", e.Src, err)
				}
			}
			golden := filepath.Join("testdata", w.dir+".yml")
			if *update {
				if err := os.WriteFile(golden, data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if old, err := os.ReadFile(golden); err != nil || !bytes.Equal(old, data) {
				t.Errorf("%s differs (%v); run with -update and look at the difference", golden, err)
			}
		})
	}
}

// versionOf does what a release does: it asks the channel's extractor.
func versionOf(t *testing.T, dir fs.FS, c *config.Project) string {
	t.Helper()
	e := c.Versions[c.Channels[0].Version]
	if e.File == "" {
		if m := regexp.MustCompile(e.Tag).FindStringSubmatch("v1.2.3"); m == nil || m[1] != "1.2.3" {
			t.Errorf("the tag v1.2.3 gives %q", m)
		}
		return ""
	}
	text, err := fs.ReadFile(dir, e.File)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(e.Regex).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%q finds nothing in %s", e.Regex, e.File)
	}
	return string(m[1])
}

func TestEmptyDirectoryGivesAStarter(t *testing.T) {
	for _, o := range []scaffold.Options{{}, git, {Folder: "My Project"}, {Remote: "https://user:token@example.org/x.git"}} {
		data := scaffold.Render(detect(t, fstest.MapFS{}), o)
		if _, err := check(data); err != nil {
			t.Errorf("%+v: %v\n%s", o, err, data)
		}
		if bytes.Contains(data, []byte("token")) {
			t.Errorf("the remote's password is in the file:\n%s", data)
		}
	}
}

func TestMostSpecificTypeWins(t *testing.T) {
	all := fstest.MapFS{}
	order := []struct{ file, typ string }{
		{"Makefile", "make"}, {"CMakeLists.txt", "cmake"}, {"meson.build", "meson"}, {"package.json", "node"}, {"Gemfile", "ruby"},
		{"shard.yml", "crystal"}, {"pyproject.toml", "python"}, {"go.mod", "go"}, {"Cargo.toml", "rust"},
		{"src-tauri/tauri.conf.json", "tauri"}, {".goreleaser.yml", "goreleaser"},
	}
	for _, o := range order {
		all[o.file] = &fstest.MapFile{Data: []byte("\n")}
		if p := detect(t, all); p.Type != o.typ {
			t.Errorf("with %s the type is %q, want %q", o.file, p.Type, o.typ)
		}
	}
}

func TestLicenceIsNeverGuessed(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a file alone":   {"go.mod": "module x\n", "LICENSE": "MIT License\n"},
		"see the file":   {"package.json": `{"name": "x", "license": "SEE LICENSE IN LICENSE.txt"}`},
		"unlicensed":     {"package.json": `{"name": "x", "license": "UNLICENSED"}`},
		"a file's name":  {"pyproject.toml": "[project]\nname = 'x'\nlicense = {file = 'LICENSE'}\n"},
		"cargo's file":   {"Cargo.toml": "[package]\nname = 'x'\nlicense-file = 'LICENSE'\n"},
		"no words of it": {"Makefile": "# MIT\n"},
	} {
		fsys := fstest.MapFS{}
		for f, text := range files {
			fsys[f] = &fstest.MapFile{Data: []byte(text)}
		}
		if p := detect(t, fsys); p.License != "" {
			t.Errorf("%s: license %q", name, p.License)
		}
	}
}

func TestWebOfRemotes(t *testing.T) {
	for remote, want := range map[string]string{
		"git@github.com:o/r.git":             "homepage: https://github.com/o/r",
		"https://x-token:abc@github.com/o/r": "homepage: https://github.com/o/r",
		"ssh://git@gitlab.com:2222/o/r.git":  "homepage: https://gitlab.com/o/r",
		"/srv/git/r.git":                     "# homepage",
		"":                                   "# homepage",
		"https://github.com/o/r\nversion: 2": "# homepage",
	} {
		o := git
		o.Remote = remote
		if data := string(scaffold.Render(&scaffold.Project{}, o)); !strings.Contains(data, "\n"+want) {
			t.Errorf("%q: want %q in\n%s", remote, want, data)
		}
	}
}

// TestBuildCommandsBuild runs the commands of those samples whose tools are here
// and looks for every file that contents takes from the slot.
func TestBuildCommandsBuild(t *testing.T) {
	for sample, tool := range map[string]string{"go": "go", "go-root": "go", "make": "make", "cmake": "cmake", "meson": "meson", "node": "npm", "crystal": "shards"} {
		t.Run(sample, func(t *testing.T) {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skip(tool + " is not installed")
			}
			if sample == "node" {
				t.Skip("npm needs the network")
			}
			work, out := t.TempDir(), t.TempDir()
			if err := os.CopyFS(work, os.DirFS(filepath.Join(projects, sample))); err != nil {
				t.Fatal(err)
			}
			c, err := check(scaffold.Render(detect(t, os.DirFS(work)), git))
			if err != nil {
				t.Fatal(err)
			}
			for slot, s := range c.Sources {
				cmd := exec.Command("sh", "-c", s.Command)
				cmd.Dir = work
				cmd.Env = append(os.Environ(), "OUT="+out, "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-mod=mod")
				if text, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				for _, e := range c.Packages[0].Contents {
					if rest, ok := strings.CutPrefix(e.Src, slot+":"); ok {
						if _, err := os.Stat(filepath.Join(out, rest)); err != nil {
							t.Errorf("contents takes %s: %v", e.Src, err)
						}
					}
				}
			}
		})
	}
}

// FuzzRenderParses puts any text into the manifests: what comes out must parse.
func FuzzRenderParses(f *testing.F) {
	files := []string{
		"Cargo.toml", "go.mod", "package.json", "pyproject.toml", "CMakeLists.txt", "meson.build", "Makefile",
		"x.gemspec", "shard.yml", "src-tauri/tauri.conf.json", ".goreleaser.yml", "Gemfile",
	}
	filepath.WalkDir(projects, func(name string, d fs.DirEntry, err error) error {
		for i, file := range files {
			if err == nil && d.Name() == filepath.Base(file) {
				data, _ := os.ReadFile(name)
				f.Add(uint8(i), string(data), "Jane", "jane@example.org", "git@github.com:o/r.git", "x y")
			}
		}
		return nil
	})
	f.Add(uint8(2), `{"name": "${A}", "description": "${B} \u0085 \u2028 # x: y", "homepage": "https://a/\n", "bin": {"a b": "x", "b": "../../x;y"}}`, "a <b", "c>", "https://x/${Y}", "-")
	f.Add(uint8(0), "[package]\nname = \"a\\u0000b\"\ndescription = '''\n${x}: - #\n'''\n[[bin]]\nname = \"$(reboot)\"\n", "", "", "", "")
	f.Fuzz(func(t *testing.T, which uint8, text, name, mail, remote, folder string) {
		file := files[int(which)%len(files)]
		fsys := fstest.MapFS{file: {Data: []byte(text)}, "src/main.rs": {}, "lib/a/version.rb": {Data: []byte(text)}, "src/a/__init__.py": {Data: []byte(text)}}
		if file == "src-tauri/tauri.conf.json" {
			fsys["src-tauri/Cargo.toml"] = &fstest.MapFile{Data: []byte(text)}
		}
		p, err := scaffold.Detect(fsys)
		if err != nil {
			t.Fatal(err)
		}
		data := scaffold.Render(p, scaffold.Options{GitName: name, GitEmail: mail, Remote: remote, Folder: folder})
		if _, err := check(data); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
	})
}
