package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// selected calls f for every record that s selects.
func (t *txn) selected(ctx context.Context, s Selection, f func(r *repoTxn, p *partition, rec *Record) error) error {
	if s.Name == "" && s.Project == "" {
		return errors.New("a selection names neither package nor project: name one")
	}
	found := false
	for _, r := range t.repos {
		if s.Repo != "" && s.Repo != r.Name() {
			continue
		}
		for _, p := range r.parts {
			var recs []*Record
			var err error
			if s.Name == "" {
				recs, err = p.all(ctx, &t.loader)
			} else {
				recs, err = p.named(ctx, &t.loader, s.Name)
			}
			if err != nil {
				return err
			}
			for _, rec := range recs {
				if s.Project != "" && s.Project != rec.Project {
					continue
				}
				if s.Version != "" && s.Version != rec.Version && s.Version != rec.Meta.Version {
					continue
				}
				if s.Channel != "" {
					places, err := r.Place(&rec.Meta, s.Channel)
					if err != nil {
						return err
					}
					if !slices.ContainsFunc(places, func(pl Placement) bool { return pl.Partition == p.name }) {
						continue
					}
				}
				found = true
				if err := f(r, p, rec); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("no package %s is published: see what is with: distropack repo list", s)
	}
	return nil
}

func (s Selection) String() string {
	text := s.Name
	if s.Version != "" {
		text += " " + s.Version
	}
	if s.Project != "" {
		text = strings.TrimPrefix(text+" of project "+s.Project, " ")
	}
	if s.Channel != "" {
		text += " in channel " + s.Channel
	}
	if s.Repo != "" {
		text += " for " + s.Repo
	}
	return text
}

func (t *txn) remove(ctx context.Context, s Selection) error {
	return t.selected(ctx, s, func(r *repoTxn, p *partition, rec *Record) error { return t.unlist(ctx, r, p, rec) })
}

func (t *txn) promote(ctx context.Context, pr Promotion) error {
	return t.selected(ctx, pr.Selection, func(r *repoTxn, p *partition, rec *Record) error {
		places, err := r.Place(&rec.Meta, pr.To)
		if err != nil {
			return fmt.Errorf("repository %s: %w", r.Name(), err)
		}
		for _, place := range places {
			if place.Partition == p.name {
				continue
			}
			from, err := r.Place(&rec.Meta, pr.Channel)
			if err != nil {
				return err
			}
			// A package for all CPUs is in one partition per CPU: each promotes its own.
			if len(from) == len(places) && len(places) > 1 {
				i := slices.IndexFunc(from, func(pl Placement) bool { return pl.Partition == p.name })
				if i >= 0 && places[i].Partition != place.Partition {
					continue
				}
			}
			to := *rec
			to.Path = place.Path
			if len(from) > 0 && from[0].Path == place.Path {
				to.Path = rec.Path // the channels share their files
			}
			isNew, err := t.list(ctx, r, place.Partition, &to)
			if err != nil {
				return err
			}
			if !isNew || to.Path == rec.Path {
				continue
			}
			t.copyContent(ctx, rec.Path, to.Path, rec.Ref)
			for _, b := range rec.Beside {
				t.copyContent(ctx, rec.Path+b.Suffix, to.Path+b.Suffix, b.Ref)
			}
		}
		return nil
	})
}

// copyContent puts a file of the tree at a second path.
func (t *txn) copyContent(ctx context.Context, from, to string, ref formats.Ref) {
	if f, ok := t.content[from]; ok { // added by this same change
		f.Path = to
		t.putContent(f)
		return
	}
	t.putContent(File{Path: to, Class: Content, From: from, Blob: &treeBlob{ctx, t.dst, t.version, from, ref}})
}
