//go:build !unix

package sandbox

import "io/fs"

func blocks(info fs.FileInfo) int64 { return info.Size() }
func links(fs.FileInfo) uint64      { return 1 }
