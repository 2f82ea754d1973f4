package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

const (
	memoryPath = publish.PrivateDir + "/bucket"
	maxState   = 64 << 20
	maxMemory  = 64 << 20
)

// memory is what .distropack/bucket holds: what this package knows of the bucket
// besides the tree. It may be lost; all in it can be found out again.
type memory struct {
	Format      int            `json:"format"` // 1
	Conditional *bool          `json:"conditional,omitempty"`
	Finished    formats.Digest `json:"finished"`        // of the state whose files are all in place
	Stage       []string       `json:"stage,omitempty"` // the paths of that state's staged objects
	Left        []string       `json:"left,omitempty"`  // paths that were to be deleted and could not
	// ETags of objects that are replaced in place, by path.
	ETags map[string]string `json:"etags,omitempty"`
}

const memoryFormat = 1

// seen is what a look at the bucket found.
type seen struct {
	version string // the state's ETag; "" is the empty tree
	digest  formats.Digest
	state   []byte
	memory  memory
}

// Head implements publish.Destination: the ETag of the state. A commit that
// somebody left unfinished is finished first; where the keys do not allow to
// write, it stays as it is.
func (b *Bucket) Head(ctx context.Context) (string, error) {
	s, err := b.current(ctx)
	if err != nil {
		return "", err
	}
	return s.version, nil
}

// current looks at the bucket until what it finds is finished. Each further turn
// means that another publish was done.
func (b *Bucket) current(ctx context.Context) (*seen, error) {
	for range 100 {
		s, err := b.look(ctx)
		if err != nil {
			return nil, err
		}
		if s.version != "" && s.memory.Finished != s.digest {
			err = b.recover(ctx, s)
		}
		if errors.Is(err, errMoved) {
			continue
		}
		if isDenied(err) {
			b.o.Say(fmt.Sprintf("bucket %s: the last publish did not finish, and these keys can't finish it: the next publish does", b.o.Bucket))
			err = nil
		}
		if err != nil {
			return nil, err
		}
		b.remember(s)
		return s, nil
	}
	return nil, fmt.Errorf("bucket %s: %w all the time", b.o.Bucket, publish.ErrConflict)
}

func (b *Bucket) remember(s *seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = s
	if c := s.memory.Conditional; c != nil {
		b.conditional = c
	}
}

func (b *Bucket) last() *seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// look reads the state and the memory.
func (b *Bucket) look(ctx context.Context) (*seen, error) {
	s := new(seen)
	var known []byte
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { s.state, s.version, errs[0] = b.readAll(ctx, publish.StatePath, maxState) })
	wg.Go(func() { known, _, errs[1] = b.readAll(ctx, memoryPath, maxMemory) })
	wg.Wait()
	for i, p := range []string{publish.StatePath, memoryPath} {
		if errs[i] != nil && !isMissing(errs[i]) {
			return nil, b.explain("read", p, errs[i])
		}
	}
	if errs[0] != nil {
		s.state, s.version = nil, ""
	} else {
		s.digest = sha256.Sum256(s.state)
		if s.version == "" {
			return nil, b.explain("read", publish.StatePath, errors.New("the store gives no ETag, so publishes can't be told apart"))
		}
	}
	if errs[1] == nil && (json.Unmarshal(known, &s.memory) != nil || s.memory.Format != memoryFormat) {
		s.memory = memory{}
	}
	return s, nil
}

// readAll reads a small object, again if it is replaced meanwhile or comes as
// something else than what was stored. The error is the SDK's.
func (b *Bucket) readAll(ctx context.Context, path string, limit int64) (text []byte, etag string, err error) {
	for range b.o.Tries {
		text, etag, err = b.readOnce(ctx, path, limit)
		if !isRefused(err) && !errors.Is(err, errOther) {
			break
		}
	}
	return text, etag, err
}

// errOther is for proxies that shorten answers, and for stores that give bytes of
// one version with the headers of another: who took that state for a base would
// undo what the other publish did.
var errOther = errors.New("what the store gives is not what was stored: a proxy may have changed it")

func (b *Bucket) readOnce(ctx context.Context, path string, limit int64) (text []byte, etag string, err error) {
	r, err := b.get(ctx, path)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	text, err = io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	if err == nil && r.digest != "" && r.digest != formats.Digest(sha256.Sum256(text)).String() {
		err = errOther
	}
	return text, r.etag, err
}

// Open implements publish.Destination. It reads what lies in the bucket now,
// whatever the version: what a publish reads, it checks by digest. The state that
// Head read is not read again.
func (b *Bucket) Open(ctx context.Context, version, path string) (io.ReadCloser, error) {
	if !fs.ValidPath(path) {
		return nil, fmt.Errorf("path %q: %w", path, fs.ErrInvalid)
	}
	if s := b.last(); path == publish.StatePath && s != nil && s.version == version && version != "" {
		return io.NopCloser(bytes.NewReader(s.state)), nil
	}
	r, err := b.get(ctx, path)
	if isMissing(err) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, b.explain("read", path, err)
	}
	return r, nil
}

// since is how long ago something was, at the store's time by the answer's Date; 0
// where either is missing.
func since(then *time.Time, answer middleware.Metadata) time.Duration {
	now, ok := awsmiddleware.GetServerTime(answer)
	if !ok || then == nil {
		return 0
	}
	return now.Sub(*then)
}
