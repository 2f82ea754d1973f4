package source

import (
	"io/fs"
	"os"
	"path"
	"sync"
)

// Folder returns the files of a root as root.FS does, but opens those that lie in
// one folder faster: os.Root walks to each from the top, one folder at a time, so
// the folder of the last one is kept open.
func Folder(root *os.Root) fs.FS { return &folder{root: root, files: root.FS()} }

type folder struct {
	root  *os.Root
	files fs.FS

	mu   sync.Mutex
	name string   // of last; "" where there is none
	last *os.Root // the folder of the last file
}

func (f *folder) Open(name string) (fs.File, error) {
	if file := f.quick(name); file != nil {
		return file, nil
	}
	return f.files.Open(name)
}

// quick opens a file from its folder; nil if it can't, for whatever reason: a
// link to a file in another folder of the root is one.
func (f *folder) quick(name string) fs.File {
	dir, base := path.Split(name)
	if dir == "" || !fs.ValidPath(name) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if dir != f.name {
		sub, err := f.root.OpenRoot(dir)
		if err != nil {
			return nil
		}
		if f.last != nil {
			f.last.Close()
		}
		f.name, f.last = dir, sub
	}
	file, err := f.last.Open(base)
	if err != nil {
		return nil
	}
	return file
}

// The rest is the root's.
func (f *folder) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.files, name) }
func (f *folder) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(f.files, name) }
func (f *folder) Lstat(name string) (fs.FileInfo, error)     { return fs.Lstat(f.files, name) }
func (f *folder) ReadLink(name string) (string, error)       { return fs.ReadLink(f.files, name) }
