// Package bucket keeps a tree in a bucket of any store that speaks Amazon's S3 API.
//
// A bucket replaces one object at a time, so a change becomes visible in an order
// that suits readers and that any later publish can take up again:
//
//  1. What never changes under its name (packages, records, indexes named by
//     digest) is put first, with If-None-Match, so that no two publishes write
//     over each other.
//  2. Everything that replaces an object goes into one staged object,
//     .distropack/commits/<SHA-256 of the new state>, together with the paths to
//     delete.
//  3. The state is put with If-Match. This is the commit: of two publishes on one
//     base, one is refused.
//  4. The staged files are put at their public paths, signed files last and each
//     next to its signature. Then what the change deletes goes.
//  5. .distropack/bucket remembers that the commit is finished.
//
// Whoever next asks for the Head and finds an unfinished commit does steps 4 and 5
// for it. Each staged file is put with the ETag that it replaces, so whoever is
// late, helps or died in between cannot bring an older file back.
//
// Where a store ignores conditions (it is tried once, and remembered), all this
// holds as long as one publish runs at a time; Options.Say is told so.
//
// What a publish leaves that died before its commit is found by Leftovers and goes
// with a later commit, which refuses who has begun to make use of it meanwhile.
//
// The package makes no bucket, and sets no policy, website or lifecycle.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/publish"
)

// Options of a Bucket. Bucket is required, and so are AccessKey and SecretKey or
// else Credentials.
type Options struct {
	Bucket    string
	Prefix    string // where in the bucket the tree lies, "p/arch"; "" is the whole bucket
	Region    string // "" means us-east-1; R2 wants "auto"
	Endpoint  string // "https://host", without the bucket; "" is Amazon's
	PathStyle bool   // the bucket's name goes into the path, not into the host's name

	AccessKey    string
	SecretKey    Secret
	SessionToken Secret                  // of temporary keys
	Credentials  aws.CredentialsProvider // used where AccessKey is empty

	HTTP  *http.Client  // nil means one with timeouts of its own
	Tries int           // how often a request is made; 0 means 5
	Grace time.Duration // how old an unfinished upload of a file is when it is taken for a dead publish's; 0 means an hour

	Purge Purger       // told of what was replaced, after it was; nil: nobody is
	Say   func(string) // told what an operator should know; nil drops it

	maxDelay time.Duration // between tries; 0 means 20 s
}

// Secret is a key or token that shows itself to nobody.
type Secret string

func (Secret) String() string   { return "[secret]" }
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret in JSON and the like.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Purger makes a cache in front of the bucket forget files, given as paths in the
// tree.
type Purger func(ctx context.Context, paths []string) error

// Bucket is a publish.Destination. It may be used concurrently.
type Bucket struct {
	o    Options
	s3   *s3.Client
	host string // for messages

	mu          sync.Mutex
	seen        *seen
	conditional *bool // whether the store honours conditions; nil: not known yet
	warned      bool

	alone sync.Mutex // held by a commit where the store honours no conditions
}

var _ publish.Destination = (*Bucket)(nil)

// Open returns the tree. Nothing is asked of the store yet: Probe does.
func Open(o Options) (*Bucket, error) {
	if o.Bucket == "" || strings.ContainsAny(o.Bucket, "/ ?#") {
		return nil, fmt.Errorf("bucket name %q: give the name alone", o.Bucket)
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return nil, err
	}
	host := "Amazon S3"
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, errors.New("the bucket's endpoint is not a URL like https://s3.example.org")
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("the bucket's endpoint %s has more than a host: keys do not belong into it", u.Host)
		}
		host = u.Host
	}
	if o.AccessKey == "" && o.Credentials == nil {
		return nil, fmt.Errorf("bucket %s: there is no access key", o.Bucket)
	}
	if o.AccessKey != "" && o.SecretKey == "" {
		return nil, fmt.Errorf("bucket %s: there is an access key and no secret key", o.Bucket)
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return &Bucket{o: o, s3: client(&o), host: host}, nil
}

func checkPrefix(p string) error {
	if p == "" {
		return nil
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("bucket prefix %q: write it like p/arch, without slashes at its ends", p)
		}
	}
	return nil
}

// key is the name of a path's object.
func (b *Bucket) key(path string) *string {
	if b.o.Prefix != "" {
		path = b.o.Prefix + "/" + path
	}
	return &path
}

// below is what the keys of the tree start with.
func (b *Bucket) below() string {
	if b.o.Prefix == "" {
		return ""
	}
	return b.o.Prefix + "/"
}
