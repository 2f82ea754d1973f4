package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lock keeps a second server away from what the first one has. The file stays; the
// kernel lets go of it when the process ends, however that is.
type lock struct{ file *os.File }

// errLocked means that another process has it.
var errLocked = errors.New("locked")

// lockFolder is for the data folder of a server.
func lockFolder(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return lockFile(filepath.Join(dir, "lock"), dir)
}

// lockFile locks a file for what, in words.
func lockFile(name, what string) (*lock, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = tryLock(f)
	if errors.Is(err, errLocked) {
		who := ""
		if b, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(b) > 0 {
			who = " (process " + strings.TrimSpace(string(b)) + ")"
		}
		f.Close()
		return nil, mistake("another server uses %s already%s: stop it first, or give this one a folder of its own; several servers work together on Postgres only", what, who)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintln(f, os.Getpid()) // for the message above alone
	}
	return &lock{f}, nil
}

func (l *lock) close() error { return l.file.Close() }

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
