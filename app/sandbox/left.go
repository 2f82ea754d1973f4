package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// checkLeft refuses what a program left besides files and folders. A link would
// have the server read its own files when it takes over what was made.
func checkLeft(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return failed(Left, "%s: what was left there can't be read: %v", dir, err)
		}
		rel, _ := filepath.Rel(dir, name)
		info, err := d.Info()
		switch {
		case err != nil:
			return failed(Left, "%s: what was left there can't be read: %v", dir, err)
		case !d.IsDir() && !info.Mode().IsRegular():
			return failed(Left, "%q was left, which is %s: only files and folders are taken", rel, kindOf(info.Mode()))
		case info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 && !d.IsDir():
			return failed(Left, "%q was left with the set-user or set-group bit", rel)
		case !d.IsDir() && links(info) > 1:
			return failed(Left, "%q was left with a second name: only files and folders are taken", rel)
		}
		return nil
	})
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "no file"
}

// used sums what is below dir. What can't be counted is an error: a path longer
// than the system reads, a folder that its owner closed.
func used(dir string, most int64) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if name != dir {
			sum += max(blocks(info), info.Size(), 4<<10) // a hole counts: who reads the file reads it
		}
		if most > 0 && sum > most {
			return fs.SkipAll
		}
		return nil
	})
	return sum, err
}
