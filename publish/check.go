package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/distropack/distropack/formats"
)

// CheckOptions says how thoroughly a tree is checked.
type CheckOptions struct {
	Deep bool // read every package and compare its digest, too
}

// Check derives everything in a tree again: each file the state names is read and
// compared, each index is rendered from its records, each package is there. The
// error joins all that is wrong; nil means that every client finds what it was
// promised.
func Check(ctx context.Context, dst Destination, repos []Repo, verify Verify, o CheckOptions) error {
	head, err := dst.Head(ctx)
	if err != nil {
		return err
	}
	base, err := readState(ctx, dst, head, verify)
	if err != nil {
		return err
	}
	if base == nil {
		return errors.New("there is no tree: publish something first")
	}
	t := newTxn(dst, head, base, repos, Options{})
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range base.files() {
		if err := t.compare(ctx, f.Path, f.Ref, true); err != nil {
			errs = append(errs, err)
		}
	}
	var bytes int64
	seen := make(map[string]formats.Ref)
	for _, r := range t.repos {
		if r.state == nil {
			fail("repository %s: not published yet", r.Name())
			continue
		}
		for _, p := range r.parts {
			if p.base == nil {
				fail("repository %s: partition %s: not published yet", r.Name(), p.name)
				continue
			}
			recs, err := p.all(ctx, &t.loader)
			if err != nil {
				fail("repository %s: partition %s: %w", r.Name(), p.name, err)
				continue
			}
			if !slices.IsSortedFunc(recs, func(a, b *Record) int {
				if r.Less(a, b) {
					return -1
				}
				return 1
			}) {
				fail("repository %s: partition %s: records are not in order", r.Name(), p.name)
			}
			for _, rec := range recs {
				if ref, ok := seen[rec.Path]; ok {
					if ref != rec.Ref {
						fail("repository %s: %s is listed with two contents", r.Name(), rec.Path)
					}
					continue
				}
				seen[rec.Path] = rec.Ref
				if rec.URL != "" {
					continue
				}
				bytes += rec.Ref.Size
				if err := t.compare(ctx, rec.Path, rec.Ref, o.Deep); err != nil {
					errs = append(errs, err)
				}
				for _, b := range rec.Beside {
					if err := t.compare(ctx, rec.Path+b.Suffix, b.Ref, o.Deep); err != nil {
						errs = append(errs, err)
					}
				}
			}
			if r.redo {
				fail("repository %s: its options changed since the last publish", r.Name())
				continue
			}
			if err := rederive(r, p); err != nil {
				fail("repository %s: partition %s: %w", r.Name(), p.name, err)
			}
		}
	}
	if len(t.repos) == len(base.Repositories) && bytes != base.Bytes {
		fail("%s: the packages are %d bytes, the state says %d", StatePath, bytes, base.Bytes)
	}
	return errors.Join(errs...)
}

// compare reads a file and compares it with what is known of it.
func (t *txn) compare(ctx context.Context, path string, ref formats.Ref, whole bool) error {
	f, err := t.dst.Open(ctx, t.version, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if !whole {
		if s, ok := f.(io.Seeker); ok {
			n, err := s.Seek(0, io.SeekEnd)
			if err == nil && n != ref.Size {
				err = fmt.Errorf("%s: %d bytes, want %d", path, n, ref.Size)
			}
			return err
		}
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, ref.Size+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if got := (formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: n}); got != ref {
		return fmt.Errorf("%s: is %d bytes with SHA-256 %s, want %d with %s", path, got.Size, got.SHA256, ref.Size, ref.SHA256)
	}
	return nil
}

// rederive renders a loaded partition's indexes and compares their digests.
func rederive(r *repoTxn, p *partition) error {
	for _, s := range r.Streams(p.name) {
		st := p.base.stream(s.Name)
		if st == nil {
			return fmt.Errorf("index %s is missing", s.Name)
		}
		h := sha256.New()
		n := 0
		write := func(b []byte) {
			h.Write(b)
			n += len(b)
		}
		write(s.Head(p.base.records()))
		for _, pg := range p.pages {
			text, err := s.Page(pg.recs)
			if err != nil {
				return fmt.Errorf("index %s: %w", s.Name, err)
			}
			write(text)
		}
		write(s.Tail)
		if got := (formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: int64(n)}); got != st.Plain {
			return fmt.Errorf("index %s is not what its records give", s.Name)
		}
	}
	return nil
}
