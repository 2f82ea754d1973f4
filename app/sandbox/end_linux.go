package sandbox

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// end ends a run, once, and knows why.
type end struct {
	cmd   *exec.Cmd
	group bool // it is a process group, with no process 1 of its own

	mu    sync.Mutex
	why   *Error
	init  int // pidfd of process 1 inside; 0 while it is not known
	known bool
}

// stop ends the run, for the first reason that is given.
func (e *end) stop(why *Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.why == nil {
		e.why = why
		e.kill()
	}
}

func (e *end) kill() {
	// The command began a session, so this is its group. bwrap's process 1 is in it
	// until it has one of its own, and waits for bwrap for ever if that is killed
	// alone at first.
	syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
	if e.known {
		unix.PidfdSendSignal(e.init, unix.SIGKILL, nil, 0)
	}
	e.cmd.Process.Kill()
}

// found tells which process is number 1 inside. With it all others end.
func (e *end) found(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended, or the kernel is older than 5.3: bwrap ends it then
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.init, e.known = fd, true
	if e.why != nil {
		e.kill()
	}
}

// wait returns when no process is left, which may be a moment after the command's
// own end.
func (e *end) wait() error {
	err := e.cmd.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.group {
		syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
	}
	if !e.known {
		return err
	}
	defer unix.Close(e.init)
	e.known = false
	unix.PidfdSendSignal(e.init, unix.SIGKILL, nil, 0)
	for until := time.Now().Add(10 * time.Second); ; {
		n, perr := unix.Poll([]unix.PollFd{{Fd: int32(e.init), Events: unix.POLLIN}}, 1000)
		if n == 1 || perr != nil && !errors.Is(perr, unix.EINTR) {
			return err
		}
		if time.Now().After(until) {
			return errors.Join(err, errors.New("the processes of the sandbox do not end"))
		}
	}
}
