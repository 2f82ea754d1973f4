package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	server "github.com/distropack/distropack/app"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/vault"
)

// appChild is what the App starts of this program: its signer and its packers. is is
// false for the command line of a person, who has no use for these.
func appChild(args []string) (code int, is bool) {
	if len(args) == 0 {
		return 0, false
	}
	var err error
	switch args[0] {
	case server.SignerCommand:
		if len(args) != 2 {
			return exitUsage, true
		}
		// Whoever ends the server by its group, or its service, must not end the signer
		// first: it ends with the server's connection.
		signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		err = vault.RunSigner(context.Background(), args[1])
	case packer.Command:
		err = packer.Main(context.Background())
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed, true
	}
	return exitOK, true
}
