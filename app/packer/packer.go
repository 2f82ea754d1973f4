// Package packer makes the packages of a release in a child process that has
// nothing to steal: an empty environment, no network, no key, and of the disk only
// the project's files, the release's assets and a folder for the packages.
//
// The server calls Run; the child is the same program with a hidden command that
// calls Main. The request goes to the child's standard input as JSON; what the child
// says comes back on its standard output, one JSON object a line. What has to be
// signed goes through file descriptor 3 to a relay in the server, which knows the
// keys of this release's repository only and names no other (vault.Relay).
//
// Nothing that the child says is believed: the packages it leaves are read again by
// whoever publishes them (pipeline.Job.Packed).
package packer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
)

// Command is the hidden command whose main is Main.
const Command = "app-packer"

// Request says what to package. Paths are those of this machine; the child sees
// others.
type Request struct {
	Tree   string // the project's files
	Assets string // the release's assets; "" if there are none
	Out    string // the folder for packages and their journal

	Config     string // below Tree
	Release    pipeline.Release
	Repository string // owner/name
	Only       plan.Filter
	Tool       string
	Variables  map[string]string // of the configuration: nothing secret
	Now        time.Time
	Jobs       int   // packages at once; 0: the number of CPUs
	Memory     int64 // bytes that packages being made may take; 0: pipeline's
}

// Options say how the child is run. Zero fields of Limits have defaults.
type Options struct {
	Exe    string   // the program; "" is this one
	Args   []string // nil: Command
	Kind   string   // of sandbox; "" asks sandbox.Probe
	Temp   string   // for /tmp of the child; "" means the system's
	Limits sandbox.Limits
	Names  []string // keys whose public halves the child sees; nil: plan.PackageKey
}

// Result is what the child says that it made.
type Result struct {
	Artifacts []*pipeline.Artifact `json:"artifacts"` // Path is of this machine
	Skipped   []string             `json:"skipped,omitempty"`
	Warnings  []string             `json:"warnings,omitempty"`
}

// Progress is what happens while packages are made. Both may be nil; they are called
// one at a time.
type Progress struct {
	Event func(pipeline.Event) // Err has a text only
	Line  func(string)         // of what the child prints
}

// line is what the child says.
type line struct {
	Event  *event  `json:"event,omitempty"`
	Line   string  `json:"line,omitempty"`
	Result *Result `json:"result,omitempty"`
	Error  *wire   `json:"error,omitempty"`
}

type event struct {
	Step  string `json:"step"`
	Name  string `json:"name"`
	Done  bool   `json:"done,omitempty"`
	Size  int64  `json:"size,omitempty"`
	Error string `json:"error,omitempty"`
	N     int    `json:"n"`
	M     int    `json:"m"`
}

// The paths that the child sees.
const (
	insideTree   = "/project"
	insideAssets = "/assets"
	insideOut    = "/out"
)

// defaults bound a release that says nothing else.
var defaults = sandbox.Limits{Memory: 2 << 30, Processes: 512, FileSize: 4 << 30, OutBytes: 16 << 30, CPU: time.Hour, Deadline: 30 * time.Minute}

func (o *Options) limits() sandbox.Limits {
	l := o.Limits
	l.Memory = cmp.Or(l.Memory, defaults.Memory)
	l.Processes = cmp.Or(l.Processes, defaults.Processes)
	l.FileSize = cmp.Or(l.FileSize, defaults.FileSize)
	l.OutBytes = cmp.Or(l.OutBytes, defaults.OutBytes)
	l.CPU = cmp.Or(l.CPU, defaults.CPU)
	l.Deadline = cmp.Or(l.Deadline, defaults.Deadline)
	return l
}

// maxLine bounds one line of the child, in bytes.
const maxLine = 4 << 20

// Run makes the packages in a child and waits for it. What the child found wrong is
// an error in which errors.As finds config.Errors with their lines; where it met a
// limit the error is a *sandbox.Error. ring signs, by plan.PackageKey alone.
func Run(ctx context.Context, o Options, q Request, ring pipeline.Keyring, p Progress) (*Result, error) {
	exe := o.Exe
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	kind := o.Kind
	if kind == "" {
		var err error
		if kind, err = sandbox.Probe(ctx); err != nil {
			return nil, err
		}
	}
	spec := sandbox.Spec{Kind: kind, Exe: exe, Args: o.Args, Temp: o.Temp, Limits: o.limits(), ReadOnly: map[string]string{}, ReadWrite: map[string]string{}}
	if spec.Args == nil {
		spec.Args = []string{Command}
	}
	inside, outside := q, q.Out
	show := func(m map[string]string, path *string, as string) {
		if *path == "" {
			return
		}
		if kind == sandbox.None { // it sees what the server sees
			as = *path
		}
		m[as] = *path
		*path = as
	}
	show(spec.ReadOnly, &inside.Tree, insideTree)
	show(spec.ReadOnly, &inside.Assets, insideAssets)
	show(spec.ReadWrite, &inside.Out, insideOut)
	inside.Variables = maps.Clone(q.Variables)
	ask, err := json.Marshal(order{inside, spec.Limits.Memory})
	if err != nil {
		return nil, err
	}
	conn, theirs, err := vault.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	spec.Files, spec.Stdin = []*os.File{theirs}, bytes.NewReader(ask)

	relayed, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		defer conn.Close()
		vault.Relay(relayed, conn, ring, vault.RelayOptions{Names: o.Names}) // fails where the child broke off: its own error says more
	})
	out, in := io.Pipe()
	said := &said{Progress: p}
	all.Go(func() { out.CloseWithError(said.read(out)) })
	stderr := &tail{}
	spec.Stdout, spec.Stderr = in, stderr
	err = sandbox.Run(ctx, spec)
	in.Close()
	stop()
	all.Wait()

	var box *sandbox.Error
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case errors.As(err, &box) && box.Reason != sandbox.Exit:
		return nil, fmt.Errorf("the packages can't be made: %w", err)
	case said.err != nil:
		return nil, said.err
	case err != nil:
		return nil, fmt.Errorf("the packages can't be made: %w%s", err, stderr.text())
	case said.result == nil:
		return nil, fmt.Errorf("the packages can't be made: the packer ended without a word%s", stderr.text())
	}
	for _, a := range said.result.Artifacts {
		if rest, ok := strings.CutPrefix(a.Path, inside.Out+"/"); ok {
			a.Path = outside + "/" + rest
		}
	}
	return said.result, nil
}

// said is what the child said so far.
type said struct {
	Progress
	result *Result
	err    error
}

func (s *said) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("the packer says what is no JSON: %w", err)
		}
		switch {
		case l.Event != nil && s.Event != nil:
			e := pipeline.Event{Step: l.Event.Step, Name: l.Event.Name, Done: l.Event.Done, Size: l.Event.Size, N: l.Event.N, M: l.Event.M}
			if l.Event.Error != "" {
				e.Err = errors.New(l.Event.Error)
			}
			s.Event(e)
		case l.Line != "" && s.Line != nil:
			s.Line(l.Line)
		case l.Result != nil:
			s.result = l.Result
		case l.Error != nil:
			s.err = l.Error.error(0)
		}
	}
	return lines.Err()
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	if extra := len(t.b) - tailSize; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(b), nil
}

func (t *tail) text() string {
	if text := strings.TrimSpace(strings.ToValidUTF8(string(t.b), "")); text != "" {
		return "; it printed: " + text
	}
	return ""
}
