package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountAndWait is process 1 of its namespaces: it makes the root, has the program
// started in one more user namespace, whose processes can't touch the mounts, and
// waits for it. With its end the kernel ends all others. Where there is no /proc to
// write its ids to, the program stays in the same user namespace; it has no rights
// there either.
func mountAndWait(o *orders, raw []byte, status *os.File) (int, error) {
	proc, err := o.root()
	if err != nil {
		return 0, err
	}
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return 0, fmt.Errorf("host name: %w", err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	files := make([]*os.File, 0, o.Files+2)
	for i := range o.Files {
		files = append(files, os.NewFile(uintptr(3+i), "file"))
	}
	files = append(files, in, status)
	// Path is what this process runs, wherever that lies.
	cmd := &exec.Cmd{Path: "/.sandbox/" + stageName, Args: []string{stageName, "exec", fmt.Sprint(3 + o.Files), fmt.Sprint(4 + o.Files)}}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if proc {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("second stage: %w", err)
	}
	in.Close()
	// Only now, since starting it wrote its ids to /proc. It waits for its orders, so
	// nothing that is not trusted has run yet.
	if proc {
		if err := seal("/proc", unix.MOUNT_ATTR_RDONLY, false); err != nil {
			return 0, fmt.Errorf("/proc: %w", err)
		}
	}
	status.Close()
	if _, err := io.Copy(out, bytes.NewReader(raw)); err != nil {
		return 125, nil // the stage has said why
	}
	out.Close()
	for _, f := range files[:o.Files] {
		f.Close()
	}
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 125, nil
		case pid != cmd.Process.Pid: // an orphan
		case st.Signaled():
			return 128 + int(st.Signal()), nil
		default:
			return st.ExitStatus(), nil
		}
	}
}

// root makes the root of the file system, as orders say, and enters it. proc says
// whether there is a /proc.
func (o *orders) root() (proc bool, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return false, fmt.Errorf("mounts of its own: %w", err)
	}
	if err := unix.Mount("tmpfs", o.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,nr_inodes=1k,mode=755"); err != nil {
		return false, fmt.Errorf("root: %w", err)
	}
	for _, m := range o.Mounts {
		if err := m.bind(o.Root); err != nil {
			return false, fmt.Errorf("show %s as %s: %w", m.Outside, m.Inside, err)
		}
	}
	if proc, err = o.proc(); err != nil {
		return false, err
	}
	old := filepath.Join(o.Root, ".old")
	if err := os.Mkdir(old, 0o700); err != nil {
		return false, err
	}
	if err := unix.PivotRoot(o.Root, old); err != nil {
		return false, fmt.Errorf("enter root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return false, err
	}
	if err := unix.Unmount("/.old", unix.MNT_DETACH); err != nil {
		return false, fmt.Errorf("leave the old root: %w", err)
	}
	if err := os.Remove("/.old"); err != nil {
		return false, err
	}
	return proc, seal("/", unix.MOUNT_ATTR_RDONLY, false)
}

func (m *mount) bind(root string) error {
	at := filepath.Join(root, m.Inside)
	st, err := os.Stat(m.Outside)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if st.IsDir() {
		err = os.MkdirAll(at, 0o755)
	} else if _, err = os.Lstat(at); err != nil {
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(m.Outside, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	switch {
	case m.Device: // to be opened as one, so without NODEV
		return seal(at, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, false)
	case m.Write:
		return seal(at, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, true)
	}
	return seal(at, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY, true)
}

// seal adds attributes to a mount and, where all is set, to those below it.
func seal(at string, attributes uint64, all bool) error {
	flags := uint(0)
	if all {
		flags = unix.AT_RECURSIVE
	}
	err := unix.MountSetattr(unix.AT_FDCWD, at, flags, &unix.MountAttr{Attr_set: attributes})
	if errors.Is(err, unix.ENOSYS) {
		return errors.New("the kernel is older than 5.12, which can't show folders read-only; install bubblewrap")
	}
	return err
}

// proc mounts /proc of the new processes and forbids further namespaces. Where the
// system's own /proc has parts hidden, as in a container, the kernel allows none;
// then there is none.
func (o *orders) proc() (bool, error) {
	at := filepath.Join(o.Root, "proc")
	if err := os.Mkdir(at, 0o755); err != nil {
		return false, err
	}
	err := unix.Mount("proc", at, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if errors.Is(err, unix.EPERM) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("/proc: %w", err)
	}
	// One more is made for the program; it counts here, and is the last.
	for file, n := range map[string]string{"max_user_namespaces": "1", "max_mnt_namespaces": "1", "max_pid_namespaces": "1",
		"max_net_namespaces": "1", "max_ipc_namespaces": "1", "max_uts_namespaces": "1", "max_cgroup_namespaces": "0"} {
		err := os.WriteFile(filepath.Join(at, "sys/user", file), []byte(n), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("forbid namespaces: %w", err)
		}
	}
	return true, nil
}
