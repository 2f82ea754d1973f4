package bucket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// DefaultCredentials finds keys as Amazon's own tools do: environment, files below
// ~/.aws, web identity, the machine's role. It reads the environment and is for
// faces to call. Keys are fetched when the first request needs them.
func DefaultCredentials(ctx context.Context, region string) (aws.CredentialsProvider, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	return c.Credentials, nil
}

func client(o *Options) *s3.Client {
	keys := o.Credentials
	if o.AccessKey != "" {
		keys = credentials.NewStaticCredentialsProvider(o.AccessKey, string(o.SecretKey), string(o.SessionToken))
	}
	hc := o.HTTP
	if hc == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		t.ResponseHeaderTimeout = time.Minute // from when the request is sent
		t.MaxIdleConnsPerHost = writers
		hc = &http.Client{Transport: t}
	}
	so := s3.Options{
		Region:       o.Region,
		UsePathStyle: o.PathStyle,
		Credentials:  aws.NewCredentialsCache(askedFor{keys}),
		HTTPClient:   hc,
		Retryer:      newRetryer(o),
		// The digest of the payload is part of the signature. The SDK's own sums
		// come as trailers of a chunked body, which not every store can read.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if o.Endpoint != "" {
		so.BaseEndpoint = &o.Endpoint
	}
	return s3.New(so)
}

// askedFor marks errors of finding keys, so that they can be told from others.
type askedFor struct{ aws.CredentialsProvider }

func (a askedFor) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := a.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, &keysError{err}
	}
	return c, nil
}

type keysError struct{ err error }

func (e *keysError) Error() string { return e.err.Error() }
func (e *keysError) Unwrap() error { return e.err }

// retryer is the SDK's, but that it waits as long as it is told to.
type retryer struct{ aws.RetryerV2 }

func newRetryer(o *Options) aws.Retryer {
	return retryer{retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = o.Tries
		if o.maxDelay > 0 {
			s.MaxBackoff = o.maxDelay
			s.Backoff = retry.NewExponentialJitterBackoff(o.maxDelay)
		}
		// All requests share one bucket of tokens; a publish of a thousand files
		// through a store that asks to slow down is not to run out of it.
		s.RateLimiter = unlimited{}
		s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(tooMany)}, s.Retryables...)
	})}
}

// RetryDelay implements aws.Retryer.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	d, e := r.RetryerV2.RetryDelay(attempt, err)
	if e == nil {
		d = max(d, retryAfter(err))
	}
	return d, e
}

// retryAfter is how long the store asks to wait, but no longer than a minute.
func retryAfter(err error) time.Duration {
	var re *smithyhttp.ResponseError
	if !errors.As(err, &re) || re.Response == nil {
		return 0
	}
	n, e := strconv.Atoi(re.Response.Header.Get("Retry-After"))
	if e != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Minute)
}

// tooMany has 429 tried again whatever its body says; the SDK goes by codes that
// are Amazon's.
func tooMany(err error) aws.Ternary {
	if statusOf(err) == http.StatusTooManyRequests {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// unlimited lets each request have all its tries.
type unlimited struct{}

func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (unlimited) AddTokens(uint) error { return nil }
