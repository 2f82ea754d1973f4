package bucket

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

func wants(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant %q", err, want)
	}
}

func TestChangesThatCannotBeAreRefused(t *testing.T) {
	s := buckettest.Serve(t)
	b := open(t, options(s, "p"))
	long := "pool/" + strings.Repeat("x", 1024)
	deleting := func(p string) *publish.Change {
		c := put(publish.StatePath, "1", "pool/a", "a")
		c.Delete = []string{p}
		return c
	}
	for want, c := range map[string]*publish.Change{
		"bucket tree: .distropack/bucket is where the bucket's own notes lie":                     put(publish.StatePath, "1", memoryPath, "x"),
		"bucket tree: .distropack/probe is where the bucket's own notes lie":                      deleting(probePath),
		"bucket tree: .distropack/commits/x is where the bucket's own notes lie":                  put(publish.StatePath, "1", commitsDir+"/x", "x"),
		"bucket tree: " + long + ": the name has more than 1024 bytes: shorten it, or the prefix": put(publish.StatePath, "1", long, "x"),
		"bucket tree: pool/a is put twice":                                                        put(publish.StatePath, "1", "pool/a", "a", "pool/a", "b"),
		"bucket tree: a change without .distropack/state can't be committed":                      put("pool/a", "a"),
		"bucket tree: pool/a is put and deleted":                                                  deleting("pool/a"),
		"bucket tree: .distropack/state is put and deleted":                                       deleting(publish.StatePath),
		`bucket tree: path "../x": invalid argument`:                                              deleting("../x"),
		"pool/l: write: the content changed while it was published: its SHA-256 is ":              withFile(put(publish.StatePath, "1"), "pool/l", other{make1(100, 1)}),
	} {
		_, err := b.Commit(ctx, "", c)
		wants(t, err, want)
	}
	if got := s.Objects(t, "p/.distropack/state"); len(got) != 0 {
		t.Errorf("something was committed: %v", got)
	}
	lie := put()
	lie.Put = []publish.File{{Path: publish.StatePath, Class: publish.Pointer, Blob: other{make1(10, 1)}}}
	_, err := b.Commit(ctx, "", lie)
	wants(t, err, "bucket tree: .distropack/state is not what its Ref says")
}

// answering is a fault for requests of a method on a path's end.
func answering(method, end string, f buckettest.Fault) func(int, *http.Request) buckettest.Fault {
	return func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == method && strings.HasSuffix(r.URL.Path, end) {
			return f
		}
		return buckettest.Fault{}
	}
}

// Stores and neighbours that behave as none should.
func TestOddStoresAreNamed(t *testing.T) {
	s := buckettest.Serve(t)
	taken := buckettest.Fault{Status: 412, Code: "PreconditionFailed", Message: "no"}
	n := 0
	fresh := func() (b *Bucket, head string) { // with one commit
		t.Helper()
		n++
		o := options(s, fmt.Sprint("odd", n))
		o.Tries = 3
		b = open(t, o)
		return b, commit(t, b, put(publish.StatePath, "1", "top/x", "x1", "pool/a", "0123456789"))
	}

	b, head := fresh()
	s.On(answering(http.MethodPut, "/pool/b", taken))
	_, err := b.Commit(ctx, head, put(publish.StatePath, "2", "pool/b", "b"))
	wants(t, err, b.o.Prefix+"/pool/b comes and goes: another program writes there")

	s.On(nil)
	b, head = fresh()
	s.On(answering(http.MethodPut, "/top/x", taken))
	_, err = b.Commit(ctx, head, put(publish.StatePath, "2", "top/x", "x2"))
	wants(t, err, "the tree is published, but some of its files are not in place yet: run it again: bucket tree: "+b.o.Prefix+"/top/x keeps changing: another program writes there")

	s.On(nil)
	b, _ = fresh()
	s.On(answering(http.MethodGet, "/state", buckettest.Fault{Status: 200}))
	_, err = open(t, b.o).Head(ctx)
	wants(t, err, "/.distropack/state: read: the store gives no ETag, so publishes can't be told apart")

	s.On(nil)
	b, head = fresh()
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if strings.Contains(r.URL.Path, "/commits/") {
			return buckettest.Fault{Status: 200}
		}
		return buckettest.Fault{}
	})
	_, err = b.Commit(ctx, head, put(publish.StatePath, "2"))
	wants(t, err, ": write: the store gives no ETag")

	// Each look finds another state.
	s.On(nil)
	foreign(t, s, "moving/"+publish.StatePath)
	s.On(answering(http.MethodHead, "/state", buckettest.Fault{Status: 200, Header: http.Header{"Etag": {`"another"`}}}))
	_, err = open(t, options(s, "moving")).Head(ctx)
	wants(t, err, "bucket tree: the tree was changed by another publish all the time")
	if !errors.Is(err, publish.ErrConflict) {
		t.Errorf("%v is no conflict", err)
	}

	s.On(nil)
	b, head = fresh()
	s.On(func(n int, _ *http.Request) buckettest.Fault {
		return buckettest.Fault{Truncate: n == 1, Ignore: []string{"Range"}}
	})
	r, err := b.Open(ctx, head, "pool/a")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(r)
	r.Close()
	wants(t, err, "read pool/a: unexpected EOF after 5 of 10 bytes, and again: the store can't go on in the middle of a file")
}

// A store that lists more than it was asked for could make us delete it.
func TestListsOfOtherPrefixesAreRefused(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("uploads"):
			fmt.Fprint(w, `<ListMultipartUploadsResult><Upload><Key>other/x</Key><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>`)
		case r.URL.Query().Has("list-type") && r.URL.Query().Get("prefix") == "p/":
			fmt.Fprint(w, `<ListBucketResult><Contents><Key>p</Key></Contents></ListBucketResult>`)
		case r.URL.Query().Has("list-type"):
			fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(store.Close)
	o := Options{Bucket: "tree", Prefix: "p", Endpoint: store.URL, PathStyle: true, AccessKey: "a", SecretKey: "s"}
	err := open(t, o).List(ctx, "", func(string, int64, time.Time) error { return nil })
	wants(t, err, "bucket tree: asked for p/…, the store lists p")
	_, err = open(t, o).Leftovers(ctx, 0, func(string) bool { return false })
	wants(t, err, "bucket tree: asked for p/…, the store lists p")
	o.Prefix = "q"
	_, err = open(t, o).Leftovers(ctx, 0, func(string) bool { return false })
	wants(t, err, "bucket tree: asked for q/…, the store lists the upload other/x")
}

// The stage of an unfinished commit that somebody damaged.
func TestDamagedStagesAreNamed(t *testing.T) {
	s := buckettest.Serve(t)
	state := formats.Digest(sha256.Sum256([]byte("foreign")))
	ref := formats.Bytes([]byte("other")).Ref()
	head := func(format int, of formats.Digest, rest string) string {
		return fmt.Sprintf(`{"format":%d,"state":%q%s}`+"\n", format, of, rest)
	}
	file := func(path, more string) string {
		return fmt.Sprintf(`,"put":[{"path":%q,"ref":{"sha256":%q,"size":5}%s}]`, path, ref.SHA256, more)
	}
	foreign(t, s, "d/"+publish.StatePath)
	for want, text := range map[string]string{
		"it is truncated": `{"format":1`,
		"it has format 2, this program knows 1: use a newer one": head(2, state, ""),
		"it is of the state " + ref.SHA256.String():              head(1, ref.SHA256, ""),
		`path "../x" can't be put`:                               head(1, state, file("../x", "")) + "other",
		`path ".distropack/state" can't be put`:                  head(1, state, file(publish.StatePath, "")) + "other",
		`path "../y" can't be read`:                              head(1, state, file("x", `,"from":"../y"`)),
		"x is said to have bytes that are not there":             head(1, state, file("x", "")) + "othe",
		"x has other bytes than it is said to":                   head(1, state, file("x", "")) + "ether",
		`path ".distropack/bucket" can't be deleted`:             head(1, state, `,"delete":[".distropack/bucket"]`),
		"invalid character":                                      "{]\n",
	} {
		key := "d/" + stagePath(state)
		if _, err := s.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, options(s, "d")).Head(ctx)
		wants(t, err, "bucket tree: "+key+": damaged: "+want)
	}
}

// An upload that can't be given up is told of.
func TestUploadsThatStayAreToldOf(t *testing.T) {
	s := buckettest.Serve(t)
	var h heard
	o := options(s, "p")
	o.Say, o.Grace = h.say, -time.Minute
	b := open(t, o)
	commit(t, b, put(publish.StatePath, "1", "pool/a", "a"))
	begun(t, s, "p/pool/big")
	found, err := b.Leftovers(ctx, 0, func(p string) bool { return p == "pool/a" })
	if err != nil || found.GiveUp == nil {
		t.Fatalf("%+v, %v", found, err)
	}
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.URL.Query().Has("uploadId") {
			return buckettest.Fault{Status: 200}
		}
		return buckettest.Fault{}
	})
	if err := found.GiveUp(ctx); err != nil {
		t.Error(err)
	}
	if want := "bucket tree: p/pool/big: give up an unfinished upload: its parts stay; the next publish of this file does"; h.String() != want {
		t.Errorf("it said %q, want %q", h.String(), want)
	}
}

// Where the answer to the end of an upload gets lost, it is asked again and the
// upload is gone. Without a condition the object tells whether it was done.
func TestLostEndOfAnUploadIsNoFailure(t *testing.T) {
	s := buckettest.Serve(t)
	b := open(t, options(s, "p"))
	o := object{"pool/a.deb", publish.Content, make1(65<<20, 1)}
	lost := 0
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			if lost++; lost == 2 { // as stores do that remember no upload that is done
				return buckettest.Fault{Status: 404, Code: "NoSuchUpload", Message: "gone"}
			}
			return buckettest.Fault{Lose: lost == 1}
		}
		return buckettest.Fault{}
	})
	if etag, err := b.put(ctx, o, condition{}); err != nil || etag == "" || lost != 2 {
		t.Errorf("ETag %q, %v, after %d requests", etag, err, lost)
	}
	_, err := b.put(ctx, o, condition{none: true})
	wants(t, err, "there is an object already")
	// Given up by another one, it is no object of ours.
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			return buckettest.Fault{Status: 404, Code: "NoSuchUpload", Message: "gone"}
		}
		return buckettest.Fault{}
	})
	o.blob = make1(65<<20, 2)
	_, err = b.put(ctx, o, condition{})
	wants(t, b.explain("write", o.path, err), "answers NoSuchUpload: gone")
}

// Content is read from its start on; a request that wants otherwise is ended.
func TestContentIsReadFromItsStart(t *testing.T) {
	ctx, stop := context.WithCancelCause(ctx)
	c, err := bodyOf(make1(100, 1), stop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(make([]byte, 10))
	wants(t, err, "reading at 5: it can only go on at 0 or begin again")
	wants(t, context.Cause(ctx), "reading at 5: it can only go on at 0 or begin again")
	if _, err := c.Seek(-1, io.SeekStart); err == nil {
		t.Error("there is something before the start")
	}
}
