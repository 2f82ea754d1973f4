package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
)

// pull is what a job about a pull request is given.
type pull struct {
	Repository int64  `json:"repository"`
	Number     int    `json:"number"`
	Commit     string `json:"commit"`
	External   string `json:"external"`
}

// planLater adds a job that says what a release of a pull request would do. again
// tells jobs about the same commit apart.
func (s *Releases) planLater(ctx context.Context, repository, installation int64, number int, commit, again string) error {
	p := pull{repository, number, commit, fmt.Sprintf("plan:%d:%d:%s%s", repository, number, commit, again)}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.Engine.Enqueue(ctx, kindPlan, p.External, strconv.FormatInt(installation, 10), b)
}

// planJob says on a pull request that touches distropack.yml what a release would do.
// The pull request may be a stranger's: it gets no secret, no key signs, no place is
// opened, and of its files none but distropack.yml and those it names are read.
func (s *Releases) planJob(_ context.Context, r *engine.Run) error {
	var p pull
	if err := json.Unmarshal(r.Input, &p); err != nil {
		return err
	}
	for n := 0; ; n++ {
		again, err := engine.Step(r, "plan", func(ctx context.Context) (int64, error) {
			err := s.planPull(ctx, p)
			if err == nil || unusable(err) || ctx.Err() != nil {
				return 0, nil
			}
			if wait := s.wait(err, n); wait > 0 && n < 20 {
				return int64(wait), nil
			}
			return 0, err
		})
		if err != nil || again == 0 {
			return err
		}
		if err := r.Sleep(time.Duration(again)); err != nil {
			return err
		}
	}
}

func (s *Releases) planPull(ctx context.Context, p pull) error {
	repo, err := s.repository(ctx, p.Repository)
	if err != nil {
		return err
	}
	c := s.client(repo)
	files, err := c.PullFiles(ctx, repo.Owner, repo.Name, p.Number)
	if err != nil {
		return err
	}
	if !slices.Contains(files, check.Config) {
		return nil
	}
	in := check.Pull{Commit: p.Commit, ExternalID: p.External, Owner: repo.Owner, Name: repo.Name, Now: s.Now()}
	if s.URL != "" {
		in.URL = fmt.Sprintf("%s/repositories/%d", s.URL, repo.ID)
	}
	in.Report, in.Err = s.planOf(ctx, c, repo, p.Commit)
	if in.Err != nil && (github.Temporary(in.Err) || limited(in.Err)) {
		return in.Err
	}
	if in.Sizes, err = s.lastSizes(ctx, repo); err != nil {
		return err
	}
	k := check.ForPull(in)
	number, err := c.FindCheck(ctx, repo.Owner, repo.Name, p.Commit, p.External)
	switch {
	case errors.Is(err, github.ErrNotFound):
		_, err = c.CreateCheck(ctx, repo.Owner, repo.Name, k)
	case err == nil:
		k.Annotations = nil // they are added to those that are there
		err = c.UpdateCheck(ctx, repo.Owner, repo.Name, number, k)
	}
	return s.unheard(err, p.External)
}

func limited(err error) bool {
	var limit *github.Limit
	return errors.As(err, &limit)
}

// planOf plans a release of a commit, as the version after the last one.
func (s *Releases) planOf(ctx context.Context, c *github.Client, repo *store.Repository, commit string) (*pipeline.Report, error) {
	files := &remote{ctx: ctx, c: c, repo: repo, commit: commit, have: map[string][]byte{}}
	text, err := files.read(check.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, check.ErrNoConfig
	}
	if err != nil {
		return nil, err
	}
	vars, err := s.variables(ctx, repo)
	if err != nil {
		return nil, err
	}
	project, err := s.parse(text, vars.blank)
	if err != nil {
		return nil, err
	}
	j := &job{Releases: s}
	w := &world{s: s, repo: repo, text: text, project: project, vars: vars}
	if w.keys, err = s.keyNames(ctx, repo); err != nil {
		return nil, err
	}
	if err := j.rules(w); err != nil {
		return nil, err
	}
	task := pipeline.Job{Files: files, Config: check.Config, Repository: repo.Owner + "/" + repo.Name, Stop: pipeline.Plan, Unsigned: true}
	if task.Release, err = s.nextRelease(ctx, repo, commit); err != nil {
		return nil, err
	}
	if len(project.Channels) > 0 {
		task.Release.Channel = project.Channels[0].Name
	}
	env := pipeline.Env{Formats: s.Formats, Repos: s.Repos, Places: packer.Blind(s.Places), Lookup: vars.blank, Now: s.Now(), Tool: s.Tool,
		Open: func(string) (publish.Destination, error) { return nil, nil }}
	rep, err := pipeline.Run(ctx, env, task)
	if files.err != nil {
		return nil, files.err
	}
	return rep, err
}

// nextRelease is a release after the last one that was published, or a first one.
func (s *Releases) nextRelease(ctx context.Context, repo *store.Repository, commit string) (pipeline.Release, error) {
	rel := pipeline.Release{Commit: commit, Version: "0.0.1", Time: s.Now()}
	last, err := s.Store.Releases(ctx, store.ReleaseFilter{Repository: repo.ID, States: []store.State{store.Done}, Limit: 1})
	if err == nil && len(last) > 0 && last[0].Version != "" {
		rel.Version = last[0].Version
	}
	return rel, err
}

// lastSizes are those of the last release's files, which have the same names if it
// has the version that is planned with.
func (s *Releases) lastSizes(ctx context.Context, repo *store.Repository) (map[string]int64, error) {
	last, err := s.Store.Releases(ctx, store.ReleaseFilter{Repository: repo.ID, States: []store.State{store.Done}, Limit: 1})
	if err != nil || len(last) == 0 {
		return nil, err
	}
	sizes := make(map[string]int64)
	for _, a := range rowOf(last[0]).Artifacts {
		sizes[a.Name] = a.Size
	}
	return sizes, nil
}

// remote are files of a commit, asked for one by one.
type remote struct {
	ctx    context.Context
	c      *github.Client
	repo   *store.Repository
	commit string
	have   map[string][]byte
	err    error // other than that there is no such file
	asked  int
}

// maxRemote is how many files of a pull request are read, and how large each may be.
const (
	maxRemote     = 50
	maxRemoteFile = 1 << 20
)

func (f *remote) read(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// Open implements fs.FS for files.
func (f *remote) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) || path.Clean(name) == "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if _, ok := f.have[name]; !ok {
		if f.asked++; f.asked > maxRemote {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("a plan reads no more files")}
		}
		b, err := f.c.File(f.ctx, f.repo.Owner, f.repo.Name, name, f.commit, maxRemoteFile)
		if errors.Is(err, github.ErrNotFound) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if err != nil {
			if github.Temporary(err) || limited(err) {
				f.err = err
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		f.have[name] = b
	}
	return &remoteFile{*bytes.NewReader(f.have[name]), path.Base(name)}, nil
}

// remoteFile is a file in memory.
type remoteFile struct {
	bytes.Reader
	name string
}

func (f *remoteFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *remoteFile) Close() error               { return nil }
func (f *remoteFile) Name() string               { return f.name }
func (f *remoteFile) Mode() fs.FileMode          { return 0o644 }
func (f *remoteFile) ModTime() time.Time         { return time.Time{} }
func (f *remoteFile) IsDir() bool                { return false }
func (f *remoteFile) Sys() any                   { return nil }
