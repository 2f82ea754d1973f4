package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// landing is a commit whose files are brought to their places.
type landing struct {
	seen     // memory is what was known before the commit
	stage    *stage
	blob     func(*staged) formats.Blob
	honoured bool
	late     bool // somebody began with it: what is there already is not sent again
}

// recover finishes the commit of the present state, if its stage is there. It is
// errMoved if there is a newer state.
func (b *Bucket) recover(ctx context.Context, s *seen) error {
	at := stagePath(s.digest)
	text, _, err := b.readAll(ctx, at, maxStage)
	if isMissing(err) {
		// Nothing is known of how the tree came here: it was copied from
		// elsewhere, or the stage went because there is a newer state.
		if moved, err := b.moved(ctx, s.version); err != nil || moved {
			return cmpErr(err, errMoved)
		}
		s.memory.Finished = s.digest
		return nil
	}
	if err != nil {
		return b.explain("read", at, err)
	}
	st, err := parseStage(text, s.digest)
	if err != nil {
		return fmt.Errorf("bucket %s: %s: damaged: %w", b.o.Bucket, *b.key(at), err)
	}
	honoured, err := b.honours(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), landingTime)
	defer cancel()
	l := &landing{seen: *s, stage: st, blob: func(f *staged) formats.Blob { return b.blob(ctx, st, f) }, honoured: honoured, late: true}
	if err := b.land(ctx, l); err != nil {
		// A newer state takes the stage's parts away.
		if moved, e := b.moved(ctx, s.version); e == nil && moved {
			return errMoved
		}
		return err
	}
	*s = l.seen
	return nil
}

// follow finishes what another publish did meanwhile. Without conditions its files
// may have been written over, so they are put once more.
func (b *Bucket) follow(ctx context.Context, honoured bool) error {
	if honoured {
		return nil
	}
	for {
		s, err := b.look(ctx)
		if err == nil {
			err = b.recover(ctx, s)
		}
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

// land puts the staged files in their places, deletes what is to go, and remembers
// that it is done. It is errMoved as soon as there is a newer state.
func (b *Bucket) land(ctx context.Context, l *landing) error {
	etags := maps.Clone(l.memory.ETags)
	if etags == nil {
		etags = make(map[string]string)
	}
	var mu sync.Mutex
	alone := l.honoured && len(l.stage.Put) > 0
	for _, round := range rounds(l.stage.Put) {
		err := each(ctx, len(round), func(ctx context.Context, i int) error {
			for _, f := range round[i] {
				etag, ours, err := b.replace(ctx, l, f)
				if err != nil {
					return err
				}
				mu.Lock()
				etags[f.Path], alone = etag, alone && ours
				mu.Unlock()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	// What this change deletes, a newer one may have brought back; old stages
	// nobody brings back. A newer change begins when all files of this one are in
	// their places: where each was put from here, there was none until just now.
	if !alone && slices.ContainsFunc(l.stage.Delete, func(p string) bool { return !isOurs(p) }) {
		if moved, err := b.moved(ctx, l.version); err != nil || moved {
			return cmpErr(err, errMoved)
		}
	}
	left := b.remove(ctx, l.stage.Delete)
	for _, p := range l.stage.Delete {
		delete(etags, p)
	}
	l.memory = memory{Format: memoryFormat, Conditional: &l.honoured, Finished: l.digest, Stage: l.stage.paths(), Left: left, ETags: etags}
	b.note(ctx, &l.memory)
	b.purge(ctx, l.stage)
	return nil
}

// note writes the memory. Without it the next publish does the last steps again.
func (b *Bucket) note(ctx context.Context, m *memory) {
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.put(ctx, object{memoryPath, publish.Pointer, formats.Bytes(text)}, condition{})
	}
	if err != nil {
		b.o.Say(b.explain("write", memoryPath, err).Error() + "; the next publish repeats its last steps")
	}
}

// moved reports whether the state is no longer the one of a version.
func (b *Bucket) moved(ctx context.Context, version string) (bool, error) {
	h, err := b.head(ctx, publish.StatePath)
	if isMissing(err) {
		return true, nil
	}
	return h.etag != version, b.explain("look for", publish.StatePath, err)
}

// replace puts a staged file in the place of what was there when it was staged;
// ours is false if it was there already. It is errMoved where a newer state's file
// may be there by now.
func (b *Bucket) replace(ctx context.Context, l *landing, f *staged) (etag string, ours bool, err error) {
	o := object{f.Path, f.Class, l.blob(f)}
	c := replacing(f.Was)
	look := l.late || f.Unsure
	for range b.o.Tries {
		if !look {
			if !l.honoured {
				c = condition{}
			}
			etag, err = b.put(ctx, o, c)
			if err == nil {
				return etag, true, nil
			}
			if !b.refused(ctx, o, c, err) {
				return "", false, b.explain("write", f.Path, err)
			}
		}
		h, err := b.head(ctx, f.Path)
		if err != nil && !isMissing(err) {
			return "", false, b.explain("look for", f.Path, err)
		}
		if same, sure := h.is(f.Ref); same && sure {
			return h.etag, false, nil // an earlier try, or somebody who helped
		}
		// The order matters: as long as the state is this one, nobody has begun to
		// put a newer one's files, so what was seen is older or a stranger's.
		if h.etag != f.Was || !look {
			if moved, err := b.moved(ctx, l.version); err != nil || moved {
				return "", false, cmpErr(err, errMoved)
			}
		}
		c, look = replacing(h.etag), false
	}
	return "", false, fmt.Errorf("bucket %s: %s keeps changing: another program writes there", b.o.Bucket, *b.key(f.Path))
}

// purge tells the cache in front of the bucket. Its failure is no failure of the
// publish: caches ask again by themselves.
func (b *Bucket) purge(ctx context.Context, st *stage) {
	if b.o.Purge == nil {
		return
	}
	paths := []string{publish.StatePath}
	for _, f := range st.Put {
		paths = append(paths, f.Path)
	}
	if err := b.o.Purge(ctx, paths); err != nil {
		b.o.Say(fmt.Sprintf("the cache in front of bucket %s was not told of the change, and may serve old files for a while: %v", b.o.Bucket, err))
	}
}

// each calls f for 0 to n-1, some at once, until one fails.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(writers, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
