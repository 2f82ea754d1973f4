package bucket

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	// duplicateFrom is the size from which a copy inside the store, five requests,
	// is less than to fetch the file and send it.
	duplicateFrom = 1 << 20
	duplicatePart = 1 << 30 // S3 copies up to 5 GiB at once
)

// duplicate has the store copy an object where none is yet, so that a package that
// is promoted to another folder does not come here and go back. It is false where
// that can't be or does not pay. The copy is an upload in parts, since its end can
// be made to depend on there being no object; a plain copy's can't everywhere.
func (b *Bucket) duplicate(ctx context.Context, o fresh) bool {
	ref := o.blob.Ref()
	if o.from == "" || ref.Size < duplicateFrom {
		return false
	}
	if _, err := b.head(ctx, o.path); !isMissing(err) {
		return false
	}
	source, err := b.head(ctx, o.from)
	if err != nil {
		return false
	}
	if same, sure := source.is(ref); !same || !sure {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience(ref.Size))
	defer cancel()
	upload, err := b.begin(ctx, o.object)
	if err != nil {
		return false
	}
	parts, err := b.copyParts(ctx, o, source, upload)
	if err == nil {
		_, err = b.complete(ctx, o.object, upload, parts, condition{none: true})
	}
	if err != nil {
		b.abandon(ctx, o.path, upload)
		return false
	}
	return true
}

func (b *Bucket) copyParts(ctx context.Context, o fresh, source found, upload *string) ([]types.CompletedPart, error) {
	var parts []types.CompletedPart
	// Stores read a plus in this header as a space.
	name := strings.ReplaceAll((&url.URL{Path: b.o.Bucket + "/" + *b.key(o.from)}).EscapedPath(), "+", "%2B")
	for at := int64(0); at < source.size; at += duplicatePart {
		in := &s3.UploadPartCopyInput{
			Bucket: &b.o.Bucket, Key: b.key(o.path), UploadId: upload, PartNumber: aws.Int32(int32(len(parts) + 1)),
			CopySource:        &name,
			CopySourceIfMatch: &source.etag,
		}
		if source.size > duplicatePart {
			in.CopySourceRange = aws.String(fmt.Sprintf("bytes=%d-%d", at, min(at+duplicatePart, source.size)-1))
		}
		out, err := b.s3.UploadPartCopy(ctx, in)
		if err != nil {
			return nil, err
		}
		if out.CopyPartResult == nil || aws.ToString(out.CopyPartResult.ETag) == "" {
			return nil, errOther
		}
		parts = append(parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.CopyPartResult.ETag})
	}
	return parts, nil
}
