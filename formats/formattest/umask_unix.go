//go:build unix

package formattest

import "syscall"

func setUmask(mask int) int { return syscall.Umask(mask) }
