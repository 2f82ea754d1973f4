package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// program reaches a repository of this machine through the git that is installed.
type program struct{ path string }

func (p *program) close() error    { return nil }
func (p *program) stateless() bool { return false }

func (p *program) begin(ctx context.Context, service string, w *watch) (talk, error) {
	cmd := exec.CommandContext(ctx, "git", strings.TrimPrefix(service, "git-"), p.path)
	// Hooks of the repository run as children: they get no secrets.
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(v string) bool { return !harmless(v) })
	cmd.Env = append(cmd.Env, "GIT_PROTOCOL=version=2", "LC_ALL=C")
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &stream{ctx: ctx, in: newPackets(w.reader(out)), out: w.writer(pipeWriter{in}), said: &bounded{}, here: true, stop: func() bool { return true }}
	cmd.Stderr = s.said
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("git is not installed, and a repository on this machine needs it")
		}
		return nil, fmt.Errorf("git: %w", err)
	}
	s.wait = func() error {
		// What is still to come would block the program.
		out.Close()
		return cmd.Wait()
	}
	return s, nil
}

// harmless tells whether a program that is not ours may see a variable.
func harmless(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	switch strings.ToUpper(name) {
	case "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "XDG_CONFIG_HOME", "GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM":
		return true
	}
	return false
}
