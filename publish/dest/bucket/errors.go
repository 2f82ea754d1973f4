package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// errMoved says that the state is no longer the one whose files were being put.
var errMoved = errors.New("the tree has moved on")

// fault is what went wrong, in words for people; the SDK's error is kept for the
// program.
type fault struct {
	text string
	err  error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// explain says what is wrong with a request on an object, or on the bucket where
// path is "".
func (b *Bucket) explain(doing, path string, err error) error {
	if err == nil {
		return nil
	}
	where := "bucket " + b.o.Bucket
	if path != "" {
		where += ": " + *b.key(path)
	}
	return &fault{fmt.Sprintf("%s: %s: %s", where, doing, b.reason(err)), err}
}

func (b *Bucket) reason(err error) string {
	var wrong *contentError
	if errors.As(err, &wrong) {
		return wrong.Error()
	}
	status, code := statusOf(err), codeOf(err)
	switch code {
	case "NoSuchBucket":
		return fmt.Sprintf("%s has no bucket %s: create it, or correct its name", b.host, b.o.Bucket)
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the latter is versitygw's
		return fmt.Sprintf("%s does not know the access key: is it of this store, and not revoked?", b.host)
	case "SignatureDoesNotMatch":
		return "the secret key is not the one that belongs to the access key"
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return "the session token is no longer valid: get new temporary keys"
	case "RequestTimeTooSkewed":
		return "the clocks of this machine and the store differ too much: set this machine's clock" + serverTime(err)
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException", "InvalidRegion":
		if r := rightRegion(err); r != "" {
			return fmt.Sprintf("region %q is wrong: the bucket is in %q", b.o.Region, r)
		}
		return fmt.Sprintf("the bucket is not in region %q, or not at this endpoint (%s)", b.o.Region, code)
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		return b.denied()
	case "SlowDown", "TooManyRequests", "RequestLimitExceeded":
		return "the store asks for fewer requests, and kept asking: try later"
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage":
		return "the store is full"
	}
	var api smithy.APIError
	var keys *keysError
	var sent *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &keys):
		return fmt.Sprintf("no keys for the store: %v", keys.err)
	case errors.Is(err, context.Canceled):
		return "stopped"
	case status == http.StatusForbidden:
		return b.denied()
	case status == http.StatusMovedPermanently:
		if r := rightRegion(err); r != "" {
			return fmt.Sprintf("region %q is wrong: the bucket is in %q", b.o.Region, r)
		}
	case errors.As(err, &sent):
		return fmt.Sprintf("%s can't be reached: %v", b.host, sent.Err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s does not answer in time", b.host)
	}
	if errors.As(err, &api) {
		return fmt.Sprintf("%s answers %s: %s", b.host, code, api.ErrorMessage())
	}
	if status != 0 {
		return fmt.Sprintf("%s answers %d", b.host, status)
	}
	return err.Error()
}

func (b *Bucket) denied() string {
	arn := b.o.Bucket + "/" + b.below()
	return fmt.Sprintf("no permission: the key needs s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on %s* and s3:ListBucket on %s (without the latter a store does not say that an object is missing)", arn, b.o.Bucket)
}

// expecting finds the region in "the region 'a' is wrong; expecting 'b'", as Amazon
// quotes it and others do.
var expecting = regexp.MustCompile(`expecting ['"]([a-z0-9-]+)['"]`)

// rightRegion is the region that the store says the bucket is in; "" if it says none.
func rightRegion(err error) string {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) && re.Response != nil {
		if r := re.Response.Header.Get("X-Amz-Bucket-Region"); r != "" {
			return r
		}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if m := expecting.FindStringSubmatch(api.ErrorMessage()); m != nil {
			return m[1]
		}
	}
	return ""
}

func serverTime(err error) string {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) && re.Response != nil && re.Response.Header.Get("Date") != "" {
		return fmt.Sprintf(" (the store says it is %s)", re.Response.Header.Get("Date"))
	}
	return ""
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// statusOf is the HTTP status of the answer; 0 if there was none.
func statusOf(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

// isMissing reports that the object is not there; a missing bucket is another thing.
func isMissing(err error) bool {
	return statusOf(err) == http.StatusNotFound && codeOf(err) != "NoSuchBucket" && codeOf(err) != "NoSuchUpload"
}

// isRefused reports that a condition of a write did not hold, or could not be
// decided because another write was going on.
func isRefused(err error) bool {
	s := statusOf(err)
	return s == http.StatusPreconditionFailed || s == http.StatusConflict || errors.Is(err, errTaken)
}

func isDenied(err error) bool { return statusOf(err) == http.StatusForbidden }
