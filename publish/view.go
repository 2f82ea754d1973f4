package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// View is a tree as a change leaves it.
type View struct {
	Serial int64
	Time   int64 // Unix time of its indexes
	t      *txn
}

// Count returns how many records all partitions have together.
func (v *View) Count() int {
	n := 0
	for _, r := range v.t.repos {
		for _, p := range r.parts {
			for _, pg := range p.pages {
				if pg.ready {
					n += len(pg.recs)
				} else {
					n += pg.state.Records
				}
			}
		}
	}
	return n
}

// CountBefore is Count of the base.
func (v *View) CountBefore() int {
	n := 0
	for _, r := range v.t.base.Repositories {
		for _, p := range r.Partitions {
			for _, pg := range p.Pages {
				n += pg.Records
			}
		}
	}
	return n
}

// Each calls f for the records of every partition that repositories of this
// publish know, in order: all of them, or those of one name.
func (v *View) Each(ctx context.Context, name string, f func(repo, partition string, rec *Record) error) error {
	for _, r := range v.t.repos {
		for _, p := range r.parts {
			var recs []*Record
			var err error
			if name == "" {
				recs, err = p.all(ctx, &v.t.loader)
			} else {
				recs, err = p.named(ctx, &v.t.loader, name)
			}
			if err != nil {
				return err
			}
			for _, rec := range recs {
				if err := f(r.Name(), p.name, rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// RootFiles lists the paths of a repository's files other than packages, sorted.
func (v *View) RootFiles(repo string) []string {
	var paths []string
	if r := v.t.base.repo(repo); r != nil {
		for _, root := range r.Roots {
			for _, f := range root.Files {
				paths = append(paths, f.Path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// SiteFile returns a file of the site as the base has it, for Options.Site to give
// back where it would come out the same. It can't be opened.
func (v *View) SiteFile(path string) (f File, ok bool) {
	i, ok := slices.BinarySearchFunc(v.t.base.Site, path, func(f *fileState, path string) int { return strings.Compare(f.Path, path) })
	if !ok {
		return File{}, false
	}
	old := v.t.base.Site[i]
	return File{Path: path, Class: old.Class, Blob: missing(old.Ref)}, true
}

// ReadSite reads a file of the site as the base has it. The error is
// fs.ErrNotExist where there is none, or where it is not what the state says.
func (v *View) ReadSite(ctx context.Context, path string) ([]byte, error) {
	f, ok := v.SiteFile(path)
	if !ok {
		return nil, fs.ErrNotExist
	}
	b, err := readRef(ctx, v.t.dst, v.t.version, path, f.Blob.Ref())
	if errors.Is(err, errChanged) || errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return b, err
}

// Moved reports whether settings of a repository changed, so that partitions may
// stand for other channels than in the base.
func (v *View) Moved() bool {
	return slices.ContainsFunc(v.t.repos, func(r *repoTxn) bool { return r.redo })
}

// SameSite reports whether Options.SiteSettings are those of the base.
func (v *View) SameSite() bool {
	return v.t.base.SiteSettings == sha256.Sum256([]byte(v.t.o.SiteSettings))
}

// Touched lists the names of the packages this change added or removed.
func (v *View) Touched() []string {
	var names []string
	for _, l := range v.t.res.Added {
		names = append(names, l.Name)
	}
	for _, l := range v.t.res.Removed {
		names = append(names, l.Name)
	}
	return names
}

// Read reads a tree as it is. It is checked like the base of a publish.
func Read(ctx context.Context, dst Destination, repos []Repo, verify Verify) (*View, error) {
	head, err := dst.Head(ctx)
	if err != nil {
		return nil, err
	}
	base, err := readState(ctx, dst, head, verify)
	if err != nil {
		return nil, err
	}
	t := newTxn(dst, head, base, repos, Options{})
	return &View{Serial: t.base.Serial, Time: t.base.Time, t: t}, nil
}

type missingBlob struct{ ref formats.Ref }

func (b missingBlob) Ref() formats.Ref { return b.ref }
func (b missingBlob) Open() (io.ReadCloser, error) {
	return nil, fmt.Errorf("the file with SHA-256 %s is not kept", b.ref.SHA256)
}
