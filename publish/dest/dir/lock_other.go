//go:build !unix

package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lock waits for the lock up to a minute. A process that was killed leaves it
// behind; the error says which file to remove.
func lock(name string) (unlock func(), err error) {
	for range 600 {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			f.Close()
			return func() { os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s is there for a minute: if no other publish runs, remove it", name)
}
