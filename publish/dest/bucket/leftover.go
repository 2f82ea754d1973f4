package bucket

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/distropack/distropack/publish"
)

var (
	_ publish.Sweeper = (*Bucket)(nil)
	_ publish.Eraser  = (*Bucket)(nil)
)

// Leftovers implements publish.Sweeper: what publishes put that lost or died
// before their commit, their stages, and uploads that nobody went on with. It lists
// everything below the prefix, and asks for the headers of what is not known: only
// put gives those, so what others put there is never taken for a leftover. Nor is a
// tree in a folder of this one.
//
// An upload has no headers to tell it by: it counts if it goes to a folder at the
// top that the tree has, and is older than Options.Grace as well.
func (b *Bucket) Leftovers(ctx context.Context, grace time.Duration, known func(path string) bool) (*publish.Leftovers, error) {
	s, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	stays := func(p string) bool {
		return known(p) || p == publish.StatePath || p == memoryPath || p == probePath || strings.HasPrefix(p, stagePath(s.digest)) || slices.Contains(s.memory.Stage, p)
	}
	old := func(age time.Duration) bool { return grace <= 0 || age >= grace }
	var paths []string
	found := surroundings{nested: make(map[string]bool), tops: make(map[string]bool)}
	err = b.list(ctx, b.below(), func(o types.Object, age time.Duration) error {
		p := (*o.Key)[len(b.below()):]
		found.see(p, known(p))
		if !stays(p) && old(age) {
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, found.inNested)
	out := new(publish.Leftovers)
	var mu sync.Mutex
	err = each(ctx, len(paths), func(ctx context.Context, i int) error {
		f, err := b.head(ctx, paths[i])
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return b.explain("look for", paths[i], err)
		}
		if f.written(paths[i]) && old(f.age) { // it may have been put again
			mu.Lock()
			defer mu.Unlock()
			out.Files = append(out.Files, paths[i])
			found.see(paths[i], true)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(out.Files)
	return out, b.findUploads(ctx, out, &found, max(grace, b.o.Grace))
}

func (b *Bucket) findUploads(ctx context.Context, out *publish.Leftovers, found *surroundings, grace time.Duration) error {
	all, err := b.uploads(ctx)
	if isDenied(err) {
		b.o.Say(err.Error() + "; files are swept all the same")
		return nil
	}
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(u upload) bool { return u.age < grace || !found.ours(u.path) })
	for _, u := range all {
		out.Uploads = append(out.Uploads, u.path)
	}
	if len(all) > 0 {
		out.GiveUp = func(ctx context.Context) error {
			for _, u := range all {
				b.abandon(ctx, u.path, u.id)
			}
			return ctx.Err()
		}
	}
	return nil
}

// surroundings tell the tree from what else lies below its prefix.
type surroundings struct {
	nested map[string]bool // folders that are trees themselves, "sub/tree/"
	tops   map[string]bool // folders at the top that have files of the tree
}

func (s *surroundings) see(p string, ours bool) {
	if at := strings.Index(p, "/"+publish.PrivateDir+"/"); at >= 0 {
		s.nested[p[:at+1]] = true
	}
	if top, _, below := strings.Cut(p, "/"); below && (ours || top == publish.PrivateDir) {
		s.tops[top] = true
	}
}

func (s *surroundings) inNested(p string) bool {
	for at, c := range p {
		if c == '/' && s.nested[p[:at+1]] {
			return true
		}
	}
	return false
}

func (s *surroundings) ours(p string) bool {
	top, _, below := strings.Cut(p, "/")
	return below && s.tops[top] && !s.inNested(p)
}

// Erase implements publish.Eraser. The state goes first, so that a publish that is
// going on is refused; where one begins anew meanwhile, Erase leaves the rest to
// it and is publish.ErrConflict.
func (b *Bucket) Erase(ctx context.Context, base string, files []string) error {
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	if s.version != base {
		return publish.ErrConflict
	}
	ours := make(map[string]bool)
	for _, p := range files {
		ours[p] = true
	}
	found := surroundings{nested: make(map[string]bool), tops: make(map[string]bool)}
	var gone []string
	err = b.List(ctx, "", func(p string, _ int64, _ time.Time) error {
		found.see(p, ours[p])
		if isOurs(p) {
			gone = append(gone, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if base != "" {
		if moved, err := b.moved(ctx, base); err != nil || moved {
			return cmpErr(err, publish.ErrConflict)
		}
		if err := b.erase(ctx, []string{publish.StatePath}); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.seen = nil
	b.mu.Unlock()
	for some := range slices.Chunk(append(gone, files...), batch) {
		if _, err := b.head(ctx, publish.StatePath); !isMissing(err) {
			return cmpErr(b.explain("look for", publish.StatePath, err), publish.ErrConflict)
		}
		if err := b.erase(ctx, some); err != nil {
			return err
		}
	}
	all, err := b.uploads(ctx)
	for _, u := range all {
		if found.ours(u.path) {
			b.abandon(ctx, u.path, u.id)
		}
	}
	return err
}

func (b *Bucket) erase(ctx context.Context, paths []string) error {
	var keys []string
	for _, p := range paths {
		keys = append(keys, *b.key(p))
	}
	failed, err := b.removeKeys(ctx, keys)
	if err != nil {
		return fmt.Errorf("%w: not all is deleted yet, run it again", b.explain("delete", failed[0][len(b.below()):], err))
	}
	return nil
}
