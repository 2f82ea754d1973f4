package bucket

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Settings are the keys of a site's bucket section.
type Settings struct {
	Name      string `yaml:"name" doc:"The bucket."`
	Prefix    string `yaml:"prefix" doc:"Where in the bucket the tree lies; all of it where absent."`
	Endpoint  string `yaml:"endpoint" doc:"The store's address without the bucket, such as https://ACCOUNT.r2.cloudflarestorage.com or https://storage.googleapis.com; Amazon's where absent."`
	Region    string `yaml:"region" doc:"The region: auto for R2; AWS_REGION or us-east-1 where absent."`
	PathStyle bool   `yaml:"path-style" doc:"The bucket's name goes into the path of addresses: for MinIO and others without a host name for each bucket."`
	AccessKey string `yaml:"access-key" doc:"The access key's id; AWS_ACCESS_KEY_ID, or what else Amazon's tools know, where absent."`
	SecretKey string `yaml:"secret-key" doc:"The secret key; AWS_SECRET_ACCESS_KEY where absent. Write it as a variable."`
	Purge     Purge  `yaml:"purge" doc:"A cache in front of the bucket that forgets what was replaced."`
}

// Purge names a cache.
type Purge struct {
	Zone  string `yaml:"cloudflare-zone" doc:"The zone's id at Cloudflare."`
	Token string `yaml:"token" doc:"A token with the permission Cache Purge; CLOUDFLARE_API_TOKEN where absent. Write it as a variable."`
}

// Kind returns the kind of place "bucket".
func Kind() publish.DestinationKind {
	return publish.DestinationKind{Name: "bucket", Options: &Settings{}, New: func(s formats.Section, env publish.DestinationEnv) (publish.Destination, error) {
		b, err := fromSettings(s, env)
		if err != nil {
			return nil, err
		}
		return b, nil
	}}
}

func fromSettings(section formats.Section, env publish.DestinationEnv) (*Bucket, error) {
	var s Settings
	if err := section.Decode(&s); err != nil {
		return nil, err
	}
	if s.Name == "" {
		return nil, errors.New("bucket: name is missing")
	}
	first := func(set string, names ...string) string {
		for _, n := range names {
			if set == "" && env.Lookup != nil {
				set, _ = env.Lookup(n)
			}
		}
		return set
	}
	o := Options{
		Bucket: s.Name, Prefix: s.Prefix, Endpoint: s.Endpoint, PathStyle: s.PathStyle, Say: env.Say,
		Region:    first(s.Region, "AWS_REGION", "AWS_DEFAULT_REGION"),
		AccessKey: first(s.AccessKey, "AWS_ACCESS_KEY_ID"),
	}
	if o.AccessKey != "" {
		o.SecretKey = Secret(first(s.SecretKey, "AWS_SECRET_ACCESS_KEY"))
		if s.AccessKey == "" { // a session's token belongs to the environment's keys
			o.SessionToken = Secret(first("", "AWS_SESSION_TOKEN"))
		}
	} else {
		o.Credentials = &lateCredentials{region: o.Region}
	}
	if s.Purge.Zone != "" {
		token := Secret(first(s.Purge.Token, "CLOUDFLARE_API_TOKEN"))
		if token == "" {
			return nil, errors.New("bucket: purge.token is missing: set it or CLOUDFLARE_API_TOKEN")
		}
		o.Purge = Cloudflare(s.Purge.Zone, token, nil, env.URL)
	}
	return Open(o)
}

// lateCredentials looks for keys when the first request needs them, so that a
// plan looks for none.
type lateCredentials struct {
	region string
	once   sync.Once
	found  aws.CredentialsProvider
	err    error
}

// Retrieve implements aws.CredentialsProvider.
func (l *lateCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	l.once.Do(func() { l.found, l.err = DefaultCredentials(ctx, l.region) })
	if l.err != nil {
		return aws.Credentials{}, l.err
	}
	return l.found.Retrieve(ctx)
}
