package publish

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/distropack/distropack/formats"
)

// add lists a package in a repository; ok is false if it does not serve it.
func (t *txn) add(ctx context.Context, r *repoTxn, a Addition, channel string) (ok bool, err error) {
	if e, can := r.Repo.(Elsewhere); a.URL != "" && !(can && e.ListsElsewhere()) {
		return false, nil
	}
	if a.URL != "" {
		if u, err := url.Parse(a.URL); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			return false, fmt.Errorf("%s %s: the address where it lies is not of the form https://host/path", a.Meta.Name, a.Meta.Version)
		}
	}
	places, err := r.Place(a.Meta, channel)
	if err != nil {
		return false, fmt.Errorf("repository %s: %w", r.Name(), err)
	}
	for _, place := range places {
		rec := &Record{Path: place.Path, URL: a.URL, Ref: a.Blob.Ref(), Project: a.Project, Version: a.Version, Added: t.o.Time, Meta: readable(*a.Meta)}
		if a.Path != "" && r.Name() == "apt" {
			rec.Path = a.Path
		}
		for _, b := range a.Beside {
			rec.Beside = append(rec.Beside, BesideRef{b.Suffix, b.Blob.Ref()})
		}
		isNew, err := t.list(ctx, r, place.Partition, rec)
		if err != nil {
			return true, err
		}
		if !isNew || rec.URL != "" {
			continue
		}
		t.putContent(File{Path: rec.Path, Class: Content, Blob: a.Blob})
		for _, b := range a.Beside {
			t.putContent(File{Path: rec.Path + b.Suffix, Class: Content, Blob: b.Blob})
		}
	}
	return len(places) > 0, nil
}

func (t *txn) putContent(f File) { t.content[f.Path] = f }

// list puts a record into a partition; false if it is there already.
func (t *txn) list(ctx context.Context, r *repoTxn, part string, rec *Record) (bool, error) {
	p := r.part(part)
	if p == nil {
		return false, fmt.Errorf("repository %s: %s belongs to partition %s, which does not exist: add its platform", r.Name(), rec.Path, part)
	}
	subject := func(err error) error {
		return fmt.Errorf("repository %s: partition %s: %w", r.Name(), part, err)
	}
	named, err := p.named(ctx, &t.loader, rec.Meta.Name)
	if err != nil {
		return false, subject(err)
	}
	for _, old := range named {
		same := old.Meta.Version == rec.Meta.Version && old.Meta.Arch == rec.Meta.Arch && old.Meta.Format == rec.Meta.Format
		if old.Path != rec.Path && !same {
			continue
		}
		if old.Ref == rec.Ref {
			t.res.Unchanged++
			return false, nil
		}
		if !t.o.Replace {
			return false, &DiffersError{r.Name(), old.Path, Differences(&old.Meta, &rec.Meta, old.Ref, rec.Ref)}
		}
		if err := t.unlist(ctx, r, p, old); err != nil {
			return false, subject(err)
		}
	}
	if n := len(named); n > 0 && !t.o.AllowOlder && named[n-1].Meta.Version != rec.Meta.Version && r.Less(rec, named[n-1]) {
		return false, &OlderError{r.Name(), part, rec.Meta.Name, rec.Meta.Version, named[n-1].Meta.Version}
	}
	refs, err := t.contents(ctx, rec.Path, rec.Meta.Name)
	if err != nil {
		return false, subject(err)
	}
	if !slices.Contains(refs, rec.Ref) && rec.URL == "" {
		t.bytes += rec.Ref.Size
	}
	delete(t.gone, rec.Path)
	if err := p.put(ctx, &t.loader, rec, r.Less); err != nil {
		return false, subject(err)
	}
	t.res.Added = append(t.res.Added, listed(r, p, rec))
	return true, t.retain(ctx, r, p, rec.Meta.Name)
}

func listed(r *repoTxn, p *partition, rec *Record) Listed {
	return Listed{r.Name(), p.name, rec.Meta.Name, rec.Meta.Version, rec.Path, rec.Ref.Size}
}

// unlist takes a record out of a partition.
func (t *txn) unlist(ctx context.Context, r *repoTxn, p *partition, rec *Record) error {
	if err := p.drop(ctx, &t.loader, rec.Meta.Name, rec.Path); err != nil {
		return err
	}
	t.res.Removed = append(t.res.Removed, listed(r, p, rec))
	refs, err := t.contents(ctx, rec.Path, rec.Meta.Name)
	if err != nil {
		return err
	}
	if !slices.Contains(refs, rec.Ref) && rec.URL == "" {
		t.bytes -= rec.Ref.Size
	}
	if len(refs) > 0 || rec.URL != "" { // as it is, or as it will be; what is not here can't go
		return nil
	}
	for _, path := range recordPaths(rec) {
		t.gone[path] = true
		delete(t.content, path)
	}
	return nil
}

// recordPaths lists the files of a record.
func recordPaths(rec *Record) []string {
	paths := []string{rec.Path}
	for _, b := range rec.Beside {
		paths = append(paths, rec.Path+b.Suffix)
	}
	return paths
}

// contents returns what partitions say a file holds, by the name it would be
// listed under; nil if none lists it. While a version is replaced, partition by
// partition, it is the old content and the new.
func (t *txn) contents(ctx context.Context, path, name string) ([]formats.Ref, error) {
	var refs []formats.Ref
	for _, r := range t.repos {
		for _, p := range r.parts {
			recs, err := p.named(ctx, &t.loader, name)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				if rec.Path == path && !slices.Contains(refs, rec.Ref) {
					refs = append(refs, rec.Ref)
				}
			}
		}
	}
	return refs, nil
}

// torn refuses to give a file other content in some channels than others list it
// with: their clients would find other bytes than the index says, or two machines
// other bytes for one version.
func (t *txn) torn(ctx context.Context, e Edit) error {
	type listing struct {
		ref   formats.Ref
		where string
	}
	files := make(map[string]listing)
	names := make(map[string]bool)
	var errs []error
	for _, a := range e.Add {
		if names[a.Meta.Name] {
			continue
		}
		names[a.Meta.Name] = true
		for _, r := range t.repos {
			for _, p := range r.parts {
				recs, err := p.named(ctx, &t.loader, a.Meta.Name)
				if err != nil {
					return err
				}
				for _, rec := range recs {
					l, ok := files[rec.Path]
					if !ok {
						files[rec.Path] = listing{rec.Ref, r.Name() + " " + p.name}
					} else if l.ref != rec.Ref {
						errs = append(errs, fmt.Errorf("repository %s: partition %s lists %s with other content than %s: replace it in all channels at once", r.Name(), p.name, rec.Path, l.where))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}
