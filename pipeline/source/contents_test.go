package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

// expand packages contents of a project and renders the files one a line.
func expand(t *testing.T, s *Slots, p *config.Project, pkg *config.Package) (string, error) {
	t.Helper()
	p.File = "distropack.yml"
	files, err := s.Contents(ctx, p, pkg, "deb", amd64)
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%v %s", f.Mode, f.Path)
		if f.Target != "" {
			fmt.Fprintf(&b, " -> %s", f.Target)
		}
		b.WriteByte('\n')
	}
	return b.String(), err
}

var tree = map[string]string{
	"a.txt": "a", "b.txt": "b", "run.sh": "#!/bin/sh\n", "sub/c.txt": "c", "sub/deep/d.txt": "d", "sub/deep/e.md": "e",
	".env": "SECRET", ".env.local": "SECRET", "sub/.env": "SECRET", "sub/.git/config": "SECRET", "sub/node_modules/x.txt": "x", "sub/own.secret": "SECRET",
}

func TestContentsBecomeFiles(t *testing.T) {
	dir := write(t, tree)
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("c.txt", filepath.Join(dir, "sub", "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		content config.Content
		want    string
	}{
		{"a file", config.Content{Src: "a.txt", Dst: "/x"}, "-rw-r--r-- /x\n"},
		{"an executable file", config.Content{Src: "run.sh", Dst: "/x"}, "-rwxr-xr-x /x\n"},
		{"a mode of its own", config.Content{Src: "a.txt", Dst: "/x", Mode: 0o640}, "-rw-r----- /x\n"},
		{"nFPM's spelling", config.Content{Src: "a.txt", Dst: "/x", FileInfo: config.FileInfo{Mode: 0o600}}, "-rw------- /x\n"},
		{"into a folder", config.Content{Src: "a.txt", Dst: "/d/"}, "-rw-r--r-- /d/a.txt\n"},
		{"a pattern", config.Content{Src: "*.txt", Dst: "/d"}, "-rw-r--r-- /d/a.txt\n-rw-r--r-- /d/b.txt\n"},
		{"a pattern in a folder", config.Content{Src: "sub/*.txt", Dst: "/d"}, "-rw-r--r-- /d/c.txt\n"},
		{"a pattern of any depth", config.Content{Src: "sub/**/*.txt", Dst: "/d"}, "-rw-r--r-- /d/c.txt\n-rw-r--r-- /d/deep/d.txt\n"},
		{"a folder, links followed", config.Content{Src: "sub", Dst: "/d"}, "-rw-r--r-- /d/c.txt\n-rw-r--r-- /d/deep/d.txt\n-rw-r--r-- /d/deep/e.md\n-rw-r--r-- /d/link\n"},
		{"a tree, links kept", config.Content{Src: "sub", Dst: "/d", Type: "tree"}, "-rw-r--r-- /d/c.txt\n-rw-r--r-- /d/deep/d.txt\n-rw-r--r-- /d/deep/e.md\nLrwxrwxrwx /d/link -> c.txt\n"},
		{"a variable", config.Content{Src: "a.txt", Dst: "/{arch}/{version}"}, "-rw-r--r-- /amd64/1.2.0\n"},
		{"a symlink", config.Content{Src: "../bin/x", Dst: "/y", Type: "symlink"}, "Lrwxrwxrwx /y -> ../bin/x\n"},
		{"an empty folder", config.Content{Dst: "/var/lib/x", Type: "dir", Mode: 0o750}, "drwxr-x--- /var/lib/x\n"},
		{"another format's", config.Content{Src: "nothing", Dst: "/x", Packager: "rpm"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := expand(t, slots(t, dir, nil), &config.Project{Ignore: []string{"*.secret"}}, &config.Package{Name: "hello", Contents: []config.Content{c.content}})
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("files:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

// A .env lies in most projects; none of it may leave the machine.
func TestSecretsNeverReachAPackage(t *testing.T) {
	dir := write(t, tree)
	for _, src := range []string{".", "**", "*", "sub", "sub/**", "sub/*", ".env*", ".env", "sub/.env"} {
		s := slots(t, dir, nil)
		p := &config.Project{Ignore: []string{"*.secret"}}
		files, err := s.Contents(ctx, p, &config.Package{Name: "hello", Contents: []config.Content{{Src: src, Dst: "/d"}}}, "deb", amd64)
		if err != nil && len(files) == 0 {
			continue // refused
		}
		for _, f := range files {
			b, err := formats.ReadAll(f.Content)
			if err != nil {
				t.Fatal(err)
			}
			if string(b) == "SECRET" {
				t.Errorf("src %q packages %s", src, f.Path)
			}
		}
	}
}

func TestMistakesInContentsSayWhere(t *testing.T) {
	dir := write(t, tree)
	outside := write(t, map[string]string{"secret": "x"})
	for name, to := range map[string]string{"out": filepath.Join(outside, "secret"), "outdir": outside, "up": "..", "loop": "loop", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for want, contents := range map[string][]config.Content{
		"nothing.txt is not in the project (for linux/amd64)":              {{Src: "nothing.txt", Dst: "/x"}},
		`pattern "*.nothing" matches no file`:                              {{Src: "*.nothing", Dst: "/x"}},
		`pattern "[x": syntax error in pattern`:                            {{Src: "[x", Dst: "/x"}},
		"unknown variable {cpus}":                                          {{Src: "a.txt", Dst: "/{cpus}"}},
		".env is on the list of ignored files: it never reaches a package": {{Src: ".env", Dst: "/x"}},
		"/x comes from line 7, too":                                        {{Src: "a.txt", Dst: "/x", Pos: config.Pos{Line: 7}}, {Src: "b.txt", Dst: "/x"}},
		"out leads outside the project":                                    {{Src: "out", Dst: "/x"}},
		"outdir/secret leads outside the project":                          {{Src: "outdir/secret", Dst: "/x"}},
		"up/x leads outside the project":                                   {{Src: "up/x", Dst: "/x"}},
		"dangling is not in the project":                                   {{Src: "dangling", Dst: "/x"}},
		"loop":                                                             {{Src: "loop", Dst: "/x"}},
		"distropack.yml:9:3: packages.hello.contents: gone is not in the":  {{Src: "gone", Dst: "/x", Pos: config.Pos{Line: 9, Col: 3}}},
	} {
		_, err := expand(t, slots(t, dir, nil), &config.Project{}, &config.Package{Name: "hello", Contents: contents})
		wants(t, err, want)
	}
	_, err := expand(t, slots(t, dir, nil), &config.Project{Limits: config.Limits{Files: 1}}, &config.Package{Name: "hello", Contents: []config.Content{{Src: "*.txt", Dst: "/x"}}})
	wants(t, err, "package hello has 2 files; the limit is 1: raise limits.files")
}

func TestServicesBringTheirUnits(t *testing.T) {
	s := slots(t, write(t, map[string]string{"init/hello.service": "[Unit]", "dist/slot.service": "[Unit]"}), map[string]config.Source{"bin": {Files: "dist"}})
	p := &config.Project{Sources: s.Sources}
	got, err := expand(t, s, p, &config.Package{Name: "hello", Services: []config.Service{{Src: "init/hello.service"}, {Src: "bin:slot.service"}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "-rw-r--r-- /usr/lib/systemd/system/hello.service\n-rw-r--r-- /usr/lib/systemd/system/slot.service\n"; got != want {
		t.Errorf("files:\n%swant:\n%s", got, want)
	}
	// One that contents brings is not brought twice, and need not be a file then.
	got, err = expand(t, s, p, &config.Package{Name: "hello", Services: []config.Service{{Src: "hello.service"}},
		Contents: []config.Content{{Src: "init/hello.service", Dst: "/lib/systemd/system/hello.service"}}})
	if err != nil || strings.Count(got, "hello.service") != 1 {
		t.Errorf("files:\n%s%v", got, err)
	}
	_, err = expand(t, s, p, &config.Package{Name: "hello", Services: []config.Service{{Src: "none.service", Pos: config.Pos{Line: 4, Col: 2}}}})
	wants(t, err, "distropack.yml:4:2: packages.hello.services: none.service is not in the project")
}

func TestScriptsAreReadAndChecked(t *testing.T) {
	dir := write(t, map[string]string{"ok.sh": "#!/bin/sh\r\necho {custom.greeting} ${HOME} {x}\n", "plain.sh": "x", "zero.sh": "a\x00b", "unknown.sh": "a\n{custom.nope}", "open.sh": "{custom.greeting"})
	for _, name := range []string{"ok.sh", "zero.sh", "unknown.sh", "open.sh"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := slots(t, dir, nil)
	pkg := &config.Package{Name: "hello", Custom: map[string]string{"greeting": "hi"}}
	got, err := s.Scripts(&config.Project{File: "distropack.yml"}, pkg, config.Scripts{PostInstall: "ok.sh"})
	if want := "#!/bin/sh\necho hi ${HOME} {x}\n"; err != nil || got.PostInstall != want {
		t.Errorf("script %q, %v, want %q", got.PostInstall, err, want)
	}
	for name, want := range map[string]string{
		"plain.sh": "packages.hello.scripts.preremove: plain.sh is not executable: chmod +x it", "zero.sh": "it has a zero byte", "none.sh": "none.sh is not in the project",
		"unknown.sh": "line 2: unknown variable {custom.nope}: add it below custom", "open.sh": "unknown variable {custom.greeting", ".": ". is a folder, want a file",
	} {
		_, err := s.Scripts(&config.Project{File: "distropack.yml"}, pkg, config.Scripts{PreRemove: name})
		wants(t, err, want)
	}
}

func TestAPackageDirectoryNeedsAllItsParts(t *testing.T) {
	good := map[string]string{"assets/data": "x", "manifest.yaml": "name: hello\nversion: 1.2.3\n", "scripts/install.sh": "#!/bin/sh\n", "scripts/uninstall.sh": "#!/bin/sh\n"}
	open := func(t *testing.T, without string) fs.FS {
		files := make(map[string]string)
		for name, text := range good {
			if without == "" || name != without && !strings.HasPrefix(name, without+"/") {
				files["p/"+name] = text
			}
		}
		dir := write(t, files)
		for _, name := range []string{"install.sh", "uninstall.sh"} {
			os.Chmod(filepath.Join(dir, "p", "scripts", name), 0o755)
		}
		return os.DirFS(dir)
	}
	m, err := PackageDir(open(t, ""), "p")
	if err != nil || m.Name != "hello" || m.Version != "1.2.3" {
		t.Fatalf("PackageDir = %+v, %v", m, err)
	}
	for without, want := range map[string]error{"assets": ErrNoAssets, "manifest.yaml": ErrNoManifest, "scripts": ErrNoScripts, "scripts/install.sh": ErrNoInstall, "scripts/uninstall.sh": ErrNoUninstall} {
		_, err := PackageDir(open(t, without), "p")
		for _, e := range []error{ErrNotDir, ErrNoManifest, ErrNoAssets, ErrNoInstall, ErrNoUninstall, ErrNoScripts} {
			if got := strings.Contains(fmt.Sprint(err), e.Error()); got != (e == want) {
				t.Errorf("without %s: error %v; says %q: %v", without, err, e, got)
			}
		}
	}
	_, err = PackageDir(open(t, ""), "p/manifest.yaml")
	wants(t, err, "is not a folder")
	_, err = PackageDir(open(t, ""), "q")
	wants(t, err, "q: there is no such folder")
}
