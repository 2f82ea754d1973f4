package buckettest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// The server is what the destination's tests rest on: conditional writes are
// decided, faults do what they say.
func TestServerDecidesConditionsAndProxyMakesFaults(t *testing.T) {
	s := Serve(t)
	ctx := context.Background()
	c := s3.New(s.Client().Options(), func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	put := func(body, match, none string) error {
		in := &s3.PutObjectInput{Bucket: &s.Bucket, Key: aws.String("dir/a b+c"), Body: strings.NewReader(body)}
		if match != "" {
			in.IfMatch = &match
		}
		if none != "" {
			in.IfNoneMatch = &none
		}
		_, err := c.PutObject(ctx, in)
		return err
	}
	refused := func(err error) bool {
		var api smithy.APIError
		return errors.As(err, &api) && api.ErrorCode() == "PreconditionFailed"
	}
	has := func(want string) {
		t.Helper()
		if got := string(s.Read(t, "dir/a b+c")); got != want {
			t.Errorf("the object is %q, want %q", got, want)
		}
	}
	if err := put("1", "", "*"); err != nil {
		t.Fatal(err)
	}
	if err := put("2", "", "*"); !refused(err) {
		t.Errorf("If-None-Match on what is there: %v", err)
	}
	if err := put("2", `"0"`, ""); !refused(err) {
		t.Errorf("If-Match of another version: %v", err)
	}
	has("1")
	s.On(func(int, *http.Request) Fault { return Fault{Ignore: []string{"If-Match", "If-None-Match"}} })
	if err := put("3", "", "*"); err != nil {
		t.Errorf("with the header ignored: %v", err)
	}
	has("3")
	s.On(func(int, *http.Request) Fault { return Fault{Drop: true} })
	if err := put("4", "", ""); err == nil {
		t.Error("a dropped request succeeded")
	}
	has("3")
	s.On(func(int, *http.Request) Fault { return Fault{Lose: true} })
	if err := put("5", "", ""); err == nil {
		t.Error("a lost answer arrived")
	}
	has("5")
	if got := s.Requests(); len(got) != 1 || got[0] != "PUT dir/a b+c" {
		t.Errorf("requests = %q", got)
	}
	s.On(func(int, *http.Request) Fault { return Fault{Status: 403, Code: "AccessDenied", Message: "no"} })
	var api smithy.APIError
	if err := put("6", "", ""); !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" {
		t.Errorf("a denied request: %v", err)
	}
	s.On(nil)
	if all := s.Objects(t, "dir/"); len(all) != 1 || all["dir/a b+c"] != "5" {
		t.Errorf("objects = %v", all)
	}
}
