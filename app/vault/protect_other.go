//go:build !linux

package vault

import "runtime/debug"

// Protect keeps stacks out of what a crash prints. Linux can do more.
func Protect() error {
	debug.SetTraceback("none")
	return nil
}
