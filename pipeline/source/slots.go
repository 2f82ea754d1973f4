package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

// Release is what slots may depend on.
type Release struct {
	Version, Tag, Commit string
	Time                 int64 // Unix time, for SOURCE_DATE_EPOCH
}

// Slots fills the slots of a project, each once per platform. It may be used
// concurrently.
type Slots struct {
	Project  *Tree
	Sources  map[string]config.Source
	File     string // of the configuration, for errors
	Release  Release
	Dir      string     // the project's folder on disk, for commands; "" forbids them
	Environ  []string   // of commands
	Assets   string     // a folder with the assets of the release; "" if there is none
	Work     string     // a folder for what commands write
	Log      io.Writer  // what commands print, as they print it; nil drops
	Logs     string     // a folder for a log per command and platform; "" keeps none
	Building sync.Mutex // commands run one after the other: they share the project's folder

	mu   sync.Mutex
	done map[string]*filled
}

type filled struct {
	once sync.Once
	tree *Tree
	err  error
}

// ErrMissing says that a slot that is needed is empty.
var ErrMissing = errors.New("the slot is empty")

// Open returns the files of a slot for a platform.
func (s *Slots) Open(ctx context.Context, name string, p formats.Platform) (*Tree, error) {
	src, ok := s.Sources[name]
	if !ok {
		return nil, fmt.Errorf("there is no slot %q below sources", name)
	}
	s.mu.Lock()
	key := name + " " + p.String()
	f := s.done[key]
	if f == nil {
		f = new(filled)
		if s.done == nil {
			s.done = make(map[string]*filled)
		}
		s.done[key] = f
	}
	s.mu.Unlock()
	f.once.Do(func() {
		f.tree, f.err = s.fill(ctx, name, src, p)
		if f.err != nil {
			f.err = &config.Error{File: s.File, Line: src.Pos.Line, Col: src.Pos.Col, Path: "sources." + name, Err: fmt.Errorf("for %s: %w", p, f.err), Hint: hint(src)}
		}
	})
	return f.tree, f.err
}

func hint(src config.Source) string {
	switch {
	case src.Files != "":
		return "build first, so that the folder is there, or correct its path"
	case src.Assets != "":
		return "give the folder with the assets: --assets DIR"
	case src.GoReleaser != "":
		return "run goreleaser first"
	}
	return ""
}

func (s *Slots) fill(ctx context.Context, name string, src config.Source, p formats.Platform) (*Tree, error) {
	values := Values(p, s.Release.Version, s.Release.Tag)
	title := "slot " + name
	var t *Tree
	var err error
	switch {
	case src.Files != "":
		var dir string
		if dir, err = Expand(src.Files, values); err == nil {
			t, err = sub(s.Project, dir, title)
		}
	case src.Assets != "":
		var pattern string
		if pattern, err = Expand(src.Assets, values); err == nil {
			t, err = s.assets(pattern, title)
		}
	case src.GoReleaser != "":
		t, err = s.goreleaser(src.GoReleaser, p, title)
	case src.Command != "":
		t, err = s.command(ctx, name, src.Command, p, title)
	case src.PackageDir != "":
		t, err = sub(s.Project, src.PackageDir, title)
	default:
		return nil, errors.New("the slot names no source")
	}
	if errors.Is(err, fs.ErrNotExist) {
		if src.Optional {
			return &Tree{FS: empty{}, Name: title}, nil
		}
		err = fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return t, err
}

// empty is a folder without files.
type empty struct{}

func (empty) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// command runs a shell command of the project. It gets no secret: the environment
// is the one of the process without what looks like a key (the caller cleans it),
// plus the platform, the version and $OUT.
func (s *Slots) command(ctx context.Context, name, command string, p formats.Platform, title string) (*Tree, error) {
	if s.Dir == "" {
		return nil, errors.New("commands are not run here: build before, and take the files by a source of the kind files or assets")
	}
	out := filepath.Join(s.Work, "slot-"+name+"-"+strings.ReplaceAll(p.String(), "/", "_"))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	s.Building.Lock()
	defer s.Building.Unlock()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir = s.Dir
	cmd.Env = append(Environment(s.Environ), "GOOS="+p.OS, "GOARCH="+p.Arch, "GOARM="+strings.TrimPrefix(p.Variant, "v"), "PLATFORM="+p.String(),
		"VERSION="+s.Release.Version, "TAG="+s.Release.Tag, "COMMIT="+s.Release.Commit, "OUT="+out, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", s.Release.Time))
	if p.Arch == "all" { // a command for every CPU runs as on this machine
		cmd.Env = append(cmd.Env, "GOOS=", "GOARCH=")
	}
	log := s.Log
	where := ""
	if s.Logs != "" {
		where = filepath.Join(s.Logs, name+"-"+strings.ReplaceAll(p.String(), "/", "_")+".log")
		f, err := s.openLog(where)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		log = f
		if s.Log != nil {
			log = io.MultiWriter(f, s.Log)
		}
		where = " (all of it: " + where + ")"
	}
	if err := Run(cmd, log); err != nil {
		return nil, fmt.Errorf("command %q%s: %w", command, where, err)
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return nil, err
	}
	return &Tree{FS: Folder(root), Name: title, Limit: s.Project.Limit}, nil
}

func (s *Slots) openLog(name string) (*os.File, error) {
	if err := os.MkdirAll(s.Logs, 0o755); err != nil {
		return nil, err
	}
	return os.Create(name)
}

// Environment returns env without the variables that hold DistroPack's keys and
// the tokens of the usual CI systems: what builds needs none of them.
func Environment(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "DISTROPACK_") || name == "GITHUB_TOKEN" || name == "GH_TOKEN" || strings.HasSuffix(name, "_PASSPHRASE") ||
			strings.HasPrefix(name, "AWS_SECRET") || strings.HasPrefix(name, "AWS_SESSION") || name == "ACTIONS_ID_TOKEN_REQUEST_TOKEN" || name == "ACTIONS_RUNTIME_TOKEN" {
			continue
		}
		out = append(out, kv)
	}
	return out
}

// Run runs cmd in a process group of its own, so that all of it ends with the
// context. What it prints goes to log; the last lines are part of the error. Where
// cmd.Stdout is set, standard output goes there instead.
func Run(cmd *exec.Cmd, log io.Writer) error {
	tail := &lastLines{max: 4 << 10}
	var w io.Writer = tail
	if log != nil {
		w = io.MultiWriter(log, tail)
	}
	cmd.Stderr = w
	if cmd.Stdout == nil {
		cmd.Stdout = w
	} else {
		cmd.Stdout = io.MultiWriter(cmd.Stdout, tail)
	}
	ownGroup(cmd)
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(tail.String()); text != "" {
			return fmt.Errorf("%w; it said:\n%s", err, text)
		}
		return err
	}
	return nil
}

// lastLines keeps the end of what is written.
type lastLines struct {
	max int
	b   []byte
}

func (l *lastLines) Write(b []byte) (int, error) {
	l.b = append(l.b, b...)
	if n := len(l.b) - l.max; n > 0 {
		l.b = append(l.b[:0], l.b[n:]...)
	}
	return len(b), nil
}

func (l *lastLines) String() string {
	lines := strings.Split(strings.TrimRight(string(l.b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

const maxList = 64 << 20

// goreleaser takes the binaries of a platform from dist/artifacts.json.
func (s *Slots) goreleaser(name string, p formats.Platform, title string) (*Tree, error) {
	b, err := ReadFile(s.Project.FS, path.Clean(name), maxList)
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name, Path, Goos, Goarch, Goarm, Type string
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	files := make(map[string]string)
	for _, a := range list {
		if a.Type != "Binary" && a.Type != "Universal Binary" || a.Goos != p.OS || p.Arch != "all" && a.Goarch != p.Arch && a.Goarch != "all" {
			continue
		}
		if p.Variant != "" && a.Goarm != strings.TrimPrefix(p.Variant, "v") {
			continue
		}
		at := path.Clean(a.Path)
		if !fs.ValidPath(at) {
			return nil, fmt.Errorf("%s: path %q is not inside the project", name, a.Path)
		}
		files[path.Base(a.Name)] = at
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s lists no binary for %s: %w", name, p, fs.ErrNotExist)
	}
	return &Tree{FS: renamed{s.Project.FS, files}, Name: title, Limit: s.Project.Limit}, nil
}

// renamed is a folder whose files lie elsewhere in another tree.
type renamed struct {
	fsys  fs.FS
	files map[string]string
}

func (r renamed) Open(name string) (fs.File, error) {
	if at, ok := r.files[name]; ok {
		return r.fsys.Open(at)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
