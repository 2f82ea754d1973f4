package publish

import (
	"context"
	"slices"
	"strings"
)

// Holding is a file of a tree.
type Holding struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`              // -1 of what is retired: the state does not say
	Project string `json:"project,omitempty"` // whose package it is; "" for everything else
}

// Holdings lists every file of a tree, sorted by path: packages of all
// repositories, configured or not, indexes, pages, what is retired, the state. It
// reads all records. version is the tree's; nil is no tree.
func Holdings(ctx context.Context, dst Destination, verify Verify) (version string, all []Holding, err error) {
	if version, err = dst.Head(ctx); err != nil {
		return "", nil, err
	}
	base, err := readState(ctx, dst, version, verify)
	if err != nil || base == nil {
		return version, nil, err
	}
	all, err = base.holdings(ctx, &loader{dst, version})
	return version, all, err
}

func (s *state) holdings(ctx context.Context, l *loader) ([]Holding, error) {
	all := []Holding{{Path: StatePath, Size: -1}}
	for _, f := range s.files() {
		all = append(all, Holding{Path: f.Path, Size: f.Ref.Size})
	}
	for _, r := range s.Repositories {
		for _, p := range r.Partitions {
			recs, err := newPartition(p.Name, p).all(ctx, l)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				if rec.URL != "" {
					continue
				}
				all = append(all, Holding{rec.Path, rec.Ref.Size, rec.Project})
				for _, b := range rec.Beside {
					all = append(all, Holding{rec.Path + b.Suffix, b.Ref.Size, rec.Project})
				}
			}
		}
	}
	for _, f := range s.Retired {
		all = append(all, Holding{Path: f.Path, Size: -1})
	}
	slices.SortStableFunc(all, func(a, b Holding) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b Holding) bool { return a.Path == b.Path }), nil
}

// Projects lists whose packages a tree lists, those that lie elsewhere too, sorted.
func (v *View) Projects(ctx context.Context) ([]string, error) {
	var names []string
	for _, r := range v.t.base.Repositories {
		for _, p := range r.Partitions {
			recs, err := newPartition(p.Name, p).all(ctx, &v.t.loader)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				names = append(names, rec.Project)
			}
			slices.Sort(names)
			names = slices.Compact(names)
		}
	}
	return names, nil
}

// Erase ends the tree that version is: it takes the given files out of the place,
// the state after all others, so that it can be called again after an error. What
// else lies there stays. It is ErrConflict where version is no longer the head.
func Erase(ctx context.Context, dst Destination, version, message string, paths []string) error {
	paths = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == StatePath })
	if e, ok := dst.(Eraser); ok {
		return e.Erase(ctx, version, paths)
	}
	now, err := dst.Commit(ctx, version, &Change{Message: message, Delete: append(paths, StatePath)})
	if err != nil || now != "" {
		return err
	}
	// A place may keep what was there before the last change, as a directory does,
	// for making the next one: the next one changes nothing.
	_, err = dst.Commit(ctx, "", &Change{Message: message})
	return err
}
