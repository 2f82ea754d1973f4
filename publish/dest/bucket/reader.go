package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// reader reads an object, and where the connection ends before the object does,
// goes on from there.
type reader struct {
	b      *Bucket
	ctx    context.Context // of the one who reads
	stop   context.CancelFunc
	path   string
	etag   string
	digest string // as we stored it, "" if somebody else did
	body   io.ReadCloser
	n      int64 // read so far
	size   int64 // -1 if the store did not say
	tries  int
}

func (b *Bucket) get(ctx context.Context, path string) (*reader, error) {
	r := &reader{b: b, path: path, tries: b.o.Tries}
	r.ctx, r.stop = context.WithCancel(ctx)
	if err := r.open(); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *reader) open() error {
	in := &s3.GetObjectInput{Bucket: &r.b.o.Bucket, Key: r.b.key(r.path)}
	if r.n > 0 {
		in.Range, in.IfMatch = aws.String(fmt.Sprintf("bytes=%d-", r.n)), &r.etag
	}
	out, err := r.b.s3.GetObject(r.ctx, in)
	if err != nil {
		return err
	}
	if r.n > 0 && aws.ToString(out.ContentRange) == "" {
		out.Body.Close()
		return errors.New("the store can't go on in the middle of a file")
	}
	r.body = out.Body
	if r.n == 0 {
		r.etag, r.digest, r.size = aws.ToString(out.ETag), out.Metadata[digestKey], -1
		if out.ContentLength != nil {
			r.size = *out.ContentLength
		}
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.n += int64(n)
		whole := r.size < 0 || r.n == r.size
		if err == nil || err == io.EOF && whole {
			return n, err
		}
		if r.tries--; r.tries <= 0 || r.ctx.Err() != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, fmt.Errorf("read %s: %w after %d of %d bytes", r.path, err, r.n, r.size)
		}
		r.body.Close()
		r.body = spent{}
		if again := r.open(); again != nil {
			return n, fmt.Errorf("read %s: %w after %d of %d bytes, and again: %w", r.path, err, r.n, r.size, again)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// spent is the body of an answer that has ended.
type spent struct{}

func (spent) Read([]byte) (int, error) { return 0, io.EOF }
func (spent) Close() error             { return nil }

func (r *reader) Close() error {
	defer r.stop()
	return r.body.Close()
}
