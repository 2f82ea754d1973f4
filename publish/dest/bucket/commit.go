package bucket

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// writers is how many requests are made at once.
const writers = 8

// longestKey is a rule of S3, in bytes.
const longestKey = 1024

// Commit implements publish.Destination. Where it fails after the commit itself,
// the change is in, and the next Head brings its files to their places.
func (b *Bucket) Commit(ctx context.Context, base string, c *publish.Change) (version string, err error) {
	parts, err := b.sort(c)
	if err != nil {
		return "", err
	}
	s, err := b.base(ctx, base)
	if err != nil {
		return "", err
	}
	honoured, err := b.honours(ctx)
	if err != nil {
		return "", err
	}
	if !honoured {
		b.warn()
		b.alone.Lock()
		defer b.alone.Unlock()
	}
	late, err := b.putNew(ctx, parts.fresh, honoured)
	if err != nil {
		return "", err
	}
	text, err := formats.ReadAll(parts.state)
	if err != nil {
		return "", err
	}
	digest := formats.Digest(sha256.Sum256(text))
	if ref := parts.state.Ref(); digest != ref.SHA256 {
		return "", fmt.Errorf("bucket %s: %s is not what its Ref says", b.o.Bucket, publish.StatePath)
	}
	replace := late
	for _, o := range parts.replace {
		replace = append(replace, replacement{o, s.memory.ETags[o.path], base != "" && s.memory.ETags == nil})
	}
	st, own := newStage(digest, replace, parts.kept(late), b.toDelete(c, s))
	// A try that died may have left the stage of this very state.
	st.Delete = slices.DeleteFunc(st.Delete, func(p string) bool { return slices.Contains(st.paths(), p) })
	if err := b.putStage(ctx, st, own); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	// What began is brought to its end: a job that is cancelled here would leave
	// old files beside new ones until the next publish.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), landingTime)
	defer cancel()
	version, err = b.putState(ctx, base, digest, text, honoured)
	if err != nil {
		if errors.Is(err, publish.ErrConflict) {
			b.withdraw(ctx, st)
		}
		return "", err
	}
	blobs := make(map[string]formats.Blob)
	for _, r := range replace {
		blobs[r.path] = r.blob
	}
	l := &landing{seen: seen{version, digest, text, s.memory}, stage: st, blob: func(f *staged) formats.Blob { return blobs[f.Path] }, honoured: honoured}
	err = b.land(ctx, l)
	if errors.Is(err, errMoved) {
		// Who came after has put these files before, and its own by now.
		return version, b.follow(ctx, honoured)
	}
	if err != nil {
		return version, fmt.Errorf("the tree is published, but some of its files are not in place yet: run it again: %w", err)
	}
	b.remember(&l.seen)
	return version, nil
}

// parts are the files of a change by how they are put.
type parts struct {
	fresh   []fresh // whose path has one content for ever
	replace []object
	state   formats.Blob
}

// fresh is an object that comes where none is.
type fresh struct {
	object
	from string // a path that may have the same content, or ""
}

// replacement is an object that may replace another one.
type replacement struct {
	object
	was    string // the other one's ETag, "" if there is none
	unsure bool   // was is not known
}

// sort refuses what can't be put.
func (b *Bucket) sort(c *publish.Change) (*parts, error) {
	p := new(parts)
	there := make(map[string]bool)
	check := func(path string) error {
		switch {
		case !fs.ValidPath(path) || path == ".":
			return fmt.Errorf("bucket %s: path %q: %w", b.o.Bucket, path, fs.ErrInvalid)
		case isOurs(path):
			return fmt.Errorf("bucket %s: %s is where the bucket's own notes lie", b.o.Bucket, path)
		case len(*b.key(path)) > longestKey:
			return fmt.Errorf("bucket %s: %s: the name has more than %d bytes: shorten it, or the prefix", b.o.Bucket, path, longestKey)
		}
		return nil
	}
	for _, f := range c.Put {
		if err := check(f.Path); err != nil {
			return nil, err
		}
		if there[f.Path] {
			return nil, fmt.Errorf("bucket %s: %s is put twice", b.o.Bucket, f.Path)
		}
		there[f.Path] = true
		o := object{f.Path, f.Class, f.Blob}
		switch {
		case f.Path == publish.StatePath:
			p.state = f.Blob
		case fixed(f.Path, f.Class):
			p.replace = append(p.replace, o)
		default:
			p.fresh = append(p.fresh, fresh{o, f.From})
		}
	}
	if p.state == nil {
		return nil, fmt.Errorf("bucket %s: a change without %s can't be committed", b.o.Bucket, publish.StatePath)
	}
	for _, path := range c.Delete {
		if err := check(path); err != nil && !isStage(path) {
			return nil, err
		}
		if there[path] || path == publish.StatePath {
			return nil, fmt.Errorf("bucket %s: %s is put and deleted", b.o.Bucket, path)
		}
	}
	return p, nil
}

// kept says where content lies that is there before the state is.
func (p *parts) kept(late []replacement) map[formats.Ref]string {
	at := make(map[formats.Ref]string)
	for _, o := range p.fresh {
		if !slices.ContainsFunc(late, func(r replacement) bool { return r.path == o.path }) {
			at[o.blob.Ref()] = o.path
		}
	}
	return at
}

// base is what a change is made on, with all its files in place.
func (b *Bucket) base(ctx context.Context, version string) (*seen, error) {
	if s := b.last(); s != nil && s.version == version && (version == "" || s.memory.Finished == s.digest) {
		return s, nil
	}
	s, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	if s.version != version {
		return nil, publish.ErrConflict
	}
	if version != "" && s.memory.Finished != s.digest {
		return nil, fmt.Errorf("bucket %s: the last publish did not finish, and these keys can't finish it", b.o.Bucket)
	}
	return s, nil
}

// toDelete is what the change deletes, what could not be deleted before, and the
// base's stage, which nobody needs once this change is in.
func (b *Bucket) toDelete(c *publish.Change, s *seen) []string {
	gone := slices.Concat(c.Delete, s.memory.Left, s.memory.Stage)
	gone = slices.DeleteFunc(gone, func(p string) bool {
		return slices.ContainsFunc(c.Put, func(f publish.File) bool { return f.Path == p })
	})
	slices.Sort(gone)
	return slices.Compact(gone)
}

// putStage puts the stage, what it refers to first.
func (b *Bucket) putStage(ctx context.Context, st *stage, own []object) error {
	err := each(ctx, len(own), func(ctx context.Context, i int) error {
		_, err := b.put(ctx, own[i], condition{})
		return b.explain("write", own[i].path, err)
	})
	if err != nil {
		return err
	}
	text, err := st.render()
	if err != nil {
		return err
	}
	o := object{stagePath(st.State), publish.Pointer, formats.Bytes(text)}
	_, err = b.put(ctx, o, condition{})
	return b.explain("write", o.path, err)
}

// withdraw deletes the stage of a state that was refused. What can't be deleted
// lies below .distropack/commits and is of no use to anybody.
func (b *Bucket) withdraw(ctx context.Context, st *stage) {
	var keys []string
	for _, p := range st.paths() {
		keys = append(keys, *b.key(p))
	}
	b.removeKeys(ctx, keys)
}

// putState is the commit. Where an answer is lost, it asks what has become of it.
func (b *Bucket) putState(ctx context.Context, base string, digest formats.Digest, text []byte, honoured bool) (version string, err error) {
	o := object{publish.StatePath, publish.Pointer, formats.Bytes(text)}
	// now is the state's version, and whether it is the one to be put.
	now := func() (version string, ours bool, err error) {
		held, version, err := b.readAll(ctx, publish.StatePath, maxState)
		if isMissing(err) {
			return "", false, nil
		}
		return version, sha256.Sum256(held) == digest, b.explain("read", publish.StatePath, err)
	}
	for range b.o.Tries {
		var c condition
		if honoured {
			c = replacing(base)
		} else if at, _, err := now(); err != nil || at != base {
			return "", cmpErr(err, publish.ErrConflict)
		}
		version, err = b.put(ctx, o, c)
		if err == nil {
			return version, nil
		}
		at, ours, asked := now()
		switch {
		case asked != nil:
			return "", b.explain("commit", publish.StatePath, err)
		case ours:
			return at, nil
		case at != base:
			return "", publish.ErrConflict
		case !isRefused(err):
			return "", b.explain("commit", publish.StatePath, err)
		}
		// Refused, and yet the base is still there: two writes met, or the one
		// before is not visible yet. S3 says to do it again.
	}
	return "", publish.ErrConflict
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// landingTime bounds what goes on after a job was cancelled.
const landingTime = 15 * time.Minute
