package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/distropack/distropack/publish"
)

// batch is how many objects one request deletes: a rule of S3.
const batch = 1000

// remove deletes paths; one that is not there is no error. It returns those that
// could not be deleted, and says why.
func (b *Bucket) remove(ctx context.Context, paths []string) (left []string) {
	keys := make([]string, len(paths))
	at := make(map[string]string)
	for i, p := range paths {
		keys[i] = *b.key(p)
		at[keys[i]] = p
	}
	failed, err := b.removeKeys(ctx, keys)
	for _, k := range failed {
		left = append(left, at[k])
	}
	slices.Sort(left)
	if err != nil {
		b.o.Say(fmt.Sprintf("%v (%d files): the next publish tries again", b.explain("delete", left[0], err), len(left)))
	}
	return left
}

// removeKeys deletes objects, in batches where the store has them, and returns
// those that it could not delete with the first reason.
func (b *Bucket) removeKeys(ctx context.Context, keys []string) (left []string, err error) {
	for some := range slices.Chunk(keys, batch) {
		l, e := b.removeBatch(ctx, some)
		left = append(left, l...)
		if err == nil {
			err = e
		}
	}
	return left, err
}

func (b *Bucket) removeBatch(ctx context.Context, keys []string) (left []string, err error) {
	if len(keys) == 1 {
		return b.removeEach(ctx, keys)
	}
	in := &s3.DeleteObjectsInput{Bucket: &b.o.Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
	for i := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &keys[i]})
	}
	once, cancel := context.WithTimeout(ctx, patience(0))
	defer cancel()
	out, err := b.s3.DeleteObjects(once, in)
	if err != nil {
		// Google's store has no such request, others want another checksum. What
		// one by one is refused as well, is told then.
		if s := statusOf(err); s >= 400 && s != http.StatusForbidden && s != http.StatusServiceUnavailable {
			return b.removeEach(ctx, keys)
		}
		return keys, err
	}
	for _, e := range out.Errors {
		if aws.ToString(e.Code) != "NoSuchKey" {
			left = append(left, aws.ToString(e.Key))
			err = fmt.Errorf("%s: %s", aws.ToString(e.Code), aws.ToString(e.Message))
		}
	}
	return left, err
}

func (b *Bucket) removeEach(ctx context.Context, keys []string) (left []string, err error) {
	var mu sync.Mutex
	each(ctx, len(keys), func(ctx context.Context, i int) error {
		_, e := b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.o.Bucket, Key: &keys[i]})
		if e != nil && !isMissing(e) {
			mu.Lock()
			defer mu.Unlock()
			left, err = append(left, keys[i]), e
		}
		return nil
	})
	return left, err
}

// List calls f for every file of the tree below a folder, "" being the whole tree,
// in the order of their names. modified is when the store got it, by its own clock.
func (b *Bucket) List(ctx context.Context, folder string, f func(path string, size int64, modified time.Time) error) error {
	prefix := b.below()
	if folder != "" {
		prefix = *b.key(folder) + "/"
	}
	return b.list(ctx, prefix, func(o types.Object) error {
		return f((*o.Key)[len(b.below()):], aws.ToInt64(o.Size), aws.ToTime(o.LastModified))
	})
}

func (b *Bucket) list(ctx context.Context, prefix string, f func(types.Object) error) error {
	pages := s3.NewListObjectsV2Paginator(b.s3, &s3.ListObjectsV2Input{Bucket: &b.o.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.explain("list", "", err)
		}
		for _, o := range page.Contents {
			// What a store gives besides is not of this tree.
			if k := aws.ToString(o.Key); len(k) < len(prefix) || k[:len(prefix)] != prefix {
				return fmt.Errorf("bucket %s: asked for %s…, the store lists %s", b.o.Bucket, prefix, k)
			}
			if err := f(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// RemoveAll deletes everything below the prefix, whoever put it there: with an
// empty Prefix, every object of the bucket. The state goes first, so that a publish
// that is going on is refused. It may be called again after an error.
func (b *Bucket) RemoveAll(ctx context.Context) error {
	if _, err := b.removeKeys(ctx, []string{*b.key(publish.StatePath)}); err != nil {
		return b.explain("delete", publish.StatePath, err)
	}
	var keys []string
	if err := b.list(ctx, b.below(), func(o types.Object) error { keys = append(keys, *o.Key); return nil }); err != nil {
		return err
	}
	left, err := b.removeKeys(ctx, keys)
	if err != nil {
		return fmt.Errorf("%w (%d files are left)", b.explain("delete", left[0][len(b.below()):], err), len(left))
	}
	b.mu.Lock()
	b.seen = nil
	b.mu.Unlock()
	return b.abandonAll(ctx)
}

// abandonAll gives up every unfinished upload below the prefix.
func (b *Bucket) abandonAll(ctx context.Context) error {
	prefix := b.below()
	pages := s3.NewListMultipartUploadsPaginator(b.s3, &s3.ListMultipartUploadsInput{Bucket: &b.o.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if s := statusOf(err); s == http.StatusNotImplemented || s == http.StatusMethodNotAllowed {
			return nil
		}
		if err != nil {
			return b.explain("list unfinished uploads", "", err)
		}
		for _, u := range page.Uploads {
			if len(*u.Key) < len(prefix) || (*u.Key)[:len(prefix)] != prefix {
				return errors.New("the store lists uploads of another prefix")
			}
			b.abandon(ctx, (*u.Key)[len(prefix):], u.UploadId)
		}
	}
	return nil
}
