package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// digestKey is the user metadata (x-amz-meta-…) that holds an object's SHA-256.
const digestKey = "sha256"

// object is a file on its way into the bucket.
type object struct {
	path  string
	class publish.Class
	blob  formats.Blob
}

// condition of a write; the zero one is always met.
type condition struct {
	match string // the ETag of the object that is replaced
	none  bool   // there must be no object
}

// replacing is the condition for putting what replaces an ETag; "" is no object.
func replacing(etag string) condition { return condition{match: etag, none: etag == ""} }

func (c condition) ifMatch() *string {
	if c.match == "" {
		return nil
	}
	return &c.match
}

func (c condition) ifNoneMatch() *string {
	if !c.none {
		return nil
	}
	return aws.String("*")
}

// put stores an object and returns its ETag. The object becomes visible only if
// its content is what its Ref says. The error is the SDK's: isRefused tells
// whether the condition did not hold. A repeated request may be refused because
// the first one was done.
func (b *Bucket) put(ctx context.Context, o object, c condition) (etag string, err error) {
	if o.blob.Ref().Size > multipartFrom {
		return b.putLarge(ctx, o, c)
	}
	ref := o.blob.Ref()
	ctx, cancel := context.WithTimeout(ctx, patience(ref.Size))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	body, err := bodyOf(o.blob, stop)
	if err != nil {
		return "", err
	}
	defer body.Close()
	out, err := b.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.o.Bucket, Key: b.key(o.path), Body: body, ContentLength: &ref.Size,
		ContentType: aws.String(mediaType(o.path)), CacheControl: aws.String(cacheControl(o.path, o.class)),
		Metadata: map[string]string{digestKey: ref.SHA256.String()},
		IfMatch:  c.ifMatch(), IfNoneMatch: c.ifNoneMatch(),
	}, payload(ref.SHA256))
	if err != nil {
		return "", because(ctx, err)
	}
	return b.tag(ctx, o.path, out.ETag)
}

// tag is the ETag of an answer; a proxy that drops the header costs a request.
func (b *Bucket) tag(ctx context.Context, path string, etag *string) (string, error) {
	if aws.ToString(etag) != "" {
		return *etag, nil
	}
	h, err := b.head(ctx, path)
	if err == nil && h.etag == "" {
		err = errors.New("the store gives no ETag")
	}
	return h.etag, err
}

// patience is how long a request on so many bytes may take, all its tries included.
func patience(size int64) time.Duration {
	return 5*time.Minute + time.Duration(size>>16)*time.Second // at 64 KiB/s
}

// payload has the request signed for the digest of its body: a store that checks
// refuses anything else. The SDK would read the body one more time to know it.
func payload(d formats.Digest) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("payloadDigest", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(d[:])), in)
			}), middleware.After)
		})
	}
}

// because prefers the reason why a context was given up.
func because(ctx context.Context, err error) error {
	var wrong *contentError
	if errors.As(context.Cause(ctx), &wrong) {
		return wrong
	}
	return err
}

// found is what the store says of an object.
type found struct {
	etag   string
	size   int64
	digest string // as we stored it, "" if somebody else did

	media, cache string        // headers
	age          time.Duration // by the store's clock; 0 if it does not say
}

// written reports whether put stored the object at a path: it has the headers that
// put gives, among them a digest that fits.
func (f found) written(path string) bool {
	digest, err := formats.ParseDigest(f.digest)
	return err == nil && digest.String() == f.digest && f.media == mediaType(path) && (f.cache == forever || f.cache == asked)
}

// is reports whether the object has this content, as far as can be told without
// reading it; sure is false where it has to be read.
func (f found) is(ref formats.Ref) (same, sure bool) {
	if f.size != ref.Size {
		return false, true
	}
	return f.digest == ref.SHA256.String(), f.digest != ""
}

func (b *Bucket) head(ctx context.Context, path string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, patience(0))
	defer cancel()
	out, err := b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.o.Bucket, Key: b.key(path)})
	if err != nil {
		return found{}, err
	}
	return found{aws.ToString(out.ETag), aws.ToInt64(out.ContentLength), out.Metadata[digestKey],
		aws.ToString(out.ContentType), aws.ToString(out.CacheControl), since(out.LastModified, out.ResultMetadata)}, nil
}

// has reports whether an object has this content, reading it where another
// program put it there.
func (b *Bucket) has(ctx context.Context, path string, f found, ref formats.Ref) (bool, error) {
	same, sure := f.is(ref)
	if sure {
		return same, nil
	}
	r, err := b.Open(ctx, "", path)
	if err != nil {
		return false, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return false, err
	}
	return formats.Digest(h.Sum(nil)) == ref.SHA256, nil
}
