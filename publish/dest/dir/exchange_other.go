//go:build !linux

package dir

import (
	"errors"
	"io/fs"
	"os"
)

// exchange only knows how to put a directory where none is.
func exchange(a, b string) error {
	if _, err := os.Lstat(b); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(a, b)
	}
	return errors.ErrUnsupported
}

func isMountPoint(error) bool { return false }

// syncTree is not known here: each file is waited for.
func syncTree(string) error { return errors.ErrUnsupported }
