package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	bars    = flag.Bool("bars", false, "compare speed and size with other tools: make bench")
	barRows = flag.String("rows", "", "with -bars: only the groups that match this `pattern`: apt, dnf, pacman, build, small, git, bucket, verify")
)

// TestSpeedAndSizeMeetTheBars compares with what Debian has for the same work, in
// one run on one machine, and prints a table. It takes minutes and much of the
// disk's time, so it runs only when asked for.
func TestSpeedAndSizeMeetTheBars(t *testing.T) {
	if !*bars {
		t.Skip("takes minutes: make bench")
	}
	only, err := regexp.Compile(*barRows)
	if err != nil {
		t.Fatal(err)
	}
	r := &results{}
	for _, g := range []struct {
		name    string
		measure func(*testing.T, *results)
	}{{"apt", benchApt}, {"dnf", benchDnf}, {"pacman", benchPacman}, {"build", benchBuild}, {"small", benchSmall}, {"git", benchGit}, {"bucket", benchBucket}, {"verify", benchVerify}} {
		if only.MatchString(g.name) {
			t.Run(g.name, func(t *testing.T) { g.measure(t, r) })
		}
	}
	r.print(os.Stdout)
	for _, l := range r.lines {
		if !l.ok {
			t.Errorf("%s: ours %s, peer %s, ratio %s; the bar is %s", l.what, l.ours, l.peer, l.ratio, l.bar)
		}
	}
}

// results is the table that is printed.
type results struct {
	lines []line
	notes []string
}

type line struct {
	what, ours, peer, ratio, bar string
	ok                           bool
}

// compare adds a line: ours may take at most the bar times as long as the peer. A
// bar of 0 is for comparison only.
func (r *results) compare(what string, ours time.Duration, peer string, theirs time.Duration, bar float64) {
	l := line{what: what, ours: seconds(ours), peer: seconds(theirs) + " " + peer, ratio: "-", bar: "-", ok: true}
	if theirs > 0 {
		ratio := ours.Seconds() / theirs.Seconds()
		l.ratio = fmt.Sprintf("%.4fx", ratio)
		l.ok = bar == 0 || ratio <= bar
	} else {
		l.peer = "-"
	}
	if bar > 0 {
		l.bar = fmt.Sprintf("<= %gx", bar)
	}
	r.lines = append(r.lines, l)
}

// bound adds a line that has no peer.
func (r *results) bound(what, ours, bar string, ok bool) {
	r.lines = append(r.lines, line{what: what, ours: ours, peer: "-", ratio: "-", bar: bar, ok: ok})
}

// note adds a line of text below the table.
func (r *results) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *results) print(w *os.File) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nwhat\tours\tpeer\tratio\tbar\tok")
	for _, l := range r.lines {
		ok := "yes"
		switch {
		case !l.ok:
			ok = "NO"
		case l.bar == "-":
			ok = ""
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", l.what, l.ours, l.peer, l.ratio, l.bar, ok)
	}
	tw.Flush()
	for _, n := range r.notes {
		fmt.Fprintln(w, "* "+n)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.4gs", d.Seconds()) }

// median returns the middle of what n runs of f took.
func median(n int, f func(i int)) time.Duration {
	var all []time.Duration
	for i := range n {
		start := time.Now()
		f(i)
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// peer runs a program and returns how long it took. Its output is shown where it
// fails.
func peer(t *testing.T, dir string, env []string, name string, args ...string) time.Duration {
	t.Helper()
	took, _ := peak(t, dir, env, name, args...)
	return took
}

// peak is peer that also returns the most memory the program held, in bytes, as
// the kernel knows it (VmHWM). What wait4(2) tells includes this process, which
// it was forked from.
func peak(t *testing.T, dir string, env []string, name string, args ...string) (took time.Duration, memory int64) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	status := fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			b, _ := os.ReadFile(status)
			if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
				var kib int64
				fmt.Sscan(rest, &kib)
				memory = max(memory, kib<<10)
			}
		}
	}()
	err := cmd.Wait()
	took = time.Since(start)
	close(ended)
	<-watched
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args[:min(len(args), 6)], " "), err, out.Bytes()[max(0, out.Len()-2000):])
	}
	return took, memory
}

// needs skips a group whose peers are not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
}

// built builds the program and returns its path: the test binary is slower to start.
func built(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "distropack")
	if out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// peerKey imports the test key into a GnuPG of its own, for the tools that sign
// with it. It returns the environment and the fingerprint.
func peerKey(t *testing.T) (env []string, fingerprint string) {
	t.Helper()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "gpg") // short: the agent's socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	env = []string{"GNUPGHOME=" + home}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--kill", "gpg-agent")
		stop.Env = append(os.Environ(), env...)
		stop.Run()
		os.RemoveAll(home)
	})
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, "", env, "gpg", "--batch", "--import", file)
	list := exec.Command("gpg", "-K", "--with-colons")
	list.Env = append(os.Environ(), env...)
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(out), "\n") {
		if f, ok := strings.CutPrefix(l, "fpr:"); ok {
			return env, strings.Trim(f, ":")
		}
	}
	t.Fatal("gpg did not list the key")
	return nil, ""
}
