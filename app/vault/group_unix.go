//go:build unix

package vault

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's signals from the signer: the server says when it
// ends.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
