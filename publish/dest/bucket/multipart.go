package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/distropack/distropack/formats"
)

const (
	multipartFrom = 64 << 20 // files larger than this go in parts
	smallestPart  = 16 << 20
	mostParts     = 10000 // a rule of S3
	partsAtOnce   = 2     // each is held in memory
)

// putLarge stores an object in parts. At most partsAtOnce parts are in memory.
// The upload is given up where anything fails, so that nobody pays for its parts.
func (b *Bucket) putLarge(ctx context.Context, o object, c condition) (etag string, err error) {
	ref := o.blob.Ref()
	ctx, cancel := context.WithTimeout(ctx, patience(ref.Size))
	defer cancel()
	if c.none {
		// Rather a question than the file sent for nothing, as after a crash.
		if _, err := b.head(ctx, o.path); err == nil {
			return "", errTaken
		} else if !isMissing(err) {
			return "", err
		}
	}
	b.abandonOld(ctx, o.path)
	upload, err := b.begin(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			b.abandon(ctx, o.path, upload)
		}
	}()
	parts, err := b.putParts(ctx, o, upload)
	if err != nil {
		return "", err
	}
	return b.complete(ctx, o, upload, parts, c)
}

// begin starts an upload in parts.
func (b *Bucket) begin(ctx context.Context, o object) (upload *string, err error) {
	up, err := b.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.o.Bucket, Key: b.key(o.path),
		ContentType: aws.String(mediaType(o.path)), CacheControl: aws.String(cacheControl(o.path, o.class)),
		Metadata: map[string]string{digestKey: o.blob.Ref().SHA256.String()},
	})
	if err != nil {
		return nil, err
	}
	return up.UploadId, nil
}

// complete makes an object of an upload's parts and returns its ETag.
func (b *Bucket) complete(ctx context.Context, o object, upload *string, parts []types.CompletedPart, c condition) (etag string, err error) {
	done, err := b.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.o.Bucket, Key: b.key(o.path), UploadId: upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfMatch:         c.ifMatch(), IfNoneMatch: c.ifNoneMatch(),
	})
	if codeOf(err) == "NoSuchUpload" && c == (condition{}) {
		// The first try was done and its answer got lost, or somebody gave it up.
		h, e := b.head(ctx, o.path)
		if same, sure := h.is(o.blob.Ref()); e == nil && same && sure {
			return h.etag, nil
		}
	} else if codeOf(err) == "NoSuchUpload" {
		return "", errTaken
	}
	if err != nil {
		return "", err
	}
	return b.tag(ctx, o.path, done.ETag)
}

// errTaken stands for the refusal of a condition that was not sent.
var errTaken = errors.New("there is an object already")

// putParts sends the content, in parts. It fails if the content is not what its
// Ref says. Parts that are on their way when something fails are waited for: the
// store would keep them when they arrive after the upload was given up.
func (b *Bucket) putParts(ctx context.Context, o object, upload *string) ([]types.CompletedPart, error) {
	ref := o.blob.Ref()
	failed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r, err := o.blob.Open()
	if err != nil {
		return nil, &contentError{err}
	}
	defer r.Close()
	size := max(smallestPart, (ref.Size+mostParts-1)/mostParts)
	parts := make([]types.CompletedPart, (ref.Size+size-1)/size)
	buffers := make(chan []byte, partsAtOnce)
	for range partsAtOnce {
		buffers <- nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	whole := sha256.New()
	for i := range parts {
		var buffer []byte
		select {
		case buffer = <-buffers:
		case <-failed.Done():
			return nil, context.Cause(failed)
		}
		if buffer == nil {
			buffer = make([]byte, size)
		}
		buffer = buffer[:min(size, ref.Size-int64(i)*size)]
		if n, err := io.ReadFull(r, buffer); err != nil {
			return nil, &contentError{tooShort(err, int64(i)*size+int64(n), ref.Size)}
		}
		whole.Write(buffer)
		wg.Go(func() {
			n := int32(i + 1)
			out, err := b.s3.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &b.o.Bucket, Key: b.key(o.path), UploadId: upload, PartNumber: &n,
				Body: bytes.NewReader(buffer), ContentLength: aws.Int64(int64(len(buffer))),
			}, payload(formats.Digest(sha256.Sum256(buffer))))
			if err != nil {
				stop(err)
				return
			}
			parts[i] = types.CompletedPart{PartNumber: &n, ETag: out.ETag}
			buffers <- buffer[:cap(buffer)]
		})
	}
	err = ended(r, ref.Size)
	if err == nil {
		err = checkDigest(whole.Sum(nil), ref)
	}
	if err != nil {
		return nil, &contentError{err}
	}
	wg.Wait()
	return parts, context.Cause(failed)
}

// abandon gives an upload up, even when its context has ended. A part that was on
// its way may arrive afterwards and stay, so it is looked whether all are gone.
func (b *Bucket) abandon(ctx context.Context, path string, upload *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var err error
	for range b.o.Tries {
		_, err = b.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.o.Bucket, Key: b.key(path), UploadId: upload})
		if err == nil {
			_, err = b.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: &b.o.Bucket, Key: b.key(path), UploadId: upload})
		}
		if statusOf(err) == http.StatusNotFound {
			return
		}
	}
	if err == nil {
		err = errors.New("its parts stay")
	}
	b.o.Say(b.explain("give up an unfinished upload", path, err).Error() + "; the next publish of this file does")
}

// abandonOld gives up what a publish that died left of the same file. Stores that
// can't list uploads have rules of their own for them.
func (b *Bucket) abandonOld(ctx context.Context, path string) {
	key := b.key(path)
	out, err := b.s3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.o.Bucket, Prefix: key})
	if err != nil {
		return
	}
	for _, u := range out.Uploads {
		if *u.Key == *key && since(u.Initiated, out.ResultMetadata) > b.o.Grace {
			b.abandon(ctx, path, u.UploadId)
		}
	}
}
