package packer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	formatsall "github.com/distropack/distropack/formats/all"

	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
	destall "github.com/distropack/distropack/publish/dest/all"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

// order is what the child is told: a Request with paths that it sees.
type order struct {
	Request
	Limit int64 // bytes of memory
}

// relayFD is where the child finds the relay.
const relayFD = 3

// maxOrder bounds the request, in bytes.
const maxOrder = 4 << 20

// Main is the child: it reads the request from standard input and makes the
// packages. What went wrong is told on standard output, and no error then; the error
// says that nothing could be told.
func Main(ctx context.Context) error {
	b, err := io.ReadAll(io.LimitReader(os.Stdin, maxOrder))
	if err != nil {
		return err
	}
	var q order
	if err := json.Unmarshal(b, &q); err != nil {
		return fmt.Errorf("the request can't be read: %w", err)
	}
	if q.Limit > 0 { // the kernel's limit ends the process: the collector had better know it
		debug.SetMemoryLimit(q.Limit / 4 * 3)
	}
	t := &teller{w: os.Stdout}
	res, err := pack(ctx, &q, t)
	if err != nil {
		return t.tell(line{Error: wired(err, 0)})
	}
	return t.tell(line{Result: res})
}

func pack(ctx context.Context, q *order, t *teller) (*Result, error) {
	ring, err := vault.Dial(relayFD)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(q.Tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	lookup := func(name string) (string, bool) {
		v, ok := q.Variables[name]
		return v, ok
	}
	env := pipeline.Env{
		Output: &printer{t: t}, Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Places: Blind(destall.Kinds()), Lookup: lookup,
		Open: func(string) (publish.Destination, error) { return blind{}, nil },
		Now:  q.Now, Keys: ring, Jobs: q.Jobs, Memory: q.Memory, Tool: q.Tool, Progress: t.event,
	}
	text, err := source.ReadFile(root.FS(), path.Clean(q.Config), maxOrder)
	if err != nil {
		return nil, err
	}
	project, err := config.Parse(path.Clean(q.Config), text, config.Options{Env: lookup, Formats: env.Formats, Clients: env.Repos, Places: env.Places})
	if err != nil {
		return nil, err
	}
	if err := Commands(project); err != nil {
		return nil, err
	}
	rep, err := pipeline.Run(ctx, env, pipeline.Job{
		Files: source.Folder(root), Dir: q.Tree, Config: q.Config, Release: q.Release, Repository: q.Repository, Only: q.Only,
		Out: q.Out, Assets: q.Assets, Stop: pipeline.Package, Resume: true,
	})
	if err != nil {
		return nil, err
	}
	return &Result{Artifacts: rep.Artifacts, Skipped: rep.Skipped, Warnings: rep.Warnings}, nil
}

// Commands refuses sources and versions that commands make: the App runs none.
func Commands(p *config.Project) error {
	var errs config.Errors
	add := func(pos config.Pos, at string) {
		errs = append(errs, &config.Error{File: p.File, Line: pos.Line, Col: pos.Col, Path: at, Err: errors.New("the App runs no commands"),
			Hint: "build in your workflow and let DistroPack take the release's assets (assets: PATTERN), or release with the action"})
	}
	for name, s := range p.Sources {
		if s.Command != "" {
			add(s.Pos, "sources."+name+".command")
		}
	}
	for name, x := range p.Versions {
		if x.Command != "" {
			add(x.Pos, "versions."+name+".command")
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// Blind are kinds of places by name and options only: to read a configuration where
// nothing is published.
func Blind(kinds []publish.DestinationKind) []publish.DestinationKind {
	out := make([]publish.DestinationKind, len(kinds))
	for i, k := range kinds {
		out[i] = publish.DestinationKind{Name: k.Name, Options: k.Options, New: func(formats.Section, publish.DestinationEnv) (publish.Destination, error) {
			return blind{}, nil
		}}
	}
	return out
}

// blind is a place that nothing is asked of.
type blind struct{}

var errBlind = errors.New("nothing is published here")

func (blind) Head(context.Context) (string, error) { return "", errBlind }

func (blind) Open(context.Context, string, string) (io.ReadCloser, error) { return nil, errBlind }

func (blind) Commit(context.Context, string, *publish.Change) (string, error) { return "", errBlind }

// teller writes lines; it may be used concurrently.
type teller struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *teller) tell(l line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err = t.w.Write(append(b, '\n'))
	return err
}

func (t *teller) event(e pipeline.Event) {
	out := &event{Step: e.Step, Name: filepath.Base(e.Name), Done: e.Done, Size: e.Size, N: e.N, M: e.M}
	if e.Err != nil {
		out.Error = clip(e.Err.Error())
	}
	t.tell(line{Event: out}) // nobody listens: the end will say so
}

// printer passes on whole lines of what is printed.
type printer struct {
	t  *teller
	mu sync.Mutex
	b  []byte
}

func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.b = append(p.b, b...)
	for {
		i := bytes.IndexByte(p.b, '\n')
		if i < 0 && len(p.b) < maxText {
			return len(b), nil
		}
		if i < 0 {
			i = len(p.b) - 1
		}
		text := strings.TrimRight(string(p.b[:i+1]), "\r\n")
		p.b = p.b[i+1:]
		if text != "" {
			p.t.tell(line{Line: text})
		}
	}
}
