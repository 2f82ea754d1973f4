package bucket

import (
	"context"
	"errors"
	"fmt"
)

// putNew puts files whose path has one content for ever. Those whose path has
// another one all the same (a replaced package, or what a publish left that died)
// are returned: they come after the commit, so that until then nothing changes.
func (b *Bucket) putNew(ctx context.Context, files []fresh, honoured bool) ([]replacement, error) {
	late := make([]*replacement, len(files))
	err := each(ctx, len(files), func(ctx context.Context, i int) (err error) {
		if b.duplicate(ctx, files[i]) {
			return nil
		}
		late[i], err = b.create(ctx, files[i].object, honoured)
		return err
	})
	var out []replacement
	for _, r := range late {
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, err
}

// create puts an object where none is, and nothing where this very one is.
func (b *Bucket) create(ctx context.Context, o object, honoured bool) (*replacement, error) {
	for range b.o.Tries {
		if honoured {
			_, err := b.put(ctx, o, condition{none: true})
			if err == nil {
				return nil, nil
			}
			if !b.refused(ctx, o, condition{none: true}, err) {
				return nil, b.explain("write", o.path, err)
			}
		}
		f, err := b.head(ctx, o.path)
		if isMissing(err) && !honoured {
			_, err := b.put(ctx, o, condition{})
			return nil, b.explain("write", o.path, err)
		}
		if isMissing(err) {
			continue
		}
		if err != nil {
			return nil, b.explain("look for", o.path, err)
		}
		same, err := b.has(ctx, o.path, f, o.blob.Ref())
		if err != nil {
			return nil, b.explain("compare", o.path, err)
		}
		if same {
			return nil, nil
		}
		return &replacement{o, f.etag, false}, nil
	}
	return nil, fmt.Errorf("bucket %s: %s comes and goes: another program writes there", b.o.Bucket, *b.key(o.path))
}

// refused reports whether a put failed since its condition did not hold. A store
// may end the connection when it refuses, before it has read all of the content,
// and then nobody hears of it: so where the reason is not known, it is looked for.
func (b *Bucket) refused(ctx context.Context, o object, c condition, err error) bool {
	var wrong *contentError
	switch {
	case isRefused(err):
		return true
	case errors.As(err, &wrong) || isDenied(err) || ctx.Err() != nil:
		return false
	}
	f, err := b.head(ctx, o.path)
	switch {
	case isMissing(err):
		return c.match != ""
	case err != nil:
		return false
	case c.none:
		return true
	case c.match != "":
		return f.etag != c.match
	}
	same, sure := f.is(o.blob.Ref())
	return same && sure
}
