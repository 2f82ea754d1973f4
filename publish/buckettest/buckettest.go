// Package buckettest runs an S3 server for tests: versitygw, a program of its own
// that shares no code with the destination under test, behind a proxy that counts
// requests and makes them fail.
package buckettest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// version is what the tests are written against.
const version = "v1.8.0"

// Server is a bucket that is served for one test.
type Server struct {
	Endpoint  string // "http://127.0.0.1:1234", without the bucket
	Bucket    string
	AccessKey string
	SecretKey string
	Region    string
	Dir       string // where the objects lie as files
	Public    string // what anybody can GET objects below, without a trailing slash

	proxy *proxy
}

// Serve starts a server with one empty bucket, whose objects anybody may read. It
// ends with the test. Where versitygw is neither installed nor can be built, the
// test is skipped; in CI it fails.
func Serve(t testing.TB) *Server {
	t.Helper()
	program, err := command()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// A socket's path has to be short, which t.TempDir's is not.
	dir, err := os.MkdirTemp("/tmp", "dps3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{Bucket: "tree", AccessKey: "AKIDEXAMPLE", SecretKey: "not-a-real-secret", Region: "eu-test-1"}
	root, socket := filepath.Join(dir, "root"), filepath.Join(dir, "s")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Dir = filepath.Join(root, s.Bucket)
	var said bytes.Buffer
	// Metadata goes into extended attributes: with --sidecar, a GET during a PUT
	// gives one version's bytes with the other's ETag (611 of 3,360 did), which no
	// store does. So /tmp must be able to keep such attributes.
	cmd := exec.Command(program, "--port", socket, "--region", s.Region, "--quiet", "posix", root)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ROOT_ACCESS_KEY_ID=" + s.AccessKey, "ROOT_SECRET_ACCESS_KEY=" + s.SecretKey}
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	await(t, socket, ended, &said)

	s.proxy = newProxy(s, socket)
	front := httptest.NewServer(s.proxy)
	t.Cleanup(front.Close)
	s.Endpoint, s.Public = front.URL, front.URL+"/"+s.Bucket
	s.create(t)
	s.proxy.reset()
	return s
}

// await returns when the server takes connections.
func await(t testing.TB, socket string, ended chan error, said *bytes.Buffer) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("versitygw ended: %v\n%s", err, said)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("versitygw does not answer: %v", err)
		}
	}
}

// create makes the bucket and lets anybody read it.
func (s *Server) create(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := s.Client()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &s.Bucket}); err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/*"]}]}`, s.Bucket)
	if _, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &s.Bucket, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
}

// Client is another client of the server, for looking and meddling.
func (s *Server) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, UsePathStyle: true,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")),
	})
}

// Objects returns every object whose key starts with prefix, by key, read as
// anybody reads.
func (s *Server) Objects(t testing.TB, prefix string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	p := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix})
	for p.HasMorePages() {
		page, err := p.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			all[*o.Key] = string(s.Read(t, *o.Key))
		}
	}
	return all
}

// Age makes everything that lies in the bucket older, unfinished uploads too.
func (s *Server) Age(t testing.TB, by time.Duration) {
	t.Helper()
	err := filepath.Walk(s.Dir, func(name string, st fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, time.Time{}, st.ModTime().Add(-by))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Read returns an object as anybody reads it; nil where there is none.
func (s *Server) Read(t testing.TB, key string) []byte {
	t.Helper()
	_, b := s.Get(t, key)
	return b
}

// Get is Read with the headers of the answer.
func (s *Server) Get(t testing.TB, key string) (http.Header, []byte) {
	t.Helper()
	res, err := s.proxy.straight(http.MethodGet, "/"+s.Bucket+"/"+key)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	// Who may not list the bucket is not told whether an object is there.
	if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusForbidden {
		return res.Header, nil
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s\n%s", key, res.Status, b.Bytes())
	}
	return res.Header, append([]byte{}, b.Bytes()...)
}

// command finds versitygw, or builds it once per machine and version.
var command = sync.OnceValues(func() (string, error) {
	if p, err := exec.LookPath("versitygw"); err == nil {
		return p, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "distropack", "versitygw-"+version+"-"+runtime.Version())
	program := filepath.Join(bin, "versitygw")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	// Built beside and renamed, since tests of several packages build at once.
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(filepath.Dir(bin), ".versitygw-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	install := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@"+version)
	install.Env = append(os.Environ(), "GOBIN="+part, "GOFLAGS=")
	install.Dir = part // go.mod of this module says nothing about it
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("versitygw is not installed and can't be built: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(part, bin); err != nil {
		if _, there := os.Stat(program); there != nil {
			return "", err
		}
	}
	return program, nil
})
