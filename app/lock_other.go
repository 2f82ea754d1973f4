//go:build !unix

package app

import (
	"errors"
	"os"
)

func tryLock(*os.File) error {
	return errors.New("the App runs on Linux only")
}
