package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/publish"
)

// TestMain makes the test binary the program itself when it is called by the
// program's name, so that tests can run the real thing in processes of its own.
func TestMain(m *testing.M) {
	sandbox.Main()
	if code, is := appChild(os.Args[1:]); is { // of a server, which knows this file by its own name
		os.Exit(code)
	}
	if filepath.Base(os.Args[0]) == "distropack" {
		os.Exit(run())
	}
	code := m.Run()
	removeDebianRoots()
	os.Exit(code)
}

// program returns the path of the program: this test binary under its name.
func program(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "distropack")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestExitCodesAreThoseThatAreDocumented(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("disk full"), exitFailed},
		{usagef("bad flag"), exitUsage},
		{fmt.Errorf("plan: %w", pipeline.ErrUsage), exitUsage},
		{fmt.Errorf("x: %w", config.Errors{{Err: errors.New("bad")}}), exitUsage},
		{errors.Join(errors.New("other"), &config.Error{Err: errors.New("bad")}), exitUsage},
		{fmt.Errorf("publish to public: %w", publish.ErrConflict), exitConflict},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exitCode(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}
