package sandbox

import "golang.org/x/sys/unix"

const (
	machine = unix.AUDIT_ARCH_AARCH64
	tooHigh = 0x40000000
)

var refusedHere []uint32
