//go:build !unix

package dir

import "time"

// lock waits for the lock up to a minute.
func lock(name string) (unlock func(), err error) { return lockFile(name, 600, 100*time.Millisecond) }
