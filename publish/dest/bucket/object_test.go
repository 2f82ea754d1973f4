package bucket

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

func printed(o Options) []string {
	j, _ := json.Marshal(struct{ S Secret }{o.SecretKey})
	return []string{fmt.Sprint(o), fmt.Sprintf("%+v %#v %s %q", o, o.SecretKey, o.SecretKey, o.SessionToken), string(j)}
}

// What anybody gets over HTTP, without keys.
func TestHeadersAsClientsGetThem(t *testing.T) {
	s := buckettest.Serve(t)
	digest := strings.Repeat("0123456789abcdef", 4)
	type file struct {
		class        publish.Class
		media, cache string
	}
	files := map[string]file{
		"pool/a_1.deb":                           {publish.Content, "application/vnd.debian.binary-package", forever},
		"rpm/a.rpm":                              {publish.Content, "application/x-rpm", forever},
		"arch/a.pkg.tar.zst":                     {publish.Content, "application/zstd", forever},
		"arch/a.pkg.tar.zst.sig":                 {publish.Content, "application/octet-stream", forever},
		"downloads/a 1+b.tar.gz":                 {publish.Content, "application/gzip", forever},
		"dists/s/by-hash/SHA256/" + digest:       {publish.Index, "application/octet-stream", forever},
		"repodata/" + digest + "-primary.xml.gz": {publish.Index, "application/gzip", forever},
		".distropack/index/apk/x/APKINDEX.gz":    {publish.Index, "application/gzip", asked},
		"dists/s/InRelease":                      {publish.Pointer, "text/plain; charset=utf-8", asked},
		"dists/s/Release.gpg":                    {publish.Pointer, "text/plain; charset=utf-8", asked},
		"dists/s/main/Packages":                  {publish.Pointer, "text/plain; charset=utf-8", asked},
		"dists/s/main/Packages.gz":               {publish.Pointer, "application/gzip", asked},
		"dists/s/main/Packages.zst":              {publish.Pointer, "application/zstd", asked},
		"repodata/repomd.xml":                    {publish.Pointer, "application/xml", asked},
		"repodata/repomd.xml.asc":                {publish.Pointer, "text/plain; charset=utf-8", asked},
		"arch/x.db":                              {publish.Pointer, "application/octet-stream", asked},
		"index.html":                             {publish.Pointer, "text/html; charset=utf-8", asked},
		"install.sh":                             {publish.Pointer, "text/x-shellscript; charset=utf-8", asked},
		"install.json":                           {publish.Pointer, "application/json", asked},
		"badge.svg":                              {publish.Pointer, "image/svg+xml", asked},
		publish.StatePath:                        {publish.Pointer, "text/plain; charset=utf-8", asked},
	}
	c := &publish.Change{}
	for p, f := range files {
		c.Put = append(c.Put, publish.File{Path: p, Class: f.class, Blob: formats.Bytes([]byte(p))})
	}
	commit(t, open(t, options(s, "")), c) // the whole bucket
	for p, want := range files {
		h, b := s.Get(t, strings.ReplaceAll(p, " ", "%20"))
		if string(b) != p {
			t.Errorf("%s is %q", p, b)
		}
		if got := (file{want.class, h.Get("Content-Type"), h.Get("Cache-Control")}); got != want {
			t.Errorf("%s: %+v, want %+v", p, got, want)
		}
		if e := h.Get("Content-Encoding"); e != "" {
			t.Errorf("%s is encoded: %s", p, e)
		}
	}
}

// made is content of any size that nobody holds in memory.
type made struct {
	ref  formats.Ref
	seed byte
}

func make1(size int64, seed byte) made {
	h := sha256.New()
	io.Copy(h, &pattern{left: size, seed: seed})
	return made{formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: size}, seed}
}

func (m made) Ref() formats.Ref { return m.ref }
func (m made) Open() (io.ReadCloser, error) {
	return io.NopCloser(&pattern{left: m.ref.Size, seed: m.seed}), nil
}

type pattern struct {
	n, left int64
	seed    byte
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	for i := range b {
		b[i] = byte((p.n+int64(i))>>12) ^ byte(p.n+int64(i)) ^ p.seed
	}
	p.n, p.left = p.n+int64(len(b)), p.left-int64(len(b))
	return len(b), nil
}

// withFile adds a package to a change.
func withFile(c *publish.Change, p string, blob formats.Blob) *publish.Change {
	c.Put = append(c.Put, publish.File{Path: p, Blob: blob})
	return c
}

func TestLargeFilesGoInPartsAndLittleMemory(t *testing.T) {
	s := buckettest.Serve(t)
	big := make1(70<<20, 1)
	b := open(t, options(s, "large"))
	commit(t, b, put(publish.StatePath, "1"))
	var peak atomic.Uint64
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	s.On(func(int, *http.Request) buckettest.Fault {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapInuse > peak.Load() {
			peak.Store(m.HeapInuse)
		}
		return buckettest.Fault{}
	})
	commit(t, b, withFile(put(publish.StatePath, "2"), "pool/big.deb", big))
	parts := 0
	for _, r := range s.Requests() {
		if strings.HasPrefix(r, "PUT?uploadId?partNumber") {
			parts++
		}
	}
	if parts != 5 {
		t.Errorf("%d parts, want 5", parts)
	}
	used := int64(peak.Load()) - int64(before.HeapInuse)
	t.Logf("heap grew by %d MiB", used>>20)
	if used > 48<<20 {
		t.Errorf("the heap grew by %d MiB", used>>20)
	}
	h, got := s.Get(t, "large/pool/big.deb")
	if formats.Bytes(got).Ref() != big.ref || h.Get("Cache-Control") != forever || h.Get("Content-Type") != "application/vnd.debian.binary-package" {
		t.Errorf("%d bytes came, with %v", len(got), h)
	}
	// Again, as after a crash: it is not sent again.
	s.On(nil)
	commit(t, b, withFile(put(publish.StatePath, "3"), "pool/big.deb", big))
	if slices.ContainsFunc(s.Requests(), func(r string) bool { return strings.Contains(r, "partNumber") }) {
		t.Error("what was there was sent again")
	}
}

func uploads(t *testing.T, s *buckettest.Server) (keys []string) {
	t.Helper()
	out, err := s.Client().ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	slices.Sort(keys)
	return keys
}

// other is content that is not what its Ref says: the last byte differs.
type other struct{ made }

func (o other) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(&pattern{left: o.ref.Size - 1, seed: o.seed}, strings.NewReader("!"))), nil
}

// longer has a byte more than its Ref says, shorter one less.
type longer struct{ made }

func (o longer) Open() (io.ReadCloser, error) {
	return io.NopCloser(&pattern{left: o.ref.Size + 1, seed: o.seed}), nil
}

type shorter struct{ made }

func (o shorter) Open() (io.ReadCloser, error) {
	return io.NopCloser(&pattern{left: o.ref.Size - 1, seed: o.seed}), nil
}

func TestChangedContentNeverBecomesVisible(t *testing.T) {
	s := buckettest.Serve(t)
	o := options(s, "liar")
	o.Say = func(said string) { t.Error(said) }
	b := open(t, o)
	commit(t, b, put(publish.StatePath, "1"))
	for _, size := range []int64{1, 5000, 65 << 20} {
		m := make1(size, 7)
		for name, blob := range map[string]formats.Blob{"other": other{m}, "longer": longer{m}, "shorter": shorter{m}} {
			head, _ := b.Head(ctx)
			_, err := b.Commit(ctx, head, withFile(put(publish.StatePath, "2"), "pool/a.deb", blob))
			if err == nil || !strings.Contains(err.Error(), "the content changed while it was published") {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
			if got := s.Read(t, "liar/pool/a.deb"); got != nil {
				t.Errorf("%s of %d bytes is visible: %d bytes", name, size, len(got))
			}
		}
	}
	if left := uploads(t, s); len(left) > 0 {
		t.Errorf("unfinished uploads are left: %q", left)
	}
	if got := string(s.Read(t, "liar/"+publish.StatePath)); got != "1" {
		t.Errorf("the state is %q", got)
	}
}

// What a publish left that died within a large file is given up by the next one
// of that file, and nothing else is.
func TestLeftUploadsAreGivenUp(t *testing.T) {
	s := buckettest.Serve(t)
	c := s.Client()
	for _, key := range []string{"p/pool/a.deb", "p/pool/a.deb.sig", "p2/pool/a.deb"} {
		if _, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	big := make1(65<<20, 3)
	o := options(s, "p")
	commit(t, open(t, o), withFile(put(publish.StatePath, "1"), "pool/a.deb", big))
	if left := uploads(t, s); len(left) != 3 {
		t.Errorf("within the grace another's upload was given up: %q are left", left)
	}
	o.Grace = -time.Minute // whatever the clocks round to, it is over
	// Other bytes: it goes to a staged object, and from there to its place.
	commit(t, open(t, o), withFile(put(publish.StatePath, "2"), "pool/a.deb", make1(65<<20, 4)))
	if got, want := uploads(t, s), []string{"p/pool/a.deb.sig", "p2/pool/a.deb"}; !slices.Equal(got, want) {
		t.Errorf("%q are left, want %q", got, want)
	}
	if got := formats.Bytes(s.Read(t, "p/pool/a.deb")).Ref(); got != make1(65<<20, 4).ref {
		t.Errorf("the package is %v", got)
	}
}

// A connection that ends within a file is no end of the file.
func TestTruncatedAnswersAreGoneOnWith(t *testing.T) {
	s := buckettest.Serve(t)
	m := make1(3<<20, 9)
	b := open(t, options(s, "cut"))
	v := commit(t, b, withFile(put(publish.StatePath, "1"), "pool/a.deb", m))
	for _, c := range []struct {
		cuts int
		fine bool
	}{{1, true}, {3, true}, {100, false}} {
		s.On(func(n int, _ *http.Request) buckettest.Fault { return buckettest.Fault{Truncate: n <= c.cuts} })
		r, err := b.Open(ctx, v, "pool/a.deb")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if c.fine && (err != nil || formats.Bytes(got).Ref() != m.ref) {
			t.Errorf("%d cuts: %d bytes, %v", c.cuts, len(got), err)
		}
		if !c.fine && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d cuts: %v", c.cuts, err)
		}
	}
}

// A state cut short by a proxy that says nothing of it is not taken for one.
func TestShortenedStateIsNoBase(t *testing.T) {
	s := buckettest.Serve(t)
	b := open(t, options(s, "s"))
	v := commit(t, b, put(publish.StatePath, "a state of some length"))
	s.On(func(n int, r *http.Request) buckettest.Fault {
		return buckettest.Fault{Shorten: n <= 2}
	})
	if got, err := b.Head(ctx); got != v || err != nil {
		t.Errorf("Head = %q, %v; want %q", got, err, v)
	}
	s.On(func(n int, r *http.Request) buckettest.Fault { return buckettest.Fault{Shorten: true} })
	if got, err := b.Head(ctx); err == nil || !strings.Contains(err.Error(), "a proxy may have changed it") {
		t.Errorf("Head = %q, %v", got, err)
	}
}

// The neighbours of a prefix are nobody's business.
func TestPrefixIsExact(t *testing.T) {
	s := buckettest.Serve(t)
	arch, arch64 := open(t, options(s, "p/arch")), open(t, options(s, "p/arch64"))
	commit(t, arch64, put(publish.StatePath, "64", "pool/a", "64", "top/x", "64"))
	c := s.Client()
	for _, key := range []string{"p/arch-old/x", "p/archive", "top/x", "pool/a"} {
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader("foreign")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"p/arch/pool-2/big", "p/arch64/pool/big"} {
		if _, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Objects(t, "")
	if v, err := arch.Head(ctx); v != "" || err != nil {
		t.Errorf("Head = %q, %v", v, err)
	}
	commit(t, arch, put(publish.StatePath, "1", "pool/a", "a", "pool-2/b", "b"))
	ch := put(publish.StatePath, "2")
	ch.Delete = []string{"pool/a", "x"}
	commit(t, arch, ch)
	var listed []string
	for _, folder := range []string{"", "pool", "pool-2"} {
		err := arch.List(ctx, folder, func(p string, size int64, modified time.Time) error {
			if size <= 0 || time.Since(modified) > time.Hour {
				t.Errorf("%s has %d bytes of %v", p, size, modified)
			}
			if !strings.HasPrefix(p, publish.PrivateDir+"/") {
				listed = append(listed, folder+":"+p)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if want := []string{":pool-2/b", "pool-2:pool-2/b"}; !slices.Equal(listed, want) {
		t.Errorf("listed %q, want %q", listed, want)
	}
	erase(t, arch)
	if after := s.Objects(t, ""); !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
	if got, want := uploads(t, s), []string{"p/arch64/pool/big"}; !slices.Equal(got, want) {
		t.Errorf("uploads %q, want %q", got, want)
	}
	if v, err := arch.Head(ctx); v != "" || err != nil {
		t.Errorf("Head = %q, %v", v, err)
	}
}

// A store that refuses the request for many deletions gets one for each. What can't
// be deleted is said, and deleted by the next publish.
func TestDeletionsAreNotForgotten(t *testing.T) {
	s := buckettest.Serve(t)
	var h heard
	o := options(s, "d")
	o.Say, o.Tries = h.say, 2
	b := open(t, o)
	commit(t, b, put(publish.StatePath, "1", "pool/a", "a", "pool/b", "b", "pool/c", "c"))
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.URL.Query().Has("delete") {
			return buckettest.Fault{Status: 501, Code: "NotImplemented", Message: "no"}
		}
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/pool/b") {
			return buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return buckettest.Fault{}
	})
	c := put(publish.StatePath, "2")
	c.Delete = []string{"pool/a", "pool/b"}
	commit(t, b, c)
	if got := tree(t, s, "d"); got["pool/a"] != "" || got["pool/b"] != "b" || got["pool/c"] != "c" {
		t.Errorf("the tree is %v", got)
	}
	if said := h.String(); !strings.Contains(said, "d/pool/b") || !strings.Contains(said, "the next publish tries again") {
		t.Errorf("it said %q", said)
	}
	s.On(nil)
	commit(t, open(t, o), put(publish.StatePath, "3"))
	if got := tree(t, s, "d"); got["pool/b"] != "" || got["pool/c"] != "c" {
		t.Errorf("the tree is %v", got)
	}
	// One that could not be deleted and is wanted again stays.
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		return buckettest.Fault{Drop: r.URL.Query().Has("delete") || r.Method == http.MethodDelete}
	})
	c = put(publish.StatePath, "4")
	c.Delete = []string{"pool/c"}
	commit(t, b, c)
	s.On(nil)
	commit(t, open(t, o), put(publish.StatePath, "5", "pool/c", "c"))
	commit(t, open(t, o), put(publish.StatePath, "6"))
	if got := tree(t, s, "d"); got["pool/c"] != "c" {
		t.Errorf("the tree is %v", got)
	}
}

// A tree that came here by other means is taken as it is.
func TestForeignTreeIsTakenOver(t *testing.T) {
	s := buckettest.Serve(t)
	for key, text := range map[string]string{"f/" + publish.StatePath: "1", "f/top/x": "x1", "f/pool/a": "a"} {
		_, err := s.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: aws.String(key), Body: strings.NewReader(text)})
		if err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, options(s, "f"))
	commit(t, b, put(publish.StatePath, "2", "top/x", "x2", "pool/a", "a", "pool/b", "b"))
	if got := tree(t, s, "f"); got["top/x"] != "x2" || got["pool/a"] != "a" || got["pool/b"] != "b" {
		t.Errorf("the tree is %v", got)
	}
	// And what somebody wrote over is put right when it changes.
	_, err := s.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: aws.String("f/top/x"), Body: strings.NewReader("vandal")})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, b, put(publish.StatePath, "3", "top/x", "x3"))
	if got := tree(t, s, "f"); got["top/x"] != "x3" {
		t.Errorf("top/x is %q", got["top/x"])
	}
	for _, p := range []string{memoryPath, probePath, commitsDir + "/x"} {
		head, _ := b.Head(ctx)
		if _, err := b.Commit(ctx, head, put(publish.StatePath, "4", p, "x")); err == nil {
			t.Errorf("%s was written", p)
		}
	}
}
