package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lockFile takes a lock by making its file, for systems without flock(2): so many
// tries, a pause after each. A process that was killed leaves the file behind; the
// error names it.
func lockFile(name string, tries int, pause time.Duration) (unlock func(), err error) {
	for range tries {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			f.Close()
			return func() { os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		time.Sleep(pause)
	}
	return nil, fmt.Errorf("%s was there for %s: if no other publish runs, remove it", name, time.Duration(tries)*pause)
}
