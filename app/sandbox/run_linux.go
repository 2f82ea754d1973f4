package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// orders is what a stage is told. It comes through a pipe, not in arguments.
type orders struct {
	Program string   `json:"program"` // inside
	Argv    []string `json:"argv"`
	Dir     string   `json:"dir"`
	Env     []string `json:"env"`
	Files   int      `json:"files"` // file descriptors from 3 on that the program gets
	Limits  Limits   `json:"limits"`
	Own     bool     `json:"own"` // the kernel counts the processes of this sandbox apart

	Root   string  `json:"root,omitempty"`   // an empty folder outside, for Namespaces
	Mounts []mount `json:"mounts,omitempty"` // for Namespaces
}

// mount shows a path outside as one inside.
type mount struct {
	Inside, Outside string
	Write           bool
	Device          bool
}

// The paths inside that every sandbox has.
const (
	programPath = "/.sandbox/program"
	stagePath   = "/.sandbox/" + stageName
)

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// runner is one run.
type runner struct {
	Spec
	self   string // this program outside
	temp   string // holds tmp and root
	orders orders
	status *os.File // what the stage says before the program runs
	stop   func(*Error)
}

func run(ctx context.Context, s Spec) (err error) {
	r := &runner{Spec: s}
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	if r.Exe, err = filepath.EvalSymlinks(r.Exe); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	base := s.Temp
	if base == "" {
		base = os.TempDir()
	}
	if r.temp, err = os.MkdirTemp(base, "sandbox-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(r.temp)) }()
	for _, dir := range []string{r.tmp(), filepath.Join(r.temp, "root")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	for _, outside := range r.ReadWrite {
		if err := checkLeft(outside); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) tmp() string { return filepath.Join(r.temp, "tmp") }

// removeAll removes what a program may have closed against its owner.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	filepath.WalkDir(dir, func(name string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			os.Chmod(name, 0o700) // before it is read: WalkDir calls this first
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// watched lists the folders it may write into.
func (r *runner) watched() []string {
	dirs := []string{r.tmp()}
	for _, outside := range r.ReadWrite {
		dirs = append(dirs, outside)
	}
	return dirs
}

// start runs the program and waits for its end.
func (r *runner) start(ctx context.Context) error {
	// What the program does not read ends with it, and the orders with the stage.
	tell, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer tell.Close()
	status, says, err := os.Pipe()
	if err != nil {
		told.Close()
		return err
	}
	defer status.Close()
	defer says.Close()
	r.status = status

	files := append(append([]*os.File(nil), r.Files...), tell, says)
	cmd, err := r.command(len(r.Files))
	if err != nil {
		told.Close()
		return err
	}
	var info *os.File
	if r.Kind == Bubblewrap {
		in, out, err := os.Pipe()
		if err != nil {
			told.Close()
			return err
		}
		defer in.Close()
		defer out.Close()
		info, files = in, append(files, out)
	}
	cmd.ExtraFiles = files
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin = r.Stdin
	stderr := &limited{w: r.Stderr, left: r.Limits.Printed}
	cmd.Stderr = stderr
	if r.Stdout != nil {
		cmd.Stdout = &limited{w: r.Stdout, left: r.Limits.Printed}
	}
	cmd.WaitDelay = 5 * time.Second

	first := make(chan int, 1) // the process outside that all others descend from
	done := make(chan struct{})
	var all sync.WaitGroup
	e := &end{cmd: cmd, group: r.Kind == None}
	r.stop = e.stop

	// PDEATHSIG, which ends the sandbox if the server dies, goes by the thread that
	// started it: this one must stay until the end.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		told.Close()
		return fmt.Errorf("%s: %w", r.Kind, err)
	}
	for _, f := range files[len(r.Files):] {
		f.Close()
	}
	all.Go(func() {
		defer told.Close()
		json.NewEncoder(told).Encode(r.orders) // fails where the stage has ended: Wait says more
	})
	all.Go(func() {
		if info == nil {
			first <- cmd.Process.Pid
			return
		}
		var said struct {
			Child int `json:"child-pid"`
		}
		if json.NewDecoder(io.LimitReader(info, 1<<16)).Decode(&said) == nil && said.Child > 1 {
			e.found(said.Child)
			first <- said.Child
		}
		io.Copy(io.Discard, info)
	})
	all.Go(func() { r.watch(first, done) })
	stopped := context.AfterFunc(ctx, func() { r.stop(&Error{Reason: Deadline}) })
	if r.Limits.Deadline > 0 {
		t := time.AfterFunc(r.Limits.Deadline, func() {
			r.stop(failed(Deadline, "it took longer than %s", r.Limits.Deadline))
		})
		defer t.Stop()
	}

	said, _ := io.ReadAll(io.LimitReader(status, 4<<10))
	err = e.wait()
	stopped()
	close(done)
	all.Wait()

	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case e.why != nil:
		return e.why
	case string(said) != begun:
		// What bwrap says itself is on its stderr; the program has not run.
		text := strings.TrimSpace(strings.TrimPrefix(string(said), begun) + string(stderr.head))
		return failed(Start, "%s: %s", r.Kind, cmp.Or(text, "it ended before the program began"))
	case errors.As(err, &exit):
		return ended(exit)
	}
	return err
}

// ended explains an exit status. Both kinds give 128 and the signal's number where
// a signal ended the program.
func ended(exit *exec.ExitError) *Error {
	code := exit.ExitCode()
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		code = 128 + int(st.Signal())
	}
	if code > 128 && code < 128+65 {
		sig := syscall.Signal(code - 128)
		e := &Error{Reason: Exit, Code: code, Text: fmt.Sprintf("it was ended by a signal: %s", sig)}
		if sig == syscall.SIGXCPU {
			e.Reason = CPU
		}
		return e
	}
	return &Error{Reason: Exit, Code: code, Text: fmt.Sprintf("it ended with exit status %d", code)}
}

// command is what is started for the kind; the stage gets the file descriptors
// after the n of the program: orders, status, and for bwrap its own.
func (r *runner) command(n int) (*exec.Cmd, error) {
	stageFDs := []string{fmt.Sprint(3 + n), fmt.Sprint(4 + n)}
	dir := r.Dir
	if dir == "" {
		dir = "/"
	}
	r.orders = orders{Program: programPath, Argv: append([]string{r.Exe}, r.Args...), Dir: dir, Env: []string{}, Files: n, Limits: r.Limits, Own: countsApart()}
	mounts, err := r.mounts()
	if err != nil {
		return nil, err
	}
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	switch r.Kind {
	case Bubblewrap:
		exe, err := exec.LookPath("bwrap")
		if err != nil {
			return nil, errors.New("bwrap is not installed")
		}
		cmd := exec.Command(exe, r.bubblewrap(mounts, 5+n, stageFDs)...)
		cmd.SysProcAttr = attr
		return cmd, nil
	case Namespaces:
		r.orders.Root, r.orders.Mounts = filepath.Join(r.temp, "root"), mounts
		cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{stageName, "mount"}, stageFDs...)}
		attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		cmd.SysProcAttr = attr
		return cmd, nil
	}
	r.orders.Program, r.orders.Own = r.Exe, false
	r.orders.Env = []string{"TMPDIR=" + r.tmp()}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{stageName, "exec"}, stageFDs...)}
	cmd.SysProcAttr = attr
	return cmd, nil
}

// limited passes on a number of bytes and drops the rest. w may be nil.
type limited struct {
	w    io.Writer
	left int64
	head []byte // the first of it
}

func (l *limited) Write(b []byte) (int, error) {
	l.head = append(l.head, b[:min(len(b), 500-len(l.head))]...)
	part := b[:min(int64(len(b)), l.left)]
	l.left -= int64(len(part))
	if l.w != nil && len(part) > 0 {
		if n, err := l.w.Write(part); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

func advice() string {
	return "Install bubblewrap (Debian and Fedora: package bubblewrap), or allow user namespaces: sysctl user.max_user_namespaces=10000; " +
		"on Debian before 11 kernel.unprivileged_userns_clone=1; on Ubuntu 24.04 and later kernel.apparmor_restrict_unprivileged_userns=0 or a profile for this program; " +
		"in Docker --security-opt seccomp=unconfined --security-opt systempaths=unconfined. " +
		"--no-sandbox makes packages without one: only for projects you trust."
}
