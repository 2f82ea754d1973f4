package bucket

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	return b.list(ctx, prefix, func(o types.Object, _ time.Duration) error {
		return f((*o.Key)[len(b.below()):], aws.ToInt64(o.Size), aws.ToTime(o.LastModified))
	})
}

// list calls f for every object whose key starts with prefix, and how old it is by
// the store's clock.
func (b *Bucket) list(ctx context.Context, prefix string, f func(o types.Object, age time.Duration) error) error {
	pages := s3.NewListObjectsV2Paginator(b.s3, &s3.ListObjectsV2Input{Bucket: &b.o.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.explain("list", "", err)
		}
		for _, o := range page.Contents {
			// What a store gives besides is not of this tree.
			if k := aws.ToString(o.Key); !strings.HasPrefix(k, prefix) {
				return fmt.Errorf("bucket %s: asked for %s…, the store lists %s", b.o.Bucket, prefix, k)
			}
			if err := f(o, since(o.LastModified, page.ResultMetadata)); err != nil {
				return err
			}
		}
	}
	return nil
}

// upload is a file that is being sent in parts, or was.
type upload struct {
	path string
	id   *string
	age  time.Duration // by the store's clock
}

// uploads lists those below the prefix; none where the store has no such request.
func (b *Bucket) uploads(ctx context.Context) (all []upload, err error) {
	prefix := b.below()
	pages := s3.NewListMultipartUploadsPaginator(b.s3, &s3.ListMultipartUploadsInput{Bucket: &b.o.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if s := statusOf(err); s == http.StatusNotImplemented || s == http.StatusMethodNotAllowed {
			return nil, nil
		}
		if err != nil {
			return nil, b.explain("list unfinished uploads", "", err)
		}
		for _, u := range page.Uploads {
			p, ok := strings.CutPrefix(aws.ToString(u.Key), prefix)
			if !ok {
				return nil, fmt.Errorf("bucket %s: asked for %s…, the store lists the upload %s", b.o.Bucket, prefix, *u.Key)
			}
			all = append(all, upload{p, u.UploadId, since(u.Initiated, page.ResultMetadata)})
		}
	}
	return all, nil
}
