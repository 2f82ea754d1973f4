// Package sandbox runs a program that must not be trusted: it reads a stranger's
// project. The program has an empty environment, no network, no rights, and sees
// only the paths that are named; it is ended, with all it started, when it takes
// too much or too long.
//
// # Kinds
//
// Bubblewrap uses bwrap(1); Namespaces does the same with nothing but the kernel.
// Both make new user, mount, pid, net, ipc and uts namespaces, which needs no root.
// Probe says which works here. None is for where neither does: limits and an empty
// environment, but the program sees what the server sees. It is never chosen
// unasked.
//
// # What is done
//
//   - Its root is a folder in memory, read-only, with the paths of the Spec, the
//     program, the libraries its loader needs, five devices, /proc of its own
//     processes and a /tmp.
//   - It has no capabilities and can't get any; no new namespaces; a seccomp filter
//     refuses what only attacks need: network sockets, mounts, ptrace, keys, bpf,
//     io_uring, shared memory that nobody counts.
//   - File size, CPU time and memory are limited for each process by the kernel, and
//     for all together by a watcher, which looks every 25 ms and ends all.
//
// # Why a watcher counts what is written
//
// A tmpfs of a size would be exact, but packages are hundreds of megabytes and it
// would hold them all in memory, where the kernel, short of it, ends the server
// rather than the sandbox. So the folders are on disk and are watched: with what
// was unlinked and is still open, and with a reserve that must stay free. Until the
// watcher looks, a program may write some 100 MB too much; it is ended then, and
// what it wrote goes with it.
//
// The watcher counts processes for the same reason: the kernel does not apply its
// limit to processes of the user root.
//
// # Root
//
// A server that runs as root has its programs run as a root without rights; the
// files it sees are root's. Run the server as a user of its own.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// The kinds of sandboxes.
const (
	Bubblewrap = "bubblewrap"
	Namespaces = "namespaces"
	None       = "none"
)

// Limits bounds a run. What is 0 is not bounded, but for OutBytes' reserve and
// Printed.
type Limits struct {
	Memory    int64         `json:"memory"`    // bytes, of each process and of all together
	Processes int64         `json:"processes"` // processes and threads; a Go program has some 20
	FileSize  int64         `json:"fileSize"`  // bytes of one file
	OutBytes  int64         `json:"outBytes"`  // bytes below all of ReadWrite and /tmp; a file counts 4 KiB at least
	Reserve   int64         `json:"reserve"`   // bytes that stay free on their disks; 128 MiB where 0
	Printed   int64         `json:"printed"`   // bytes of Stdout and of Stderr, the rest is dropped; 16 MiB where 0
	CPU       time.Duration `json:"cpu"`       // of each process and of all together
	Deadline  time.Duration `json:"deadline"`  // of the run
}

// Spec says what to run.
type Spec struct {
	Kind      string            // one of Probe's; "" asks Probe
	Exe       string            // the program, by its absolute path outside
	Args      []string          // without the program
	Dir       string            // working directory inside; "" means /
	Files     []*os.File        // its file descriptors from 3 on; the caller closes them
	ReadOnly  map[string]string // path inside → path outside; with None they must be equal
	ReadWrite map[string]string // the same, for folders it may write into
	Temp      string            // /tmp is made below this folder outside; "" means os.TempDir
	Limits    Limits
	Stdin     io.Reader // nil is empty
	Stdout    io.Writer // nil drops
	Stderr    io.Writer // nil drops
}

// Reason says why a run was no success.
type Reason string

// What Error.Reason may be.
const (
	Exit      Reason = "exit"      // it ended with Error.Code
	Start     Reason = "start"     // it could not be started
	Deadline  Reason = "deadline"  // it took longer than Limits.Deadline
	CPU       Reason = "cpu"       // more than Limits.CPU
	Memory    Reason = "memory"    // more than Limits.Memory
	Processes Reason = "processes" // more than Limits.Processes
	Out       Reason = "out"       // it wrote more than Limits.OutBytes, or hides what it writes
	Disk      Reason = "disk"      // less than Limits.Reserve was free
	Left      Reason = "left"      // it left something other than files and folders in ReadWrite
)

// Error says why a run was no success. What the program printed is not in it.
type Error struct {
	Reason Reason
	Code   int // of Exit; 128 and the signal's number where a signal ended it
	Text   string
}

func (e *Error) Error() string { return e.Text }

func failed(reason Reason, format string, a ...any) *Error {
	return &Error{Reason: reason, Text: fmt.Sprintf(format, a...)}
}

// Run runs a program and waits for it and all it started. nil means that it ended
// with 0, and left only files and folders in ReadWrite: no links, which would lead
// the server out of them when it reads. Errors are *Error where the program is to
// blame, ctx's own where ctx ended. Main must have been called.
func Run(ctx context.Context, s Spec) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := s.check(); err != nil {
		return err
	}
	if s.Kind == "" {
		kind, err := Probe(ctx)
		if err != nil {
			return err
		}
		s.Kind = kind
	}
	if s.Limits.Reserve == 0 {
		s.Limits.Reserve = 128 << 20
	}
	if s.Limits.Printed == 0 {
		s.Limits.Printed = 16 << 20
	}
	return run(ctx, s)
}

func (s *Spec) check() error {
	if !ready {
		return errors.New("sandbox.Main is not called at the start of this program's main")
	}
	if !filepath.IsAbs(s.Exe) {
		return fmt.Errorf("program %q has no absolute path", s.Exe)
	}
	if !slices.Contains([]string{"", Bubblewrap, Namespaces, None}, s.Kind) {
		return fmt.Errorf("there is no kind %q of sandboxes: %s, %s, %s", s.Kind, Bubblewrap, Namespaces, None)
	}
	for _, m := range []map[string]string{s.ReadOnly, s.ReadWrite} {
		for inside, outside := range m {
			if !path.IsAbs(inside) || path.Clean(inside) != inside || inside == "/" {
				return fmt.Errorf("path %q inside is not absolute and clean, or it is the root", inside)
			}
			if !filepath.IsAbs(outside) {
				return fmt.Errorf("path %q for %s is not absolute", outside, inside)
			}
			if _, err := os.Stat(outside); err != nil {
				return fmt.Errorf("path for %s: %w", inside, err)
			}
			if s.Kind == None && inside != outside {
				return fmt.Errorf("without a sandbox %s can't be shown as %s: use the same path", outside, inside)
			}
		}
	}
	return nil
}

// ready is set by Main.
var ready bool

// stageName is the name that the program has where it is a stage of a sandbox: it
// is started again to limit itself before it runs what must not be trusted.
const stageName = "distropack-sandbox"

// Main must be called first in the main of each program that uses this package, and
// in its TestMain. In a stage of a sandbox it does not return.
func Main() {
	ready = true
	// Not os.Exit: where a race detector is built in, that waits for a second.
	if len(os.Args) == 2 && os.Args[1] == nothing {
		syscall.Exit(0)
	}
	if len(os.Args) == 4 && filepath.Base(os.Args[0]) == stageName {
		syscall.Exit(stage(os.Args[1], os.Args[2], os.Args[3]))
	}
}
