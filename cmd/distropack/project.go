package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
	destall "github.com/distropack/distropack/publish/dest/all"
	"github.com/distropack/distropack/publish/dest/dir"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

// project is the folder a command works on.
type project struct {
	dir  string // absolute
	root *os.Root
	vars map[string]string // of .env
}

func (a *app) open() (*project, error) {
	if !fs.ValidPath(path.Clean(filepath.ToSlash(a.config))) {
		return nil, usagef("--config %s: want a path below the project's folder; -C names that one", a.config)
	}
	abs, err := filepath.Abs(a.dir)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(abs); err != nil || !st.IsDir() {
		return nil, usagef("%s is not a folder", a.dir)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, &usageError{err}
	}
	p := &project{dir: abs, root: root}
	if p.vars, err = readDotEnv(root.FS()); err != nil {
		return nil, &usageError{err}
	}
	return p, nil
}

// inside makes the path of a package directory one in the project's folder.
func (p *project) inside(dir string) (string, error) {
	rel := dir
	if filepath.IsAbs(dir) {
		var err error
		if rel, err = filepath.Rel(p.dir, dir); err != nil {
			return "", &usageError{err}
		}
	}
	if rel = path.Clean(filepath.ToSlash(rel)); !fs.ValidPath(rel) {
		return "", usagef("%s is not below %s: name the folder that it lies in with -C", dir, p.dir)
	}
	return rel, nil
}

// keyIsThere tells a mistyped file from a key that is no key. Keys themselves are
// longer than file names, and never shown.
func keyIsThere(key string) error {
	if key == "" || len(key) > 255 || strings.Contains(key, "\n") {
		return nil
	}
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		return usagef("--key %s: there is no such file", key)
	}
	return nil
}

// readDotEnv reads NAME=value lines; quotes around a value are cut off.
func readDotEnv(fsys fs.FS) (map[string]string, error) {
	if st, err := fs.Stat(fsys, ".env"); err == nil && !st.Mode().IsRegular() {
		return nil, nil // a folder of that name, as virtualenv makes it
	}
	b, err := fs.ReadFile(fsys, ".env")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	vars := make(map[string]string)
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !found {
			return nil, fmt.Errorf(".env:%d: want NAME=value", i+1)
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		vars[strings.TrimSpace(name)] = value
	}
	return vars, nil
}

// variable looks a name up for the configuration: the environment, then .env.
func (a *app) variable(p *project) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := a.lookup(name); ok {
			return v, true
		}
		v, ok := p.vars[name]
		return v, ok
	}
}

// pipelineEnv is the world a run sees.
func (a *app) pipelineEnv(p *project, o *releaseFlags) pipeline.Env {
	lookup := a.variable(p)
	env := pipeline.Env{
		Log: a.log(), Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Environ: a.environ, Lookup: lookup,
		Open: func(d string) (publish.Destination, error) {
			return dir.Open(d, dir.Options{Say: func(s string) { fmt.Fprintln(a.err, s) }})
		},
		Now: a.now, Clock: a.clock(), Commands: true, Jobs: o.jobs, Progress: a.progress(), Tool: "distropack " + version(),
		Places: destall.Kinds(), Pause: a.waiter(), Wait: sleep,
	}
	if v, ok := lookup("DISTROPACK_KEY"); ok {
		env.Key = keys.NewSecret(v)
	}
	if v, ok := lookup("DISTROPACK_PASSPHRASE"); ok {
		env.Pass = keys.NewSecret(v)
	}
	if o.key != "" {
		env.Key = keys.NewSecret(o.key)
	}
	if a.verbose {
		env.Output = a.err
	}
	return env
}

// pause waits a while before a change is made again that another publish was
// faster than: twice as long each time, since so many others may be at it.
func pause(ctx context.Context, n int) error {
	return sleep(ctx, rand.N(min(time.Second<<min(n, 10), 30*time.Second)))
}

// clock goes on from when the command began.
func (a *app) clock() func() time.Time {
	began := time.Now()
	return func() time.Time { return a.now.Add(time.Since(began)) }
}

func (a *app) waiter() func(context.Context, int) error {
	if a.pause != nil {
		return a.pause
	}
	return pause
}

func (a *app) log() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// committed fills in what the commit says that is checked out.
func (a *app) committed(ctx context.Context, co *worktree, p *project, o *releaseFlags, rel *pipeline.Release) error {
	head, err := co.head()
	if err != nil || head.IsZero() {
		return err
	}
	switch {
	case o.tag != "":
		commit, err := co.tag(o.tag)
		if err != nil {
			return err
		}
		if commit != head {
			return usagef("tag %s is commit %.12s, but the folder has %.12s: check the tag out first", o.tag, commit, head)
		}
	case o.version == "" && o.channel == "":
		tags, err := co.tagsAt(head)
		if err != nil {
			return err
		}
		if len(tags) > 0 {
			rel.Tag = tags[0]
		}
	}
	rel.Commit = head.String()
	if rel.Time, err = co.time(head); err != nil {
		return err
	}
	// go-git's own status reads every file; git's looks at times.
	status := exec.CommandContext(ctx, "git", "-C", p.dir, "status", "--porcelain", "--untracked-files=no")
	if dirty, err := status.Output(); err == nil && len(dirty) > 0 && !a.quiet && o.out != "" {
		fmt.Fprintln(a.err, "distropack: the folder has changes that are not committed; they are part of the packages")
	}
	return nil
}

// releaseFlags are those of every command that makes a release, or says what it
// would be.
type releaseFlags struct {
	tag, version, channel, site string
	packages, formats           []string
	platforms                   []string
	out, assets, key            string
	jobs                        int
	failFast, unsigned, resume  bool
	allowOlder, replace, dryRun bool
}

// job fills in what git knows: the tag of the commit, the commit and its time.
func (a *app) job(ctx context.Context, p *project, o *releaseFlags, dirs []string) (pipeline.Job, error) {
	j := pipeline.Job{
		Files: source.Folder(p.root), Dir: p.dir, Config: filepath.ToSlash(a.config), PackageDirs: dirs, Out: o.out, Site: o.site, Assets: o.assets,
		FailFast: o.failFast, Unsigned: o.unsigned, AllowOlder: o.allowOlder, Replace: o.replace, DryRun: o.dryRun, SiteDirs: p.dir, Resume: o.resume,
	}
	if !filepath.IsAbs(j.Out) {
		j.Out = filepath.Join(p.dir, j.Out)
	}
	var err error
	if j.Only, err = o.filter(); err != nil {
		return j, err
	}
	co, err := openCheckout(p.dir)
	if err != nil {
		return j, err
	}
	if co != nil {
		j.Repository = co.origin()
	}
	j.Release, err = a.release(ctx, co, p, o)
	return j, err
}

func (a *app) release(ctx context.Context, co *worktree, p *project, o *releaseFlags) (pipeline.Release, error) {
	rel := pipeline.Release{Tag: o.tag, Version: strings.TrimPrefix(o.version, "v"), Channel: o.channel}
	if co != nil {
		if err := a.committed(ctx, co, p, o, &rel); err != nil {
			return rel, err
		}
	}
	if epoch := a.env("SOURCE_DATE_EPOCH"); epoch != "" {
		n, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || n < 0 {
			return rel, usagef("SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
		}
		rel.Time = time.Unix(n, 0).UTC()
	}
	if rel.Time.IsZero() { // not in git: the configuration is what is released
		rel.Time = a.now
		if st, err := fs.Stat(p.root.FS(), filepath.ToSlash(filepath.Clean(a.config))); err == nil {
			rel.Time = st.ModTime().UTC().Truncate(time.Second)
		}
	}
	return rel, nil
}
