package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

var updateScripts = flag.Bool("update-scripts", false, "rewrite the compared files in testdata/script/*.txtar")

// scriptProject is what the command project writes: a package of one shell script
// for every CPU, so that nothing is compiled.
var scriptProject = map[string]string{
	"distropack.yml": `version: 1
project: hello
description: Prints a friendly greeting
homepage: https://example.org/hello
license: MIT
maintainer: Ann Example <ann@example.org>
channels:
  stable: {tags: "v*"}
  beta: {tags: "v*", prereleases: true}
platforms: [linux/amd64]
packages:
  - name: hello
    contents:
      - {src: hello.sh, dst: /usr/bin/hello, mode: 0755}
publish:
  - site: public
    url: https://example.org/packages
`,
	"hello.sh": "#!/bin/sh\necho hello\n",
}

// TestScripts runs testdata/script/*.txtar against the real program. Beside
// testscript's commands they have:
//
//	exits CODE PROGRAM [ARG...]  runs a program, which must end with the code
//	says TEXT                    the last program's standard error has the text, word for word
//	prints TEXT                  the same of its standard output
//	project DIR                  writes a small project and its folder
//	remember DIR                 notes every file of a folder: content, mode, time
//	unchanged DIR                compares with what was noted
//	serve URLVAR ARG...          starts distropack serve ARG... on a free port
//	stop                         ends it as Ctrl-C does: it must exit with 0
//	get STATUS URL FILE          fetches into a file
//
// $KEY, $OTHERKEY are files with signing keys, $PROJECTS is testdata/projects.
func TestScripts(t *testing.T) {
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := otherKey()
	if err != nil {
		t.Fatal(err)
	}
	projects, err := filepath.Abs("../../testdata/projects")
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(t.TempDir(), "go-build") // with the host's own, the sample is built in a second
	if own, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(own, "go-build")
	}
	bin := filepath.Dir(program(t))
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       *updateScripts,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(c string) (bool, error) {
			switch c {
			case "root":
				return os.Geteuid() == 0, nil
			case "mount": // in a namespace of its own
				return exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", c)
		},
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, ".home")
			if err := os.Mkdir(home, 0o700); err != nil {
				return err
			}
			for name, text := range map[string]string{
				"key": key, "otherkey": other,
				".gitconfig": "[user]\nname = Ann Example\nemail = ann@example.org\n[init]\ndefaultBranch = main\n[safe]\ndirectory = *\n",
			} {
				if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			e.Setenv("HOME", home)
			e.Setenv("KEY", filepath.Join(home, "key"))
			e.Setenv("OTHERKEY", filepath.Join(home, "otherkey"))
			e.Setenv("PROJECTS", projects)
			e.Setenv("HOSTGOCACHE", cache)
			e.Setenv("SOURCE_DATE_EPOCH", "1780000000")
			e.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			// The sandbox must not find a repository around it.
			e.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(e.WorkDir))
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Values[scriptStateKey] = &scriptState{noted: map[string]string{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "says": scriptSays, "prints": scriptPrints, "project": scriptWrite,
			"remember": scriptRemember, "unchanged": scriptUnchanged, "serve": scriptServe, "stop": scriptStop, "get": scriptGet,
		},
	})
}

var scriptRuns = regexp.MustCompile(`(?m)^(?:\[[^\]]+\] )*(?:exits ([0-9]+) distropack|(serve) \w+)\b(.*)$`)

// Every command is run by a script with success, and refuses something with a
// documented exit code.
func TestEveryCommandRunsInAScript(t *testing.T) {
	root := new(app).root()
	root.InitDefaultHelpCmd()
	done, refused := make(map[*cobra.Command]bool), make(map[*cobra.Command]bool)
	scripts, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range scriptRuns.FindAllStringSubmatch(string(text), -1) {
			c, _, err := root.Find(strings.Fields(m[2] + m[3]))
			if err != nil { // such as cobra's own __complete
				continue
			}
			switch code, _ := strconv.Atoi(m[1]); code {
			case exitOK:
				done[c] = true
			case exitFailed, exitUsage, exitConflict:
				refused[c] = true
			default:
				t.Errorf("%s: exit code %d is not documented", name, code)
			}
		}
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !done[c] {
			t.Errorf("no script runs %q with success", c.CommandPath())
		}
		if c.Runnable() && !refused[c] {
			t.Errorf("no script makes %q fail", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// scriptState is what commands of one script leave for later ones.
type scriptState struct {
	noted  map[string]string // by folder
	server *exec.Cmd         // that serve started
}

const scriptStateKey = "state"

func stateOf(ts *testscript.TestScript) *scriptState { return ts.Value(scriptStateKey).(*scriptState) }

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if text := ts.ReadFile("stderr"); strings.Contains(text, "panic:") || strings.Contains(text, "goroutine ") {
		ts.Fatalf("it panicked:\n%s", text)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func scriptSays(ts *testscript.TestScript, neg bool, args []string) {
	contains(ts, "stderr", neg, args)
}

func scriptPrints(ts *testscript.TestScript, neg bool, args []string) {
	contains(ts, "stdout", neg, args)
}

func contains(ts *testscript.TestScript, stream string, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("want one text")
	}
	if text := ts.ReadFile(stream); strings.Contains(text, args[0]) == neg {
		ts.Fatalf("%s is\n%swant: %v %q", stream, text, !neg, args[0])
	}
}

func scriptWrite(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: project DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for name, text := range scriptProject {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
	}
}

func scriptRemember(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		stateOf(ts).noted[dir] = describeTree(ts, dir)
	}
}

func scriptUnchanged(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		want, ok := stateOf(ts).noted[dir]
		if !ok {
			ts.Fatalf("%s was not remembered", dir)
		}
		if got := describeTree(ts, dir); got != want {
			ts.Fatalf("%s is\n%s\nwas\n%s", dir, got, want)
		}
	}
}

func describeTree(ts *testscript.TestScript, dir string) string {
	var b strings.Builder
	root := ts.MkAbs(dir)
	ts.Check(filepath.Walk(root, func(name string, st fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		text := ""
		if st.Mode().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text = fmt.Sprintf(" %d %x", len(content), sha256.Sum256(content))
		}
		rel, err := filepath.Rel(root, name)
		fmt.Fprintf(&b, "%s %s %s%s\n", rel, st.Mode(), st.ModTime(), text)
		return err
	}))
	return b.String()
}

func scriptServe(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: serve URLVAR ARG...")
	}
	name, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "distropack"))
	ts.Check(err)
	cmd := exec.Command(name, append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	stateOf(ts).server = cmd
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	_, url, found := strings.Cut(strings.TrimSpace(line), " at ")
	if !found {
		ts.Fatalf("serve printed %q", line)
	}
	ts.Setenv(args[0], strings.TrimSuffix(url, "/"))
}

func scriptStop(ts *testscript.TestScript, _ bool, _ []string) {
	cmd := stateOf(ts).server
	if cmd == nil {
		ts.Fatalf("serve was not started")
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	ts.Check(cmd.Wait())
}

func scriptGet(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: get STATUS URL FILE")
	}
	r, err := http.Get(args[1])
	ts.Check(err)
	defer r.Body.Close()
	if fmt.Sprint(r.StatusCode) != args[0] {
		ts.Fatalf("%s: %s, want %s", args[1], r.Status, args[0])
	}
	b, err := io.ReadAll(r.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
}
