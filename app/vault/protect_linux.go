package vault

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Protect keeps others of the same user from reading this process: no core file,
// no ptrace, no /proc/PID/mem and environ, no new rights by what it might start,
// and no stacks in what a crash prints. Memory may still be swapped out: Go can't
// lock its heap within the usual limit, so swap should be encrypted or off.
func Protect() error {
	debug.SetTraceback("none")
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("the signer can't forbid core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("the signer can't forbid that it is read: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("the signer can't give up rights: %w", err)
	}
	return nil
}
