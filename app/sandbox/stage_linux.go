package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stage is this program as a part of a sandbox. It says on status why it could not
// go on.
func stage(what, ordersFD, statusFD string) int {
	// Rights and filters belong to a thread, and are kept by exec.
	runtime.LockOSThread()
	status, err := fileOf(statusFD)
	if err != nil {
		return 125
	}
	code, err := enter(what, ordersFD, status)
	if err != nil {
		fmt.Fprintln(status, err)
		return 125
	}
	return code
}

func fileOf(text string) (*os.File, error) {
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("file descriptor %q", text)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "stage"), nil
}

func enter(what, ordersFD string, status *os.File) (int, error) {
	in, err := fileOf(ordersFD)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return 0, err
	}
	in.Close()
	var o orders
	if err := json.Unmarshal(b, &o); err != nil {
		return 0, fmt.Errorf("orders: %w", err)
	}
	if what == "mount" {
		return mountAndWait(&o, b, status)
	}
	return 0, o.exec(status)
}

// begun is what a stage says when all that is left is to become the program.
const begun = "\x00"

// exec limits this process and becomes the program.
func (o *orders) exec(status *os.File) error {
	if err := os.Chdir(o.Dir); err != nil {
		return err
	}
	if err := o.Limits.set(o.Own); err != nil {
		return err
	}
	if err := dropRights(); err != nil {
		return err
	}
	// The program must not get what the stage has open, nor a parent left open.
	if err := unix.CloseRange(uint(3+o.Files), ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		if err := closeOnExec(3 + o.Files); err != nil {
			return err
		}
	}
	if err := filterCalls(); err != nil {
		return err
	}
	if _, err := status.WriteString(begun); err != nil {
		return err
	}
	err := syscall.Exec(o.Program, o.Argv, o.Env)
	return fmt.Errorf("%s: %w", o.Argv[0], err)
}

// closeOnExec is for kernels before 5.11.
func closeOnExec(from int) error {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range list {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= from {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// set limits this process and what it starts. own says that the kernel counts the
// processes of this sandbox apart from the rest of the user's.
func (l *Limits) set(own bool) error {
	set := func(what string, resource int, n int64) error {
		if n <= 0 {
			return nil
		}
		r := unix.Rlimit{Cur: uint64(n), Max: uint64(n)}
		var old unix.Rlimit
		if err := unix.Getrlimit(resource, &old); err == nil && old.Max < r.Max {
			return nil // it is less already
		}
		if err := unix.Setrlimit(resource, &r); err != nil {
			return fmt.Errorf("limit of %s: %w", what, err)
		}
		return nil
	}
	size := l.FileSize
	if l.OutBytes > 0 && (size == 0 || l.OutBytes < size) {
		size = l.OutBytes
	}
	memory := l.Memory
	if raceBuild {
		memory = 0 // the detector's shadow memory, terabytes of address space, counts as data
	}
	processes := l.Processes
	if !own {
		processes = 0
	}
	cpu := int64(0)
	if l.CPU > 0 {
		cpu = int64(l.CPU.Seconds()) + 1
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("limit of core files: %w", err)
	}
	return errors.Join(
		set("file size", unix.RLIMIT_FSIZE, size),
		set("memory", unix.RLIMIT_DATA, memory),
		set("CPU time", unix.RLIMIT_CPU, cpu),
		set("open files", unix.RLIMIT_NOFILE, 1024),
		set("processes", unix.RLIMIT_NPROC, processes),
	)
}

// countsApart reports whether the kernel counts a user's processes for each user
// namespace: since Linux 5.14. Before, the server's own would count.
func countsApart() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, rest, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err1 == nil && err2 == nil && (a > 5 || a == 5 && b >= 14)
}

// dropRights leaves this thread without capabilities and without a way to any.
func dropRights() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new rights: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			break // a kernel that knows fewer
		}
		if has == 1 {
			// Without CAP_SETPCAP it can't be taken out, nor be got: no new rights.
			unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		}
	}
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	return nil
}
