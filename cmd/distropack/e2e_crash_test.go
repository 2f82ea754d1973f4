//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/distropack/distropack/pipeline/verify"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

// writeCalls are the system calls that change what lies on the disk. How the n-th
// of them is found is not strace's way, whose inject=…:when=N counts for each
// thread by itself, so that most writes of a Go program are never the N-th.
var writeCalls = map[uint64]string{
	unix.SYS_OPENAT: "openat", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_COPY_FILE_RANGE: "copy_file_range", unix.SYS_FTRUNCATE: "ftruncate",
	unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_SYNCFS: "syncfs", unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat",
	unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2", unix.SYS_LINKAT: "linkat", unix.SYS_SYMLINKAT: "symlinkat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_MKDIRAT: "mkdirat",
}

// ended is what became of a run of the program.
type ended struct {
	killed string // the call before which it was killed; "" if it ended by itself
	writes int    // calls that were seen
	code   int    // -1 if it was killed
	out    string
}

// dieAtWrite runs a program and kills it just before its n-th write below root, of
// all its threads; n is 0 for never. Programs that it starts are not watched.
func dieAtWrite(n int, root string, env []string, name string, args ...string) (*ended, error) {
	// All calls of ptrace(2) have to come from the thread that started the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := os.CreateTemp("", "out")
	if err != nil {
		return nil, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	defer cmd.Process.Release()
	e := &ended{code: -1}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return nil, err
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		unix.Kill(pid, unix.SIGKILL)
		return nil, err
	}
	threads := map[int]bool{pid: true}
	at, signal := pid, 0
	for {
		if err := unix.PtraceSyscall(at, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, err
		}
		for {
			at, err = unix.Wait4(-pid, &ws, unix.WALL, nil)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		if ws.Exited() || ws.Signaled() {
			if at != pid {
				delete(threads, at) // its number may come again
				continue            // the call above is in vain then
			}
			if ws.Exited() {
				e.code = ws.ExitStatus()
			}
			b, err := os.ReadFile(out.Name())
			e.out = string(b)
			return e, err
		}
		signal = 0
		switch stop := ws.StopSignal(); {
		case stop == unix.SIGTRAP|0x80:
			if what := writeOf(at, root); what != "" && e.killed == "" {
				if e.writes++; e.writes == n {
					e.killed = what
					unix.Kill(pid, unix.SIGKILL)
				}
			}
		case !threads[at]: // begins with a stop
			threads[at] = true
		case stop != unix.SIGTRAP:
			signal = int(stop)
		}
	}
}

// writeOf says which write a stopped thread is about to make; "" for none.
func writeOf(tid int, root string) string {
	var info struct {
		op     uint8
		_      [3]uint8
		arch   uint32
		ip, sp uint64
		nr     uint64
		args   [6]uint64
		_      [2]uint64
	}
	const getSyscallInfo, entry = 0x420e, 1 // ptrace(2)
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.op != entry {
		return ""
	}
	call, ok := writeCalls[info.nr]
	if !ok {
		return ""
	}
	switch info.nr {
	case unix.SYS_OPENAT:
		if info.args[2]&unix.O_CREAT == 0 {
			return ""
		}
		fallthrough
	case unix.SYS_FCHMODAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT:
		return call + " " + stringAt(tid, info.args[1])
	case unix.SYS_SYMLINKAT:
		return call + " " + stringAt(tid, info.args[2])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT:
		return call + " " + stringAt(tid, info.args[1]) + " " + stringAt(tid, info.args[3])
	}
	fd := info.args[0]
	if info.nr == unix.SYS_COPY_FILE_RANGE {
		fd = info.args[2]
	}
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	if err != nil || !strings.HasPrefix(file, root+"/") {
		return ""
	}
	return call + " " + file
}

// stringAt reads a string of another process.
func stringAt(tid int, at uint64) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return "?"
	}
	defer f.Close()
	b := make([]byte, 512)
	n, _ := f.ReadAt(b, int64(at))
	s, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(s)
}

// crashed is a project with a tree of some versions. Another version is released
// again and again, and the program dies each time at another point.
type crashed struct {
	program string
	base    string // the project's folder before the release
	key     string
	epoch   int64
	clients int

	want  map[string]string // the tree after a release that nobody killed, by path
	dist  map[string]string // the packages of that release
	old   map[string]string // the tree before
	notes int               // of the place after a release that nobody killed

	mu      sync.Mutex
	checked map[string]error // what check says of a tree, by digest
	seen    map[string]*verify.Report
	tally   deaths
}

// deaths counts what was tried.
type deaths struct {
	points, before, after, mixed, torn, apt, skips int
	leftovers                                      map[string]int // deaths after which files stayed that a clean run does not leave, by where they are
	calls                                          map[string]int // deaths by the kind of call or request
}

// deathbed is where the tree of one worker lies. Its functions are not called
// concurrently.
type deathbed struct {
	env   []string                                                // variables of the configuration
	reset func() error                                            // makes the place what it was before the release
	kill  func(n int, project string, c *crashed) (*ended, error) // n is 0 for a run that nobody kills
	tree  func(project string) (map[string]string, error)
	serve func(project string) http.Handler // for apt
	mixed bool                              // files are replaced one by one
	notes func(project string) int          // how many files of its own the place has beside the tree; nil: none
}

// newCrashed writes the project. place are the lines of the site that say where
// its tree lies; env are the variables in them.
func newCrashed(t *testing.T, place, formats, clients string, env ...string) *crashed {
	t.Helper()
	text, err := otherKey() // the smaller one, which hundreds of processes load
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &crashed{program: built(t), base: filepath.Join(dir, "project"), key: filepath.Join(dir, "key"), clients: len(strings.Split(clients, ",")),
		checked: make(map[string]error), seen: make(map[string]*verify.Report)}
	c.tally.leftovers, c.tally.calls = make(map[string]int), make(map[string]int)
	config := `version: 1
project: hello
title: Hello
description: Says hello
license: MIT
maintainer: Ann Example <ann@example.org>
platforms: [linux/amd64]
packages:
  - name: hello
    formats: [` + formats + `]
    contents:
      - {src: hello.txt, dst: /usr/share/hello/hello.txt}
publish:
  - site: public
    url: http://127.0.0.1:8008
    clients: [` + clients + `]
    keep: {versions: 2, grace: 20m}
` + place
	if err := os.Mkdir(c.base, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{filepath.Join(c.base, "distropack.yml"): config, filepath.Join(c.base, "hello.txt"): "hello\n", c.key: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Hours ago, so that the last release has files to delete.
	at := time.Now().Add(-20 * time.Hour).Truncate(time.Second)
	for i := range 5 {
		at = at.Add(time.Hour)
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, now: at, environ: append(os.Environ(), append(env, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at.Unix()))...)}
		args := []string{"-C", c.base, "release", "--version", fmt.Sprintf("1.0.%d", i), "--key", c.key, "--output", t.TempDir()}
		if code := a.main(t.Context(), args); code != 0 {
			t.Fatalf("exit %d\n%s", code, out.String())
		}
	}
	c.epoch = at.Add(time.Hour).Unix()
	return c
}

func (c *crashed) environ(d *deathbed, project string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + project, "TMPDIR=" + project, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", c.epoch)}, d.env...)
}

func (c *crashed) args(project string) []string {
	return []string{"-C", project, "release", "--version", "1.0.5", "--key", c.key}
}

// run releases.
func (c *crashed) run(d *deathbed, project string) (*ended, error) {
	cmd := exec.Command(c.program, c.args(project)...)
	cmd.Env = c.environ(d, project)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return nil, err
	}
	return &ended{code: cmd.ProcessState.ExitCode(), out: string(out)}, nil
}

// fresh makes place and project what they were before the release.
func (c *crashed) fresh(d *deathbed, project string) error {
	if err := os.RemoveAll(project); err != nil {
		return err
	}
	// cp keeps hard links, of which a folder has many.
	if out, err := exec.Command("cp", "-a", c.base, project).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	return d.reset()
}

// clean releases without dying: what all others are compared with.
func (c *crashed) clean(t *testing.T, d *deathbed) {
	t.Helper()
	project := filepath.Join(t.TempDir(), "clean")
	err := c.fresh(d, project)
	if err == nil {
		c.old, err = d.tree(project)
	}
	var e *ended
	if err == nil {
		e, err = c.run(d, project)
	}
	if err == nil && e.code != 0 {
		err = errors.New(e.out)
	}
	if err == nil {
		c.want, err = d.tree(project)
	}
	if err == nil {
		c.dist, err = filesBelow(filepath.Join(project, "dist"))
	}
	if err == nil {
		err = errors.Join(c.look(d, project, c.old), c.look(d, project, c.want), c.check(d, project, c.want))
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.notes != nil {
		c.notes = d.notes(project)
	}
	deleted := 0
	for p := range c.old {
		if _, ok := c.want[p]; !ok {
			deleted++
		}
	}
	if len(c.dist) < 2*c.clients || deleted == 0 || sameTree(c.old, c.want) {
		t.Fatalf("%d files in dist, %d deleted from the tree: too little to try anything", len(c.dist), deleted)
	}
}

// die releases, dies at the n-th point, looks at what is left, and releases again.
// It returns false where the program ended before that point.
func (c *crashed) die(d *deathbed, project string, n int) (more bool, err error) {
	if err := c.fresh(d, project); err != nil {
		return false, err
	}
	e, err := d.kill(n, project, c)
	if err != nil {
		return false, err
	}
	if e.killed == "" {
		if e.code != 0 {
			err = fmt.Errorf("nobody killed it, and it ends with %d:\n%s", e.code, e.out)
		}
		return false, err
	}
	at := func(err error) error {
		return fmt.Errorf("point %d, killed at %s: %w", n, strings.ReplaceAll(e.killed, project, ""), err)
	}
	left, err := d.tree(project)
	if err != nil {
		return true, at(err)
	}
	if err := c.between(d, project, left, n); err != nil {
		return true, at(fmt.Errorf("clients: %w", err))
	}
	legs, err := noted(project)
	if err != nil {
		return true, at(err)
	}
	second, err := c.run(d, project)
	if err == nil && second.code != 0 {
		err = fmt.Errorf("the next run ends with %d:\n%s", second.code, second.out)
	}
	if err != nil {
		return true, at(err)
	}
	for _, leg := range legs {
		if !strings.Contains(second.out, "skipped "+leg+": ") {
			return true, at(fmt.Errorf("the journal says that %s is done, and the next run does not skip it:\n%s", leg, second.out))
		}
	}
	got, err := d.tree(project)
	if err == nil {
		err = differing(got, c.want)
	}
	if err == nil {
		err = c.check(d, project, got)
	}
	if err != nil {
		return true, at(fmt.Errorf("after the next run: %w", err))
	}
	dist, err := filesBelow(filepath.Join(project, "dist"))
	if err != nil {
		return true, at(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.points++
	kind, _, _ := strings.Cut(strings.ReplaceAll(e.killed, project, ""), " /")
	c.tally.calls[kind]++
	c.tally.skips += len(legs)
	for name := range dist {
		if _, ok := c.dist[name]; !ok {
			c.tally.leftovers["dist"]++
			delete(dist, name)
		}
	}
	delete(dist, "journal.json") // has the tree's version, which in a branch has the time of the commit
	if err := differing(dist, c.dist); err != nil {
		return true, at(fmt.Errorf("packages after the next run: %w", err))
	}
	if d.notes != nil && d.notes(project) > c.notes {
		c.tally.leftovers["the place's own notes"]++
	}
	names, err := filepath.Glob(filepath.Join(project, "distropack-*"))
	if len(names) > 0 {
		c.tally.leftovers["the folder for temporary files"]++
	}
	return true, err
}

// between looks at what a dead publish left, as clients do.
func (c *crashed) between(d *deathbed, project string, left map[string]string, n int) error {
	before, after := sameTree(left, c.old), sameTree(left, c.want)
	c.mu.Lock()
	switch {
	case before:
		c.tally.before++
	case after:
		c.tally.after++
	default:
		c.tally.mixed++
	}
	c.mu.Unlock()
	if !before && !after && !d.mixed {
		return fmt.Errorf("the tree is neither the old one nor the new one: %w", differing(left, c.old))
	}
	if err := c.look(d, project, left); err != nil {
		return err
	}
	// All of them would take a minute more.
	if n%25 != 1 && (before || after || n%5 != 1) {
		return nil
	}
	c.mu.Lock()
	c.tally.apt++
	c.mu.Unlock()
	s := httptest.NewServer(d.serve(project))
	defer s.Close()
	return aptTakes(s.URL, project+"-apt", "hello", "1.0.4-1", "1.0.5-1")
}

// look sees a tree as all clients do, each tree once. Where files are replaced one
// by one a signature may be of another publish than its file; nothing else.
func (c *crashed) look(d *deathbed, project string, tree map[string]string) error {
	public := maps.Clone(tree)
	maps.DeleteFunc(public, func(p, _ string) bool { return strings.HasPrefix(p, publish.PrivateDir+"/") })
	id := digestOf(public)
	c.mu.Lock()
	rep := c.seen[id]
	c.mu.Unlock()
	if rep == nil {
		memory := make(memoryFS)
		for p, text := range public {
			memory[p] = text
		}
		var err error
		if rep, err = verify.Run(context.Background(), verify.Options{Fetch: verify.FS(memory.fs()), Packages: verify.Hashes, Now: time.Now()}); err != nil {
			return err
		}
		c.mu.Lock()
		c.seen[id] = rep
		c.mu.Unlock()
	}
	torn := false
	var errs []error
	for _, f := range rep.Findings {
		switch {
		case f.Severity != verify.Error:
		case f.Code == "torn" && d.mixed:
			torn = true
		default:
			errs = append(errs, errors.New(f.String()))
		}
	}
	for _, client := range rep.Clients {
		if client.Good && client.Client != "site" && client.Packages == 0 {
			errs = append(errs, fmt.Errorf("%s in %s sees no package", client.Client, client.Path))
		}
	}
	if len(rep.Clients) < c.clients {
		errs = append(errs, fmt.Errorf("%d repositories, want those of %d clients", len(rep.Clients), c.clients))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if torn {
		c.tally.torn++
	}
	return errors.Join(errs...)
}

// check derives a tree anew, each tree once.
func (c *crashed) check(d *deathbed, project string, tree map[string]string) error {
	id := digestOf(tree)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err, ok := c.checked[id]; ok {
		return err
	}
	var out bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &out, now: time.Now(), environ: append(os.Environ(), d.env...)}
	var err error
	if code := a.main(context.Background(), []string{"-C", project, "repo", "check", filepath.Join(project, "public"), "--site", "public", "--key", c.key, "--deep"}); code != 0 {
		err = fmt.Errorf("repo check ends with %d: %s", code, out.String())
	}
	c.checked[id] = err
	return err
}

// tryAll kills the program at every point, one worker for each place.
func (c *crashed) tryAll(t *testing.T, places ...*deathbed) {
	t.Helper()
	start := time.Now()
	c.clean(t, places[0])
	dir := t.TempDir()
	var next atomic.Int64
	var wg sync.WaitGroup
	for i, d := range places {
		wg.Go(func() {
			for !t.Failed() {
				more, err := c.die(d, filepath.Join(dir, fmt.Sprint(i)), int(next.Add(1)))
				if err != nil {
					t.Error(err)
				}
				if !more {
					return
				}
			}
		})
	}
	wg.Wait()
	s := &c.tally
	t.Logf("%d points in %.0f s: after %d the tree was the old one, after %d the new one, after %d a mix (%d with a torn pair); apt read %d of them; %d legs were skipped; deaths that left files behind: %v; kinds: %v",
		s.points, time.Since(start).Seconds(), s.before, s.after, s.mixed, s.torn, s.apt, s.skips, s.leftovers, s.calls)
	if !t.Failed() && (s.points < 8 || s.before == 0 || s.after == 0 || s.skips == 0 || s.apt == 0) {
		t.Error("that is too little to show anything")
	}
}

// noted are the legs that a project's journal has, as the program names them.
func noted(project string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(project, "dist", "journal.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var j struct{ Legs map[string]any }
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("journal.json: %w", err)
	}
	var legs []string
	for name := range j.Legs {
		legs = append(legs, strings.TrimPrefix(name, "package "))
	}
	return legs, nil
}

// filesBelow reads a folder.
func filesBelow(dir string) (map[string]string, error) {
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		all[filepath.ToSlash(rel)] = string(b)
		return err
	})
	return all, err
}

// differing says how a tree differs from what it should be; nil: not at all.
func differing(got, want map[string]string) error {
	var errs []error
	for _, p := range slices.Sorted(maps.Keys(want)) {
		text, ok := got[p]
		switch {
		case p == "journal.json":
		case !ok:
			errs = append(errs, fmt.Errorf("%s is missing", p))
		case text != want[p]:
			errs = append(errs, fmt.Errorf("%s is another", p))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			errs = append(errs, fmt.Errorf("%s is left", p))
		}
	}
	return errors.Join(errs...)
}

func sameTree(a, b map[string]string) bool { return differing(a, b) == nil }

func digestOf(tree map[string]string) string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		fmt.Fprintf(h, "%q %d\n%s", p, len(tree[p]), tree[p])
	}
	return string(h.Sum(nil))
}

// aptTakes updates and downloads a package with this machine's apt, in a folder of
// its own, and compares the package's version.
func aptTakes(url, dir, name string, versions ...string) error {
	defer os.RemoveAll(dir)
	m, err := newAptHere(url, dir, "hello")
	if err != nil {
		return err
	}
	if out, err := m.run("update", "--error-on=any"); err != nil || complaint.MatchString(out) {
		return fmt.Errorf("apt-get update: %v\n%s", err, out)
	}
	if out, err := m.run("download", name); err != nil {
		return fmt.Errorf("apt-get download: %w\n%s", err, out)
	}
	for _, v := range versions {
		if _, err := os.Stat(filepath.Join(dir, name+"_"+v+"_amd64.deb")); err == nil {
			return nil
		}
	}
	return fmt.Errorf("apt took no %s of the versions %v", name, versions)
}

// aptHere is this machine's apt with folders of its own.
type aptHere struct{ dir, config string }

// newAptHere trusts the key of the tree at url, whose files are called name.
func newAptHere(url, dir, name string) (*aptHere, error) {
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	res, err := http.Get(url + "/keys/" + name + ".asc")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	key, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key: %s %v", res.Status, err)
	}
	m := &aptHere{dir, filepath.Join(dir, "apt.conf")}
	config := fmt.Sprintf("Dir::State %q;\nDir::State::status %q;\nDir::Cache %q;\nDir::Etc %q;\nDir::Log %q;\nAPT::Sandbox::User \"root\";\nAPT::Architecture \"amd64\";\nAPT::Architectures { \"amd64\"; };\nAcquire::Languages \"none\";\nAcquire::Retries \"0\";\n",
		filepath.Join(dir, "state"), filepath.Join(dir, "status"), filepath.Join(dir, "cache"), filepath.Join(dir, "etc"), dir)
	for name, text := range map[string]string{"apt.conf": config, "status": "", "key.asc": string(key), "etc/sources.list": fmt.Sprintf("deb [signed-by=%s] %s stable main\n", filepath.Join(dir, "key.asc"), url)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// run runs apt-get.
func (m *aptHere) run(args ...string) (string, error) { return m.tool("apt-get", args...) }

func (m *aptHere) tool(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = m.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + m.dir, "APT_CONFIG=" + m.config}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// memoryFS is a tree as a file system.
type memoryFS map[string]string

func (m memoryFS) fs() fs.FS {
	all := make(fstest.MapFS)
	for p, text := range m {
		all[p] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return all
}

// inFolder is a place whose program is killed at its writes.
func inFolder(ordered bool) *deathbed {
	public := func(project string) string { return filepath.Join(project, "public") }
	d := &deathbed{
		reset: func() error { return nil },
		tree:  func(project string) (map[string]string, error) { return filesBelow(public(project)) },
		serve: func(project string) http.Handler { return treeHandler(public(project)) },
		mixed: ordered,
		notes: func(project string) int {
			names, err := filepath.Glob(filepath.Join(project, ".public.distropack", "*"))
			if err != nil {
				panic(err) // the pattern is a constant one but for the folder
			}
			return len(names)
		},
	}
	d.kill = func(n int, project string, c *crashed) (*ended, error) {
		return dieAtWrite(n, project, c.environ(d, project), c.program, c.args(project)...)
	}
	return d
}

// A folder that is exchanged is the old tree or the new one, whenever the program
// dies.
func TestKilledAtAnyWriteToAFolder(t *testing.T) {
	publishtest.Need(t, "apt-get")
	c := newCrashed(t, "    dir: public\n", "deb, arch", "apt, pacman")
	c.tryAll(t, inFolder(false), inFolder(false))
	if c.tally.mixed > 0 {
		t.Errorf("%d deaths left a mix", c.tally.mixed)
	}
}

// One that can't be exchanged, as a mount point, is a mix that clients can use.
func TestKilledAtAnyWriteToAMountedFolder(t *testing.T) {
	publishtest.Need(t, "apt-get")
	c := newCrashed(t, "    dir: public\n", "deb, arch", "apt, pacman")
	side := filepath.Join(c.base, ".public.distropack")
	if err := errors.Join(os.RemoveAll(side), os.Mkdir(side, 0o755), os.WriteFile(filepath.Join(side, "ordered"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	c.tryAll(t, inFolder(true), inFolder(true))
	if c.tally.mixed == 0 {
		t.Error("no death left a mix: the folder was exchanged")
	}
}

// reaper stands before a server and kills the program when it makes a request.
type reaper struct {
	to http.Handler

	mu      sync.Mutex
	settled *sync.Cond
	open    int // requests that are being answered
	seen    int
	at      int    // the request that is the last one; 0 is none
	when    string // "before" it is done, "midway" in its body, "after"
	kill    func()
	killed  string
}

func newReaper(to http.Handler) *reaper {
	r := &reaper{to: to}
	r.settled = sync.NewCond(&r.mu)
	return r
}

func (r *reaper) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	if r.killed != "" { // it was sent before, and the server never sees it
		r.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	r.seen++
	r.open++
	last, when := r.seen == r.at, r.when
	if last && when == "before" {
		r.reap(q)
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.open--
		r.settled.Broadcast()
		r.mu.Unlock()
	}()
	if !last {
		r.to.ServeHTTP(w, q)
		return
	}
	switch when {
	case "midway":
		q.Body = &dyingBody{ReadCloser: q.Body, left: max(q.ContentLength/2, 200), die: func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reap(q)
		}}
		fallthrough
	case "after":
		r.to.ServeHTTP(httptest.NewRecorder(), q.WithContext(context.WithoutCancel(q.Context())))
		r.mu.Lock()
		r.reap(q)
		r.mu.Unlock()
	}
	panic(http.ErrAbortHandler)
}

// reap kills the program; r.mu is held.
func (r *reaper) reap(q *http.Request) {
	if r.killed == "" {
		r.killed = r.when + " " + q.Method + " " + q.URL.Path
		r.kill()
	}
}

// dyingBody is a body whose sender dies when some bytes of it are read.
type dyingBody struct {
	io.ReadCloser
	left int64
	die  func()
}

func (b *dyingBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.die()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// run runs a program that is killed at a request, and returns when the server has
// nothing more of it to do. Each request has three points; n counts them from 1.
func (r *reaper) run(n int, env []string, name string, args ...string) (*ended, error) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	r.mu.Lock()
	r.seen, r.killed, r.at, r.when = 0, "", (n+2)/3, []string{"before", "midway", "after"}[(n+2)%3]
	r.kill = func() { cmd.Process.Kill() }
	err := cmd.Start()
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	cmd.Wait() // how it ended says ProcessState
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.settled.Wait()
	}
	e := &ended{killed: r.killed, writes: r.seen, code: cmd.ProcessState.ExitCode(), out: out.String()}
	r.at, r.killed = 0, ""
	return e, nil
}

// deathbed returns a place whose program is killed at requests to a server.
func (r *reaper) deathbed(d *deathbed) *deathbed {
	d.kill = func(n int, project string, c *crashed) (*ended, error) {
		return r.run(n, c.environ(d, project), c.program, c.args(project)...)
	}
	return d
}

// A branch is the old commit's tree or the new one's, whenever the program dies.
func TestKilledAtAnyRequestToABranch(t *testing.T) {
	publishtest.Need(t, "git", "apt-get")
	var r *reaper
	s := gittest.Serve(t, gittest.Options{Token: "let-me-in", Wrap: func(h http.Handler) http.Handler {
		r = newReaper(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if _, ok := q.Body.(*dyingBody); ok {
				q.ContentLength = -1 // or git http-backend would wait for the rest for ever, in a busy loop
			}
			h.ServeHTTP(w, q)
		}))
		return r
	}})
	env := []string{"STORE=" + s.URL, "DISTROPACK_GIT_TOKEN=let-me-in"}
	c := newCrashed(t, "    git: {url: \"${STORE}\"}\n", "deb, rpm, arch", "apt, dnf, pacman", env...)
	base := s.Tip(t, "gh-pages")
	checkout := func(string) (map[string]string, error) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		git := exec.Command("git", "-C", s.Dir, "-c", "safe.directory=*", "--work-tree", dir, "checkout", "-q", "-f", "gh-pages", "--", ".")
		git.Env = append(os.Environ(), "GIT_INDEX_FILE="+filepath.Join(dir, "..", filepath.Base(dir)+".index"))
		if out, err := git.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git checkout: %w: %s", err, out)
		}
		return filesBelow(dir)
	}
	c.tryAll(t, r.deathbed(&deathbed{
		env: env,
		reset: func() error {
			gittest.Git(t, s.Dir, "update-ref", "refs/heads/gh-pages", base)
			return nil
		},
		tree: checkout,
		serve: func(project string) http.Handler {
			tree, err := checkout(project)
			if err != nil {
				t.Error(err)
			}
			return http.FileServerFS(memoryFS(tree).fs())
		},
	}))
	if c.tally.mixed > 0 {
		t.Errorf("%d deaths left a mix", c.tally.mixed)
	}
}

// A bucket may be a mix, which clients can use all the same.
func TestKilledAtAnyRequestToABucket(t *testing.T) {
	publishtest.Need(t, "apt-get")
	s := buckettest.Serve(t)
	var places []*deathbed
	var bases []string
	for i := range 2 {
		store, err := url.Parse(s.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		r := newReaper(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(store)
			p.Out.Host = p.In.Host // which is signed
		}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}})
		front := httptest.NewServer(r)
		t.Cleanup(front.Close)
		prefix := fmt.Sprintf("p%d", i)
		dir := filepath.Join(s.Dir, prefix)
		bases = append(bases, front.URL)
		places = append(places, r.deathbed(&deathbed{
			env:   []string{"STORE=" + front.URL, "PREFIX=" + prefix, "AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_REGION=" + s.Region},
			mixed: true,
			reset: func() error {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				out, err := exec.Command("cp", "-a", filepath.Join(s.Dir, "base"), dir).CombinedOutput() // with attributes
				if err != nil {
					return fmt.Errorf("cp: %w: %s", err, out)
				}
				return nil
			},
			tree: func(string) (map[string]string, error) {
				tree := make(map[string]string)
				for key, text := range s.Objects(t, prefix+"/") {
					p := strings.TrimPrefix(key, prefix+"/")
					if p != publish.PrivateDir+"/bucket" && !strings.HasPrefix(p, publish.PrivateDir+"/commits/") { // the bucket's own notes
						tree[p] = text
					}
				}
				return tree, nil
			},
			notes: func(string) int { return len(s.Objects(t, prefix+"/"+publish.PrivateDir+"/commits/")) },
			serve: func(string) http.Handler {
				public, err := url.Parse(s.Public + "/" + prefix)
				if err != nil {
					t.Error(err)
				}
				return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(public) }}
			},
		}))
	}
	env := slices.Clone(places[0].env)
	env[0], env[1] = "STORE="+bases[0], "PREFIX=base"
	c := newCrashed(t, "    bucket: {name: "+s.Bucket+", endpoint: \"${STORE}\", prefix: \"${PREFIX}\", path-style: true}\n", "deb, rpm, arch", "apt, dnf, pacman", env...)
	c.tryAll(t, places...)
	if c.tally.mixed == 0 {
		t.Error("no death left a mix: nothing was tried after the commit")
	}
}
