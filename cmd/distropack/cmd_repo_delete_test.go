package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/publish/buckettest"
)

// What a publish left in a bucket that died goes with repo gc, and the tree with
// repo delete; a neighbour's objects stay.
func TestABucketIsSweptAndErased(t *testing.T) {
	host := buckettest.Serve(t)
	s := newScript(t, fmt.Sprintf(`publish:
  - site: public
    url: %s/pkg
    bucket: {name: %q, prefix: pkg, endpoint: %q, region: %q, path-style: true}
    clients: [apt, downloads]
`, host.Public, host.Bucket, host.Endpoint, host.Region), "AWS_ACCESS_KEY_ID="+host.AccessKey, "AWS_SECRET_ACCESS_KEY="+host.SecretKey)
	s.release()
	neighbour := "pkg2/pool/x.deb"
	for _, key := range []string{neighbour, "pkg/pool/by-hand.deb"} {
		if _, err := host.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &host.Bucket, Key: &key, Body: strings.NewReader("mine")}); err != nil {
			t.Fatal(err)
		}
	}
	// A package that no index lists, as a publish puts it before it dies.
	from, left, unsent := host.Bucket+"/pkg/pool/main/h/hello/hello_1.0.0-1_amd64.deb", "pkg/pool/main/h/hello/hello_0.9.0-1_amd64.deb", "pkg/pool/large.deb"
	if _, err := host.Client().CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &host.Bucket, Key: &left, CopySource: &from}); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &host.Bucket, Key: &unsent}); err != nil {
		t.Fatal(err)
	}
	repo := func(args ...string) string {
		t.Helper()
		return must(t, s.environ(), append([]string{"-C", s.dir, "repo"}, append(args, "--key", s.key)...)...)
	}
	if out := repo("gc", "public"); !strings.Contains(out, "nothing to do") || host.Read(t, left) == nil {
		t.Errorf("within the grace: %s", out)
	}
	host.Age(t, 25*time.Hour)
	if out := repo("gc", "public", "-n"); !strings.Contains(out, "hello_0.9.0-1_amd64.deb") || !strings.Contains(out, "unfinished upload of pool/large.deb") || host.Read(t, left) == nil {
		t.Errorf("a dry run: %s", out)
	}
	if out := repo("gc", "public"); !strings.Contains(out, "deleted 1 files") || host.Read(t, left) != nil {
		t.Errorf("after the grace: %s", out)
	}
	repo("check", "public", "--deep")
	if out := repo("delete", "--site", "public", "--yes"); !strings.Contains(out, "public: deleted ") {
		t.Errorf("delete: %s", out)
	}
	if got := host.Objects(t, ""); len(got) != 2 || got[neighbour] != "mine" || got["pkg/pool/by-hand.deb"] != "mine" {
		t.Errorf("left are %v", got)
	}
	s.release()
}
