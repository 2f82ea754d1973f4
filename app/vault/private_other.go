//go:build !unix

package vault

import (
	"errors"
	"io/fs"
)

// checkPrivate can't ask who may read a file here.
func checkPrivate(st fs.FileInfo) error {
	if !st.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	return nil
}
