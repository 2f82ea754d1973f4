//go:build unix

package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate refuses a file that others may read or own.
func checkPrivate(st fs.FileInfo) error {
	if !st.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its mode is %04o, so others can read it: chmod 600 it, and take a new identity if they may have", mode)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to %d, who runs this", sys.Uid, os.Geteuid())
	}
	return nil
}
