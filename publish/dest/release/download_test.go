package release_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/dest/release"
	"github.com/distropack/distropack/publish/githubtest"
)

// The double fails the test if the host for files is sent a token.
func TestDownload(t *testing.T) {
	for _, private := range []bool{false, true} {
		h := newHost(t, githubtest.Options{})
		if private {
			h.repo.Private()
		}
		p := h.place(t)
		if _, err := p.Attach(ctx, h.rel(), three(), release.AttachOptions{KeepDraft: true}); err != nil {
			t.Fatal(err)
		}
		for _, draft := range []bool{true, false} {
			for _, a := range three() {
				r, err := p.Download(ctx, "v1", a.Name)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(r)
				if want, _ := formats.ReadAll(a.Blob); err != nil || string(b) != string(want) {
					t.Errorf("draft %v: %s: got %d bytes, %v", draft, a.Name, len(b), err)
				}
				r.Close()
			}
			if _, err := p.Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"nothing", "half"} {
			if _, err := p.Download(ctx, "v1", name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := p.Download(ctx, "v9", "SHA256SUMS"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

func TestEverybodyCanDownloadFromAssetURL(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	p := h.place(t)
	if _, err := p.Attach(ctx, h.rel(), three(), release.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, a := range three() {
		res, err := http.Get(p.AssetURL("v1", a.Name))
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		io.Copy(hash, res.Body)
		res.Body.Close()
		if formats.Digest(hash.Sum(nil)) != a.Blob.Ref().SHA256 {
			t.Errorf("%s: status %d, other bytes", a.Name, res.StatusCode)
		}
	}
}

func TestDownloadNoticesWrongBytes(t *testing.T) {
	for name, bad := range map[string]githubtest.Asset{
		"other":   {Bytes: []byte("other"), SHA256: strings.Repeat("0", 64), Size: 5},
		"shorter": {Bytes: []byte("other"), SHA256: strings.Repeat("0", 64), Size: 6},
		"longer":  {Bytes: []byte("other"), SHA256: strings.Repeat("0", 64), Size: 4},
	} {
		h := newHost(t, githubtest.Options{})
		bad.Name = "x"
		h.repo.Add(githubtest.Release{Tag: "v1", Assets: []githubtest.Asset{bad}})
		r, err := h.place(t).Download(ctx, "v1", "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil {
			t.Errorf("%s: no error", name)
		}
		r.Close()
	}
}

func TestAssets(t *testing.T) {
	h := newHost(t, githubtest.Options{PageSize: 1})
	h.repo.Add(githubtest.Release{Tag: "v1", Draft: true, Assets: []githubtest.Asset{{Name: "b", State: githubtest.Starter}, {Name: "a", Bytes: []byte("abc")}}})
	got, err := h.place(t).Assets(ctx, "v1")
	want := []release.Info{{Name: "a", Size: 3, SHA256: sha256.Sum256([]byte("abc")), Known: true, State: "uploaded"}, {Name: "b", State: "starter"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := h.place(t).Assets(ctx, "v9"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// garbling is a proxy that sends another body of one byte for so many uploads.
type garbling struct{ left atomic.Int32 }

func (g *garbling) RoundTrip(r *http.Request) (*http.Response, error) {
	if githubtest.IsUpload(r) && g.left.Add(-1) >= 0 {
		r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader("X"))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestWhatIsGarbledOnItsWayIsNotPublished(t *testing.T) {
	one := []release.Asset{asset("a", "x")}
	for uploads, fine := range map[int32]bool{1: true, 3: true, 4: false, 1000: false} {
		h := newHost(t, githubtest.Options{})
		o := h.options()
		g := new(garbling)
		g.left.Store(uploads)
		o.HTTP = &http.Client{Transport: g}
		_, err := open(t, o).Attach(ctx, h.rel(), one, release.AttachOptions{})
		if fine {
			if err != nil {
				t.Errorf("%d: %v", uploads, err)
			}
			h.whole(t, one)
			continue
		}
		wantError(t, err, "uploaded 4 times", "not there as it was sent")
		if r := h.only(t); !r.Draft {
			t.Errorf("published %+v", r)
		}
	}
}

func TestDownloadsStayInHTTPS(t *testing.T) {
	h := newHost(t, githubtest.Options{})
	h.repo.Add(githubtest.Release{Tag: "v1", Assets: []githubtest.Asset{{Name: "a", Bytes: []byte("abc")}}})
	files := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{"/plain": h.FilesURL + "/files/1?sig=secret", "/circle": "/circle?sig=secret"}[r.URL.Path]
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer files.Close()
	for to, want := range map[string]string{
		files.URL + "/plain?sig=secret":   ", without https",
		files.URL + "/circle?sig=secret":  "more than 5 redirects",
		"ftp://files.example/?sig=secret": " leads to no https URL",
		"//files.example:x/?sig=secret":   `failed to parse Location header "//files.example:x/?[secret]"`,
		"https://%zz.example/?sig=secret": `failed to parse Location header "https://%zz.example/?[secret]"`,
		"":                                " leads to no https URL",
	} {
		h.On(func(r *http.Request) githubtest.Fault {
			if strings.Contains(r.URL.Path, "/releases/assets/") {
				return githubtest.Fault{Status: 302, Header: http.Header{"Location": {to}}}
			}
			return githubtest.Fault{}
		})
		o := h.options()
		o.HTTP = files.Client()
		_, err := open(t, o).Download(ctx, "v1", "a")
		wantError(t, err, "release v1 of acme/hello: download a: ", want)
	}
}

// zeros is a file of n zero bytes that notes how much memory is in use.
type zeros struct {
	left int64
	peak *atomic.Uint64
	next int64
}

func (z *zeros) Close() error { return nil }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	if z.left <= z.next {
		z.next -= 8 << 20
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > z.peak.Load() {
			z.peak.Store(m.HeapAlloc)
		}
	}
	n := min(int64(len(b)), z.left)
	clear(b[:n])
	z.left -= n
	return int(n), nil
}

func TestUploadsAreNotHeldInMemory(t *testing.T) {
	const size = 96 << 20
	sum := sha256.New()
	io.Copy(sum, &zeros{left: size, peak: new(atomic.Uint64)})
	var peak atomic.Uint64
	blob := ghost{formats.Ref{SHA256: formats.Digest(sum.Sum(nil)), Size: size}, func() (io.ReadCloser, error) { return &zeros{left: size, peak: &peak, next: size}, nil }}
	h := newHost(t, githubtest.Options{Forget: true})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := h.place(t).Attach(ctx, h.rel(), []release.Asset{{Name: "big", Blob: blob}}, release.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	if grown := int64(peak.Load()) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d MiB more memory for a file of %d MiB", grown>>20, size>>20)
	} else {
		t.Logf("%d KiB more memory for a file of %d MiB", grown>>10, size>>20)
	}
}
