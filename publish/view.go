package publish

import (
	"context"
	"fmt"
	"io"
	"slices"

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
