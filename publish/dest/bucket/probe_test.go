package bucket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

func TestProbeSaysWhatIsWrong(t *testing.T) {
	s := buckettest.Serve(t)
	none, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := none.Addr().String()
	none.Close()
	answer := func(f buckettest.Fault) func(*Options) {
		return func(*Options) { s.On(func(int, *http.Request) buckettest.Fault { return f }) }
	}
	onWrite := func(method string) func(*Options) {
		return func(*Options) {
			s.On(func(_ int, r *http.Request) buckettest.Fault {
				if r.Method == method {
					return buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
				}
				return buckettest.Fault{}
			})
		}
	}
	for name, c := range map[string]struct {
		set  func(*Options)
		want string
	}{
		"fine":         {func(*Options) {}, ""},
		"no bucket":    {func(o *Options) { o.Bucket = "no-such-bucket" }, "has no bucket no-such-bucket: create it"},
		"wrong key":    {func(o *Options) { o.AccessKey = "AKIDOTHER" }, "does not know the access key"},
		"wrong secret": {func(o *Options) { o.SecretKey = "hunter2-wrong" }, "the secret key is not the one"},
		"wrong region": {func(o *Options) { o.Region = "us-west-7" }, `region "us-west-7" is wrong: the bucket is in "eu-test-1"`},
		"redirected": {answer(buckettest.Fault{Status: 301, Code: "PermanentRedirect", Message: "elsewhere", Header: http.Header{"X-Amz-Bucket-Region": {"eu-west-9"}}}),
			`the bucket is in "eu-west-9"`},
		"skewed clock":   {answer(buckettest.Fault{Status: 403, Code: "RequestTimeTooSkewed", Message: "The difference is too large."}), "set this machine's clock"},
		"expired":        {answer(buckettest.Fault{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."}), "the session token is no longer valid"},
		"no permission":  {answer(buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}), "no permission: the key needs s3:GetObject"},
		"may not write":  {onWrite(http.MethodPut), ".distropack/probe: write: no permission"},
		"may not delete": {onWrite(http.MethodDelete), ".distropack/probe: delete: no permission"},
		"overloaded":     {answer(buckettest.Fault{Status: 503, Code: "SlowDown", Message: "slow"}), "try later"},
		"odd":            {answer(buckettest.Fault{Status: 418, Code: "Teapot", Message: "short and stout"}), "answers Teapot: short and stout"},
		"unreachable":    {func(o *Options) { o.Endpoint = "http://" + closed }, closed + " can't be reached"},
		"no keys": {func(o *Options) {
			o.AccessKey, o.Credentials = "", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("nothing in ~/.aws")
			})
		}, "no keys for the store: "},
	} {
		t.Run(name, func(t *testing.T) {
			s.On(nil)
			o := options(s, "probe")
			c.set(&o)
			err := open(t, o).Probe(ctx)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, secret := range []string{s.SecretKey, string(o.SecretKey), s.AccessKey, "Signature="} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q says %q", err, secret)
				}
			}
		})
	}
}

func TestOpenRefusesWhatCannotBe(t *testing.T) {
	good := Options{Bucket: "tree", Prefix: "p/arch", Endpoint: "https://s3.example.org", AccessKey: "a", SecretKey: "hunter2"}
	if _, err := Open(good); err != nil {
		t.Error(err)
	}
	for want, set := range map[string]func(*Options){
		`bucket name "": give the name alone`:                                                   func(o *Options) { o.Bucket = "" },
		`bucket name "tree/p": give the name alone`:                                             func(o *Options) { o.Bucket = "tree/p" },
		`bucket prefix "/p": write it like p/arch, without slashes at its ends`:                 func(o *Options) { o.Prefix = "/p" },
		`bucket prefix "p/": write it like p/arch, without slashes at its ends`:                 func(o *Options) { o.Prefix = "p/" },
		`bucket prefix "p/../q": write it like p/arch, without slashes at its ends`:             func(o *Options) { o.Prefix = "p/../q" },
		"the bucket's endpoint is not a URL like https://s3.example.org":                        func(o *Options) { o.Endpoint = "hunter2.example.org" },
		"the bucket's endpoint s3.example.org has more than a host: keys do not belong into it": func(o *Options) { o.Endpoint = "https://me:hunter2@s3.example.org" },
		"the bucket's endpoint s3.example.com has more than a host: keys do not belong into it": func(o *Options) { o.Endpoint = "https://s3.example.com?key=hunter2" },
		"bucket tree: there is no access key":                                                   func(o *Options) { o.AccessKey = "" },
		"bucket tree: there is an access key and no secret key":                                 func(o *Options) { o.SecretKey = "" },
	} {
		o := good
		set(&o)
		if _, err := Open(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// section decodes to settings that a test made.
type section Settings

func (s section) Decode(v any) error { *v.(*Settings) = Settings(s); return nil }

func TestSettingsThatAreWrong(t *testing.T) {
	for want, s := range map[string]Settings{
		"bucket: name is missing": {},
		"bucket: purge.token is missing: set it or CLOUDFLARE_API_TOKEN": {Name: "tree", AccessKey: "a", SecretKey: "hunter2", Purge: Purge{Zone: "z"}},
		"bucket tree: there is an access key and no secret key":          {Name: "tree", AccessKey: "a"},
	} {
		if _, err := Kind().New(section(s), publish.DestinationEnv{}); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Keys that may only read still read, whatever the last publish left.
func TestReadersKeysCanRead(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "ro")), first())
	// A publish that dies right after its commit.
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		return buckettest.Fault{Drop: r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "index.html")}
	})
	o := options(s, "ro")
	o.Tries = 1
	b := open(t, o)
	head, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(ctx, head, second()); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("after a death: %v", err)
	}
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return buckettest.Fault{}
	})
	var h heard
	o = options(s, "ro")
	o.Say = h.say
	reader := open(t, o)
	head, err = reader.Head(ctx)
	if err != nil || head == "" || !strings.Contains(h.String(), "did not finish") {
		t.Errorf("Head = %q, %v; it said %q", head, err, h.String())
	}
	if _, err := reader.Commit(ctx, head, generation("3")); err == nil {
		t.Error("a commit on what is not finished")
	}
	if got := string(s.Read(t, "ro/"+publish.StatePath)); got != "2" {
		t.Errorf("the state is %q", got)
	}
}

func TestWaitsAsLongAsTheStoreAsks(t *testing.T) {
	answer := func(after string) error {
		res := &http.Response{StatusCode: 503, Header: http.Header{}}
		if after != "" {
			res.Header.Set("Retry-After", after)
		}
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: res}, Err: &smithy.GenericAPIError{Code: "SlowDown"}}
	}
	r := newRetryer(&Options{Tries: 3, maxDelay: time.Millisecond})
	for after, want := range map[string]time.Duration{"7": 7 * time.Second, "9999": time.Minute} {
		if d, err := r.RetryDelay(1, answer(after)); d != want || err != nil {
			t.Errorf("Retry-After %q: %v, %v; want %v", after, d, err, want)
		}
	}
	for _, after := range []string{"", "-1", "soon"} {
		if d, err := r.RetryDelay(1, answer(after)); d > 10*time.Millisecond || err != nil {
			t.Errorf("Retry-After %q: %v, %v", after, d, err)
		}
	}
	too := &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: 429, Header: http.Header{}}}, Err: errors.New("odd body")}
	if !r.IsErrorRetryable(too) || !r.IsErrorRetryable(answer("")) {
		t.Error("429 or SlowDown is not tried again")
	}
}

func TestSecretsShowThemselvesToNobody(t *testing.T) {
	o := Options{Bucket: "b", AccessKey: "a", SecretKey: "hunter2", SessionToken: "hunter3"}
	for _, got := range printed(o) {
		if strings.Contains(got, "hunter") {
			t.Errorf("printed as %s", got)
		}
	}
}
