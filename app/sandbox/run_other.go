//go:build !linux

package sandbox

import (
	"context"
	"errors"
)

func run(context.Context, Spec) error {
	return errors.New("there are sandboxes on Linux only; run the App there")
}

func stage(string, string, string) int { return 1 }

func advice() string { return "Run the App on Linux." }
