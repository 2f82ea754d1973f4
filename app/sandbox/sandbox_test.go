//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distropack/distropack/publish/publishtest"
)

// each runs a test in both kinds of sandboxes.
func each(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range []string{Bubblewrap, Namespaces} {
		t.Run(kind, func(t *testing.T) {
			if kind == Bubblewrap {
				publishtest.Need(t, "bwrap")
			}
			if err := Try(t.Context(), kind); err != nil {
				if os.Getenv("CI") == "true" && os.Getuid() == 0 {
					t.Fatalf("%s does not work here: %v", kind, err)
				}
				t.Skipf("%s does not work here: %v", kind, err)
			}
			f(t, kind)
		})
	}
}

// try runs a hostile program that sees its folder as /out.
func try(t *testing.T, s Spec, what string, args ...string) (out string, dir string, err error) {
	t.Helper()
	s.Exe, s.Args = self(t), append([]string{"hostile", what}, args...)
	if s.ReadWrite == nil {
		dir = t.TempDir()
		s.ReadWrite = map[string]string{"/out": dir}
	}
	s.Temp = t.TempDir()
	var stdout, stderr bytes.Buffer
	if s.Stdout == nil {
		s.Stdout = &stdout
	}
	s.Stderr = &stderr
	if s.Limits.Deadline == 0 {
		s.Limits.Deadline = time.Minute
	}
	err = Run(t.Context(), s)
	if left, _ := os.ReadDir(s.Temp); len(left) > 0 {
		t.Errorf("%s left %s in the folder for temporary files", what, left[0].Name())
	}
	if t.Failed() || err != nil {
		t.Logf("%s: %v, stderr %.2000s", what, err, stderr.String())
	}
	return stdout.String(), dir, err
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// reason fails unless err is an Error of that reason.
func reason(t *testing.T, err error, want Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("Run = %v, want reason %s", err, want)
	}
}

func TestAProgramRuns(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		var out, errs bytes.Buffer
		err := Run(t.Context(), Spec{Kind: kind, Exe: self(t), Args: []string{"hostile", "hello", "a b", "c\n"}, Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errs})
		if want := `args ["a b" "c\n"] in "input"`; err != nil || out.String() != want || errs.String() != "on stderr" {
			t.Errorf("Run = %v, stdout %q, stderr %q, want %q", err, &out, &errs, want)
		}
		_, _, err = try(t, Spec{Kind: kind}, "exit")
		var e *Error
		if !errors.As(err, &e) || e.Reason != Exit || e.Code != 7 {
			t.Errorf("Run = %v, want exit status 7", err)
		}
		err = Run(t.Context(), Spec{Kind: kind, Exe: self(t), Args: []string{"hostile", "nothing"}, Dir: "/nowhere"})
		reason(t, err, Start)
		if err == nil || !strings.Contains(err.Error(), "/nowhere") {
			t.Errorf("Run in a folder that is not there = %v", err)
		}
	})
}

func TestAProgramGetsTheFilesItIsGivenAndNoOther(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		name := filepath.Join(t.TempDir(), "b")
		if err := os.WriteFile(name+"in", []byte("from the third"), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(name + "in")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		to, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		// One that a library of the server's left open for children.
		leak, err := unix.FcntlInt(in.Fd(), unix.F_DUPFD, 40)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(leak)
		out, _, err := try(t, Spec{Kind: kind, Files: []*os.File{in, to}}, "files")
		got, _ := os.ReadFile(name)
		if err != nil || out != "from the third" || string(got) != "to the fourth" {
			t.Errorf("Run = %v, it read %q and wrote %q", err, out, got)
		}
	})
}

func TestTheServersEnvironmentIsNotSeen(t *testing.T) {
	t.Setenv("DISTROPACK_TEST_SECRET", "hunter2")
	each(t, func(t *testing.T, kind string) {
		out, _, err := try(t, Spec{Kind: kind}, "environment")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "hunter2") || !strings.Contains(out, "env []\n") {
			t.Errorf("it sees an environment:\n%s", out)
		}
		var n int
		fmt.Sscanf(out[strings.LastIndex(out, "processes "):], "processes %d", &n)
		if n < 1 || n > 2 {
			t.Errorf("it sees %d processes, want its own and the sandbox's first", n)
		}
	})
}

func TestTheServersFilesAreNotSeen(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(secret, []byte("AGE-SECRET-KEY-1"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	if err := os.WriteFile(tree+"/main.c", []byte("int"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A link in the tree that leads out of it finds nothing inside.
	if err := os.Symlink(secret, tree+"/link"); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, kind string) {
		s := Spec{Kind: kind, ReadOnly: map[string]string{"/work": tree}}
		out, _, err := try(t, s, "read", secret, filepath.Dir(secret), "/work/link", "/etc/passwd", "/root", "/home", "/var", "/sys", "/work/../"+secret)
		if err != nil || out != "" {
			t.Errorf("Run = %v, it read:\n%s", err, out)
		}
		out, _, err = try(t, s, "read", "/work/main.c")
		if err != nil || !strings.Contains(out, "READ /work/main.c: 3 bytes") {
			t.Errorf("Run = %v, it can't read what it is shown: %q", err, out)
		}
	})
}

func TestOnlyTheOutFolderIsWritten(t *testing.T) {
	tree := t.TempDir()
	if err := os.WriteFile(tree+"/main.c", []byte("int"), 0o666); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, kind string) {
		s := Spec{Kind: kind, ReadOnly: map[string]string{"/work": tree}}
		out, dir, err := try(t, s, "write", "/out/a", "/tmp/a", "/work/main.c", "/work/b", "/a", "/dev/a", "/.sandbox/program", "/.sandbox/b", "/lib/a",
			"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/sys/user/max_user_namespaces", "/dev/shm/a")
		want := "WROTE /out/a\nOPENED /out/a\nWROTE /tmp/a\nOPENED /tmp/a\n"
		if err != nil || out != want {
			t.Errorf("Run = %v, it wrote:\n%swant\n%s", err, out, want)
		}
		if b, err := os.ReadFile(dir + "/a"); err != nil || string(b) != "x" {
			t.Errorf("what it wrote to /out is %q, %v", b, err)
		}
		if b, _ := os.ReadFile(tree + "/main.c"); string(b) != "int" {
			t.Errorf("the tree was changed: %q", b)
		}
	})
}

func TestNoRightsAreLeft(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		out, _, err := try(t, Spec{Kind: kind}, "rights")
		if want := "host sandbox uid 1000\n"; err != nil || out != want {
			t.Errorf("Run = %v, it could:\n%s", err, out)
		}
	})
}

func TestThereIsNoNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	abstract, err := net.Listen("unix", "@distropack-sandbox-test-"+fmt.Sprint(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	each(t, func(t *testing.T, kind string) {
		out, _, err := try(t, Spec{Kind: kind}, "network", l.Addr().String(), abstract.Addr().String())
		if err != nil || out != "" {
			t.Errorf("Run = %v, it could:\n%s", err, out)
		}
	})
}

func TestADiskIsNotFilled(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		const most = 64 << 20
		for _, what := range []string{"fill", "hide", "names", "deep"} {
			t.Run(what, func(t *testing.T) {
				s := Spec{Kind: kind, Limits: Limits{OutBytes: most, FileSize: most}}
				if what == "names" {
					s.Limits.OutBytes = 4 << 20
				}
				_, dir, err := try(t, s, what, "/out")
				reason(t, err, Out)
				if n := size(t, dir); n > 1<<30 {
					t.Errorf("it wrote %d bytes before it was ended", n)
				}
			})
		}
		t.Run("tmp", func(t *testing.T) {
			_, _, err := try(t, Spec{Kind: kind, Limits: Limits{OutBytes: most}}, "fill", "/tmp")
			reason(t, err, Out)
		})
		t.Run("one file", func(t *testing.T) {
			out, dir, err := try(t, Spec{Kind: kind, Limits: Limits{FileSize: 1 << 20}}, "one", "/out")
			reason(t, err, Exit)
			if n := size(t, dir); n > 1<<20+4096 || !strings.Contains(out, "file too large") {
				t.Errorf("it wrote a file of %d bytes: %s", n, out)
			}
		})
		t.Run("memory outside of folders", func(t *testing.T) {
			_, _, err := try(t, Spec{Kind: kind, Limits: Limits{OutBytes: most}}, "fill", "/")
			reason(t, err, Exit)
		})
		t.Run("reserve", func(t *testing.T) {
			_, _, err := try(t, Spec{Kind: kind, Limits: Limits{Reserve: 1 << 60}}, "sleep")
			reason(t, err, Disk)
		})
		t.Run("closed folder", func(t *testing.T) {
			if os.Getuid() == 0 {
				t.Skip("root reads every folder: see fill")
			}
			_, dir, err := try(t, Spec{Kind: kind, Limits: Limits{OutBytes: most, FileSize: most}}, "closed", "/out")
			os.Chmod(dir+"/d", 0o700)
			reason(t, err, Out)
		})
	})
}

func size(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func TestForkBombsEnd(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		began := time.Now()
		deadline := 30 * time.Second
		if os.Getuid() != 0 {
			deadline = 3 * time.Second
		}
		_, _, err := try(t, Spec{Kind: kind, Limits: Limits{Processes: 100, Deadline: deadline}}, "forks")
		// The kernel keeps it below the limit where it applies that (not for root):
		// then it goes on in its bounds until the deadline.
		var e *Error
		if !errors.As(err, &e) || e.Reason != Processes && (os.Getuid() == 0 || e.Reason != Deadline && e.Reason != Exit) {
			t.Errorf("Run = %v after %s, want that there are too many processes", err, time.Since(began))
		}
		gone(t, "forks")
	})
}

// gone fails unless all hostile programs of that name have ended.
func gone(t *testing.T, what string) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		if b, _ := os.ReadFile(name); bytes.Contains(b, []byte("hostile\x00"+what)) {
			t.Errorf("%s goes on: %q", name, b)
		}
	}
}

// A run that is ended while the sandbox is being made ends.
func TestTheDeadlineMayComeAtAnyMoment(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		for n := range 40 {
			_, _, err := try(t, Spec{Kind: kind, Limits: Limits{Deadline: 1 + time.Duration(n)*time.Millisecond}}, "leaves", fmt.Sprint("early-", kind, n))
			reason(t, err, Deadline)
		}
	})
}

func TestTheDeadlineEndsAllDescendants(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		_, _, err := try(t, Spec{Kind: kind, Limits: Limits{Deadline: 500 * time.Millisecond}}, "leaves", "deadline-"+kind)
		reason(t, err, Deadline)
		gone(t, "sleep\x00deadline-"+kind)
		_, _, err = try(t, Spec{Kind: kind}, "leave", "left-"+kind)
		if err != nil {
			t.Error(err)
		}
		gone(t, "sleep\x00left-"+kind)
	})
}

func TestTheContextEndsAllDescendants(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		ctx, cancel := context.WithCancelCause(t.Context())
		out, in := io.Pipe()
		why := errors.New("the maintainer pressed stop")
		go func() {
			io.ReadFull(out, make([]byte, 1)) // it runs
			cancel(why)
			io.Copy(io.Discard, out)
		}()
		err := Run(ctx, Spec{Kind: kind, Exe: self(t), Args: []string{"hostile", "print"}, Stdout: in, Limits: Limits{Printed: 1 << 40}})
		in.Close()
		if !errors.Is(err, why) {
			t.Errorf("Run = %v, want why its context ended", err)
		}
		gone(t, "print")
		if err := Run(ctx, Spec{Kind: kind, Exe: self(t)}); !errors.Is(err, why) {
			t.Errorf("Run with an ended context = %v", err)
		}
	})
}

func TestCPUTimeIsLimitedForAllTogether(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		_, _, err := try(t, Spec{Kind: kind, Limits: Limits{CPU: 500 * time.Millisecond}}, "spins")
		reason(t, err, CPU)
	})
}

func TestMemoryIsLimited(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		// tail keeps what has no line break: all of it.
		s := Spec{Kind: kind, Exe: "/usr/bin/tail", Args: []string{"/dev/zero"}, Limits: Limits{Memory: 64 << 20, Deadline: time.Minute}}
		err := Run(t.Context(), s)
		var e *Error
		if !errors.As(err, &e) || e.Reason != Memory && e.Reason != Exit {
			t.Errorf("Run = %v, want that memory ended", err)
		}
		// Each stays below the limit, together they do not.
		s.Exe, s.Args = "/usr/bin/dash", []string{"-c", "for i in 1 2 3 4; do { head -c 30M /dev/zero; sleep 60; } | tail & done; sleep 60"}
		s.ReadOnly = map[string]string{"/usr": "/usr", "/bin": "/bin"}
		reason(t, Run(t.Context(), s), Memory)
	})
}

func TestWhatIsPrintedIsLimited(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		out, _, err := try(t, Spec{Kind: kind, Limits: Limits{Printed: 100_000}}, "print")
		if err != nil || len(out) != 100_000 {
			t.Errorf("Run = %v with %d bytes, want 100000", err, len(out))
		}
	})
}

func TestOnlyFilesAndFoldersAreLeft(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		for _, what := range []string{"symlink", "pipe", "hardlink", "setuid"} {
			_, _, err := try(t, Spec{Kind: kind}, what, "/out")
			reason(t, err, Left)
		}
		tree := t.TempDir()
		if err := os.WriteFile(tree+"/a", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		out, _, err := try(t, Spec{Kind: kind, ReadOnly: map[string]string{"/work": tree}}, "linkout", "/out", "/work/a")
		if err != nil || out != "" {
			t.Errorf("Run = %v, a file of the tree was linked into /out: %q", err, out)
		}
		_, dir, err := try(t, Spec{Kind: kind}, "good", "/out")
		if b, rerr := os.ReadFile(dir + "/sub/a.deb"); err != nil || rerr != nil || string(b) != "package" {
			t.Errorf("Run = %v, it left %q, %v", err, b, rerr)
		}
	})
}

func TestOthersGoOnBesideAHostileProgram(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		var all sync.WaitGroup
		for _, what := range []string{"fill", "forks", "hide"} {
			dir, temp := t.TempDir(), t.TempDir()
			all.Go(func() {
				err := Run(t.Context(), Spec{Kind: kind, Exe: self(t), Args: []string{"hostile", what, "/out"}, Temp: temp,
					ReadWrite: map[string]string{"/out": dir}, Limits: Limits{OutBytes: 32 << 20, Processes: 100, Deadline: 5 * time.Second}})
				if err == nil {
					t.Errorf("%s was not refused", what)
				}
			})
		}
		for range 3 {
			if _, dir, err := try(t, Spec{Kind: kind, Limits: Limits{OutBytes: 32 << 20, Processes: 100}}, "good", "/out"); err != nil || size(t, dir) != 7 {
				t.Errorf("beside hostile programs Run = %v", err)
			}
		}
		all.Wait()
	})
}

func TestNoneLimitsAndHidesTheEnvironment(t *testing.T) {
	t.Setenv("DISTROPACK_TEST_SECRET", "hunter2")
	dir := t.TempDir()
	s := func() Spec { return Spec{Kind: None, ReadWrite: map[string]string{dir: dir}} }
	out, _, err := try(t, s(), "environment")
	if err != nil || strings.Contains(out[:strings.Index(out, "\n")], "hunter2") {
		t.Errorf("Run = %v, its environment is %s", err, out)
	}
	_, _, err = try(t, Spec{Kind: None, ReadWrite: map[string]string{dir: dir}, Limits: Limits{OutBytes: 16 << 20}}, "fill", dir)
	reason(t, err, Out)
	_, _, err = try(t, Spec{Kind: None, ReadWrite: map[string]string{}, Limits: Limits{Deadline: 300 * time.Millisecond}}, "sleep")
	reason(t, err, Deadline)
	err = Run(t.Context(), Spec{Kind: None, Exe: self(t), ReadWrite: map[string]string{"/out": dir}})
	if err == nil || !strings.Contains(err.Error(), "same path") {
		t.Errorf("Run with another path inside = %v", err)
	}
}

func TestProbeFindsOneOrSaysWhatToDo(t *testing.T) {
	kind, err := Probe(t.Context())
	if err != nil {
		if !strings.Contains(err.Error(), "Install bubblewrap") {
			t.Errorf("Probe = %v, which does not say what to do", err)
		}
		return
	}
	if kind != Bubblewrap && kind != Namespaces {
		t.Errorf("Probe = %q", kind)
	}
	probed.kind = ""
	t.Setenv("PATH", t.TempDir()) // no bwrap
	kind, err = Probe(t.Context())
	probed.kind = ""
	if err == nil && kind != Namespaces {
		t.Errorf("Probe without bwrap = %q", kind)
	}
}

func TestWrongSpecsAreRefused(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Exe: "tail"}, "no absolute path"},
		{Spec{Exe: "/bin/true", Kind: "jail"}, "no kind"},
		{Spec{Exe: "/bin/true", ReadOnly: map[string]string{"/": "/"}}, "the root"},
		{Spec{Exe: "/bin/true", ReadOnly: map[string]string{"/a/../b": "/"}}, "clean"},
		{Spec{Exe: "/bin/true", ReadWrite: map[string]string{"/a": "a"}}, "not absolute"},
		{Spec{Exe: "/bin/true", ReadWrite: map[string]string{"/a": "/not/there"}}, "no such file"},
	} {
		if err := Run(t.Context(), c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Run(%+v) = %v, want %q in it", c.spec, err, c.want)
		}
	}
}

// BenchmarkStart is what a sandbox costs: a program that does nothing.
func BenchmarkStart(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{Bubblewrap, Namespaces, None} {
		if err := Try(b.Context(), kind); err != nil {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if err := Run(b.Context(), Spec{Kind: kind, Exe: exe, Args: []string{nothing}, Temp: b.TempDir()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
