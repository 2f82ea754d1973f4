//go:build !unix

package source

import "io/fs"

// many needs openat(2).
type many struct{}

func (f *folder) openMany(string) *many                        { return nil }
func (m *many) close()                                         {}
func (m *many) read(string, int64) ([]byte, fs.FileMode, bool) { return nil, 0, false }
func (f *folder) readDir(name string) ([]fs.DirEntry, error)   { return fs.ReadDir(f.files, name) }
