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

// Sub implements fs.SubFS: files below name are read as fast.
func (f *folder) Sub(name string) (fs.FS, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "sub", Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return f, nil
	}
	below, err := fs.Sub(struct{ fs.FS }{f}, name)
	if err != nil {
		return nil, err
	}
	return &subFolder{below, f, name}, nil
}

// subFolder is a folder of a folder. Links in it may lead anywhere in the root.
type subFolder struct {
	fs.FS
	top  *folder
	name string
}

// manyFS is a file system of which the files of one folder can be read together.
type manyFS interface{ openMany(dir string) *many }

func (s *subFolder) openMany(dir string) *many {
	if !fs.ValidPath(dir) {
		return nil
	}
	return s.top.openMany(path.Join(s.name, dir))
}

func (s *subFolder) ReadDir(dir string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(dir) {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrInvalid}
	}
	return s.top.ReadDir(path.Join(s.name, dir))
}

func (s *subFolder) Lstat(name string) (fs.FileInfo, error) { return s.top.Lstat(s.at(name)) }
func (s *subFolder) Stat(name string) (fs.FileInfo, error)  { return s.top.Stat(s.at(name)) }
func (s *subFolder) ReadLink(name string) (string, error)   { return s.top.ReadLink(s.at(name)) }

// at is a name from the top; one that is not valid stays so.
func (s *subFolder) at(name string) string {
	if !fs.ValidPath(name) {
		return name
	}
	return path.Join(s.name, name)
}

// ReadDir implements fs.ReadDirFS.
func (f *folder) ReadDir(name string) ([]fs.DirEntry, error) { return f.readDir(name) }

// entry is what a folder lists; what is more than its name and kind is asked of
// the root.
type entry struct {
	fs.DirEntry
	f   *folder
	dir string
}

func (e entry) Info() (fs.FileInfo, error) { return e.f.Lstat(path.Join(e.dir, e.Name())) }

// The rest is the root's.
func (f *folder) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(f.files, name) }
func (f *folder) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(f.files, name) }
func (f *folder) ReadLink(name string) (string, error)   { return fs.ReadLink(f.files, name) }
