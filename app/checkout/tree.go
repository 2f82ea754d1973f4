package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	maxDepth  = 64   // of folders
	maxNested = 4    // of submodules in submodules
	maxName   = 4096 // bytes of a path
)

// tree is a commit that is being written.
type tree struct {
	*fetcher
	root    *os.Root
	store   *filesystem.Storage
	module  module
	depth   int // of submodules
	modules []entry
}

// entry is a submodule, where it belongs.
type entry struct {
	path   string
	commit plumbing.Hash
}

func (t *tree) write(ctx context.Context) error {
	commit, err := object.GetCommit(t.store, plumbing.NewHash(t.module.commit))
	if err != nil {
		return fmt.Errorf("the host did not send the commit: %w", err)
	}
	top, err := commit.Tree()
	if err != nil {
		return err
	}
	if err := t.folder(ctx, top, "", 0); err != nil {
		return err
	}
	return t.submodules(ctx, top)
}

func (t *tree) folder(ctx context.Context, d *object.Tree, at string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%q: folders nest deeper than %d", at, maxDepth)
	}
	for _, e := range d.Entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.EqualFold(e.Name, ".git") || strings.ContainsAny(e.Name, "/\\\x00") {
			return fmt.Errorf("%q: a file can't have the name %q", at, e.Name)
		}
		name := path.Join(at, e.Name)
		if len(name) > maxName {
			return fmt.Errorf("%.40q…: a path of more than %d bytes", name, maxName)
		}
		if t.files--; t.files < 0 {
			return fmt.Errorf("%w: there are more than %d files", ErrTooLarge, t.Limits.Files)
		}
		var err error
		switch e.Mode {
		case filemode.Dir:
			var sub *object.Tree
			if sub, err = object.GetTree(t.store, e.Hash); err == nil {
				if err = t.root.Mkdir(name, 0o755); err == nil {
					err = t.folder(ctx, sub, name, depth+1)
				}
			}
		case filemode.Submodule:
			if err = t.root.Mkdir(name, 0o755); err == nil {
				t.modules = append(t.modules, entry{name, e.Hash})
			}
		case filemode.Symlink:
			err = t.link(name, e.Hash)
		case filemode.Regular, filemode.Deprecated:
			err = t.file(name, e.Hash, 0o644)
		case filemode.Executable:
			err = t.file(name, e.Hash, 0o755)
		default:
			err = fmt.Errorf("a file can't have the mode %s", e.Mode)
		}
		var p *fs.PathError
		if errors.As(err, &p) && errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%q is in the commit twice", name)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

func (t *tree) blob(h plumbing.Hash) (io.ReadCloser, error) {
	b, err := object.GetBlob(t.store, h)
	if err != nil {
		return nil, fmt.Errorf("the host did not send it: %w", err)
	}
	if t.bytes -= b.Size; t.bytes < 0 {
		return nil, fmt.Errorf("%w: its files are more than %d MiB", ErrTooLarge, t.Limits.Bytes>>20)
	}
	return b.Reader()
}

func (t *tree) file(name string, h plumbing.Hash, mode fs.FileMode) (err error) {
	r, err := t.blob(h)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func (t *tree) link(name string, h plumbing.Hash) error {
	r, err := t.blob(h)
	if err != nil {
		return err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, maxName+1))
	if err != nil {
		return err
	}
	if len(target) == 0 || len(target) > maxName || bytes.IndexByte(target, 0) >= 0 {
		return errors.New("the link leads nowhere")
	}
	return t.root.Symlink(string(target), name)
}

// submodules fetches those of the same host; a token goes nowhere else.
func (t *tree) submodules(ctx context.Context, top *object.Tree) error {
	if len(t.modules) == 0 {
		return nil
	}
	if !t.Submodules {
		t.say("submodules are left out: %d", len(t.modules))
		return nil
	}
	if t.depth >= maxNested {
		return fmt.Errorf("submodules nest deeper than %d", maxNested)
	}
	f, err := top.File(".gitmodules")
	if err != nil {
		return fmt.Errorf(".gitmodules: %w", err)
	}
	r, err := f.Reader()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	r.Close()
	if err != nil {
		return err
	}
	list := config.NewModules()
	if err := list.Unmarshal(text); err != nil {
		return fmt.Errorf(".gitmodules: %w", err)
	}
	for _, e := range t.modules {
		m, err := t.moduleAt(list, e)
		if err != nil {
			return fmt.Errorf("submodule %q: %w", e.path, err)
		}
		if m == nil {
			t.say("submodule %s lies on another host: it is left out", e.path)
			continue
		}
		sub, err := t.root.OpenRoot(e.path)
		if err != nil {
			return err
		}
		err = t.into(ctx, sub, *m, t.depth+1)
		sub.Close()
		if err != nil {
			return fmt.Errorf("submodule %q: %w", e.path, err)
		}
	}
	return nil
}

// moduleAt finds the repository of a submodule; nil if it is another host's.
func (t *tree) moduleAt(list *config.Modules, e entry) (*module, error) {
	for _, s := range list.Submodules {
		if s.Path != e.path {
			continue
		}
		base, err := url.Parse(t.module.url)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(s.URL, "./") || strings.HasPrefix(s.URL, "../") {
			base.Path = path.Join(base.Path, s.URL) // relative to the repository itself
			return &module{url: base.String(), commit: e.commit.String()}, nil
		}
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != base.Scheme || u.Host != base.Host || u.User != nil {
			return nil, nil
		}
		return &module{url: u.String(), commit: e.commit.String()}, nil
	}
	return nil, errors.New(".gitmodules does not name it")
}

func (t *tree) say(format string, args ...any) {
	if t.Say != nil {
		t.Say(fmt.Sprintf(format, args...))
	}
}

// tagObject returns what an annotated tag is of.
func tagObject(s *filesystem.Storage, h plumbing.Hash) (plumbing.Hash, error) {
	t, err := object.GetTag(s, h)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return t.Target, nil
}
