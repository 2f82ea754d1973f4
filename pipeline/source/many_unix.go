//go:build unix

package source

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// many reads the files of one folder one after the other, with four system calls
// for each and nothing of Go's own around them. Use it from one goroutine.
type many struct {
	dir   *os.File
	space []byte // where contents are put
}

// openMany opens a folder; nil if it can't be read in this way.
func (f *folder) openMany(name string) *many {
	if !fs.ValidPath(name) {
		return nil
	}
	dir, err := f.root.Open(name)
	if err != nil {
		return nil
	}
	return &many{dir: dir}
}

func (m *many) close() { m.dir.Close() }

// read returns the content and mode of a regular file; ok is false where it is
// another thing, larger than limit, or can't be read: the general way then tells
// what is wrong.
func (m *many) read(base string, limit int64) (content []byte, mode fs.FileMode, ok bool) {
	fd, err := m.open(base)
	if err != nil {
		return nil, 0, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > limit {
		return nil, 0, false
	}
	size := int(st.Size)
	if len(m.space) < size+1 {
		m.space = make([]byte, max(256<<10, size+1))
	}
	n := 0
	for n <= size { // one byte more than there should be: a file that grows is noticed
		k, err := unix.Read(fd, m.space[n:size+1])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, 0, false
		}
		n += k
		if k == 0 || n == size {
			break
		}
	}
	if n != size {
		return nil, 0, false
	}
	content, m.space = m.space[:size:size], m.space[size:]
	return content, fs.FileMode(st.Mode & 0o777), true
}

func (m *many) open(base string) (int, error) {
	for {
		// Links are followed within the root only, which this can't tell; a pipe
		// must not be waited for.
		fd, err := unix.Openat(int(m.dir.Fd()), base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// readDir lists a folder without looking at each of its files, as os.Root does.
func (f *folder) readDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	plain := os.NewFile(uintptr(fd), name)
	defer plain.Close()
	list, err := plain.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	for i, e := range list {
		list[i] = entry{e, f, name}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}
